//! The current index: loaded at start, following every commit of this and of other processes.

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

/// How often another process's commits are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The index as it stands, for who holds this.
#[derive(Debug)]
pub struct View<'a> {
    index: RwLockReadGuard<'a, Index>,
    _once: Once,
}

impl Deref for View<'_> {
    type Target = Index;
    fn deref(&self) -> &Index {
        &self.index
    }
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
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    policy: GatePolicy,
    /// The mode until somebody has set one in the database.
    first_mode: Mode,
    index: RwLock<Index>,
    /// When the index was last known to be that of the last commit, in microseconds.
    fresh_at: AtomicI64,
    /// One follower at a time, so that the index never steps back.
    following: Mutex<()>,
    changed: watch::Sender<i64>,
}

impl Live {
    pub async fn open(
        store: Arc<Store>,
        clock: Arc<dyn Clock>,
        policy: GatePolicy,
        first_mode: Mode,
    ) -> Result<Arc<Live>> {
        let live = Live {
            index: RwLock::new(Index::new(policy.clone())),
            fresh_at: AtomicI64::new(i64::MIN),
            following: Mutex::new(()),
            changed: watch::channel(-1).0,
            store,
            clock,
            policy,
            first_mode,
        };
        live.follow().await?;
        Ok(Arc::new(live))
    }

    /// The index as it stands. Held for a moment only: a commit waits for it.
    pub fn view(&self) -> View<'_> {
        let once = Once::of(self);
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        View { index, _once: once }
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index> {
        drop(Once::of(self));
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The version that the index shows.
    pub fn version(&self) -> i64 {
        *self.changed.borrow()
    }

    /// Wakes at every new version.
    pub fn subscribe(&self) -> watch::Receiver<i64> {
        self.changed.subscribe()
    }

    /// How long ago the index was last known to be current.
    pub fn age(&self, now: Timestamp) -> Duration {
        let micros = now
            .as_microsecond()
            .saturating_sub(self.fresh_at.load(Ordering::Relaxed))
            .max(0);
        Duration::from_micros(micros as u64)
    }

    /// Catches up with the database. Gives back what was touched.
    pub async fn follow(&self) -> Result<Vec<Touched>> {
        let _one = self.following.lock().await;
        let asked_at = self.clock.now();
        let followed = match self.version() {
            -1 => Some(self.store.load().await?),
            version => self.store.follow(version).await?,
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
                *self.write() = index;
            } else {
                let mut index = self.write();
                followed
                    .facts
                    .into_iter()
                    .for_each(|fact| index.apply(fact));
            }
            touched = followed.touched;
            self.changed.send_replace(followed.version);
        }
        self.fresh_at
            .store(asked_at.as_microsecond(), Ordering::Relaxed);
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
