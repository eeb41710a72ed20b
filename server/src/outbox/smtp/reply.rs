//! What a relay answers: RFC 5321, 4.2.

use std::fmt::{self, Write as _};

/// RFC 5321 allows 512 octets a line; relays that explain themselves use more.
const MAX_LINE: usize = 4096;
/// All lines of one answer together. Nothing honest comes near it.
const MAX_REPLY: usize = 64 * 1024;
/// How much of an answer is kept in a record.
const MAX_DETAIL: usize = 500;

/// One whole answer, of one or many lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) code: u16,
    /// Texts of the lines, without codes.
    pub(super) lines: Vec<String>,
}

/// The text for people and records: one line, bounded, nothing unprintable.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{} {}", self.code, self.lines.join(" "));
        let mut printable = text
            .trim_end()
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c });
        printable
            .by_ref()
            .take(MAX_DETAIL)
            .try_for_each(|c| f.write_char(c))?;
        if printable.next().is_some() {
            f.write_str("…")
        } else {
            Ok(())
        }
    }
}

impl Reply {
    /// 2xx.
    pub(super) fn is_done(&self) -> bool {
        self.code / 100 == 2
    }

    /// 421 may answer anything: the relay is about to close.
    pub(super) fn is_closing(&self) -> bool {
        self.code == 421
    }
}

/// Takes one whole answer off the front of `buffer`; `None` when more must come.
/// An error means that the other side does not speak SMTP.
pub(super) fn take(buffer: &mut Vec<u8>) -> Result<Option<Reply>, String> {
    let mut lines = Vec::new();
    let mut code = None;
    let mut at = 0;
    loop {
        let rest = &buffer[at..];
        let Some(end) = rest.iter().position(|&b| b == b'\n') else {
            return if rest.len() > MAX_LINE {
                Err(format!("an answer line of more than {MAX_LINE} bytes"))
            } else if buffer.len() > MAX_REPLY {
                Err(format!("an answer of more than {MAX_REPLY} bytes"))
            } else {
                Ok(None)
            };
        };
        // Some servers end lines by a bare LF; nothing hangs on it here.
        let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        at += end + 1;
        if line.len() > MAX_LINE || at > MAX_REPLY {
            return Err("an answer that is too long".into());
        }
        let (line_code, more, text) = split(line).ok_or_else(|| {
            format!(
                "not an SMTP answer: {:?}",
                String::from_utf8_lossy(&line[..line.len().min(80)])
            )
        })?;
        if *code.get_or_insert(line_code) != line_code {
            return Err("an answer whose lines carry different codes".into());
        }
        lines.push(String::from_utf8_lossy(text).into_owned());
        if !more {
            buffer.drain(..at);
            return Ok(Some(Reply {
                code: line_code,
                lines,
            }));
        }
    }
}

/// Code, whether more lines follow, text.
fn split(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let (digits, rest) = line.split_at_checked(3)?;
    if !matches!(digits[0], b'1'..=b'5') || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let code = digits
        .iter()
        .fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    match rest {
        [] => Some((code, false, rest)),
        [b' ', text @ ..] => Some((code, false, text)),
        [b'-', text @ ..] => Some((code, true, text)),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn takes_one_answer_and_leaves_the_rest() {
        let mut buffer = b"250-relay greets\r\n250-PIPELINING\r\n250 8BITMIME\r\n354".to_vec();
        let reply = take(&mut buffer).unwrap().unwrap();
        assert_eq!(reply.lines, ["relay greets", "PIPELINING", "8BITMIME"]);
        assert_eq!(buffer, b"354");
        assert_eq!(
            take(&mut buffer).unwrap(),
            None,
            "a line without its end is not an answer yet"
        );
        buffer.extend_from_slice(b"\r\n");
        assert_eq!(
            take(&mut buffer).unwrap().unwrap(),
            Reply {
                code: 354,
                lines: vec![String::new()]
            }
        );
    }

    #[test]
    fn a_half_answer_of_many_lines_waits_for_its_last() {
        let mut buffer = b"550-5.1.1 no such\r\n550-5.1.1 person\r\n".to_vec();
        assert_eq!(take(&mut buffer).unwrap(), None);
        buffer.extend_from_slice(b"550 5.1.1 here\r\n");
        assert_eq!(
            take(&mut buffer).unwrap().unwrap().to_string(),
            "550 5.1.1 no such 5.1.1 person 5.1.1 here"
        );
    }

    #[test]
    fn what_is_not_smtp_or_has_no_end_is_an_error() {
        for text in [
            "HTTP/1.1 400 Bad Request\r\n",
            "25 ok\r\n",
            "650 x\r\n",
            "250_x\r\n",
            "250-a\r\n251 b\r\n",
        ] {
            assert!(take(&mut text.as_bytes().to_vec()).is_err(), "{text}");
        }
        assert!(take(&mut vec![b'2'; MAX_LINE + 1]).is_err());
        assert!(take(&mut b"250-x\r\n".repeat(MAX_REPLY / 7 + 1)).is_err());
    }

    #[test]
    fn a_detail_is_one_bounded_printable_line() {
        let reply = Reply {
            code: 250,
            lines: vec!["\u{1b}[31mred\u{7}".into(), "x".repeat(2000)],
        };
        let detail = reply.to_string();
        assert!(!detail.contains(char::is_control));
        assert!(detail.chars().count() <= MAX_DETAIL + 1);
    }
}
