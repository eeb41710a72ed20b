//! From what a door asks to what it is told.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use countermand_core::change::Refusal;
use countermand_core::fleet::{DeviceKey, KeyKind};
use countermand_core::id::{PersonId, refusal_ref};
use countermand_core::index::{Index, Mode};
use countermand_core::verdict::{Channel, Decision, Fallback, Question, Reason, Verdict};
use jiff::Timestamp;
use serde_json::json;

use super::metrics::Answered;
use super::record::Cause;
use super::{Gate, Route};

/// What a door asks.
#[derive(Clone, Debug)]
pub struct Asked {
    pub question: Question,
    /// Whether somebody who checked it stands for the person. Where nobody does, the name is only a
    /// claim, and the answer must not tell what is on that person's devices (invariant 37).
    pub vouched: bool,
    /// The request could not be read for certain. What is known of it stands in the question.
    pub garbled: bool,
}

impl Asked {
    /// A key that is none makes the whole question one that can't be read for certain.
    pub(super) fn of(
        person: Option<String>,
        keys: &[String],
        channel: Channel,
        vouched: bool,
    ) -> Asked {
        let keys: Result<Vec<_>, _> = keys.iter().map(|key| key.parse()).collect();
        Asked {
            garbled: keys.is_err(),
            question: Question {
                person,
                keys: keys.unwrap_or_default(),
                channel,
            },
            vouched,
        }
    }

    /// Nothing of it can be read.
    pub(super) fn unreadable(channel: Channel) -> Asked {
        Asked {
            question: Question {
                person: None,
                keys: Vec::new(),
                channel,
            },
            vouched: false,
            garbled: true,
        }
    }
}

/// A verdict as the door is told it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What the door does: `Allow` in observe mode, whatever the verdict.
    pub decision: Decision,
    pub verdict: Verdict,
    /// Given where the verdict is not to let in.
    pub reference: Option<String>,
    /// Why and what to do, in one line of ASCII.
    pub line: String,
    /// Whether who asks may see what was found.
    pub personal: bool,
    /// Whether an app was seen on a device of the person's own.
    pub seen_on_own: bool,
    fingerprint: u64,
    /// Whose facts said so, where there is no database.
    installation: Option<Arc<str>>,
}

#[derive(Clone, Debug)]
pub enum Outcome {
    Answer(Box<Answer>),
    /// And why, in one line of ASCII: the door does as its own configuration says.
    NoVerdict(String),
}

impl Answer {
    pub(super) fn open(verdict: Verdict) -> Self {
        Answer {
            decision: Decision::Allow,
            verdict,
            reference: None,
            line: "Mail is open to this device.".to_owned(),
            personal: false,
            seen_on_own: false,
            fingerprint: 0,
            installation: None,
        }
    }

    /// The view is too old, and when it was fresh nobody was to be refused.
    fn open_unseen() -> Self {
        Answer {
            line: "Mail is open to this device: no order was enforcing when the facts were last known.".to_owned(),
            ..Answer::open(nothing())
        }
    }
}

impl Gate {
    /// Asks as a door would, without a wire between: whether it lets in, and what the person reads.
    pub async fn ask(&self, question: Question) -> (bool, String) {
        let asked = Asked {
            question,
            vouched: true,
            garbled: false,
        };
        match self.answer(Route::Http, &asked, Instant::now()).await.0 {
            Outcome::Answer(answer) => (answer.decision < Decision::Deny, answer.line),
            Outcome::NoVerdict(_) => (false, "There is no verdict just now.".to_owned()),
        }
    }

    /// The answer, counted and, where it refuses, on record. Never waits for the database longer than
    /// the recorder's patience.
    pub(super) async fn answer(
        &self,
        route: Route,
        asked: &Asked,
        began: Instant,
    ) -> (Outcome, Duration) {
        let now = self.clock.now();
        let age = self.live.age(now);
        let mut outcome = self.judge(asked, now, age);
        if asked.garbled {
            self.metrics.unreadable.inc();
        }
        if let Outcome::Answer(answer) = &outcome
            && answer.decision == Decision::Deny
        {
            let verdict = &answer.verdict;
            let cause = Cause {
                fingerprint: answer.fingerprint,
                at: now,
                nameless: verdict.device.is_none() || verdict.person.is_none(),
                installation: answer.installation.clone(),
            };
            let refused = self.recorder.refused(cause, || {
                let claims = self.claims(&asked.question, verdict.person);
                refusal(route, asked, answer, &claims, now, age)
            });
            if !refused.await {
                outcome = Outcome::NoVerdict(UNKEPT.to_owned());
            }
        }
        let answered = match &outcome {
            Outcome::NoVerdict(_) => Answered::NoVerdict,
            Outcome::Answer(answer) => {
                let observing = answer.decision == Decision::Allow;
                Answered::of(answer.verdict.decision, observing)
            }
        };
        self.note_claims(asked, now);
        let channel = asked.question.channel;
        self.metrics
            .count(route, channel, answered, now, began.elapsed());
        (outcome, age)
    }

