//! `people import`: the list of staff.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use countermand_core::actor::Act;

use super::{Exit, Failure, Place, Result, files, print, rejects};
use crate::import;

/// Who may hold devices
#[derive(Debug, Subcommand)]
#[command(after_help = "Example: countermand people import people.csv")]
pub enum People {
    Import(Import),
}

/// Add people to those known, or renew what is known of them
///
/// The file is CSV with the header email,aliases,name,groups,locale,time_zone; only email must be
/// there, and lists (aliases, groups) are separated by semicolons. Rows that can't be taken are
/// written to FILE.rejects, and the exit status is then 2.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example: countermand people import people.csv"
)]
pub struct Import {
    /// CSV file with a header
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
}

impl People {
    pub async fn run(self, place: &Place) -> Result<Exit> {
        let People::Import(Import { file }) = self;
        let open = place.open().await?;
        open.authorise(Act::Administer).await?;
        let bytes = files::read(&file, &open.app.config.import)?;
        let read = import::people(&bytes).map_err(|e| Failure::from(e).in_file(&file))?;
        let report = rejects::keep(&file, "people", &read)?;
        open.app
            .import_people(&open.actor, read.good, print::bar("people"))
            .await?;
        rejects::tell(
            place,
            &report,
            std::slice::from_ref(&report),
            "person",
            "people",
        )
    }
}
