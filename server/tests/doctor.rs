//! `countermand doctor` before real servers where they are installed: all is well, then one thing broken at a
//! time, and exactly its finding.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "doctor/clinic.rs"]
mod clinic;
#[path = "doctor/doors.rs"]
mod doors;
#[path = "doctor/fronts.rs"]
mod fronts;
#[path = "doctor/house.rs"]
mod house;
#[path = "doctor/pages.rs"]
mod pages;
mod support;
