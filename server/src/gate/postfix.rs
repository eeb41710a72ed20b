//! Postfix's policy delegation: it asks before it takes a mail to send from a client that has signed in.
//!
//! There is no secret in this protocol. So it is a Unix socket, whose permissions say who may ask, or a
//! port that only this machine reaches.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use countermand_core::verdict::{Channel, Decision, Question};
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite,
    AsyncWriteExt as _, BufReader,
};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::ask::{Asked, Outcome};
use super::wire::postfix::{self as wire, LONGEST_LINE, PolicyError, PolicyRequest};
use super::{Gate, LONGEST, Route};

/// Postfix keeps a connection for its next question this long (`smtpd_policy_service_max_idle` is 300 s).
const IDLE: Duration = Duration::from_secs(330);
/// Sessions at once: each of Postfix's smtpd processes has one.
const SESSIONS: usize = 1000;
/// After accepting failed, for want of file handles say.
const PAUSE: Duration = Duration::from_millis(200);

/// Where Postfix asks.
#[derive(Debug)]
pub enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Listener {
    /// `address` as in `[gate] postfix_listen`: `unix:PATH` (from the data directory on), or `HOST:PORT` on
    /// this machine.
    pub async fn bind(address: &str, data: &Path) -> io::Result<Listener> {
        let Some(path) = address.strip_prefix("unix:") else {
            let listener = TcpListener::bind(address).await?;
            if !listener.local_addr()?.ip().is_loopback() {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "Postfix's protocol has no secret, so this port must be on 127.0.0.1 or [::1]; for a Postfix elsewhere use a tunnel",
                ));
            }
            return Ok(Listener::Tcp(listener));
        };
        let path = data.join(path);
        // What a killed server left behind: nobody listens there.
        if std::os::unix::net::UnixStream::connect(&path).is_err() && is_socket(&path) {
            std::fs::remove_file(&path)?;
        }
        let listener = UnixListener::bind(&path)?;
        let group = std::os::unix::fs::PermissionsExt::from_mode(0o660);
        std::fs::set_permissions(&path, group)?;
        Ok(Listener::Unix(listener))
    }
}

fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket())
}

/// Answers for ever.
pub async fn serve(gate: Arc<Gate>, listener: Listener) {
    let turns = Arc::new(Semaphore::new(SESSIONS));
    let mut sessions = JoinSet::new();
    loop {
        let Ok(turn) = turns.clone().acquire_owned().await else {
            return;
        };
        let gate = gate.clone();
        let accepted = match &listener {
            Listener::Unix(listener) => listener.accept().await.map(|(stream, _)| {
                sessions.spawn(async move {
                    session(&gate, stream).await;
                    drop(turn);
                })
            }),
            Listener::Tcp(listener) => listener.accept().await.map(|(stream, _)| {
                let _ = stream.set_nodelay(true);
                sessions.spawn(async move {
                    session(&gate, stream).await;
                    drop(turn);
                })
            }),
        };
        if let Err(error) = accepted {
            tracing::warn!(%error, "Postfix could not be answered");
            tokio::time::sleep(PAUSE).await;
        }
        while sessions.try_join_next().is_some() {}
    }
}

/// Question after question, until Postfix hangs up.
async fn session(gate: &Gate, stream: impl AsyncRead + AsyncWrite + Unpin) {
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
        let (answer, readable) = match timeout(LONGEST, answer(gate, request, began)).await {
            Ok(answer) => answer,
            Err(_) => (wire::NO_VERDICT.to_owned(), true),
        };
        let sent = timeout(LONGEST, stream.write_all(answer.as_bytes())).await;
        if !readable || !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
}

/// The lines up to the empty one; `None` where none came.
async fn question(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Vec<String>>> {
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

/// The answer, and whether to go on with that client.
async fn answer(
    gate: &Gate,
    request: Result<PolicyRequest, PolicyError>,
    began: Instant,
) -> (String, bool) {
    let (asked, readable) = match request {
        Ok(request) => match understood(&request) {
            Some(asked) => (asked, true),
            None => return (wire::ALLOW.to_owned(), true),
        },
        Err(error) => {
            tracing::warn!(%error, "Postfix's question can't be read; it is judged as of an unknown device");
            (unreadable(), false)
        }
    };
    let (outcome, _) = gate.answer(Route::Postfix, &asked, began).await;
    let answer = match outcome {
        Outcome::TooOld => wire::NO_VERDICT.to_owned(),
        Outcome::Answer(answer) if answer.decision == Decision::Deny => wire::refuse(&answer.line),
        Outcome::Answer(_) => wire::ALLOW.to_owned(),
    };
    (answer, readable)
}

/// `None` for who neither signed in nor showed a certificate: mail from elsewhere, which is not a
/// person sending.
fn understood(request: &PolicyRequest) -> Option<Asked> {
    let keys: Result<Vec<_>, _> = request.keys().iter().map(|key| key.parse()).collect();
    let garbled = keys.is_err();
    let keys = keys.unwrap_or_default();
    if request.login.is_none() && keys.is_empty() && !garbled {
        return None;
    }
    Some(Asked {
        question: Question {
            person: request.login.clone(),
            keys,
            channel: Channel::Submission,
        },
        vouched: true,
        garbled,
    })
}

fn unreadable() -> Asked {
    Asked {
        question: Question {
            person: None,
            keys: Vec::new(),
            channel: Channel::Submission,
        },
        vouched: false,
        garbled: true,
    }
}
