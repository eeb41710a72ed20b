//! Measures Countermand beside its peers, in one run, in release builds.

mod doors;
mod engine;
mod gate;
mod notices;
mod peers;
mod retract;
mod rows;
mod stage;
mod tools;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use rows::Report;

/// Every notice is many small texts, made on one thread and dropped on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
#[command(name = "countermand-bench", version)]
struct Cli {
    /// Where to write the figures as JSON; standard output if absent
    #[arg(long, global = true)]
    json: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The main figures, small enough for every day: verdict, preview, gate, notices, retraction
    Smoke {
        /// Notices to send into smtp-sink
        #[arg(long, default_value_t = 10_000)]
        notices: usize,
        /// People with a planned notice when the order is retracted
        #[arg(long, default_value_t = 100_000)]
        planned: usize,
        /// The front doors too
        #[arg(long)]
        doors: bool,
    },
    /// Every front door of mail, with the gate and without; and how soon an open session ends
    Doors,
    /// Notices with receipts into smtp-sink, beside smtp-source, lettre and smtplib; and a retraction of very many
    Notices {
        #[arg(long, default_value_t = 20_000)]
        notices: usize,
        #[arg(long, default_value_t = 1_000_000)]
        planned: usize,
        /// Leave the retraction out
        #[arg(long)]
        no_retraction: bool,
    },
    /// The retraction alone
    Retract {
        #[arg(long, default_value_t = 1_000_000)]
        planned: usize,
        /// People who have accepted the notice by then
        #[arg(long, default_value_t = 5_000)]
        told: usize,
        /// Of the planned, those whose accepted receipts are on disk before; then it is one round
        #[arg(long, default_value_t = 0)]
        accepted: usize,
    },
}

fn main() -> anyhow::Result<()> {
    let Cli { json, command } = Cli::parse();
    // As the program has it.
    let runtime = countermand::runtime::start()?;
    runtime.block_on(async {
        let mut report = Report::default();
        match command {
            Command::Smoke {
                notices,
                planned,
                doors,
            } => {
                let fleet = engine::Fleet::made_up();
                report.devices = fleet.devices();
                report.rows.push(engine::verdict(&fleet));
                report.rows.push(engine::preview(&fleet)?);
                report.rows.push(gate::through_nginx().await?);
                report.rows.extend(notices::into_the_sink(notices).await?);
                report
                    .rows
                    .extend(retract::planned(planned, planned / 100, 0).await?);
                if doors {
                    report.rows.extend(doors::all().await?);
                }
            }
            Command::Doors => report.rows.extend(doors::all().await?),
            Command::Notices {
                notices,
                planned,
                no_retraction,
            } => {
                report.rows.extend(notices::into_the_sink(notices).await?);
                if !no_retraction {
                    report
                        .rows
                        .extend(retract::planned(planned, 5_000, 0).await?);
                }
            }
            Command::Retract {
                planned,
                told,
                accepted,
            } => {
                report
                    .rows
                    .extend(retract::planned(planned, told, accepted).await?);
            }
        }
        let text = serde_json::to_string_pretty(&report)?;
        match json {
            Some(file) => std::fs::write(file, text + "\n")?,
            None => println!("{text}"),
        }
        eprint!("{}", report.as_table());
        Ok(())
    })
}
