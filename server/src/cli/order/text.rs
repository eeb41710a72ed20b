//! Order files: their schema, what is wrong with one, what it would do, and taking it in.

use std::collections::BTreeMap;
use std::path::Path;

use countermand_core::actor::Act;
use countermand_core::notice::lint::Lint;
use countermand_core::order::{Order, OrderFile};
use countermand_core::preview::Preview;
use countermand_core::words::{counted, thousands};
use serde::Serialize;

use super::super::{Exit, Failure, Open, Place, Result, print};
use super::steps;

pub(super) fn schema(place: &Place) -> Result<Exit> {
    let schema = OrderFile::schema();
    let text = serde_json::to_string_pretty(&schema).map_err(|e| Failure::failed(e.to_string()))?;
    place.print.raw(&format!("{text}\n"))?;
    Ok(Exit::Done)
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).map_err(|e| match e.kind() {
        std::io::ErrorKind::InvalidData => Failure::usage(format!(
            "{} is not UTF-8 text; an order is a TOML file",
            file.display()
        )),
        _ => Failure::unreadable(file, &e),
    })
}

/// What is right about a file: people want to see that they were understood.
#[derive(Serialize)]
struct Checked {
    ok: bool,
    title: String,
    apps: Vec<String>,
    package_ids: usize,
    comply_by: String,
    /// Each hint in one sentence.
    warnings: Vec<String>,
    lints: Vec<Lint>,
}

pub(super) async fn check(place: &Place, open: &Open, file: &Path) -> Result<Exit> {
    open.authorise(Act::Read).await?;
    let text = read(file)?;
    let order = (open.app.check_order(&text)).map_err(|e| Failure::of_file(e, file))?;
    let pins = &order.revision.pins;
    let lints = open.app.lints(&order);
    let checked = Checked {
        ok: true,
        title: order.title().to_owned(),
        apps: pins.apps.keys().cloned().collect(),
        package_ids: pins.ids.len(),
        comply_by: order.revision.file.deadline.comply_by.to_string(),
        warnings: lints.iter().map(ToString::to_string).collect(),
        lints,
    };
    place.print.answer(&checked, || {
        let names: Vec<&str> = pins.apps.values().map(String::as_str).collect();
        let text = format!(
            "{}: {}. It forbids {} by {}; comply by {}.",
            file.display(),
            place.print.word("fine"),
            names.join(", "),
            counted(pins.ids.len() as u64, "package id", "package ids"),
            steps::deadline(&order)
        );
        text + &steps::hints(place, &checked.lints)
    })?;
    Ok(Exit::Done)
}

pub(super) async fn draft(place: &Place, open: &Open, file: &Path) -> Result<Exit> {
    let text = read(file)?;
    let order =
        (open.app.draft(&open.actor, &text).await).map_err(|e| Failure::of_file(e, file))?;
    steps::tell(place, open, &order).await
}

pub(super) async fn revise(place: &Place, open: &Open, id: &str, file: &Path) -> Result<Exit> {
    let text = read(file)?;
    let order =
        (open.app.revise(&open.actor, id, &text).await).map_err(|e| Failure::of_file(e, file))?;
    steps::tell(place, open, &order).await
}

/// A file wherever there is one of that name: an id has neither dot nor slash in it.
pub(in super::super) async fn named(open: &Open, which: &str) -> Result<Order> {
    open.authorise(Act::Read).await?;
    let file = Path::new(which);
    if file.is_file() || which.contains(['/', '.']) {
        let order = open.app.check_order(&read(file)?);
        order.map_err(|e| Failure::of_file(e, file))
    } else {
        Ok(open.app.store.order_called(which).await?.order)
    }
}

pub(super) async fn preview(place: &Place, open: &Open, which: &str) -> Result<Exit> {
    let order = named(open, which).await?;
    let preview = open.app.preview(&order)?;
    place
        .print
        .answer(&preview, || words(place, &order, &preview))?;
    Ok(Exit::Done)
}

fn words(place: &Place, order: &Order, preview: &Preview) -> String {
    let count = |what: &str, n: u64| vec![what.to_owned(), thousands(n)];
    let unknown = &preview.unknown;
    let mut text = format!("{}\n\n", place.print.bold(&print::tame(order.title())));
    let mut rows = vec![
        count("people with the app", preview.people),
        count("devices with the app", preview.devices),
        count(
            "  of them refused by another order already",
            preview.already_denied,
        ),
        count("devices in scope", preview.in_scope),
        count(
            "  invisible: no source can see their apps",
            unknown.invisible,
        ),
        count("  stale: the last report is too old", unknown.stale),
        count("  without any report", unknown.no_report),
        count("  with the app, but exempt", preview.exempt),
        count("  with a weak match only", preview.weak_matches),
        count("people in the audience", preview.audience),
        count("people who would get the notice", preview.to_tell),
    ];
    if let Some(first) = preview.canary {
        let about = if order.id.0.is_nil() {
            "about so many"
        } else {
            "so many"
        };
        rows.push(count(
            &format!("  {about} of them first, as a canary"),
            first,
        ));
    }
    text += &print::table(&["what it would hit now", "count"], &[1], rows);
    for (what, counts) in [
        ("platform", &preview.by_platform),
        ("form factor", &preview.by_form_factor),
        ("group", &preview.by_group),
    ] {
        if !counts.is_empty() {
            text += &format!("\n\n{}", by(what, counts));
        }
    }
    text + &format!(
        "\n\nAn approval would sign: {}\nNothing was sent, and nothing was changed.",
        preview.digest
    )
}

/// So many are shown; the rest is in the JSON document.
const SHOWN: usize = 12;

fn by(what: &str, counts: &BTreeMap<String, u64>) -> String {
    let mut most: Vec<(&String, u64)> = counts.iter().map(|(name, n)| (name, *n)).collect();
    most.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let left_out = most.len().saturating_sub(SHOWN);
    let mut rows: Vec<Vec<String>> = most
        .into_iter()
        .take(SHOWN)
        .map(|(name, n)| vec![name.clone(), thousands(n)])
        .collect();
    if left_out > 0 {
        rows.push(vec![
            format!("… and {left_out} more (--json has all)"),
            String::new(),
        ]);
    }
    print::table(
        &[&format!("devices with the app, by {what}"), "count"],
        &[1],
        rows,
    )
}
