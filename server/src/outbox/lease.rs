//! How long a sender may take its receipts for its own, by a clock that goes on while the process is
//! frozen. Past it others give them up, and correct: whoever wakes then must begin nothing more.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One sender's lease. It lapses once for all that was held under it, however soon it is renewed.
#[derive(Clone, Debug, Default)]
pub struct Lease(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    term: u64,
    /// `None`: it never ends, for whoever sends without receipts.
    until: Option<Instant>,
}

/// A batch that was begun in some term of the lease.
#[derive(Clone, Debug)]
pub struct Held {
    lease: Lease,
    term: u64,
}

impl Lease {
    /// The store has it renewed for `length`; `asked` is when it was asked to.
    pub fn renew(&self, asked: Instant, length: Duration) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.until.is_none_or(|until| until < Instant::now()) {
            state.term += 1;
        }
        state.until = Some(asked + length);
    }

    pub fn hold(&self) -> Held {
        let term = self.0.lock().unwrap_or_else(PoisonError::into_inner).term;
        Held {
            lease: self.clone(),
            term,
        }
    }
}

impl Held {
    pub fn stands(&self) -> bool {
        let state = self.lease.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.term == self.term && state.until.is_none_or(|until| Instant::now() < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inv_18_a_lease_that_lapsed_is_lost_however_soon_it_is_renewed() {
        let lease = Lease::default();
        assert!(lease.hold().stands(), "without receipts there is none");
        lease.renew(Instant::now(), Duration::from_secs(60));
        let held = lease.hold();
        lease.renew(Instant::now(), Duration::from_secs(60));
        assert!(held.stands(), "renewed in time");
        lease.renew(Instant::now(), Duration::ZERO);
        assert!(!held.stands(), "lapsed");
        lease.renew(Instant::now(), Duration::from_secs(60));
        assert!(!held.stands(), "renewed too late");
        assert!(lease.hold().stands());
    }
}
