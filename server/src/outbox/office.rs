//! What the outbox must ask, because orders and people are not its business.

use std::pin::Pin;

use countermand_core::id::{OrderId, PersonId};
use countermand_core::notice::Key;
use countermand_core::notice::plan::Due;
use countermand_core::verdict::Fallback;
use jiff::Timestamp;
use roaring::RoaringBitmap;

use crate::store::StoreError;

/// An answer that has to ask the database itself.
pub type Asked<'a> = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>>;

/// What the outbox needs to know of orders and people. The app answers from the live index, which may
/// be a moment behind the database: what may be begun, the store decides in its own transaction.
pub trait Office: Send + Sync {
    /// A number that changes whenever an answer may have changed.
    fn version(&self) -> i64;

    /// Orders that may have notices due: published, neither held nor stopped, not expired.
    fn standing(&self, now: Timestamp) -> Vec<OrderId>;

    /// Notices of a standing order that are due now (see `countermand_core::notice::plan::due`).
    /// `refused` are those whom a door refused because of it. Who has a receipt may be among them.
    fn due(&self, order: OrderId, refused: &RoaringBitmap, now: Timestamp) -> Vec<Due>;

    /// The channels at which a standing order is due to be announced now.
    fn announcements(&self, order: OrderId, now: Timestamp) -> Option<Due> {
        let _ = (order, now);
        None
    }

    /// Channels at which orders were announced and this server can't. Another on the same database may:
    /// what this one can't, it leaves to that one.
    fn lacks(&self) -> Vec<PersonId> {
        Vec::new()
    }

    /// Why a notice that waited for a retry has outlived what it is about, if it has.
    fn too_late(&self, key: &Key) -> Option<&'static str> {
        let _ = key;
        None
    }

    /// All retracted orders. To whom their corrections go, the store knows.
    fn retracted(&self) -> Vec<OrderId>;

    /// Stops the order's notices by itself, if too many of them came back (invariant 14). A sender asks
    /// after each rejection that it has written down, before it begins anything more. An office
    /// without such a rule stops nothing.
    fn stop_if_needed(&self, _order: OrderId) -> Asked<'_> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Whether it has heard of all that the notice is about. A process that was frozen may hold a claim
    /// that its view knows nothing of yet.
    fn knows(&self, key: &Key) -> bool {
        let _ = key;
        true
    }

    /// The words of a notice. `Err` says why there can be none: the receipt is then rejected, and the
    /// person listed to be told by another way.
    fn write(&self, brief: &Brief) -> Result<Letter, String>;

    /// The same for a channel.
    fn announce(&self, brief: &Brief) -> Result<Announcement, String> {
        let _ = brief;
        Err("nothing is announced here".to_owned())
    }

    /// By which the bounce of this attempt will be known again; `None` where no bounces are read.
    fn mark(&self, _: &Key, _attempt: u32) -> Option<Mark> {
        None
    }

    /// The mail domain of a person, for its limits.
    fn domain(&self, _: PersonId) -> Option<String> {
        None
    }
}

/// What a notice carries so that its bounce is known again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mark {
    /// See [`countermand_core::notice::mark`].
    pub text: String,
    pub envelope_from: String,
}

/// What a letter is to be written about.
#[derive(Clone, Copy, Debug)]
pub struct Brief {
    pub key: Key,
    /// Whether a door refused the person because of the order.
    pub was_refused: bool,
    /// For a notice of that: what was missing, where that and no app decided.
    pub missing: Option<Fallback>,
}

/// A notice to everyone who reads in a channel.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Announcement {
    /// The channel's name.
    pub channel: String,
    /// The order's title.
    pub title: String,
    pub subject: String,
    /// Markdown.
    pub text: String,
    pub html: String,
    /// The order's statement.
    pub link: String,
}

/// A notice in words, before it is a mail.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Letter {
    /// Empty when the person has no name.
    pub to_name: String,
    pub to_address: String,
    pub subject: String,
    pub text: String,
    pub html: String,
    /// The locale that the words are written for.
    pub language: String,
}
