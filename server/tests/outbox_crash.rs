//! Senders in processes of their own, killed at every kind of moment and started again, and an order that is
//! retracted midway. What the relay saw is then held against what the database says.
//!
//! `storm`: many people, several senders at once, deaths at random points; the size is the same on both
//! databases. `walk`: few people, one process at a time, deaths at every named moment
//! (`server/src/failpoint.rs`). Most of the time goes into starting processes: some 230 in a storm, each of which loads
//! eleven thousand people, and some 500 in a walk.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "outbox_crash/house.rs"]
mod house;
#[path = "outbox_crash/record.rs"]
mod record;
#[path = "outbox_crash/stage.rs"]
mod stage;
#[path = "outbox_crash/storm.rs"]
mod storm;
mod support;
#[path = "outbox_crash/walk.rs"]
mod walk;

use storm::Size;
use support::postgres::Postgres;

const SQLITE: &str = "sqlite:crash.db";

/// Ten thousand people and two hundred deaths; `COUNTERMAND_PEOPLE=1000 COUNTERMAND_DEATHS=20` for a quick look.
fn size() -> Size {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    Size {
        people: number("COUNTERMAND_PEOPLE").unwrap_or(10_000),
        kills: number("COUNTERMAND_DEATHS").unwrap_or(200) as usize,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_19_two_hundred_deaths_forget_nobody_and_double_nothing() {
    storm::rages(SQLITE, size()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_19_two_hundred_deaths_forget_nobody_and_double_nothing_on_postgresql() {
    if let Some(postgres) = Postgres::shared() {
        storm::rages(&postgres.fresh_database(), size()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_23_corrections_go_to_the_same_set_whatever_dies_at_any_named_moment() {
    walk::walks(SQLITE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_23_corrections_go_to_the_same_set_whatever_dies_on_postgresql() {
    if let Some(postgres) = Postgres::shared() {
        walk::walks(&postgres.fresh_database()).await;
    }
}
