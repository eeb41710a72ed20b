//! Bringing in people and reports, in chunks small enough that nothing urgent waits behind them.

use countermand_core::actor::{Act, Actor};
use countermand_core::change::Change;
use countermand_core::fleet::{IncomingReport, PersonRow};
use serde::Serialize;

use std::time::Duration;

use super::{App, Result};

/// Rows of one commit: no write lasts longer than some tens of milliseconds.
const CHUNK: usize = 100;

/// Between two of them: another process that waits for the place to write looks every few milliseconds.
const BREATH: Duration = Duration::from_millis(8);

/// How far an import has come.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Progress {
    pub done: usize,
    pub of: usize,
}

impl App {
    pub async fn import_people(
        &self,
        actor: &Actor,
        rows: Vec<PersonRow>,
        mut progress: impl FnMut(Progress),
    ) -> Result<()> {
        self.authorise(actor, Act::Administer).await?;
        let of = rows.len();
        let mut done = 0;
        for chunk in rows.chunks(CHUNK) {
            self.commit(actor, Change::People(chunk.to_vec())).await?;
            done += chunk.len();
            progress(Progress { done, of });
            tokio::time::sleep(BREATH).await;
        }
        Ok(())
    }

    pub async fn import_reports(
        &self,
        actor: &Actor,
        reports: Vec<IncomingReport>,
        mut progress: impl FnMut(Progress),
    ) -> Result<()> {
        self.authorise(actor, Act::Administer).await?;
        let of = reports.len();
        let mut done = 0;
        for chunk in reports.chunks(CHUNK) {
            self.commit(actor, Change::Reports(chunk.to_vec())).await?;
            done += chunk.len();
            progress(Progress { done, of });
            tokio::time::sleep(BREATH).await;
        }
        Ok(())
    }
}
