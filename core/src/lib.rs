//! placeholder

pub mod catalogue;
pub mod platform;
pub mod version;
