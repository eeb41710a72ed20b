//! Bringing in people and reports, in chunks small enough that nothing urgent waits behind them.

use countermand_core::actor::{Act, Actor};
use countermand_core::change::Change;
use countermand_core::fleet::{Device, DeviceKey, IncomingReport, PersonRow};
use countermand_core::words::counted;
use serde::Serialize;

use std::collections::BTreeSet;
use std::time::Duration;

use super::{App, Result};

/// Rows of one commit: no write lasts longer than some tens of milliseconds.
const CHUNK: usize = 100;

/// Between two of them: another process that waits for the place to write looks every few milliseconds.
const BREATH: Duration = Duration::from_millis(8);

/// Shared keys that are named; the others are counted.
const NAMED: usize = 20;

/// Keys that clones, re-enrolled devices or a mistake at the source share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shared {
    pub keys: usize,
    pub notes: Vec<String>,
}

impl Shared {
    /// In words, the first of them one by one.
    pub fn in_words(self) -> impl Iterator<Item = String> {
        let more = self.keys - self.notes.len();
        let more = (more > 0).then(|| {
            let keys = counted(more as u64, "more key is", "more keys are");
            format!("{keys} shared by devices")
        });
        self.notes.into_iter().chain(more)
    }
}

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
    ) -> Result<Shared> {
        self.authorise(actor, Act::Administer).await?;
        let of = reports.len();
        let mut done = 0;
        for chunk in reports.chunks(CHUNK) {
            self.commit(actor, Change::Reports(chunk.to_vec())).await?;
            done += chunk.len();
            progress(Progress { done, of });
            tokio::time::sleep(BREATH).await;
        }
        Ok(self.shared(&reports))
    }

    /// Keys of the reports that more than one device goes by now.
    fn shared(&self, reports: &[IncomingReport]) -> Shared {
        let view = self.live.view();
        let keys: BTreeSet<&DeviceKey> = reports.iter().flat_map(|r| &r.keys).collect();
        let mut shared = Shared::default();
        for key in keys {
            let devices: Vec<&Device> = view.devices_called(key).collect();
            if devices.len() < 2 {
                continue;
            }
            shared.keys += 1;
            if shared.notes.len() < NAMED {
                let owners: BTreeSet<&str> = devices
                    .iter()
                    .filter_map(|d| view.person(d.person?))
                    .map(|p| p.email.as_str())
                    .collect();
                let owners: Vec<&str> = owners.into_iter().collect();
                let of = match owners.as_slice() {
                    [] => String::new(),
                    owners => format!(" (of {})", owners.join(", ")),
                };
                shared.notes.push(format!(
                    "{} devices go by {key}{of}: at a door the strictest of them decides, until their reports tell them apart",
                    devices.len()
                ));
            }
        }
        shared
    }
}
