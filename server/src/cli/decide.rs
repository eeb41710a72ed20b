//! `decide`: what a door would be told.

use clap::{Args, ValueHint};
use countermand_core::fleet::DeviceKey;
use countermand_core::order::when::When;
use countermand_core::verdict::{Channel, Decision, Fallback, Question, Reason, Softened};
use jiff::Timestamp;
use serde::Serialize;

use super::{Exit, Place, Result, print};
use crate::app::decide::Decided;

/// Tell what a door would be told, as in enforce mode; ends with status 3 for deny
#[derive(Debug, Args)]
#[command(
    after_help = "Example: countermand decide --user eve@example.test --device eas:DEV7F3A --at 2020-07-11T09:00:00Z"
)]
pub struct Decide {
    /// The login that the door has authenticated
    #[arg(long, value_name = "EMAIL", value_hint = ValueHint::EmailAddress)]
    user: String,
    /// A device key, such as eas:DEV7F3A or mdm:csv:42; may be given more than once
    #[arg(long, value_name = "KEY")]
    device: Vec<DeviceKey>,
    /// The way in: activesync, imap, pop3, submission or web
    #[arg(long, value_name = "CHANNEL", default_value_t = Channel::Activesync)]
    channel: Channel,
    /// The moment, as RFC 3339 with or without [Zone]; now, if absent
    #[arg(long, value_name = "TIME")]
    at: Option<When>,
}

#[derive(Serialize)]
struct Document<'a> {
    decision: Decision,
    because: Vec<Because<'a>>,
    fallback: Option<Fallback>,
    person: Option<&'a str>,
    device: Option<&'a str>,
    #[serde(rename = "ref")]
    reference: Option<&'a str>,
    at: Timestamp,
    /// What the person would read.
    line: String,
}

#[derive(Serialize)]
struct Because<'a> {
    order: String,
    title: &'a str,
    decision: Decision,
    app: Option<&'a str>,
    app_name: Option<&'a str>,
    package_id: Option<&'a str>,
    version: Option<&'a str>,
    seen_at: Option<Timestamp>,
    source: Option<&'a str>,
    /// From when on the order refuses this person; null for the untold.
    enforce_from: Option<Timestamp>,
    fallback: Option<Fallback>,
    softened: Option<Softened>,
    /// Whether the person's own word would open the door.
    attest: bool,
}

impl<'a> Because<'a> {
    fn of(reason: &'a Reason) -> Because<'a> {
        let seen = reason.seen.as_ref();
        Because {
            order: reason.order.to_string(),
            title: &reason.title,
            decision: reason.decision,
            app: seen.map(|s| s.app.as_str()),
            app_name: seen.map(|s| s.app_name.as_str()),
            package_id: seen.map(|s| s.package_id.as_str()),
            version: seen.map(|s| s.version.as_str()),
            seen_at: seen.map(|s| s.seen_at),
            source: seen.map(|s| s.source.as_str()),
            enforce_from: reason.enforce_from,
            fallback: reason.fallback,
            softened: reason.softened,
            attest: reason.attest,
        }
    }
}

impl Decide {
    pub async fn run(self, place: &Place) -> Result<Exit> {
        let open = place.open().await?;
        let question = Question {
            person: Some(self.user),
            keys: self.device,
            channel: self.channel,
        };
        let at = self.at.map_or_else(|| open.app.now(), |when| when.at());
        let decided = open.app.decide(&open.actor, &question, at).await?;
        let verdict = &decided.verdict;
        let named = verdict.decision > Decision::Allow;
        let document = Document {
            decision: verdict.decision,
            because: verdict.because.iter().map(Because::of).collect(),
            fallback: verdict.fallback,
            person: decided.person.as_deref(),
            device: decided.device.as_deref(),
            reference: named.then_some(decided.reference.as_str()),
            at,
            line: verdict.line(&decided.reference),
        };
        place
            .print
            .answer(&document, || words(&decided, &document, place))?;
        Ok(match verdict.decision {
            Decision::Deny => Exit::Policy,
            Decision::Allow | Decision::Warn => Exit::Done,
        })
    }
}

fn words(decided: &Decided, document: &Document<'_>, place: &Place) -> String {
    let mut text = format!(
        "{} at {}\n{}\n",
        place.print.word(document.decision.as_str()),
        print::time(document.at, None),
        print::tame(&document.line)
    );
    let rows: Vec<Vec<String>> = decided.verdict.because.iter().map(row).collect();
    if !rows.is_empty() {
        let header = ["order", "says", "app", "package id", "seen", "refuses from"];
        text += &format!("\n{}\n", print::table(&header, &[], rows));
    }
    if let Some(fallback) = document.fallback {
        text += &format!("\nA fact was missing; the policy {fallback} decided.\n");
    }
    text
}

fn row(reason: &Reason) -> Vec<String> {
    let says = match reason.softened {
        None => reason.decision.to_string(),
        Some(Softened::Held) => format!("{} (held)", reason.decision),
        Some(Softened::Observe) => format!("{} (observes)", reason.decision),
        Some(Softened::NeverRefuse) => format!("{} (never refused)", reason.decision),
    };
    let (app, package, seen) = match &reason.seen {
        Some(s) => (
            s.app_name.clone(),
            format!("{} {}", s.package_id, s.version),
            format!("{}, {}", print::time(s.seen_at, None), s.source),
        ),
        None => {
            let missing = reason.fallback.map(|f| f.to_string()).unwrap_or_default();
            (format!("unknown: {missing}"), String::new(), String::new())
        }
    };
    let from = reason
        .enforce_from
        .map_or_else(|| "not told yet".to_owned(), |at| print::time(at, None));
    vec![reason.order.short(), says, app, package, seen, from]
}
