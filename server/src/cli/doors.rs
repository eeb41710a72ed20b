//! `doors`: breaking the glass.

use clap::{Args, Subcommand};

use super::{Exit, Place, Result, mode};

/// Open all doors in an emergency, or close them again
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Example: countermand --as cy@example.test doors open --reason \"Mail is down\""
)]
pub enum Doors {
    Open(Open),
    Close(Close),
}

/// Make every verdict allow, at once, until the doors are closed again
#[derive(Debug, Args)]
#[command(
    after_help = "Example: countermand --as cy@example.test doors open --reason \"Mail is down\""
)]
pub struct Open {
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Let orders decide again
#[derive(Debug, Args)]
#[command(after_help = "Example: countermand --as cy@example.test doors close")]
pub struct Close;

impl Doors {
    pub async fn run(self, place: &Place) -> Result<Exit> {
        let open = place.open().await?;
        let settings = match self {
            Doors::Open(Open { reason }) => open.app.open_doors(&open.actor, &reason).await?,
            Doors::Close(Close) => open.app.close_doors(&open.actor).await?,
        };
        place.print.answer(&settings, || {
            let doors = match settings.doors_open {
                Some(_) => "",
                None => "The doors are closed: orders decide.\n",
            };
            format!("{doors}{}", mode::words(&settings, place.print))
        })?;
        Ok(Exit::Done)
    }
}
