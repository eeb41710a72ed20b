//! `mode`: whether doors obey verdicts.

use clap::{Args, ValueEnum};
use countermand_core::actor::Act;
use countermand_core::index::{self, Settings};

use super::{Exit, Place, Printer, Result, print};

/// Show or change whether doors obey verdicts
///
/// In observe mode verdicts are computed and counted, and every door lets in. Without a word the
/// present mode is shown.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example: countermand --as ann@example.test mode enforce"
)]
pub struct Mode {
    /// The mode to go to
    #[arg(value_name = "MODE")]
    to: Option<Word>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Word {
    Observe,
    Enforce,
}

impl Mode {
    pub async fn run(self, place: &Place) -> Result<Exit> {
        let open = place.open().await?;
        let settings = match self.to {
            None => {
                open.authorise(Act::Read).await?;
                open.app.live.view().settings().clone()
            }
            Some(to) => {
                let mode = match to {
                    Word::Observe => index::Mode::Observe,
                    Word::Enforce => index::Mode::Enforce,
                };
                open.app.set_mode(&open.actor, mode).await?
            }
        };
        place
            .print
            .answer(&settings, || words(&settings, place.print))?;
        Ok(Exit::Done)
    }
}

/// How the doors stand.
pub(super) fn words(settings: &Settings, print: Printer) -> String {
    let mode = match settings.mode {
        index::Mode::Observe => {
            format!(
                "Mode: {}. Verdicts are recorded, and every door lets in.",
                print.word("observe")
            )
        }
        index::Mode::Enforce => format!("Mode: {}. Doors obey verdicts.", print.word("enforce")),
    };
    match &settings.doors_open {
        None => mode,
        Some(open) => format!(
            "{mode}\nAll doors are {} since {}, by {}: {}",
            print.bold("open"),
            print::time(open.at, None),
            open.by,
            print::tame(&open.reason)
        ),
    }
}
