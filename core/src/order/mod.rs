//! Orders: the file an author writes, the revision that is approved, the life that follows.

pub mod file;
pub mod pins;
pub mod state;
pub mod stop;
pub mod texts;
pub mod when;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use file::{OrderFile, Problem};
pub use pins::{Match, Pins};
pub use state::{
    Approval, Audience, Hold, Published, RetractAnswer, Retraction, State, TransitionError,
};
pub use stop::{LetPass, Stop};

use crate::duration::Length;
use crate::fleet::fold;
use crate::id::{OrderId, PersonId};
use crate::notice::channel::Channels;
use file::Weak;
use state::State as S;
use when::When;

/// A rule with a life.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Order {
    pub id: OrderId,
    pub created_at: Timestamp,
    /// Everyone who wrote any revision, folded. Grows only, so that no detour makes an author an
    /// approver of their own words.
    pub authors: BTreeSet<String>,
    pub revision: Revision,
    /// The channels that it names, with their numbers: given by the store as it is published.
    #[serde(default, skip_serializing_if = "Channels::is_empty")]
    pub channels: Channels,
    #[serde(flatten)]
    pub state: State,
}

/// An immutable text with what it resolved to.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Revision {
    pub number: u32,
    pub by: String,
    pub at: Timestamp,
    /// The file as written.
    pub text: String,
    /// The file as read when it was written: a newer program's defaults change nothing.
    pub file: OrderFile,
    pub pins: Pins,
    pub hash: String,
}

impl Revision {
    pub fn new(
        number: u32,
        by: &str,
        at: Timestamp,
        text: &str,
        file: OrderFile,
        pins: Pins,
    ) -> Self {
        let hash = revision_hash(text, &pins);
        Revision {
            number,
            by: by.to_owned(),
            at,
            text: text.to_owned(),
            file,
            pins,
            hash,
        }
    }
}

/// Of the whole text, correction included, and the package ids (invariant 7).
fn revision_hash(text: &str, pins: &Pins) -> String {
    let mut hash = Sha256::new();
    hash.update((text.len() as u64).to_be_bytes());
    hash.update(text);
    for pin in &pins.ids {
        hash.update(format!(
            "\n{}\t{}\t{}\t{:?}",
            pin.app, pin.platform, pin.id, pin.confidence
        ));
    }
    for (name, app) in &pins.names {
        hash.update(format!("\n{app}\t{name}"));
    }
    crate::hex::encode(&hash.finalize())
}

/// What an approval binds to: a revision and the list of people.
pub fn approval_digest(revision_hash: &str, audience: &Audience) -> String {
    let mut hash = Sha256::new();
    hash.update(revision_hash);
    for person in &audience.0 {
        hash.update(person.to_be_bytes());
    }
    crate::hex::encode(&hash.finalize())
}

impl Order {
    pub fn draft(id: OrderId, revision: Revision) -> Order {
        Order {
            id,
            created_at: revision.at,
            authors: BTreeSet::from([fold(&revision.by)]),
            revision,
            channels: Channels::new(),
            state: State::Draft { sent_back: None },
        }
    }

    /// A new text for what is not published yet. It voids any approval (invariant 7).
    pub fn revise(self, revision: Revision) -> Result<Order, TransitionError> {
        match self.state {
            S::Draft { .. } | S::InReview { .. } | S::Approved(_) => {
                let mut authors = self.authors;
                authors.insert(fold(&revision.by));
                Ok(Order {
                    authors,
                    revision,
                    state: S::Draft { sent_back: None },
                    ..self
                })
            }
            _ => Err(TransitionError::WrongState {
                order: self.id.short(),
                state: self.state.name(),
                step: "revised",
                mend: "a published text is fixed: extend its deadline, or retract it and draft a new order",
            }),
        }
    }

    pub fn title(&self) -> &str {
        &self.revision.file.title
    }

    /// The publication, of an order that was published and not retracted.
    pub fn standing(&self) -> Option<&Published> {
        match &self.state {
            S::Published(p) | S::Held { published: p, .. } => Some(p),
            _ => None,
        }
    }

    /// The publication, retracted or not.
    pub fn published(&self) -> Option<&Published> {
        match &self.state {
            S::Published(p) | S::Held { published: p, .. } | S::Retracted { published: p, .. } => {
                Some(p)
            }
            _ => None,
        }
    }

    /// The deadline in force: the file's, or that of the last extension.
    pub fn comply_by(&self) -> &When {
        self.published()
            .map_or(&self.revision.file.deadline.comply_by, |p| &p.comply_by)
    }

    /// The name of the channel that a recipient of its notices is.
    pub fn channel(&self, recipient: PersonId) -> Option<&str> {
        self.channels
            .iter()
            .find(|(_, number)| PersonId::channel(**number) == recipient)
            .map(|(name, _)| name.as_str())
    }

    pub fn is_held(&self) -> bool {
        matches!(self.state, S::Held { .. })
    }

    pub fn retraction(&self) -> Option<&Retraction> {
        match &self.state {
            S::Retracted { retraction, .. } => Some(retraction),
            _ => None,
        }
    }

    pub fn has_expired(&self, at: Timestamp) -> bool {
        self.revision
            .file
            .expires
            .as_ref()
            .is_some_and(|e| e.at() <= at)
    }

    /// Whether the order speaks at `at`: published by then, neither retracted nor expired.
    pub fn in_force(&self, at: Timestamp) -> Option<&Published> {
        self.standing()
            .filter(|p| p.at <= at && !self.has_expired(at))
    }

    /// The word for people and JSON, in which the end by time shows.
    pub fn state_name(&self, at: Timestamp) -> &'static str {
        if self.standing().is_some() && self.has_expired(at) {
            "expired"
        } else {
            self.state.name()
        }
    }

    /// Since when this order refuses a person who was told at `told` (invariant 35): the latest of
    /// the deadline, the notice that everyone is owed, and the same after a resume. `None` for the
    /// untold, whom only `enforce_untold` lets it refuse.
    pub fn enforces_from(&self, listed: bool, told: Option<Timestamp>) -> Option<Timestamp> {
        let published = self.standing()?;
        let deadline = &self.revision.file.deadline;
        let owed = if listed {
            deadline.min_notice
        } else {
            deadline.late_grace
        };
        let after_told = match told {
            Some(told) => owed.after(told),
            None if deadline.enforce_untold => Timestamp::MIN,
            None => return None,
        };
        let after_resume = published
            .resumed_at
            .map_or(Timestamp::MIN, |at| deadline.min_notice.after(at));
        Some(published.comply_by.at().max(after_told).max(after_resume))
    }

    /// The length that evidence of absence lasts.
    pub fn stale_after(&self) -> Length {
        self.revision.file.when_unknown.stale_after
    }

    pub fn acts_on(&self, matched: Match) -> bool {
        !matched.is_weak() || self.revision.file.forbid.weak == Weak::Enforce
    }
}
