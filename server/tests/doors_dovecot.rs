//! IMAP, POP3 and submission through a real Dovecot with the shipped configurations: who says which device it is,
//! and what nobody may say.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

#[path = "doors_dovecot/claims.rs"]
mod claims;
#[path = "doors_dovecot/house.rs"]
mod house;
#[path = "doors_dovecot/sessions.rs"]
mod sessions;
#[path = "doors_dovecot/story.rs"]
mod story;
#[path = "doors_dovecot/tokens.rs"]
mod tokens;
#[path = "doors_dovecot/trouble.rs"]
mod trouble;
