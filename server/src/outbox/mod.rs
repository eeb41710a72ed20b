//! Delivery of notices: build a message, hand it to a relay or a maildir, and
//! tell truthfully what became of it. The only place that knows lettre and SMTP.

mod compose;
pub mod lease;
pub mod maildir;
pub mod message;
pub mod office;
mod pace;
pub mod rehearsal;
mod sessions;
pub mod smtp;
mod survey;
pub mod transport;
pub mod worker;
