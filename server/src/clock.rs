//! Where time and ids enter the program: everything else is handed them.

use std::fmt::Debug;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use uuid::Uuid;

/// Tells the time.
pub trait Clock: Send + Sync + Debug {
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where time enters")]
    fn now(&self) -> Timestamp {
        // In whole microseconds, as the database keeps it: a time is the same before and after.
        let now = Timestamp::now().as_microsecond();
        Timestamp::from_microsecond(now).unwrap_or(Timestamp::MAX)
    }
}

/// A clock that stands where it is set: for tests.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    pub fn at(now: Timestamp) -> Self {
        ManualClock(AtomicI64::new(now.as_microsecond()))
    }

    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_microsecond(), Ordering::SeqCst);
    }

    pub fn advance(&self, by: jiff::SignedDuration) {
        self.0.fetch_add(by.as_micros() as i64, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(self.0.load(Ordering::SeqCst)).unwrap_or(Timestamp::MAX)
    }
}

/// The machine's clock, moved by a distance that can change: for the demo, whose story is of 2020.
#[derive(Debug)]
pub struct ShiftedClock(AtomicI64);

impl ShiftedClock {
    /// A clock that shows `now` at this moment and goes on from there.
    pub fn showing(now: Timestamp) -> Self {
        let clock = ShiftedClock(AtomicI64::new(0));
        clock.jump_to(now);
        clock
    }

    /// Shows `to` from now on, and goes on from there.
    pub fn jump_to(&self, to: Timestamp) {
        let shift = to.as_microsecond() - SystemClock.now().as_microsecond();
        self.0.store(shift, Ordering::SeqCst);
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> Timestamp {
        let now = SystemClock.now().as_microsecond() + self.0.load(Ordering::SeqCst);
        Timestamp::from_microsecond(now).unwrap_or(Timestamp::MAX)
    }
}

/// Makes ids, and secrets that nobody can guess.
pub trait Ids: Send + Sync + Debug {
    fn uuid(&self) -> Uuid;
    /// 32 bytes as hex.
    fn secret(&self) -> String;
}

/// Ids by time and chance.
#[derive(Debug, Default, Clone, Copy)]
pub struct RandomIds;

impl Ids for RandomIds {
    #[expect(clippy::disallowed_methods, reason = "the one place where ids enter")]
    fn uuid(&self) -> Uuid {
        Uuid::now_v7()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where chance enters"
    )]
    fn secret(&self) -> String {
        countermand_core::hex::encode(&rand::random::<[u8; 32]>())
    }
}

/// Ids that count up: for tests.
#[derive(Debug, Default)]
pub struct CountingIds(AtomicI64);

impl Ids for CountingIds {
    fn uuid(&self) -> Uuid {
        Uuid::from_u128(0x7000_8000_0000_0000_0000 | self.0.fetch_add(1, Ordering::SeqCst) as u128)
    }

    fn secret(&self) -> String {
        format!("{:064x}", self.0.fetch_add(1, Ordering::SeqCst))
    }
}
