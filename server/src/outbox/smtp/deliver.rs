//! A batch over one connection, and the true outcome of each message.
//!
//! With PIPELINING a group is `[body i . MAIL i+1 RCPT i+1 DATA i+1]`: DATA is
//! last, as RFC 2920 asks, since the body must wait for the answer to it. Each
//! message then costs one round trip, and at most one is ever in doubt.

use std::time::Duration;

use super::config::SmtpConfig;
use super::connect::{Link, connect};
use super::envelope::{self, Envelope};
use super::reply::Reply;
use super::wire::{COMMAND_TIMEOUT, Lost};
use crate::failpoint::{self, Moment};
use crate::outbox::lease::Held;
use crate::outbox::transport::{OpenError, Outcome, Outgoing};

/// Not worth waiting longer for a farewell.
const QUIT_TIMEOUT: Duration = Duration::from_secs(2);

/// A connection to the relay that is opened anew when it has ended.
#[derive(Debug)]
pub struct SmtpSession {
    config: SmtpConfig,
    link: Option<Link>,
}

impl SmtpSession {
    pub(in crate::outbox) async fn open(config: &SmtpConfig) -> Result<Self, OpenError> {
        let link = connect(config).await?;
        Ok(SmtpSession {
            config: config.clone(),
            link: Some(link),
        })
    }

    pub(in crate::outbox) async fn deliver(
        &mut self,
        batch: &[Outgoing],
        held: &Held,
    ) -> Vec<Outcome> {
        // Taken out for the time of the call: if the call is dropped half-way, the
        // connection ends with it, and nobody reads the answers of another batch.
        let mut kept = self.link.take();
        loop {
            let reused = kept.is_some();
            let mut link = match kept.take() {
                Some(link) => link,
                None => match connect(&self.config).await {
                    Ok(link) => link,
                    Err(error) => return vec![not_opened(&error); batch.len()],
                },
            };
            let mut run = Run::new(&mut link, batch, held, self.config.final_dot_timeout());
            match run.all().await {
                Ok(()) => {
                    let outcomes = run.outcomes("not begun", None);
                    self.link = Some(link);
                    return outcomes;
                }
                // Relays end idle connections. One that was kept and answers
                // nothing, or only that it closes, has taken nothing of this batch.
                Err(_) if reused && !run.heard && held.stands() => {}
                Err(broken) => return run.outcomes(&broken.why, broken.code),
            }
        }
    }

    pub(in crate::outbox) async fn close(mut self) {
        if let Some(mut link) = self.link.take()
            && link.wire.send(b"QUIT\r\n").await.is_ok()
        {
            // Whatever it answers, we are gone.
            let _ = link.wire.reply(QUIT_TIMEOUT).await;
        }
    }
}

fn not_opened(error: &OpenError) -> Outcome {
    let code = match error {
        OpenError::Refused { code, .. } => Some(*code),
        _ => None,
    };
    Outcome::Deferred {
        code,
        detail: error.to_string(),
    }
}

/// The connection is of no more use.
struct Broken {
    why: String,
    code: Option<u16>,
}

impl From<Lost> for Broken {
    fn from(why: Lost) -> Self {
        Broken {
            why: why.to_string(),
            code: None,
        }
    }
}

impl Broken {
    fn closing(reply: &Reply) -> Self {
        Broken {
            why: reply.to_string(),
            code: Some(reply.code),
        }
    }

    fn no_longer_ours() -> Self {
        Broken {
            why: "this sender slept longer than its lease".to_owned(),
            code: None,
        }
    }

    fn senseless(step: &str, reply: &Reply) -> Self {
        Broken {
            why: format!("an answer to {step} that makes no sense: {reply}"),
            code: None,
        }
    }
}

/// One batch on one connection.
struct Run<'a> {
    link: &'a mut Link,
    batch: &'a [Outgoing],
    held: &'a Held,
    final_dot_timeout: Duration,
    known: Vec<Option<Outcome>>,
    /// The relay said something of use in this run.
    heard: bool,
}

impl<'a> Run<'a> {
    fn new(
        link: &'a mut Link,
        batch: &'a [Outgoing],
        held: &'a Held,
        final_dot_timeout: Duration,
    ) -> Self {
        Run {
            link,
            batch,
            held,
            final_dot_timeout,
            known: vec![None; batch.len()],
            heard: false,
        }
    }

    /// Every message has an outcome: those not settled were certainly not sent.
    fn outcomes(self, why: &str, code: Option<u16>) -> Vec<Outcome> {
        let not_sent = || Outcome::Deferred {
            code,
            detail: why.to_owned(),
        };
        self.known
            .into_iter()
            .map(|outcome| outcome.unwrap_or_else(not_sent))
            .collect()
    }

    async fn all(&mut self) -> Result<(), Broken> {
        let mut rest = 0..self.batch.len();
        // The message that the relay waits for, after its 354.
        let mut awaited: Option<usize> = None;
        loop {
            let next = self.next_envelope(&mut rest);
            let mut group = Vec::new();
            let mut dot = 0;
            if let Some(at) = awaited {
                // The last moment at which nothing of it has left.
                if !self.held.stands() {
                    return Err(Broken::no_longer_ours());
                }
                envelope::stuff(&self.batch[at].bytes, &mut group);
                dot = group.len();
                group.extend_from_slice(b".\r\n");
            }
            if let Some((_, envelope)) = &next
                && self.link.offers.pipelining
            {
                envelope
                    .steps
                    .iter()
                    .for_each(|step| group.extend_from_slice(step.line.as_bytes()));
            }
            match awaited.take() {
                Some(at) => self.body(at, &group, dot).await?,
                None if group.is_empty() => {}
                None => self.link.wire.send(&group).await?,
            }
            match next {
                Some((at, envelope)) => awaited = self.envelope(at, &envelope).await?.then_some(at),
                None => return Ok(()),
            }
        }
    }

