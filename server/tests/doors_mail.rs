//! The doors of fleets whose devices show certificates: real Postfix, and nginx's mail proxy before a real
//! Dovecot, with the shipped configurations.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

#[path = "doors_mail/house.rs"]
mod house;
#[path = "doors_mail/nginx.rs"]
mod nginx;
#[path = "doors_mail/postfix.rs"]
mod postfix;
#[path = "doors_mail/trouble.rs"]
mod trouble;
