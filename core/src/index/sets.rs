//! Devices and people as sets, for questions about all of them at once: what is a walk for one
//! device is a few set operations for a million.

use std::collections::BTreeMap;

use jiff::Timestamp;
use roaring::RoaringBitmap;

use super::{Index, Rule};
use crate::exemption::Exempted;
use crate::fleet::{Device, FormFactor, Visibility};
use crate::id::{DeviceId, PersonId};
use crate::order::OrderFile;
use crate::order::file::UnknownPolicy;
use crate::platform::Platform;

/// Every device, by what orders ask of it.
#[derive(Debug, Default)]
pub(super) struct Sets {
    owners: Vec<Option<PersonId>>,
    forms: BTreeMap<FormFactor, RoaringBitmap>,
    platforms: BTreeMap<Platform, RoaringBitmap>,
    /// Of full visibility.
    visible: RoaringBitmap,
    /// Those of which no source ever listed everything.
    unlisted: RoaringBitmap,
    /// The others by the hour of their last whole list.
    listed: BTreeMap<i64, RoaringBitmap>,
}

impl Sets {
    pub(super) fn insert(&mut self, device: &Device) {
        let (at, no) = (device.id.0 as usize, device.id.0);
        if self.owners.len() <= at {
            self.owners.resize(at + 1, None);
        }
        self.owners[at] = device.person;
        self.forms.entry(device.form_factor).or_default().insert(no);
        self.platforms
            .entry(device.platform)
            .or_default()
            .insert(no);
        if device.visibility == Visibility::Full {
            self.visible.insert(no);
        }
        match device.evidence.complete_at() {
            Some(list) => self
                .listed
                .entry(hour(list.seen_at))
                .or_default()
                .insert(no),
            None => self.unlisted.insert(no),
        };
    }

    pub(super) fn remove(&mut self, device: &Device) {
        let no = device.id.0;
        if let Some(owner) = self.owners.get_mut(no as usize) {
            *owner = None;
        }
        if let Some(of) = self.forms.get_mut(&device.form_factor) {
            of.remove(no);
        }
        if let Some(of) = self.platforms.get_mut(&device.platform) {
            of.remove(no);
        }
        self.visible.remove(no);
        self.unlisted.remove(no);
        let hour = device.evidence.complete_at().map(|list| hour(list.seen_at));
        if let Some(hour) = hour
            && let Some(of) = self.listed.get_mut(&hour)
        {
            of.remove(no);
            // Or hours long past would stay for ever.
            if of.is_empty() {
                self.listed.remove(&hour);
            }
        }
    }

    /// Devices of the forms that the order names.
    fn named(&self, file: &OrderFile) -> RoaringBitmap {
        let forms = file
            .forbid
            .on
            .iter()
            .filter_map(|form| self.forms.get(form));
        forms.fold(RoaringBitmap::new(), |all, of| all | of)
    }

    fn owner(&self, device: u32) -> Option<PersonId> {
        self.owners.get(device as usize).copied().flatten()
    }

    fn owners_of(&self, devices: &RoaringBitmap) -> RoaringBitmap {
        devices
            .iter()
            .filter_map(|device| self.owner(device))
            .map(|person| person.0)
            .collect()
    }

    /// Those of the devices whose owner is among `people`.
    fn owned_by(&self, people: &RoaringBitmap, devices: &RoaringBitmap) -> RoaringBitmap {
        devices
            .iter()
            .filter(|device| self.owner(*device).is_some_and(|p| people.contains(p.0)))
            .collect()
    }
}

fn hour(at: Timestamp) -> i64 {
    at.as_second().div_euclid(3600)
}

/// Whom and what an order leaves out.
struct Exempt {
    people: RoaringBitmap,
    devices: RoaringBitmap,
}

/// Devices that have the order's app, and those of which it can't be known. Of any owner and form,
/// and a device with the app may be in both.
struct Known {
    present: RoaringBitmap,
    no_report: RoaringBitmap,
    invisible: RoaringBitmap,
    stale: RoaringBitmap,
}

impl Index {
    /// People in scope and not exempt who have a device with the app, or (`unknown`) perhaps.
    pub(super) fn people_with(&self, rule: &Rule, unknown: bool, at: Timestamp) -> RoaringBitmap {
        let exempt = self.exempt(rule, at);
        let mut devices = self.present(rule);
        if unknown {
            devices |= &self.sets.unlisted;
            devices |= self.stale(rule, at);
        }
        devices &= self.sets.named(&rule.order.revision.file);
        devices -= exempt.devices;
        (self.sets.owners_of(&devices) & self.in_scope_people(&rule.order)) - exempt.people
    }

    /// Everyone in scope and not exempt.
    pub(super) fn people_concerned(&self, rule: &Rule, at: Timestamp) -> RoaringBitmap {
        self.in_scope_people(&rule.order) - self.exempt(rule, at).people
    }

    /// Devices in scope, exempt or not: those with the app, and those of which nothing is known.
    pub(super) fn devices_with(
        &self,
        rule: &Rule,
        at: Timestamp,
    ) -> (RoaringBitmap, RoaringBitmap) {
        let named = self.sets.named(&rule.order.revision.file);
        let concerned = self
            .sets
            .owned_by(&self.in_scope_people(&rule.order), &named);
        let known = self.known(rule, at);
        let unknown = known.no_report | known.invisible | known.stale;
        let unknown = (unknown - &known.present) & &concerned;
        (known.present & concerned, unknown)
    }

