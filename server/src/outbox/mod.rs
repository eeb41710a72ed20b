//! Delivery of notices: build a message, hand it to a relay or a maildir, and
//! tell truthfully what became of it. The only place that knows lettre and SMTP.

pub mod maildir;
pub mod message;
pub mod smtp;
pub mod transport;
