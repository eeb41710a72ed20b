//! What is known of an order as far as it is everybody's business: from the database, or from memory.

use std::time::Duration;

use countermand_core::audit::Entry;
use countermand_core::id::OrderId;
use countermand_core::order::when::for_people;
use countermand_core::order::{Order, State as Life};
use jiff::Timestamp;
use serde::Serialize;

use crate::web::Web;
use crate::web::console::order_zone;
use crate::web::errors::Fault;

/// A reader in doubt waits no longer for the database than this.
const PATIENCE: Duration = Duration::from_secs(2);

/// One line of the history, newest first.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Event {
    pub at: Timestamp,
    pub what: &'static str,
    pub words: String,
}

/// An order as far as it is everybody's business.
pub(super) struct Known {
    pub order: Order,
    pub told: u64,
    pub history: Vec<Event>,
    /// When this was true, where the database does not answer.
    pub as_of: Option<Timestamp>,
}

/// What the database says; while it is away, what it said last, and when.
pub(super) async fn know(web: &Web, id: OrderId) -> Result<Known, Fault> {
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

pub(super) fn unknown() -> Fault {
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

pub(super) fn zone(order: &Order) -> String {
    order_zone(order).unwrap_or_else(|| "UTC".to_owned())
}
