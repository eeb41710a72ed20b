//! Tests of notices: marked as such in every part, and sent by a way of their own.
//!
//! A [`Rehearsal`] takes nothing but a [`TestMail`], and a [`TestMail`] comes of nothing but marking.
//! It is no `Transport`, and has none of the live one's config (invariant 11):
//!
//! ```compile_fail,E0308
//! use countermand::outbox::rehearsal::TestMail;
//! use countermand::outbox::transport::Session;
//! async fn send_live(session: &mut Session, test: TestMail) {
//!     session.deliver(&[test]).await;
//! }
//! ```
//!
//! ```compile_fail,E0308
//! use countermand::outbox::rehearsal::Rehearsal;
//! use countermand::outbox::transport::Outgoing;
//! async fn send_unmarked(rehearsal: &Rehearsal, notice: Outgoing) {
//!     let _ = rehearsal.send(notice).await;
//! }
//! ```
//!
//! ```compile_fail,E0451
//! use countermand::outbox::rehearsal::TestMail;
//! let test = TestMail { from: String::new(), to: String::new(), subject: String::new(), bytes: Vec::new() };
//! ```

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use uuid::Uuid;

use super::maildir;
use super::message::{MessageError, NoticeMail, Sender};
use super::office::Letter;
use super::transport::{OpenError, Outcome, Outgoing, Session, Transport};
use crate::config::{TestConfig, TransportKind};

/// What marks a test, beside its words.
#[derive(Clone, Copy, Debug)]
pub struct Marks<'a> {
    /// The mailbox that notices come from.
    pub from: &'a str,
    /// The operator who asked for it.
    pub by: &'a str,
    /// Of this test alone: its Message-ID is that of no receipt.
    pub id: Uuid,
    pub at: Timestamp,
}

/// A mail that says of itself, everywhere, that it is a test.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TestMail {
    from: String,
    to: String,
    subject: String,
    bytes: Vec<u8>,
}

impl TestMail {
    /// In subject and header, and as the first and the last line of both parts.
    pub fn mark(letter: Letter, marks: &Marks<'_>) -> Result<TestMail, MessageError> {
        let from = Sender::parse(marks.from)?;
        let sender = from.address().to_owned();
        let domain = sender.rsplit('@').next().unwrap_or_default();
        let first = format!(
            "THIS IS A TEST, sent for {}. It holds for nobody.",
            marks.by
        );
        const LAST: &str = "THIS WAS A TEST. Nothing in it holds, and nobody else was sent it.";
        let subject = format!("TEST: {}", letter.subject);
        let mail = NoticeMail {
            from,
            to_name: letter.to_name,
            to_address: letter.to_address.clone(),
            subject: subject.clone(),
            text: format!("{first}\n\n{}\n\n{LAST}\n", letter.text.trim_end()),
            html: framed(&letter.html, &first, LAST),
            message_id: format!("<test.{}@{domain}>", marks.id),
            in_reply_to: None,
            references: Vec::new(),
            date: marks.at,
            headers: vec![
                ("Content-Language", letter.language),
                ("X-Countermand-Test", "1".to_owned()),
            ],
        };
        Ok(TestMail {
            from: sender,
            to: letter.to_address,
            subject,
            bytes: mail.encode()?,
        })
    }

    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The whole message.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A page with a bar above and below that no notice has.
fn framed(html: &str, first: &str, last: &str) -> String {
    let bar = |words: &str| {
        let words = words.replace('&', "&amp;").replace('<', "&lt;");
        format!(
            "<p lang=\"en\" style=\"background:#7a1f00;color:#fff;padding:1em\"><b>{words}</b></p>\n"
        )
    };
    let (first, last) = (bar(first), bar(last));
    // The page is ours, and shows what looks like a tag in a text as text: these are its own.
    let (head, body) = match html.split_once("<body>") {
        Some((head, body)) => (format!("{head}<body>"), body),
        None => (String::new(), html),
    };
    match body.rsplit_once("</body>") {
        Some((body, tail)) => format!("{head}\n{first}{body}{last}</body>{tail}"),
        None => format!("{head}{first}{body}{last}"),
    }
}

/// Why a test did not get where it was sent.
#[derive(Debug, thiserror::Error)]
pub enum RehearsalError {
    #[error("[notices.test] {}", .0.of_tests())]
    Open(#[from] OpenError),
    #[error("{0}")]
    NotTaken(String),
}

/// The way of tests. Their reader is an operator, so one at a time is enough.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    transport: Transport,
}

impl Rehearsal {
    /// `data` is the data directory, for the mailbox of tests in it.
    pub fn new(config: &TestConfig, data: &Path) -> Rehearsal {
        let transport = match config.transport {
            TransportKind::Smtp => Transport::Smtp(config.smtp.clone()),
            TransportKind::Mailbox => Transport::Mailbox {
                dir: data.join("test-mailbox"),
                durable: false,
            },
        };
        Rehearsal { transport }
    }

