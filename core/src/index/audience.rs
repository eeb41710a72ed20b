//! Sets of people and devices that follow from an order and the facts: whom to tell, who complies,
//! who is refused.

use jiff::Timestamp;
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

use super::{Index, Rule};
use crate::fleet::Person;
use crate::id::{OrderId, PersonId};
use crate::order::file::Tell;

/// How an order stands on the devices, now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Standing {
    /// Devices in scope with the app.
    pub with_app: u64,
    /// Devices in scope on which nothing can be known.
    pub unknown: u64,
    /// Devices that this order refuses.
    pub refused: u64,
    /// Of those, the ones that no other order refuses.
    pub refused_by_this_alone: u64,
}

impl Index {
    /// Who is to have the order's notice now: in scope, not exempt, and (unless everyone is told)
    /// with a device on which the app is present or unknown. People who come into scope later are
    /// in the set from then on.
    pub fn to_tell(&self, order: OrderId, at: Timestamp) -> RoaringBitmap {
        self.whom(order, true, at)
    }

    /// Who still has a device with the app: whom to remind.
    pub fn to_remind(&self, order: OrderId, at: Timestamp) -> RoaringBitmap {
        self.whom(order, false, at)
    }

    fn whom(&self, order: OrderId, unknown: bool, at: Timestamp) -> RoaringBitmap {
        let Some(rule) = self.rules.get(&order) else {
            return RoaringBitmap::new();
        };
        match rule.order.revision.file.audience.tell {
            Tell::Everyone => self.people_concerned(rule, at),
            Tell::Affected => self.people_with(rule, unknown, at),
        }
    }

    /// Counts over the order's devices at `at`.
    pub fn standing(&self, order: OrderId, at: Timestamp) -> Standing {
        let Some(rule) = self.rules.get(&order) else {
            return Standing::default();
        };
        let (with_app, unknown) = self.devices_with(rule, at);
        Standing {
            with_app: with_app.len(),
            unknown: unknown.len(),
            refused: self.refused_devices(rule, at).len(),
            refused_by_this_alone: self.refused_by_alone(order, at),
        }
    }

    /// How many devices a retraction of the order would open again.
    pub fn refused_by_alone(&self, order: OrderId, at: Timestamp) -> u64 {
        let Some(rule) = self.rules.get(&order) else {
            return 0;
        };
        let mut left = self.refused_devices(rule, at);
        for other in self.rules.values().filter(|r| r.order.id != order) {
            if left.is_empty() {
                break;
            }
            left -= self.refused_devices(other, at);
        }
        left.len()
    }

    fn refused_devices(&self, rule: &Rule, at: Timestamp) -> RoaringBitmap {
        match self.settings.doors_open {
            Some(_) => RoaringBitmap::new(),
            None => self.refused_by(rule, at),
        }
    }

    /// How many people have been told of the order.
    pub fn told_of(&self, order: OrderId) -> u64 {
        self.rules.get(&order).map_or(0, |r| r.told.len() as u64)
    }

    /// Whether somebody had been told of the order by `at`.
    pub fn anybody_told_by(&self, order: OrderId, at: Timestamp) -> bool {
        let rule = self.rules.get(&order);
        rule.is_some_and(|r| r.told.values().any(|told| *told <= at))
    }

    /// Devices that some order refuses now.
    pub fn refused(&self, at: Timestamp) -> u64 {
        let refused = self
            .rules
            .values()
            .map(|rule| self.refused_devices(rule, at));
        refused.fold(RoaringBitmap::new(), |all, of| all | of).len()
    }

    /// Other orders that would still refuse the person one of their devices, if `order` were gone.
    pub fn still_forbidden(&self, order: OrderId, person: PersonId, at: Timestamp) -> Vec<OrderId> {
        let Some(person) = self.person(person) else {
            return Vec::new();
        };
        let forbidding = self.rules_against(person, at).map(|rule| rule.order.id);
        forbidding.filter(|other| *other != order).collect()
    }

    /// Whether a device of the person is known to have an app that an order in force forbids them.
    pub fn has_forbidden_app(&self, person: PersonId, at: Timestamp) -> bool {
        let person = self.person(person);
        person.is_some_and(|person| self.rules_against(person, at).next().is_some())
    }

    /// Orders in force that speak of an app on a device of the person's.
    fn rules_against<'a>(
        &'a self,
        person: &'a Person,
        at: Timestamp,
    ) -> impl Iterator<Item = &'a Rule> {
        self.rules.values().filter(move |rule| {
            self.devices_of(person.id).any(|device| {
                self.speak(rule, person, device, at)
                    .is_some_and(|reason| reason.seen.is_some())
            })
        })
    }

    /// People of the approved list who are no longer in scope, or new in it, against the list's
    /// size: more than 2 % and 25 people ask for a new approval (invariant 10).
    pub fn has_drifted(&self, order: OrderId) -> Option<(u64, u64)> {
        let rule = self.rules.get(&order)?;
        let crate::order::State::Approved(approval) = &rule.order.state else {
            return None;
        };
        let drift = (self.in_scope_people(&rule.order) ^ &approval.audience.0).len();
        let size = approval.audience.0.len();
        (drift > 25 && drift * 50 > size).then_some((drift, size))
    }
}
