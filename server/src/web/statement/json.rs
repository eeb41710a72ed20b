//! The statement for programs.

use jiff::Timestamp;
use serde_json::json;

use super::facts::Known;
use crate::web::console::comply_by;

pub(super) fn in_json(known: &Known, now: Timestamp) -> String {
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
