//! From a question to a verdict.

use jiff::Timestamp;

use super::{Index, PackageMatch, Rule};
use crate::evidence::Sighting;
use crate::fleet::{Device, DeviceKey, Person};
use crate::id::{OrderId, PersonId};
use crate::order::Match;
use crate::order::file::UnknownPolicy;
use crate::scope;
use crate::verdict::{
    Ambiguous, Channel, Decision, Fallback, NoKey, Question, Reason, Seen, Softened, Tally, Verdict,
};

/// What one order knows of one device.
pub(super) enum Known<'a> {
    Present(Sighting<'a>, &'a str, Match),
    Absent,
    Unknown(crate::evidence::Unknown),
}

impl Index {
    /// The answer to a door, as in enforce mode. A pure function of the facts and `at`.
    pub fn verdict(&self, question: &Question, at: Timestamp) -> Verdict {
        let mut tally = Tally::default();
        let person = question
            .person
            .as_deref()
            .and_then(|p| self.person_called(p));
        let mut fits: Vec<&Device> = question
            .keys
            .iter()
            .flat_map(|key| self.devices_called(key))
            .collect();
        fits.sort_by_key(|d| d.id);
        fits.dedup_by_key(|d| d.id);
        let one = match fits.as_slice() {
            [device] => Some(device.id),
            _ => None,
        };
        let owner = |device: &Device| device.person.and_then(|p| self.person(p));
        let known = match &question.person {
            Some(_) => person,
            None => fits
                .iter()
                .find_map(|d| owner(d))
                .or_else(|| question.keys.iter().find_map(|key| self.first_with(key))),
        };

        if self.settings.doors_open.is_some() {
            tally.fall_back(Fallback::DoorsOpen, Decision::Allow);
            return tally.finish(known.map(|p| p.id), one);
        }

        for device in &fits {
            // The key is a claim: the device is judged as its owner's and as the asker's.
            let owner = owner(device);
            for holder in [owner, person].into_iter().flatten() {
                self.judge(holder, device, at, &mut tally);
            }
            if let (Some(asker), Some(owner)) = (person, owner)
                && asker.id != owner.id
            {
                self.fall_back(
                    asker,
                    Fallback::UnknownDevice,
                    self.policy.unknown_device,
                    at,
                    &mut tally,
                );
            }
        }
        let is_own = |d: &&Device| person.is_some_and(|p| d.person == Some(p.id));
        let has_own = fits.iter().any(is_own);
        for key in &question.keys {
            // Who is known by another key of theirs needs no name besides.
            if !has_own || self.devices_called(key).next().is_some() {
                self.judge_claim(key, person, at, &mut tally);
            }
        }
        if fits.len() > 1 {
            let decision = match self.policy.ambiguous_key {
                Ambiguous::Strictest => Decision::Allow,
                Ambiguous::Deny => Decision::Deny,
            };
            // Of every candidate: the answer may not hang on which device has the lower number.
            for holder in fits.iter().filter_map(|d| owner(d)).chain(person) {
                self.name_fallback(holder, Fallback::AmbiguousKey, decision, at, &mut tally);
            }
        }
        match person {
            Some(person) if fits.is_empty() && question.keys.is_empty() => {
                self.judge_without_key(person, question.channel, at, &mut tally);
            }
            Some(person) if fits.is_empty() => {
                self.fall_back(
                    person,
                    Fallback::UnknownDevice,
                    self.policy.unknown_device,
                    at,
                    &mut tally,
                );
            }
            Some(_) => {}
            // A device that is nobody's tells no more of who asks than no key at all.
            None if question.person.is_none()
                && !fits.is_empty()
                && fits.iter().all(|d| owner(d).is_some()) => {}
            None => self.judge_stranger(at, &mut tally),
        }
        tally.finish(known.map(|p| p.id), one)
    }

