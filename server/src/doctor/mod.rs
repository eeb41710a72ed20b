//! `countermand doctor`: tries each door as the mail server would, and says what is wrong and how to mend it.
//!
//! Safe beside a running installation: it asks a handful of questions, one after the other, for a device that
//! nobody has (`gate::probe`), and leaves no mail, no record and no session anywhere.

mod follow;
mod front;
mod front_mail;
mod gate;
mod house;
mod http;
mod lines;
mod mail;
mod public;
mod report;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::app::App;
use crate::clock::Clock;
use crate::config::Config;

pub use report::{Check, Report, Status};

/// For each answer. Doors answer within two seconds, or their mail server has given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// On which machine the doctor is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum At {
    /// Where the database is, or should be.
    Main,
    /// Where a gate-only server is, or should be.
    GateOnly,
    /// Where there is none of it, and only what is seen from outside can be looked at.
    Elsewhere,
}

/// What is looked at.
#[derive(Debug)]
pub struct Visit {
    pub config: Config,
    pub data: PathBuf,
    pub clock: Arc<dyn Clock>,
    pub at: At,
    /// The installation, or why it could not be opened.
    pub app: Result<App, String>,
}

/// Asks every question, one after the other.
pub async fn examine(visit: &Visit) -> Report {
    let mut report = Report::default();
    house::look(visit, &mut report).await;
    let answers = gate::look(visit, &mut report).await;
    if answers {
        // Else each of them would say the same once more.
        gate::look_at_mail_doors(visit, &mut report).await;
    }
    if answers || visit.at == At::Elsewhere {
        public::statements(visit, &mut report).await;
    }
    if answers && visit.at == At::Main {
        mail::bounces(visit, &mut report).await;
    }
    front::look(visit, answers, &mut report).await;
    if visit.at == At::GateOnly {
        follow::look(visit, &mut report).await;
    }
    if visit.at != At::Elsewhere {
        mail::servers(visit, &mut report).await;
    }
    if visit.at == At::Main {
        mail::relay(visit, &mut report).await;
        public::channels(visit, &mut report).await;
    }
    report
}
