//! A maildir as the end of the way: for trying Countermand without a relay, for
//! the demo, and for the console to read what was sent. Blocking; call it beside
//! the async threads.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use countermand_core::hex;
use jiff::Timestamp;
use mail_parser::{Address, HeaderValue, Message, MessageParser};
use sha2::{Digest as _, Sha256};

use super::transport::{Outcome, Outgoing};

/// Length of a mail's id here: 128 bits of a hash in hexadecimal.
const ID_LENGTH: usize = 32;

/// A line of the console's list.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct MailSummary {
    pub id: String,
    pub from: String,
    pub to: String,
    pub subject: String,
    pub date: Option<Timestamp>,
}

/// A mail as people read it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Mail {
    /// In their order, decoded.
    pub headers: Vec<(String, String)>,
    pub text: String,
    /// As sent: show it only where it can run nothing.
    pub html: Option<String>,
}

/// Why a mail cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(
        "{0:?} is not the id of a mail. Expected {ID_LENGTH} hexadecimal digits, as the list of mails shows them"
    )]
    Id(String),
    #[error("there is no mail {0} in this mailbox. Expected an id from the list of mails")]
    Missing(String),
    #[error(
        "the mail {0} cannot be read as a mail. Its file was changed by something else; delete it"
    )]
    Malformed(String),
    #[error("the mailbox {} cannot be read: {source}. Expected a maildir that this program may read", dir.display())]
    Io { dir: PathBuf, source: io::Error },
}

/// Makes what is missing of the three directories.
pub fn create(dir: &Path) -> io::Result<()> {
    ["tmp", "new", "cur"]
        .iter()
        .try_for_each(|part| fs::create_dir_all(dir.join(part)))
}

/// Writes each message; the outcomes in the same order.
pub(super) fn deliver(dir: &Path, durable: bool, batch: &[Outgoing]) -> Vec<Outcome> {
    let mut outcomes: Vec<Outcome> = batch
        .iter()
        .map(|message| store(dir, durable, message))
        .collect();
    // One sync of the directory holds for all renames before it.
    if durable && let Err(error) = File::open(dir.join("new")).and_then(|new| new.sync_all()) {
        for outcome in &mut outcomes {
            if let Outcome::Accepted { .. } = outcome {
                *outcome = Outcome::Unknown {
                    detail: format!("written, and not known to be on disk: {error}"),
                };
            }
        }
    }
    outcomes
}

fn store(dir: &Path, durable: bool, message: &Outgoing) -> Outcome {
    let id = id_of(&message.bytes);
    let unfinished = dir.join("tmp").join(&id);
    let write = || {
        let mut file = File::create(&unfinished)?;
        file.write_all(&message.bytes)?;
        if durable { file.sync_all() } else { Ok(()) }
    };
    // Over a mail of the same Message-ID: a retry makes no second one. One that
    // another program has moved to `cur` is read there, and left alone.
    match write().and_then(|()| fs::rename(&unfinished, dir.join("new").join(&id))) {
        Ok(()) => Outcome::Accepted {
            detail: format!("250 in the mailbox as {id}"),
        },
        Err(error) => {
            // What could not become a mail is of no use; if it stays, a retry overwrites it.
            let _ = fs::remove_file(&unfinished);
            Outcome::Deferred {
                code: None,
                detail: format!("not written to {}: {error}", dir.display()),
            }
        }
    }
}

/// A function of the Message-ID; of the whole message where it has none.
pub(super) fn id_of(bytes: &[u8]) -> String {
    let key = message_id(bytes).unwrap_or(bytes);
    hex::encode(&Sha256::digest(key)[..ID_LENGTH / 2])
}

fn message_id(bytes: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"message-id:";
    let head = bytes
        .split(|&b| b == b'\n')
        .take_while(|line| !line.trim_ascii().is_empty());
    head.filter_map(|line| line.split_at_checked(NAME.len()))
        .find(|(name, _)| name.eq_ignore_ascii_case(NAME))
        .map(|(_, value)| value.trim_ascii())
}

