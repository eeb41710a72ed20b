//! A form that the holder of a notice sends: whether the notice in hand is genuine, and how often is asked.

use axum::http::StatusCode;
use countermand_core::notice::token::Said;

use super::facts::{Known, know, unknown};
use super::not_genuine;
use super::verify::{Proof, prove};
use crate::web::Web;
use crate::web::account::Peer;
use crate::web::errors::Fault;

/// The order of the notice, and what the notice said. `what` tells apart what is asked; `often` is said, with
/// what to do, to who asks it too often.
pub(super) async fn holder(
    web: &Web,
    order: &str,
    token: &str,
    peer: Peer,
    what: &str,
    often: (&str, &'static str),
) -> Result<(Known, Said), Fault> {
    let id = order.parse().map_err(|_| unknown())?;
    // By the seal alone at first: a forged token costs no look into the database.
    let view = web.app.live.view().order(id).cloned();
    let said = view.and_then(|order| web.app.opened(&order, token));
    let Some(said) = said else {
        return Err(not_genuine());
    };
    let peer = peer.map(|axum::Extension(axum::extract::ConnectInfo(peer))| peer.ip());
    let who = format!("{id} {} {what}", said.person);
    let now = web.app.now();
    if web.memory.reports.wait(peer, &who, now).await.is_err() {
        let (words, mend) = often;
        return Err(Fault::new(StatusCode::TOO_MANY_REQUESTS, words, mend));
    }
    let known = know(web, id).await?;
    match prove(web, &known, token).await {
        Proof::Genuine { said, .. } => Ok((known, said)),
        _ => Err(not_genuine()),
    }
}
