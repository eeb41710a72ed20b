//! Countermand's server: everything that touches the world around `countermand_core`.

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod doctor;
pub mod failpoint;
pub mod gate;
pub mod import;
pub mod listen;
pub mod live;
pub mod outbox;
pub mod runtime;
pub mod serve;
pub mod store;
pub mod trust;
pub mod web;
