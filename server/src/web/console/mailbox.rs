//! The mailbox that takes the place of a mail server while one tries things out.

use std::path::{Path as Folder, PathBuf};
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use countermand_core::actor::Act;
use jiff::Timestamp;
use serde::Deserialize;

use super::{ROWS, called, page, page_number, shell, when, zone};
use crate::outbox::maildir::{self, MailSummary, ReadError};
use crate::web::Web;
use crate::web::errors::{Answer, Fault};
use crate::web::pages::{Mail, MailRow, Mailbox, Pager, Pill, Tone};
use crate::web::session::{SignedIn, encode};

/// A search looks through so many of the newest mails.
const SEARCHED: usize = 30_000;

#[derive(Debug, Deserialize)]
pub(in crate::web) struct Asked {
    page: Option<u64>,
    q: Option<String>,
}

/// Its mails name everyone who was written to: for those who look people up (invariant 37). The
/// demo's people are made up.
pub(super) fn may_read(web: &Web, by: &SignedIn) -> bool {
    web.demo || by.may(Act::LookUp)
}

fn folder(web: &Web, by: &SignedIn) -> Result<PathBuf, Fault> {
    if !may_read(web, by) {
        return Err(Fault::policy(format!(
            "{} may not {}, and the mailbox shows who was written to.",
            by.operator.email,
            Act::LookUp.in_words()
        )));
    }
    web.mailbox.clone().ok_or_else(|| {
        Fault::nothing_here(
            "There is no mailbox: notices go to a mail server (transport = \"smtp\").",
        )
    })
}

/// Files are read beside the threads that serve.
async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ReadError> + Send + 'static,
) -> Result<T, Fault> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        Err(error) => Err(Fault::failed(error.to_string())),
    }
}

pub(in crate::web) async fn list(
    State(web): State<Arc<Web>>,
    Query(asked): Query<Asked>,
    by: SignedIn,
) -> Answer {
    let folder = folder(&web, &by)?;
    let number = page_number(asked.page);
    let search = asked.q.unwrap_or_default();
    let sought = search.trim().to_lowercase();
    let (total, mails) = beside(move || sight(&folder, &sought, number)).await?;
    let zone = zone(&web, &by, None);
    let rows = mails
        .into_iter()
        .map(|mail| MailRow {
            when: when(mail.date.unwrap_or(Timestamp::UNIX_EPOCH), &zone),
            kind: kind_of_subject(&mail.subject),
            id: mail.id,
            to: mail.to,
            subject: mail.subject,
        })
        .collect();
    let path = if search.is_empty() {
        "/mailbox".to_owned()
    } else {
        format!("/mailbox?q={}", encode(&search))
    };
    page(Mailbox {
        shell: shell(&web, &by).await?,
        rows,
        pager: Pager::new(&path, number, ROWS, total),
        search,
    })
}

/// How many mails fit, and those of one page.
fn sight(folder: &Folder, sought: &str, number: u64) -> Result<(u64, Vec<MailSummary>), ReadError> {
    maildir::create(folder).map_err(|source| ReadError::Io {
        dir: folder.to_owned(),
        source,
    })?;
    let skip = ((number - 1) * ROWS) as usize;
    let size = ROWS as usize;
    if sought.is_empty() {
        let total = ["new", "cur"]
            .iter()
            .filter_map(|part| std::fs::read_dir(folder.join(part)).ok())
            .map(|files| files.count() as u64)
            .sum();
        let mails = maildir::list(folder, skip + size)?;
        return Ok((total, mails.into_iter().skip(skip).collect()));
    }
    let fits = |mail: &MailSummary| {
        mail.to.to_lowercase().contains(sought) || mail.subject.to_lowercase().contains(sought)
    };
    let found: Vec<MailSummary> = maildir::list(folder, SEARCHED)?
        .into_iter()
        .filter(fits)
        .collect();
    let total = found.len() as u64;
    Ok((total, found.into_iter().skip(skip).take(size).collect()))
}

pub(in crate::web) async fn show(
    State(web): State<Arc<Web>>,
    Path(id): Path<String>,
    by: SignedIn,
) -> Answer {
    let folder = folder(&web, &by)?;
    let mail = beside(move || maildir::read(&folder, &id)).await?;
    let header = |name: &str| {
        mail.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    };
    let subject = header("Subject").unwrap_or("(no subject)").to_owned();
    let date = header("Date")
        .and_then(|date| jiff::fmt::rfc2822::parse(date).ok())
        .map_or(Timestamp::UNIX_EPOCH, |zoned| zoned.timestamp());
    let order = header("X-Countermand-Order").and_then(|id| {
        let id = id.parse().ok()?;
        let order = web.app.live.view().order(id).cloned()?;
        Some(called(&web, &order))
    });
    let kind = header("X-Countermand-Kind").map_or_else(|| kind_of_subject(&subject), kind_of);
    let zone = zone(&web, &by, None);
    page(Mail {
        shell: shell(&web, &by).await?,
        subject,
        kind,
        when: when(date, &zone),
        order,
        headers: mail.headers.clone(),
        text: mail.text,
        has_html: mail.html.is_some(),
    })
}

pub(super) fn kind_of(kind: &str) -> Pill {
    match kind {
        "correction" => Pill::new(Tone::Allow, "Correction"),
        "blocked" => Pill::new(Tone::Deny, "Blocked"),
        "order" => Pill::new(Tone::Plain, "Order"),
        _ => Pill::new(Tone::Quiet, "Reminder"),
    }
}

/// The list reads no more of a mail than a mail program would. A correction always says so in its
/// subject (invariant 29); the others are told apart on their own page.
fn kind_of_subject(subject: &str) -> Pill {
    let subject = subject.to_lowercase();
    if subject.contains("correction") {
        kind_of("correction")
    } else {
        Pill::new(Tone::Plain, "Notice")
    }
}
