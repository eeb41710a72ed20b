//! `explain`: what was known when somebody was refused.

use clap::Args;
use countermand_core::words::counted;
use jiff::Timestamp;
use serde::Serialize;

use super::{Exit, Place, Result, print};

/// In seconds: a younger view is as good as the facts themselves.
const OLD_VIEW: f64 = 10.0;

/// Tell what was known when somebody was refused
///
/// `decide --at TIME` tells what follows from what is known now.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example: countermand explain R-7Q2M-4F"
)]
pub struct Explain {
    /// The reference that the person was shown
    #[arg(value_name = "REF")]
    reference: String,
}

#[derive(Serialize)]
struct Refusal {
    #[serde(rename = "ref")]
    reference: String,
    person: Option<String>,
    first_at: Timestamp,
    last_at: Timestamp,
    times: u64,
    known: serde_json::Value,
}

impl Explain {
    pub async fn run(self, place: &Place) -> Result<Exit> {
        let open = place.open().await?;
        let found = open.app.explain(&open.actor, &self.reference).await?;
        let refusals: Vec<Refusal> = found
            .into_iter()
            .map(|refusal| Refusal {
                reference: refusal.reference,
                person: refusal.person.and_then(|id| {
                    let view = open.app.live.view();
                    view.person(id).map(|p| p.email.clone())
                }),
                first_at: refusal.first_at,
                last_at: refusal.last_at,
                times: refusal.times,
                known: serde_json::from_str(&refusal.known).unwrap_or_default(),
            })
            .collect();
        place.print.answer(&refusals, || {
            refusals.iter().map(words).collect::<Vec<_>>().join("\n\n")
        })?;
        Ok(Exit::Done)
    }
}

fn words(refusal: &Refusal) -> String {
    let known = &refusal.known;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let mut lines = vec![format!(
        "{} was refused {}, first at {}, last at {}.",
        refusal.person.as_deref().unwrap_or("An unknown login"),
        counted(refusal.times, "time", "times"),
        print::time(refusal.first_at, None),
        print::time(refusal.last_at, None),
    )];
    let question = &known["question"];
    let keys: Vec<String> = question["keys"]
        .as_array()
        .into_iter()
        .flatten()
        .map(text)
        .collect();
    let named = if keys.is_empty() {
        "without a device key".to_owned()
    } else {
        format!("as {}", keys.join(", "))
    };
    lines.push(format!(
        "It asked by {} at the door {} {named}.",
        text(&question["channel"]),
        text(&known["door"])
    ));
    // Facts that were not known yet could have decided otherwise.
    let age = known["view_age_seconds"].as_f64().unwrap_or(0.0);
    if age >= OLD_VIEW {
        lines.push(format!("What was known then was {age:.0} s old."));
    }
    for claim in known["claims"].as_array().into_iter().flatten() {
        lines.push(format!(
            "{} first came with {}, so it was judged as theirs too.",
            text(&claim["key"]),
            text(&claim["first_with"])
        ));
    }
    for reason in known["verdict"]["because"].as_array().into_iter().flatten() {
        let seen = &reason["seen"];
        let why = if seen.is_object() {
            format!(
                "{} ({} {}) was seen on it at {} by {}",
                text(&seen["app_name"]),
                text(&seen["package_id"]),
                text(&seen["version"]),
                text(&seen["seen_at"]),
                text(&seen["source"]),
            )
        } else {
            format!(
                "the policy «{}» spoke, for want of facts",
                text(&reason["fallback"])
            )
        };
        lines.push(format!(
            "{} because of «{}»: {why}.",
            text(&reason["decision"]),
            text(&reason["title"])
        ));
    }
    lines.join("\n")
}