    /// A key that another came with first is judged as that person's too.
    fn judge_claim(
        &self,
        key: &DeviceKey,
        asker: Option<&Person>,
        at: Timestamp,
        tally: &mut Tally,
    ) {
        let first = self.first_with(key);
        let Some(first) = first.filter(|first| asker.is_none_or(|a| a.id != first.id)) else {
            return;
        };
        let mut called = self.devices_called(key).peekable();
        let policy = self.policy.unknown_device;
        if called.peek().is_none() {
            self.fall_back(first, Fallback::UnknownDevice, policy, at, tally);
        }
        called.for_each(|device| self.judge(first, device, at, tally));
        if let Some(asker) = asker {
            self.fall_back(asker, Fallback::UnknownDevice, policy, at, tally);
        }
    }

    /// Whether any order refuses anyone yet: held and observing ones do not.
    pub fn refuses_anyone(&self, at: Timestamp) -> bool {
        self.settings.doors_open.is_none()
            && self.rules.values().any(|rule| {
                soften(Decision::Deny, rule, false).0 == Decision::Deny
                    && self.enforces_for_anyone(rule, at)
            })
    }

    /// A person whose device did not say which one it is.
    fn judge_without_key(
        &self,
        person: &Person,
        channel: Channel,
        at: Timestamp,
        tally: &mut Tally,
    ) {
        let decision = match (channel, self.policy.no_device_key) {
            (Channel::Web, _) | (_, NoKey::Allow) => Decision::Allow,
            (_, NoKey::Warn) => Decision::Warn,
            (_, NoKey::Deny) => Decision::Deny,
            (_, NoKey::Strictest) => {
                let mut strictest = Tally::default();
                for device in self
                    .devices_of(person.id)
                    .filter(|d| scope::carries_mail(d))
                {
                    self.judge(person, device, at, &mut strictest);
                }
                let verdict = strictest.finish(Some(person.id), None);
                for reason in verdict.because {
                    tally.add(reason);
                }
                self.name_fallback(person, Fallback::NoDeviceKey, verdict.decision, at, tally);
                return;
            }
        };
        self.fall_back(person, Fallback::NoDeviceKey, decision, at, tally);
    }

    /// Fallbacks speak only where an order is enforcing for that person; for a stranger, for anyone.
    fn judge_stranger(&self, at: Timestamp, tally: &mut Tally) {
        let enforcing = self
            .rules
            .values()
            .filter(|r| self.enforces_for_anyone(r, at));
        let softest = enforcing
            .map(|r| soften(self.policy.unknown_person, r, false).0)
            .max();
        if let Some(decision) = softest {
            tally.fall_back(Fallback::UnknownPerson, decision);
        }
    }

    /// Answers by a named policy, if an order is enforcing for the person, in the name of that order.
    fn fall_back(
        &self,
        person: &Person,
        fallback: Fallback,
        policy: Decision,
        at: Timestamp,
        tally: &mut Tally,
    ) {
        for (rule, from) in self.enforcing_for(person, at) {
            let (decision, softened) = soften(policy, rule, self.never_refuses(person));
            tally.add(Reason {
                order: rule.order.id,
                title: rule.order.title().to_owned(),
                decision,
                device: None,
                platform: None,
                seen: None,
                fallback: Some(fallback),
                enforce_from: Some(from),
                softened,
                attest: false,
            });
        }
    }

    /// Says which policy spoke where the reasons are given already.
    fn name_fallback(
        &self,
        person: &Person,
        fallback: Fallback,
        decision: Decision,
        at: Timestamp,
        tally: &mut Tally,
    ) {
        for (rule, _) in self.enforcing_for(person, at) {
            tally.fall_back(
                fallback,
                soften(decision, rule, self.never_refuses(person)).0,
            );
        }
    }

