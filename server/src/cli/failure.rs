//! Exit statuses, and what is said when a command does not do what was asked.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use crate::app::AppError;
use crate::config::ConfigError;
use crate::import::ImportError;
use crate::store::StoreError;

/// How a command ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    Done = 0,
    /// The world failed, or the record has a fault.
    Failed = 1,
    /// Wrong use, an unknown id or bad input.
    Usage = 2,
    /// Refused by policy.
    Policy = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Why a command did not do what was asked: what, where, and how to mend it.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    what: String,
}

impl Failure {
    pub fn usage(what: impl Into<String>) -> Failure {
        Failure {
            exit: Exit::Usage,
            what: what.into(),
        }
    }

    pub fn policy(what: impl Into<String>) -> Failure {
        Failure {
            exit: Exit::Policy,
            what: what.into(),
        }
    }

    pub fn failed(what: impl Into<String>) -> Failure {
        Failure {
            exit: Exit::Failed,
            what: what.into(),
        }
    }

    /// The same, with the file that it is about before each line.
    pub fn in_file(self, file: &Path) -> Failure {
        let lines: Vec<String> = self
            .what
            .lines()
            .map(|line| format!("{}: {line}", file.display()))
            .collect();
        Failure {
            what: lines.join("\n"),
            ..self
        }
    }

    /// What is wrong with the text of an order file; anything else is no matter of the file.
    pub fn of_file(error: AppError, file: &Path) -> Failure {
        match error {
            AppError::Problems(_) => Failure::from(error).in_file(file),
            _ => error.into(),
        }
    }

    /// A file that the command line names can't be read.
    pub fn unreadable(file: &Path, error: &std::io::Error) -> Failure {
        Failure::usage(match error.kind() {
            std::io::ErrorKind::NotFound => format!("there is no file {}", file.display()),
            _ => format!("{} can't be read: {error}", file.display()),
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Failure {}

impl From<AppError> for Failure {
    fn from(error: AppError) -> Failure {
        let exit = match error {
            AppError::Input(_) | AppError::Problems(_) => Exit::Usage,
            AppError::Policy(_) => Exit::Policy,
            AppError::Failed(_) => Exit::Failed,
        };
        Failure {
            exit,
            what: error.to_string(),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        AppError::from(error).into()
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        Failure::usage(error.to_string())
    }
}

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Failure {
        Failure::usage(error.to_string())
    }
}
