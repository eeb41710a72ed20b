//! The commands before a body, and the body's form on the wire.

use super::connect::Offers;
use crate::outbox::transport::{Outcome, Outgoing};

/// RFC 5321, 4.5.3.1.3, less the angle brackets.
const MAX_ADDRESS: usize = 254;

/// One command: its verb as the relay's answers are told apart by it, and its line.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) line: String,
}

/// All commands of one message up to DATA.
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) steps: Vec<Step>,
}

impl Envelope {
    /// An error is the outcome of a message that cannot be offered to this relay.
    pub(super) fn of(
        message: &Outgoing,
        offers: Offers,
        reset_first: bool,
    ) -> Result<Self, Outcome> {
        let Outgoing { from, to, bytes } = message;
        if !is_address(to) || !(from.is_empty() || is_address(from)) {
            return Err(not_offered(
                553,
                format!("{from:?} to {to:?}: not mail addresses that SMTP can carry"),
            ));
        }
        if !has_clean_lines(bytes) {
            return Err(not_offered(
                554,
                "a line of the message does not end by CR LF".into(),
            ));
        }
        let utf8 = !from.is_ascii() || !to.is_ascii();
        if utf8 && !offers.utf8_addresses {
            return Err(not_offered(
                553,
                format!("{to:?} needs SMTPUTF8, which the relay does not offer"),
            ));
        }
        let eight_bit = !bytes.is_ascii();
        if eight_bit && !offers.eight_bit {
            return Err(not_offered(
                554,
                "the message needs 8BITMIME, which the relay does not offer".into(),
            ));
        }
        let body = if eight_bit { " BODY=8BITMIME" } else { "" };
        let addresses = if utf8 { " SMTPUTF8" } else { "" };
        let mut steps = vec![
            Step {
                name: "MAIL",
                line: format!("MAIL FROM:<{from}>{body}{addresses}\r\n"),
            },
            Step {
                name: "RCPT",
                line: format!("RCPT TO:<{to}>\r\n"),
            },
            Step {
                name: "DATA",
                line: "DATA\r\n".into(),
            },
        ];
        if reset_first {
            steps.insert(
                0,
                Step {
                    name: "RSET",
                    line: "RSET\r\n".into(),
                },
            );
        }
        Ok(Envelope { steps })
    }
}

/// Settled without asking: trying again would change nothing.
fn not_offered(code: u16, why: String) -> Outcome {
    Outcome::Rejected {
        code,
        detail: format!("not offered to the relay: {why}"),
    }
}

/// Anything that cannot break out of `<…>` or of its line. Whether somebody
/// reads mail there is the relay's to say.
fn is_address(text: &str) -> bool {
    text.len() <= MAX_ADDRESS
        && text.contains('@')
        && !text.contains(|c: char| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>'))
}

/// A bare CR or LF is read as a line end by some relays and not by others, which
/// lets text in a message pass for a command.
fn has_clean_lines(bytes: &[u8]) -> bool {
    // No early end: so the compiler looks at many bytes at once.
    let ends = bytes.first() != Some(&b'\n') && bytes.last() != Some(&b'\r');
    pairs(bytes).fold(ends, |clean, (one, next)| {
        clean & ((one == b'\r') == (next == b'\n'))
    })
}

fn pairs(bytes: &[u8]) -> impl Iterator<Item = (u8, u8)> {
    let next = bytes.get(1..).unwrap_or_default();
    bytes.iter().copied().zip(next.iter().copied())
}

/// Doubles a leading dot of each line (RFC 5321, 4.5.2) and ends the last one.
pub(super) fn stuff(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len() + 512);
    let first = bytes.first() == Some(&b'.');
    let dots = pairs(bytes).fold(first, |found, (one, next)| {
        found | ((one == b'\n') & (next == b'.'))
    });
    if dots {
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            if line.first() == Some(&b'.') {
                out.push(b'.');
            }
            out.extend_from_slice(line);
        }
    } else {
        out.extend_from_slice(bytes);
    }
    if !bytes.is_empty() && !bytes.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn message(to: &str, bytes: &[u8]) -> Outgoing {
        Outgoing {
            from: "it@example.test".into(),
            to: to.into(),
            bytes: bytes.to_vec(),
        }
    }

    #[test]
    fn an_address_cannot_carry_a_command() {
        for to in [
            "a@b>\r\nRCPT TO:<c@d",
            "a@b\nDATA",
            "a b@c",
            "",
            "nobody",
            "<a@b>",
            "a@b> SIZE=1",
        ] {
            assert!(
                Envelope::of(&message(to, b"x\r\n"), Offers::default(), false).is_err(),
                "{to:?}"
            );
        }
    }

    #[test]
    fn a_bare_line_end_never_leaves() {
        for bytes in [&b"a\n.\nMAIL"[..], b"a\r.\r\n", b"\n", b"a\r", b"a\r\r\n"] {
            assert!(
                Envelope::of(&message("a@b", bytes), Offers::default(), false).is_err(),
                "{bytes:?}"
            );
        }
        assert!(Envelope::of(&message("a@b", b"a\r\n\r\nb"), Offers::default(), false).is_ok());
    }

    #[test]
    fn what_the_relay_cannot_carry_is_settled_and_what_it_can_is_declared() {
        let mail = message("jörg@example.test", "Grüße\r\n".as_bytes());
        assert!(matches!(
            Envelope::of(&mail, Offers::default(), false),
            Err(Outcome::Rejected { .. })
        ));
        let offers = Offers {
            eight_bit: true,
            utf8_addresses: true,
            ..Offers::default()
        };
        let envelope = Envelope::of(&mail, offers, true).unwrap();
        assert_eq!(envelope.steps[0].line, "RSET\r\n");
        assert_eq!(
            envelope.steps[1].line,
            "MAIL FROM:<it@example.test> BODY=8BITMIME SMTPUTF8\r\n"
        );
    }

    #[test]
    fn dots_are_doubled_at_line_starts_only() {
        let mut out = Vec::new();
        stuff(b".a\r\nb.\r\n..\r\n.", &mut out);
        assert_eq!(out, b"..a\r\nb.\r\n...\r\n..\r\n");
    }
}
