//! What is said after a step in an order's life: how it stands, and what can be done next.

use countermand_core::notice::Counts;
use countermand_core::notice::lint::Lint;
use countermand_core::order::{LetPass, Order, State, Stop};
use countermand_core::words::{counted, thousands};
use jiff::Timestamp;
use serde::Serialize;

use super::super::{Exit, Open, Place, Result, print};
use crate::app::channels::AtChannel;
use crate::app::show::Shown;

/// An order as programs read it.
#[derive(Serialize)]
pub(super) struct Document {
    id: String,
    short: String,
    title: String,
    state: &'static str,
    revision: u32,
    created_at: Timestamp,
    authors: Vec<String>,
    approved_by: Option<String>,
    published_at: Option<Timestamp>,
    published_by: Option<String>,
    /// The deadline in force; null where none is.
    enforce_from: Option<Timestamp>,
    /// The deadline as written or moved, with its zone.
    comply_by: String,
    expires: Option<String>,
    held_at: Option<Timestamp>,
    /// Why and since when the notices of a standing order wait, though its refusals go on.
    notices_stopped: Option<Stop>,
    /// People who said that it looks wrong.
    looks_wrong: u64,
    /// What the last resume lifted, and what it let pass.
    let_pass: Option<LetPass>,
    retracted_at: Option<Timestamp>,
    retracted_by: Option<String>,
    retraction_reason: Option<String>,
    cause: Option<String>,
    statement: String,
    notices: Counts,
    corrections: Counts,
    channels: Vec<AtChannel>,
    /// Null without such a stage.
    pub canary: Option<Canary>,
    devices: Devices,
    /// What its author may want to change; empty once it is published.
    pub lints: Vec<Lint>,
}

/// Who is told first.
#[derive(Serialize)]
pub(super) struct Canary {
    people: u64,
    /// Of so many who are told now.
    of: u64,
}

impl Canary {
    fn of(open: &Open, order: &Order) -> Option<Canary> {
        let stages = order.revision.file.stages.as_ref();
        stages.filter(|stages| stages.has_canary())?;
        let preview = open.app.preview(order).ok()?;
        Some(Canary {
            people: preview.canary?,
            of: preview.to_tell,
        })
    }

    pub fn words(&self) -> String {
        let of = counted(self.of, "person", "people");
        format!("{} of {of}", thousands(self.people))
    }
}

/// The order's devices, now.
#[derive(Serialize)]
struct Devices {
    with_app: u64,
    unknown: u64,
    refused: u64,
}

impl Document {
    pub fn of(shown: &Shown, open: &Open) -> Document {
        let order = &shown.order;
        let published = order.published();
        let in_force = published.filter(|_| matches!(shown.state, "published" | "held"));
        let retraction = order.retraction();
        let approval = match &order.state {
            State::Approved(approval) => Some(approval),
            _ => published.map(|p| &p.approval),
        };
        Document {
            id: order.id.to_string(),
            short: order.id.short(),
            title: order.title().to_owned(),
            state: shown.state,
            revision: order.revision.number,
            created_at: order.created_at,
            authors: order.authors.iter().cloned().collect(),
            approved_by: approval.map(|a| a.by.clone()),
            published_at: published.map(|p| p.at),
            published_by: published.map(|p| p.by.clone()),
            enforce_from: in_force.map(|p| p.comply_by.at()),
            comply_by: order.comply_by().to_string(),
            expires: order
                .revision
                .file
                .expires
                .as_ref()
                .map(ToString::to_string),
            held_at: match &order.state {
                State::Held { hold, .. } => Some(hold.at),
                _ => None,
            },
            notices_stopped: order.stop().cloned(),
            looks_wrong: shown.looks_wrong,
            let_pass: published.and_then(|p| p.let_pass.clone()),
            retracted_at: retraction.map(|r| r.at),
            retracted_by: retraction.map(|r| r.by.clone()),
            retraction_reason: retraction.map(|r| r.reason.clone()),
            cause: retraction.and_then(|r| r.cause.clone()),
            statement: open.app.config.statement_link(order.id),
            notices: shown.notices,
            corrections: shown.corrections,
            channels: shown.channels.clone(),
            canary: Canary::of(open, order),
            devices: Devices {
                with_app: shown.standing.with_app,
                unknown: shown.standing.unknown,
                refused: shown.standing.refused,
            },
            lints: open.app.lints(order),
        }
    }
}

/// Answers for a step that was done.
pub(super) async fn tell(place: &Place, open: &Open, order: &Order) -> Result<Exit> {
    say(place, open, order, String::new()).await
}

/// The same for a resume, which may have lifted more than one thing.
pub(super) async fn resumed(place: &Place, open: &Open, order: &Order) -> Result<Exit> {
    let mut lifted = String::new();
    if let Some(let_pass) = order.published().and_then(|p| p.let_pass.as_ref()) {
        lifted = format!("Lifted: {}", let_pass.lifted());
        if let Some(stop) = &let_pass.stop {
            lifted += &format!(
                " of {} ({}). {} and {} by now stop them no more",
                print::time(stop.at, zone(order)),
                stop.why,
                counted(let_pass.rejected, "rejection", "rejections"),
                counted(let_pass.looks_wrong, "report", "reports"),
            );
        }
        lifted += ".\n";
    }
    say(place, open, order, lifted).await
}

