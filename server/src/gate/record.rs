//! Puts refusals on record, and whose sessions were ended: who is refused a first time is written down before
//! the answer leaves, so that the reference can be looked up and a later correction finds its way.
//!
//! The verdict never waits for the database, and the answer only so long. What could not be written
//! by then stays in a bounded queue and is tried again; it is lost only with the process. Whose refusal finds no
//! room there either is not refused: a reference that nobody could look up, and a correction that would never
//! come, are promised to no one.

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
/// The queue.
const MOST_WAITING: usize = 20_000;
/// What part of it strangers may fill, and what part those whom nobody vouched for: anybody can knock under
/// made-up names, and under those of others.
const STRANGERS: usize = 10;
const UNCERTAIN: usize = 2;
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

/// Why somebody is refused, as far as it tells one refusal from another.
#[derive(Clone, Debug)]
pub struct Cause {
    pub fingerprint: u64,
    pub at: Timestamp,
    /// It may be one of ever so many, for who or what asked is unknown.
    pub nameless: bool,
    /// Whose facts said so, where there is no database.
    pub installation: Option<Arc<str>>,
}

/// What becomes of a refusal.
enum Noted {
    Waits(watch::Receiver<bool>),
    /// It is on record, or nobody would be told or corrected for its sake.
    NeedNotWait,
    Unkept,
}

/// For whom, and whether it is sure: what somebody makes up under a name must not use up what is kept of
/// the person.
type Whose = (Option<PersonId>, BTreeSet<OrderId>, bool);

#[derive(Debug, Default)]
struct Books {
    /// Whose people are meant by all of this, where there is no database.
    installation: Option<Arc<str>>,
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
    most_waiting: usize,
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
            most_waiting: MOST_WAITING,
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
    /// the cause is new. `false`: nothing keeps it, so that it must not be told.
    pub async fn refused(&self, cause: Cause, refusal: impl FnOnce() -> Refusal) -> bool {
        let fingerprint = cause.fingerprint;
        let mut done = match self.note(cause, refusal) {
            Noted::Waits(done) => done,
            Noted::NeedNotWait => return true,
            Noted::Unkept => return false,
        };
        self.news.notify_one();
        let in_time = tokio::time::timeout(PATIENCE, done.wait_for(|done| *done)).await;
        if let Ok(Err(_)) = in_time {
            // The books were closed meanwhile: another installation's begin.
            return false;
        }
        if in_time.is_err()
            && let Some(waiting) = self.books().waiting.get_mut(&fingerprint)
        {
            waiting.late = true;
        }
        true
    }

    /// Notes device keys that somebody came with. No answer waits for it.
    pub fn claimed(
        &self,
        installation: Option<Arc<str>>,
        person: PersonId,
        keys: Vec<DeviceKey>,
        at: Timestamp,
    ) {
        let Some(mut books) = self.books_of(&installation) else {
            // It comes again with its phone.
            return;
        };
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
        let Some(mut books) = self.books_of(&self.keeper.installation()) else {
            return;
        };
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

    /// The books, unless these are no longer facts of the installation that we follow. What stands there of
    /// another one is forgotten: its numbers mean other people now, and what was told of them is told anew.
    fn books_of(&self, installation: &Option<Arc<str>>) -> Option<MutexGuard<'_, Books>> {
        if self.keeper.installation() != *installation {
            return None;
        }
        let mut books = self.books();
        if books.installation != *installation {
            let lost = books.waiting.len();
            if lost > 0 {
                tracing::error!(
                    lost,
                    "the main server's database was restored from a backup; refusals that waited to be put on record were of before, and are lost"
                );
            }
            let kicks = books.kicks.len() as u64;
            self.figures.kicks_lost.inc_by(kicks);
            *books = Books {
                installation: installation.clone(),
                ..Books::default()
            };
            self.figures.refusals.set(0);
            self.figures.kicks.set(0);
        }
        Some(books)
    }

