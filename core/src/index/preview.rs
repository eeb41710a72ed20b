//! From a draft to what it would do.

use std::collections::BTreeMap;

use jiff::Timestamp;
use roaring::RoaringBitmap;

use super::Index;
use super::judge::strongest;
use crate::fleet::{Device, Person};
use crate::id::{OrderId, PersonId};
use crate::notice::plan::in_canary;
use crate::order::file::Tell;
use crate::order::{Audience, Order, approval_digest};
use crate::preview::Preview;
use crate::verdict::Decision;
use crate::{evidence, scope};

/// Groups of an audience rule that nobody is in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("audience: {}", .0.join("; "))]
pub struct UnknownGroups(pub Vec<String>);

impl Index {
    /// Everyone in the groups of the order's rule now. An empty or unknown group is an error, never
    /// "everyone" (invariant 10).
    pub fn audience(&self, order: &Order) -> Result<Audience, UnknownGroups> {
        let rule = &order.revision.file.audience;
        let mut wrong = Vec::new();
        let canary = order
            .revision
            .file
            .stages
            .iter()
            .flat_map(|s| &s.canary_groups);
        for group in rule.groups.iter().chain(&rule.except_groups).chain(canary) {
            if !self.knows_group(group) {
                wrong.push(match crate::catalogue::nearest_of(group, self.groups.keys().map(String::as_str)) {
                    Some(near) => format!("there is nobody in a group «{group}»; did you mean «{near}»?"),
                    None => format!("there is nobody in a group «{group}»; `countermand people import` brings in groups"),
                });
            }
        }
        if !wrong.is_empty() {
            return Err(UnknownGroups(wrong));
        }
        let people = self.in_scope_people(order);
        if people.is_empty() {
            return Err(UnknownGroups(vec![
                "the groups without the excepted ones hold nobody".to_owned(),
            ]));
        }
        Ok(Audience(people))
    }

    pub(super) fn in_scope_people(&self, order: &Order) -> RoaringBitmap {
        let rule = &order.revision.file.audience;
        let union = |groups: &[String]| {
            groups
                .iter()
                .filter_map(|g| self.groups.get(g))
                .fold(RoaringBitmap::new(), |all, g| all | g)
        };
        union(&rule.groups) - union(&rule.except_groups)
    }

    /// What the order would do at `at`, whatever its state.
    pub fn preview(&self, order: &Order, at: Timestamp) -> Result<Preview, UnknownGroups> {
        let audience = self.audience(order)?;
        let mut preview = Preview {
            digest: approval_digest(&order.revision.hash, &audience),
            audience: audience.0.len(),
            ..Preview::default()
        };
        let file = &order.revision.file;
        let fresh;
        let matches = match self.rules.get(&order.id) {
            Some(rule) if rule.order.revision.hash == order.revision.hash => &rule.matches,
            _ => {
                fresh = self.matches(&order.revision.pins);
                &fresh
            }
        };
        let carriers: RoaringBitmap = matches
            .keys()
            .filter_map(|p| self.carriers.get(p))
            .fold(RoaringBitmap::new(), |all, on| all | on);
        let mut people = RoaringBitmap::new();
        let mut tell = if file.audience.tell == Tell::Everyone {
            let told = |p: &u32| {
                self.person(PersonId(*p))
                    .is_some_and(|p| !self.is_exempt(order.id, Some(p), None, at))
            };
            audience.0.iter().filter(told).collect()
        } else {
            RoaringBitmap::new()
        };
        for device in self.devices() {
            let Some(person) = device
                .person
                .filter(|p| audience.0.contains(p.0))
                .and_then(|p| self.person(p))
            else {
                continue;
            };
            if !scope::names(file, device) {
                continue;
            }
            preview.in_scope += 1;
            let exempt = self.is_exempt(order.id, Some(person), Some(device), at);
            let found = if carriers.contains(device.id.0) {
                strongest(matches, order, device)
            } else {
                None
            };
            match found {
                Some((_, _, matched)) if order.acts_on(matched) => {
                    if exempt {
                        preview.exempt += 1;
                        continue;
                    }
                    tell.insert(person.id.0);
                    people.insert(person.id.0);
                    self.count(&mut preview, order, person, device, at);
                }
                found => {
                    if found.is_some() {
                        preview.weak_matches += 1;
                    }
                    let stale_before = order.stale_after().before(at);
                    if let Some(why) = device.evidence.unknown(device.visibility, stale_before)
                        && !exempt
                    {
                        tell.insert(person.id.0);
                        match why {
                            evidence::Unknown::NoReport => preview.unknown.no_report += 1,
                            evidence::Unknown::Invisible => preview.unknown.invisible += 1,
                            evidence::Unknown::Stale => preview.unknown.stale += 1,
                        }
                    }
                }
            }
        }
        preview.people = people.len();
        preview.to_tell = tell.len();
        preview.canary = self.canary(order, &tell);
        Ok(preview)
    }

    /// How many of `people` are told first.
    fn canary(&self, order: &Order, people: &RoaringBitmap) -> Option<u64> {
        let stages = order.revision.file.stages.as_ref();
        let stages = stages.filter(|s| s.has_canary())?;
        Some(match stages.canary {
            Some(share) if order.id.0.is_nil() => share.of(people.len()),
            _ => {
                let first = |p: &u32| in_canary(self, stages, order.id, PersonId(*p));
                people.iter().filter(first).count() as u64
            }
        })
    }

    fn count(
        &self,
        preview: &mut Preview,
        order: &Order,
        person: &Person,
        device: &Device,
        at: Timestamp,
    ) {
        preview.devices += 1;
        bump(&mut preview.by_platform, device.platform.as_str());
        bump(&mut preview.by_form_factor, device.form_factor.as_str());
        for group in &person.groups {
            bump(&mut preview.by_group, group);
        }
        if self.refused_by_others(order.id, person, device, at) {
            preview.already_denied += 1;
        }
    }

    pub(super) fn refused_by_others(
        &self,
        order: OrderId,
        person: &Person,
        device: &Device,
        at: Timestamp,
    ) -> bool {
        self.rules
            .values()
            .filter(|r| r.order.id != order)
            .filter_map(|r| self.speak(r, person, device, at))
            .any(|r| r.decision == Decision::Deny)
    }
}

fn bump(counts: &mut BTreeMap<String, u64>, name: &str) {
    *counts.entry(name.to_owned()).or_default() += 1;
}
