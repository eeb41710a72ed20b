//! «That device is mine», said by who got a notice that a device was refused. Two things are needed: the
//! notice, which came to a device that reads this person's mail, and the reference, which only the
//! refused device shows. So a notice that was passed on recognises nothing. Whoever has the person's mail
//! password and reads the mail in a browser has both: each word is on record, and opens no door where an
//! order says `no_report = "deny"`.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _};
use countermand_core::verdict::Decision;

use super::facts::{know, organisation, unknown};
use super::not_genuine;
use super::verify::{Proof, prove};
use crate::web::Web;
use crate::web::account::Peer;
use crate::web::errors::{Answer, Fault};
use crate::web::pages::RecognisedPage;
use crate::web::session::Fields;

pub(in crate::web) async fn recognise(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    peer: Peer,
    fields: Fields,
) -> Answer {
    let id = name.parse().map_err(|_| unknown())?;
    let token = fields.text("n");
    // By the seal alone at first: a forged token costs no look into the database.
    let view = web.app.live.view().order(id).cloned();
    let said = view.and_then(|order| web.app.opened(&order, token));
    let Some(said) = said else {
        return Err(not_genuine());
    };
    let peer = peer.map(|axum::Extension(axum::extract::ConnectInfo(peer))| peer.ip());
    let who = format!("{id} {} device", said.person);
    let now = web.app.now();
    if web.memory.reports.wait(peer, &who, now).await.is_err() {
        return Err(Fault::new(
            StatusCode::TOO_MANY_REQUESTS,
            "This was tried very often just now.",
            "Try again in a few seconds, or ask the helpdesk.",
        ));
    }
    let known = know(&web, id).await?;
    let Proof::Genuine { said, .. } = prove(&web, &known, token).await else {
        return Err(not_genuine());
    };
    let reference = fields.text("reference");
    let done = web
        .app
        .recognise_own(&known.order, &said, reference)
        .await?;
    let page = RecognisedPage {
        organisation: organisation(&web),
        id: id.to_string(),
        token: token.to_owned(),
        words: match done.decision {
            Decision::Deny => {
                "It stays closed until a report tells what is on it: open the app of the device manager on it, or ask the helpdesk."
            }
            _ => "Open your mail on it again.",
        },
    };
    Ok(Html(askama::Template::render(&page)?).into_response())
}
