//! `audit`: the record.

use clap::{Args, Subcommand};
use countermand_core::actor::{Act, Actor};
use countermand_core::audit::Entry;
use countermand_core::words::{counted, thousands};
use jiff::Timestamp;
use serde::Serialize;

use super::{Exit, Open, Place, Result, print};

/// Read the record, or check that nobody has changed it
#[derive(Debug, Subcommand)]
#[command(after_help = "Example: countermand audit verify")]
pub enum Audit {
    Log(Log),
    Verify(Verify),
}

/// Show the newest entries of the record
#[derive(Debug, Args)]
#[command(after_help = "Example: countermand audit log --order 7Q2M --last 20")]
pub struct Log {
    /// Only entries of this order
    #[arg(long, value_name = "ID")]
    order: Option<String>,
    /// How many entries
    #[arg(long, value_name = "N", default_value_t = 50)]
    last: u32,
}

/// Walk the whole record and see whether each entry fits; ends with status 1 where one does not
#[derive(Debug, Args)]
#[command(after_help = "Example: countermand audit verify --json")]
pub struct Verify;

#[derive(Serialize)]
struct Line {
    number: u64,
    at: Timestamp,
    actor: String,
    /// At whose shell, where `--as` was believed.
    shell_of: Option<String>,
    action: String,
    order: Option<String>,
    details: serde_json::Value,
    hash: String,
}

impl Audit {
    pub async fn run(self, place: &Place) -> Result<Exit> {
        let open = place.open().await?;
        open.authorise(Act::Read).await?;
        match self {
            Audit::Log(wanted) => log(place, &open, wanted).await,
            Audit::Verify(Verify) => verify(place, &open).await,
        }
    }
}

async fn log(place: &Place, open: &Open, wanted: Log) -> Result<Exit> {
    let order = match &wanted.order {
        Some(id) => Some(open.app.store.order_called(id).await?.order.id),
        None => None,
    };
    let mut entries = open.app.store.audit_newest(order, wanted.last).await?;
    entries.reverse();
    let lines: Vec<Line> = entries.iter().map(line).collect();
    place.print.answer(&lines, || {
        let rows = entries.iter().map(|e| {
            vec![
                thousands(e.number),
                print::time(e.at, None),
                e.actor.to_string(),
                e.action.clone(),
                e.order.map(|o| o.short()).unwrap_or_default(),
            ]
        });
        print::table(&["entry", "time", "who", "what", "order"], &[0], rows)
    })?;
    Ok(Exit::Done)
}

fn line(entry: &Entry) -> Line {
    let (actor, shell_of) = match &entry.actor {
        Actor::Shell { operator, user } => (operator.clone(), Some(user.clone())),
        other => (other.to_string(), None),
    };
    Line {
        number: entry.number,
        at: entry.at,
        actor,
        shell_of,
        action: entry.action.clone(),
        order: entry.order.map(|o| o.to_string()),
        details: serde_json::from_str(&entry.details).unwrap_or_default(),
        hash: entry.hash.clone(),
    }
}

async fn verify(place: &Place, open: &Open) -> Result<Exit> {
    let found = open.app.store.audit_verify().await?;
    place.print.answer(&found, || match found.first_bad {
        None => format!(
            "The record is whole: {}, the last with the hash\n{}",
            counted(found.entries, "entry", "entries"),
            found.head
        ),
        Some(bad) => format!(
            "The record has a fault at entry {}: it was changed, removed, moved or cut off after it was written.\nCompare it with a backup.",
            thousands(bad)
        ),
    })?;
    Ok(if found.ok { Exit::Done } else { Exit::Failed })
}