    fn note(&self, cause: Cause, refusal: impl FnOnce() -> Refusal) -> Noted {
        let Some(mut books) = self.books_of(&cause.installation) else {
            return Noted::Unkept;
        };
        let Cause {
            fingerprint,
            at,
            nameless,
            ..
        } = cause;
        if books.known.contains(&fingerprint) {
            books.repeat(fingerprint, 1, at);
            return Noted::NeedNotWait;
        }
        if let Some(waiting) = books.waiting.get_mut(&fingerprint) {
            waiting.again += 1;
            waiting.last_at = waiting.last_at.max(at);
            let known_person = waiting.refusal.person.is_some();
            return match known_person && !waiting.late {
                true => Noted::Waits(waiting.done.subscribe()),
                false => Noted::NeedNotWait,
            };
        }
        let refusal = refusal();
        let known_person = refusal.person.is_some();
        let (share, most_causes) = match (known_person, refusal.certain) {
            (true, true) => (1, MOST_CAUSES),
            (true, false) => (UNCERTAIN, MOST_CAUSES),
            (false, _) => (STRANGERS, MOST_CAUSES_OF_STRANGERS),
        };
        if books.waiting.len() >= self.most_waiting / share {
            tracing::error!(
                waiting = books.waiting.len(),
                "too many refusals wait to be put on record; one more can't be looked up by its reference"
            );
            // Who is not certain to be that person is not corrected either.
            return match known_person && refusal.certain {
                true => Noted::Unkept,
                false => Noted::NeedNotWait,
            };
        }
        if nameless {
            let whose = (refusal.person, refusal.orders.clone(), refusal.certain);
            let causes = books.causes.entry(whose).or_default();
            *causes += 1;
            if *causes > most_causes {
                tracing::debug!("refused on ever new devices; not recorded apart this hour");
                return Noted::NeedNotWait;
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
            Noted::Waits(waits)
        } else {
            self.news.notify_one();
            Noted::NeedNotWait
        }
    }

    /// Writes for ever.
    pub async fn keep_writing(&self) {
        let (mut ticked, mut said) = (0_u64, false);
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
            match written {
                Ok(()) => said = false,
                Err(error) => {
                    if !std::mem::replace(&mut said, true) {
                        tracing::warn!(%error, "refusals and ended sessions can't be recorded now; they are kept and tried again");
                    }
                    tokio::time::sleep(PAUSE).await;
                    self.news.notify_one();
                }
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

    async fn commit(&self, installation: Option<&str>, change: Change) -> Result<(), KeeperError> {
        let commit = Commit {
            actor: Actor::System("gate".to_owned()),
            at: self.clock.now(),
            change,
        };
        self.keeper.commit(installation, commit).await
    }

    async fn write_waiting(&self) -> Result<(), KeeperError> {
        let _one = self.writing.lock().await;
        loop {
            let (whose, batch): (_, Vec<Refusal>) = {
                let books = self.books();
                let first = books.waiting.values().take(BATCH);
                let batch = first.map(|w| w.refusal.clone()).collect();
                (books.installation.clone(), batch)
            };
            if batch.is_empty() {
                return Ok(());
            }
            // They stay in the queue until they are on disk, so a failure loses none.
            self.commit(whose.as_deref(), Change::Refusals(batch.clone()))
                .await?;
            let mut books = self.books();
            if books.installation != whose {
                continue;
            }
            for refusal in batch {
                books.written(refusal.fingerprint);
            }
            self.figures.refusals.set(books.waiting.len() as i64);
        }
    }

    async fn write_kicks(&self) -> Result<(), KeeperError> {
        let _one = self.writing.lock().await;
        loop {
            let (whose, batch): (_, Vec<Kick>) = {
                let books = self.books();
                let batch = books.kicks.iter().take(KICKS_AT_ONCE).cloned().collect();
                (books.installation.clone(), batch)
            };
            if batch.is_empty() {
                return Ok(());
            }
            self.commit(whose.as_deref(), Change::Kicked(batch.clone()))
                .await?;
            let mut books = self.books();
            if books.installation != whose {
                continue;
            }
            books.kicks.drain(..batch.len());
            self.figures.kicks.set(books.kicks.len() as i64);
        }
    }

    async fn write_claims(&self) -> Result<(), KeeperError> {
        let _one = self.writing.lock().await;
        loop {
            let (whose, batch): (_, Vec<Claim>) = {
                let books = self.books();
                let batch = books.claims.iter().take(CLAIMS_AT_ONCE).cloned().collect();
                (books.installation.clone(), batch)
            };
            if batch.is_empty() {
                return Ok(());
            }
            self.commit(whose.as_deref(), Change::Claims(batch.clone()))
                .await?;
            let mut books = self.books();
            if books.installation != whose {
                continue;
            }
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
            let (whose, batch): (_, Vec<RefusedAgain>) = {
                let books = self.books();
                let batch = books.repeats.values().take(BATCH).copied().collect();
                (books.installation.clone(), batch)
            };
            if batch.is_empty() {
                return Ok(());
            }
            self.commit(whose.as_deref(), Change::RefusedAgain(batch.clone()))
                .await?;
            let mut books = self.books();
            if books.installation != whose {
                continue;
            }
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

#[cfg(test)]
mod tests;
