//! Gate-only servers beside the main one, as real processes: they follow it, go on without it, and come back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "gate_only/away.rs"]
mod away;
#[path = "gate_only/doctor.rs"]
mod doctor;
#[path = "gate_only/door.rs"]
mod door;
#[path = "gate_only/follow.rs"]
mod follow;
#[path = "gate_only/house.rs"]
mod house;
#[path = "gate_only/mail.rs"]
mod mail;
#[path = "gate_only/room.rs"]
mod room;
#[path = "gate_only/strangers.rs"]
mod strangers;
mod support;
