//! From the parts of a notice to the bytes of a mail.
//!
//! The same input gives the same bytes, on every retry and every machine: date,
//! Message-ID and the MIME boundary are arguments or follow from them.

use std::borrow::Cow;
use std::io::Write as _;
use std::time::{Duration, SystemTime};

use countermand_core::hex;
use jiff::Timestamp;
use lettre::Address;
use lettre::message::header::{self, ContentTransferEncoding, HeaderName, HeaderValue, Headers};
use lettre::message::{Body, Mailbox, Mailboxes};
use sha2::{Digest as _, Sha256};

/// RFC 5322, 2.1.1 allows 998 octets a line; ids longer than this are no ids.
const MAX_MESSAGE_ID: usize = 250;

/// One mail to one person, before encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeMail {
    pub from: Sender,
    /// Empty when the person has no name.
    pub to_name: String,
    pub to_address: String,
    pub subject: String,
    pub text: String,
    pub html: String,
    /// With its angle brackets.
    pub message_id: String,
    pub in_reply_to: Option<String>,
    pub references: Vec<String>,
    pub date: Timestamp,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
}

/// Why no mail can be made of a notice.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    #[error(
        "{field} {value:?} is not a mail address: {problem}. Expected one such as \"name@example.test\""
    )]
    Address {
        field: &'static str,
        value: String,
        problem: String,
    },
    #[error(
        "{field} {value:?} is not a message id. Expected \"<left@right>\" in printable ASCII, at most {MAX_MESSAGE_ID} characters"
    )]
    MessageId { field: &'static str, value: String },
    #[error("a mail cannot be dated {date}. Expected a time from 1970 on")]
    Date { date: Timestamp },
    #[error(
        "{name:?} cannot be a further header of a notice. Expected a name of letters, digits and hyphens that the notice does not set itself"
    )]
    Header { name: &'static str },
}

/// Headers that are set from fields: a second one would contradict them.
const OWN_HEADERS: [&str; 15] = [
    "From",
    "Sender",
    "To",
    "Cc",
    "Bcc",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
];

/// Who notices come from, read once: it is the same in every mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender(Mailbox);

impl Sender {
    /// As in the config: `IT Security <it@example.test>`. Not forgiving as with a person's name.
    pub fn parse(text: &str) -> Result<Sender, MessageError> {
        let wrong = |problem: String| MessageError::Address {
            field: "from",
            value: text.to_owned(),
            problem,
        };
        if text.contains(char::is_control) {
            return Err(wrong(
                "it has a line end or another control character".into(),
            ));
        }
        let parsed: Result<Mailbox, lettre::address::AddressError> = text.parse();
        parsed.map(Sender).map_err(|error| wrong(error.to_string()))
    }

    /// The address alone, for the envelope.
    pub fn address(&self) -> &str {
        self.0.email.as_ref()
    }
}

/// The address alone out of `Name <address>`.
pub fn bare_address(mailbox: &str) -> Result<String, MessageError> {
    Ok(Sender::parse(mailbox)?.address().to_owned())
}

impl NoticeMail {
    /// The whole message, lines ended by CRLF. The bytes are those of lettre's own builder, which
    /// takes longer: it reads back what it has just written.
    pub fn encode(&self) -> Result<Vec<u8>, MessageError> {
        let boundary = self.boundary();
        let head = self.head(&boundary)?.to_string();
        let mut mail = Vec::with_capacity(head.len() + self.text.len() + self.html.len() + 1024);
        mail.extend_from_slice(head.as_bytes());
        mail.extend_from_slice(b"\r\n");
        for (kind, text) in [("plain", &self.text), ("html", &self.html)] {
            let body = body(text);
            // Writing to memory does not fail.
            let _ = write!(
                mail,
                "--{boundary}\r\nContent-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: {}\r\n\r\n",
                body.encoding()
            );
            mail.extend_from_slice(body.as_ref());
            mail.extend_from_slice(b"\r\n");
        }
        let _ = write!(mail, "--{boundary}--\r\n");
        Ok(mail)
    }

