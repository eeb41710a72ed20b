//! The statement for programs.

use countermand_core::notice::Kind;
use jiff::Timestamp;
use serde_json::json;

use super::facts::Known;
use super::reader;
use super::verify::{self, Proof};
use crate::web::Web;
use crate::web::console::comply_by;

pub(super) fn in_json(web: &Web, known: &Known, proof: Option<Proof>, now: Timestamp) -> String {
    let order = &known.order;
    let text = reader::letter(web, order, Kind::Order, reader::first(order));
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
        // Why it is ordered. Why it was taken back stands with the retraction.
        "reason": order.revision.file.reason,
        "retraction": retraction.map(|r| json!({
            "at": r.at,
            "reason": r.reason,
            "cause": r.cause,
        })),
        "cause": retraction.and_then(|r| r.cause.as_deref()),
        "told": known.told,
        "history": history,
        "text": text.map(|t| json!({
            "language": t.language,
            "subject": t.subject,
            "body": t.text,
        })),
        "as_of": known.as_of,
    });
    if let Some(proof) = proof {
        body["notice"] = verify::in_json(known, proof, now);
    }
    body.to_string()
}
