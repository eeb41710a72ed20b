//! The current index: loaded at start, following every commit of this and of other processes. Where there is no
//! database, it is fed with parts of another server's view.

pub mod disk;
pub mod part;

use std::ops::Deref;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use countermand_core::index::{Fact, Index, Mode, Settings};
use countermand_core::verdict::GatePolicy;
use jiff::Timestamp;
use tokio::sync::{Mutex, watch};

use crate::clock::Clock;
use crate::store::{Result, Store, Touched};
use part::Part;

/// How often another process's commits are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The index as it stands, for who holds this.
#[derive(Debug)]
pub struct View<'a> {
    held: RwLockReadGuard<'a, Held>,
    _once: Once,
}

impl Deref for View<'_> {
    type Target = Index;
    fn deref(&self) -> &Index {
        &self.held.index
    }
}

impl View<'_> {
    /// Of one that is fed: whose facts these are.
    pub fn installation(&self) -> Option<Arc<str>> {
        self.held.installation.clone()
    }
}

/// An index and whose it is: numbers of people mean nothing without the other, so nobody sees one apart.
#[derive(Debug)]
struct Held {
    index: Index,
    installation: Option<Arc<str>>,
}

/// A thread that asks for a second view while it holds one waits for ever, once a commit waits between
/// the two. That is rare enough to pass every test, so builds for tests look for it.
#[derive(Debug)]
struct Once {
    #[cfg(debug_assertions)]
    of: usize,
}

#[cfg(debug_assertions)]
thread_local! {
    /// What this thread holds a view of.
    static HELD: std::cell::RefCell<Vec<usize>> = const { std::cell::RefCell::new(Vec::new()) };
}

#[cfg(debug_assertions)]
impl Once {
    fn of(live: &Live) -> Once {
        let of = std::ptr::from_ref(live).addr();
        HELD.with_borrow_mut(|held| {
            debug_assert!(
                !held.contains(&of),
                "this thread holds a view of the index already, and would wait for itself; hand that one on, or drop it first"
            );
            held.push(of);
        });
        Once { of }
    }
}

#[cfg(debug_assertions)]
impl Drop for Once {
    fn drop(&mut self) {
        HELD.with_borrow_mut(|held| held.retain(|of| *of != self.of));
    }
}

#[cfg(not(debug_assertions))]
impl Once {
    fn of(_: &Live) -> Once {
        Once {}
    }
}

/// An index that is always (nearly) that of the last commit.
#[derive(Debug)]
pub struct Live {
    /// `None`: it is fed.
    store: Option<Arc<Store>>,
    clock: Arc<dyn Clock>,
    policy: GatePolicy,
    /// The mode until somebody has set one in the database.
    first_mode: Mode,
    held: RwLock<Held>,
    /// When the index was last known to be that of the last commit, in microseconds.
    fresh_at: AtomicI64,
    /// One follower at a time, so that the index never steps back.
    following: Mutex<()>,
    changed: watch::Sender<i64>,
}

/// The version of an index that has no facts yet.
const NONE: i64 = -1;

impl Live {
    pub async fn open(
        store: Arc<Store>,
        clock: Arc<dyn Clock>,
        policy: GatePolicy,
        first_mode: Mode,
    ) -> Result<Arc<Live>> {
        let live = Live::new(Some(store), clock, policy, first_mode);
        live.follow().await?;
        Ok(Arc::new(live))
    }

    /// An index without a database, and without facts until it is fed.
    pub fn to_be_fed(clock: Arc<dyn Clock>) -> Arc<Live> {
        let (policy, mode) = (GatePolicy::default(), Mode::Observe);
        Arc::new(Live::new(None, clock, policy, mode))
    }

    fn new(
        store: Option<Arc<Store>>,
        clock: Arc<dyn Clock>,
        policy: GatePolicy,
        first_mode: Mode,
    ) -> Live {
        Live {
            held: RwLock::new(Held {
                index: Index::new(policy.clone()),
                installation: None,
            }),
            fresh_at: AtomicI64::new(i64::MIN),
            following: Mutex::new(()),
            changed: watch::channel(NONE).0,
            store,
            clock,
            policy,
            first_mode,
        }
    }

    /// The index as it stands. Held for a moment only: a commit waits for it.
    pub fn view(&self) -> View<'_> {
        let once = Once::of(self);
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        View { held, _once: once }
    }

    fn write(&self) -> RwLockWriteGuard<'_, Held> {
        drop(Once::of(self));
        self.held.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The version that the index shows.
    pub fn version(&self) -> i64 {
        *self.changed.borrow()
    }

    /// Wakes at every new version.
    pub fn subscribe(&self) -> watch::Receiver<i64> {
        self.changed.subscribe()
    }

    /// Whether there is anything to answer from.
    pub fn has_facts(&self) -> bool {
        self.version() != NONE
    }

    /// How long ago the index was last known to be current; [`Duration::MAX`] where it has no facts.
    pub fn age(&self, now: Timestamp) -> Duration {
        if !self.has_facts() {
            return Duration::MAX;
        }
        let micros = now
            .as_microsecond()
            .saturating_sub(self.fresh_at.load(Ordering::Relaxed))
            .max(0);
        Duration::from_micros(micros as u64)
    }

    /// Takes in a part of another server's view, which was current at `fresh_at`.
    pub fn feed(&self, part: Part, fresh_at: Timestamp) {
        let facts = part.facts.into_iter();
        if part.since.is_none() {
            let mut index = Index::new(part.policy);
            facts.for_each(|fact| index.apply(fact));
            *self.write() = Held {
                index,
                installation: Some(part.installation.into()),
            };
        } else {
            let mut held = self.write();
            facts.for_each(|fact| held.index.apply(fact));
        }
        self.changed.send_replace(part.version);
        self.is_fresh(fresh_at);
    }

    /// The index was current at that time.
    pub fn is_fresh(&self, at: Timestamp) {
        self.fresh_at.store(at.as_microsecond(), Ordering::Relaxed);
    }

    /// Catches up with the database. Gives back what was touched.
    pub async fn follow(&self) -> Result<Vec<Touched>> {
        let Some(store) = &self.store else {
            return Ok(Vec::new());
        };
        let _one = self.following.lock().await;
        let asked_at = self.clock.now();
        let followed = match self.version() {
            NONE => Some(store.load().await?),
            version => store.follow(version).await?,
        };
        let mut touched = Vec::new();
        if let Some(followed) = followed {
            if followed.anew {
                let mut index = Index::new(self.policy.clone());
                index.apply(Fact::Settings(Settings {
                    mode: self.first_mode,
                    doors_open: None,
                }));
                followed
                    .facts
                    .into_iter()
                    .for_each(|fact| index.apply(fact));
                self.write().index = index;
            } else {
                let mut held = self.write();
                followed
                    .facts
                    .into_iter()
                    .for_each(|fact| held.index.apply(fact));
            }
            touched = followed.touched;
            self.changed.send_replace(followed.version);
        }
        self.is_fresh(asked_at);
        Ok(touched)
    }

    /// Follows other processes for ever. A database that is away is tried again; the view grows old
    /// meanwhile, and says so.
    pub async fn keep_following(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.follow().await {
                tracing::warn!(%error, "the database does not answer; the view grows old");
                tokio::time::sleep(Duration::from_millis(450)).await;
            }
        }
    }
}
