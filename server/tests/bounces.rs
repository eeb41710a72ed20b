//! Bounces: read, matched, and what follows from them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

#[path = "bounces/intake.rs"]
mod intake;
#[path = "bounces/letters.rs"]
mod letters;
#[path = "bounces/lmtp.rs"]
mod lmtp;
#[path = "bounces/reading.rs"]
mod reading;
