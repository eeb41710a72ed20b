//! `notices`: how the sending stands. The sending itself is put together by the program.

use clap::{Args, Subcommand};
use countermand_core::notice::Counts;
use serde::Serialize;

use super::order::show;
use super::{Exit, Place, Result};
use crate::app::channels::AtChannel;

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
    notices: Counts,
    corrections: Counts,
    channels: Vec<AtChannel>,
}

impl Status {
    pub(super) async fn run(self, place: &Place) -> Result<Exit> {
        let open = place.open().await?;
        let shown = open.app.show(&open.actor, &self.id).await?;
        let document = Document {
            id: shown.order.id.to_string(),
            state: shown.state,
            finished: shown.notices.is_finished()
                && shown.corrections.is_finished()
                && shown.channels.iter().all(AtChannel::is_finished),
            notices: shown.notices,
            corrections: shown.corrections,
            channels: shown.channels.clone(),
        };
        place.print.answer(&document, || {
            let end = if document.finished {
                "Nothing is due or under way."
            } else {
                "Not finished."
            };
            format!("{}\n\n{end}", show::counts(&shown))
        })?;
        Ok(Exit::Done)
    }
}
