//! `init`: data directory, config file, database.

use std::collections::BTreeSet;

use clap::{Args, ValueHint};
use countermand_core::actor::Role;
use countermand_core::index::Settings;
use serde::Serialize;

use super::{Exit, Failure, Open, Place, Result, email, files, mode};
use crate::config::Config;
use crate::store::sqlite_file;

/// Make the data directory, the config file and the database
#[derive(Debug, Args)]
#[command(after_help = "Example: countermand init --admin ann@example.test")]
pub struct Init {
    /// An operator to begin with, who may manage operators, people and sources
    #[arg(long, value_name = "EMAIL", value_parser = email, value_hint = ValueHint::EmailAddress)]
    admin: Option<String>,
}

#[derive(Serialize)]
struct Made {
    data: String,
    config: String,
    admin: Option<String>,
}

impl Init {
    pub async fn run(self, place: &Place) -> Result<Exit> {
        let file = place.config_file();
        let had_config = file.exists();
        if had_config {
            let url = place.config()?.database.url;
            // A server's database can't be seen from here; its config is what says that it is ours.
            if sqlite_file(&url, &place.data).is_none_or(|f| f.exists()) {
                return Err(Failure::usage(format!(
                    "{} is there already, and nothing was changed; `{}` adds operators, and a removed config file is made anew",
                    file.display(),
                    place.command("operator add EMAIL --role admin")
                )));
            }
        }
        files::make_directory(&place.data)?;
        if !had_config {
            let mut text = Config::template(&place.world.ids.secret());
            if let Some(url) = &place.database {
                let url = toml::Value::String(url.clone());
                text = text.replace(
                    r#"# url = "sqlite:countermand.db""#,
                    &format!("url = {url}"),
                );
            }
            files::write_new(&file, &text)?;
        }
        let open = match self.database(place).await {
            Ok(open) => open,
            Err(failure) => {
                // A config that names no database would only be in the way of the next try.
                if !had_config {
                    let _ = std::fs::remove_file(&file);
                }
                return Err(failure);
            }
        };
        let settings = open.app.live.view().settings().clone();
        open.app.store.close().await;
        let made = Made {
            data: place.data.display().to_string(),
            config: file.display().to_string(),
            admin: self.admin,
        };
        place
            .print
            .answer(&made, || words(place, &made, &settings))?;
        Ok(Exit::Done)
    }

    async fn database(&self, place: &Place) -> Result<Open> {
        let config = place.config()?;
        if let Some(database) = sqlite_file(&config.database.url, &place.data) {
            // SQLite would make it readable for everyone, and gives its logs the same rights.
            if !database.exists() {
                files::write_new(&database, "")?;
            }
        }
        let open = place.make(config).await?;
        open.app.initialise(&open.actor).await?;
        if let Some(admin) = &self.admin {
            open.app
                .put_operator(&open.actor, admin, BTreeSet::from([Role::Admin]))
                .await?;
        }
        Ok(open)
    }
}

fn words(place: &Place, made: &Made, settings: &Settings) -> String {
    let next = |rest: &str| place.command(rest);
    let mut lines = vec![
        format!("Made {} with its config file {}.", made.data, made.config),
        mode::words(settings, place.print),
    ];
    if let Some(admin) = &made.admin {
        lines.push(format!("{admin} is an operator with the role admin."));
    }
    lines.push("\nWhat comes next:".to_owned());
    for step in [
        "operator add EMAIL --role author",
        "operator add EMAIL --role approver,responder",
        "people import people.csv",
        "import csv devices.csv",
    ] {
        lines.push(format!("  {}", next(step)));
    }
    lines.join("\n")
}
