//! Parts of the model test.

pub mod asks;
pub mod dice;
pub mod drain;
pub mod facts;
pub mod orders;
pub mod reference;
pub mod relay;
pub mod rules;
pub mod senders;
pub mod steps;
pub mod stops;
pub mod turns;
pub mod worker;
pub mod world;
