//! «That device is mine», said by who got a notice that a device was refused. Two things are needed: the
//! notice, which came to a device that reads this person's mail, and the reference, which only the
//! refused device shows. So a notice that was passed on recognises nothing. Whoever has the person's mail
//! password and reads the mail in a browser has both: each word is on record, and opens no door where an
//! order says `no_report = "deny"`.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse as _};
use countermand_core::verdict::Decision;

use super::facts::organisation;
use super::holder::holder;
use crate::web::Web;
use crate::web::account::Peer;
use crate::web::errors::Answer;
use crate::web::pages::RecognisedPage;
use crate::web::session::Fields;

pub(in crate::web) async fn recognise(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    peer: Peer,
    fields: Fields,
) -> Answer {
    let token = fields.text("n");
    let often = (
        "This was tried very often just now.",
        "Try again in a few seconds, or ask the helpdesk.",
    );
    let (known, said) = holder(&web, &name, token, peer, "device", often).await?;
    let reference = fields.text("reference");
    let done = web
        .app
        .recognise_own(&known.order, &said, reference)
        .await?;
    let page = RecognisedPage {
        organisation: organisation(&web),
        id: known.order.id.to_string(),
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
