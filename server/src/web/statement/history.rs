//! The versions of a statement: what happened to its order, and when.

use countermand_core::audit::Entry;
use countermand_core::order::when::{When, for_people};
use countermand_core::order::{Order, State as Life};
use jiff::Timestamp;

use super::facts::zone;

/// What happened, as far as it is everybody's business.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum What {
    Published,
    Held,
    Resumed,
    Extended,
    Retracted,
    Cause,
    Expired,
}

impl What {
    pub fn name(self) -> &'static str {
        match self {
            What::Published => "Published",
            What::Held => "On hold",
            What::Resumed => "Resumed",
            What::Extended => "Deadline moved",
            What::Retracted => "Retracted",
            What::Cause => "Cause given",
            What::Expired => "Expired",
        }
    }
}

/// One line of the history.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub at: Timestamp,
    pub what: What,
    pub words: String,
    /// The deadline from then on.
    pub comply_by: When,
}

/// From the record, oldest first; from the order itself where an entry of that kind was not read.
/// That its notices were stopped and went on is not told: the order held all the time.
pub(super) fn history(order: &Order, entries: &[Entry], now: Timestamp) -> Vec<Event> {
    let zone = zone(order);
    let first = order.revision.file.deadline.comply_by.clone();
    let asked = format!("To be followed by {}.", for_people(first.at(), &zone));
    let mut comply_by = first;
    let mut held = false;
    let mut events: Vec<Event> = Vec::new();
    for entry in entries {
        let details: serde_json::Value = serde_json::from_str(&entry.details).unwrap_or_default();
        let text = |key: &str| details.get(key).and_then(|v| v.as_str()).unwrap_or("");
        let (what, words) = match entry.action.as_str() {
            "order.publish" => (What::Published, asked.clone()),
            "order.hold" => (What::Held, text("reason").to_owned()),
            "order.resume" if held => (What::Resumed, String::new()),
            "order.extend" => (What::Extended, {
                comply_by = text("to").parse().unwrap_or(comply_by);
                format!("to {}", for_people(comply_by.at(), &zone))
            }),
            "order.retract" => (What::Retracted, {
                let cause = text("cause");
                let cause = if cause.is_empty() {
                    String::new()
                } else {
                    format!(" How it came to this: {cause}")
                };
                format!("{}{cause}", text("reason"))
            }),
            "order.cause" => (What::Cause, text("cause").to_owned()),
            _ => continue,
        };
        held = match what {
            What::Held => true,
            What::Resumed => false,
            _ => held,
        };
        events.push(Event {
            at: entry.at,
            what,
            words,
            comply_by: comply_by.clone(),
        });
    }
    let mut add = |what: What, at: Timestamp, words: &str| {
        if !events.iter().any(|e| e.what == what) {
            events.push(Event {
                at,
                what,
                words: words.to_owned(),
                comply_by: order.comply_by().clone(),
            });
        }
    };
    if let Some(published) = order.published() {
        add(What::Published, published.at, &asked);
    }
    if let Life::Held { hold, .. } = &order.state {
        add(What::Held, hold.at, &hold.reason);
    }
    if let Some(retraction) = order.retraction() {
        add(What::Retracted, retraction.at, &retraction.reason);
    }
    if let Some(expires) = order.revision.file.expires.as_ref()
        && order.state_name(now) == "expired"
    {
        add(What::Expired, expires.at(), "");
    }
    // Stable: what the record has in order stays in order.
    events.sort_by_key(|event| event.at);
    events
}
