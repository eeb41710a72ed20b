//! Notices: which are due to whom, and what each says.
//!
//! Planned notices are derived, never stored: a receipt row begins with its first claim. So to
//! publish or retract writes the same few rows whatever the size of the audience.

pub mod channel;
pub mod lint;
pub mod mark;
mod markdown;
mod missing;
pub mod plan;
pub mod render;
pub mod seal;
pub mod token;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::id::{OrderId, PersonId};

/// What a notice is about. One receipt for each order, person and kind (invariant 15).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    // In the order of their urgency: corrections go ahead of every other notice (invariant 28).
    Correction,
    Blocked,
    /// The n-th of `deadline.remind`, counted from 1.
    Reminder(u8),
    Order,
}

impl Kind {
    /// The section of the order file that holds its text.
    pub fn text_name(self) -> &'static str {
        match self {
            Kind::Correction => "correction",
            Kind::Blocked => "blocked",
            Kind::Reminder(_) => "reminder",
            Kind::Order => "notice",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Correction => f.pad("correction"),
            Kind::Blocked => f.pad("blocked"),
            Kind::Order => f.pad("order"),
            Kind::Reminder(n) => f.pad(&format!("reminder-{n}")),
        }
    }
}

/// A text that names no kind of notice.
#[derive(Debug, thiserror::Error)]
#[error("«{0}» is no kind of notice; kinds are order, reminder-1 …, blocked and correction")]
pub struct UnknownKind(String);

impl FromStr for Kind {
    type Err = UnknownKind;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "correction" => Ok(Kind::Correction),
            "blocked" => Ok(Kind::Blocked),
            "order" => Ok(Kind::Order),
            _ => text
                .strip_prefix("reminder-")
                .and_then(|n| n.parse().ok())
                .map(Kind::Reminder)
                .ok_or_else(|| UnknownKind(text.to_owned())),
        }
    }
}

impl Serialize for Kind {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// What names a receipt.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Key {
    pub order: OrderId,
    pub person: PersonId,
    pub kind: Kind,
}

impl Key {
    /// The same on every retry and restart (invariant 16). Without angle brackets.
    pub fn message_id(&self, domain: &str) -> String {
        let mut hash = Sha256::new();
        hash.update(self.order.0.as_bytes());
        hash.update(self.person.0.to_be_bytes());
        hash.update(self.kind.to_string());
        format!("cm.{}@{domain}", crate::hex::encode(&hash.finalize()[..16]))
    }
}

/// What became of a notice that was begun. `planned` is no receipt state: it is derived.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptState {
    Claimed,
    InFlight,
    Accepted,
    Rejected,
    Cancelled,
    Unknown,
}

impl ReceiptState {
    pub const ALL: [ReceiptState; 6] = [
        ReceiptState::Claimed,
        ReceiptState::InFlight,
        ReceiptState::Accepted,
        ReceiptState::Rejected,
        ReceiptState::Cancelled,
        ReceiptState::Unknown,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            ReceiptState::Claimed => "claimed",
            ReceiptState::InFlight => "in_flight",
            ReceiptState::Accepted => "accepted",
            ReceiptState::Rejected => "rejected",
            ReceiptState::Cancelled => "cancelled",
            ReceiptState::Unknown => "unknown",
        }
    }

    pub fn is_settled(self) -> bool {
        !matches!(self, ReceiptState::Claimed | ReceiptState::InFlight)
    }
}

/// Receipts of an order, counted by state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    pub planned: u64,
    pub claimed: u64,
    pub in_flight: u64,
    pub accepted: u64,
    pub rejected: u64,
    pub unknown: u64,
    pub cancelled: u64,
    /// Of the accepted, those that came back.
    #[serde(default)]
    pub bounced: u64,
}

impl Counts {
    pub fn add(&mut self, state: ReceiptState, n: u64) {
        *match state {
            ReceiptState::Claimed => &mut self.claimed,
            ReceiptState::InFlight => &mut self.in_flight,
            ReceiptState::Accepted => &mut self.accepted,
            ReceiptState::Rejected => &mut self.rejected,
            ReceiptState::Unknown => &mut self.unknown,
            ReceiptState::Cancelled => &mut self.cancelled,
        } += n;
    }

    /// Nothing is under way or about to be (invariant 20).
    pub fn is_finished(&self) -> bool {
        self.planned + self.claimed + self.in_flight == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn inv_16_a_message_id_is_a_function_of_its_receipt() {
        let key = Key {
            order: OrderId(Uuid::from_u128(7)),
            person: PersonId(3),
            kind: Kind::Order,
        };
        assert_eq!(key.message_id("corp.test"), key.message_id("corp.test"));
        let others = [
            Key {
                person: PersonId(4),
                ..key
            },
            Key {
                kind: Kind::Correction,
                ..key
            },
            Key {
                order: OrderId(Uuid::from_u128(8)),
                ..key
            },
        ];
        for other in others {
            assert_ne!(other.message_id("corp.test"), key.message_id("corp.test"));
        }
    }

    #[test]
    fn kinds_read_and_write_alike() {
        for kind in [
            Kind::Correction,
            Kind::Blocked,
            Kind::Reminder(2),
            Kind::Order,
        ] {
            assert_eq!(kind.to_string().parse::<Kind>().unwrap(), kind);
        }
        assert!(Kind::Correction < Kind::Order);
    }
}
