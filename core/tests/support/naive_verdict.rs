//! From a question to a verdict, by loops.

use countermand_core::evidence::Unknown;
use countermand_core::fleet::{FormFactor, Person};
use countermand_core::order::file::UnknownPolicy;
use countermand_core::verdict::{
    Ambiguous, Channel, Decision, Fallback, NoKey, Question, Reason, Seen, Softened, Verdict,
};
use jiff::Timestamp;

use super::naive::{DeviceLife, Known, Naive, OrderLife, Stage, are_one_key, plus};

impl Naive {
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
    pub(super) fn speak(
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

    /// Whose the key is by its first use at a door, where no device goes by it, or one that is nobody's.
    pub fn first_with(&self, key: &str) -> Option<&Person> {
        let called = || self.devices.values().filter(|d| d.is_called(key));
        if called().count() > 0 && called().filter(|d| d.person.is_none()).count() == 0 {
            return None;
        }
        let first = self.claims.iter().find(|(_, k)| are_one_key(k, key))?;
        self.people.get(&first.0.0)
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
            None => owners.first().copied().or_else(|| {
                let mut keys = question.keys.iter();
                keys.find_map(|key| self.first_with(key.as_str()))
            }),
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
            let has_own = fits
                .iter()
                .any(|d| asker.is_some_and(|a| d.person == Some(a.id)));
            for key in &question.keys {
                let called: Vec<&DeviceLife> = self
                    .devices
                    .values()
                    .filter(|d| d.is_called(key.as_str()))
                    .collect();
                if has_own && called.is_empty() {
                    continue;
                }
                let Some(first) = self.first_with(key.as_str()) else {
                    continue;
                };
                if asker.is_some_and(|a| a.id == first.id) {
                    continue;
                }
                // It opens nothing that the first would not open, nor what an unknown device would not.
                for device in &called {
                    for order in &self.orders {
                        reasons.extend(self.speak(order, first, device, at));
                    }
                }
                let unknown_to = Some(first).filter(|_| called.is_empty());
                for holder in unknown_to.into_iter().chain(asker) {
                    let policy = self.policy.unknown_device;
                    reasons.extend(self.for_want_of_device(
                        holder,
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
                    if self
                        .people
                        .values()
                        .any(|p| self.enforcing_for(order, p, at))
                    {
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
}
