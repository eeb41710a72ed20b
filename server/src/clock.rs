//! The one place where the time enters.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

/// What tells the time to whatever needs to know it.
pub trait Clock: Send + Sync + fmt::Debug {
    fn now(&self) -> Timestamp;
}

/// The machine's own time.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "time enters here, and nowhere else"
    )]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A time that stands still until somebody moves it.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    pub fn new(at: Timestamp) -> Self {
        ManualClock(AtomicI64::new(at.as_microsecond()))
    }

    pub fn set(&self, at: Timestamp) {
        self.0.store(at.as_microsecond(), Ordering::SeqCst);
    }

    pub fn advance(&self, by: SignedDuration) {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(self.0.load(Ordering::SeqCst)).unwrap_or(Timestamp::MAX)
    }
}

/// A time that began at another moment than the real one, and may run faster: for the demo, and for
/// playing a past day.
#[derive(Debug)]
pub struct StoryClock {
    real: Arc<dyn Clock>,
    began: Timestamp,
    story: Timestamp,
    pace: i32,
    /// Microseconds of the story that were skipped.
    skipped: AtomicI64,
}

impl StoryClock {
    /// `pace` is how many seconds pass in the story for each real one.
    pub fn new(real: Arc<dyn Clock>, story: Timestamp, pace: i32) -> Self {
        let began = real.now();
        StoryClock {
            real,
            began,
            story,
            pace,
            skipped: AtomicI64::new(0),
        }
    }

    /// Goes to the next scene.
    pub fn skip(&self, by: SignedDuration) {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.skipped.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for StoryClock {
    fn now(&self) -> Timestamp {
        let passed = self.real.now().duration_since(self.began);
        let passed = passed.checked_mul(self.pace).unwrap_or(SignedDuration::MAX);
        let skipped = SignedDuration::from_micros(self.skipped.load(Ordering::SeqCst));
        let since = passed.saturating_add(skipped);
        self.story.checked_add(since).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_story_runs_at_its_pace_and_skips() {
        let real = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
        let noon: Timestamp = "2020-07-10T19:00:00Z".parse().unwrap();
        let story = StoryClock::new(real.clone(), noon, 60);
        assert_eq!(story.now(), noon);
        real.advance(SignedDuration::from_secs(10));
        story.skip(SignedDuration::from_hours(5));
        assert_eq!(story.now(), "2020-07-11T00:10:00Z".parse().unwrap());
    }
}
