//! The command line, one file a verb: each reads its arguments, asks a use case, and answers in
//! plain words or as one JSON document.

mod attest;
mod audit;
mod backup;
mod catalogue;
mod completions;
mod decide;
pub mod demo;
mod device;
pub mod doctor;
mod doors;
mod exempt;
mod explain;
mod failure;
mod files;
mod help;
mod import;
mod init;
mod mode;
pub mod notices;
mod operator;
mod order;
mod people;
mod place;
mod print;
mod rejects;
mod restore;
mod sending;
pub mod serve;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, FromArgMatches, Parser, Subcommand, ValueHint};

pub use failure::{Exit, Failure};
pub use place::{Open, Place, World};
pub use print::Printer;
pub use sending::{follow, left};

type Result<T> = std::result::Result<T, Failure>;

/// Orders an app off the phones that read your mail, and takes the order back, exactly.
#[derive(Debug, Parser)]
#[command(name = "countermand", version, arg_required_else_help = true)]
#[command(after_help = "Example: countermand demo --story")]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What holds for every command, before or after its name.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Directory with the config file, the database and the mailbox
    #[arg(long, global = true, value_name = "DIR", default_value = "./countermand-data", value_hint = ValueHint::DirPath)]
    pub data: PathBuf,
    /// Database to use instead of the config's: sqlite:FILE or postgres://USER@HOST/NAME
    #[arg(long, global = true, value_name = "URL", value_hint = ValueHint::Url)]
    pub database: Option<String>,
    /// Config file to use instead of countermand.toml in the data directory
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// The operator who acts; believed while the config's trust_shell is true
    #[arg(long = "as", global = true, value_name = "EMAIL", value_hint = ValueHint::EmailAddress)]
    pub operator: Option<String>,
    /// Answer with one JSON document on standard output
    #[arg(long, global = true)]
    pub json: bool,
}

// The doc comments are what `--help` says. In `help::GROUPS` each command has its place.
#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Init),
    #[command(subcommand)]
    Operator(operator::Operator),
    #[command(subcommand)]
    People(people::People),
    Import(import::Import),
    #[command(subcommand)]
    Catalogue(catalogue::Catalogue),
    #[command(subcommand)]
    Order(order::Order),
    #[command(subcommand)]
    Exempt(exempt::Exempt),
    Attest(attest::Attest),
    #[command(subcommand)]
    Device(device::Device),
    Decide(decide::Decide),
    Explain(explain::Explain),
    Mode(mode::Mode),
    #[command(subcommand)]
    Doors(doors::Doors),
    #[command(subcommand)]
    Notices(notices::Notices),
    #[command(subcommand)]
    Audit(audit::Audit),
    Doctor(doctor::Doctor),
    Serve(serve::Serve),
    Demo(demo::Demo),
    Backup(backup::Backup),
    Restore(restore::Restore),
    Completions(completions::Completions),
}

/// What is left to do: most commands are done when they return; what needs the gates, the pages or
/// the outbox is for the caller, who knows them.
#[derive(Debug)]
pub enum Job {
    Done(Exit),
    Serve(Place, serve::Serve),
    Doctor(Place, doctor::Doctor),
    Demo(Place, demo::Demo),
    Send(Place, notices::Send),
}

/// Reads the command line. An error is help or version, too, and knows its exit status.
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
) -> std::result::Result<Cli, clap::Error> {
    let matches = help::command().try_get_matches_from(arguments)?;
    Cli::from_arg_matches(&matches)
}

/// Does what the command line asks for.
pub async fn run(cli: Cli, world: World) -> Result<Job> {
    let place = Place::new(cli.global, world);
    let done = match cli.command {
        Command::Init(c) => c.run(&place).await,
        Command::Operator(c) => c.run(&place).await,
        Command::People(c) => c.run(&place).await,
        Command::Import(c) => c.run(&place).await,
        Command::Catalogue(c) => c.run(&place),
        Command::Order(c) => c.run(&place).await,
        Command::Exempt(c) => c.run(&place).await,
        Command::Attest(c) => c.run(&place).await,
        Command::Device(c) => c.run(&place).await,
        Command::Decide(c) => c.run(&place).await,
        Command::Explain(c) => c.run(&place).await,
        Command::Mode(c) => c.run(&place).await,
        Command::Doors(c) => c.run(&place).await,
        Command::Notices(notices::Notices::Status(c)) => c.run(&place).await,
        Command::Notices(notices::Notices::Preview(c)) => c.run(&place).await,
        Command::Notices(notices::Notices::Test(c)) => c.run(&place).await,
        Command::Notices(notices::Notices::Unreached(c)) => c.run(&place).await,
        Command::Notices(notices::Notices::Send(c)) => return Ok(Job::Send(place, c)),
        Command::Audit(c) => c.run(&place).await,
        Command::Doctor(c) => return Ok(Job::Doctor(place, c)),
        Command::Serve(c) => {
            let serve = c.checked(&place)?;
            return Ok(Job::Serve(place, serve));
        }
        Command::Demo(c) => return Ok(Job::Demo(place, c)),
        Command::Backup(c) => c.run(&place).await,
        Command::Restore(c) => c.run(&place).await,
        Command::Completions(c) => c.run(&place),
    };
    done.map(Job::Done)
}

/// A mail address on the command line, checked before anything is made.
fn email(text: &str) -> std::result::Result<String, String> {
    let folded = countermand_core::fleet::fold(text);
    let fine = folded.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && !domain.is_empty() && !domain.contains('@')
    });
    if fine && !folded.chars().any(|c| c.is_whitespace() || c.is_control()) {
        Ok(folded)
    } else {
        Err("write a mail address such as ann@example.test".to_owned())
    }
}
