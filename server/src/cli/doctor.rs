//! `doctor`: the arguments; who asks the doors is put together by the program.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::config::Config;

/// Try each door as a mail server would, and say what is wrong and how to mend it
///
/// Asks for a device that nobody has, needs no password, and leaves nothing behind, so it may run beside a
/// working installation. Ends with status 1 where something failed. docs/doctor.md explains each finding.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example: countermand doctor --from https://mail.example.test"
)]
pub struct Doctor {
    /// Where phones reach mail through a proxy that asks Countermand, besides the fronts of the config; repeatable
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    from: Vec<String>,
    /// PEM file with authorities to trust there besides the public ones, in place of the config's
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    ca_file: Option<PathBuf>,
}

impl Doctor {
    /// The config as these arguments make it.
    pub fn over(self, mut config: Config) -> super::Result<Config> {
        config.doctor.fronts.extend(self.from);
        if let Some(file) = self.ca_file {
            let whole = std::path::absolute(&file);
            config.doctor.ca_file = Some(whole.unwrap_or(file));
        }
        let wrong = |what| super::Failure::usage(format!("--from: {what}"));
        config.doctor.check().map_err(wrong)?;
        Ok(config)
    }
}
