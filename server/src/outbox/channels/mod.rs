//! Channels: orders and corrections announced where people talk, by one signed request each.
//!
//! A channel is a recipient with receipts like any other, claimed and settled by a sender of its own:
//! so a chat that is slow never holds up mail, nor a relay that is away a chat.

mod config;
mod http;
mod shapes;
mod sign;
mod text;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use countermand_core::notice::{Key, Kind, ReceiptState};
use futures_util::future::join_all;
use jiff::Timestamp;
use rustls::ClientConfig;

pub use config::{ChannelConfig, Shape, check};

use self::config::Target;
use self::http::{Answer, Failure, Patience};
use self::shapes::{Answered, Post};
use super::compose::Desk;
use super::lease::Held;
use super::office::Brief;
use super::pace;
use crate::store::{Claim, Outcome, Settled, StoreError};
use crate::trust;

/// How many requests may be under way at once.
pub const SESSIONS: usize = 16;

const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(10),
    answer: Duration::from_secs(30),
};

/// The channels of this server.
#[derive(Debug)]
pub struct Channels {
    all: Vec<Receiver>,
    patience: Patience,
}

/// A channel with what it takes to reach it.
struct Receiver {
    config: ChannelConfig,
    target: Target,
    tls: Option<Arc<ClientConfig>>,
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.config.fmt(f)
    }
}

impl Channels {
    pub fn new(configs: &[ChannelConfig]) -> Result<Channels, String> {
        check(configs)?;
        let channel = |config: &ChannelConfig| {
            let in_place = |what| format!("[[notices.channel]] «{}»: {what}", config.name);
            let target = config.target().map_err(in_place)?;
            let tls = match target.encrypted {
                true => Some(Arc::new(
                    trust::client(config.ca_file.as_deref())
                        .map_err(|what| in_place(format!("ca_file: {what}")))?,
                )),
                false => None,
            };
            Ok(Receiver {
                config: config.clone(),
                target,
                tls,
            })
        };
        Ok(Channels {
            all: configs.iter().map(channel).collect::<Result<_, String>>()?,
            patience: PATIENCE,
        })
    }

    /// Whether each can be reached: a connection, encrypted where it is to be, and not a word.
    pub async fn reach(&self) -> Vec<(String, Result<(), String>)> {
        let reach = async |receiver: &Receiver| {
            let (host, port) = (&receiver.target.host, receiver.target.port);
            let connect = trust::connect(host, port, receiver.tls.clone());
            let patience = self.patience.connect;
            let reached = match tokio::time::timeout(patience, connect).await {
                Ok(reached) => reached.map(drop),
                Err(_) => Err(format!("no connection within {patience:?}")),
            };
            (receiver.config.name.clone(), reached)
        };
        join_all(self.all.iter().map(reach)).await
    }

    /// Waits no longer than this for an answer.
    pub fn with_patience(mut self, answer: Duration) -> Channels {
        self.patience.answer = answer;
        self
    }
}

/// Posts what is in flight on disk, and says what became of each.
pub(super) async fn deliver(
    desk: &Desk,
    channels: &Channels,
    claims: Vec<Claim>,
    held: &Held,
) -> Vec<Settled> {
    join_all(
        claims
            .into_iter()
            .map(|claim| deliver_one(desk, channels, claim, held)),
    )
    .await
}

async fn deliver_one(desk: &Desk, channels: &Channels, claim: Claim, held: &Held) -> Settled {
    let (outcome, detail) = match write(desk, channels, &claim).await {
        Err(NoPost::Never(why)) => (Outcome::Rejected, format!("not sent: {why}")),
        Err(NoPost::TooLate(why)) => (Outcome::TooLate, format!("not sent: {why}")),
        Err(NoPost::NotNow(why)) => deferred(desk, &claim, None, why),
        Ok((channel, post)) => send(desk, channels, channel, &post, &claim, held).await,
    };
    if outcome != Outcome::Accepted {
        tracing::warn!(order = %claim.key.order, kind = %claim.key.kind, "a channel did not accept: {detail}");
    }
    Settled {
        claim,
        outcome,
        detail,
    }
}

enum NoPost {
    Never(String),
    TooLate(&'static str),
    NotNow(String),
}

async fn write<'a>(
    desk: &Desk,
    channels: &'a Channels,
    claim: &Claim,
) -> Result<(&'a Receiver, Post), NoPost> {
    let key = claim.key;
    desk.heard_of(&key).map_err(NoPost::NotNow)?;
    if let Some(why) = desk.office.too_late(&key) {
        return Err(NoPost::TooLate(why));
    }
    let brief = Brief {
        key,
        was_refused: false,
        missing: None,
    };
    let words = desk.office.announce(&brief).map_err(NoPost::Never)?;
    let channel = channels.all.iter().find(|c| c.config.name == words.channel);
    // Not claimed where it is known that the channel lacks; so only in the moment of its first publication.
    let channel = channel.ok_or_else(|| {
        NoPost::NotNow(format!(
            "this server's config has no [[notices.channel]] «{}» any more; put it back, or let a server that has it send",
            words.channel
        ))
    })?;
    let answers = match key.kind {
        Kind::Correction => answered(desk, &key)
            .await
            .map_err(|error| NoPost::NotNow(error.to_string()))?,
        _ => None,
    };
    let post = Post {
        id: desk.id_of(&key),
        order: key.order.to_string(),
        kind: key.kind,
        words,
        answers,
    };
    Ok((channel, post))
}

