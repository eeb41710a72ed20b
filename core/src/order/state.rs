//! The life of an order. Each state carries its data; a transition consumes the order and gives
//! back the next, or says why not. *Enforcing* is no state: it follows from time and facts.

use std::collections::BTreeSet;

use jiff::Timestamp;
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

use super::Order;
use super::stop::{LetPass, Stop};
use super::when::When;
use crate::duration::Length;
use crate::fleet::fold;

/// An approval that nobody used for this long must be given again (invariant 13).
pub const APPROVAL_HOLDS_FOR: Length = Length::days(7);

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum State {
    Draft {
        sent_back: Option<Remark>,
    },
    InReview {
        by: String,
        at: Timestamp,
    },
    Approved(Approval),
    Published(Published),
    Held {
        published: Published,
        hold: Hold,
    },
    Retracted {
        published: Published,
        hold: Option<Hold>,
        retraction: Retraction,
    },
}

/// Why an approver sent an order back.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Remark {
    pub by: String,
    pub at: Timestamp,
    pub text: String,
}

/// What an approver signed: one text, its package ids, one list of people.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Approval {
    pub by: String,
    pub at: Timestamp,
    /// Of revision and audience together.
    pub digest: String,
    pub audience: Audience,
}

/// People as one compressed set.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Audience(pub RoaringBitmap);

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Published {
    pub approval: Approval,
    pub by: String,
    pub at: Timestamp,
    /// The deadline in force: that of the file, or a later one.
    pub comply_by: When,
    /// No refusal before `min_notice` after the last resume.
    pub resumed_at: Option<Timestamp>,
    /// Its notices stopped by themselves, and wait for a responder.
    #[serde(default)]
    pub stopped: Option<Stop>,
    #[serde(default)]
    pub let_pass: Option<LetPass>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Hold {
    pub by: String,
    pub at: Timestamp,
    pub reason: String,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Retraction {
    pub by: String,
    pub at: Timestamp,
    pub reason: String,
    /// How it came to the mistake, where that is known yet: `reason` says what was wrong.
    #[serde(default)]
    pub cause: Option<String>,
    pub answer: RetractAnswer,
}

/// What a retraction did; retracting again answers the same.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RetractAnswer {
    /// Notices that were planned or claimed and will never be sent.
    pub cancelled: u64,
    /// Of those, the ones that nobody had claimed, so that no receipt tells of them.
    pub unclaimed: u64,
    pub in_flight: u64,
    pub accepted: u64,
    pub unknown: u64,
    pub corrections_planned: u64,
    /// Devices that were refused because of this order and no longer are.
    pub devices_restored: u64,
    /// Exports taken by systems that hold state of their own, yet to be undone there.
    pub exports_outstanding: Vec<String>,
    /// Channels that are to be corrected too. They are in none of the numbers above.
    #[serde(default)]
    pub channels: Vec<String>,
}

/// A step that the order's state does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransitionError {
    #[error("order {order} is {state}, so it can't be {step}; {mend}")]
    WrongState {
        order: String,
        state: &'static str,
        step: &'static str,
        mend: &'static str,
    },
    #[error(
        "{by} wrote this revision, and an order is approved by another person than its authors"
    )]
    OwnApproval { by: String },
    #[error("the approval of {at} has expired; submit the order again and have it approved")]
    ApprovalExpired { at: Timestamp },
    #[error("the order's deadline can only be moved later; {to} is not after {now}")]
    NotLater { to: String, now: String },
}

impl State {
    pub fn name(&self) -> &'static str {
        match self {
            State::Draft { .. } => "draft",
            State::InReview { .. } => "in_review",
            State::Approved(_) => "approved",
            State::Published(_) => "published",
            State::Held { .. } => "held",
            State::Retracted { .. } => "retracted",
        }
    }
}

impl Order {
    pub(super) fn wrong(&self, step: &'static str, mend: &'static str) -> TransitionError {
        TransitionError::WrongState {
            order: self.id.short(),
            state: self.state.name(),
            step,
            mend,
        }
    }

    pub fn submit(self, by: &str, at: Timestamp) -> Result<Order, TransitionError> {
        match self.state {
            State::Draft { .. } => Ok(Order {
                state: State::InReview {
                    by: by.to_owned(),
                    at,
                },
                ..self
            }),
            _ => Err(self.wrong("submitted", "only a draft is submitted")),
        }
    }

    pub fn withdraw(self) -> Result<Order, TransitionError> {
        match self.state {
            State::InReview { .. } | State::Approved(_) => Ok(Order {
                state: State::Draft { sent_back: None },
                ..self
            }),
            State::Draft { .. } => Err(self.wrong("withdrawn", "it is not in review")),
            _ => Err(self.wrong("withdrawn", "what is published is held or retracted")),
        }
    }

