//! The notices of one order: how far they are, and who could not be told.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use countermand_core::actor::Act;
use serde::Deserialize;

use super::{ROWS, called, find, page, page_number, shell, when, zone};
use crate::app::channels::AtChannel;
use crate::web::Web;
use crate::web::errors::Answer;
use crate::web::pages::{Bar, ChannelRow, Count, KindRow, Notices, Pager, Untold};
use crate::web::session::SignedIn;

#[derive(Debug, Deserialize)]
pub(in crate::web) struct Asked {
    page: Option<u64>,
}

pub(in crate::web) async fn show(
    State(web): State<Arc<Web>>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
    by: SignedIn,
) -> Answer {
    let found = find(&web, &id).await?.order;
    let shown = web.app.show(&by.actor(), &found.id.to_string()).await?;
    let order = &shown.order;
    let number = page_number(asked.page);
    let (total, unreached) = web
        .app
        .store
        .unreached(order.id, (number - 1) * ROWS, ROWS)
        .await?;
    let zone = zone(&web, &by, Some(order));
    let may_see_whom = by.may(Act::LookUp);
    let untold = if may_see_whom {
        let view = web.app.live.view();
        unreached
            .into_iter()
            .map(|one| Untold {
                person: view
                    .person(one.person)
                    .map(|p| p.email.clone())
                    .or_else(|| Some(format!("Channel {}", order.channel(one.person)?)))
                    .unwrap_or_else(|| one.person.to_string()),
                kind: one.kind.to_string(),
                state: one.word().to_owned(),
                when: when(one.at.unwrap_or(order.created_at), &zone),
                words: one.detail,
            })
            .collect()
    } else {
        Vec::new()
    };
    let unnamed = Some(Count(total)).filter(|_| total > 0 && !may_see_whom);
    let id = called(&web, order);
    let kind = |name: &str, counts| KindRow {
        name: name.to_owned(),
        bar: Bar::of_receipts(&counts),
    };
    let mut kinds = vec![kind("Notices", shown.notices.into())];
    if order.retraction().is_some() {
        kinds.push(kind("Corrections", shown.corrections.into()));
    }
    page(Notices {
        shell: shell(&web, &by).await?,
        title: order.title().to_owned(),
        kinds,
        channels: shown.channels.iter().map(channel).collect(),
        untold,
        unnamed,
        pager: Pager::new(&format!("/orders/{id}/notices"), number, ROWS, total),
        id,
    })
}

fn channel(at: &AtChannel) -> ChannelRow {
    let in_words = |state: &str| state.replace('_', " ");
    ChannelRow {
        name: at.name.clone(),
        announcement: in_words(at.announcement),
        correction: at.correction.map_or_else(|| "–".to_owned(), in_words),
        words: at.detail.clone(),
    }
}
