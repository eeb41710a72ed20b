//! The store's contract: one text, run on SQLite and on PostgreSQL.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

#[path = "store/fixture.rs"]
#[macro_use]
mod fixture;

#[path = "store/access.rs"]
mod access;
#[path = "store/bounces.rs"]
mod bounces;
#[path = "store/channels.rs"]
mod channels;
#[path = "store/claims.rs"]
mod claims;
#[path = "store/corrections.rs"]
mod corrections;
#[path = "store/follow.rs"]
mod follow;
#[path = "store/history.rs"]
mod history;
#[path = "store/opening.rs"]
mod opening;
#[path = "store/orders.rs"]
mod orders;
#[path = "store/people.rs"]
mod people;
#[path = "store/receipts.rs"]
mod receipts;
#[path = "store/record.rs"]
mod record;
#[path = "store/reports.rs"]
mod reports;
#[path = "store/seal.rs"]
mod seal;
#[path = "store/stops.rs"]
mod stops;
#[path = "store/upgrade.rs"]
mod upgrade;
#[path = "store/workers.rs"]
mod workers;
