//! One order: where it stands, whom it touches, and what can be done about it.

use std::sync::Arc;

use axum::extract::{Path, State};
use countermand_core::actor::Role;
use countermand_core::index::Mode;
use countermand_core::order::when::for_people;
use countermand_core::order::{Order as CoreOrder, State as Life};

use super::facts::took;
use super::timeline::timeline;
use super::{called, find, name_of, page, shell, when, words, zone};
use crate::app::show::Shown;
use crate::web::errors::Answer;
use crate::web::pages::{Act, Bar, Count, Figure, Order, RefusedAt, Wrong, fitting};
use crate::web::session::SignedIn;
use crate::web::{DoorFigures, Web};

pub(in crate::web) async fn show(
    State(web): State<Arc<Web>>,
    Path(id): Path<String>,
    by: SignedIn,
) -> Answer {
    let found = find(&web, &id).await?.order;
    let shown = web.app.show(&by.actor(), &found.id.to_string()).await?;
    let order = &shown.order;
    let now = web.app.now();
    let zone = zone(&web, &by, Some(order));
    let entries = web.app.store.life_of(order.id).await?;
    let doors = (web.doors)();
    page(Order {
        shell: shell(&web, &by).await?,
        id: called(&web, order),
        revision: order.revision.number,
        title: order.title().to_owned(),
        reason: order.revision.file.reason.clone(),
        state: words::pill(order, now, &zone),
        by_line: by_line(&web, order, &zone),
        only_counts: order.revision.file.observe,
        acts: acts(&by, order, now),
        statement: order.published().map(|_| order.id.to_string()),
        warnings: warnings(&web, &shown, &zone),
        timeline: timeline(&web, order, &entries, &zone, now),
        figures: figures(&web, &shown),
        notices: Bar::of_receipts(&shown.notices.into()),
        corrections: order
            .retraction()
            .map(|_| Bar::of_receipts(&shown.corrections.into())),
        refused_when: format!("since {}", when(web.started, &zone).text),
        refused: doors.iter().map(refused_at).collect(),
        doors_view: doors_view(&doors),
        rule: words::rule(order, &zone),
        wrong: order.retraction().map(|retraction| Wrong {
            reason: retraction.reason.clone(),
            cause: retraction.cause.clone().unwrap_or_default(),
            may_say: by.is(Role::Responder),
        }),
    })
}

pub(super) fn acts(by: &SignedIn, order: &CoreOrder, now: jiff::Timestamp) -> Vec<Act> {
    fitting(
        words::situation(order, now),
        by.is(Role::Author),
        by.is(Role::Approver),
        by.is(Role::Responder),
    )
}

fn by_line(web: &Web, order: &CoreOrder, zone: &str) -> String {
    let at = |at| for_people(at, zone);
    match &order.state {
        Life::Draft {
            sent_back: Some(remark),
        } => format!(
            "sent back {} by {}: “{}”",
            at(remark.at),
            name_of(web, &remark.by),
            remark.text
        ),
        Life::Draft { .. } => format!(
            "written {} by {}",
            at(order.revision.at),
            name_of(web, &order.revision.by)
        ),
        Life::InReview { by, at: since } => {
            format!("submitted {} by {}", at(*since), name_of(web, by))
        }
        Life::Approved(approval) => format!(
            "approved {} by {}",
            at(approval.at),
            name_of(web, &approval.by)
        ),
        Life::Published(published) => format!(
            "published {} by {}, approved by {}",
            at(published.at),
            name_of(web, &published.by),
            name_of(web, &published.approval.by)
        ),
        Life::Held { hold, .. } => {
            let why = if hold.reason.trim().is_empty() {
                String::new()
            } else {
                format!(": “{}”", hold.reason)
            };
            format!("since {} by {}{why}", at(hold.at), name_of(web, &hold.by))
        }
        Life::Retracted { retraction, .. } => format!(
            "by {}: “{}”",
            name_of(web, &retraction.by),
            retraction.reason
        ),
    }
}

fn warnings(web: &Web, shown: &Shown, zone: &str) -> Vec<String> {
    let mut warnings = Vec::new();
    let notices = &shown.notices;
    if let Some(stop) = shown.order.stop() {
        warnings.push(format!(
            "Its notices stopped by themselves {}: {}. {}; its refusals go on. Look into it, then resume the notices, hold the order, or retract it.",
            for_people(stop.at, zone),
            stop.why,
            Count(notices.planned + notices.claimed).of("notice waits", "notices wait"),
        ));
    }
    if shown.looks_wrong > 0 {
        warnings.push(format!(
            "{} that it looks wrong.",
            Count(shown.looks_wrong).of("person says", "people say")
        ));
    }
    if notices.rejected > 0 {
        warnings.push(format!(
            "{} rejected: those people have to be reached by another way, and are not refused until told. The page Notices lists them.",
            Count(notices.rejected).of("notice was", "notices were")
        ));
    }
    for at in &shown.channels {
        let failed = |state: &str| matches!(state, "rejected" | "unknown");
        if failed(at.correction.unwrap_or(at.announcement)) {
            warnings.push(format!(
                "The channel {} may not have heard of it: tell who reads there by another way. The page Notices has its server's words.",
                at.name
            ));
        }
    }
    if let Some((drift, size)) = web.app.live.view().has_drifted(shown.order.id) {
        warnings.push(format!(
            "Since the approval {} came into or left the audience of {}: submit the order again and have it approved.",
            Count(drift).of("person", "people"),
            Count(size)
        ));
    }
    warnings
}

fn figures(web: &Web, shown: &Shown) -> Vec<Figure> {
    let standing = &shown.standing;
    let observing = web.app.live.view().settings().mode == Mode::Observe;
    let order = &shown.order;
    let others = standing
        .refused
        .saturating_sub(standing.refused_by_this_alone);
    let refused = if observing {
        "would be refused if the mode were enforce".to_owned()
    } else if order.published().is_none() {
        "an order refuses nobody before it is published".to_owned()
    } else if order.retraction().is_some() {
        "because of this order".to_owned()
    } else if others > 0 {
        format!(
            "because of this order; {} by another one too",
            Count(others)
        )
    } else {
        "because of this order".to_owned()
    };
    let figure = |id, name: &str, number, words: String| Figure {
        id,
        name: name.to_owned(),
        number: Count(number),
        words,
    };
    vec![
        figure(
            "with-app",
            "Devices with the app",
            standing.with_app,
            if order.retraction().is_some() {
                "they may keep it".to_owned()
            } else {
                "in scope, and seen in a report".to_owned()
            },
        ),
        figure(
            "unseen",
            "Can't be seen",
            standing.unknown,
            "in scope, and no report that could tell".to_owned(),
        ),
        figure("refused-now", "Refused now", standing.refused, refused),
    ]
}

fn refused_at(door: &DoorFigures) -> RefusedAt {
    RefusedAt {
        door: door.name.clone(),
        refused: Count(door.refused),
        p99: door.p99.map_or_else(|| "–".to_owned(), took),
    }
}

fn doors_view(doors: &[DoorFigures]) -> String {
    match doors.iter().filter_map(|door| door.view_age).max() {
        Some(age) => format!(
            "The oldest view that a door answered with was {} old. The numbers are of all orders together.",
            took(age)
        ),
        None => "Doors are counted from their first question on.".to_owned(),
    }
}