/// The newest mails first, by the time they were written; at most `limit`.
pub fn list(dir: &Path, limit: usize) -> Result<Vec<MailSummary>, ReadError> {
    let failed = |source| ReadError::Io {
        dir: dir.to_owned(),
        source,
    };
    let mut files: Vec<(SystemTime, String, PathBuf)> = Vec::new();
    for part in ["new", "cur"] {
        for entry in fs::read_dir(dir.join(part)).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Some(id) = id_in(&entry.file_name().to_string_lossy()) else {
                continue;
            };
            // A mail that is moved away in this moment is simply not listed.
            if let Ok(written) = entry.metadata().and_then(|data| data.modified()) {
                files.push((written, id, entry.path()));
            }
        }
    }
    files.sort_unstable_by(|a, b| b.cmp(a));
    files.truncate(limit);
    let summary = |(_, id, path): (_, String, PathBuf)| {
        let bytes = fs::read(path).ok()?;
        let mail = MessageParser::new().parse_headers(&bytes[..])?;
        Some(MailSummary {
            id,
            from: mail.from().map(addresses).unwrap_or_default(),
            to: mail.to().map(addresses).unwrap_or_default(),
            subject: mail.subject().unwrap_or_default().to_owned(),
            date: mail
                .date()
                .and_then(|date| Timestamp::from_second(date.to_timestamp()).ok()),
        })
    };
    Ok(files.into_iter().filter_map(summary).collect())
}

/// One mail by the id that [`list`] gave.
pub fn read(dir: &Path, id: &str) -> Result<Mail, ReadError> {
    // Only an exact id is ever joined to a path.
    if id_in(id).as_deref() != Some(id) {
        return Err(ReadError::Id(id.to_owned()));
    }
    let path = find(dir, id).map_err(|source| ReadError::Io {
        dir: dir.to_owned(),
        source,
    })?;
    let path = path.ok_or_else(|| ReadError::Missing(id.to_owned()))?;
    let bytes = fs::read(path).map_err(|source| ReadError::Io {
        dir: dir.to_owned(),
        source,
    })?;
    let mail = MessageParser::default()
        .parse(&bytes)
        .ok_or_else(|| ReadError::Malformed(id.to_owned()))?;
    Ok(Mail {
        headers: headers(&mail),
        text: mail.body_text(0).unwrap_or_default().into_owned(),
        html: mail
            .html_part(0)
            .filter(|part| part.is_text_html())
            .and_then(|part| part.text_contents())
            .map(str::to_owned),
    })
}

fn find(dir: &Path, id: &str) -> io::Result<Option<PathBuf>> {
    let unread = dir.join("new").join(id);
    if unread.try_exists()? {
        return Ok(Some(unread));
    }
    // Programs that read mail move it to `cur` and append flags to its name.
    for entry in fs::read_dir(dir.join("cur"))? {
        let entry = entry?;
        if id_in(&entry.file_name().to_string_lossy()).as_deref() == Some(id) {
            return Ok(Some(entry.path()));
        }
    }
    Ok(None)
}

/// The id in a file name of ours, with or without flags; `None` for any other name.
fn id_in(file_name: &str) -> Option<String> {
    let id = file_name.split_once(":2,").map_or(file_name, |(id, _)| id);
    let hexadecimal = id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    (id.len() == ID_LENGTH && hexadecimal).then(|| id.to_owned())
}

fn headers(mail: &Message<'_>) -> Vec<(String, String)> {
    mail.headers()
        .iter()
        .map(|header| {
            let raw = || {
                mail.header_raw(header.name.clone())
                    .unwrap_or_default()
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" ")
            };
            let value = match &header.value {
                HeaderValue::Address(address) => addresses(address),
                // Ids come without their brackets; as written they are more use.
                HeaderValue::Text(text) if !text.contains('@') => text.to_string(),
                _ => raw(),
            };
            (header.name().to_owned(), value)
        })
        .collect()
}

