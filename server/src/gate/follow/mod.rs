//! A gate-only server's side: follows the main server's view, writes it to disk, and hands over what it has to put on
//! record. The doors wait for none of this.

mod call;

use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use jiff::{SignedDuration, Timestamp};
use prometheus::{IntCounter, IntGauge, Registry};

use super::feed::media_type;
use super::spool::{Lot, Spool, counter};
use crate::clock::Clock;
use crate::live::Live;
use crate::live::disk::Disk;
use crate::live::part::{Part, name_of};

pub use call::{CallError, Caller};

/// Between two questions, so that a day of many commits is not one of as many questions.
const BETWEEN: Duration = Duration::from_millis(100);
/// After one that failed.
const PAUSE: Duration = Duration::from_millis(500);
/// As long as the disk takes nothing, everything is asked for only so often.
const DISK_PAUSE: SignedDuration = SignedDuration::from_secs(30);
/// Files of the spool in one request.
const FILES_AT_ONCE: usize = 100;

#[derive(Debug)]
pub struct Follower {
    live: Arc<Live>,
    disk: Disk,
    caller: Caller,
    clock: Arc<dyn Clock>,
    /// The head of what is applied: the facts themselves are in the index.
    last: Option<Part>,
    disk_failed_at: Option<Timestamp>,
    reachable: IntGauge,
    failures: IntCounter,
    unwritten: IntCounter,
}

impl Follower {
    pub fn new(
        live: Arc<Live>,
        disk: Disk,
        last: Option<Part>,
        caller: Caller,
        clock: Arc<dyn Clock>,
        figures: &Registry,
    ) -> prometheus::Result<Follower> {
        let reachable = IntGauge::new(
            "countermand_gate_main_reachable",
            "Whether the main server answered the last question for news",
        )?;
        let failures = counter(
            "countermand_gate_main_failures_total",
            "Questions for news that the main server did not answer",
        );
        let unwritten = counter(
            "countermand_gate_view_unwritten_total",
            "Times that a view was answered from without being on disk",
        );
        figures.register(Box::new(reachable.clone()))?;
        figures.register(Box::new(failures.clone()))?;
        figures.register(Box::new(unwritten.clone()))?;
        Ok(Follower {
            live,
            disk,
            caller,
            clock,
            last,
            disk_failed_at: None,
            reachable,
            failures,
            unwritten,
        })
    }

