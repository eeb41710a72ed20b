//! The statement of an order: what anyone with a forwarded copy can ask. It names no person, and
//! answers from memory while the database is away.

mod facts;
mod html;
mod json;

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};

use self::facts::{know, unknown};
use self::html::in_html;
use self::json::in_json;
use super::Web;
use super::errors::Answer;

pub(super) async fn show(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let (id, as_json) = match name.strip_suffix(".json") {
        Some(id) => (id, true),
        None => (name.as_str(), false),
    };
    // Only the whole id: its short form could be guessed, and texts be found by strangers.
    let id = id.parse().map_err(|_| unknown())?;
    let known = know(&web, id).await?;
    let (content_type, body) = if as_json {
        ("application/json", in_json(&known, web.app.now()))
    } else {
        ("text/html; charset=utf-8", in_html(&web, &known)?)
    };
    Ok(tagged(&headers, content_type, body))
}

/// With its tag; or only that nothing has changed, for who has it already.
fn tagged(headers: &HeaderMap, content_type: &'static str, body: String) -> Response {
    let hash = countermand_core::hex::encode(&Sha256::digest(&body));
    let tag = format!("\"{}\"", &hash[..32]);
    let has_it = headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|given| given.trim().trim_start_matches("W/"))
        .any(|given| given == tag || given == "*");
    let always = [(ETAG, tag), (CACHE_CONTROL, "no-cache".to_owned())];
    if has_it {
        (StatusCode::NOT_MODIFIED, always).into_response()
    } else {
        (always, [(CONTENT_TYPE, content_type)], body).into_response()
    }
}