    /// The next message that may be offered at all; the others are settled here.
    fn next_envelope(&mut self, rest: &mut std::ops::Range<usize>) -> Option<(usize, Envelope)> {
        for at in rest {
            match Envelope::of(&self.batch[at], self.link.offers, self.link.reset_first) {
                Ok(envelope) => return Some((at, envelope)),
                Err(refused) => self.known[at] = Some(refused),
            }
        }
        None
    }

    /// Sends a body with its dot and what follows, and settles the message.
    async fn body(&mut self, at: usize, group: &[u8], dot: usize) -> Result<(), Broken> {
        failpoint::pass(Moment::DataAnswered);
        if failpoint::is_now(Moment::HalfBody) {
            let _ = self.link.wire.send(&group[..dot / 2]).await;
            failpoint::die();
        }
        if let Err(cut) = self.link.wire.send_body(group, dot).await {
            let detail = cut.why.to_string();
            self.known[at] = Some(if cut.dot_may_have_left {
                Outcome::Unknown { detail }
            } else {
                Outcome::Deferred { code: None, detail }
            });
            return Err(cut.why.into());
        }
        failpoint::pass(Moment::DotSent);
        let reply = match self.link.wire.reply(self.final_dot_timeout).await {
            Ok(reply) => reply,
            Err(why) => {
                self.known[at] = Some(Outcome::Unknown {
                    detail: format!("after the final dot: {why}"),
                });
                return Err(why.into());
            }
        };
        failpoint::pass(Moment::DotAnswered);
        self.known[at] = Some(match reply.code / 100 {
            2 => Outcome::Accepted {
                detail: reply.to_string(),
            },
            4 | 5 => refusal(&reply),
            _ => {
                let broken = Broken::senseless("the final dot", &reply);
                self.known[at] = Some(Outcome::Unknown {
                    detail: broken.why.clone(),
                });
                return Err(broken);
            }
        });
        if reply.is_closing() {
            Err(Broken::closing(&reply))
        } else {
            Ok(())
        }
    }

    /// Hears the answers to an envelope, and sends its commands one by one where
    /// they were not pipelined. True when the relay now waits for the body.
    async fn envelope(&mut self, at: usize, envelope: &Envelope) -> Result<bool, Broken> {
        let mut refused = None;
        let mut has_recipient = false;
        let mut awaits_body = false;
        for step in &envelope.steps {
            if !self.link.offers.pipelining {
                if refused.is_some() {
                    break;
                }
                self.link.wire.send(step.line.as_bytes()).await?;
            }
            let reply = self.link.wire.reply(COMMAND_TIMEOUT).await?;
            if reply.is_closing() {
                self.known[at] = Some(refused.unwrap_or_else(|| refusal(&reply)));
                return Err(Broken::closing(&reply));
            }
            self.heard = true;
            match (step.name, reply.code / 100) {
                ("DATA", 3) => awaits_body = true,
                ("RCPT", 2) => has_recipient = true,
                ("RSET" | "MAIL", 2) => {}
                // Our own sender is refused: that is between the relay and us, and no word about
                // the person. It is put right there, and then tried again.
                ("MAIL", 5) => {
                    refused.get_or_insert_with(|| Outcome::Deferred {
                        code: Some(reply.code),
                        detail: reply.to_string(),
                    });
                }
                ("MAIL" | "RCPT" | "DATA", 4 | 5) => {
                    // The first refusal is the cause, those after it follow from it.
                    refused.get_or_insert_with(|| refusal(&reply));
                }
                _ => {
                    self.known[at] = refused;
                    return Err(Broken::senseless(step.name, &reply));
                }
            }
        }
        self.link.reset_first = refused.is_some();
        let Some(refused) = refused else {
            return Ok(true);
        };
        self.known[at] = Some(refused);
        if awaits_body {
            self.abandon_data(has_recipient).await?;
        }
        Ok(false)
    }

    /// The relay refused the envelope and yet waits for a body. RFC 2920 leaves
    /// only an empty one to give, which no recipient can get.
    async fn abandon_data(&mut self, has_recipient: bool) -> Result<(), Broken> {
        if has_recipient {
            return Err(Broken {
                why: "the relay refused the sender and went on without".into(),
                code: None,
            });
        }
        self.link.wire.send(b".\r\n").await?;
        let reply = self.link.wire.reply(self.final_dot_timeout).await?;
        if reply.is_closing() {
            Err(Broken::closing(&reply))
        } else {
            Ok(())
        }
    }
}

/// What a 4xx or 5xx answer means for its message.
fn refusal(reply: &Reply) -> Outcome {
    let (code, detail) = (reply.code, reply.to_string());
    if code / 100 == 5 {
        Outcome::Rejected { code, detail }
    } else {
        Outcome::Deferred {
            code: Some(code),
            detail,
        }
    }
}