    /// The orders that enforce for the person at `at`, whatever is on their devices.
    fn enforcing_for<'a>(
        &'a self,
        person: &'a Person,
        at: Timestamp,
    ) -> impl Iterator<Item = (&'a Rule, Timestamp)> {
        self.rules
            .values()
            .filter_map(move |rule| Some((rule, self.enforces_for(rule, person, at)?)))
    }

    /// Since when the order has been enforcing for the person, if it is at `at`.
    fn enforces_for(&self, rule: &Rule, person: &Person, at: Timestamp) -> Option<Timestamp> {
        rule.order.in_force(at)?;
        if !scope::includes(&rule.order.revision.file, person)
            || self.is_exempt(rule.order.id, Some(person), None, at)
        {
            return None;
        }
        rule.enforces_from(person.id).filter(|from| *from <= at)
    }

    /// Whether the order refuses anyone yet: who was told and has left its scope is no one to it.
    fn enforces_for_anyone(&self, rule: &Rule, at: Timestamp) -> bool {
        if rule
            .order
            .in_force(at)
            .is_none_or(|p| p.comply_by.at() > at)
        {
            return false;
        }
        let enforces = |person: PersonId| {
            self.person(person)
                .is_some_and(|p| self.enforces_for(rule, p, at).is_some())
        };
        if rule.order.revision.file.deadline.enforce_untold {
            let people = self.in_scope_people(&rule.order);
            people.iter().any(|p| enforces(PersonId(p)))
        } else {
            rule.told.keys().any(|p| enforces(*p))
        }
    }

    fn judge(&self, person: &Person, device: &Device, at: Timestamp, tally: &mut Tally) {
        for rule in self.rules.values() {
            if let Some(reason) = self.speak(rule, person, device, at) {
                tally.add(reason);
            }
        }
    }

    /// What one order says of one person's device; `None` where it says nothing.
    pub(super) fn speak(
        &self,
        rule: &Rule,
        person: &Person,
        device: &Device,
        at: Timestamp,
    ) -> Option<Reason> {
        let order = &rule.order;
        order.in_force(at)?;
        if !self.concerns(rule, person, device)
            || self.is_exempt(order.id, Some(person), Some(device), at)
        {
            return None;
        }
        let from = rule.enforces_from(person.id);
        let enforcing = from.is_some_and(|from| from <= at);
        let unknown = &order.revision.file.when_unknown;
        let (decision, seen, fallback, attest) = match self.know(rule, device, at) {
            Known::Absent => return None,
            Known::Present(sighting, app, matched) => {
                let decision = if enforcing {
                    Decision::Deny
                } else {
                    Decision::Warn
                };
                (
                    decision,
                    Some(self.seen(rule, sighting, app, matched)),
                    None,
                    false,
                )
            }
            Known::Unknown(_) if !enforcing => return None,
            Known::Unknown(why) => {
                use crate::evidence::Unknown as U;
                let (policy, fallback) = match why {
                    U::NoReport => (unknown.no_report, Fallback::NoReport),
                    U::Invisible => (unknown.invisible, Fallback::Invisible),
                    U::Stale => (unknown.stale, Fallback::Stale),
                };
                let attested = self
                    .attestations
                    .get(&(order.id, person.id))
                    .is_some_and(|a| a.holds(at, unknown.attest_for));
                let decision = match policy {
                    UnknownPolicy::Allow => Decision::Allow,
                    UnknownPolicy::Warn => Decision::Warn,
                    UnknownPolicy::Attest if attested => Decision::Allow,
                    UnknownPolicy::Attest | UnknownPolicy::Deny => Decision::Deny,
                };
                (
                    decision,
                    None,
                    Some(fallback),
                    policy == UnknownPolicy::Attest && !attested,
                )
            }
        };
        let (decision, softened) = soften(decision, rule, self.never_refuses(person));
        Some(Reason {
            order: order.id,
            title: order.title().to_owned(),
            decision,
            device: Some(device.id),
            platform: Some(device.platform),
            seen,
            fallback,
            enforce_from: from,
            softened,
            attest,
        })
    }

    /// Whether the order is about this person and this kind of device, exemptions left aside.
    pub(super) fn concerns(&self, rule: &Rule, person: &Person, device: &Device) -> bool {
        let file = &rule.order.revision.file;
        scope::includes(file, person) && scope::names(file, device)
    }

    pub(super) fn know<'a>(&self, rule: &'a Rule, device: &'a Device, at: Timestamp) -> Known<'a> {
        let order = &rule.order;
        let acted = strongest(&rule.matches, order, device).filter(|(_, _, m)| order.acts_on(*m));
        match acted {
            Some((sighting, app, matched)) => Known::Present(sighting, app, matched),
            None => match device
                .evidence
                .unknown(device.visibility, order.stale_after().before(at))
            {
                Some(why) => Known::Unknown(why),
                None => Known::Absent,
            },
        }
    }

    fn seen(&self, rule: &Rule, sighting: Sighting<'_>, app: &str, matched: Match) -> Seen {
        let package = self.packages.get(&sighting.app.package);
        let text = package.map(|p| if p.id.is_empty() { &p.name } else { &p.id });
        Seen {
            app: app.to_owned(),
            app_name: rule
                .order
                .revision
                .pins
                .apps
                .get(app)
                .cloned()
                .unwrap_or_else(|| app.to_owned()),
            package_id: text.cloned().unwrap_or_default(),
            version: sighting.app.version.clone(),
            seen_at: sighting.report.seen_at,
            source: sighting.report.source.clone(),
            visibility: sighting.report.visibility,
            matched,
        }
    }

    pub(super) fn is_exempt(
        &self,
        order: OrderId,
        person: Option<&Person>,
        device: Option<&Device>,
        at: Timestamp,
    ) -> bool {
        self.exemptions
            .values()
            .any(|e| e.concerns(order) && e.active(at) && e.covers(person, device))
    }

    fn never_refuses(&self, person: &Person) -> bool {
        scope::in_any(person, &self.policy.never_refuse_groups)
    }
}

