//! `demo`: the arguments; the made-up company is put together by the program.

use clap::Args;

/// Play the story of 10 July 2020 on a made-up company of 25,000 people
#[derive(Debug, Args)]
#[command(after_help = "Example: countermand demo --story")]
pub struct Demo {
    /// Play it in the terminal and end, without a console
    #[arg(long)]
    pub story: bool,
}
