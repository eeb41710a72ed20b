//! What the pages remember between two requests, and can lose without harm.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use countermand_core::audit::{Entry, Verified};
use countermand_core::id::OrderId;
use countermand_core::order::Order;
use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::limit::Limiter;
use super::pages::Flash;

/// More sessions than any organisation has operators.
const FLASHES: usize = 1_000;

/// Open pages that are told of changes; the others are as good, once loaded anew.
const STREAMS: usize = 200;

/// Records of orders, of the largest some hundred kilobytes; more than the feed tells of.
const HISTORIES: usize = 100;

/// Each hashing takes 19 MiB and a core for a moment.
const HASHINGS: usize = 4;

#[derive(Debug)]
pub struct Memory {
    pub(super) limiter: Limiter,
    pub(super) hashing: Semaphore,
    pub(super) streams: Arc<Semaphore>,
    /// What the last act did, by the session's csrf token: said once.
    flashes: Mutex<HashMap<String, Flash>>,
    /// The record of an order as last read: its statement must answer while the database is away.
    histories: Mutex<Histories>,
    /// How fast «this looks wrong» may be said. Apart from `limiter`: however many say so, nobody
    /// signs in more slowly for it.
    pub(super) reports: Limiter,
    counts: tokio::sync::Mutex<Counts>,
    /// The last walk along the record: it is long, and nobody needs it at each look.
    verified: Mutex<Option<(Verified, Timestamp)>>,
}

/// The records that were read last.
#[derive(Debug, Default)]
struct Histories {
    all: HashMap<OrderId, History>,
    /// Counts the reads.
    reads: u64,
}

#[derive(Debug)]
struct History {
    order: Order,
    entries: Vec<Entry>,
    read: u64,
}

/// What the list of orders counts by walking over all devices, at one version of the index and in
/// one minute: every open list asks at every commit, and each answer is the same. It holds one entry
/// an order, and nothing of the version before.
#[derive(Debug, Default)]
pub(super) struct Counts {
    of: (i64, i64),
    /// People and devices that an order reaches.
    pub reach: HashMap<OrderId, (u64, u64)>,
    /// People and devices known, devices refused.
    pub totals: Option<(u64, u64, u64)>,
}

impl Default for Memory {
    fn default() -> Self {
        Memory {
            limiter: Limiter::default(),
            hashing: Semaphore::new(HASHINGS),
            streams: Arc::new(Semaphore::new(STREAMS)),
            flashes: Mutex::default(),
            histories: Mutex::default(),
            reports: Limiter::default(),
            counts: tokio::sync::Mutex::default(),
            verified: Mutex::default(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Memory {
    pub(super) fn say(&self, session: &str, flash: Flash) {
        let mut flashes = lock(&self.flashes);
        if flashes.len() >= FLASHES {
            flashes.clear();
        }
        flashes.insert(session.to_owned(), flash);
    }

    pub(super) fn said(&self, session: &str) -> Option<Flash> {
        lock(&self.flashes).remove(session)
    }

    /// In place of that which nobody has asked for the longest, where there are too many.
    pub(super) fn keep_history(&self, order: &Order, entries: &[Entry]) {
        let Histories { all, reads } = &mut *lock(&self.histories);
        if all.len() >= HISTORIES && !all.contains_key(&order.id) {
            let oldest = all.iter().min_by_key(|(_, history)| history.read);
            if let Some(oldest) = oldest.map(|(id, _)| *id) {
                all.remove(&oldest);
            }
        }
        *reads += 1;
        let history = History {
            order: order.clone(),
            entries: entries.to_vec(),
            read: *reads,
        };
        all.insert(order.id, history);
    }

    /// The record as last read, and whether the order stood then as it stands now, so that nothing
    /// is missing.
    pub(super) fn history(&self, order: &Order) -> Option<(Vec<Entry>, bool)> {
        let Histories { all, reads } = &mut *lock(&self.histories);
        let history = all.get_mut(&order.id)?;
        *reads += 1;
        history.read = *reads;
        Some((history.entries.clone(), history.order == *order))
    }

    /// Whoever holds this counts, the others wait and read: hold it for one count at a time.
    pub(super) async fn counts(
        &self,
        version: i64,
        now: Timestamp,
    ) -> tokio::sync::MutexGuard<'_, Counts> {
        let mut counts = self.counts.lock().await;
        let of = (version, now.as_second().div_euclid(60));
        if counts.of != of {
            *counts = Counts {
                of,
                ..Counts::default()
            };
        }
        counts
    }

    pub(super) fn keep_verified(&self, verified: &Verified, at: Timestamp) {
        *lock(&self.verified) = Some((verified.clone(), at));
    }

    pub(super) fn verified(&self) -> Option<(Verified, Timestamp)> {
        lock(&self.verified).clone()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use countermand_core::order::{OrderFile, Pins, Revision};
    use uuid::Uuid;

    use super::*;

    const FILE: &str = include_str!("../../../docs/example-order.toml");

    #[test]
    fn of_very_many_records_those_are_kept_that_are_asked_for() {
        let file = OrderFile::parse(FILE).unwrap();
        let revision = Revision::new(1, "ana", Timestamp::UNIX_EPOCH, FILE, file, Pins::default());
        let order = |n: usize| Order::draft(OrderId(Uuid::from_u128(n as u128)), revision.clone());
        let memory = Memory::default();
        for n in 0..HISTORIES + 50 {
            memory.keep_history(&order(n), &[]);
            assert!(memory.history(&order(0)).is_some(), "{n}");
        }
        assert_eq!(lock(&memory.histories).all.len(), HISTORIES);
        assert!(memory.history(&order(1)).is_none());
        assert!(memory.history(&order(HISTORIES + 49)).is_some());
    }
}
