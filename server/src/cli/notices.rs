//! `notices`: how the sending stands, and whom it did not reach. The sending itself is put together by
//! the program.

use clap::{Args, Subcommand};
use countermand_core::actor::Act;
use countermand_core::notice::Counts;
use countermand_core::words::thousands;
use jiff::Timestamp;
use serde::Serialize;

use super::order::show;
use super::{Exit, Failure, Place, Result, print};

/// Send what is due, or see how the sending stands
#[derive(Debug, Subcommand)]
#[command(after_help = "Example: countermand notices send --until-idle")]
pub enum Notices {
    Send(Send),
    Status(Status),
    Unreached(Unreached),
}

/// Send notices and corrections that are due
#[derive(Debug, Args)]
#[command(after_help = "Example: countermand notices send --until-idle")]
pub struct Send {
    /// Return when nothing is due or under way any more; reminders and held orders are not waited for
    #[arg(long)]
    pub until_idle: bool,
}

/// Count the notices and corrections of an order
#[derive(Debug, Args)]
#[command(after_help = "Example: countermand notices status 7Q2M")]
pub struct Status {
    /// The order, by its id or short form
    #[arg(value_name = "ID")]
    id: String,
}

/// List whom no notice reached: rejected, bounced or unknown, to be told by another way
#[derive(Debug, Args)]
#[command(after_help = "Example: countermand notices unreached 7Q2M --csv > by-phone.csv")]
pub struct Unreached {
    /// The order, by its id or short form
    #[arg(value_name = "ID")]
    id: String,
    /// As CSV
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

#[derive(Serialize)]
struct Line {
    email: String,
    name: String,
    notice: String,
    /// rejected, unknown, bounced
    state: &'static str,
    at: Option<Timestamp>,
    /// What the mail server said.
    words: String,
}

impl Unreached {
    pub(super) async fn run(self, place: &Place) -> Result<Exit> {
        let open = place.open().await?;
        open.authorise(Act::LookUp).await?;
        let order = open.app.store.order_called(&self.id).await;
        let order = order.map_err(crate::app::AppError::from)?.order.id;
        let lines = lines(&open.app, order).await?;
        if self.csv {
            return csv(place, &lines);
        }
        place.print.answer(&lines, || {
            if lines.is_empty() {
                return "Nobody: every notice that was tried was accepted, and none came back."
                    .to_owned();
            }
            let rows = lines.iter().map(|line| {
                let at = line.at.map(|at| print::time(at, None)).unwrap_or_default();
                let notice = line.notice.clone();
                vec![
                    line.email.clone(),
                    notice,
                    line.state.to_owned(),
                    at,
                    line.words.clone(),
                ]
            });
            print::table(
                &["person", "notice", "state", "when", "the mail server said"],
                &[],
                rows,
            )
        })?;
        Ok(Exit::Done)
    }
}

async fn lines(app: &crate::app::App, order: countermand_core::id::OrderId) -> Result<Vec<Line>> {
    let (_, all) = app
        .store
        .unreached(order, 0, i64::MAX as u64)
        .await
        .map_err(crate::app::AppError::from)?;
    let view = app.live.view();
    let line = |one: crate::store::Unreached| {
        let person = view.person(one.person);
        Line {
            email: person.map_or_else(|| one.person.to_string(), |p| p.email.clone()),
            name: person.map(|p| p.name.clone()).unwrap_or_default(),
            notice: one.kind.to_string(),
            state: one.word(),
            at: one.at,
            words: one.detail,
        }
    };
    Ok(all.into_iter().map(line).collect())
}

fn csv(place: &Place, lines: &[Line]) -> Result<Exit> {
    let failed = |e: String| Failure::failed(format!("the list can't be written: {e}"));
    let mut table = csv::Writer::from_writer(Vec::new());
    for line in lines {
        let line = Line {
            email: harmless(&line.email),
            name: harmless(&line.name),
            notice: line.notice.clone(),
            words: harmless(&line.words),
            ..*line
        };
        table.serialize(line).map_err(|e| failed(e.to_string()))?;
    }
    if lines.is_empty() {
        let header = ["email", "name", "notice", "state", "at", "words"];
        table
            .write_record(header)
            .map_err(|e| failed(e.to_string()))?;
    }
    let bytes = table.into_inner().map_err(|e| failed(e.to_string()))?;
    place.print.raw(&String::from_utf8_lossy(&bytes))?;
    Ok(Exit::Done)
}

/// A spreadsheet would take what begins so for a formula, and a mail server's words are a stranger's.
fn harmless(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

#[derive(Serialize)]
struct Document {
    id: String,
    state: &'static str,
    finished: bool,
    notices: Counts,
    corrections: Counts,
}

impl Status {
    pub(super) async fn run(self, place: &Place) -> Result<Exit> {
        let open = place.open().await?;
        let shown = open.app.show(&open.actor, &self.id).await?;
        let document = Document {
            id: shown.order.id.to_string(),
            state: shown.state,
            finished: shown.notices.is_finished() && shown.corrections.is_finished(),
            notices: shown.notices,
            corrections: shown.corrections,
        };
        place.print.answer(&document, || {
            let end = if document.finished {
                "Nothing is due or under way."
            } else {
                "Not finished."
            };
            let mut back = String::new();
            let bounced = document.notices.bounced + document.corrections.bounced;
            if bounced > 0 {
                back = format!(
                    "{} of the accepted came back; {} lists them.\n\n",
                    thousands(bounced),
                    place.command(&format!("notices unreached {}", self.id))
                );
            }
            format!("{}\n\n{back}{end}", show::counts(&shown))
        })?;
        Ok(Exit::Done)
    }
}
