//! Delivery over a longer time: limits, a relay that is down for hours, its queue after a retraction.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

#[path = "delivery/hours.rs"]
mod hours;
#[path = "delivery/limits.rs"]
mod limits;
#[path = "delivery/purge.rs"]
mod purge;