/// The surest sighting of an app of the order, and of equally sure ones the newest.
pub(super) fn strongest<'a>(
    matches: &'a std::collections::BTreeMap<crate::id::PackageNo, PackageMatch>,
    order: &crate::order::Order,
    device: &'a Device,
) -> Option<(Sighting<'a>, &'a str, Match)> {
    let platform = device.platform as usize;
    device
        .evidence
        .each_sighting()
        .filter_map(|sighting| {
            let (app, matched) = matches
                .get(&sighting.app.package)?
                .get(platform)?
                .as_ref()?;
            let matched = order
                .revision
                .pins
                .with_version(app, *matched, &sighting.app.version)?;
            Some((sighting, app.as_str(), matched))
        })
        .min_by(|a, b| {
            let key = |(s, app, m): &(Sighting<'a>, &'a str, Match)| {
                (
                    *m,
                    std::cmp::Reverse(s.report.seen_at),
                    app.to_owned(),
                    s.app.package,
                )
            };
            key(a).cmp(&key(b))
        })
}

/// A held or observing order, and people who are never refused, turn a refusal into a warning.
fn soften(decision: Decision, rule: &Rule, never_refuse: bool) -> (Decision, Option<Softened>) {
    let why = if rule.order.is_held() {
        Softened::Held
    } else if rule.order.revision.file.observe {
        Softened::Observe
    } else if never_refuse {
        Softened::NeverRefuse
    } else {
        return (decision, None);
    };
    if decision == Decision::Deny {
        (Decision::Warn, Some(why))
    } else {
        (decision, None)
    }
}

impl Rule {
    pub(super) fn enforces_from(&self, person: PersonId) -> Option<Timestamp> {
        let listed = self
            .order
            .published()
            .is_some_and(|p| p.approval.audience.0.contains(person.0));
        self.order
            .enforces_from(listed, self.told.get(&person).copied())
    }
}
