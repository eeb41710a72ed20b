//! What the pages remember between two requests, and can lose without harm.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use countermand_core::audit::{Entry, Verified};
use countermand_core::id::OrderId;
use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::limit::Limiter;
use super::pages::Flash;

/// More sessions than any organisation has operators.
const FLASHES: usize = 1_000;

/// Open pages that are told of changes; the others are as good, once loaded anew.
const STREAMS: usize = 200;

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
    histories: Mutex<HashMap<OrderId, Vec<Entry>>>,
    /// The last walk along the record: it is long, and nobody needs it at each look.
    verified: Mutex<Option<(Verified, Timestamp)>>,
}

impl Default for Memory {
    fn default() -> Self {
        Memory {
            limiter: Limiter::default(),
            hashing: Semaphore::new(HASHINGS),
            streams: Arc::new(Semaphore::new(STREAMS)),
            flashes: Mutex::default(),
            histories: Mutex::default(),
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

    pub(super) fn keep_history(&self, order: OrderId, entries: &[Entry]) {
        lock(&self.histories).insert(order, entries.to_vec());
    }

    pub(super) fn history(&self, order: OrderId) -> Option<Vec<Entry>> {
        lock(&self.histories).get(&order).cloned()
    }

    pub(super) fn keep_verified(&self, verified: &Verified, at: Timestamp) {
        *lock(&self.verified) = Some((verified.clone(), at));
    }

    pub(super) fn verified(&self) -> Option<(Verified, Timestamp)> {
        lock(&self.verified).clone()
    }
}
