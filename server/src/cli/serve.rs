//! `serve`: the arguments; the server itself is put together by the program.

use clap::Args;

/// Run the gates, the sending and the console
#[derive(Debug, Args)]
#[command(after_help = "Example: countermand serve")]
pub struct Serve {
    /// Only the gates, on a machine beside the mail server: follows the main server of [follow], and goes on without it
    #[arg(long)]
    pub gate_only: bool,
}
