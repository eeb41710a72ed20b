//! `init`: data directory, config file, database.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::path::Path;

use clap::{Args, ValueHint};
use countermand_core::actor::Role;
use serde::Serialize;

use super::{Exit, Failure, Place, Result, email};
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
        make_directory(&place.data)?;
        if !had_config {
            let mut text = Config::template(&place.world.ids.secret());
            if let Some(url) = &place.database {
                let url = toml::Value::String(url.clone());
                text = text.replace(
                    r#"# url = "sqlite:countermand.db""#,
                    &format!("url = {url}"),
                );
            }
            write_private(&file, &text)?;
        }
        let open = place.open_or_make(place.config()?).await?;
        if let Some(admin) = &self.admin {
            open.app
                .put_operator(&open.actor, admin, BTreeSet::from([Role::Admin]))
                .await?;
        }
        open.app.store.close().await;
        let made = Made {
            data: place.data.display().to_string(),
            config: file.display().to_string(),
            admin: self.admin,
        };
        place.print.answer(&made, || words(place, &made))?;
        Ok(Exit::Done)
    }
}

fn words(place: &Place, made: &Made) -> String {
    let next = |rest: &str| place.command(rest);
    let mut lines = vec![
        format!("Made {} with its config file {}.", made.data, made.config),
        "The doors are in observe mode: verdicts are recorded, and every door lets in.".to_owned(),
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

/// Only the operating system's user that runs Countermand may look inside.
fn make_directory(directory: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory).map_err(|e| {
        Failure::failed(format!(
            "the directory {} can't be made: {e}; choose another with --data DIR",
            directory.display()
        ))
    })
}

/// The file holds the doors' secret.
fn write_private(file: &Path, text: &str) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let write = || -> std::io::Result<()> {
        let mut opened = options.open(file)?;
        opened.write_all(text.as_bytes())?;
        opened.sync_all()
    };
    write().map_err(|e| {
        // Half a config would look like a whole one the next time.
        if e.kind() != std::io::ErrorKind::AlreadyExists {
            let _ = fs::remove_file(file);
        }
        Failure::failed(format!("{} can't be written: {e}", file.display()))
    })
}
