//! What the naive evaluator counts before anyone is told: audience, preview, whom to tell.

use std::collections::{BTreeMap, BTreeSet};

use countermand_core::evidence::Unknown;
use countermand_core::index::Standing;
use countermand_core::order::file::Tell;
use countermand_core::order::{Audience, OrderFile, approval_digest};
use countermand_core::preview::Preview;
use countermand_core::verdict::Decision;
use jiff::Timestamp;

use super::naive::{Known, Naive, OrderLife};

impl Naive {
    /// Everyone in the groups of the rule now; `None` where a group is empty or unknown, or nobody is left.
    pub fn audience(&self, file: &OrderFile) -> Option<BTreeSet<u32>> {
        let rule = &file.audience;
        for group in rule.groups.iter().chain(&rule.except_groups) {
            if !self.people.values().any(|p| p.groups.contains(group)) {
                return None;
            }
        }
        let mut found = BTreeSet::new();
        for person in self.people.values() {
            if rule.groups.iter().any(|g| person.groups.contains(g))
                && !rule.except_groups.iter().any(|g| person.groups.contains(g))
            {
                found.insert(person.id.0);
            }
        }
        Some(found).filter(|f| !f.is_empty())
    }

    /// Those in scope, not exempt, with a device on which the app is present or unknown; or everyone.
    pub fn to_tell(&self, order: &OrderLife, at: Timestamp) -> BTreeSet<u32> {
        let mut found = BTreeSet::new();
        for person in self.people.values() {
            if !order.names(person) || self.is_exempt(order.id, Some(person), None, at) {
                continue;
            }
            let affected = self.devices.values().any(|d| {
                d.person == Some(person.id)
                    && order.file.forbid.on.contains(&d.form_factor)
                    && !self.is_exempt(order.id, Some(person), Some(d), at)
                    && !matches!(self.know(order, d, at), Known::Absent)
            });
            if affected || order.file.audience.tell == Tell::Everyone {
                found.insert(person.id.0);
            }
        }
        found
    }

    /// Those of them with the app itself, or everyone.
    pub fn to_remind(&self, order: &OrderLife, at: Timestamp) -> BTreeSet<u32> {
        let has_app = |person: u32| {
            self.devices.values().any(|d| {
                d.person.map(|p| p.0) == Some(person)
                    && order.file.forbid.on.contains(&d.form_factor)
                    && !self.is_exempt(order.id, None, Some(d), at)
                    && matches!(self.know(order, d, at), Known::Present(..))
            })
        };
        let mut found = self.to_tell(order, at);
        found.retain(|p| order.file.audience.tell == Tell::Everyone || has_app(*p));
        found
    }

    pub fn standing(&self, order: &OrderLife, at: Timestamp) -> Standing {
        let mut standing = Standing::default();
        for device in self.devices.values() {
            let Some(person) = self.owner(device).filter(|p| order.names(p)) else {
                continue;
            };
            if !order.file.forbid.on.contains(&device.form_factor) {
                continue;
            }
            match self.know(order, device, at) {
                Known::Present(..) => standing.with_app += 1,
                Known::Unknown(_) => standing.unknown += 1,
                Known::Absent => {}
            }
            let denies = |o: &OrderLife| {
                self.speak(o, person, device, at)
                    .is_some_and(|r| r.decision == Decision::Deny)
            };
            if denies(order) && self.settings.doors_open.is_none() {
                standing.refused += 1;
                let others = self.orders.iter().any(|o| o.id != order.id && denies(o));
                standing.refused_by_this_alone += u64::from(!others);
            }
        }
        standing
    }

    /// Devices that some order refuses.
    pub fn refused(&self, at: Timestamp) -> u64 {
        if self.settings.doors_open.is_some() {
            return 0;
        }
        let refused = self.devices.values().filter(|device| {
            self.owner(device).is_some_and(|person| {
                self.orders.iter().any(|o| {
                    self.speak(o, person, device, at)
                        .is_some_and(|r| r.decision == Decision::Deny)
                })
            })
        });
        refused.count() as u64
    }

    pub fn preview(&self, order: &OrderLife, at: Timestamp) -> Option<Preview> {
        let audience = self.audience(&order.file)?;
        let mut preview = Preview {
            digest: approval_digest(&order.hash, &Audience(audience.iter().copied().collect())),
            audience: audience.len() as u64,
            to_tell: self.to_tell(order, at).len() as u64,
            ..Preview::default()
        };
        let mut people = BTreeSet::new();
        for device in self.devices.values() {
            let Some(person) = self.owner(device).filter(|p| audience.contains(&p.id.0)) else {
                continue;
            };
            if !order.file.forbid.on.contains(&device.form_factor) {
                continue;
            }
            preview.in_scope += 1;
            let exempt = self.is_exempt(order.id, Some(person), Some(device), at);
            match self.know(order, device, at) {
                Known::Present(..) if exempt => preview.exempt += 1,
                Known::Present(..) => {
                    preview.devices += 1;
                    people.insert(person.id.0);
                    let bump = |counts: &mut BTreeMap<String, u64>, name: &str| {
                        *counts.entry(name.to_owned()).or_default() += 1;
                    };
                    bump(&mut preview.by_platform, device.platform.as_str());
                    bump(&mut preview.by_form_factor, device.form_factor.as_str());
                    for group in &person.groups {
                        bump(&mut preview.by_group, group);
                    }
                    let refused = self.orders.iter().any(|o| {
                        o.id != order.id
                            && self
                                .speak(o, person, device, at)
                                .is_some_and(|r| r.decision == Decision::Deny)
                    });
                    preview.already_denied += u64::from(refused);
                }
                known => {
                    // A weak match that is only shown leaves the question open.
                    preview.weak_matches += u64::from(self.strongest(order, device).is_some());
                    match known {
                        _ if exempt => {}
                        Known::Unknown(Unknown::NoReport) => preview.unknown.no_report += 1,
                        Known::Unknown(Unknown::Invisible) => preview.unknown.invisible += 1,
                        Known::Unknown(Unknown::Stale) => preview.unknown.stale += 1,
                        _ => {}
                    }
                }
            }
        }
        preview.people = people.len() as u64;
        Some(preview)
    }
}
