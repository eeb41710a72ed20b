//! All orders: the first page after signing in.

use std::sync::Arc;

use axum::extract::State;
use countermand_core::actor::Act;
use countermand_core::index::Mode;

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
        let preview = web.app.preview(&order).unwrap_or_default();
        let id = called(&web, &order);
        let row = OrderRow {
            id,
            title: order.title().to_owned(),
            state: words::pill(&order, now, &zone),
            deadline: when(comply_by(&order).at(), &zone),
            people: Count(preview.people),
            devices: Count(preview.devices),
            notices: None,
        };
        let notices = match order.published() {
            Some(_) => Some(Bar::of_receipts(
                &web.app.shown(order).await?.notices.into(),
            )),
            None => None,
        };
        rows.push(OrderRow { notices, ..row });
    }
    let (people, devices, refused) = {
        let view = web.app.live.view();
        let refused = match view.settings().mode {
            Mode::Observe => 0,
            Mode::Enforce => view.refused(now),
        };
        (
            view.people().count() as u64,
            view.devices().count() as u64,
            refused,
        )
    };
    page(Orders {
        shell: shell(&web, &by).await?,
        rows,
        may_draft: by.may(Act::Write),
        people: Count(people),
        devices: Count(devices),
        refused_now: Count(refused),
    })
}
