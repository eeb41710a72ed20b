//! Exemptions and attestations: who is left out of an order, and whose word is taken.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::duration::Length;
use crate::fleet::{Device, Person};
use crate::id::{DeviceId, ExemptionId, OrderId, PersonId};

/// A person, group or device left out of an order, or of every order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Exemption {
    pub id: ExemptionId,
    /// `None`: of every order.
    pub order: Option<OrderId>,
    pub who: Exempted,
    pub reason: String,
    pub until: Timestamp,
    pub asked_by: String,
    pub asked_at: Timestamp,
    /// A second person's word; without it the exemption does nothing.
    pub approved: Option<(String, Timestamp)>,
    pub ended: Option<(String, Timestamp)>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "of")]
pub enum Exempted {
    Person(PersonId),
    Group(String),
    Device(DeviceId),
}

impl Exemption {
    pub fn active(&self, at: Timestamp) -> bool {
        self.approved
            .as_ref()
            .is_some_and(|(_, since)| *since <= at)
            && at < self.until
            && self.ended.as_ref().is_none_or(|(_, ended)| at < *ended)
    }

    pub fn concerns(&self, order: OrderId) -> bool {
        self.order.is_none_or(|o| o == order)
    }

    pub fn covers(&self, person: Option<&Person>, device: Option<&Device>) -> bool {
        match &self.who {
            Exempted::Person(id) => person.is_some_and(|p| p.id == *id),
            Exempted::Group(group) => person.is_some_and(|p| p.groups.contains(group)),
            Exempted::Device(id) => device.is_some_and(|d| d.id == *id),
        }
    }
}

/// A person's own word that the apps of an order are gone, where no source can see.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Attestation {
    pub order: OrderId,
    pub person: PersonId,
    pub at: Timestamp,
}

impl Attestation {
    pub fn holds(&self, at: Timestamp, attest_for: Length) -> bool {
        self.at <= at && at < attest_for.after(self.at)
    }
}
