//! The statement for programs.

use jiff::Timestamp;
use serde_json::json;

use super::facts::Known;
use super::verify::{self, Proof};
use crate::web::console::comply_by;

pub(super) fn in_json(known: &Known, proof: Option<Proof>, now: Timestamp) -> String {
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
        .rev()
        .map(|e| json!({ "at": e.at, "what": e.what.name(), "words": e.words }))
        .collect();
    let retraction = order.retraction();
    let mut body = json!({
        "id": order.id,
        "state": order.state_name(now),
        "title": order.title(),
        "published_at": order.published().map(|p| p.at),
        "comply_by": comply_by(order),
        "retracted_at": retraction.map(|r| r.at),
        "reason": retraction.map(|r| r.reason.as_str()),
        "cause": retraction.and_then(|r| r.cause.as_deref()),
        "told": known.told,
        "history": history,
        "text": text.map(|t| json!({ "subject": t.subject, "body": t.body })),
        "as_of": known.as_of,
    });
    if let Some(proof) = proof {
        body["notice"] = verify::in_json(known, proof, now);
    }
    body.to_string()
}
