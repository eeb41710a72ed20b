//! Orders in words: their state, and the rule as sentences.

use countermand_core::duration::Length;
use countermand_core::order::file::{UnknownPolicy, Weak};
use countermand_core::order::when::for_people;
use countermand_core::order::{Order, State};
use countermand_core::platform::Platform;
use jiff::Timestamp;

use crate::web::pages::{Pill, Pinned, Rule, Situation, Tone};

use super::comply_by;

pub(super) fn situation(order: &Order, at: Timestamp) -> Situation {
    match &order.state {
        State::Draft { .. } => Situation::Draft,
        State::InReview { .. } => Situation::InReview,
        State::Approved(_) => Situation::Approved,
        State::Published(_) | State::Held { .. } if order.has_expired(at) => Situation::Over,
        State::Published(_) if order.stop().is_some() => Situation::Stopped,
        State::Published(_) => Situation::Published,
        State::Held { .. } => Situation::Held,
        State::Retracted { .. } => Situation::Over,
    }
}

/// Past its deadline, and neither held nor over: it may refuse.
pub(super) fn is_enforcing(order: &Order, at: Timestamp) -> bool {
    order.in_force(at).is_some() && !order.is_held() && comply_by(order).at() <= at
}

pub(super) fn pill(order: &Order, at: Timestamp, zone: &str) -> Pill {
    match &order.state {
        State::Draft { sent_back: Some(_) } => Pill::new(Tone::Warn, "Sent back"),
        State::Draft { .. } => Pill::new(Tone::Quiet, "Draft"),
        State::InReview { .. } => Pill::new(Tone::Plain, "In review"),
        State::Approved(_) => Pill::new(Tone::Plain, "Approved"),
        State::Retracted { retraction, .. } => Pill::new(
            Tone::Warn,
            format!("Retracted {}", for_people(retraction.at, zone)),
        ),
        _ if order.has_expired(at) => Pill::new(Tone::Quiet, "Expired"),
        State::Held { .. } => Pill::new(Tone::Warn, "On hold"),
        State::Published(_) if order.stop().is_some() => {
            let (tone, refuses) = match is_enforcing(order, at) && !order.revision.file.observe {
                true => (Tone::Deny, "Enforcing"),
                false => (Tone::Warn, "Published"),
            };
            Pill::live(tone, format!("{refuses}, notices stopped"))
        }
        State::Published(_) if is_enforcing(order, at) && order.revision.file.observe => {
            Pill::live(Tone::Plain, "In force, only counting")
        }
        State::Published(_) if is_enforcing(order, at) => Pill::live(Tone::Deny, "Enforcing"),
        State::Published(_) => Pill::live(Tone::Plain, "Published"),
    }
}

fn list(words: &[String], join: &str) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} {join} {last}", most.join(", ")),
    }
}

/// `one hour`, `14 days`
fn span(length: Length) -> String {
    let seconds = length.as_seconds();
    let of = |n: i64, unit: &str| {
        if n == 1 {
            format!("one {unit}")
        } else {
            format!("{n} {unit}s")
        }
    };
    match seconds {
        s if s % 86_400 == 0 => of(s / 86_400, "day"),
        s if s % 3_600 == 0 => of(s / 3_600, "hour"),
        s if s % 60 == 0 => of(s / 60, "minute"),
        s => of(s, "second"),
    }
}

fn policy(policy: UnknownPolicy) -> &'static str {
    match policy {
        UnknownPolicy::Allow => "let in",
        UnknownPolicy::Warn => "let in with a warning",
        UnknownPolicy::Attest => "refused until its person says that the app is gone",
        UnknownPolicy::Deny => "refused",
    }
}

pub(super) fn platform(name: &str) -> &'static str {
    match name.parse() {
        Ok(Platform::Ios) => "iOS and iPadOS",
        Ok(Platform::Android) => "Android",
        Ok(Platform::Macos) => "macOS",
        Ok(Platform::Windows) => "Windows",
        Ok(Platform::Linux) => "Linux",
        Err(_) => "Other",
    }
}

pub(super) fn rule(order: &Order, zone: &str) -> Rule {
    let file = &order.revision.file;
    let pins = &order.revision.pins;
    let forms: Vec<String> = file.forbid.on.iter().map(|f| format!("a {f}")).collect();
    let mut people = format!("people in {}", list(&file.audience.groups, "and"));
    if !file.audience.except_groups.is_empty() {
        people.push_str(&format!(
            " except those in {}",
            list(&file.audience.except_groups, "and")
        ));
    }
    let mut sentences = vec![format!(
        "{} may not be on {} that reads mail, for {people}.",
        pins.in_words(),
        list(&forms, "or")
    )];
    for (app, range) in &pins.versions {
        let name = pins.apps.get(app).unwrap_or(app);
        sentences.push(format!("Of {name}, only the versions {range} are meant."));
    }
    if !file.allow.web_on.is_empty() {
        let forms: Vec<String> = file.allow.web_on.iter().map(|f| format!("a {f}")).collect();
        sentences.push(format!(
            "In the browser of {} it stays allowed.",
            list(&forms, "or")
        ));
    }
    sentences.push(format!(
        "It refuses from {} on, and nobody sooner than {} after they were told ({} for who was not on the list).",
        for_people(comply_by(order).at(), zone),
        span(file.deadline.min_notice),
        span(file.deadline.late_grace)
    ));
    if file.deadline.enforce_untold {
        sentences.push("It refuses people who could not be told, too.".to_owned());
    }
    let unknown = &file.when_unknown;
    sentences.push(format!(
        "After that, a device whose apps can't be seen is {}; one that never reported is {}; one whose last report is older than {} is {}.",
        policy(unknown.invisible),
        policy(unknown.no_report),
        span(unknown.stale_after),
        policy(unknown.stale)
    ));
    sentences.push(
        match file.forbid.weak {
            Weak::Show => "Weak matches (by name, by a single source's id, by an extended id) are shown and refuse nothing.",
            Weak::Enforce => "Weak matches (by name, by a single source's id, by an extended id) count like strong ones.",
        }
        .to_owned(),
    );
    if !file.announce.channels.is_empty() {
        sentences.push(format!(
            "It is announced for everyone who reads in {}, and so is its correction.",
            list(&file.announce.channels, "and")
        ));
    }
    if let Some(expires) = &file.expires {
        sentences.push(format!(
            "It ends by itself on {}.",
            for_people(expires.at(), zone)
        ));
    }
    let pinned = pins
        .ids
        .iter()
        .map(|pin| Pinned {
            app: pins.apps.get(&pin.app).unwrap_or(&pin.app).clone(),
            platform: platform(pin.platform.as_str()).to_owned(),
            package_id: pin.id.clone(),
            confidence: format!("{:?}", pin.confidence),
        })
        .collect();
    Rule {
        sentences,
        pinned,
        catalogue: format!("catalogue {}", pins.catalogue),
    }
}
