//! `completions`: what a shell needs to complete a command line.

use clap::Args;
use clap_complete::Shell;

use super::{Exit, Failure, Place, Result, help};

/// Print the completion script of a shell
#[derive(Debug, Args)]
#[command(after_help = "Example: countermand completions bash > countermand.bash")]
pub struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl Completions {
    pub fn run(self, place: &Place) -> Result<Exit> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut help::command(), "countermand", &mut script);
        let script = String::from_utf8(script).map_err(|e| Failure::failed(e.to_string()))?;
        place.print.raw(&script)?;
        Ok(Exit::Done)
    }
}
