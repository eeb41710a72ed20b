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
use countermand_core::order::file::{Tell, UnknownPolicy, Weak};
use countermand_core::order::{Audience, Match, OrderFile, Pins, approval_digest};
use countermand_core::platform::Platform;
use countermand_core::preview::Preview;
use countermand_core::verdict::{
    Ambiguous, Channel, Decision, Fallback, GatePolicy, NoKey, Question, Reason, Seen, Softened,
    Verdict,
};
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
enum Known<'a> {
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

    fn strongest<'a>(
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
                    (matched, std::cmp::Reverse(report.seen_at), &slug, app.package)
                        < (*m, std::cmp::Reverse(r.seen_at), s, a.package)
                }
            };
            if better {
                best = Some((report, app, slug, matched));
            }
        }
        best
    }

    fn know<'a>(&'a self, order: &OrderLife, device: &'a DeviceLife, at: Timestamp) -> Known<'a> {
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

    /// Whether the order refuses this person by now, whatever is on their devices.
    pub fn enforcing_for(&self, order: &OrderLife, person: &Person, at: Timestamp) -> bool {
        order.in_force(at)
            && order.names(person)
            && !self.is_exempt(order.id, Some(person), None, at)
            && order.refuses_from(person.id).is_some_and(|f| f <= at)
    }

    fn soften(
        &self,
        decision: Decision,
        order: &OrderLife,
        person: Option<&Person>,
    ) -> (Decision, Option<Softened>) {
        let never = &self.policy.never_refuse_groups;
        let why = if order.stage == Stage::Held {
            Some(Softened::Held)
        } else if order.file.observe {
            Some(Softened::Observe)
        } else if person.is_some_and(|p| never.iter().any(|g| p.groups.contains(g))) {
            Some(Softened::NeverRefuse)
        } else {
            None
        };
        match (decision, why) {
            (Decision::Deny, Some(why)) => (Decision::Warn, Some(why)),
            _ => (decision, None),
        }
    }

    /// What one order says of one device in the hands of one person.
    fn speak(
        &self,
        order: &OrderLife,
        person: &Person,
        device: &DeviceLife,
        at: Timestamp,
    ) -> Option<Reason> {
        if !order.in_force(at)
            || !order.names(person)
            || !order.file.forbid.on.contains(&device.form_factor)
            || self.is_exempt(order.id, Some(person), Some(device), at)
        {
            return None;
        }
        let from = order.refuses_from(person.id);
        let enforcing = from.is_some_and(|f| f <= at);
        let mut reason = Reason {
            order: order.id,
            title: order.file.title.clone(),
            decision: Decision::Allow,
            device: Some(device.id),
            platform: Some(device.platform),
            seen: None,
            fallback: None,
            enforce_from: from,
            softened: None,
            attest: false,
        };
        let decision = match self.know(order, device, at) {
            Known::Absent => return None,
            Known::Present(report, app, slug, matched) => {
                let package = &self.packages[app.package.0 as usize];
                reason.seen = Some(Seen {
                    app_name: order.pins.apps[&slug].clone(),
                    app: slug,
                    package_id: match package.id.as_str() {
                        "" => package.name.clone(),
                        id => id.to_owned(),
                    },
                    version: app.version.clone(),
                    seen_at: report.seen_at,
                    source: report.source.clone(),
                    visibility: report.visibility,
                    matched,
                });
                if enforcing {
                    Decision::Deny
                } else {
                    Decision::Warn
                }
            }
            Known::Unknown(_) if !enforcing => return None,
            Known::Unknown(why) => {
                let rule = &order.file.when_unknown;
                let (policy, fallback) = match why {
                    Unknown::NoReport => (rule.no_report, Fallback::NoReport),
                    Unknown::Invisible => (rule.invisible, Fallback::Invisible),
                    Unknown::Stale => (rule.stale, Fallback::Stale),
                };
                reason.fallback = Some(fallback);
                let word = self.attestations.iter().any(|a| {
                    a.order == order.id
                        && a.person == person.id
                        && a.at <= at
                        && at < plus(a.at, rule.attest_for)
                });
                reason.attest = policy == UnknownPolicy::Attest && !word;
                match policy {
                    UnknownPolicy::Allow => Decision::Allow,
                    UnknownPolicy::Warn => Decision::Warn,
                    UnknownPolicy::Deny => Decision::Deny,
                    UnknownPolicy::Attest if word => Decision::Allow,
                    UnknownPolicy::Attest => Decision::Deny,
                }
            }
        };
        (reason.decision, reason.softened) = self.soften(decision, order, Some(person));
        Some(reason)
    }

    /// Reasons in the name of every order that enforces for the person, for want of a device.
    fn for_want_of_device(
        &self,
        person: &Person,
        fallback: Fallback,
        policy: Decision,
        at: Timestamp,
    ) -> Vec<Reason> {
        let mut reasons = Vec::new();
        for order in &self.orders {
            if self.enforcing_for(order, person, at) {
                let (decision, softened) = self.soften(policy, order, Some(person));
                reasons.push(Reason {
                    order: order.id,
                    title: order.file.title.clone(),
                    decision,
                    device: None,
                    platform: None,
                    seen: None,
                    fallback: Some(fallback),
                    enforce_from: order.refuses_from(person.id),
                    softened,
                    attest: false,
                });
            }
        }
        reasons
    }

    pub fn verdict(&self, question: &Question, at: Timestamp) -> Verdict {
        let asker = question
            .person
            .as_deref()
            .and_then(|p| self.person_called(p));
        let fits = self.fitting(question);
        let owners: Vec<&Person> = fits.iter().filter_map(|d| self.owner(d)).collect();
        let known = match question.person {
            Some(_) => asker,
            None => owners.first().copied(),
        };
        let mut reasons: Vec<Reason> = Vec::new();
        let mut policies: Vec<(Decision, Fallback)> = Vec::new();

        if self.settings.doors_open.is_some() {
            policies.push((Decision::Allow, Fallback::DoorsOpen));
        } else {
            // A key is a claim: each device it fits is judged as its owner's and as the asker's.
            for device in &fits {
                for holder in [self.owner(device), asker].into_iter().flatten() {
                    for order in &self.orders {
                        reasons.extend(self.speak(order, holder, device, at));
                    }
                }
                if let (Some(asker), Some(owner)) = (asker, self.owner(device))
                    && asker.id != owner.id
                {
                    let policy = self.policy.unknown_device;
                    reasons.extend(self.for_want_of_device(
                        asker,
                        Fallback::UnknownDevice,
                        policy,
                        at,
                    ));
                }
            }
            if fits.len() > 1 {
                let policy = match self.policy.ambiguous_key {
                    Ambiguous::Strictest => Decision::Allow,
                    Ambiguous::Deny => Decision::Deny,
                };
                for holder in owners.iter().copied().chain(asker) {
                    policies.extend(self.named(holder, Fallback::AmbiguousKey, policy, at));
                }
            }
            if let Some(asker) = asker
                && fits.is_empty()
            {
                if question.keys.is_empty() {
                    self.without_key(asker, question.channel, at, &mut reasons, &mut policies);
                } else {
                    let policy = self.policy.unknown_device;
                    reasons.extend(self.for_want_of_device(
                        asker,
                        Fallback::UnknownDevice,
                        policy,
                        at,
                    ));
                }
            }
            // Nobody knows who asks: a name that fits nobody, or no name and a device of nobody.
            let nobody = match question.person {
                Some(_) => asker.is_none(),
                None => fits.is_empty() || fits.iter().any(|d| self.owner(d).is_none()),
            };
            if nobody {
                for order in &self.orders {
                    if self.people.values().any(|p| self.enforcing_for(order, p, at)) {
                        let decision = self.soften(self.policy.unknown_person, order, None).0;
                        policies.push((decision, Fallback::UnknownPerson));
                    }
                }
            }
        }

        for reason in &reasons {
            policies.extend(reason.fallback.map(|f| (reason.decision, f)));
        }
        let mut decision = Decision::Allow;
        for given in reasons.iter().map(|r| r.decision) {
            decision = decision.max(given);
        }
        for (given, _) in &policies {
            decision = decision.max(*given);
        }
        let mut because: Vec<Reason> = Vec::new();
        for reason in reasons {
            if reason.decision > Decision::Allow && !because.contains(&reason) {
                because.push(reason);
            }
        }
        Verdict {
            decision,
            because,
            fallback: policies.into_iter().max().map(|(_, f)| f),
            person: known.map(|p| p.id),
            device: match fits.as_slice() {
                [one] => Some(one.id),
                _ => None,
            },
        }
    }

    fn named(
        &self,
        person: &Person,
        fallback: Fallback,
        policy: Decision,
        at: Timestamp,
    ) -> Vec<(Decision, Fallback)> {
        self.for_want_of_device(person, fallback, policy, at)
            .into_iter()
            .map(|r| (r.decision, fallback))
            .collect()
    }

    fn without_key(
        &self,
        asker: &Person,
        channel: Channel,
        at: Timestamp,
        reasons: &mut Vec<Reason>,
        policies: &mut Vec<(Decision, Fallback)>,
    ) {
        let policy = match self.policy.no_device_key {
            _ if channel == Channel::Web => Decision::Allow,
            NoKey::Allow => Decision::Allow,
            NoKey::Warn => Decision::Warn,
            NoKey::Deny => Decision::Deny,
            NoKey::Strictest => {
                let mut strictest = Decision::Allow;
                for device in self.devices.values() {
                    let phone_or_tablet = device.form_factor != FormFactor::Laptop;
                    if device.person == Some(asker.id) && phone_or_tablet {
                        for order in &self.orders {
                            if let Some(r) = self.speak(order, asker, device, at) {
                                strictest = strictest.max(r.decision);
                                // An allowing policy is not worth a word here.
                                reasons.extend(Some(r).filter(|r| r.decision > Decision::Allow));
                            }
                        }
                    }
                }
                policies.extend(self.named(asker, Fallback::NoDeviceKey, strictest, at));
                return;
            }
        };
        reasons.extend(self.for_want_of_device(asker, Fallback::NoDeviceKey, policy, at));
    }

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
                    let mut bump = |counts: &mut BTreeMap<String, u64>, name: &str| {
                        *counts.entry(name.to_owned()).or_default() += 1;
                    };
                    bump(&mut preview.by_platform, device.platform.as_str());
                    bump(&mut preview.by_form_factor, device.form_factor.as_str());
                    for group in &order.file.audience.groups {
                        if person.groups.contains(group) {
                            bump(&mut preview.by_group, group);
                        }
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

fn why_unknown(order: &OrderLife, device: &DeviceLife, at: Timestamp) -> Option<Unknown> {
    match device.last_full_list() {
        Some(seen) if plus(seen, order.file.when_unknown.stale_after) < at => Some(Unknown::Stale),
        Some(_) => None,
        None if device.visibility() != Visibility::Full => Some(Unknown::Invisible),
        None => Some(Unknown::NoReport),
    }
}
