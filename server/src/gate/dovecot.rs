//! Dovecot's auth policy: it asks after the password was found right, so the person is certain.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode, header};
use axum::response::IntoResponse as _;
use countermand_core::verdict::{Channel, Decision};

use super::ask::{Asked, Outcome};
use super::probe::NoVerdict;
use super::sessions::Peer;
use super::wire::dovecot::{self as wire, DovecotRequest};
use super::{Gate, Route};

/// More is not read.
const LONGEST: usize = 64 * 1024;

/// `/gate/dovecot`: status -1 with the reason, or 0. Dovecot adds `command=allow` or `command=report`.
pub(super) async fn policy(State(gate): State<Arc<Gate>>, request: Request) -> Response<Body> {
    let began = Instant::now();
    let query = request.uri().query().unwrap_or_default();
    let is_report = query.split('&').any(|pair| pair == "command=report");
    if is_report {
        // What became of the login; we know all that we want to know of it.
        return say(r#"{"status":0}"#.to_owned());
    }
    let asked = match to_bytes(request.into_body(), LONGEST).await {
        Ok(body) => match DovecotRequest::parse(&body) {
            Ok(request) if gate.is_own_server(remote(&request)) => return say(wire::allow()),
            Ok(request) => match (gate.probed_login(request.person()), understood(&request)) {
                (Some(Ok(line)), _) => return say(wire::refuse(&line)),
                (Some(Err(NoVerdict)), _) => {
                    return StatusCode::SERVICE_UNAVAILABLE.into_response();
                }
                (None, Some(asked)) => (asked, peer(&request)),
                // A service that is no way to mail, a sieve editor say.
                (None, None) => return say(wire::allow()),
            },
            Err(error) => (garbled(&error), None),
        },
        Err(error) => (garbled(&error), None),
    };
    let (asked, peer) = asked;
    let (outcome, _) = gate.answer(Route::Dovecot, &asked, began).await;
    match outcome {
        // auth_policy_reject_on_fail decides.
        Outcome::NoVerdict(why) => {
            gate.sessions.had_no_verdict();
            (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
        }
        Outcome::Answer(answer) if answer.decision == Decision::Deny => {
            say(wire::refuse(&answer.line))
        }
        Outcome::Answer(_) => {
            if let Some(peer) = peer {
                gate.sessions.let_in(peer, &asked, gate.clock.now());
            }
            say(wire::allow())
        }
    }
}

fn remote(request: &DovecotRequest) -> Option<IpAddr> {
    request.remote.as_deref()?.parse().ok()
}

fn peer(request: &DovecotRequest) -> Option<Peer> {
    Some(Peer {
        user: request.person()?.to_owned(),
        remote: remote(request),
    })
}

fn say(json: String) -> Response<Body> {
    ([(header::CONTENT_TYPE, "application/json")], json).into_response()
}

fn understood(request: &DovecotRequest) -> Option<Asked> {
    let channel = match (&request.protocol, request.channel()) {
        (_, Some(channel)) => channel,
        // A configuration that does not say the protocol opens no door by that.
        (None, None) => Channel::Imap,
        (Some(_), None) => return None,
    };
    let person = request.person().map(str::to_owned);
    Some(Asked::of(person, &request.keys(), channel, true))
}

fn garbled(error: &dyn std::fmt::Display) -> Asked {
    tracing::warn!(%error, "Dovecot's question can't be read; it is judged as of an unknown device");
    Asked::unreadable(Channel::Imap)
}