    /// Keys that another person came with first, and who that was.
    fn claims(&self, question: &Question, person: Option<PersonId>) -> Vec<(DeviceKey, String)> {
        let view = self.live.view();
        let first = |key: &DeviceKey| {
            let first = view.first_with(key).filter(|p| Some(p.id) != person)?;
            Some((key.clone(), first.email.clone()))
        };
        question.keys.iter().filter_map(first).collect()
    }

    /// Keeps which device keys somebody came with, where a door vouches that it was them: anybody could
    /// make up the others.
    fn note_claims(&self, asked: &Asked, now: Timestamp) {
        if !asked.vouched || asked.garbled {
            return;
        }
        let (installation, fresh) = {
            let view = self.live.view();
            (view.installation(), view.new_claims(&asked.question))
        };
        if let Some((person, keys)) = fresh {
            self.recorder.claimed(installation, person, keys, now);
        }
    }

    /// Whether too little is known for a verdict.
    pub(super) fn is_too_old(&self, now: Timestamp, age: Duration) -> bool {
        age == Duration::MAX || self.config.max_view_age.after(now - age) < now
    }

    /// The answer by the index alone.
    pub(super) fn judge(&self, asked: &Asked, now: Timestamp, age: Duration) -> Outcome {
        if age == Duration::MAX {
            return Outcome::NoVerdict(too_old(age));
        }
        let view = self.live.view();
        let observing = view.settings().mode == Mode::Observe;
        let fresh_at = now - age;
        if self.is_too_old(now, age) {
            // What has been decided since is unknown. A door whose last view had nobody to refuse
            // stays open; for any other its owner has said what it does.
            return if observing || !enforces(&view, was_of(&view, fresh_at)) {
                Outcome::Answer(Box::new(Answer::open_unseen()))
            } else {
                Outcome::NoVerdict(too_old(age))
            };
        }
        let verdict = if asked.garbled {
            self.verdict_on_garbled(&view, &asked.question, now)
        } else {
            view.verdict(&asked.question, now)
        };
        if verdict.decision == Decision::Allow {
            return Outcome::Answer(Box::new(Answer::open(verdict)));
        }
        let owner = |r: &Reason| view.device(r.device?).and_then(|d| d.person);
        let seen_on_own = verdict.person.is_some()
            && verdict
                .because
                .iter()
                .any(|r| r.seen.is_some() && owner(r) == verdict.person);
        // A device key is a claim too: whoever names another's device learns nothing about it.
        let is_anothers = |person| view.is_anothers(&asked.question, person);
        let personal = asked.vouched
            && !verdict.person.is_some_and(is_anothers)
            && verdict
                .because
                .iter()
                .filter_map(|r| view.device(r.device?))
                .all(|d| d.person == verdict.person);
        let installation = view.installation();
        drop(view);
        let fingerprint = verdict.fingerprint(&asked.question, is_certain(asked, seen_on_own));
        let reference = refusal_ref(fingerprint);
        let answer = Answer {
            decision: if observing {
                Decision::Allow
            } else {
                verdict.decision
            },
            line: match (observing, personal) {
                (true, _) => "Mail is open to this device.".to_owned(),
                (false, true) => ascii(&verdict.line(&reference)),
                (false, false) => self.general_line(verdict.decision, &reference),
            },
            reference: (!observing).then_some(reference),
            personal,
            seen_on_own,
            verdict,
            fingerprint,
            installation,
        };
        Outcome::Answer(Box::new(answer))
    }

    /// Nobody gains by a request that we read one way and the mail server another, so it is judged
    /// as coming from an unknown device of the person, or of whomever the stricter policy is for.
    fn verdict_on_garbled(&self, view: &Index, question: &Question, now: Timestamp) -> Verdict {
        let known = question
            .person
            .as_deref()
            .and_then(|p| view.person_called(p));
        if known.is_some() {
            let question = Question {
                keys: UNREADABLE.clone().into_iter().collect(),
                ..question.clone()
            };
            return view.verdict(&question, now);
        }
        let mut verdict = view.verdict(&anyone(), now);
        if verdict.fallback == Some(Fallback::UnknownPerson) {
            // As for every refusal: an order that is held or observes only warns.
            let most = if view.refuses_anyone(now) {
                Decision::Deny
            } else {
                Decision::Warn
            };
            verdict.decision = verdict
                .decision
                .max(view.policy().unknown_device)
                .min(most.max(verdict.decision));
        }
        verdict
    }

