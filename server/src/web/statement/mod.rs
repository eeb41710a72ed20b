//! The statement of an order: what anyone with a forwarded copy can ask. It names no person, and
//! answers from memory while the database is away.

mod atom;
mod cap;
mod facts;
mod history;
mod holder;
mod html;
mod json;
mod reader;
mod recognise;
mod report;
mod verify;
mod xml;

use std::sync::Arc;

use axum::extract::{FromRequestParts as _, Path, Query, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use self::cap::in_cap;
use self::facts::{know, unknown};
use self::html::in_html;
use self::json::in_json;
use self::verify::{Proof, prove};
use super::Web;
use super::errors::{Answer, Fault};
use super::session::SignedIn;
use crate::config::Statements;

pub(super) use recognise::recognise;
pub(super) use report::looks_wrong;

/// What the address may ask besides.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    /// The token of a notice.
    n: Option<String>,
    /// Which of the order's CAP messages.
    version: Option<usize>,
}

pub(super) async fn show(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
    request: Request,
) -> Answer {
    let (id, format) = Format::of(&name);
    // Only the whole id: its short form could be guessed, and texts be found by strangers.
    let id = id.parse().map_err(|_| unknown())?;
    let known = know(&web, id).await?;
    let token = asked.n.as_deref();
    let proof = match token {
        Some(token) => Some(prove(&web, &known, token).await),
        None => None,
    };
    let (mut parts, _) = request.into_parts();
    if web.app.config.server.statements == Statements::Internal
        && !proof.is_some_and(Proof::is_genuine)
        && let Err(answer) = SignedIn::from_request_parts(&mut parts, &web).await
    {
        return match proof {
            None => Ok(answer),
            Some(_) => Err(not_genuine()),
        };
    }
    let now = web.app.now();
    let body = match format {
        Format::Html => {
            let notice = match proof.zip(token) {
                Some((proof, token)) => Some(verify::in_words(&web, &known, proof, token).await),
                None => None,
            };
            in_html(&web, &known, notice)?
        }
        Format::Json => in_json(&web, &known, proof, now),
        Format::Cap => in_cap(&web, &known, asked.version)?,
    };
    let private = proof.is_some() || web.app.config.server.statements == Statements::Internal;
    Ok(tagged(
        &parts.headers,
        format.content_type(),
        body,
        known.as_of,
        private,
    ))
}

/// The newest statements, as a feed.
pub(super) async fn feed(State(web): State<Arc<Web>>, request: Request) -> Answer {
    let (mut parts, _) = request.into_parts();
    let internal = web.app.config.server.statements == Statements::Internal;
    if internal && let Err(answer) = SignedIn::from_request_parts(&mut parts, &web).await {
        return Ok(answer);
    }
    let feed = atom::in_atom(&web).await;
    let kind = "application/atom+xml; charset=utf-8";
    Ok(tagged(
        &parts.headers,
        kind,
        feed.body,
        feed.as_of,
        internal,
    ))
}

fn not_genuine() -> Fault {
    Fault::new(
        StatusCode::FORBIDDEN,
        "This is not a genuine notice of an order here.",
        "Don't do what it says, and follow no other link in it. Show the whole message to your helpdesk.",
    )
}

#[derive(Clone, Copy)]
enum Format {
    Html,
    Json,
    Cap,
}

impl Format {
    /// An order's name in an address, without the ending that asks for a format.
    fn of(name: &str) -> (&str, Format) {
        let with = |ending: &str, format| Some((name.strip_suffix(ending)?, format));
        with(".json", Format::Json)
            .or_else(|| with(".cap.xml", Format::Cap))
            .unwrap_or((name, Format::Html))
    }

    fn content_type(self) -> &'static str {
        match self {
            Format::Html => "text/html; charset=utf-8",
            Format::Json => "application/json",
            Format::Cap => "application/cap+xml; charset=utf-8",
        }
    }
}

/// With its tag; or only that nothing has changed, for who has it already. `private` is what answers
/// a link that one person got: no shared cache keeps it, and no search engine lists it.
fn tagged(
    headers: &HeaderMap,
    content_type: &'static str,
    body: String,
    as_of: Option<Timestamp>,
    private: bool,
) -> Response {
    let hash = countermand_core::hex::encode(&Sha256::digest(&body));
    let tag = format!("\"{}\"", &hash[..32]);
    let has_it = headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|given| given.trim().trim_start_matches("W/"))
        .any(|given| given == tag || given == "*");
    let cache = if private {
        "private, no-cache"
    } else {
        "no-cache"
    };
    let mut always = vec![(ETAG, tag), (CACHE_CONTROL, cache.to_owned())];
    if private {
        let robots = HeaderName::from_static("x-robots-tag");
        always.push((robots, "noindex".to_owned()));
    }
    if let Some(at) = as_of {
        let name = HeaderName::from_static("x-countermand-as-of");
        always.push((name, at.to_string()));
    }
    let always = axum::response::AppendHeaders(always);
    if has_it {
        (StatusCode::NOT_MODIFIED, always).into_response()
    } else {
        // The type last: a text's own would come before it.
        let mut response = (always, body).into_response();
        let value = axum::http::HeaderValue::from_static(content_type);
        response.headers_mut().insert(CONTENT_TYPE, value);
        response
    }
}
