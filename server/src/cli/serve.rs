//! `serve`: the arguments; the server itself is put together by the program.

use clap::Args;

use super::{Failure, Place, Result};

/// Run the gates, the sending and the console
#[derive(Debug, Args)]
#[command(after_help = "Example: countermand serve")]
pub struct Serve {
    /// Only the gates, on a machine beside the mail server: follows the main server that the config names, and goes on without it
    #[arg(long)]
    pub gate_only: bool,
}

impl Serve {
    pub(super) fn checked(self, place: &Place) -> Result<Serve> {
        if self.gate_only {
            let follow = place.config()?.follow;
            if follow.url.is_empty() || follow.secret.is_empty() {
                return Err(Failure::usage(format!(
                    "serve --gate-only follows another server, and {} does not say which: set url in [follow], and the secret that stands in the config of both",
                    place.config_file().display()
                )));
            }
        }
        Ok(self)
    }
}
