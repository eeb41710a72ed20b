//! The naive evaluator: design.md and invariants.md read aloud, with loops over the plain history.
//!
//! No index, no bitmaps, no pruning, no folded evidence, and none of the engine's own helpers: of
//! the engine it takes only plain data (files, pins, reports) and the words of a verdict.

use std::collections::{BTreeMap, BTreeSet};

use countermand_core::catalogue::Confidence;
use countermand_core::duration::Length;
use countermand_core::evidence::{AppSeen, Package, Report, Unknown};
use countermand_core::exemption::{Attestation, Exempted, Exemption};
use countermand_core::fleet::{FormFactor, Person, Visibility};
use countermand_core::id::{DeviceId, OrderId, PersonId};
use countermand_core::index::Settings;
use countermand_core::order::file::Weak;
use countermand_core::order::{Match, OrderFile, Pins};
use countermand_core::platform::Platform;
use countermand_core::verdict::{GatePolicy, Question};
use jiff::{SignedDuration, Timestamp};

/// The plain history: nothing in it is derived.
#[derive(Clone, Debug, Default)]
pub struct Naive {
    pub policy: GatePolicy,
    pub settings: Settings,
    pub packages: Vec<Package>,
    pub people: BTreeMap<u32, Person>,
    pub devices: BTreeMap<u32, DeviceLife>,
    pub orders: Vec<OrderLife>,
    pub exemptions: Vec<Exemption>,
    pub attestations: Vec<Attestation>,
    /// Who came with which key to a door that vouched for them, in that order.
    pub claims: Vec<(PersonId, String)>,
}

/// A device with all reports of it, in order of arrival.
#[derive(Clone, Debug)]
pub struct DeviceLife {
    pub id: DeviceId,
    pub person: Option<PersonId>,
    pub keys: Vec<String>,
    pub platform: Platform,
    pub form_factor: FormFactor,
    /// What its enrolment said, until a report says otherwise.
    pub enrolled_as: Visibility,
    pub reports: Vec<Report>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    Draft,
    InReview,
    Approved,
    Published,
    Held,
    Retracted,
}

/// An order with what was done to it.
#[derive(Clone, Debug)]
pub struct OrderLife {
    pub id: OrderId,
    pub file: OrderFile,
    pub pins: Pins,
    pub hash: String,
    pub stage: Stage,
    pub approved_at: Option<Timestamp>,
    pub audience: BTreeSet<u32>,
    pub published_at: Option<Timestamp>,
    pub comply_by: Timestamp,
    pub resumed_at: Option<Timestamp>,
    pub told: BTreeMap<u32, Timestamp>,
}

/// What an order knows of a device.
pub(super) enum Known<'a> {
    Present(&'a Report, &'a AppSeen, String, Match),
    Absent,
    Unknown(Unknown),
}

pub fn plus(at: Timestamp, length: Length) -> Timestamp {
    at + SignedDuration::from_secs(length.as_seconds())
}

fn folded(text: &str) -> String {
    text.trim().to_lowercase()
}

/// All the ways in which a key may be written: folded, and for ActiveSync the bytes whose hex it is.
fn key_forms(key: &str) -> BTreeSet<String> {
    let (kind, value) = key.split_once(':').unwrap();
    let key = format!("{}:{}", folded(kind), folded(value));
    let mut forms = BTreeSet::from([key.clone()]);
    if let Some(mut value) = key.strip_prefix("eas:").map(str::to_owned) {
        while let Some(text) = bytes_of_hex(&value) {
            forms.insert(format!("eas:{}", text.to_lowercase()));
            value = text;
        }
    }
    forms
}

fn bytes_of_hex(text: &str) -> Option<String> {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    let digits = digits.filter(|d| !d.is_empty() && d.len() % 2 == 0)?;
    let text: Option<String> = digits
        .chunks(2)
        .map(|pair| char::from_u32(pair[0] * 16 + pair[1]).filter(char::is_ascii_graphic))
        .collect();
    text
}

pub fn are_one_key(one: &str, other: &str) -> bool {
    !key_forms(one).is_disjoint(&key_forms(other))
}

impl DeviceLife {
    pub fn is_called(&self, key: &str) -> bool {
        let asked = key_forms(key);
        self.keys
            .iter()
            .any(|own| !key_forms(own).is_disjoint(&asked))
    }

