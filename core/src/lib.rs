//! The rules of Countermand: what an order is, what is known of devices, what follows from both.
//!
//! This crate knows no world: no clock, no randomness, no network, no file, no database. Time, ids
//! and facts are arguments, so that a verdict can be replayed and every invariant can be tested.

pub mod actor;
pub mod audit;
pub mod catalogue;
pub mod change;
pub mod duration;
pub mod evidence;
pub mod exemption;
pub mod fleet;
pub mod hex;
pub mod id;
pub mod index;
pub mod join;
pub mod notice;
pub mod order;
pub mod platform;
pub mod preview;
pub mod scope;
pub mod verdict;
pub mod version;
pub mod words;
