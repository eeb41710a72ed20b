//! The wire formats of the gates: bytes and strings in, values out.
//!
//! Nothing here knows a server, a clock or a verdict, so each format is tested against requests that real
//! front doors were seen to send.

use std::borrow::Cow;

pub mod basic;
pub mod doveadm;
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

/// Undoes escapes of a mark and two hexadecimal digits; what is none stays as it is.
pub(crate) fn unescaped(text: &str, mark: u8) -> Vec<u8> {
    let bytes = text.as_bytes();
    let digit = |byte: Option<&u8>| {
        let digit = char::from(*byte?).to_digit(16)?;
        u8::try_from(digit).ok()
    };
    let (mut plain, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(&byte) = bytes.get(at) {
        let escape = (byte == mark)
            .then(|| Some(16 * digit(bytes.get(at + 1))? + digit(bytes.get(at + 2))?))
            .flatten();
        plain.push(escape.unwrap_or(byte));
        at += if escape.is_some() { 3 } else { 1 };
    }
    plain
}

/// A reason as one line of ASCII: a break in it would begin another answer. RFC 5321 allows 512 bytes with
/// code and line end, and a mail app shows one line.
pub(crate) fn one_line(text: &str) -> String {
    const LONGEST: usize = 400;
    let plain = |c: char| if c.is_ascii_graphic() { c } else { ' ' };
    let text: String = text.chars().map(plain).take(LONGEST).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
