//! What a browser sees.

pub mod assets;
pub mod pages;