    /// What may be told to whoever claims to be somebody.
    fn general_line(&self, decision: Decision, reference: &str) -> String {
        ascii(&match decision {
            Decision::Deny => format!(
                "Mail is closed to this device for now. Ask the helpdesk why, and what to do; the reference is {reference}."
            ),
            _ => format!(
                "An order about apps on devices that read mail may concern this device. Your mail has a notice if it does. Reference {reference}."
            ),
        })
    }
}

/// A key that no device has, for it is no name that a phone could send.
static UNREADABLE: std::sync::LazyLock<Option<DeviceKey>> =
    std::sync::LazyLock::new(|| DeviceKey::new(KeyKind::Eas, "\u{fffd}").ok());

/// The question that shows whether an order is enforcing for anyone: only then a stranger's fallback
/// speaks.
fn anyone() -> Question {
    Question {
        person: None,
        keys: Vec::new(),
        channel: Channel::Web,
    }
}

/// Why nobody is refused whose refusal nothing would keep: no helpdesk would find it, and no retraction correct
/// its person.
const UNKEPT: &str =
    "No verdict: it would be a refusal, and no more of them can be put on record just now.";

/// Why a door is left to its own configuration.
fn too_old(age: Duration) -> String {
    match age {
        Duration::MAX => "No verdict: there is no view of the facts yet.".to_owned(),
        age => format!(
            "No verdict: the facts were last known {} s ago, which is longer than max_view_age, and an order was enforcing then.",
            age.as_secs()
        ),
    }
}

/// Of which time a view is that is known to have been current at `fresh_at`: of no earlier one than its
/// youngest publication, whatever another machine's clock says.
fn was_of(view: &Index, fresh_at: Timestamp) -> Timestamp {
    let standing = view.orders().filter_map(|order| order.standing());
    let published = standing.map(|published| published.at);
    published.fold(fresh_at, Timestamp::max)
}

fn enforces(view: &Index, at: Timestamp) -> bool {
    view.refuses_anyone(at)
}

/// The verdict where none was looked for.
pub(super) fn nothing() -> Verdict {
    Verdict {
        decision: Decision::Allow,
        because: Vec::new(),
        fallback: None,
        person: None,
        device: None,
    }
}

/// What is written down: enough to tell later what was known then.
fn refusal(
    route: Route,
    asked: &Asked,
    answer: &Answer,
    claims: &[(DeviceKey, String)],
    at: Timestamp,
    age: Duration,
) -> Refusal {
    let verdict = &answer.verdict;
    let claims: Vec<_> = claims
        .iter()
        .map(|(key, first)| json!({ "key": key, "first_with": first }))
        .collect();
    let orders: BTreeSet<_> = verdict
        .because
        .iter()
        .filter(|r| r.decision == Decision::Deny)
        .map(|r| r.order)
        .collect();
    let known = json!({
        "door": route.as_str(),
        "question": {
            "person": asked.question.person,
            "keys": asked.question.keys,
            "channel": asked.question.channel,
            "vouched": asked.vouched,
            "readable": !asked.garbled,
        },
        "verdict": verdict,
        "claims": claims,
        "view_age_seconds": age.as_secs_f64(),
    });
    Refusal {
        fingerprint: answer.fingerprint,
        at,
        person: verdict.person,
        orders,
        certain: is_certain(asked, answer.seen_on_own),
        missing: missing(answer),
        known: known.to_string(),
    }
}

/// Anybody can name a person and make up a device. Only what is vouched for, or was seen on a device of the
/// person's own, earns that person a notice of it.
fn is_certain(asked: &Asked, seen_on_own: bool) -> bool {
    asked.vouched || seen_on_own
}

/// What decided where a fact was missing. Of an app that was seen on a device of theirs the person is told
/// that, unless it is not known whether it was that device.
fn missing(answer: &Answer) -> Option<Fallback> {
    let one_of_several = |f: &Fallback| matches!(f, Fallback::NoDeviceKey | Fallback::AmbiguousKey);
    let missing = answer.verdict.fallback;
    missing.filter(|f| !answer.seen_on_own || one_of_several(f))
}

/// One line that fits a header and an IMAP response: both are ASCII.
fn ascii(text: &str) -> String {
    let plain = |c: char| match c {
        '«' | '»' | '“' | '”' | '„' => '"',
        '‘' | '’' | '‚' => '\'',
        '–' | '—' => '-',
        ' '..='~' => c,
        c if c.is_whitespace() || c.is_control() => ' ',
        _ => '?',
    };
    text.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_ascii_without_breaks() {
        assert_eq!(
            ascii("«TikTok» — 抖音\r\nX-Forged: 1"),
            "\"TikTok\" - ??  X-Forged: 1"
        );
    }
}
