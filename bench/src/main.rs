//! Measures Countermand beside its peers, in one run, in release builds.

mod engine;
mod gate;
mod notices;
mod rows;
mod tools;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use rows::Report;

#[derive(Debug, Parser)]
#[command(name = "countermand-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The main figures, small enough for every day: verdict, preview, gate, notices
    Smoke {
        /// Where to write the figures as JSON; standard output if absent
        #[arg(long)]
        json: Option<PathBuf>,
        /// Notices to send into smtp-sink
        #[arg(long, default_value_t = 10_000)]
        notices: usize,
    },
}

fn main() -> anyhow::Result<()> {
    let Cli {
        command: Command::Smoke { json, notices },
    } = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut report = Report::default();
        let fleet = engine::Fleet::made_up();
        report.devices = fleet.devices();
        report.rows.push(engine::verdict(&fleet));
        report.rows.push(engine::preview(&fleet)?);
        report.rows.push(gate::through_nginx().await?);
        report.rows.extend(notices::into_the_sink(notices).await?);
        let text = serde_json::to_string_pretty(&report)?;
        match json {
            Some(file) => std::fs::write(file, text + "\n")?,
            None => println!("{text}"),
        }
        eprint!("{}", report.as_table());
        Ok(())
    })
}
