//! `backup`: the whole database in one file.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use countermand_core::actor::Act;

use super::{Exit, Failure, Place, Result, files};

/// Write the whole database to a new file, while the server goes on working
///
/// The config file is not in it: it holds the doors' secret, and is kept elsewhere.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example: countermand backup countermand-2020-07-10.db"
)]
pub struct Backup {
    /// File to write; it must not exist yet
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
}

impl Backup {
    pub async fn run(self, place: &Place) -> Result<Exit> {
        let open = place.open().await?;
        open.authorise(Act::Administer).await?;
        let file = self.file.display();
        if self.file.exists() {
            return Err(Failure::usage(format!(
                "{file} exists, and a backup never overwrites anything; name a new file"
            )));
        }
        // SQLite fills an empty file, and would make one that everyone may read.
        files::write_new(&self.file, "")?;
        if let Err(error) = open.app.store.backup(&self.file).await {
            let _ = std::fs::remove_file(&self.file);
            return Err(error.into());
        }
        let bytes = std::fs::metadata(&self.file)
            .map(|m| m.len())
            .unwrap_or_default();
        let document = serde_json::json!({ "file": file.to_string(), "bytes": bytes });
        place.print.answer(&document, || {
            format!(
                "Wrote {file}. To come back to it: stop the server, then {}",
                place.command(&format!("restore {file} --force"))
            )
        })?;
        Ok(Exit::Done)
    }
}
