//! What the property tests of the core share: a naive evaluator and random histories.
//!
//! Every test binary compiles this for itself and uses a part of it.
#![allow(dead_code)]

pub mod build;
pub mod history;
pub mod naive;
pub mod world;
