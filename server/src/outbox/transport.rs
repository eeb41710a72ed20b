//! The one door through which messages leave, whatever stands behind it.

use super::lease::{Held, Lease};
use std::path::PathBuf;

use std::sync::Arc;

use countermand_core::notice::channel::Lane;

use super::channels::Channels;
use super::maildir;
use super::smtp::{SmtpConfig, SmtpSession};
use crate::store::Claim;

/// How many messages one call of [`Session::deliver`] is meant to take. It
/// bounds what a crash can leave in doubt, so the worker claims by it too.
pub const PIPELINE_DEPTH: usize = 4;

/// One message ready for the wire. There is one way to it from outside the outbox: a claim, which
/// the store gives for an order in force and for nothing else (invariant 11). So neither a draft nor
/// a test can become one:
///
/// ```compile_fail,E0451
/// use countermand::outbox::transport::Outgoing;
/// let (from, to, bytes) = (String::new(), String::new(), Vec::new());
/// let notice = Outgoing { from, to, bytes };
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Envelope sender: a bare address, or empty for the null sender.
    pub(super) from: String,
    /// Envelope recipient: a bare address.
    pub(super) to: String,
    /// The whole RFC 5322 message, lines ended by CRLF, not dot-stuffed.
    pub(super) bytes: Vec<u8>,
}

impl Outgoing {
    /// The claim is the right to send; which bytes it becomes, the desk says.
    pub fn of(_: &Claim, from: String, to: String, bytes: Vec<u8>) -> Outgoing {
        Outgoing { from, to, bytes }
    }

    pub fn to(&self) -> &str {
        &self.to
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// What became of one message. Exactly one for each message offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The relay took responsibility; `detail` is its answer, with its queue id.
    Accepted { detail: String },
    /// A permanent refusal: settled.
    Rejected { code: u16, detail: String },
    /// Certainly not delivered, may be tried again. `code` where the relay gave one.
    Deferred { code: Option<u16>, detail: String },
    /// The final dot, or part of it, may have left and no answer came back: the
    /// message may or may not have been taken.
    Unknown { detail: String },
}

/// Where messages go.
#[derive(Debug, Clone)]
pub enum Transport {
    Smtp(SmtpConfig),
    /// A maildir. `durable` syncs each file before it becomes visible; without
    /// it a power cut may lose mails that were reported as accepted.
    Mailbox {
        dir: PathBuf,
        durable: bool,
    },
    /// Announcements, one request each, with no mail in them.
    Channels(Arc<Channels>),
}

impl Transport {
    /// Whose notices it carries.
    pub fn lane(&self) -> Lane {
        match self {
            Transport::Smtp(_) | Transport::Mailbox { .. } => Lane::People,
            Transport::Channels(_) => Lane::Channels,
        }
    }
}

/// Why a session could not be opened. Nothing was offered to anybody.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "cannot connect to the relay {relay}: {source}. Expected an SMTP server there; check `host` and `port` in [notices.smtp]"
    )]
    Connect {
        relay: String,
        source: std::io::Error,
    },
    #[error(
        "the relay {relay} gave no answer to {step} within {seconds} s. Expected one; check that `port` speaks SMTP and that `tls` fits the port (\"tls\" from the first byte, usually 465; else \"starttls\" or \"none\")"
    )]
    TimedOut {
        relay: String,
        step: &'static str,
        seconds: u64,
    },
    #[error("the connection to the relay {relay} was lost at {step}: {detail}")]
    Lost {
        relay: String,
        step: &'static str,
        detail: String,
    },
    #[error("the relay {relay} refused {step}: {answer}")]
    Refused {
        relay: String,
        step: &'static str,
        code: u16,
        answer: String,
    },
    #[error(
        "the relay {relay} does not offer STARTTLS, and is not on this machine. Expected encryption; use a relay that offers it, or set `tls = \"none\"` in [notices.smtp] if the way there is protected otherwise"
    )]
    NoStartTls { relay: String },
    #[error(
        "no encryption with the relay {relay}: {source}. Expected a certificate for that name from a known authority; correct `host`, or name the authority's PEM file as `ca_file` in [notices.smtp]"
    )]
    Tls {
        relay: String,
        source: std::io::Error,
    },
    #[error("`{key}` in [notices.smtp]: {problem}")]
    Config { key: &'static str, problem: String },
    #[error("cannot use the mailbox {}: {source}. Expected a directory that this program may write", dir.display())]
    Mailbox {
        dir: PathBuf,
        source: std::io::Error,
    },
}

impl OpenError {
    /// The same of the way of tests, whose keys stand in a section of its own.
    pub fn of_tests(&self) -> String {
        self.to_string()
            .replace("[notices.smtp]", "[notices.test.smtp]")
    }
}

/// An open way out. One session is used by one worker task at a time.
#[derive(Debug)]
pub struct Session(Kind);

#[derive(Debug)]
enum Kind {
    Smtp(Box<SmtpSession>),
    Mailbox { dir: PathBuf, durable: bool },
    Channels(Arc<Channels>),
}

impl Session {
    pub async fn open(transport: &Transport) -> Result<Session, OpenError> {
        match transport {
            Transport::Smtp(config) => {
                let session = SmtpSession::open(config).await?;
                Ok(Session(Kind::Smtp(Box::new(session))))
            }
            Transport::Mailbox { dir, durable } => {
                let (dir, durable) = (dir.clone(), *durable);
                let made = dir.clone();
                blocking(move || maildir::create(&made))
                    .await
                    .map_err(|source| OpenError::Mailbox {
                        dir: dir.clone(),
                        source,
                    })?;
                Ok(Session(Kind::Mailbox { dir, durable }))
            }
            // Each request has a connection of its own.
            Transport::Channels(channels) => Ok(Session(Kind::Channels(Arc::clone(channels)))),
        }
    }

    /// Where announcements go, if that is what it is for.
    pub(super) fn channels(&self) -> Option<Arc<Channels>> {
        match &self.0 {
            Kind::Channels(channels) => Some(Arc::clone(channels)),
            Kind::Smtp(_) | Kind::Mailbox { .. } => None,
        }
    }

    /// Offers each message once, in order, and says what became of each: as many
    /// outcomes as messages, in the same order. If the connection breaks, what
    /// was not begun is `Deferred`, and the next call opens a new connection. A
    /// call that is dropped half-way closes the connection.
    pub async fn deliver(&mut self, batch: &[Outgoing]) -> Vec<Outcome> {
        self.deliver_while(batch, &Lease::default().hold()).await
    }

    /// The same, and begins no message once `held` no longer stands.
    pub async fn deliver_while(&mut self, batch: &[Outgoing], held: &Held) -> Vec<Outcome> {
        match &mut self.0 {
            Kind::Smtp(session) => session.deliver(batch, held).await,
            Kind::Mailbox { dir, durable } => {
                let (dir, durable, batch) = (dir.clone(), *durable, batch.to_vec());
                let offered = batch.len();
                blocking(move || Ok(maildir::deliver(&dir, durable, &batch)))
                    .await
                    .unwrap_or_else(|error| {
                        let detail = format!("the mailbox could not be written: {error}");
                        vec![Outcome::Unknown { detail }; offered]
                    })
            }
            Kind::Channels(_) => {
                let detail = "a channel takes announcements, and no mails".to_owned();
                vec![Outcome::Deferred { code: None, detail }; batch.len()]
            }
        }
    }

    /// Takes leave politely. Dropping a session is as safe, only less polite.
    pub async fn close(self) {
        if let Kind::Smtp(session) = self.0 {
            session.close().await;
        }
    }
}

/// File work beside the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(std::io::Error::other(error)))
}
