//! placeholder
pub mod outbox;
