//! Dovecot's doveadm HTTP API, as far as it ends sessions.
//! <https://doc.dovecot.org/2.3/admin_manual/doveadm_http_api/>

use std::time::Duration;

use base64::Engine as _;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::sessions::Peer;
use super::wire::{BASE64, doveadm as wire};
use crate::config::DoveadmConfig;

const PATIENCE: Duration = Duration::from_secs(5);

/// Read no further.
const LONGEST_ANSWER: usize = 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum DoveadmError {
    #[error("no answer from Dovecot's doveadm HTTP API at {0} within {1:?}; check [gate.doveadm]")]
    TimedOut(String, Duration),
    #[error("{0}; expected Dovecot's doveadm HTTP API at [gate.doveadm] address")]
    Lost(String),
    #[error("Dovecot answered {0}; check [gate.doveadm] api_key against doveadm_api_key")]
    Status(u16),
    #[error("Dovecot answered what is no doveadm response")]
    NoResponse,
    #[error("Dovecot could not end a session: {0}")]
    Failed(String),
}

pub struct Doveadm {
    /// Host and port.
    address: String,
    authorization: String,
}

impl std::fmt::Debug for Doveadm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Doveadm")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Doveadm {
    /// `None` where no address is configured.
    pub fn new(config: &DoveadmConfig) -> Option<Doveadm> {
        Some(Doveadm {
            address: config.address.clone().filter(|a| !a.is_empty())?,
            authorization: format!("X-Dovecot-API {}", BASE64.encode(&config.api_key)),
        })
    }

    /// Ends all sessions of these peers. Who is not connected has none.
    pub async fn kick(&self, peers: &[&Peer]) -> Result<(), DoveadmError> {
        let commands: Vec<Value> = peers
            .iter()
            .enumerate()
            .map(|(n, peer)| {
                let remote = peer.remote.map(|ip| ip.to_string());
                let mask: Vec<String> = [Some(literal(&peer.user)), remote]
                    .into_iter()
                    .flatten()
                    .collect();
                json!(["kick", { "mask": mask }, n.to_string()])
            })
            .collect();
        let asked = timeout(PATIENCE, self.post(Value::Array(commands).to_string()));
        let timed_out = |_| DoveadmError::TimedOut(self.address.clone(), PATIENCE);
        let answer = asked.await.map_err(timed_out)??;
        match wire::read(&answer, peers.len()) {
            None => Err(DoveadmError::NoResponse),
            Some(Some(what)) => Err(DoveadmError::Failed(what)),
            Some(None) => Ok(()),
        }
    }

    /// Asks who is connected under a name that nobody has: shows whether it answers, and takes our key.
    pub async fn greet(&self) -> Result<(), DoveadmError> {
        let nobody = json!([["who", { "mask": ["nobody@doctor.invalid"] }, "0"]]);
        let asked = timeout(PATIENCE, self.post(nobody.to_string()));
        let timed_out = |_| DoveadmError::TimedOut(self.address.clone(), PATIENCE);
        let answer = asked.await.map_err(timed_out)??;
        match wire::read(&answer, 1) {
            None => Err(DoveadmError::NoResponse),
            Some(Some(what)) => Err(DoveadmError::Failed(what)),
            Some(None) => Ok(()),
        }
    }

    async fn post(&self, body: String) -> Result<Bytes, DoveadmError> {
        let lost =
            |what: &dyn std::fmt::Display| DoveadmError::Lost(format!("{}: {what}", self.address));
        let tcp = TcpStream::connect(&self.address)
            .await
            .map_err(|e| lost(&e))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(tcp))
            .await
            .map_err(|e| lost(&e))?;
        // Ends with this call.
        let mut tasks = JoinSet::new();
        tasks.spawn(connection);
        let request = Request::post("/doveadm/v1")
            .header("host", &self.address)
            .header("authorization", &self.authorization)
            .header("content-type", "application/json")
            .header("connection", "close")
            .body(Full::new(Bytes::from(body)))
            .map_err(|e| lost(&e))?;
        let response = sender.send_request(request).await.map_err(|e| lost(&e))?;
        if !response.status().is_success() {
            return Err(DoveadmError::Status(response.status().as_u16()));
        }
        let body = Limited::new(response.into_body(), LONGEST_ANSWER)
            .collect()
            .await;
        Ok(body.map_err(|e| lost(&e))?.to_bytes())
    }
}

/// A name is one name: to doveadm `*` and `?` stand for others.
fn literal(user: &str) -> String {
    user.chars()
        .flat_map(|c| {
            matches!(c, '*' | '?' | '\\')
                .then_some('\\')
                .into_iter()
                .chain([c])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_is_ended_by_a_name_with_a_star() {
        assert_eq!(literal("a*b?@corp.test"), "a\\*b\\?@corp.test");
    }
}
