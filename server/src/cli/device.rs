//! `device`: whose a device is, and having one recognised.

use clap::{Args, Subcommand, ValueHint};
use countermand_core::fleet::{DeviceKey, FormFactor};
use countermand_core::platform::Platform;
use countermand_core::verdict::Decision;

use super::{Exit, Place, Result, print};
use crate::app::devices::{Forgotten, Recognised, Whose, Word};

/// Tell whose a device is, and have an unknown one recognised
#[derive(Debug, Subcommand)]
#[command(after_help = "Example: countermand device show eve@example.test")]
pub enum Device {
    Show(Show),
    Recognise(Recognise),
    Forget(Forget),
}

/// Tell what is known of a device key, or of all that are a person's; never which apps
#[derive(Debug, Args)]
#[command(after_help = "Example: countermand device show eas:DEV7F3A")]
pub struct Show {
    /// A device key, such as eas:DEV7F3A, or an address of a person
    #[arg(value_name = "KEY|PERSON")]
    whose: String,
}

/// Have a device recognised as a person's, by your word
///
/// A door refuses a device that nobody knows while an order is enforcing for its person. `explain REF`
/// tells the key of one that was refused. What is on a recognised device stays unknown until a report
/// of it comes: no_report of each order's [when_unknown] decides. With --same-as it is one more name
/// of a device that is known, as after a restored backup.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example: countermand --as cy@example.test device recognise eas:DEV7F3A --person eve@example.test --reason \"Showed it at the desk\""
)]
pub struct Recognise {
    /// The device key
    #[arg(value_name = "KEY")]
    key: DeviceKey,
    /// Mail address of the person whose it is
    #[arg(long, value_name = "EMAIL", value_hint = ValueHint::EmailAddress)]
    person: String,
    /// How you know
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// A key by which the same device is known already
    #[arg(long, value_name = "KEY")]
    same_as: Option<DeviceKey>,
    /// ios, android, macos, windows or linux
    #[arg(long, value_name = "PLATFORM", conflicts_with = "same_as")]
    platform: Option<Platform>,
    /// phone, tablet or laptop; a phone, if it is not said
    #[arg(long, value_name = "FORM", conflicts_with = "same_as")]
    form_factor: Option<FormFactor>,
}

/// Take back the word by which a device was recognised
///
/// Yours, another operator's or the person's own. What a report of it says stands; where nothing else is
/// known of it, it is an unknown device again, at its next request.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example: countermand --as cy@example.test device forget eas:DEV7F3A --reason \"Was not eve's\""
)]
pub struct Forget {
    /// The device key
    #[arg(value_name = "KEY")]
    key: DeviceKey,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

impl Device {
    pub async fn run(self, place: &Place) -> Result<Exit> {
        let open = place.open().await?;
        let (app, actor) = (&open.app, &open.actor);
        match self {
            Device::Show(Show { whose }) => {
                let known = app.whose(actor, &whose).await?;
                place.print.answer(&known, || shown(&known, &whose))?;
            }
            Device::Recognise(given) => {
                let word = Word {
                    key: given.key,
                    person: given.person,
                    same_as: given.same_as,
                    platform: given.platform,
                    form_factor: given.form_factor,
                    reason: given.reason,
                };
                let done = app.recognise(actor, &word).await?;
                place.print.answer(&done, || said(&done))?;
            }
            Device::Forget(Forget { key, reason }) => {
                let done = app.forget(actor, &key, &reason).await?;
                place.print.answer(&done, || taken_back(&done))?;
            }
        }
        Ok(Exit::Done)
    }
}

fn said(done: &Recognised) -> String {
    let Recognised { key, person, .. } = done;
    let what = match &done.same_as {
        Some(other) => format!("{key} is one more name of {person}'s device {other}"),
        None => format!("{key} is a device of {person}"),
    };
    let now = match done.decision {
        Decision::Allow => "The doors let it in from now on.",
        Decision::Warn => {
            "The doors let it in from now on, with a warning: what is on it is not known."
        }
        Decision::Deny => {
            "The doors still refuse it: `decide` tells why, and what opens them is a report of it."
        }
    };
    format!("Written down: {what}. {now}")
}

fn taken_back(done: &Forgotten) -> String {
    let whose = match &done.person {
        Some(person) => format!("that {} is a device of {person}", done.key),
        None => format!("whose {} is", done.key),
    };
    let now = match done.decision {
        Decision::Deny => "The doors refuse it from now on.",
        _ => {
            "The doors let it in: no order is enforcing for its person, or a report says what holds."
        }
    };
    format!("Written down: the word {whose} is taken back. {now}")
}

fn shown(known: &Whose, whose: &str) -> String {
    if *known == Whose::default() {
        return format!(
            "Nothing is known of {}: no report names such a device, and nobody whom a door vouched for came with it.",
            print::tame(whose)
        );
    }
    let mut parts = Vec::new();
    if !known.devices.is_empty() {
        let rows = known.devices.iter().map(|device| {
            let keys: Vec<&str> = device.keys.iter().map(DeviceKey::as_str).collect();
            vec![
                device.person.clone().unwrap_or_else(|| "nobody's".into()),
                format!("{} ({})", device.form_factor, device.platform),
                print::tame(&keys.join(", ")),
                device.last_report.map_or_else(
                    || "none; known by somebody's word".to_owned(),
                    |at| format!("{}, {}", print::time(at, None), device.visibility),
                ),
            ]
        });
        let header = ["of", "device", "keys", "last report"];
        parts.push(print::table(&header, &[], rows));
    }
    if !known.claims.is_empty() {
        let rows = known.claims.iter().map(|claim| {
            let first = if claim.first { "the first" } else { "later" };
            vec![
                print::tame(claim.key.as_str()),
                claim.person.clone(),
                print::time(claim.at, None),
                first.to_owned(),
            ]
        });
        let header = ["came with", "who", "when", "which"];
        parts.push(print::table(&header, &[], rows));
    }
    if !known.refused.is_empty() {
        let rows = known.refused.iter().map(|refusal| {
            let keys: Vec<&str> = refusal.keys.iter().map(DeviceKey::as_str).collect();
            vec![
                refusal.reference.clone(),
                print::tame(&keys.join(", ")),
                print::time(refusal.last_at, None),
                refusal.times.to_string(),
                match refusal.fallback {
                    Some(fallback) => fallback.to_string(),
                    None => "an app".to_owned(),
                },
                if refusal.vouched {
                    "yes"
                } else {
                    "by no more than the name"
                }
                .to_owned(),
            ]
        });
        let header = [
            "refused",
            "as",
            "last",
            "times",
            "because of",
            "sure who it was",
        ];
        parts.push(print::table(&header, &[3], rows));
    }
    parts.join("\n\n")
}