    /// Follows for ever. A main server that is away is asked again; the view grows old meanwhile, and says so.
    pub async fn keep_following(mut self) {
        let mut said = String::new();
        loop {
            match self.follow().await {
                Ok(()) => {
                    if !said.is_empty() {
                        tracing::warn!("the main server answers again");
                        said.clear();
                    }
                    self.reachable.set(1);
                    tokio::time::sleep(BETWEEN).await;
                }
                Err(error) => {
                    let now = error.to_string();
                    if said != now {
                        tracing::warn!("{now}; the doors are answered from the last view");
                        said = now;
                    }
                    self.reachable.set(0);
                    self.failures.inc();
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn follow(&mut self) -> Result<(), CallError> {
        let asked_at = self.clock.now();
        let path = self.question(asked_at);
        let reply = self.caller.call(Method::GET, &path, Vec::new()).await?;
        let age = SignedDuration::try_from(reply.age).unwrap_or(SignedDuration::MAX);
        let fresh_at = asked_at.checked_sub(age).unwrap_or(Timestamp::MIN);
        match reply.status {
            204 => {
                self.live.is_fresh(fresh_at);
                let seen = self.disk.seen(fresh_at);
                seen.unwrap_or_else(|error| self.disk_failed(&error, asked_at));
                Ok(())
            }
            200 if reply.media_type == media_type() => {
                // Reading a view of everything, and writing it, takes a while.
                tokio::task::block_in_place(|| self.take(&reply.body, fresh_at))
            }
            200 => Err(self.caller.error(
                "what answers there is no countermand, or one of another version; [follow] url names it",
            )),
            401 => Err(self.caller.error(
                "it does not know our secret; [follow] secret must be the same in its config",
            )),
            404 => Err(self.caller.error(
                "it gives no view; set [follow] secret in its config, and see whether [follow] url here names it",
            )),
            status => Err(self.caller.error(format!("it answered with status {status}"))),
        }
    }

    fn question(&self, now: Timestamp) -> String {
        let is_due = self
            .disk_failed_at
            .is_none_or(|at| now.duration_since(at) >= DISK_PAUSE);
        match &self.last {
            Some(last) if !(self.disk.wants_everything() && is_due) => format!(
                "/api/v1/view?since={}&installation={}&policy={}",
                last.version,
                last.installation,
                name_of(&last.policy)
            ),
            _ => "/api/v1/view".to_owned(),
        }
    }

    fn take(&mut self, bytes: &[u8], fresh_at: Timestamp) -> Result<(), CallError> {
        let part = Part::decode(bytes).map_err(|error| self.caller.error(error.to_string()))?;
        let written = match (&part.since, &self.last) {
            (None, _) => self.disk.replace(bytes, fresh_at),
            (Some(_), Some(last)) if part.follows(last) => self.disk.append(bytes, fresh_at),
            // Never applied; the next question is for everything.
            _ => {
                self.last = None;
                return Err(self.caller.error("it answered another question than ours"));
            }
        };
        match written {
            Ok(()) => self.disk_failed_at = None,
            // A retraction must reach the doors, whatever the disk says.
            Err(error) => self.disk_failed(&error, self.clock.now()),
        }
        self.last = Some(part.head());
        self.live.feed(part, fresh_at);
        Ok(())
    }

    fn disk_failed(&mut self, error: &std::io::Error, now: Timestamp) {
        if self.disk_failed_at.is_none() {
            tracing::error!(%error, "the view can't be written to disk; a restart would go back to an older one");
        }
        // An append after a failure fails as well, and is no reason to wait longer before all is asked for anew.
        let waited = self
            .disk_failed_at
            .is_none_or(|at| now.duration_since(at) >= DISK_PAUSE);
        if waited {
            self.disk_failed_at = Some(now);
        }
        self.unwritten.inc();
    }
}

/// Hands over what is in the spool, for ever.
pub async fn keep_handing_over(spool: Arc<Spool>, mut caller: Caller) {
    let mut most = FILES_AT_ONCE;
    loop {
        match hand_over(&spool, &mut caller, &mut most).await {
            Ok(true) => {}
            Ok(false) => spool.news().await,
            Err(error) => {
                tracing::info!(%error, "what is in the spool waits");
                spool.failures.inc();
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Whether there was anything to hand over.
async fn hand_over(
    spool: &Spool,
    caller: &mut Caller,
    most: &mut usize,
) -> Result<bool, HandOverError> {
    let Some(lot) = spool.lot(*most)? else {
        return Ok(false);
    };
    let body = serde_json::to_vec(&lot.batch)?;
    let reply = caller.call(Method::POST, "/api/v1/refusals", body).await?;
    match reply.status {
        204 => {
            spool.taken(&lot)?;
            *most = FILES_AT_ONCE;
        }
        400 | 409 | 413 | 422 => refused(spool, &lot, &reply.body, most)?,
        status => {
            let error = caller.error(format!("it answered with status {status}"));
            return Err(error.into());
        }
    }
    Ok(true)
}

fn refused(spool: &Spool, lot: &Lot, said: &[u8], most: &mut usize) -> std::io::Result<()> {
    if lot.is_of_many() {
        // One of them may be what is wrong.
        *most = 1;
        return Ok(());
    }
    let said: serde_json::Value = serde_json::from_slice(said).unwrap_or_default();
    tracing::error!(why = %said["detail"], "the main server does not take a file of the spool; it is put aside");
    spool.refused(lot)
}

#[derive(Debug, thiserror::Error)]
enum HandOverError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("the spool: {0}")]
    Spool(#[from] std::io::Error),
    #[error("the spool: {0}")]
    Unwritable(#[from] serde_json::Error),
}
