//! `restore`: a backup in the place of the database.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use countermand_core::actor::Act;
use countermand_core::words::counted;

use super::{Exit, Failure, Place, Result};
use crate::store::{self, sqlite_file};

/// Put a backup in the place of the database, while no server runs
#[derive(Debug, Args)]
#[command(after_help = "Example: countermand restore countermand-2020-07-10.db")]
pub struct Restore {
    /// A file that `countermand backup` wrote
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// Replace the database that is there
    #[arg(long)]
    force: bool,
}

impl Restore {
    pub async fn run(self, place: &Place) -> Result<Exit> {
        let config = place.config()?;
        let Some(database) = sqlite_file(&config.database.url, &place.data) else {
            return Err(Failure::usage(
                "this database is PostgreSQL; bring it back with pg_restore",
            ));
        };
        if !place.config_file().exists() {
            return Err(Failure::usage(format!(
                "there is no config file {} yet; `{}` makes one, then restore with --force",
                place.config_file().display(),
                place.command("init")
            )));
        }
        std::fs::File::open(&self.file).map_err(|e| Failure::unreadable(&self.file, &e))?;
        match place.open().await {
            Ok(open) => {
                let allowed = open.authorise(Act::Administer).await;
                open.app.store.close().await;
                allowed?;
            }
            Err(refused) if refused.exit == Exit::Policy => return Err(refused),
            // A database that is missing or broken is what a restore is for.
            Err(_) => {}
        }
        store::restore(&self.file, &database, self.force).await?;
        let open = place.open().await?;
        let found = open.app.store.audit_verify().await?;
        let from = self.file.display().to_string();
        let held = open.app.after_restore(&open.actor, &from).await?;
        let document = serde_json::json!({
            "database": database.display().to_string(),
            "entries": found.entries,
            "ok": found.ok,
            "held": held.iter().map(|o| o.id.to_string()).collect::<Vec<_>>(),
        });
        place.print.answer(&document, || {
            let record = counted(found.entries, "entry", "entries");
            let mut text = format!(
                "Restored {} from {}. Its record has {record} and {}.",
                database.display(),
                self.file.display(),
                if found.ok {
                    "is whole"
                } else {
                    "has a fault; see audit verify"
                }
            );
            for order in &held {
                text += &format!(
                    "\nOrder {} ({}) is on hold: it may have been retracted since. Resume or retract it.",
                    order.id.short(),
                    order.title()
                );
            }
            text
        })?;
        Ok(Exit::Done)
    }
}
