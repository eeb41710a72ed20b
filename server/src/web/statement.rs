//! The statement of an order: what anyone with a forwarded copy can ask. It names no person, and
//! answers from memory while the database is away.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use countermand_core::audit::Entry;
use countermand_core::fleet::Person;
use countermand_core::id::{OrderId, PersonId};
use countermand_core::notice::Kind;
use countermand_core::notice::render::{Context, render};
use countermand_core::order::when::for_people;
use countermand_core::order::{Order, State as Life};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::Web;
use super::console::{comply_by, order_zone, when};
use super::errors::{Answer, Fault};
use super::pages::{AsItWas, Count, HistoryRow, SafeHtml, Statement, StatementState};

/// A reader in doubt waits no longer for the database than this.
const PATIENCE: Duration = Duration::from_secs(2);

/// One line of the history, newest first.
#[derive(Clone, Debug, Serialize)]
struct Event {
    at: Timestamp,
    what: &'static str,
    words: String,
}

/// An order as far as it is everybody's business.
struct Known {
    order: Order,
    told: u64,
    history: Vec<Event>,
    /// When this was true, where the database does not answer.
    as_of: Option<Timestamp>,
}

pub(super) async fn show(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let (id, as_json) = match name.strip_suffix(".json") {
        Some(id) => (id, true),
        None => (name.as_str(), false),
    };
    // Only the whole id: its short form could be guessed, and texts be found by strangers.
    let id = id.parse().map_err(|_| unknown())?;
    let known = know(&web, id).await?;
    let (content_type, body) = if as_json {
        ("application/json", in_json(&known, web.app.now()))
    } else {
        ("text/html; charset=utf-8", in_html(&web, &known)?)
    };
    Ok(tagged(&headers, content_type, body))
}

/// With its tag; or only that nothing has changed, for who has it already.
fn tagged(headers: &HeaderMap, content_type: &'static str, body: String) -> Response {
    let hash = countermand_core::hex::encode(&Sha256::digest(&body));
    let tag = format!("\"{}\"", &hash[..32]);
    let has_it = headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|given| given.trim().trim_start_matches("W/"))
        .any(|given| given == tag || given == "*");
    let always = [(ETAG, tag), (CACHE_CONTROL, "no-cache".to_owned())];
    if has_it {
        (StatusCode::NOT_MODIFIED, always).into_response()
    } else {
        (always, [(CONTENT_TYPE, content_type)], body).into_response()
    }
}

/// What the database says; while it is away, what it said last, and when.
async fn know(web: &Web, id: OrderId) -> Result<Known, Fault> {
    let store = &web.app.store;
    let asked = async {
        let order = store.order_called(&id.to_string()).await?.order;
        let entries = store.life_of(order.id).await?;
        Ok::<_, crate::store::StoreError>((order, entries))
    };
    let (order, entries, as_of) = match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok((order, entries))) => {
            if order.published().is_some() {
                web.memory.keep_history(order.id, &entries);
            }
            (order, entries, None)
        }
        Ok(Err(crate::store::StoreError::NotFound(_))) => return Err(unknown()),
        Ok(Err(error)) => remembered(web, id, &error.to_string())?,
        Err(_) => remembered(web, id, "the database did not answer in time")?,
    };
    // A draft is nobody's business yet.
    if order.published().is_none() {
        return Err(unknown());
    }
    let told = web.app.live.view().told_of(order.id);
    let history = history(&order, &entries, web.app.now());
    Ok(Known {
        order,
        told,
        history,
        as_of,
    })
}

fn unknown() -> Fault {
    Fault::nothing_here("There is no statement at this address.")
}

