//! The wire formats of the gates: bytes and strings in, values out.
//!
//! Nothing here knows a server, a clock or a verdict, so each format is tested against requests that real
//! front doors were seen to send.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

pub mod basic;
pub mod dovecot;
pub mod eas;
pub mod headers;
pub mod wbxml;

/// The way by which mail is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    ActiveSync,
    Imap,
    Pop3,
    Submission,
    Web,
}

impl Channel {
    pub const ALL: [Self; 5] = [
        Self::ActiveSync,
        Self::Imap,
        Self::Pop3,
        Self::Submission,
        Self::Web,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::ActiveSync => "activesync",
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::Submission => "submission",
            Self::Web => "web",
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a channel; expected one of activesync, imap, pop3, submission, web")]
pub struct UnknownChannel(pub String);

impl FromStr for Channel {
    type Err = UnknownChannel;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|channel| channel.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownChannel(text.to_owned()))
    }
}

/// Base64 as clients really send it: with its padding or without.
pub(crate) const BASE64: base64::engine::GeneralPurpose = base64::engine::GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    base64::engine::GeneralPurposeConfig::new()
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Text as clients really send it: UTF-8, or the Latin-1 of old ones. A login with an umlaut must not close a door.
pub(crate) fn decoded(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().copied().map(char::from).collect()),
    }
}

/// A name that a person or a device may go by: not empty, of sane length, no control characters.
pub(crate) fn plain_name(text: &str) -> Option<&str> {
    const LONGEST: usize = 512;
    let text = text.trim();
    let sane = !text.is_empty() && text.len() <= LONGEST && !text.chars().any(char::is_control);
    sane.then_some(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn channels_read_what_they_write() {
        for channel in Channel::ALL {
            assert_eq!(channel.to_string().parse::<Channel>(), Ok(channel));
        }
        assert_eq!("IMAP".parse::<Channel>(), Ok(Channel::Imap));
        let error = "carrier-pigeon".parse::<Channel>().unwrap_err().to_string();
        assert!(
            error.contains("activesync, imap, pop3, submission, web"),
            "{error}"
        );
    }
}