    fn head(&self, boundary: &str) -> Result<Headers, MessageError> {
        let mut head = Headers::with_capacity(11 + self.headers.len());
        head.set(header::From::from(Mailboxes::from(self.from.0.clone())));
        head.set(header::To::from(Mailboxes::from(self.recipient()?)));
        head.set(header::Subject::from(one_line(&self.subject)));
        head.set(header::Date::new(self.system_time()?));
        let id = message_id("message_id", &self.message_id)?;
        head.set(header::MessageId::from(id));
        if let Some(id) = &self.in_reply_to {
            head.set(header::InReplyTo::from(message_id("in_reply_to", id)?));
        }
        if !self.references.is_empty() {
            let ids: Result<Vec<_>, _> = self
                .references
                .iter()
                .map(|id| message_id("references", id))
                .collect();
            head.set(header::References::from(ids?.join(" ")));
        }
        // RFC 3834: no vacation notes or other robots in answer.
        head.insert_raw(header("Auto-Submitted", "auto-generated")?);
        head.insert_raw(header("X-Auto-Response-Suppress", "OOF, AutoReply")?);
        for (name, value) in &self.headers {
            if OWN_HEADERS.iter().any(|own| own.eq_ignore_ascii_case(name)) {
                return Err(MessageError::Header { name });
            }
            head.insert_raw(header(name, value)?);
        }
        head.set(header::MIME_VERSION_1_0);
        let kind = format!("multipart/alternative; boundary=\"{boundary}\"");
        head.insert_raw(header("Content-Type", &kind)?);
        Ok(head)
    }

    fn recipient(&self) -> Result<Mailbox, MessageError> {
        let name = one_line(&self.to_name);
        Ok(Mailbox::new(
            (!name.is_empty()).then_some(name),
            address("to_address", &self.to_address)?,
        ))
    }

    fn system_time(&self) -> Result<SystemTime, MessageError> {
        // The HTTP date that lettre formats by panics before 1970.
        let seconds = u64::try_from(self.date.as_second())
            .map_err(|_| MessageError::Date { date: self.date })?;
        Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    /// Of the bodies too, so that no body can contain it: whoever writes one
    /// would have to know its hash before writing. `=_` cannot come out of
    /// quoted-printable at all.
    fn boundary(&self) -> String {
        let mut hash = Sha256::new();
        for part in [&self.message_id, &self.text, &self.html] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        format!("=_{}", hex::encode(&hash.finalize()[..16]))
    }
}

fn address(field: &'static str, text: &str) -> Result<Address, MessageError> {
    let wrong = |problem: String| MessageError::Address {
        field,
        value: text.to_owned(),
        problem,
    };
    text.parse()
        .map_err(|error: lettre::address::AddressError| wrong(error.to_string()))
}

fn message_id(field: &'static str, text: &str) -> Result<String, MessageError> {
    let inner = text
        .strip_prefix('<')
        .and_then(|rest| rest.strip_suffix('>'));
    let fits = inner
        .and_then(|inner| inner.split_once('@'))
        .is_some_and(|(left, right)| {
            let part = |part: &str| {
                !part.is_empty()
                    && part
                        .bytes()
                        .all(|b| b.is_ascii_graphic() && !b"<>@".contains(&b))
            };
            part(left) && part(right)
        });
    if fits && text.len() <= MAX_MESSAGE_ID {
        Ok(text.to_owned())
    } else {
        Err(MessageError::MessageId {
            field,
            value: text.to_owned(),
        })
    }
}

fn header(name: &'static str, value: &str) -> Result<HeaderValue, MessageError> {
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Err(MessageError::Header { name });
    }
    let name =
        HeaderName::new_from_ascii(name.to_owned()).map_err(|_| MessageError::Header { name })?;
    Ok(HeaderValue::new(name, one_line(value)))
}

