//! Puts refusals on record, and whose sessions were ended: who is refused a first time is written down before the answer leaves,
//! so that the reference can be looked up and a later correction finds its way.
//!
//! The verdict never waits for the database, and the answer only so long. What could not be written
//! by then stays in a bounded queue and is tried again; it is lost only with the process.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use countermand_core::actor::Actor;
use countermand_core::change::{Change, Commit, Kick, Refusal, RefusedAgain};
use countermand_core::fleet::{Claim, DeviceKey};
use countermand_core::id::{OrderId, PersonId};
use jiff::Timestamp;
use tokio::sync::{Notify, watch};

use super::keeper::{Keeper, KeeperError};
use super::metrics;
use crate::clock::Clock;

/// How long an answer waits for its record.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often repeats are written.
const FLUSH_EVERY: Duration = Duration::from_secs(5);
/// After the database failed.
const PAUSE: Duration = Duration::from_millis(250);
/// Refusals of one commit: no write lasts longer than some tens of milliseconds.
const BATCH: usize = 100;
/// Claims of one commit: they are one statement.
const CLAIMS_AT_ONCE: usize = 500;
/// Causes that are known to be on record; all are forgotten when there are more, which costs each
/// one write.
const MOST_KNOWN: usize = 200_000;
/// The queue, and what of it strangers may fill: anybody can knock under made-up names.
const MOST_WAITING: usize = 20_000;
const MOST_STRANGERS: usize = 2_000;
/// Unknown devices of one person that are written down in an hour for the same orders. Before the
/// password is checked anybody can name a person and make up phones without end; what a correction
/// needs is written with the first. Known devices have no limit, for they are few.
const MOST_CAUSES: u32 = 50;
/// The same of all logins that are nobody's.
const MOST_CAUSES_OF_STRANGERS: u32 = 1_000;
/// Claims that wait; what is left out comes again with its phone.
const MOST_CLAIMS: usize = 20_000;
const MOST_CLAIMS_OF_ONE: usize = 10;
/// Ended sessions that wait, and those of one commit.
const MOST_KICKS: usize = 100_000;
const KICKS_AT_ONCE: usize = 200;
const TICKS_OF_AN_HOUR: u64 = 3600 / FLUSH_EVERY.as_secs();

#[derive(Debug)]
struct Waiting {
    refusal: Refusal,
    /// Further refusals for the same cause meanwhile.
    again: u64,
    last_at: Timestamp,
    done: watch::Sender<bool>,
    /// Somebody waited in vain; the next need not.
    late: bool,
}

/// For whom, and whether it is sure: what somebody makes up under a name must not use up what is kept of
/// the person.
type Whose = (Option<PersonId>, BTreeSet<OrderId>, bool);

#[derive(Debug, Default)]
struct Books {
    known: HashSet<u64>,
    waiting: HashMap<u64, Waiting>,
    repeats: HashMap<u64, RefusedAgain>,
    /// New causes of unknown devices in this hour.
    causes: HashMap<Whose, u32>,
    /// Keys that people came with and that are not known to be theirs, as they came.
    claims: VecDeque<Claim>,
    /// The same, by person.
    claiming: HashMap<PersonId, HashSet<DeviceKey>>,
    /// Sessions that were ended.
    kicks: VecDeque<Kick>,
}

#[derive(Debug)]
pub struct Recorder {
    keeper: Keeper,
    clock: Arc<dyn Clock>,
    books: Mutex<Books>,
    news: Notify,
    /// One writer at a time, so that nothing is written twice.
    writing: tokio::sync::Mutex<()>,
    figures: metrics::Waiting,
}

