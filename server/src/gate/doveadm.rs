//! Dovecot's doveadm HTTP API, as far as it tells who is connected, and ends sessions.
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
use super::wire::BASE64;
use super::wire::doveadm::{self as wire, Answer, Connection};
use crate::config::DoveadmConfig;

const PATIENCE: Duration = Duration::from_secs(5);
/// Besides, for each session that is to be ended: it may look through all for it.
const PATIENCE_WITH_EACH: Duration = Duration::from_millis(50);
/// Where everybody is asked for.
const PATIENCE_WITH_ALL: Duration = Duration::from_secs(15);

/// Read no further: a hundred bytes for each of some hundred thousand connections.
const LONGEST_ANSWER: usize = 64 * 1024 * 1024;

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
    #[error("Dovecot could not do it: {0}")]
    Failed(String),
}

impl DoveadmError {
    /// For a metric.
    pub fn why(&self) -> &'static str {
        match self {
            DoveadmError::TimedOut(..) => "timed_out",
            DoveadmError::Lost(_) => "lost",
            DoveadmError::Status(_) => "status",
            DoveadmError::NoResponse => "garbled",
            DoveadmError::Failed(_) => COMMAND,
        }
    }
}

/// Why one command failed where Dovecot answered: for a metric.
pub(super) const COMMAND: &str = "command";

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

    /// Ends all sessions of these peers, and tells of each what became of it.
    pub(super) async fn kick(&self, peers: &[&Peer]) -> Result<Vec<Answer>, DoveadmError> {
        let kick = |peer: &&Peer| {
            let remote = peer.remote.map(|ip| ip.to_string());
            let mask: Vec<String> = std::iter::once(literal(&peer.user)).chain(remote).collect();
            ("kick", json!({ "mask": mask }))
        };
        let kicks: Vec<_> = peers.iter().map(kick).collect();
        let patience =
            PATIENCE + PATIENCE_WITH_EACH * u32::try_from(kicks.len()).unwrap_or(u32::MAX);
        self.run(kicks, patience).await
    }

    /// Who is connected, one by one.
    pub(super) async fn who(&self) -> Result<Vec<Connection>, DoveadmError> {
        let all = json!({ "separateConnections": true });
        let lines = self.done("who", all, PATIENCE_WITH_ALL).await?;
        wire::connections(lines).ok_or(DoveadmError::NoResponse)
    }

    /// Asks who is connected under a name that nobody has: shows whether it answers, and takes our key.
    pub async fn greet(&self) -> Result<(), DoveadmError> {
        let nobody = json!({ "mask": ["nobody@doctor.invalid"] });
        self.done("who", nobody, PATIENCE).await.map(|_| ())
    }

    /// One command, where it is one that can't fail for want of anybody.
    async fn done(
        &self,
        name: &str,
        parameters: Value,
        patience: Duration,
    ) -> Result<Value, DoveadmError> {
        let mut answers = self.run(vec![(name, parameters)], patience).await?;
        match answers.pop() {
            Some(Answer::Done(value)) => Ok(value),
            Some(Answer::Nobody) => Ok(Value::Array(Vec::new())),
            Some(Answer::Failed(what)) => Err(DoveadmError::Failed(what)),
            None => Err(DoveadmError::NoResponse),
        }
    }

    /// The answer to each command, in their order.
    async fn run(
        &self,
        commands: Vec<(&str, Value)>,
        patience: Duration,
    ) -> Result<Vec<Answer>, DoveadmError> {
        let count = commands.len();
        let tagged = commands.into_iter().enumerate();
        let tagged = tagged.map(|(n, (name, parameters))| json!([name, parameters, n.to_string()]));
        let body = Value::Array(tagged.collect()).to_string();
        let answer = timeout(patience, self.post(body)).await;
        let timed_out = |_| DoveadmError::TimedOut(self.address.clone(), patience);
        let answer = answer.map_err(timed_out)??;
        wire::read(&answer, count).ok_or(DoveadmError::NoResponse)
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