/// A line end in a name or subject would begin a header of its own. It becomes a
/// space rather than an error: a stray one in a directory export must not keep a
/// correction from a person.
fn one_line(text: &str) -> String {
    let spaced: String = text
        .chars()
        .map(|c| {
            if c.is_control() || is_line_end(c) {
                ' '
            } else {
                c
            }
        })
        .collect();
    spaced
        .split(' ')
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Those that Unicode counts as line ends and Rust not as controls.
fn is_line_end(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

/// What RFC 5322 (2.1.1) allows in a line, its end left aside.
const MAX_LINE: usize = 998;

/// A body with its line ends, encoded only where it must be: what 7bit carries stays as it is, and
/// the encoder need not look at every byte of every letter.
fn body(text: &str) -> Body {
    let (text, longest) = body_text(text);
    if text.is_ascii() && longest <= MAX_LINE {
        Body::dangerous_pre_encoded(text.into_bytes(), ContentTransferEncoding::SevenBit)
    } else {
        Body::new(text)
    }
}

/// Line ends of one kind, and no control characters that a mail may not carry. Also how long the
/// longest line is.
fn body_text(text: &str) -> (String, usize) {
    let lines = match text.contains('\r') {
        true => Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")),
        false => Cow::Borrowed(text),
    };
    let mut body = String::with_capacity(lines.len() + lines.len() / 32 + 64);
    let mut longest = 0;
    for line in lines.split_inclusive('\n') {
        let (line, ends) = match line.strip_suffix('\n') {
            Some(line) => (line, "\r\n"),
            None => (line, ""),
        };
        // Nearly every line is plain, and then copied whole.
        let plain = |byte: u8| matches!(byte, b' '..=b'~' | b'\t');
        if line.bytes().fold(true, |all, byte| all & plain(byte)) {
            body.push_str(line);
        } else {
            body.extend(line.chars().filter(|c| !c.is_control() || *c == '\t'));
        }
        longest = longest.max(line.len());
        body.push_str(ends);
    }
    (body, longest)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use lettre::message::{MultiPart, SinglePart};
    use mail_parser::MessageParser;
    use proptest::prelude::*;

    use super::*;

    fn notice() -> NoticeMail {
        NoticeMail {
            from: Sender::parse("IT Security <it-security@example.test>").unwrap(),
            to_name: "Jörg Müller".into(),
            to_address: "joerg@example.test".into(),
            subject: "Entfernen Sie TikTok bis heute Abend, um Firmen-Mail auf dem Telefon zu behalten — Grüße".into(),
            text: "Guten Tag,\n.\nbitte löschen.\r\n".into(),
            html: "<p>Guten Tag, bitte <b>löschen</b>.</p>".into(),
            message_id: "<order-1.7@example.test>".into(),
            in_reply_to: Some("<order-0.7@example.test>".into()),
            references: vec!["<order-0.7@example.test>".into()],
            date: "2020-07-10T19:00:00Z".parse().unwrap(),
            headers: vec![("X-Countermand-Order", "o-1".into())],
        }
    }

    fn head_of(bytes: &[u8]) -> String {
        let text = std::str::from_utf8(bytes).unwrap();
        text.split_once("\r\n\r\n").unwrap().0.to_owned()
    }

    #[test]
    fn a_notice_reads_back_as_it_was_written() {
        let bytes = notice().encode().unwrap();
        let mail = MessageParser::default().parse(&bytes).unwrap();
        assert_eq!(mail.subject(), Some(notice().subject.as_str()));
        assert_eq!(
            mail.to().unwrap().first().unwrap().name(),
            Some("Jörg Müller")
        );
        assert_eq!(
            mail.body_text(0).unwrap().replace("\r\n", "\n"),
            "Guten Tag,\n.\nbitte löschen.\n"
        );
        assert_eq!(mail.body_html(0).unwrap(), notice().html);
        let head = head_of(&bytes);
        for line in [
            "Date: Fri, 10 Jul 2020 19:00:00 +0000",
            "Message-ID: <order-1.7@example.test>",
            "In-Reply-To: <order-0.7@example.test>",
            "References: <order-0.7@example.test>",
            "Auto-Submitted: auto-generated",
            "X-Auto-Response-Suppress: OOF, AutoReply",
            "X-Countermand-Order: o-1",
            "MIME-Version: 1.0",
        ] {
            assert!(head.lines().any(|l| l == line), "{line} in\n{head}");
        }
    }

    #[test]
    fn inv_16_the_same_notice_is_the_same_bytes() {
        assert_eq!(notice().encode().unwrap(), notice().encode().unwrap());
        let other = NoticeMail {
            message_id: "<order-1.8@example.test>".into(),
            ..notice()
        };
        assert_ne!(notice().boundary(), other.boundary());
    }

    #[test]
    fn a_line_end_in_a_name_or_subject_begins_no_header() {
        for end in ["\r\n", "\n", "\r", "\r\n\r\n", "\0", "\u{85}", "\u{2028}"] {
            let bytes = NoticeMail {
                to_name: format!("Eve{end}Bcc: all@example.test"),
                subject: format!("Hello{end}X-Evil: yes{end}{end}body"),
                headers: vec![("X-Note", format!("a{end}X-Evil: yes"))],
                ..notice()
            }
            .encode()
            .unwrap();
            let head = head_of(&bytes);
            assert!(
                !head
                    .lines()
                    .any(|l| l.starts_with("Bcc") || l.starts_with("X-Evil")),
                "{end:?}\n{head}"
            );
            let mail = MessageParser::default().parse(&bytes).unwrap();
            assert_eq!(mail.subject(), Some("Hello X-Evil: yes body"));
        }
    }

    #[test]
    fn ids_addresses_and_headers_that_could_break_out_are_errors() {
        for id in [
            "",
            "a@b",
            "<a@b",
            "<a b@c>",
            "<a@b>\r\nX: y",
            "<a@b> <c@d>",
            "<@b>",
            "<ä@b>",
        ] {
            assert!(
                NoticeMail {
                    message_id: id.into(),
                    ..notice()
                }
                .encode()
                .is_err(),
                "{id}"
            );
            assert!(
                NoticeMail {
                    in_reply_to: Some(id.into()),
                    ..notice()
                }
                .encode()
                .is_err(),
                "{id}"
            );
            assert!(
                NoticeMail {
                    references: vec![id.into()],
                    ..notice()
                }
                .encode()
                .is_err(),
                "{id}"
            );
        }
        for to in ["", "nobody", "a@b\r\nBcc: c@d", "a@b>, <c@d"] {
            assert!(
                NoticeMail {
                    to_address: to.into(),
                    ..notice()
                }
                .encode()
                .is_err(),
                "{to}"
            );
        }
        for from in ["", "IT", "IT\r\nX: y <a@b.test>"] {
            assert!(Sender::parse(from).is_err(), "{from}");
        }
        for name in ["", "X Y", "X:", "bcc", "DATE"] {
            assert!(
                NoticeMail {
                    headers: vec![(name, "x".into())],
                    ..notice()
                }
                .encode()
                .is_err(),
                "{name}"
            );
        }
        assert!(
            NoticeMail {
                date: "1969-12-31T00:00:00Z".parse().unwrap(),
                ..notice()
            }
            .encode()
            .is_err()
        );
        assert_eq!(
            bare_address("IT <it@example.test>").unwrap(),
            "it@example.test"
        );
    }

    /// The same mail by lettre's builder.
    fn as_lettre_writes_it(mail: &NoticeMail) -> Vec<u8> {
        let mut builder = lettre::Message::builder()
            .from(mail.from.0.clone())
            .to(mail.recipient().unwrap())
            .subject(one_line(&mail.subject))
            .date(mail.system_time().unwrap())
            .message_id(Some(mail.message_id.clone()));
        if let Some(id) = &mail.in_reply_to {
            builder = builder
                .in_reply_to(id.clone())
                .references(mail.references.join(" "));
        }
        builder = builder
            .raw_header(header("Auto-Submitted", "auto-generated").unwrap())
            .raw_header(header("X-Auto-Response-Suppress", "OOF, AutoReply").unwrap());
        for (name, value) in &mail.headers {
            builder = builder.raw_header(header(name, value).unwrap());
        }
        let parts = MultiPart::alternative()
            .boundary(mail.boundary())
            .singlepart(SinglePart::plain(body(&mail.text)))
            .singlepart(SinglePart::html(body(&mail.html)));
        builder.multipart(parts).unwrap().formatted()
    }

    proptest! {
        #[test]
        fn a_mail_is_what_lettre_would_have_written(name in ".{0,80}", subject in "\\PC{0,300}", text in "(?s).{0,600}", plain in "[ -~\n]{0,600}", answers in any::<bool>()) {
            let mut mail = NoticeMail { to_name: name, subject, text: text.clone(), html: plain.clone(), ..notice() };
            if !answers {
                (mail.in_reply_to, mail.references) = (None, Vec::new());
            }
            prop_assert_eq!(mail.encode().unwrap(), as_lettre_writes_it(&mail));
            (mail.text, mail.html) = (plain, text);
            prop_assert_eq!(mail.encode().unwrap(), as_lettre_writes_it(&mail));
        }

        /// Whatever people write: ASCII, CRLF alone, no line over 998, one head.
        #[test]
        fn any_text_makes_a_well_formed_mail(name in ".{0,300}", subject in "\\PC{0,600}", text in "(?s).{0,2000}", word in "[a-zäß€]{0,3000}") {
            let bytes = NoticeMail { to_name: name, subject: format!("{subject}{word}"), text: text.clone(), html: word, ..notice() }.encode().unwrap();
            prop_assert!(bytes.is_ascii());
            let lines: Vec<&[u8]> = bytes.split(|&b| b == b'\n').collect();
            let (last, lines) = lines.split_last().unwrap();
            prop_assert!(last.is_empty());
            for line in lines {
                prop_assert!(line.len() <= 999 && line.ends_with(b"\r") && !line[..line.len() - 1].contains(&b'\r'), "{:?}", String::from_utf8_lossy(line));
            }
            let mail = MessageParser::default().parse(&bytes).unwrap();
            prop_assert_eq!(mail.to().unwrap().first().unwrap().address(), Some("joerg@example.test"));
            let (read, written) = (mail.body_text(0).unwrap().replace("\r\n", "\n"), body_text(&text).0.replace("\r\n", "\n"));
            prop_assert_eq!(read.trim_end(), written.trim_end());
        }
    }
}