    /// Whether the `j`th report to arrive is newer than the `i`th.
    fn is_newer(&self, j: usize, i: usize) -> bool {
        (self.reports[j].seen_at, j) > (self.reports[i].seen_at, i)
    }

    /// An empty complete list is a list only of a source that listed apps of this device before.
    fn is_a_list(&self, i: usize) -> bool {
        let report = &self.reports[i];
        !report.complete
            || !report.apps.is_empty()
            || self.reports[..i]
                .iter()
                .any(|r| r.source == report.source && r.complete && !r.apps.is_empty())
    }

    /// The sightings that nothing newer of at least their visibility has cured or replaced.
    fn sightings(&self) -> Vec<(&Report, &AppSeen)> {
        let mut found = Vec::new();
        for (i, report) in self.reports.iter().enumerate() {
            for app in &report.apps {
                let mut counts = true;
                for (j, other) in self.reports.iter().enumerate() {
                    let lists = other.apps.iter().any(|a| a.package == app.package);
                    if self.is_newer(j, i)
                        && other.visibility >= report.visibility
                        && self.is_a_list(j)
                        && (other.complete || lists)
                    {
                        counts = false;
                    }
                }
                if counts {
                    found.push((report, app));
                }
            }
        }
        found
    }

    /// When a complete list of everything on the device was last made.
    fn last_full_list(&self) -> Option<Timestamp> {
        let mut last = None;
        for (i, report) in self.reports.iter().enumerate() {
            if report.complete && report.visibility == Visibility::Full && self.is_a_list(i) {
                last = last.max(Some(report.seen_at));
            }
        }
        last
    }

    /// What the newest report could see.
    pub fn visibility(&self) -> Visibility {
        let mut newest: Option<usize> = None;
        for i in 0..self.reports.len() {
            if newest.is_none_or(|n| self.is_newer(i, n)) {
                newest = Some(i);
            }
        }
        newest.map_or(self.enrolled_as, |n| self.reports[n].visibility)
    }
}

impl OrderLife {
    /// Whether it speaks at all: published, neither retracted nor expired.
    pub fn in_force(&self, at: Timestamp) -> bool {
        matches!(self.stage, Stage::Published | Stage::Held)
            && self.published_at.is_some_and(|since| since <= at)
            && self.file.expires.as_ref().is_none_or(|e| at < e.at())
    }

    /// Invariant 35. `None`: never, being untold.
    pub fn refuses_from(&self, person: PersonId) -> Option<Timestamp> {
        let rule = &self.file.deadline;
        let mut from = self.comply_by;
        match self.told.get(&person.0) {
            Some(told) if self.audience.contains(&person.0) => {
                from = from.max(plus(*told, rule.min_notice));
            }
            Some(told) => from = from.max(plus(*told, rule.late_grace)),
            None if rule.enforce_untold => {}
            None => return None,
        }
        if let Some(resumed) = self.resumed_at {
            from = from.max(plus(resumed, rule.min_notice));
        }
        Some(from)
    }

    pub fn names(&self, person: &Person) -> bool {
        let rule = &self.file.audience;
        rule.groups.iter().any(|g| person.groups.contains(g))
            && !rule.except_groups.iter().any(|g| person.groups.contains(g))
    }

    /// How the order reads a package on a platform: the surest of all its pins, else the name.
    fn reads(&self, package: &Package, platform: Platform) -> Option<(String, Match)> {
        let mut best: Option<(Match, String)> = None;
        let seen = package.id.to_lowercase();
        for pin in self.pins.ids.iter().filter(|_| !seen.is_empty()) {
            let listed = pin.id.to_lowercase();
            let rest = seen.strip_prefix(&listed);
            let matched = match rest {
                Some("") if pin.platform != platform => Match::WeakPlatform,
                Some("") if pin.confidence == Confidence::C => Match::WeakSource,
                Some("") if package.id == pin.id => Match::Exact,
                Some("") => Match::Folded,
                Some(rest) if rest.starts_with(['.', '-', '_']) => Match::WeakExtended,
                _ => continue,
            };
            let candidate = (matched, pin.app.clone());
            if best.as_ref().is_none_or(|b| candidate < *b) {
                best = Some(candidate);
            }
        }
        if package.id.is_empty()
            && let Some(app) = self.pins.names.get(&folded(&package.name))
        {
            best = Some((Match::WeakName, app.clone()));
        }
        best.map(|(matched, app)| (app, matched))
    }

