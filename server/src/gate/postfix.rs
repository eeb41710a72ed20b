//! Postfix's policy delegation: it asks before it takes a mail to send from a client that has signed in.
//!
//! There is no secret in this protocol. So it is a Unix socket, whose permissions say who may ask, or a
//! port that only this machine reaches.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use countermand_core::verdict::{Channel, Decision};
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader,
};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::ask::{Asked, Outcome};
use super::probe::NoVerdict;
use super::wire::postfix::{self as wire, LONGEST_LINE, PolicyError, PolicyRequest};
use super::{Gate, LONGEST, Route};
use crate::listen::{Listener, Stream};

/// Postfix keeps a connection for its next question this long (`smtpd_policy_service_max_idle` is 300 s).
const IDLE: Duration = Duration::from_secs(330);
/// Sessions at once: each of Postfix's smtpd processes has one.
const SESSIONS: usize = 1000;
/// After accepting failed, for want of file handles say.
const PAUSE: Duration = Duration::from_millis(200);

/// Answers for ever.
pub async fn serve(gate: Arc<Gate>, listener: Listener) {
    let turns = Arc::new(Semaphore::new(SESSIONS));
    let mut sessions = JoinSet::new();
    loop {
        let Ok(turn) = turns.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok(stream) => {
                let gate = gate.clone();
                sessions.spawn(async move {
                    session(&gate, stream).await;
                    drop(turn);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "Postfix could not be answered");
                tokio::time::sleep(PAUSE).await;
            }
        }
        while sessions.try_join_next().is_some() {}
    }
}

/// Question after question, until Postfix hangs up.
async fn session(gate: &Gate, stream: Box<dyn Stream>) {
    let mut stream = BufReader::new(stream);
    loop {
        let lines = match timeout(IDLE, question(&mut stream)).await {
            Ok(Ok(Some(lines))) => lines,
            Ok(Ok(None)) | Err(_) => return,
            Ok(Err(error)) => {
                tracing::info!(%error, "a policy question was cut off");
                return;
            }
        };
        let began = Instant::now();
        let request = PolicyRequest::parse(lines.iter().map(String::as_str));
        // Without an answer Postfix does what its own configuration says; any that we gave would overrule it.
        let Ok((Some(answer), readable)) = timeout(LONGEST, answer(gate, request, began)).await
        else {
            return;
        };
        let sent = timeout(LONGEST, stream.write_all(answer.as_bytes())).await;
        if !readable || !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
}

/// The lines up to the empty one; `None` where none came.
pub async fn question(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Vec<String>>> {
    let (mut lines, mut size) = (Vec::new(), 0);
    loop {
        let mut line = Vec::new();
        let room = LONGEST_LINE as u64;
        let read = (&mut *stream)
            .take(room)
            .read_until(b'\n', &mut line)
            .await?;
        size += read;
        if line.pop() != Some(b'\n') || size > 4 * LONGEST_LINE {
            let nothing = read == 0 && lines.is_empty();
            return if nothing {
                Ok(None)
            } else {
                Err(io::ErrorKind::InvalidData.into())
            };
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if line.is_empty() {
            return Ok(Some(lines));
        }
        lines.push(super::wire::decoded(&line).into_owned());
    }
}

/// The answer, where there is a verdict, and whether to go on with that client.
async fn answer(
    gate: &Gate,
    request: Result<PolicyRequest, PolicyError>,
    began: Instant,
) -> (Option<String>, bool) {
    let (asked, readable) = match request {
        Ok(request) if gate.is_own_server(request.remote) => {
            return (Some(wire::ALLOW.to_owned()), true);
        }
        Ok(request) => match (
            gate.probed_login(request.login.as_deref()),
            understood(&request),
        ) {
            (Some(Ok(line)), _) => return (Some(wire::refuse(&line)), true),
            (Some(Err(NoVerdict)), _) => return (None, true),
            (None, Some(asked)) => (asked, true),
            (None, None) => return (Some(wire::ALLOW.to_owned()), true),
        },
        Err(error) => {
            tracing::warn!(%error, "Postfix's question can't be read; it is judged as of an unknown device");
            (Asked::unreadable(Channel::Submission), false)
        }
    };
    let (outcome, _) = gate.answer(Route::Postfix, &asked, began).await;
    let answer = match outcome {
        Outcome::NoVerdict(why) => {
            tracing::info!("Postfix is left to its default_action. {why}");
            None
        }
        Outcome::Answer(answer) if answer.decision == Decision::Deny => {
            Some(wire::refuse(&answer.line))
        }
        Outcome::Answer(_) => Some(wire::ALLOW.to_owned()),
    };
    (answer, readable)
}

/// `None` for who neither signed in nor showed a certificate: mail from elsewhere, which is not a
/// person sending.
fn understood(request: &PolicyRequest) -> Option<Asked> {
    let asked = Asked::of(
        request.login.clone(),
        &request.keys(),
        Channel::Submission,
        true,
    );
    let question = &asked.question;
    let is_nobody = question.person.is_none() && question.keys.is_empty() && !asked.garbled;
    (!is_nobody).then_some(asked)
}