/// The announcement that a correction answers, if one was made or may have been.
async fn answered(desk: &Desk, key: &Key) -> Result<Option<Answered>, StoreError> {
    let receipts = desk.store.channel_receipts(key.order).await?;
    let told = receipts
        .into_iter()
        .find(|r| r.channel == key.person && r.kind != Kind::Correction);
    Ok(told
        .filter(|r| matches!(r.state, ReceiptState::Accepted | ReceiptState::Unknown))
        .map(|receipt| Answered {
            id: desk.id_of(&Key {
                kind: receipt.kind,
                ..*key
            }),
            theirs: read_id(&receipt.detail).map(str::to_owned),
        }))
}

async fn send(
    desk: &Desk,
    channels: &Channels,
    receiver: &Receiver,
    post: &Post,
    claim: &Claim,
    held: &Held,
) -> (Outcome, String) {
    let Receiver {
        config,
        target,
        tls,
    } = receiver;
    let mut call = shapes::request(config, target, post);
    let now = desk.clock.now();
    let timestamp = now.as_second().to_string();
    call.headers.push(("x-countermand-timestamp", timestamp));
    if let Some(secret) = &config.secret {
        let signature = sign::signature(secret.reveal(), now, &call.body);
        call.headers.push(("x-countermand-signature", signature));
    }
    match http::send(target, tls, call, channels.patience, held).await {
        Ok(answer) => judge(desk, config, &answer, claim),
        Err(Failure::NotSent(why)) => deferred(desk, claim, None, why),
        Err(Failure::Lost(why)) => unknown(desk, claim, why),
    }
}

/// What a status means. A server that says 5xx says that it did not do it, unless it is one that asked
/// another and knows no answer.
fn judge(desk: &Desk, config: &ChannelConfig, answer: &Answer, claim: &Claim) -> (Outcome, String) {
    let said = said(config, answer);
    match answer.status {
        200..=299 => {
            let id = shapes::message_id(config.shape, answer);
            (Outcome::Accepted, detail(answer.status, id.as_deref()))
        }
        300..=399 => (
            Outcome::Rejected,
            format!(
                "{said}: it is elsewhere, and redirects are not followed; put the place where it is into url"
            ),
        ),
        408 | 425 | 429 => deferred(desk, claim, Some(answer), said),
        400..=499 => (Outcome::Rejected, said),
        502 | 504 => unknown(desk, claim, said),
        500..=599 => deferred(desk, claim, Some(answer), said),
        _ => unknown(
            desk,
            claim,
            format!("{said}: no status that means anything"),
        ),
    }
}

/// Certainly not delivered: to be tried again, and not sooner than the other side asks.
fn deferred(
    desk: &Desk,
    claim: &Claim,
    answer: Option<&Answer>,
    detail: String,
) -> (Outcome, String) {
    let now = desk.clock.now();
    let asked = answer
        .and_then(shapes::wait)
        .and_then(|wait| now.checked_add(wait).ok())
        .unwrap_or(Timestamp::MIN);
    let not_before = pace::not_before(&claim.key, claim.attempt, now).max(asked);
    (Outcome::Deferred { not_before }, detail)
}

fn unknown(desk: &Desk, claim: &Claim, detail: String) -> (Outcome, String) {
    let not_before = pace::not_before(&claim.key, claim.attempt, desk.clock.now());
    (Outcome::Unknown { not_before }, detail)
}

/// A status and the first words of the answer, on one line. Many a page of error repeats what it was
/// asked; what is a secret of the config's is blanked.
fn said(config: &ChannelConfig, answer: &Answer) -> String {
    const MOST: usize = 200;
    let words = String::from_utf8_lossy(&answer.body);
    let words: Vec<&str> = words.split_whitespace().collect();
    let words = config.blank(&words.join(" "));
    let words: String = words.chars().take(MOST).collect();
    format!("{} {words}", answer.status).trim_end().to_owned()
}

const ID: &str = " message ";

/// What a receipt keeps of an acceptance, and [`read_id`] finds again.
fn detail(status: u16, id: Option<&str>) -> String {
    match id {
        Some(id) => format!("{status}{ID}{id}"),
        None => status.to_string(),
    }
}

fn read_id(detail: &str) -> Option<&str> {
    Some(detail.split_once(ID)?.1)
}

/// What is read in a channel's answer: its name for the message, and how long it asks to be left alone.
pub fn read_answer(
    shape: Shape,
    retry_after: Option<String>,
    body: Vec<u8>,
) -> (Option<String>, Option<jiff::SignedDuration>) {
    let answer = Answer {
        status: 200,
        retry_after,
        body,
    };
    (shapes::message_id(shape, &answer), shapes::wait(&answer))
}
