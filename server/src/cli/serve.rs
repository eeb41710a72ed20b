//! `serve`: the arguments; the server itself is put together by the program.

use clap::Args;

use super::{Failure, Result};

/// Run the gates, the sending and the console
#[derive(Debug, Args)]
#[command(after_help = "Example: countermand serve")]
pub struct Serve {
    /// Only the gates, on a machine beside the mail server (not built yet)
    #[arg(long)]
    pub gate_only: bool,
}

impl Serve {
    pub(super) fn checked(self) -> Result<Serve> {
        if self.gate_only {
            return Err(Failure::usage(
                "serve --gate-only is not built yet; run `countermand serve`, which has the gates too",
            ));
        }
        Ok(self)
    }
}
