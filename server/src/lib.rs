//! Countermand's server: everything that touches the world around `countermand_core`.

pub mod clock;
pub mod gate;
pub mod outbox;
pub mod store;
