//! Verdicts: the words in which Countermand answers a door, and why.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::fleet::{DeviceKey, Visibility, words};
use crate::id::{DeviceId, OrderId, PersonId};
use crate::order::Match;
use crate::platform::Platform;

words!(
    /// The answer to a door, from lenient to strict.
    Decision, "decision" { Allow = "allow", Warn = "warn", Deny = "deny" }
);

words!(
    /// The way in that asks. Not to be taken for a channel at which an order is announced: those are
    /// recipients (`notice::channel`).
    Channel, "channel" {
        Activesync = "activesync", Imap = "imap", Pop3 = "pop3", Submission = "submission", Web = "web",
    }
);

words!(
    /// What decided where a fact was missing.
    Fallback, "fallback" {
        NoReport = "no_report",
        Invisible = "invisible",
        Stale = "stale",
        NoDeviceKey = "no_device_key",
        UnknownDevice = "unknown_device",
        UnknownPerson = "unknown_person",
        AmbiguousKey = "ambiguous_key",
        DoorsOpen = "doors_open",
    }
);

/// What a door asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The address or login that the door authenticated.
    pub person: Option<String>,
    /// Every key of the device that the door saw.
    pub keys: Vec<DeviceKey>,
    pub channel: Channel,
}

/// The named policies for what a door can't know. `strictest` of the devices that fit is always
/// the answer to an ambiguous key: anything else would let a clone open a door (invariant 5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatePolicy {
    pub unknown_person: Decision,
    pub unknown_device: Decision,
    pub ambiguous_key: Ambiguous,
    pub no_device_key: NoKey,
    pub never_refuse_groups: Vec<String>,
}

words!(
    /// What an ambiguous key gets.
    Ambiguous, "value of gate.ambiguous_key" { Strictest = "strictest", Deny = "deny" }
);
words!(
    /// What a person without any device key gets.
    NoKey, "value of gate.no_device_key" { Strictest = "strictest", Allow = "allow", Warn = "warn", Deny = "deny" }
);

impl Default for GatePolicy {
    fn default() -> Self {
        GatePolicy {
            unknown_person: Decision::Allow,
            unknown_device: Decision::Deny,
            ambiguous_key: Ambiguous::Strictest,
            no_device_key: NoKey::Strictest,
            never_refuse_groups: Vec::new(),
        }
    }
}

/// Why an order that would refuse does not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Softened {
    Held,
    Observe,
    NeverRefuse,
}

/// What was seen.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Seen {
    pub app: String,
    pub app_name: String,
    /// As the source wrote it; its name for the app where it gives no id.
    pub package_id: String,
    pub version: String,
    pub seen_at: Timestamp,
    pub source: String,
    pub visibility: Visibility,
    pub matched: Match,
}

/// One order's part in a verdict.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reason {
    pub order: OrderId,
    pub title: String,
    pub decision: Decision,
    pub device: Option<DeviceId>,
    pub platform: Option<Platform>,
    /// What was seen, or else the fallback that spoke for want of it.
    pub seen: Option<Seen>,
    pub fallback: Option<Fallback>,
    /// Since when (or from when on) the order refuses this person; `None` for the untold.
    pub enforce_from: Option<Timestamp>,
    pub softened: Option<Softened>,
    /// True where the person's own word would open the door.
    pub attest: bool,
}

/// The whole answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Verdict {
    pub decision: Decision,
    /// Every order that warns or refuses, strictest first, then by order and device.
    pub because: Vec<Reason>,
    /// The named policy that decided where a fact was missing, if one did.
    pub fallback: Option<Fallback>,
    pub person: Option<PersonId>,
    /// The device, where the keys fit exactly one.
    pub device: Option<DeviceId>,
}

/// Collects the parts of a verdict; the strictest wins, whatever their order (invariant 3).
#[derive(Debug)]
pub struct Tally {
    decision: Decision,
    because: Vec<Reason>,
    fallback: Option<(Decision, Fallback)>,
}

impl Default for Tally {
    fn default() -> Self {
        Tally {
            decision: Decision::Allow,
            because: Vec::new(),
            fallback: None,
        }
    }
}

impl Tally {
    /// A named policy spoke.
    pub fn fall_back(&mut self, fallback: Fallback, decision: Decision) {
        self.decision = self.decision.max(decision);
        let better = match self.fallback {
            None => true,
            Some((d, f)) => decision > d || (decision == d && fallback > f),
        };
        if better {
            self.fallback = Some((decision, fallback));
        }
    }

    /// An order spoke.
    pub fn add(&mut self, reason: Reason) {
        self.decision = self.decision.max(reason.decision);
        if let Some(fallback) = reason.fallback {
            self.fall_back(fallback, reason.decision);
        }
        if reason.decision > Decision::Allow && !self.because.contains(&reason) {
            self.because.push(reason);
        }
    }

