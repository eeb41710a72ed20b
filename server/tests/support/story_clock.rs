//! A clock for tests of leases and retries: it begins at a moment of the past, and may run faster.

use std::sync::Arc;

use countermand::clock::Clock;
use jiff::{SignedDuration, Timestamp};

#[derive(Debug)]
pub struct StoryClock {
    real: Arc<dyn Clock>,
    began: Timestamp,
    story: Timestamp,
    pace: i32,
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
        }
    }
}

impl Clock for StoryClock {
    fn now(&self) -> Timestamp {
        let passed = self.real.now().duration_since(self.began);
        let passed = passed.checked_mul(self.pace).unwrap_or(SignedDuration::MAX);
        self.story.checked_add(passed).unwrap_or(Timestamp::MAX)
    }
}
