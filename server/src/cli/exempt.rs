//! `exempt`: who is left out of an order.

use clap::{Args, Subcommand, ValueHint};
use countermand_core::exemption::Exemption;
use countermand_core::order::when::When;
use jiff::Timestamp;
use serde::Serialize;

use super::{Exit, Open, Place, Result, print};
use crate::app::exempt::Whom;

/// Leave a person, group or device out of an order, with a second person's approval
#[derive(Debug, Subcommand)]
#[command(after_help = "Example: countermand exempt list")]
pub enum Exempt {
    Add(Add),
    Approve(One),
    End(End),
    List(List),
}

/// Ask for an exemption; it does nothing until another person approves it
#[derive(Debug, Args)]
#[command(
    after_help = "Example: countermand --as ann@example.test exempt add --person eve@example.test --until 2020-07-31T00:00:00Z --reason \"Runs our channel\""
)]
pub struct Add {
    #[command(flatten)]
    whom: WhomArgs,
    /// The order; without it the exemption is from every order
    #[arg(long, value_name = "ID")]
    order: Option<String>,
    /// When it ends, as RFC 3339 with or without [Zone]
    #[arg(long, value_name = "TIME")]
    until: When,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct WhomArgs {
    /// A person, by mail address
    #[arg(long, value_name = "EMAIL", value_hint = ValueHint::EmailAddress)]
    person: Option<String>,
    /// A group
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// A device, by a key that fits only that one
    #[arg(long, value_name = "KEY")]
    device: Option<String>,
}

/// Approve an exemption that another person asked for
#[derive(Debug, Args)]
#[command(after_help = "Example: countermand --as bo@example.test exempt approve 4F7Q")]
pub struct One {
    /// The exemption, by its id or short form
    #[arg(value_name = "ID")]
    id: String,
}

/// End an exemption before its time
#[derive(Debug, Args)]
#[command(after_help = "Example: countermand --as bo@example.test exempt end 4F7Q")]
pub struct End {
    /// The exemption, by its id or short form
    #[arg(value_name = "ID")]
    id: String,
}

/// List exemptions, those asked for and those ended too
#[derive(Debug, Args)]
#[command(after_help = "Example: countermand exempt list --json")]
pub struct List;

#[derive(Serialize)]
struct Document {
    id: String,
    who: String,
    order: Option<String>,
    state: &'static str,
    reason: String,
    until: Timestamp,
    asked_by: String,
    asked_at: Timestamp,
    approved_by: Option<String>,
    approved_at: Option<Timestamp>,
    ended_by: Option<String>,
    ended_at: Option<Timestamp>,
}

impl Exempt {
    pub async fn run(self, place: &Place) -> Result<Exit> {
        let open = place.open().await?;
        let (app, actor) = (&open.app, &open.actor);
        let done = match self {
            Exempt::Add(add) => {
                let whom = add.whom.into();
                let order = add.order.as_deref();
                app.exempt_add(actor, &whom, order, add.until.at(), &add.reason)
                    .await?
            }
            Exempt::Approve(One { id }) => app.exempt_approve(actor, &id).await?,
            Exempt::End(End { id }) => app.exempt_end(actor, &id).await?,
            Exempt::List(List) => {
                let all = app.exemptions(actor).await?;
                let documents: Vec<Document> = all.iter().map(|e| document(e, &open)).collect();
                place.print.answer(&documents, || list(&all, &documents))?;
                return Ok(Exit::Done);
            }
        };
        let document = document(&done, &open);
        place.print.answer(&document, || {
            let next = match document.state {
                "asked for" => format!(
                    "\nIt does nothing until another person approves it: {}",
                    place.command(&format!("--as EMAIL exempt approve {}", done.id.short()))
                ),
                _ => String::new(),
            };
            format!(
                "Exemption {} of {}: {}.{next}",
                place.print.bold(&done.id.short()),
                document.who,
                document.state
            )
        })?;
        Ok(Exit::Done)
    }
}

impl From<WhomArgs> for Whom {
    fn from(given: WhomArgs) -> Whom {
        match (given.person, given.group, given.device) {
            (Some(person), ..) => Whom::Person(person),
            (_, Some(group), _) => Whom::Group(group),
            // clap has made sure that one is there.
            (_, _, device) => Whom::Device(device.unwrap_or_default()),
        }
    }
}

fn document(exemption: &Exemption, open: &Open) -> Document {
    let now = open.app.now();
    let state = match exemption {
        e if e.active(now) => "active",
        e if e.ended.is_some() || e.until <= now => "ended",
        _ => "asked for",
    };
    Document {
        id: exemption.id.to_string(),
        who: open.app.whom(&exemption.who),
        order: exemption.order.map(|o| o.to_string()),
        state,
        reason: exemption.reason.clone(),
        until: exemption.until,
        asked_by: exemption.asked_by.clone(),
        asked_at: exemption.asked_at,
        approved_by: exemption.approved.as_ref().map(|(by, _)| by.clone()),
        approved_at: exemption.approved.as_ref().map(|(_, at)| *at),
        ended_by: exemption.ended.as_ref().map(|(by, _)| by.clone()),
        ended_at: exemption.ended.as_ref().map(|(_, at)| *at),
    }
}

fn list(all: &[Exemption], documents: &[Document]) -> String {
    if all.is_empty() {
        return "There is no exemption.".to_owned();
    }
    let rows = all.iter().zip(documents).map(|(exemption, shown)| {
        vec![
            exemption.id.short(),
            shown.who.clone(),
            exemption
                .order
                .map_or_else(|| "every order".to_owned(), |o| o.short()),
            shown.state.to_owned(),
            print::time(shown.until, None),
            shown.asked_by.clone(),
            shown.approved_by.clone().unwrap_or_default(),
            shown.reason.clone(),
        ]
    });
    let header = [
        "id",
        "who",
        "from",
        "state",
        "until",
        "asked by",
        "approved by",
        "reason",
    ];
    print::table(&header, &[], rows)
}