    /// How the order reads one sighting, its version included.
    fn reads_seen(
        &self,
        packages: &[Package],
        app: &AppSeen,
        platform: Platform,
    ) -> Option<(String, Match)> {
        let (slug, matched) = self.reads(packages.get(app.package.0 as usize)?, platform)?;
        match self.pins.versions.get(&slug) {
            None => Some((slug, matched)),
            Some(range) => match range.matches(&app.version) {
                Some(true) => Some((slug, matched)),
                Some(false) => None,
                None => Some((slug, Match::WeakVersion)),
            },
        }
    }

    fn acts_on(&self, matched: Match) -> bool {
        matches!(matched, Match::Exact | Match::Folded) || self.file.forbid.weak == Weak::Enforce
    }
}

impl Naive {
    pub fn order(&self, id: OrderId) -> Option<&OrderLife> {
        self.orders.iter().find(|o| o.id == id)
    }

    pub fn person_called(&self, address: &str) -> Option<&Person> {
        let address = folded(address);
        self.people
            .values()
            .find(|p| p.email == address || p.aliases.contains(&address))
    }

    pub fn owner(&self, device: &DeviceLife) -> Option<&Person> {
        self.people.get(&device.person?.0)
    }

    /// Every device that one of the keys fits.
    pub fn fitting(&self, question: &Question) -> Vec<&DeviceLife> {
        self.devices
            .values()
            .filter(|d| question.keys.iter().any(|k| d.is_called(k.as_str())))
            .collect()
    }

    pub(super) fn strongest<'a>(
        &'a self,
        order: &OrderLife,
        device: &'a DeviceLife,
    ) -> Option<(&'a Report, &'a AppSeen, String, Match)> {
        let mut best: Option<(&Report, &AppSeen, String, Match)> = None;
        for (report, app) in device.sightings() {
            let Some((slug, matched)) = order.reads_seen(&self.packages, app, device.platform)
            else {
                continue;
            };
            let better = match &best {
                None => true,
                Some((r, a, s, m)) => {
                    // Surest, then newest, then by slug and package: any fixed order will do.
                    (
                        matched,
                        std::cmp::Reverse(report.seen_at),
                        &slug,
                        app.package,
                    ) < (*m, std::cmp::Reverse(r.seen_at), s, a.package)
                }
            };
            if better {
                best = Some((report, app, slug, matched));
            }
        }
        best
    }

    pub(super) fn know<'a>(
        &'a self,
        order: &OrderLife,
        device: &'a DeviceLife,
        at: Timestamp,
    ) -> Known<'a> {
        if let Some((report, app, slug, matched)) = self.strongest(order, device)
            && order.acts_on(matched)
        {
            return Known::Present(report, app, slug, matched);
        }
        match why_unknown(order, device, at) {
            Some(why) => Known::Unknown(why),
            None => Known::Absent,
        }
    }

    /// Left out by an exemption that a second person approved, that has not ended.
    pub fn is_exempt(
        &self,
        order: OrderId,
        person: Option<&Person>,
        device: Option<&DeviceLife>,
        at: Timestamp,
    ) -> bool {
        self.exemptions.iter().any(|e| {
            let active = e.approved.as_ref().is_some_and(|(_, t)| *t <= at)
                && e.until > at
                && e.ended.as_ref().is_none_or(|(_, t)| *t > at);
            let who = match &e.who {
                Exempted::Person(id) => person.is_some_and(|p| p.id == *id),
                Exempted::Group(g) => person.is_some_and(|p| p.groups.contains(g)),
                Exempted::Device(id) => device.is_some_and(|d| d.id == *id),
            };
            active && who && (e.order.is_none() || e.order == Some(order))
        })
    }
}

fn why_unknown(order: &OrderLife, device: &DeviceLife, at: Timestamp) -> Option<Unknown> {
    match device.last_full_list() {
        Some(seen) if plus(seen, order.file.when_unknown.stale_after) < at => Some(Unknown::Stale),
        Some(_) => None,
        None if device.visibility() != Visibility::Full => Some(Unknown::Invisible),
        None => Some(Unknown::NoReport),
    }
}
