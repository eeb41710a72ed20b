//! `notices`: how the sending stands. The sending itself is put together by the program.

use clap::{Args, Subcommand};
use countermand_core::notice::Counts;
use countermand_core::order::Stop;
use serde::Serialize;

use super::order::{show, steps};
use super::{Exit, Place, Result};

/// Send what is due, or see how the sending stands
#[derive(Debug, Subcommand)]
#[command(after_help = "Example: countermand notices send --until-idle")]
pub enum Notices {
    Send(Send),
    Status(Status),
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

#[derive(Serialize)]
struct Document {
    id: String,
    state: &'static str,
    finished: bool,
    /// Why and since when the notices wait, if they stopped by themselves.
    notices_stopped: Option<Stop>,
    looks_wrong: u64,
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
            notices_stopped: shown.order.stop().cloned(),
            looks_wrong: shown.looks_wrong,
            notices: shown.notices,
            corrections: shown.corrections,
        };
        place.print.answer(&document, || {
            let end = if document.finished {
                "Nothing is due or under way."
            } else {
                "Not finished."
            };
            let stopped = steps::stopped(place, &shown.order);
            let end = stopped.unwrap_or_else(|| end.to_owned());
            format!("{}\n\n{end}", show::counts(&shown))
        })?;
        Ok(Exit::Done)
    }
}
