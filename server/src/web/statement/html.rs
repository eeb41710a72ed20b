//! The statement as a page.

use countermand_core::notice::Kind;
use jiff::Timestamp;

use super::facts::{Known, ended, organisation, zone};
use super::reader;
use crate::web::Web;
use crate::web::console::{comply_by, when};
use crate::web::errors::Fault;
use crate::web::pages::{
    AsItWas, HistoryRow, NoticeCheck, SafeHtml, Statement, StatementState, When,
};

pub(super) fn in_html(
    web: &Web,
    known: &Known,
    notice: Option<NoticeCheck>,
) -> Result<String, Fault> {
    let order = &known.order;
    let zone = zone(order);
    let now = web.app.now();
    let page = Statement {
        organisation: organisation(web),
        id: order.id.to_string(),
        title: order.title().to_owned(),
        state: known.state(now),
        since: when(known.since(now), &zone),
        note: note(known, now),
        notice,
        wrong: order.retraction().map(|r| r.reason.clone()),
        cause: order.retraction().and_then(|r| r.cause.clone()),
        told: known.told_in_words(),
        history: known
            .history
            .iter()
            .rev()
            .map(|event| HistoryRow {
                when: when(event.at, &zone),
                what: format!("{}.", event.what.name()),
                words: event.words.clone(),
            })
            .collect(),
        order: as_it_was(web, known, when(comply_by(order).at(), &zone)),
        as_of: known.as_of.map(|at| when(at, &zone)),
    };
    Ok(askama::Template::render(&page)?)
}

/// What the state means for a reader.
pub(super) fn note(known: &Known, now: Timestamp) -> String {
    let order = &known.order;
    let apps = order.revision.pins.in_words();
    match (known.state(now), order.retraction()) {
        (_, Some(retraction)) => format!(
            "{} You need do nothing; if you removed {apps}, you may install it again. {}",
            ended(&retraction.reason),
            match known.told {
                0 => format!(
                    "{}; whoever may have gets a correction.",
                    known.told_in_words()
                ),
                _ => format!(
                    "{}; all of them, and whoever may have been, get a correction.",
                    known.told_in_words()
                ),
            }
        ),
        (StatementState::OnHold, _) => {
            "You need not do anything until it is taken up again.".to_owned()
        }
        (StatementState::Expired, _) => "It ended by itself; you need do nothing.".to_owned(),
        _ => format!(
            "It is about {apps}, and is to be followed by {}. If you are not sure whether a copy of a mail about it is right, this page is.",
            when(comply_by(order).at(), &zone(order)).text
        ),
    }
}

/// The text that went out, as nobody in particular got it.
fn as_it_was(web: &Web, known: &Known, deadline: When) -> AsItWas {
    let order = &known.order;
    let (subject, body) = match reader::letter(web, order, Kind::Order, reader::first(order)) {
        Some(rendered) => {
            // The core makes a whole document, from Markdown with raw HTML switched off.
            let html = rendered.html;
            let inner = html
                .split_once("<body>")
                .and_then(|(_, rest)| rest.rsplit_once("</body>"))
                .map(|(inner, _)| inner.trim().to_owned());
            (rendered.subject, inner.unwrap_or_default())
        }
        // Submission has rendered it already; so this is the text as its author left it.
        None => (order.title().to_owned(), String::new()),
    };
    AsItWas {
        subject,
        reason: order.revision.file.reason.clone(),
        comply_by: deadline,
        body: SafeHtml(body),
    }
}
