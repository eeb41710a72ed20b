//! `order show` and `order list`.

use countermand_core::audit::Entry;
use countermand_core::order::Order;
use countermand_core::words::{counted, thousands};
use jiff::Timestamp;
use serde::Serialize;

use super::super::{Exit, Open, Place, Result, print};
use super::steps::{self, Document};
use crate::app::show::Shown;

#[derive(Serialize)]
struct Line {
    id: String,
    short: String,
    title: String,
    state: &'static str,
    revision: u32,
    comply_by: String,
    published_at: Option<Timestamp>,
    retracted_at: Option<Timestamp>,
}

pub(super) async fn list(place: &Place, open: &Open) -> Result<Exit> {
    let now = open.app.now();
    let orders = open.app.list(&open.actor).await?;
    let lines: Vec<Line> = orders.iter().map(|o| line(o, now)).collect();
    place.print.answer(&lines, || {
        if orders.is_empty() {
            return format!(
                "There is no order yet; {} makes a draft.",
                place.command("--as EMAIL order draft FILE")
            );
        }
        let rows = orders.iter().map(|order| {
            vec![
                order.id.short(),
                order.state_name(now).replace('_', " "),
                thousands(u64::from(order.revision.number)),
                steps::deadline(order),
                order.title().to_owned(),
            ]
        });
        print::table(
            &["order", "state", "revision", "comply by", "title"],
            &[2],
            rows,
        )
    })?;
    Ok(Exit::Done)
}

fn line(order: &Order, now: Timestamp) -> Line {
    Line {
        id: order.id.to_string(),
        short: order.id.short(),
        title: order.title().to_owned(),
        state: order.state_name(now),
        revision: order.revision.number,
        comply_by: order.comply_by().to_string(),
        published_at: order.published().map(|p| p.at),
        retracted_at: order.retraction().map(|r| r.at),
    }
}

pub(super) async fn one(place: &Place, open: &Open, id: &str) -> Result<Exit> {
    let shown = open.app.show(&open.actor, id).await?;
    let history = open.app.store.life_of(shown.order.id).await?;
    let document = Document::of(&shown, open);
    place.print.answer(&document, || {
        let hints = steps::hints(place, &document.lints);
        words(place, open, &shown, &document, &history) + &hints.replacen('\n', "\n\n", 1)
    })?;
    Ok(Exit::Done)
}

fn words(
    place: &Place,
    open: &Open,
    shown: &Shown,
    document: &Document,
    history: &[Entry],
) -> String {
    let order = &shown.order;
    let zone = steps::zone(order);
    let state = shown.state.replace('_', " ");
    let mut facts = vec![
        vec!["state".to_owned(), state.clone()],
        vec!["revision".to_owned(), order.revision.number.to_string()],
        vec!["comply by".to_owned(), steps::deadline(order)],
        vec!["reason".to_owned(), order.revision.file.reason.clone()],
        vec![
            "statement".to_owned(),
            open.app.config.statement_link(order.id),
        ],
        vec!["id".to_owned(), order.id.to_string()],
    ];
    if let Some(expires) = &order.revision.file.expires {
        facts.insert(
            3,
            vec!["expires".to_owned(), print::time(expires.at(), zone)],
        );
    }
    if shown.looks_wrong > 0 {
        let people = counted(shown.looks_wrong, "person says so", "people say so");
        facts.push(vec!["looks wrong".to_owned(), people]);
    }
    if let Some(canary) = &document.canary {
        facts.insert(3, vec!["told first".to_owned(), canary.words()]);
    }
    let announce = &order.revision.file.announce;
    if !announce.channels.is_empty() {
        let at = announce.channels.join(", ");
        facts.insert(3, vec!["announced at".to_owned(), at]);
    }
    let happened = history.iter().map(|entry| {
        vec![
            print::time(entry.at, zone),
            entry.action.trim_start_matches("order.").replace('_', " "),
            entry.actor.name().to_owned(),
            remark(entry),
        ]
    });
    let devices = [
        ("devices with the app", shown.standing.with_app),
        (
            "devices on which nothing can be known",
            shown.standing.unknown,
        ),
        ("devices that it refuses", shown.standing.refused),
    ]
    .map(|(what, n)| vec![what.to_owned(), thousands(n)]);
    [
        format!(
            "{} {}",
            place.print.bold(&order.id.short()),
            print::tame(order.title())
        ),
        print::table(&[], &[], facts),
        print::table(&["when", "what", "who", "why"], &[], happened),
        print::table(&["now", "count"], &[1], devices),
        counts(shown),
        steps::stopped(place, order).unwrap_or_default(),
        steps::next(place, shown),
    ]
    .into_iter()
    .filter(|part| !part.is_empty())
    .collect::<Vec<_>>()
    .join("\n\n")
}

/// The words that somebody gave with a step.
fn remark(entry: &Entry) -> String {
    let details: serde_json::Value = serde_json::from_str(&entry.details).unwrap_or_default();
    ["reason", "remark", "to", "cause"]
        .iter()
        .find_map(|key| details.get(key)?.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// How notices and corrections stand.
pub(in super::super) fn counts(shown: &Shown) -> String {
    let row = |what: &str, c: &countermand_core::notice::Counts| {
        let numbers = [
            c.planned,
            c.claimed,
            c.in_flight,
            c.accepted,
            c.rejected,
            c.unknown,
            c.cancelled,
        ];
        std::iter::once(what.to_owned())
            .chain(numbers.map(thousands))
            .collect::<Vec<_>>()
    };
    let header = [
        "",
        "planned",
        "claimed",
        "in flight",
        "accepted",
        "rejected",
        "unknown",
        "cancelled",
    ];
    let people = print::table(
        &header,
        &[1, 2, 3, 4, 5, 6, 7],
        [
            row("notices", &shown.notices),
            row("corrections", &shown.corrections),
        ],
    );
    if shown.channels.is_empty() {
        return people;
    }
    let channels = shown.channels.iter().map(|at| {
        vec![
            at.name.clone(),
            at.announcement.replace('_', " "),
            at.correction.unwrap_or_default().replace('_', " "),
            at.detail.clone(),
        ]
    });
    let header = ["channel", "announcement", "correction", "its server said"];
    format!("{people}\n\n{}", print::table(&header, &[], channels))
}
