//! The front doors of mail: each asks for a verdict, each gets one in its own wire format.

pub mod wire;
