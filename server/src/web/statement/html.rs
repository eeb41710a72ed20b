//! The statement as a page.

use countermand_core::fleet::Person;
use countermand_core::id::PersonId;
use countermand_core::notice::Kind;
use countermand_core::notice::render::{Context, render};
use countermand_core::order::{Order, State as Life};

use super::facts::{Known, zone};
use crate::web::Web;
use crate::web::console::{comply_by, when};
use crate::web::errors::Fault;
use crate::web::pages::{AsItWas, Count, HistoryRow, SafeHtml, Statement, StatementState, When};

pub(super) fn in_html(web: &Web, known: &Known) -> Result<String, Fault> {
    let order = &known.order;
    let zone = zone(order);
    let now = web.app.now();
    let state = match (&order.state, order.has_expired(now)) {
        (Life::Retracted { .. }, _) => StatementState::Retracted,
        (_, true) => StatementState::Expired,
        (Life::Held { .. }, _) => StatementState::OnHold,
        _ => StatementState::InForce,
    };
    let deadline = when(comply_by(order).at(), &zone);
    let apps = order.revision.pins.in_words();
    let note = match (state, order.retraction()) {
        (_, Some(retraction)) => format!(
            "{} You need do nothing; if you removed {apps}, you may install it again. {}",
            ended(&retraction.reason),
            match known.told {
                0 => "Nobody is known to have got the order by mail; whoever may have gets a correction.".to_owned(),
                told => format!(
                    "{} told; all of them, and whoever may have been, get a correction.",
                    Count(told).of("person was", "people were")
                ),
            }
        ),
        (StatementState::OnHold, _) => {
            "You need not do anything until it is taken up again.".to_owned()
        }
        (StatementState::Expired, _) => "It ended by itself; you need do nothing.".to_owned(),
        _ => format!(
            "It is about {apps}, and is to be followed by {}. If you are not sure whether a copy of a mail about it is right, this page is.",
            deadline.text
        ),
    };
    let since = known.history.first().map_or(order.created_at, |e| e.at);
    let page = Statement {
        organisation: organisation(web),
        id: order.id.to_string(),
        title: order.title().to_owned(),
        state,
        since: when(since, &zone),
        note,
        history: known
            .history
            .iter()
            .map(|event| HistoryRow {
                when: when(event.at, &zone),
                what: format!("{}.", event.what),
                words: event.words.clone(),
            })
            .collect(),
        order: as_it_was(web, order, deadline),
        as_of: known.as_of.map(|at| when(at, &zone)),
    };
    Ok(askama::Template::render(&page)?)
}

/// Another's sentence, closed.
fn ended(words: &str) -> String {
    let words = words.trim();
    if words.ends_with(['.', '!', '?']) {
        words.to_owned()
    } else {
        format!("{words}.")
    }
}

/// The name before the sender's address; it is what readers know the mails by.
fn organisation(web: &Web) -> String {
    let from = &web.app.config.notices.from;
    let name = from
        .split('<')
        .next()
        .unwrap_or("")
        .trim()
        .trim_matches('"');
    if name.is_empty() { from } else { name }.to_owned()
}

/// The text that went out, as nobody in particular got it.
fn as_it_was(web: &Web, order: &Order, deadline: When) -> AsItWas {
    let reader = Person {
        id: PersonId(0),
        email: "you@example.invalid".to_owned(),
        aliases: Default::default(),
        name: "colleague".to_owned(),
        groups: Default::default(),
        locale: String::new(),
        time_zone: String::new(),
    };
    let locales = order.revision.file.notice.all().map(|(locale, _)| locale);
    let reader = Person {
        locale: locales
            .into_iter()
            .next()
            .flatten()
            .unwrap_or("")
            .to_owned(),
        ..reader
    };
    let context = Context {
        order,
        person: &reader,
        devices: Vec::new(),
        link: web.app.config.statement_link(order.id),
        was_refused: false,
        still_forbidden: Vec::new(),
    };
    let (subject, body) = match render(Kind::Order, &context) {
        Ok(rendered) => {
            // The core makes a whole document, from Markdown with raw HTML switched off.
            let html = rendered.html;
            let inner = html
                .split_once("<body>")
                .and_then(|(_, rest)| rest.rsplit_once("</body>"))
                .map(|(inner, _)| inner.trim().to_owned());
            (rendered.subject, inner.unwrap_or_default())
        }
        // Submission has rendered it already; so this is the text as its author left it.
        Err(_) => (order.title().to_owned(), String::new()),
    };
    AsItWas {
        subject,
        reason: order.revision.file.reason.clone(),
        comply_by: deadline,
        body: SafeHtml(body),
    }
}
