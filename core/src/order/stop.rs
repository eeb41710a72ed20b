//! Notices that stop by themselves (invariant 14). A stop is no hold: what the order refuses, it goes
//! on refusing, and whoever was told stays told. A responder lets the notices go on.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Order;
use super::state::{Published, State, TransitionError};

/// Why and since when an order's notices wait.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Stop {
    pub at: Timestamp,
    pub why: String,
}

/// What a responder saw when they last resumed, and let pass: it stops nothing again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LetPass {
    pub at: Timestamp,
    /// Notices rejected by then.
    pub rejected: u64,
    /// People who had said by then that it looks wrong.
    pub looks_wrong: u64,
    /// Whether this lifted a hold.
    pub hold: bool,
    /// The stop that this lifted.
    pub stop: Option<Stop>,
}

impl LetPass {
    /// What was lifted, for a sentence.
    pub fn lifted(&self) -> &'static str {
        match (self.hold, &self.stop) {
            (true, Some(_)) => "the hold, and the stop of its notices",
            (true, None) => "the hold",
            (false, _) => "the stop of its notices",
        }
    }
}

impl Order {
    /// The stop of a standing order's notices, under a hold too.
    pub fn stop(&self) -> Option<&Stop> {
        self.standing()?.stopped.as_ref()
    }

    /// The word by which a turn sees, in its own transaction, whether it may begin notices: that of
    /// the state, but for an order that goes on refusing while its notices wait.
    pub fn row_state(&self) -> &'static str {
        match &self.state {
            State::Published(published) if published.stopped.is_some() => "stopped",
            state => state.name(),
        }
    }

    pub fn stop_notices(self, at: Timestamp, why: &str) -> Result<Order, TransitionError> {
        match self.state {
            State::Published(published) if published.stopped.is_none() => Ok(Order {
                state: State::Published(Published {
                    stopped: Some(Stop {
                        at,
                        why: why.to_owned(),
                    }),
                    ..published
                }),
                ..self
            }),
            _ => Err(self.wrong(
                "stopped",
                "only notices of a published order stop, and only once until they are resumed",
            )),
        }
    }

    /// Goes on after a hold, after a stop, or after both.
    pub fn resume(self, at: Timestamp) -> Result<Order, TransitionError> {
        self.resume_past(at, 0, 0)
    }

    /// The same by somebody who knows of so many rejections and reports: they let them pass.
    pub fn resume_past(
        self,
        at: Timestamp,
        rejected: u64,
        looks_wrong: u64,
    ) -> Result<Order, TransitionError> {
        let (published, held) = match self.state {
            State::Held { published, .. } => (published, true),
            State::Published(published) if published.stopped.is_some() => (published, false),
            _ => {
                return Err(self.wrong(
                    "resumed",
                    "only an order that is held, or whose notices have stopped, is resumed",
                ));
            }
        };
        let let_pass = LetPass {
            at,
            rejected,
            looks_wrong,
            hold: held,
            stop: published.stopped,
        };
        let published = Published {
            // Its refusals never stopped, so nobody is owed new notice of them.
            resumed_at: if held { Some(at) } else { published.resumed_at },
            stopped: None,
            let_pass: Some(let_pass),
            ..published
        };
        Ok(Order {
            state: State::Published(published),
            ..self
        })
    }
}