    pub fn send_back(self, by: &str, at: Timestamp, text: &str) -> Result<Order, TransitionError> {
        match self.state {
            State::InReview { .. } => {
                let remark = Remark {
                    by: by.to_owned(),
                    at,
                    text: text.to_owned(),
                };
                Ok(Order {
                    state: State::Draft {
                        sent_back: Some(remark),
                    },
                    ..self
                })
            }
            _ => Err(self.wrong("sent back", "only an order in review is sent back")),
        }
    }

    /// `same_person` are all names by which the approver is known (invariant 8).
    pub fn approve(
        self,
        approval: Approval,
        same_person: &BTreeSet<String>,
    ) -> Result<Order, TransitionError> {
        match self.state {
            State::InReview { .. } => {
                let wrote = |name: &String| self.authors.contains(&fold(name));
                let own = wrote(&approval.by) || same_person.iter().any(wrote);
                if own {
                    return Err(TransitionError::OwnApproval { by: approval.by });
                }
                Ok(Order {
                    state: State::Approved(approval),
                    ..self
                })
            }
            _ => Err(self.wrong("approved", "only an order in review is approved")),
        }
    }

    pub fn publish(self, by: &str, at: Timestamp) -> Result<Order, TransitionError> {
        match self.state {
            State::Approved(approval) => {
                if APPROVAL_HOLDS_FOR.after(approval.at) < at {
                    return Err(TransitionError::ApprovalExpired { at: approval.at });
                }
                let comply_by = self.revision.file.deadline.comply_by.clone();
                let published = Published {
                    approval,
                    by: by.to_owned(),
                    at,
                    comply_by,
                    resumed_at: None,
                    stopped: None,
                    let_pass: None,
                };
                Ok(Order {
                    state: State::Published(published),
                    ..self
                })
            }
            State::Draft { .. } | State::InReview { .. } => Err(self.wrong(
                "published",
                "another person than its authors must approve it first",
            )),
            _ => Err(self.wrong(
                "published",
                "it has been published already; to issue it again, draft a new order",
            )),
        }
    }

    pub fn hold(self, by: &str, at: Timestamp, reason: &str) -> Result<Order, TransitionError> {
        match self.state {
            State::Published(published) => {
                let hold = Hold {
                    by: by.to_owned(),
                    at,
                    reason: reason.to_owned(),
                };
                Ok(Order {
                    state: State::Held { published, hold },
                    ..self
                })
            }
            _ => Err(self.wrong("held", "only a published order is held")),
        }
    }

    pub fn extend(self, to: When) -> Result<Order, TransitionError> {
        let later = |published: Published| {
            if to.at() <= published.comply_by.at() {
                let now = published.comply_by.to_string();
                return Err(TransitionError::NotLater {
                    to: to.to_string(),
                    now,
                });
            }
            Ok(Published {
                comply_by: to.clone(),
                ..published
            })
        };
        match self.state {
            State::Published(published) => Ok(Order {
                state: State::Published(later(published)?),
                ..self
            }),
            State::Held { published, hold } => Ok(Order {
                state: State::Held {
                    published: later(published)?,
                    hold,
                },
                ..self
            }),
            _ => Err(self.wrong(
                "extended",
                "only a published order has a deadline to move; revise a draft instead",
            )),
        }
    }

    pub fn retract(self, retraction: Retraction) -> Result<Order, TransitionError> {
        match self.state {
            State::Published(published) => Ok(Order {
                state: State::Retracted {
                    published,
                    hold: None,
                    retraction,
                },
                ..self
            }),
            State::Held { published, hold } => Ok(Order {
                state: State::Retracted {
                    published,
                    hold: Some(hold),
                    retraction,
                },
                ..self
            }),
            _ => Err(self.wrong(
                "retracted",
                "only what was published is retracted; withdraw it instead",
            )),
        }
    }
}

impl Order {
    /// Says how it came to the mistake, or says it better. Nothing else of a retraction changes.
    pub fn say_cause(self, cause: &str) -> Result<Order, TransitionError> {
        match self.state {
            State::Retracted {
                published,
                hold,
                retraction,
            } => {
                let retraction = Retraction {
                    cause: Some(cause.to_owned()),
                    ..retraction
                };
                Ok(Order {
                    state: State::Retracted {
                        published,
                        hold,
                        retraction,
                    },
                    ..self
                })
            }
            _ => Err(self.wrong(
                "given a cause",
                "a cause says how a retracted order came to be wrong; retract it first",
            )),
        }
    }
}

impl Serialize for Audience {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::with_capacity(self.0.serialized_size());
        self.0
            .serialize_into(&mut bytes)
            .map_err(serde::ser::Error::custom)?;
        s.serialize_str(&crate::hex::encode(&bytes))
    }
}

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let bytes = crate::hex::decode(&String::deserialize(d)?)
            .ok_or_else(|| serde::de::Error::custom("an audience is a hex text"))?;
        RoaringBitmap::deserialize_from(bytes.as_slice())
            .map(Audience)
            .map_err(serde::de::Error::custom)
    }
}
