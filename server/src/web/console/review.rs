//! From a draft to a publication: submit, withdraw, approve, send back, publish.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use countermand_core::order::State as Life;

use super::confirm::confirm;
use super::preview::preview;
use super::{back, called, find, see};
use crate::web::Web;
use crate::web::errors::{Answer, Fault};
use crate::web::pages::{Act, Tone};
use crate::web::session::{Fields, Posted, SignedIn};

pub(in crate::web) async fn submit(
    State(web): State<Arc<Web>>,
    Path(id): Path<String>,
    Posted { by, .. }: Posted,
) -> Answer {
    let order = find(&web, &id).await?.order;
    let order = web.app.submit(&by.actor(), &order.id.to_string()).await?;
    back(
        &web,
        &by,
        &order,
        Tone::Allow,
        "Submitted. Another person must approve it before it can be published.",
    )
}

pub(in crate::web) async fn withdraw(
    State(web): State<Arc<Web>>,
    Path(id): Path<String>,
    Posted { by, .. }: Posted,
) -> Answer {
    let order = find(&web, &id).await?.order;
    let order = web.app.withdraw(&by.actor(), &order.id.to_string()).await?;
    back(
        &web,
        &by,
        &order,
        Tone::Plain,
        "Withdrawn. It is a draft again, and an approval is void.",
    )
}

pub(in crate::web) async fn approve(
    State(web): State<Arc<Web>>,
    Path(id): Path<String>,
    Posted { by, fields }: Posted,
) -> Answer {
    let order = find(&web, &id).await?.order;
    // The empty text is the digest of nothing: an approval says what it looked at.
    let digest = Some(fields.text("digest"));
    let order = web
        .app
        .approve(&by.actor(), &order.id.to_string(), digest)
        .await?;
    back(
        &web,
        &by,
        &order,
        Tone::Allow,
        "Approved: exactly this text, these package ids and this audience. It can be published within seven days.",
    )
}

pub(in crate::web) async fn send_back(
    State(web): State<Arc<Web>>,
    Path(id): Path<String>,
    Posted { by, fields }: Posted,
) -> Answer {
    let order = find(&web, &id).await?.order;
    let remark = fields.text("reason").trim();
    if remark.is_empty() {
        let error =
            "Sending back takes a few words for the author. Say what should change.".to_owned();
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return preview(&web, &by, &order, status, remark, Some(error)).await;
    }
    let order = web
        .app
        .send_back(&by.actor(), &order.id.to_string(), remark)
        .await?;
    back(
        &web,
        &by,
        &order,
        Tone::Plain,
        "Sent back to the author, with your words.",
    )
}

pub(in crate::web) async fn publish_page(
    State(web): State<Arc<Web>>,
    Path(id): Path<String>,
    by: SignedIn,
) -> Answer {
    let order = find(&web, &id).await?.order;
    if !matches!(order.state, Life::Approved(_)) {
        return Ok(see(&format!("/orders/{}", called(&web, &order))));
    }
    confirm(&web, &by, &order, Act::Publish, &Fields::default(), None).await
}

pub(in crate::web) async fn publish(
    State(web): State<Arc<Web>>,
    Path(id): Path<String>,
    Posted { by, fields }: Posted,
) -> Answer {
    let order = find(&web, &id).await?.order;
    if let Life::Approved(approval) = &order.state
        && approval.digest != fields.text("digest")
    {
        return Err(Fault::policy(
            "what is approved now is not what the page showed; look at the order again, then publish",
        ));
    }
    let order = web.app.publish(&by.actor(), &order.id.to_string()).await?;
    back(
        &web,
        &by,
        &order,
        Tone::Allow,
        "Published. Notices begin to leave, and the statement is there.",
    )
}
