//! The wire formats of the gates: bytes and strings in, values out.
//!
//! Nothing here knows a server, a clock or a verdict, so each format is tested against requests that real
//! front doors were seen to send.

use std::borrow::Cow;

pub mod basic;
pub mod dovecot;
pub mod eas;
pub mod headers;
pub mod nginx_mail;
pub mod postfix;
pub mod wbxml;

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