    /// Devices that the order refuses, doors that were opened left aside: those for which
    /// [`Index::speak`] says deny.
    pub(super) fn refused_by(&self, rule: &Rule, at: Timestamp) -> RoaringBitmap {
        let file = &rule.order.revision.file;
        let nobody_yet = rule
            .order
            .enforces_from(true, Some(Timestamp::MIN))
            .is_none_or(|from| from > at);
        if nobody_yet || rule.order.in_force(at).is_none() || rule.order.is_held() || file.observe {
            return RoaringBitmap::new();
        }
        let exempt = self.exempt(rule, at);
        let mut people = self.enforced(rule, at) - &exempt.people;
        for group in &self.policy.never_refuse_groups {
            if let Some(members) = self.groups.get(group) {
                people -= members;
            }
        }
        let known = self.known(rule, at);
        let unknown = &file.when_unknown;
        let mut refused = RoaringBitmap::new();
        for (devices, policy) in [
            (known.no_report, unknown.no_report),
            (known.invisible, unknown.invisible),
            (known.stale, unknown.stale),
        ] {
            match policy {
                UnknownPolicy::Allow | UnknownPolicy::Warn => {}
                UnknownPolicy::Deny => refused |= devices,
                UnknownPolicy::Attest => {
                    let attested = self.attested(rule, at);
                    refused |= &devices - self.sets.owned_by(&attested, &devices);
                }
            }
        }
        refused |= known.present;
        refused &= self.sets.named(file);
        refused -= exempt.devices;
        self.sets.owned_by(&people, &refused)
    }

    /// People in scope for whom the order is enforcing, exemptions left aside.
    fn enforced(&self, rule: &Rule, at: Timestamp) -> RoaringBitmap {
        let people = self.in_scope_people(&rule.order);
        // One walk along the told: to look each up among a million takes ten times as long.
        let enforces = |person: &PersonId| rule.enforces_from(*person).is_some_and(|f| f <= at);
        let told = rule.told.keys().map(|person| person.0);
        if rule.order.revision.file.deadline.enforce_untold {
            let told_late = told.filter(|p| !enforces(&PersonId(*p)));
            people - told_late.collect::<RoaringBitmap>()
        } else {
            let enforced = told.filter(|p| enforces(&PersonId(*p)));
            people & enforced.collect::<RoaringBitmap>()
        }
    }

    fn attested(&self, rule: &Rule, at: Timestamp) -> RoaringBitmap {
        let lasts = rule.order.revision.file.when_unknown.attest_for;
        self.attestations
            .values()
            .filter(|a| a.order == rule.order.id && a.holds(at, lasts))
            .map(|a| a.person.0)
            .collect()
    }

    fn exempt(&self, rule: &Rule, at: Timestamp) -> Exempt {
        let mut exempt = Exempt {
            people: RoaringBitmap::new(),
            devices: RoaringBitmap::new(),
        };
        let all = self.exemptions.values();
        for exemption in all.filter(|e| e.concerns(rule.order.id) && e.active(at)) {
            match &exemption.who {
                Exempted::Person(person) => {
                    exempt.people.insert(person.0);
                }
                Exempted::Group(group) => {
                    if let Some(members) = self.groups.get(group) {
                        exempt.people |= members;
                    }
                }
                Exempted::Device(device) => {
                    exempt.devices.insert(device.0);
                }
            }
        }
        exempt
    }

    fn known(&self, rule: &Rule, at: Timestamp) -> Known {
        Known {
            present: self.present(rule),
            no_report: &self.sets.unlisted & &self.sets.visible,
            invisible: &self.sets.unlisted - &self.sets.visible,
            stale: self.stale(rule, at),
        }
    }

    /// Devices on which the order acts on some sighting. Only where it names versions does each
    /// device have to be looked at.
    fn present(&self, rule: &Rule) -> RoaringBitmap {
        let (order, pins) = (&rule.order, &rule.order.revision.pins);
        let mut present = RoaringBitmap::new();
        for (package, matches) in &rule.matches {
            let Some(carriers) = self.carriers.get(package) else {
                continue;
            };
            for (platform, on) in &self.sets.platforms {
                let Some((app, matched)) = &matches[*platform as usize] else {
                    continue;
                };
                let on = carriers & on;
                if !pins.versions.contains_key(app) {
                    if order.acts_on(*matched) {
                        present |= on;
                    }
                    continue;
                }
                let acts = |device: &u32| {
                    let device = self.device(DeviceId(*device));
                    let mut sightings = device.into_iter().flat_map(|d| d.evidence.each_sighting());
                    sightings.any(|s| {
                        s.app.package == *package
                            && pins
                                .with_version(app, *matched, &s.app.version)
                                .is_some_and(|m| order.acts_on(m))
                    })
                };
                present |= on.iter().filter(acts).collect::<RoaringBitmap>();
            }
        }
        present
    }

    /// Devices whose last whole list is too old for the order.
    fn stale(&self, rule: &Rule, at: Timestamp) -> RoaringBitmap {
        let before = rule.order.stale_after().before(at);
        let mut stale = RoaringBitmap::new();
        for (hour_of_list, devices) in self.sets.listed.range(..=hour(before)) {
            if *hour_of_list < hour(before) {
                stale |= devices;
                continue;
            }
            let is_older = |device: &u32| {
                let list = self
                    .device(DeviceId(*device))
                    .and_then(|d| d.evidence.complete_at());
                list.is_some_and(|list| list.seen_at < before)
            };
            stale |= devices.iter().filter(is_older).collect::<RoaringBitmap>();
        }
        stale
    }
}
