//! Submission to a relay by SMTP (RFC 5321, 6409), pipelined (RFC 2920).
//!
//! Written by hand rather than with lettre's transport for two reasons: that one
//! waits about 40 ms per mail for want of TCP_NODELAY, and it tells neither
//! whether the final dot had left when a connection broke nor lets the next
//! envelope travel with the last body.

mod config;
mod connect;
mod deliver;
mod envelope;
mod greet;
mod reply;
mod wire;

pub use config::{Password, SmtpConfig, Tls};
pub use deliver::SmtpSession;
pub use greet::greet;

/// How many whole answers a relay gave in these bytes; an error where it does not speak SMTP.
pub fn answers(mut bytes: Vec<u8>) -> Result<usize, String> {
    let mut whole = 0;
    while reply::take(&mut bytes)?.is_some() {
        whole += 1;
    }
    Ok(whole)
}
