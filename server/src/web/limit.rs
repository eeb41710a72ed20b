//! How often signing in may be tried.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use countermand_core::duration::Length;
use jiff::Timestamp;

/// Tries are counted for this long.
const WINDOW: Length = Length::seconds(15 * 60);

/// Per address and peer: nobody but an attacker mistypes this often. Counted together with the
/// peer, so that a stranger can't lock a responder out.
const TRIES: u32 = 10;

/// Per peer, whatever the address: behind a proxy all people share one.
const TRIES_OF_PEER: u32 = 200;

/// So many counters at most: a flood of addresses costs no memory.
const COUNTERS: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Limiter(Mutex<HashMap<Key, Counter>>);

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

impl Limiter {
    /// Counts a try, before it is known whether it succeeds: many at once count too. False where
    /// it is one too many.
    pub(super) fn admit(&self, peer: Option<IpAddr>, address: &str, now: Timestamp) -> bool {
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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
        let mut count = |key: Key, most: u32| {
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
            counter.tries <= most
        };
        let peer_may = count(Key::Peer(peer), TRIES_OF_PEER);
        let address_may = count(Key::Address(peer, address.to_owned()), TRIES);
        peer_may && address_may
    }

    /// It was the right password after all.
    pub(super) fn forgive(&self, peer: Option<IpAddr>, address: &str) {
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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
    fn tries_run_out_and_come_back() {
        let limiter = Limiter::default();
        let peer = Some(IpAddr::from([127, 0, 0, 1]));
        for _ in 0..TRIES {
            assert!(limiter.admit(peer, "rita@corp.test", at(0)));
        }
        assert!(!limiter.admit(peer, "rita@corp.test", at(1)));
        assert!(limiter.admit(peer, "ben@corp.test", at(1)));
        let elsewhere = Some(IpAddr::from([10, 0, 0, 1]));
        assert!(limiter.admit(elsewhere, "rita@corp.test", at(1)));
        assert!(limiter.admit(peer, "rita@corp.test", at(15 * 60)));
    }

    #[test]
    fn a_flood_of_addresses_costs_no_memory_and_frees_nobody() {
        let limiter = Limiter::default();
        for _ in 0..=TRIES {
            limiter.admit(None, "rita@corp.test", at(0));
        }
        for n in 0..=COUNTERS as u32 {
            let peer = Some(IpAddr::from((n + 1).to_be_bytes()));
            limiter.admit(peer, "x", at(1));
        }
        assert!(limiter.0.lock().unwrap().len() <= COUNTERS);
        assert!(!limiter.admit(None, "rita@corp.test", at(2)));
    }
}