    pub fn finish(mut self, person: Option<PersonId>, device: Option<DeviceId>) -> Verdict {
        self.because.sort_by(|a, b| {
            (b.decision, a.order, a.device, a.fallback)
                .cmp(&(a.decision, b.order, b.device, b.fallback))
        });
        Verdict {
            decision: self.decision,
            because: self.because,
            fallback: self.fallback.map(|(_, f)| f),
            person,
            device,
        }
    }
}

impl Verdict {
    /// What stays the same as long as a person is refused for the same cause; the reference that
    /// the helpdesk looks up is made from it. Where it is not certain that it was the person, it is another
    /// cause: what is certain later must not pass for a repeat.
    pub fn fingerprint(&self, question: &Question, certain: bool) -> u64 {
        use sha2::{Digest, Sha256};
        let mut hash = Sha256::new();
        hash.update(format!(
            "{:?}\t{:?}\t{:?}",
            self.decision, self.person, self.fallback
        ));
        if !certain {
            hash.update("\tsomebody");
        }
        match self.person {
            Some(_) => {}
            None => hash.update(question.person.as_deref().unwrap_or("")),
        }
        for key in &question.keys {
            hash.update(format!("\t{}", key.canonical()));
        }
        for reason in self.because.iter().filter(|r| r.decision == self.decision) {
            hash.update(format!("\t{}\t{:?}", reason.order, reason.device));
            if let Some(seen) = &reason.seen {
                hash.update(format!("\t{}\t{}", seen.app, seen.package_id));
            }
        }
        let bytes = hash.finalize();
        bytes
            .iter()
            .take(8)
            .fold(0, |n, b| (n << 8) | u64::from(*b))
    }

    /// The reason that decided, for the line a refused person reads: of the strictest reasons one
    /// with evidence, since a milder order's app is no remedy. `None` where a fallback alone decided.
    pub fn foremost(&self) -> Option<&Reason> {
        let mut deciding = self.because.iter().filter(|r| r.decision == self.decision);
        let first = deciding.clone().next();
        deciding.find(|r| r.seen.is_some()).or(first)
    }

    /// One line for the person: why, and what to do (invariant 2). No control characters.
    pub fn line(&self, reference: &str) -> String {
        let refused = self.decision == Decision::Deny;
        let Some(reason) = self.foremost() else {
            return match self.fallback {
                Some(f) if self.decision > Decision::Allow => {
                    format!(
                        "{} Ask the helpdesk and give the reference {reference}.",
                        missing(f)
                    )
                }
                _ => "Mail is open to this device.".to_owned(),
            };
        };
        let device = match reason.platform {
            Some(Platform::Ios | Platform::Android) => "phone or tablet",
            _ => "device",
        };
        let text = match (&reason.seen, reason.fallback) {
            (Some(seen), _) => {
                let app = &seen.app_name;
                let what = match (refused, reason.enforce_from) {
                    (true, _) => format!("Remove {app}, then mail works again at the next try."),
                    (false, _) if reason.softened.is_some() => {
                        "Mail stays open for now.".to_owned()
                    }
                    (false, Some(from)) => format!(
                        "Mail works; from {} on it does not, until {app} is removed.",
                        from.strftime("%-d %b %Y %H:%M UTC")
                    ),
                    (false, None) => format!("Mail works; please remove {app} all the same."),
                };
                format!(
                    "{app} is on this {device}, and devices that read company mail may not have it. {what}"
                )
            }
            (None, Some(f)) if reason.attest => {
                format!(
                    "{} Confirm that the app of the order «{}» is gone, then try again.",
                    missing(f),
                    reason.title
                )
            }
            (None, Some(f @ Fallback::UnknownDevice)) => format!(
                "{} The order «{}» is in force. Enrol it, or say that it is yours: a mail about it tells how. Ask the helpdesk if neither works.",
                missing(f),
                reason.title
            ),
            (None, f) => format!(
                "{} The order «{}» is in force. Ask the helpdesk to have this device recognised.",
                f.map_or("Something about this device is not known.", missing),
                reason.title
            ),
        };
        format!(
            "{} Reference {reference}.",
            text.replace(|c: char| c.is_control(), " ")
        )
    }
}

fn missing(fallback: Fallback) -> &'static str {
    match fallback {
        Fallback::NoReport => "No report of the apps on this device has come in.",
        Fallback::Invisible => "The apps on this device can't be seen.",
        Fallback::Stale => "The last report of the apps on this device is too old.",
        Fallback::NoDeviceKey => "The device did not say which one it is.",
        Fallback::UnknownDevice => "This device is not known.",
        Fallback::UnknownPerson => "This login is not known.",
        Fallback::AmbiguousKey => "More than one device goes by this name.",
        Fallback::DoorsOpen => "All doors are open.",
    }
}