fn addresses(address: &Address<'_>) -> String {
    let one = |addr: &mail_parser::Addr<'_>| match (addr.name(), addr.address().unwrap_or_default())
    {
        (Some(name), address) => format!("{name} <{address}>"),
        (None, address) => address.to_owned(),
    };
    address.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::outbox::message::{NoticeMail, Sender};

    fn outgoing(number: usize, text: &str) -> Outgoing {
        let bytes = NoticeMail {
            from: Sender::parse("IT Sicherheit <it@example.test>").unwrap(),
            to_name: "Zoë".into(),
            to_address: format!("zoe{number}@example.test"),
            subject: format!("Nr. {number} für Zoë"),
            text: text.into(),
            html: format!("<p>{text}</p>"),
            message_id: format!("<{number}@example.test>"),
            in_reply_to: None,
            references: vec![],
            date: "2020-07-10T19:00:00Z".parse().unwrap(),
            headers: vec![],
        }
        .encode()
        .unwrap();
        Outgoing {
            from: "it@example.test".into(),
            to: format!("zoe{number}@example.test"),
            bytes,
        }
    }

    fn mailbox() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        create(dir.path()).unwrap();
        dir
    }

    #[test]
    fn what_was_delivered_can_be_listed_and_read() {
        let dir = mailbox();
        for durable in [false, true] {
            let outcomes = deliver(
                dir.path(),
                durable,
                &[outgoing(1, "Schöne Grüße"), outgoing(2, "x")],
            );
            assert!(
                outcomes
                    .iter()
                    .all(|o| matches!(o, Outcome::Accepted { .. })),
                "{outcomes:?}"
            );
        }
        let listed = list(dir.path(), 10).unwrap();
        assert_eq!(listed.len(), 2);
        assert_eq!(list(dir.path(), 1).unwrap(), listed[..1]);
        let first = listed
            .iter()
            .find(|mail| mail.subject == "Nr. 1 für Zoë")
            .unwrap();
        assert_eq!(first.from, "IT Sicherheit <it@example.test>");
        assert_eq!(first.to, "Zoë <zoe1@example.test>");
        assert_eq!(first.date, Some("2020-07-10T19:00:00Z".parse().unwrap()));
        let mail = read(dir.path(), &first.id).unwrap();
        assert_eq!(mail.text.trim_end(), "Schöne Grüße");
        assert_eq!(
            mail.html.as_deref().map(str::trim_end),
            Some("<p>Schöne Grüße</p>")
        );
        let header = |name: &str| {
            mail.headers
                .iter()
                .find(|(n, _)| n == name)
                .unwrap()
                .1
                .as_str()
        };
        assert_eq!(header("Subject"), "Nr. 1 für Zoë");
        assert_eq!(header("Message-ID"), "<1@example.test>");
        assert_eq!(header("To"), "Zoë <zoe1@example.test>");
        assert_eq!(header("Date"), "Fri, 10 Jul 2020 19:00:00 +0000");
    }

    #[test]
    fn the_newest_comes_first() {
        let dir = mailbox();
        deliver(
            dir.path(),
            false,
            &(0..5).map(|n| outgoing(n, "x")).collect::<Vec<_>>(),
        );
        for (age, number) in [3u64, 0, 4, 1, 2].iter().enumerate() {
            let path = dir
                .path()
                .join("new")
                .join(id_of(&outgoing(*number as usize, "x").bytes));
            let written =
                SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000 - age as u64);
            File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_modified(written)
                .unwrap();
        }
        let order: Vec<_> = list(dir.path(), 3)
            .unwrap()
            .into_iter()
            .map(|mail| mail.subject)
            .collect();
        assert_eq!(order, ["Nr. 3 für Zoë", "Nr. 0 für Zoë", "Nr. 4 für Zoë"]);
    }

    #[test]
    fn inv_16_a_retry_is_the_same_mail() {
        let dir = mailbox();
        deliver(dir.path(), true, &[outgoing(1, "first")]);
        deliver(dir.path(), true, &[outgoing(1, "again")]);
        let listed = list(dir.path(), 10).unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(
            read(dir.path(), &listed[0].id).unwrap().text.trim_end(),
            "again"
        );
        assert_eq!(fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
    }

    #[test]
    fn a_mail_read_elsewhere_is_still_found() {
        let dir = mailbox();
        deliver(dir.path(), false, &[outgoing(1, "x")]);
        let id = list(dir.path(), 1).unwrap().remove(0).id;
        fs::rename(
            dir.path().join("new").join(&id),
            dir.path().join("cur").join(format!("{id}:2,S")),
        )
        .unwrap();
        assert_eq!(list(dir.path(), 1).unwrap()[0].id, id);
        assert!(read(dir.path(), &id).is_ok());
    }

    #[test]
    fn an_id_is_no_path() {
        let dir = mailbox();
        fs::write(dir.path().join("secret"), "x").unwrap();
        fs::write(
            dir.path().join("new").join("foreign.mail"),
            "Subject: x\r\n\r\n",
        )
        .unwrap();
        for id in [
            "../secret",
            "",
            ".",
            "/etc/passwd",
            "foreign.mail",
            &"A".repeat(32),
            &format!("{}:2,S", "a".repeat(32)),
            "../../../../../../../../etc/passwd",
        ] {
            assert!(
                matches!(read(dir.path(), id), Err(ReadError::Id(_))),
                "{id}"
            );
        }
        assert!(matches!(
            read(dir.path(), &"a".repeat(32)),
            Err(ReadError::Missing(_))
        ));
        assert!(
            list(dir.path(), 10).unwrap().is_empty(),
            "files of others are not ours to show"
        );
    }

    #[test]
    fn a_mailbox_that_cannot_be_written_defers() {
        let dir = tempfile::tempdir().unwrap();
        let outcomes = deliver(&dir.path().join("nowhere"), false, &[outgoing(1, "x")]);
        assert!(matches!(outcomes[..], [Outcome::Deferred { .. }]));
    }
}
