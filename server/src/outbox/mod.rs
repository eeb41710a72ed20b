//! Delivery of notices: build a message, hand it to a relay, a maildir or a channel, and
//! tell truthfully what became of it. The only place that knows lettre and SMTP.

pub mod bounces;
pub mod channels;
pub mod compose;
pub mod lease;
pub mod limits;
pub mod maildir;
pub mod message;
pub mod office;
mod pace;
pub mod purge;
pub mod rehearsal;
mod sessions;
pub mod smtp;
pub mod survey;
mod throttle;
pub mod transport;
pub mod worker;