impl Recorder {
    pub fn new(keeper: Keeper, clock: Arc<dyn Clock>, figures: metrics::Waiting) -> Self {
        Recorder {
            keeper,
            clock,
            books: Mutex::default(),
            news: Notify::new(),
            writing: tokio::sync::Mutex::default(),
            figures,
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when the refusal is on record, or after [`PATIENCE`]. `refusal` is asked for only where
    /// the cause is new. `nameless`: it may be one of ever so many, for who or what asked is unknown.
    pub async fn refused(
        &self,
        fingerprint: u64,
        at: Timestamp,
        nameless: bool,
        refusal: impl FnOnce() -> Refusal,
    ) {
        let Some(mut done) = self.note(fingerprint, at, nameless, refusal) else {
            return;
        };
        self.news.notify_one();
        let in_time = tokio::time::timeout(PATIENCE, done.wait_for(|done| *done)).await;
        if in_time.is_err()
            && let Some(waiting) = self.books().waiting.get_mut(&fingerprint)
        {
            waiting.late = true;
        }
    }

    /// Notes device keys that somebody came with. No answer waits for it.
    pub fn claimed(&self, person: PersonId, keys: Vec<DeviceKey>, at: Timestamp) {
        let mut books = self.books();
        let room = MOST_CLAIMS.saturating_sub(books.claims.len());
        let known = books.claiming.get(&person);
        let room = room.min(MOST_CLAIMS_OF_ONE.saturating_sub(known.map_or(0, HashSet::len)));
        let mut fresh = keys;
        fresh.retain(|key| known.is_none_or(|known| !known.contains(key)));
        fresh.truncate(room);
        if fresh.is_empty() {
            return;
        }
        let of_person = books.claiming.entry(person).or_default();
        of_person.extend(fresh.iter().cloned());
        books.claims.extend(fresh.into_iter().map(|key| Claim {
            key,
            person,
            at,
            first: false,
        }));
    }

    /// Notes whose sessions were ended. That is done, whatever becomes of its record.
    pub fn ended(&self, kicks: Vec<Kick>) {
        if kicks.is_empty() {
            return;
        }
        let mut books = self.books();
        let room = MOST_KICKS.saturating_sub(books.kicks.len());
        let lost = kicks.len().saturating_sub(room);
        books.kicks.extend(kicks.into_iter().take(room));
        self.figures.kicks.set(books.kicks.len() as i64);
        drop(books);
        if lost > 0 {
            self.figures.kicks_lost.inc_by(lost as u64);
            tracing::error!(
                lost,
                "too many ended sessions wait for the database; these stay without an entry in the record"
            );
        }
        self.news.notify_one();
    }

    /// Gives what to wait for, if there is anything to wait for.
    fn note(
        &self,
        fingerprint: u64,
        at: Timestamp,
        nameless: bool,
        refusal: impl FnOnce() -> Refusal,
    ) -> Option<watch::Receiver<bool>> {
        let mut books = self.books();
        if books.known.contains(&fingerprint) {
            books.repeat(fingerprint, 1, at);
            return None;
        }
        if let Some(waiting) = books.waiting.get_mut(&fingerprint) {
            waiting.again += 1;
            waiting.last_at = waiting.last_at.max(at);
            let known_person = waiting.refusal.person.is_some();
            return (known_person && !waiting.late).then(|| waiting.done.subscribe());
        }
        let refusal = refusal();
        let known_person = refusal.person.is_some();
        let (room, most_causes) = if known_person {
            (MOST_WAITING, MOST_CAUSES)
        } else {
            (MOST_STRANGERS, MOST_CAUSES_OF_STRANGERS)
        };
        if books.waiting.len() >= room {
            tracing::error!(
                waiting = books.waiting.len(),
                "too many refusals wait for the database; one more is not recorded, and its reference can't be looked up"
            );
            return None;
        }
        if nameless {
            let whose = (refusal.person, refusal.orders.clone(), refusal.certain);
            let causes = books.causes.entry(whose).or_default();
            *causes += 1;
            if *causes > most_causes {
                tracing::debug!("refused on ever new devices; not recorded apart this hour");
                return None;
            }
        }
        let (done, waits) = watch::channel(false);
        let waiting = Waiting {
            refusal,
            again: 0,
            last_at: at,
            done,
            late: false,
        };
        books.waiting.insert(fingerprint, waiting);
        self.figures.refusals.set(books.waiting.len() as i64);
        // Nobody is to be told or corrected for a stranger's sake, so its answer need not wait.
        if known_person {
            Some(waits)
        } else {
            self.news.notify_one();
            None
        }
    }

    /// Writes for ever.
    pub async fn keep_writing(&self) {
        let mut ticked = 0_u64;
        let mut ticks = tokio::time::interval(FLUSH_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let written = tokio::select! {
                () = self.news.notified() => self.write_news().await,
                _ = ticks.tick() => {
                    ticked += 1;
                    if ticked.is_multiple_of(TICKS_OF_AN_HOUR) {
                        self.books().causes.clear();
                    }
                    self.flush().await
                }
            };
            if let Err(error) = written {
                tracing::warn!(%error, "refusals and ended sessions can't be recorded now; they are kept and tried again");
                tokio::time::sleep(PAUSE).await;
                self.news.notify_one();
            }
        }
    }

    /// Writes everything that is not written yet.
    pub async fn flush(&self) -> Result<(), KeeperError> {
        self.write_news().await?;
        self.write_claims().await?;
        self.write_repeats().await
    }

    async fn write_news(&self) -> Result<(), KeeperError> {
        self.write_waiting().await?;
        self.write_kicks().await
    }

    async fn commit(&self, change: Change) -> Result<(), KeeperError> {
        let commit = Commit {
            actor: Actor::System("gate".to_owned()),
            at: self.clock.now(),
            change,
        };
        self.keeper.commit(commit).await
    }

    async fn write_waiting(&self) -> Result<(), KeeperError> {
        let _one = self.writing.lock().await;
        loop {
            let batch: Vec<Refusal> = {
                let books = self.books();
                let first = books.waiting.values().take(BATCH);
                first.map(|w| w.refusal.clone()).collect()
            };
            if batch.is_empty() {
                return Ok(());
            }
            // They stay in the queue until they are on disk, so a failure loses none.
            self.commit(Change::Refusals(batch.clone())).await?;
            let mut books = self.books();
            for refusal in batch {
                books.written(refusal.fingerprint);
            }
            self.figures.refusals.set(books.waiting.len() as i64);
        }
    }

    async fn write_kicks(&self) -> Result<(), KeeperError> {
        let _one = self.writing.lock().await;
        loop {
            let first = |books: &Books| books.kicks.iter().take(KICKS_AT_ONCE).cloned().collect();
            let batch: Vec<Kick> = first(&self.books());
            if batch.is_empty() {
                return Ok(());
            }
            self.commit(Change::Kicked(batch.clone())).await?;
            let mut books = self.books();
            books.kicks.drain(..batch.len());
            self.figures.kicks.set(books.kicks.len() as i64);
        }
    }

    async fn write_claims(&self) -> Result<(), KeeperError> {
        let _one = self.writing.lock().await;
        loop {
            let first = |books: &Books| books.claims.iter().take(CLAIMS_AT_ONCE).cloned().collect();
            let batch: Vec<Claim> = first(&self.books());
            if batch.is_empty() {
                return Ok(());
            }
            self.commit(Change::Claims(batch.clone())).await?;
            let mut books = self.books();
            books.claims.drain(..batch.len());
            for claim in batch {
                if let Some(of_person) = books.claiming.get_mut(&claim.person) {
                    of_person.remove(&claim.key);
                    if of_person.is_empty() {
                        books.claiming.remove(&claim.person);
                    }
                }
            }
        }
    }

    async fn write_repeats(&self) -> Result<(), KeeperError> {
        let _one = self.writing.lock().await;
        loop {
            let batch: Vec<RefusedAgain> = {
                let books = self.books();
                books.repeats.values().take(BATCH).copied().collect()
            };
            if batch.is_empty() {
                return Ok(());
            }
            self.commit(Change::RefusedAgain(batch.clone())).await?;
            let mut books = self.books();
            for one in batch {
                books.counted(one);
            }
        }
    }
}

impl Books {
    fn repeat(&mut self, fingerprint: u64, times: u64, at: Timestamp) {
        let repeat = self.repeats.entry(fingerprint).or_insert(RefusedAgain {
            fingerprint,
            times: 0,
            last_at: at,
        });
        repeat.times += times;
        repeat.last_at = repeat.last_at.max(at);
    }

    fn written(&mut self, fingerprint: u64) {
        if self.known.len() >= MOST_KNOWN {
            self.known.clear();
        }
        self.known.insert(fingerprint);
        if let Some(waiting) = self.waiting.remove(&fingerprint) {
            if waiting.again > 0 {
                self.repeat(fingerprint, waiting.again, waiting.last_at);
            }
            waiting.done.send_replace(true);
        }
    }

    /// Takes off what was written; more may have come meanwhile.
    fn counted(&mut self, one: RefusedAgain) {
        if let Some(repeat) = self.repeats.get_mut(&one.fingerprint) {
            repeat.times = repeat.times.saturating_sub(one.times);
            if repeat.times == 0 {
                self.repeats.remove(&one.fingerprint);
            }
        }
    }
}