async fn say(place: &Place, open: &Open, order: &Order, first: String) -> Result<Exit> {
    let shown = open.app.show(&open.actor, &order.id.to_string()).await?;
    let document = Document::of(&shown, open);
    place.print.answer(&document, || {
        let state = match shown.state {
            "draft" => "a draft".to_owned(),
            other => other.replace('_', " "),
        };
        let stopped = match shown.order.stop() {
            Some(_) => "; its notices have stopped",
            None => "",
        };
        format!(
            "{first}Order {} «{}», revision {}, is {}{stopped}.{}\n\n{}",
            place.print.bold(&order.id.short()),
            print::tame(order.title()),
            order.revision.number,
            place.print.word(&state),
            hints(place, &document.lints),
            next(place, &shown)
        )
    })?;
    Ok(Exit::Done)
}

/// Of notices that stopped by themselves: why, since when, and what to do.
pub(in super::super) fn stopped(place: &Place, order: &Order) -> Option<String> {
    let stop = order.stop()?;
    let id = order.id.short();
    let resume = place.command(&format!("--as EMAIL order resume {id}"));
    let at = print::time(stop.at, zone(order));
    Some(format!(
        "{} {at}: {}.\nIts refusals go on. A responder looks into it, and then lets the notices go on ({resume}), holds the order, or retracts it.",
        place.print.word("Its notices stopped by themselves"),
        stop.why,
    ))
}

/// Hints for who may still change the text, each on a line of its own.
pub(super) fn hints(place: &Place, lints: &[Lint]) -> String {
    lints
        .iter()
        .map(|lint| {
            format!(
                "\n{}: {}.",
                place.print.word("Note"),
                print::tame(&lint.to_string())
            )
        })
        .collect()
}

/// The deadline for people, in the zone that its author thinks in.
pub(super) fn deadline(order: &Order) -> String {
    let when = order.comply_by();
    print::time(when.at(), when.zone())
}

/// The zone in which an order's times are shown.
pub(super) fn zone(order: &Order) -> Option<&str> {
    order.comply_by().zone()
}

/// What can be done now, with the exact commands.
pub(super) fn next(place: &Place, shown: &Shown) -> String {
    let id = shown.order.id.short();
    let step = |what: &str, rest: &str| {
        let command = place.command(&format!("--as EMAIL order {rest}"));
        vec![String::new(), what.to_owned(), command]
    };
    let send = |what: &str| {
        let command = place.command("notices send --until-idle");
        vec![String::new(), what.to_owned(), command]
    };
    let retract = || {
        step(
            "take it back (a responder)",
            &format!("retract {id} --reason TEXT"),
        )
    };
    let extend = || {
        step(
            "move its deadline (a responder)",
            &format!("extend {id} --to TIME"),
        )
    };
    let waits_at_channels = shown.channels.iter().any(|at| !at.is_finished());
    let rows = match shown.state {
        "draft" => vec![
            step("change its text (an author)", &format!("revise {id} FILE")),
            step(
                "hand it to an approver (an author)",
                &format!("submit {id}"),
            ),
        ],
        "in_review" => vec![
            step(
                "approve it (an approver who did not write it)",
                &format!("approve {id}"),
            ),
            step(
                "send it back (an approver)",
                &format!("send-back {id} --reason TEXT"),
            ),
            step("withdraw it (an author)", &format!("withdraw {id}")),
        ],
        "approved" => vec![
            step(
                "publish it (an author or approver)",
                &format!("publish {id}"),
            ),
            step("withdraw it (an author)", &format!("withdraw {id}")),
        ],
        "published" => {
            let mut rows = Vec::new();
            if shown.order.stop().is_some() {
                rows.push(step(
                    "let its notices go on (a responder)",
                    &format!("resume {id}"),
                ));
            } else if shown.notices.planned > 0 || waits_at_channels {
                rows.push(send("send what is due, where no server does"));
            }
            rows.push(step(
                "hold it (a responder)",
                &format!("hold {id} --reason TEXT"),
            ));
            rows.push(extend());
            rows.push(retract());
            rows
        }
        "held" => vec![
            step("let it go on (a responder)", &format!("resume {id}")),
            extend(),
            retract(),
        ],
        "expired" => vec![retract()],
        _ => {
            let mut rows = Vec::new();
            if shown.corrections.planned > 0 || waits_at_channels {
                rows.push(send("send the corrections, where no server does"));
            }
            let retraction = shown.order.retraction();
            if retraction.is_some_and(|r| r.cause.is_none()) {
                rows.push(step(
                    "say how it came to be wrong (a responder)",
                    &format!("cause {id} TEXT"),
                ));
            }
            rows
        }
    };
    if rows.is_empty() {
        return "Nothing is left to do.".to_owned();
    }
    format!("What can be done next:\n{}", print::table(&[], &[], rows))
}