    /// The mailbox of tests, if that is where they go.
    pub fn mailbox(&self) -> Option<&PathBuf> {
        match &self.transport {
            Transport::Mailbox { dir, .. } => Some(dir),
            Transport::Smtp(_) | Transport::Channels(_) => None,
        }
    }

    /// Says where the test went.
    pub async fn send(&self, mail: TestMail) -> Result<String, RehearsalError> {
        let TestMail {
            from, to, bytes, ..
        } = mail;
        let outgoing = Outgoing { from, to, bytes };
        let mut session = Session::open(&self.transport).await?;
        let outcome = session.deliver(std::slice::from_ref(&outgoing)).await;
        session.close().await;
        match outcome.into_iter().next() {
            Some(Outcome::Accepted { detail }) => Ok(match self.mailbox() {
                Some(dir) => format!(
                    "the mailbox of tests, {}",
                    dir.join("new")
                        .join(maildir::id_of(&outgoing.bytes))
                        .display()
                ),
                None => format!("the relay of tests, which said: {detail}"),
            }),
            Some(
                Outcome::Rejected { detail, .. }
                | Outcome::Deferred { detail, .. }
                | Outcome::Unknown { detail },
            ) => Err(RehearsalError::NotTaken(detail)),
            None => Err(RehearsalError::NotTaken("no answer".to_owned())),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use mail_parser::MessageParser;

    use super::*;

    fn test_mail() -> TestMail {
        let letter = Letter {
            to_name: "Ana".to_owned(),
            to_address: "ana@corp.test".to_owned(),
            subject: "Remove TikTok".to_owned(),
            text: "Dear Ana,\n\nremove it.\n".to_owned(),
            html: "<!doctype html>\n<html lang=\"de\"><meta charset=\"utf-8\"><body>\n<p>&lt;body&gt; Dear Ana</p>\n</body></html>\n".to_owned(),
            language: "de".to_owned(),
        };
        let marks = Marks {
            from: "IT <it@corp.test>",
            by: "ana@corp.test",
            id: Uuid::from_u128(7),
            at: "2020-07-10T19:00:00Z".parse().unwrap(),
        };
        TestMail::mark(letter, &marks).unwrap()
    }

    #[test]
    fn inv_11_a_test_says_so_in_every_part() {
        let test = test_mail();
        let mail = MessageParser::default().parse(test.bytes()).unwrap();
        assert_eq!(mail.subject(), Some("TEST: Remove TikTok"));
        let head = String::from_utf8_lossy(test.bytes()).to_string();
        assert!(head.contains("\r\nX-Countermand-Test: 1\r\n"), "{head}");
        assert!(
            head.contains(
                "\r\nMessage-ID: <test.00000000-0000-0000-0000-000000000007@corp.test>\r\n"
            ),
            "{head}"
        );
        assert!(!head.contains("X-Countermand-Order"), "{head}");
        assert!(head.contains("\r\nContent-Language: de\r\n"), "{head}");
        let text = mail.body_text(0).unwrap();
        let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
        assert!(
            lines.first().unwrap().starts_with("THIS IS A TEST"),
            "{text}"
        );
        assert!(
            lines.last().unwrap().starts_with("THIS WAS A TEST"),
            "{text}"
        );
        let html = mail.body_html(0).unwrap().replace("\r\n", "\n");
        let (first, rest) = html.split_once("Dear Ana").unwrap();
        assert!(
            first.contains("<b>THIS IS A TEST") && rest.contains("<b>THIS WAS A TEST"),
            "{html}"
        );
        assert!(html.trim_end().ends_with("</p>\n</body></html>"), "{html}");
    }

    #[tokio::test]
    async fn inv_11_tests_have_a_mailbox_of_their_own() {
        let data = tempfile::tempdir().unwrap();
        let rehearsal = Rehearsal::new(&TestConfig::default(), data.path());
        let way = rehearsal.send(test_mail()).await.unwrap();
        assert!(way.contains("test-mailbox"), "{way}");
        let listed = maildir::list(&data.path().join("test-mailbox"), 9).unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].subject, "TEST: Remove TikTok");
        assert!(!data.path().join("mailbox").exists());
    }

    #[tokio::test]
    async fn a_test_that_nobody_takes_is_an_error() {
        let data = tempfile::tempdir().unwrap();
        std::fs::write(data.path().join("test-mailbox"), "no directory").unwrap();
        let rehearsal = Rehearsal::new(&TestConfig::default(), data.path());
        let error = rehearsal.send(test_mail()).await.unwrap_err().to_string();
        assert!(
            error.starts_with("[notices.test] cannot use the mailbox"),
            "{error}"
        );
    }
}
