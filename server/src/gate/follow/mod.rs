//! A gate-only server's side: follows the main server's view, writes it to disk, and hands over what it has to put on
//! record. The doors wait for none of this.

mod call;
mod look;

use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use jiff::{SignedDuration, Timestamp};
use prometheus::{IntCounter, IntGauge, Registry};

use super::batch::Batch;
use super::feed::{PROBLEM, media_type};
use super::spool::{Lot, Spool, counter};
use crate::clock::Clock;
use crate::live::Live;
use crate::live::disk::Disk;
use crate::live::part::{Part, name_of};

use call::Reply;

pub use call::{CallError, Caller};
pub use look::{Followed, look};

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
        let Some(age) = reply.age.filter(|_| matches!(reply.status, 200 | 204)) else {
            return Err(self.caller.error(no_view(&reply)));
        };
        let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
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
            _ => Err(self.caller.error(no_view(&reply))),
        }
    }

    fn question(&self, now: Timestamp) -> String {
        let is_due = self
            .disk_failed_at
            .is_none_or(|at| now.duration_since(at) >= DISK_PAUSE);
        match &self.last {
            Some(last) if !(self.disk.wants_everything() && is_due) => after(last),
            _ => EVERYTHING.to_owned(),
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

const EVERYTHING: &str = "/api/v1/view";

/// What has changed after that part.
fn after(last: &Part) -> String {
    format!(
        "{EVERYTHING}?since={}&installation={}&policy={}",
        last.version,
        last.installation,
        name_of(&last.policy)
    )
}

/// What is wrong where the answer is no view, and nothing that says how old ours is.
fn no_view(reply: &Reply) -> String {
    match reply.status {
        200 | 204 => {
            "what answers there is no countermand, or one of another version; [follow] url names it"
                .to_owned()
        }
        401 => "it does not know our secret; [follow] secret must be the same in its config".to_owned(),
        404 => {
            "it gives no view; set [follow] secret in its config, and see whether [follow] url here names it"
                .to_owned()
        }
        status => format!("it answered with status {status}"),
    }
}

/// Hands over what is in the spool, for ever.
pub async fn keep_handing_over(spool: Arc<Spool>, mut caller: Caller) {
    loop {
        match hand_over(&spool, &mut caller).await {
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
async fn hand_over(spool: &Spool, caller: &mut Caller) -> Result<bool, HandOverError> {
    let Some(lot) = spool.lot(FILES_AT_ONCE)? else {
        return Ok(false);
    };
    let said = offer(caller, &lot.batch).await?;
    match said {
        Said::Taken => spool.taken(&lot)?,
        // One of them may be what is wrong. They are the oldest, so they come again one by one.
        Said::Refused { .. } if lot.files() > 1 => {
            for _ in 0..lot.files() {
                let Some(one) = spool.lot(1)? else { break };
                match offer(caller, &one.batch).await? {
                    Said::Taken => spool.taken(&one)?,
                    Said::Refused { why, splits } => {
                        apart(spool, caller, &one, why, splits).await?
                    }
                }
            }
        }
        Said::Refused { why, splits } => apart(spool, caller, &lot, why, splits).await?,
    }
    Ok(true)
}

/// What the main server says to a batch.
enum Said {
    Taken,
    /// It never will; where it `splits`, that may be the fault of one entry.
    Refused {
        why: String,
        splits: bool,
    },
}

async fn offer(caller: &mut Caller, batch: &Batch) -> Result<Said, HandOverError> {
    let body = serde_json::to_vec(batch)?;
    let reply = caller.call(Method::POST, "/api/v1/refusals", body).await?;
    let status = match reply.status {
        204 => return Ok(Said::Taken),
        // A file that is larger than it takes: what is in it may not be.
        413 if batch.len() > 1 => 413,
        // Its own words. Who stands before it can say so too, and is to be asked again.
        status @ (400 | 409 | 422) if reply.media_type == PROBLEM => status,
        status => {
            let error = caller.error(format!("it answered with status {status}"));
            return Err(error.into());
        }
    };
    let said: serde_json::Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    Ok(Said::Refused {
        why: match said["detail"].as_str() {
            Some(why) => why.to_owned(),
            None => format!("status {status}"),
        },
        // 409 is for another installation's, with all that is in it.
        splits: status != 409 && batch.len() > 1,
    })
}

/// Puts aside what the main server does not take, and nothing else.
async fn apart(
    spool: &Spool,
    caller: &mut Caller,
    lot: &Lot,
    why: String,
    splits: bool,
) -> Result<(), HandOverError> {
    let mut aside = Vec::new();
    if splits {
        for entry in lot.batch.entries() {
            if let Said::Refused { why, .. } = offer(caller, &entry).await? {
                aside.push((entry, why));
            }
        }
    } else {
        aside.push((lot.batch.clone(), why));
    }
    for (batch, why) in &aside {
        tracing::error!(
            why,
            entries = batch.len(),
            "the main server does not take a part of the spool; it is put aside"
        );
    }
    match aside.is_empty() {
        true => spool.taken(lot)?,
        false => spool.refused(lot, &aside)?,
    }
    Ok(())
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use countermand_core::verdict::GatePolicy;

    use super::*;
    use crate::clock::ManualClock;

    fn bytes(since: Option<i64>, version: i64) -> Vec<u8> {
        let part = Part {
            since,
            version,
            installation: "ours".to_owned(),
            policy: GatePolicy::default(),
            facts: Vec::new(),
        };
        part.encode().unwrap()
    }

    /// One commit a second: however many fail to be appended, everything is asked for when it is due.
    #[test]
    fn a_view_on_disk_heals_after_a_full_disk_however_many_commits_there_are() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("full");
        let clock = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
        let live = Live::to_be_fed(clock.clone());
        let config = crate::config::FollowConfig {
            url: "http://127.0.0.1:1".to_owned(),
            ..Default::default()
        };
        let mut follower = Follower::new(
            live.clone(),
            // Nothing can be written there.
            Disk::empty(&place.join("gate-view")),
            None,
            Caller::new(&config).unwrap(),
            clock.clone(),
            &Registry::new(),
        )
        .unwrap();
        let mut asked_for_all = Vec::new();
        for second in 0..100 {
            let now = Timestamp::from_second(second).unwrap();
            clock.set(now);
            if second == 45 {
                std::fs::create_dir(&place).unwrap();
            }
            let all = follower.question(now) == EVERYTHING;
            let since = (!all).then_some(second - 1);
            follower.take(&bytes(since, second), now).unwrap();
            assert_eq!(live.version(), second, "the doors are answered from it");
            if all {
                asked_for_all.push(second);
            }
        }
        assert_eq!(asked_for_all, [0, 30, 60]);
        let stored = Disk::look(&place.join("gate-view")).unwrap().unwrap();
        assert_eq!(stored.parts.last().unwrap().version, 99);
    }

    /// A main server, or who stands before it, that says the same to everybody.
    async fn that_says(answer: &'static str) -> Caller {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = crate::config::FollowConfig {
            url: format!("http://{}", listener.local_addr().unwrap()),
            ..Default::default()
        };
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Caller::new(&config).unwrap()
    }

    #[tokio::test]
    async fn only_the_main_servers_own_no_is_for_good() {
        let proxys = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno";
        let own = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/problem+json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
        let too_much = "HTTP/1.1 413 Payload Too Large\r\nContent-Type: text/html\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno";
        let batch = Batch::default();
        for (answer, is_for_good) in [(proxys, false), (own, true), (too_much, false)] {
            let mut caller = that_says(answer).await;
            let said = offer(&mut caller, &batch).await;
            let refused = matches!(said, Ok(Said::Refused { .. }));
            assert_eq!(refused, is_for_good, "{answer}");
        }
    }
}
