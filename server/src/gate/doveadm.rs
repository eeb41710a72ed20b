//! Dovecot's doveadm HTTP API, as far as it ends sessions.
//! <https://doc.dovecot.org/2.3/admin_manual/doveadm_http_api/>

use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};

use super::sessions::Peer;
use super::wire::BASE64;
use crate::config::DoveadmConfig;

const PATIENCE: Duration = Duration::from_secs(5);

/// Exit status of doveadm where nobody of that name is connected (EX_NOUSER).
const NOBODY: i64 = 67;

#[derive(Debug, thiserror::Error)]
pub enum DoveadmError {
    #[error("{0}; expected Dovecot's doveadm HTTP API at [gate.doveadm] url")]
    Http(#[from] reqwest::Error),
    #[error("Dovecot answered {0}; check [gate.doveadm] api_key against doveadm_api_key")]
    Status(u16),
    #[error("Dovecot answered what is no doveadm response")]
    NoResponse,
    #[error("Dovecot could not end a session: {0}")]
    Failed(String),
}

pub struct Doveadm {
    url: String,
    authorization: String,
    client: reqwest::Client,
}

impl std::fmt::Debug for Doveadm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Doveadm").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Doveadm {
    /// `None` where no address is configured.
    pub fn new(config: &DoveadmConfig) -> Option<Doveadm> {
        let client = reqwest::Client::builder()
            .timeout(PATIENCE)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build();
        Some(Doveadm {
            url: config.url.clone().filter(|url| !url.is_empty())?,
            authorization: format!("X-Dovecot-API {}", BASE64.encode(&config.api_key)),
            client: client.ok()?,
        })
    }

    /// Ends all sessions of these peers. Who is not connected has none.
    pub async fn kick(&self, peers: &[&Peer]) -> Result<(), DoveadmError> {
        let commands: Vec<Value> = peers
            .iter()
            .enumerate()
            .map(|(n, peer)| {
                let remote = peer.remote.map(|ip| ip.to_string());
                let mask: Vec<String> = [Some(literal(&peer.user)), remote].into_iter().flatten().collect();
                json!(["kick", { "mask": mask }, n.to_string()])
            })
            .collect();
        let response = self
            .client
            .post(&self.url)
            .header("authorization", &self.authorization)
            .json(&commands)
            .send()
            .await?;
        let status = response.status();
        if !status.is_success() {
            return Err(DoveadmError::Status(status.as_u16()));
        }
        let answers: Vec<Value> = response.json().await?;
        if answers.len() != commands.len() {
            return Err(DoveadmError::NoResponse);
        }
        match answers.iter().find_map(failure) {
            Some(what) => Err(DoveadmError::Failed(what)),
            None => Ok(()),
        }
    }
}

fn failure(answer: &Value) -> Option<String> {
    let details = answer.get(1)?;
    if answer.get(0)? == "doveadmResponse" || details.get("exitCode")?.as_i64()? == NOBODY {
        return None;
    }
    Some(details.to_string())
}

/// A name is one name: to doveadm `*` and `?` stand for others.
fn literal(user: &str) -> String {
    user.chars()
        .flat_map(|c| matches!(c, '*' | '?' | '\\').then_some('\\').into_iter().chain([c]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_is_ended_by_a_name_with_a_star() {
        assert_eq!(literal("a*b?@corp.test"), "a\\*b\\?@corp.test");
    }

    #[test]
    fn who_is_not_connected_is_no_failure() {
        assert_eq!(failure(&json!(["doveadmResponse", [], "0"])), None);
        assert_eq!(failure(&json!(["error", { "type": "exitCode", "exitCode": 67 }, "0"])), None);
        assert!(failure(&json!(["error", { "type": "exitCode", "exitCode": 75 }, "0"])).is_some());
    }
}
