//! Sets of people and devices that follow from an order and the facts: whom to tell, who complies,
//! who is refused.

use jiff::Timestamp;
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

use super::Index;
use super::judge::Known;
use crate::id::{OrderId, PersonId};
use crate::order::file::Tell;
use crate::verdict::Decision;

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
        self.people_where(order, at, |known| !matches!(known, Known::Absent))
    }

    /// Who still has a device with the app: whom to remind.
    pub fn to_remind(&self, order: OrderId, at: Timestamp) -> RoaringBitmap {
        self.people_where(order, at, |known| matches!(known, Known::Present(..)))
    }

    fn people_where(
        &self,
        order: OrderId,
        at: Timestamp,
        mut affected: impl FnMut(Known<'_>) -> bool,
    ) -> RoaringBitmap {
        let mut found = RoaringBitmap::new();
        let Some(rule) = self.rules.get(&order) else {
            return found;
        };
        let everyone = rule.order.revision.file.audience.tell == Tell::Everyone;
        for person in self.in_scope_people(&rule.order) {
            let Some(person) = self.person(PersonId(person)) else {
                continue;
            };
            if self.is_exempt(order, Some(person), None, at) {
                continue;
            }
            let concerned = everyone
                || self.devices_of(person.id).any(|device| {
                    self.concerns(rule, person, device)
                        && !self.is_exempt(order, None, Some(device), at)
                        && affected(self.know(rule, device, at))
                });
            if concerned {
                found.insert(person.id.0);
            }
        }
        found
    }

    /// Counts over the order's devices at `at`.
    pub fn standing(&self, order: OrderId, at: Timestamp) -> Standing {
        let mut standing = Standing::default();
        let Some(rule) = self.rules.get(&order) else {
            return standing;
        };
        let open = self.settings.doors_open.is_some();
        for device in self.devices() {
            let Some(person) = device.person.and_then(|p| self.person(p)) else {
                continue;
            };
            if !self.concerns(rule, person, device) {
                continue;
            }
            match self.know(rule, device, at) {
                Known::Present(..) => standing.with_app += 1,
                Known::Unknown(_) => standing.unknown += 1,
                Known::Absent => continue,
            }
            let refused = self
                .speak(rule, person, device, at)
                .is_some_and(|r| r.decision == Decision::Deny);
            if refused && !open {
                standing.refused += 1;
                if !self.refused_by_others(order, person, device, at) {
                    standing.refused_by_this_alone += 1;
                }
            }
        }
        standing
    }

    /// How many people have been told of the order.
    pub fn told_of(&self, order: OrderId) -> u64 {
        self.rules.get(&order).map_or(0, |r| r.told.len() as u64)
    }

    /// Devices that some order refuses now.
    pub fn refused(&self, at: Timestamp) -> u64 {
        if self.settings.doors_open.is_some() {
            return 0;
        }
        let refuses = |device: &&crate::fleet::Device| {
            let person = device.person.and_then(|p| self.person(p));
            person.is_some_and(|person| {
                self.rules
                    .values()
                    .filter_map(|r| self.speak(r, person, device, at))
                    .any(|reason| reason.decision == Decision::Deny)
            })
        };
        self.devices().filter(refuses).count() as u64
    }

    /// Other orders that would still refuse the person one of their devices, if `order` were gone.
    pub fn still_forbidden(&self, order: OrderId, person: PersonId, at: Timestamp) -> Vec<OrderId> {
        let Some(person) = self.person(person) else {
            return Vec::new();
        };
        self.rules
            .values()
            .filter(|r| r.order.id != order && r.order.in_force(at).is_some())
            .filter(|r| {
                self.devices_of(person.id).any(|d| {
                    self.speak(r, person, d, at)
                        .is_some_and(|reason| reason.seen.is_some())
                })
            })
            .map(|r| r.order.id)
            .collect()
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
