//! The console: one file a page.

pub(super) mod audit;
mod confirm;
pub(super) mod devices;
pub(super) mod doors;
mod facts;
pub(super) mod letter;
pub(super) mod mailbox;
pub(super) mod notices;
pub(super) mod order;
pub(super) mod orders;
pub(super) mod preview;
pub(super) mod respond;
pub(super) mod review;
mod timeline;
pub(super) mod words;
pub(super) mod write;

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use countermand_core::actor::{Act, Role};
use countermand_core::index::Mode;
use countermand_core::order::Order;
use countermand_core::order::when::{for_people, in_zone};
use jiff::Timestamp;

use super::Web;
use super::errors::{Answer, Fault, as_is};
use super::pages::{DoorsOpen, Flash, Shell, Tone, When, Who};
use super::session::SignedIn;
use crate::store::StoredOrder;

/// Rows of a long list on one page.
const ROWS: u64 = 50;

/// A page number from an address; nobody turns further than this.
fn page_number(given: Option<u64>) -> u64 {
    given.unwrap_or(1).clamp(1, 1_000_000)
}

fn page(page: impl askama::Template) -> Answer {
    page_with(StatusCode::OK, page)
}

fn page_with(status: StatusCode, page: impl askama::Template) -> Answer {
    Ok(as_is((status, Html(page.render()?))))
}

/// Onwards after an act, with what it did.
fn done(web: &Web, by: &SignedIn, to: &str, tone: Tone, text: impl Into<String>) -> Answer {
    let text = text.into();
    web.memory.say(&by.session.csrf, Flash { tone, text });
    Ok(see(to))
}

/// The same, at the order's own page.
fn back(web: &Web, by: &SignedIn, order: &Order, tone: Tone, text: impl Into<String>) -> Answer {
    let to = format!("/orders/{}", called(web, order));
    done(web, by, &to, tone, text)
}

fn see(to: &str) -> Response {
    Redirect::to(to).into_response()
}

/// The order that the address names. An unknown one is 404, and changes nothing (invariant 30).
async fn find(web: &Web, id: &str) -> Result<StoredOrder, Fault> {
    Ok(web.app.store.order_called(id).await?)
}

/// What the pages call an order: its short form, unless another shares it.
fn called(web: &Web, order: &Order) -> String {
    let short = order.id.short();
    let others = web
        .app
        .live
        .view()
        .orders()
        .any(|o| o.id != order.id && o.id.short() == short);
    if others { order.id.to_string() } else { short }
}

/// A person's name for an operator, where one is known.
fn name_of(web: &Web, operator: &str) -> String {
    web.app
        .live
        .view()
        .person_called(operator)
        .map(|person| person.name.clone())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| operator.to_owned())
}

/// The zone in which the operator reads times: their own, else the order's, else UTC.
fn zone(web: &Web, by: &SignedIn, order: Option<&Order>) -> String {
    let own = web
        .app
        .live
        .view()
        .person_called(&by.operator.email)
        .map(|person| person.time_zone.clone())
        .filter(|zone| !zone.is_empty());
    own.or_else(|| order.and_then(order_zone))
        .unwrap_or_else(|| "UTC".to_owned())
}

/// The zone in which the order's author thinks of its deadline.
pub(super) fn order_zone(order: &Order) -> Option<String> {
    comply_by(order).zone().map(str::to_owned)
}

/// The deadline in force.
pub(super) fn comply_by(order: &Order) -> &countermand_core::order::when::When {
    order.comply_by()
}

pub(super) fn when(at: Timestamp, zone: &str) -> When {
    When::new(
        for_people(at, zone),
        in_zone(at, zone)
            .strftime("%Y-%m-%dT%H:%M:%S%:z")
            .to_string(),
    )
}

async fn shell(web: &Web, by: &SignedIn) -> Result<Shell, Fault> {
    let settings = web.app.live.view().settings().clone();
    let zone = zone(web, by, None);
    let roles: Vec<&str> = by.operator.roles.iter().map(|r| r.as_str()).collect();
    Ok(Shell {
        who: Who {
            name: name_of(web, &by.operator.email),
            roles: roles.join(", "),
        },
        csrf: by.session.csrf.clone(),
        observing: settings.mode == Mode::Observe,
        doors_open: settings.doors_open.map(|open| DoorsOpen {
            since: when(open.at, &zone),
            by: name_of(web, &open.by),
            reason: open.reason,
        }),
        flash: if by.fragment {
            None
        } else {
            web.memory.said(&by.session.csrf)
        },
        warnings: warnings(web).await?,
        has_mailbox: web.mailbox.is_some() && mailbox::may_read(web, by),
        may_look_up: by.may(Act::LookUp),
    })
}

/// Too few who can approve, or none who can retract: nobody should find out when it matters.
async fn warnings(web: &Web) -> Result<Vec<String>, Fault> {
    let operators = web.app.store.operators().await?;
    let view = web.app.live.view();
    // Two accounts of one person are one (invariant 8).
    let people = |role: Role| {
        let mut people: Vec<String> = operators
            .iter()
            .filter(|o| o.roles.contains(&role))
            .map(|o| {
                view.person_called(&o.email)
                    .map_or_else(|| o.email.clone(), |p| p.email.clone())
            })
            .collect();
        people.sort();
        people.dedup();
        people.len()
    };
    let mut warnings = Vec::new();
    match people(Role::Approver) {
        0 => warnings.push("Nobody can approve an order. An admin can give the role approver to two people.".to_owned()),
        1 => warnings.push("Only one person can approve: nobody can approve what that person writes. An admin can give the role approver to one more.".to_owned()),
        _ => {}
    }
    if people(Role::Responder) == 0 {
        warnings.push("Nobody can hold or retract an order. An admin can give the role responder to somebody.".to_owned());
    }
    Ok(warnings)
}