fn remembered(
    web: &Web,
    id: OrderId,
    why: &str,
) -> Result<(Order, Vec<Entry>, Option<Timestamp>), Fault> {
    tracing::warn!(why, "a statement is answered from memory");
    let live = &web.app.live;
    let order = live.view().order(id).cloned().ok_or_else(unknown)?;
    let entries = web.memory.history(order.id).unwrap_or_default();
    let now = web.app.now();
    let age = jiff::SignedDuration::try_from(live.age(now)).unwrap_or_default();
    Ok((order, entries, Some(now.checked_sub(age).unwrap_or(now))))
}

/// From the record, oldest first; from the order itself where an entry of that kind was not read.
fn history(order: &Order, entries: &[Entry], now: Timestamp) -> Vec<Event> {
    let zone = zone(order);
    let mut events: Vec<Event> = entries
        .iter()
        .rev()
        .filter_map(|entry| {
            let details: serde_json::Value =
                serde_json::from_str(&entry.details).unwrap_or_default();
            let text = |key: &str| {
                let words = details.get(key).and_then(|v| v.as_str()).unwrap_or("");
                words.to_owned()
            };
            // The order held all the time: only its notices had stopped.
            let let_pass = details.get("let_pass");
            if let_pass.is_some_and(|l| l.get("hold") == Some(&json!(false))) {
                return None;
            }
            let (what, words) = match entry.action.as_str() {
                "order.publish" => ("Published", published(order, &zone)),
                "order.hold" => ("On hold", text("reason")),
                "order.resume" => ("Resumed", String::new()),
                "order.extend" => ("Deadline moved", {
                    let to = text("to").parse::<countermand_core::order::when::When>();
                    to.map(|to| format!("to {}", for_people(to.at(), &zone)))
                        .unwrap_or_default()
                }),
                "order.retract" => ("Retracted", text("reason")),
                _ => return None,
            };
            let at = entry.at;
            Some(Event { at, what, words })
        })
        .collect();
    let mut add = |what: &'static str, at: Timestamp, words: &str| {
        if !events.iter().any(|e| e.what == what) {
            let words = words.to_owned();
            events.push(Event { at, what, words });
        }
    };
    if let Some(published) = order.published() {
        add("Published", published.at, &self::published(order, &zone));
    }
    if let Life::Held { hold, .. } = &order.state {
        add("On hold", hold.at, &hold.reason);
    }
    if let Some(retraction) = order.retraction() {
        add("Retracted", retraction.at, &retraction.reason);
    }
    if let Some(expires) = order.revision.file.expires.as_ref()
        && order.state_name(now) == "expired"
    {
        add("Expired", expires.at(), "");
    }
    events.sort_by_key(|event| std::cmp::Reverse(event.at));
    events
}

/// What was asked when it was published; later deadlines have lines of their own.
fn published(order: &Order, zone: &str) -> String {
    let first = order.revision.file.deadline.comply_by.at();
    format!("To be followed by {}.", for_people(first, zone))
}

fn zone(order: &Order) -> String {
    order_zone(order).unwrap_or_else(|| "UTC".to_owned())
}

fn in_json(known: &Known, now: Timestamp) -> String {
    let order = &known.order;
    let text = order
        .revision
        .file
        .notice
        .all()
        .next()
        .map(|(_, text)| text);
    let history: Vec<serde_json::Value> = known
        .history
        .iter()
        .map(|e| json!({ "at": e.at, "what": e.what, "words": e.words }))
        .collect();
    let body = json!({
        "id": order.id,
        "state": order.state_name(now),
        "title": order.title(),
        "published_at": order.published().map(|p| p.at),
        "comply_by": comply_by(order),
        "retracted_at": order.retraction().map(|r| r.at),
        "reason": order.retraction().map(|r| r.reason.as_str()),
        "told": known.told,
        "history": history,
        "text": text.map(|t| json!({ "subject": t.subject, "body": t.body })),
        "as_of": known.as_of,
    });
    body.to_string()
}

fn in_html(web: &Web, known: &Known) -> Result<String, Fault> {
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
fn as_it_was(web: &Web, order: &Order, deadline: super::pages::When) -> AsItWas {
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
