//! «This looks wrong», said by who got a notice (invariant 14). Only by sending the form: what follows
//! links, as mail scanners do, says nothing.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _};

use super::facts::{know, organisation, unknown};
use super::not_genuine;
use super::verify::{Proof, can_look_wrong, prove};
use crate::web::Web;
use crate::web::account::Peer;
use crate::web::errors::{Answer, Fault};
use crate::web::pages::Reported;
use crate::web::session::Fields;

pub(in crate::web) async fn looks_wrong(
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
    let who = format!("{id} {}", said.person);
    let now = web.app.now();
    if web.memory.reports.wait(peer, &who, now).await.is_err() {
        return Err(Fault::new(
            StatusCode::TOO_MANY_REQUESTS,
            "Very many say at this moment that something looks wrong.",
            "Try again in a few seconds; the responders are told already.",
        ));
    }
    let known = know(&web, id).await?;
    let Proof::Genuine { said, .. } = prove(&web, &known, token).await else {
        return Err(not_genuine());
    };
    let counts = can_look_wrong(&web, &known, &said);
    let first = counts && web.app.looks_wrong(id, said.person).await?;
    let page = Reported {
        organisation: organisation(&web),
        id: id.to_string(),
        token: token.to_owned(),
        title: known.order.title().to_owned(),
        words: match (counts, first) {
            (false, _) => "It no longer holds, so there is nothing left to count.",
            (true, true) => {
                "It is counted, once a person. When enough people say so, the order sends no more notices until a responder has looked at it."
            }
            (true, false) => "You had said so before; it counts once a person.",
        },
    };
    Ok(Html(askama::Template::render(&page)?).into_response())
}
