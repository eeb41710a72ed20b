//! Delivery of notices: build a message, hand it to a relay or a maildir, and
//! tell truthfully what became of it. The only place that knows lettre and SMTP.

pub mod compose;
pub mod lease;
pub mod maildir;
pub mod message;
pub mod office;
mod pace;
mod sessions;
pub mod smtp;
pub mod survey;
pub mod transport;
pub mod worker;
