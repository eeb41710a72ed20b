//! The record.

use std::sync::Arc;

use axum::extract::{Query, State};
use countermand_core::actor::Actor;
use countermand_core::audit::{Entry, Verified as Walk};
use countermand_core::duration::Length;
use jiff::Timestamp;
use serde::Deserialize;

use super::timeline::action_name;
use super::{ROWS, called, find, page, page_number, shell, when, zone};
use crate::web::Web;
use crate::web::errors::{Answer, Fault};
use crate::web::pages::{Audit, AuditRow, Count, Pager, Verified};
use crate::web::session::SignedIn;

/// The walk along the whole record is repeated at most this often.
const WALK_EVERY: Length = Length::seconds(60);

#[derive(Debug, Deserialize)]
pub(in crate::web) struct Asked {
    order: Option<String>,
    page: Option<u64>,
}

pub(in crate::web) async fn show(
    State(web): State<Arc<Web>>,
    Query(asked): Query<Asked>,
    by: SignedIn,
) -> Answer {
    let number = page_number(asked.page);
    let skip = (number - 1) * ROWS;
    let store = &web.app.store;
    let (order, entries, total, path) = match asked.order.as_deref().filter(|o| !o.is_empty()) {
        Some(id) => {
            let order = find(&web, id).await?.order;
            let (total, entries) = store.audit_page(order.id, skip, ROWS).await?;
            let id = called(&web, &order);
            let path = format!("/audit?order={id}");
            (Some((id, order.title().to_owned())), entries, total, path)
        }
        None => {
            // Entries are numbered from 1 without gaps, so a page is a range of numbers.
            let total = store
                .audit_newest(None, 1)
                .await?
                .first()
                .map_or(0, |newest| newest.number);
            let last = total.saturating_sub(skip);
            let after = last.saturating_sub(ROWS);
            let mut entries = store.audit_after(after, (last - after) as u32).await?;
            entries.reverse();
            (None, entries, total, "/audit".to_owned())
        }
    };
    let zone = zone(&web, &by, None);
    let (walk, at) = verified(&web).await?;
    page(Audit {
        shell: shell(&web, &by).await?,
        verified: Verified {
            entries: Count(walk.entries),
            head: walk.head.chars().take(16).collect(),
            first_bad: walk.first_bad.map(Count),
            when: when(at, &zone),
        },
        order,
        rows: entries
            .iter()
            .map(|entry| row(&web, entry, &zone))
            .collect(),
        pager: Pager::new(&path, number, ROWS, total),
    })
}

async fn verified(web: &Web) -> Result<(Walk, Timestamp), Fault> {
    let now = web.app.now();
    if let Some((walk, at)) = web.memory.verified()
        && at <= now
        && now < WALK_EVERY.after(at)
    {
        return Ok((walk, at));
    }
    let walk = web.app.store.audit_verify().await?;
    web.memory.keep_verified(&walk, now);
    Ok((walk, now))
}

fn row(web: &Web, entry: &Entry, zone: &str) -> AuditRow {
    let order = entry.order.and_then(|id| {
        let order = web.app.live.view().order(id).cloned()?;
        Some((called(web, &order), order.title().to_owned()))
    });
    AuditRow {
        number: Count(entry.number),
        when: when(entry.at, zone),
        actor: entry.actor.to_string(),
        by_shell: matches!(entry.actor, Actor::Local(_)),
        what: what(entry),
        order,
    }
}

/// An entry in a few words. Whom an exemption or an attestation is for is not said here: the
/// record is read by many.
fn what(entry: &Entry) -> String {
    let details: serde_json::Value = serde_json::from_str(&entry.details).unwrap_or_default();
    let text = |key: &str| details.get(key).and_then(|v| v.as_str()).unwrap_or("");
    let number = |key: &str| Count(details.get(key).and_then(|v| v.as_u64()).unwrap_or(0));
    let name = match entry.action.as_str() {
        "operator.put" => format!("Operator {}", text("email")),
        "operator.invite" => format!("Link given to {}", text("email")),
        "operator.password" => format!("Password set by {}", text("email")),
        "people.import" => format!("Imported {}", number("rows").of("person", "people")),
        "reports.import" => format!(
            "Imported {} from {}",
            number("reports").of("report", "reports"),
            text("source")
        ),
        "mode.observe" => "Mode: observe".to_owned(),
        "mode.enforce" => "Mode: enforce".to_owned(),
        "doors.open" => "All doors opened".to_owned(),
        "doors.close" => "Doors closed".to_owned(),
        "exemption.add" => "Exemption asked for".to_owned(),
        "exemption.approve" => "Exemption approved".to_owned(),
        "exemption.end" => "Exemption ended".to_owned(),
        "attest" => "A person's word taken".to_owned(),
        "device.recognise" => "A device recognised".to_owned(),
        "person.look" => "A person’s devices looked up".to_owned(),
        "device.forget" => "A word for a device taken back".to_owned(),
        "notice.test" => "Test of a notice sent".to_owned(),
        "looks_wrong" => "Says that it looks wrong".to_owned(),
        action => action_name(action).map_or_else(|| action.to_owned(), str::to_owned),
    };
    let why = [
        text("reason"),
        text("remark"),
        text("why"),
        text("to"),
        text("cause"),
    ]
    .into_iter()
    .find(|words| !words.is_empty());
    match why {
        Some(words) => format!("{name}: “{words}”"),
        None => name,
    }
}
