//! All orders: the first page after signing in.

use std::sync::Arc;

use axum::extract::State;
use countermand_core::actor::Act;
use countermand_core::index::Mode;
use countermand_core::order::Order;
use jiff::Timestamp;

use super::{called, comply_by, page, shell, when, words, zone};
use crate::web::Web;
use crate::web::errors::Answer;
use crate::web::pages::{Bar, Count, OrderRow, Orders};
use crate::web::session::SignedIn;

pub(in crate::web) async fn list(State(web): State<Arc<Web>>, by: SignedIn) -> Answer {
    let mut orders = web.app.list(&by.actor()).await?;
    orders.sort_by_key(|order| std::cmp::Reverse((order.created_at, order.id)));
    let now = web.app.now();
    let mut rows = Vec::new();
    for order in orders {
        let zone = zone(&web, &by, Some(&order));
        let notices = match order.published() {
            Some(_) => Some(Bar::of_receipts(&web.app.told(&order).await?.0.into())),
            None => None,
        };
        rows.push(OrderRow {
            id: called(&web, &order),
            title: order.title().to_owned(),
            state: words::pill(&order, now, &zone),
            deadline: when(comply_by(&order).at(), &zone),
            reach: reach(&web, &order, now).await,
            notices,
        });
    }
    let (people, devices, refused) = totals(&web, now).await;
    page(Orders {
        shell: shell(&web, &by).await?,
        rows,
        may_draft: by.may(Act::Write),
        people: Count(people),
        devices: Count(devices),
        refused_now: Count(refused),
    })
}

/// Whom and what an order reaches; nobody any more, once it has ended.
async fn reach(web: &Web, order: &Order, now: Timestamp) -> Option<(Count, Count)> {
    if order.retraction().is_some() || order.has_expired(now) {
        return None;
    }
    let mut counts = web.memory.counts(web.app.live.version(), now).await;
    let (people, devices) = counts.reach.entry(order.id).or_insert_with(|| {
        let preview = web.app.preview(order).unwrap_or_default();
        (preview.people, preview.devices)
    });
    Some((Count(*people), Count(*devices)))
}

/// People and devices known, and devices refused now.
async fn totals(web: &Web, now: Timestamp) -> (u64, u64, u64) {
    let mut counts = web.memory.counts(web.app.live.version(), now).await;
    *counts.totals.get_or_insert_with(|| {
        let view = web.app.live.view();
        let refuses = view.settings().mode == Mode::Enforce
            && view.orders().any(|order| order.in_force(now).is_some());
        (
            view.people().count() as u64,
            view.devices().count() as u64,
            if refuses { view.refused(now) } else { 0 },
        )
    })
}
