//! `import`: devices and the apps on them.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueHint};
use countermand_core::actor::Act;
use serde::Serialize;

use super::rejects::{self, FileReport};
use super::{Exit, Failure, Place, Result, files, print};
use crate::import::{self, Format};

/// Bring in devices and the apps that a source saw on them
///
/// csv is Countermand's own table, with the header
/// person,device,keys,platform,form_factor,ownership,visibility,os_version,seen_at,apps (lists with
/// semicolons, apps as PACKAGE_ID@VERSION). apple-mdm is a device's answer to Apple's
/// InstalledApplicationList. amapi are devices of the Android Management API. auto tells them apart.
/// A device that reads mail under a key in its report is known by that; a key that fits two devices is
/// noted, and at a door the strictest of them decides.
/// Rows that can't be taken are written to FILE.rejects, and the exit status is then 2; a file that
/// can't be read at all changes nothing.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example: countermand import auto devices.csv more.json"
)]
pub struct Import {
    /// Format of the files, or auto
    #[arg(value_name = "FORMAT", value_parser = format_parser())]
    format: Wanted,
    /// Files to import, in this order
    #[arg(value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
    files: Vec<PathBuf>,
}

/// `None`: by content.
type Wanted = std::option::Option<Format>;

fn format_parser() -> impl TypedValueParser<Value = Wanted> {
    let known = std::iter::once("auto").chain(Format::ALL.map(Format::as_str));
    PossibleValuesParser::new(known).map(|word| word.parse().ok())
}

#[derive(Serialize)]
struct Report {
    imported: usize,
    rejected: usize,
    files: Vec<FileReport>,
}

impl Import {
    pub async fn run(self, place: &Place) -> Result<Exit> {
        let open = place.open().await?;
        open.authorise(Act::Administer).await?;
        // All are read before one is taken, so that a file that can't be read changes nothing.
        let mut read = Vec::new();
        for file in &self.files {
            let bytes = files::read(file, &open.app.config.import)?;
            let in_file = |e: import::ImportError| Failure::from(e).in_file(file);
            let format = match self.format {
                Some(format) => format,
                None => import::detect(&bytes).map_err(in_file)?,
            };
            let reports = import::reports(format, &bytes, open.app.now()).map_err(in_file)?;
            read.push((file, format, reports));
        }
        let mut taken = Vec::new();
        for (file, format, reports) in &read {
            taken.push(rejects::keep(file, format.as_str(), reports)?);
        }
        for ((_, _, reports), file) in read.into_iter().zip(&mut taken) {
            let shared = open
                .app
                .import_reports(&open.actor, reports.good, print::bar("devices"))
                .await?;
            file.notes.extend(shared.in_words());
        }
        let report = Report {
            imported: taken.iter().map(|f| f.imported).sum(),
            rejected: taken.iter().map(|f| f.rejected).sum(),
            files: taken,
        };
        rejects::tell(place, &report, &report.files, "report", "reports")
    }
}
