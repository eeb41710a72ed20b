//! «This looks wrong», said by who got a notice (invariant 14). Only by sending the form: what follows
//! links, as mail scanners do, says nothing.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse as _};

use super::facts::organisation;
use super::holder::holder;
use super::verify::can_look_wrong;
use crate::web::Web;
use crate::web::account::Peer;
use crate::web::errors::Answer;
use crate::web::pages::Reported;
use crate::web::session::Fields;

pub(in crate::web) async fn looks_wrong(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    peer: Peer,
    fields: Fields,
) -> Answer {
    let token = fields.text("n");
    let often = (
        "Very many say at this moment that something looks wrong.",
        "Try again in a few seconds; the responders are told already.",
    );
    let (known, said) = holder(&web, &name, token, peer, "wrong", often).await?;
    let id = known.order.id;
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
