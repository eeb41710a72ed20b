//! How fast passwords may be guessed. Bad tries make the next one slow, and refuse nobody: else a
//! stranger could lock a responder out by guessing at her address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use countermand_core::duration::Length;
use jiff::Timestamp;
use tokio::sync::Semaphore;

/// Tries are counted for this long.
const WINDOW: Length = Length::seconds(15 * 60);

/// Per address and peer: who mistypes no more often than this never waits.
const TRIES: u32 = 10;

/// Per peer, whatever the address: past it each try of that peer is slow, and no address of its
/// choice is remembered any more. Behind a proxy that `[server] proxies` does
/// not name, all people share one peer.
const TRIES_OF_PEER: u32 = 200;

/// The first delay; it doubles with each further try.
const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(4);

/// So many slow tries pass their delay at once: sixteen a second at the longest delay, however many
/// connections a guesser has. Places are given first come, first served.
const PLACES: usize = 64;

/// So many slow tries wait at most. The last of them has its turn within the time that any request
/// may take; only who comes when all are taken is asked to come again.
const WAITING: usize = 448;

/// So many counters at most: a flood of addresses costs no memory.
const COUNTERS: usize = 10_000;

#[derive(Debug)]
pub(super) struct Limiter {
    counters: Mutex<HashMap<Key, Counter>>,
    places: Semaphore,
    waiting: Semaphore,
}

impl Default for Limiter {
    fn default() -> Self {
        Limiter {
            counters: Mutex::default(),
            places: Semaphore::new(PLACES),
            waiting: Semaphore::new(WAITING),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Key {
    Peer(Option<IpAddr>),
    Address(Option<IpAddr>, String),
}

#[derive(Clone, Copy, Debug)]
struct Counter {
    tries: u32,
    until: Timestamp,
}

/// More tries wait already than may.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Crowded;

impl Limiter {
    /// Counts a try and lets it wait as long as it must. Counted before it is known whether it
    /// succeeds: many at once count too.
    pub(super) async fn wait(
        &self,
        peer: Option<IpAddr>,
        address: &str,
        now: Timestamp,
    ) -> Result<(), Crowded> {
        let delay = self.delay(peer, address, now);
        if delay.is_zero() {
            return Ok(());
        }
        let _waits = self.waiting.try_acquire().map_err(|_| Crowded)?;
        let _place = self.places.acquire().await;
        tokio::time::sleep(delay).await;
        Ok(())
    }

    fn delay(&self, peer: Option<IpAddr>, address: &str, now: Timestamp) -> Duration {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        if counters.len() + 2 > COUNTERS {
            counters.retain(|_, counter| counter.until > now);
        }
        while counters.len() + 2 > COUNTERS {
            let oldest = counters
                .iter()
                .min_by_key(|(_, c)| (c.tries, c.until))
                .map(|(k, _)| k.clone());
            match oldest {
                Some(key) => counters.remove(&key),
                None => break,
            };
        }
        let mut count = |key: Key| {
            let counter = counters.entry(key).or_insert(Counter {
                tries: 0,
                until: WINDOW.after(now),
            });
            if counter.until <= now {
                *counter = Counter {
                    tries: 0,
                    until: WINDOW.after(now),
                };
            }
            counter.tries = counter.tries.saturating_add(1);
            counter.tries
        };
        if count(Key::Peer(peer)) > TRIES_OF_PEER {
            return LONGEST;
        }
        match count(Key::Address(peer, address.to_owned())).checked_sub(TRIES + 1) {
            None => Duration::ZERO,
            Some(further) => FIRST
                .saturating_mul(1_u32.checked_shl(further).unwrap_or(u32::MAX))
                .min(LONGEST),
        }
    }

    /// It was the right password after all.
    pub(super) fn forgive(&self, peer: Option<IpAddr>, address: &str) {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        counters.remove(&Key::Address(peer, address.to_owned()));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn bad_tries_grow_slow_and_are_forgotten() {
        let limiter = Limiter::default();
        let peer = Some(IpAddr::from([127, 0, 0, 1]));
        for _ in 0..TRIES {
            assert_eq!(limiter.delay(peer, "rita@corp.test", at(0)), Duration::ZERO);
        }
        for expected in [250, 500, 1_000, 2_000, 4_000, 4_000] {
            let delay = limiter.delay(peer, "rita@corp.test", at(1));
            assert_eq!(delay.as_millis(), expected);
        }
        assert!(limiter.delay(peer, "ben@corp.test", at(1)).is_zero());
        let elsewhere = Some(IpAddr::from([10, 0, 0, 1]));
        assert!(limiter.delay(elsewhere, "rita@corp.test", at(1)).is_zero());
        assert!(limiter.delay(peer, "rita@corp.test", at(15 * 60)).is_zero());
        for _ in 0..TRIES {
            limiter.delay(elsewhere, "rita@corp.test", at(1));
        }
        limiter.forgive(elsewhere, "rita@corp.test");
        assert!(limiter.delay(elsewhere, "rita@corp.test", at(1)).is_zero());
    }

    #[test]
    fn a_peer_that_tries_too_much_is_slow_and_leaves_no_more_addresses() {
        let limiter = Limiter::default();
        for n in 0..TRIES_OF_PEER {
            assert!(limiter.delay(None, &format!("{n}@x.test"), at(0)).is_zero());
        }
        let before = limiter.counters.lock().unwrap().len();
        for n in 0..50 {
            let delay = limiter.delay(None, &format!("{n}@y.test"), at(0));
            assert_eq!(delay, LONGEST);
        }
        assert_eq!(limiter.counters.lock().unwrap().len(), before);
    }

    #[tokio::test]
    async fn no_more_than_a_bounded_number_waits() {
        let limiter = Limiter::default();
        for _ in 0..TRIES {
            assert_eq!(limiter.wait(None, "rita@corp.test", at(0)).await, Ok(()));
        }
        let _all = limiter.waiting.acquire_many(WAITING as u32).await.unwrap();
        assert_eq!(
            limiter.wait(None, "rita@corp.test", at(0)).await,
            Err(Crowded)
        );
        // Who has done nothing wrong does not wait with them.
        assert_eq!(limiter.wait(None, "ben@corp.test", at(0)).await, Ok(()));
    }

    #[test]
    fn a_flood_of_addresses_costs_no_memory_and_frees_nobody() {
        let limiter = Limiter::default();
        for _ in 0..=TRIES {
            limiter.delay(None, "rita@corp.test", at(0));
        }
        for n in 0..=COUNTERS as u32 {
            let peer = Some(IpAddr::from((n + 1).to_be_bytes()));
            limiter.delay(peer, "x", at(1));
        }
        assert!(limiter.counters.lock().unwrap().len() <= COUNTERS);
        assert!(!limiter.delay(None, "rita@corp.test", at(2)).is_zero());
    }
}
