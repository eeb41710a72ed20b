//! Signing in and out, and the first password.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Query, State};
use axum::http::header::HOST;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use countermand_core::fleet::fold;
use serde::Deserialize;

use super::Web;
use super::client::client;
use super::errors::{Answer, Fault, as_is};
use super::pages::{DemoOperator, SetUp, SignIn};
use super::session::{ENTRY, Fields, Posted, SESSION, cookie, is_local, set_cookie};
use crate::app::AppError;
use crate::app::operators::{MIN_PASSWORD, SignedIn as Begun};

/// No mail address is longer (RFC 5321); a longer text is not even remembered as a bad try.
const LONGEST_ADDRESS: usize = 254;

/// Where a request came from, where the server was told.
pub(super) type Peer = Option<axum::Extension<ConnectInfo<SocketAddr>>>;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    next: String,
    email: String,
    token: String,
}

/// The token of the forms before a session, new where the browser has none.
fn entry_token(web: &Web, headers: &HeaderMap) -> String {
    cookie(headers, ENTRY)
        .filter(|token| token.len() == 64 && token.bytes().all(|b| b.is_ascii_hexdigit()))
        .unwrap_or_else(|| web.app.ids.secret())
}

fn shown(web: &Web, status: StatusCode, token: &str, page: impl askama::Template) -> Answer {
    let mut response = as_is((status, axum::response::Html(page.render()?)));
    set_cookie(web, &mut response, ENTRY, token);
    Ok(response)
}

fn entered(web: &Web, begun: &Begun, next: &str) -> Response {
    let next = if is_local(next) { next } else { "/" };
    let mut response = Redirect::to(next).into_response();
    set_cookie(web, &mut response, SESSION, &begun.token);
    response
}

/// The form is one that this browser was given.
fn check_entry(headers: &HeaderMap, fields: &Fields) -> Result<(), Fault> {
    match cookie(headers, ENTRY) {
        Some(token) if fields.is_from(&token) => Ok(()),
        _ => Err(Fault::forged()),
    }
}

async fn sign_in_form(
    web: &Web,
    headers: &HeaderMap,
    status: StatusCode,
    email: &str,
    next: &str,
    error: Option<String>,
) -> Answer {
    let token = entry_token(web, headers);
    let page = SignIn {
        csrf: token.clone(),
        email: email.to_owned(),
        next: Some(next.to_owned()).filter(|n| is_local(n)),
        error,
        demo: if web.demo {
            demo_operators(web).await?
        } else {
            Vec::new()
        },
    };
    shown(web, status, &token, page)
}

pub(super) async fn sign_in_page(
    State(web): State<Arc<Web>>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Answer {
    sign_in_form(&web, &headers, StatusCode::OK, "", &asked.next, None).await
}

pub(super) async fn sign_in(
    State(web): State<Arc<Web>>,
    peer: Peer,
    headers: HeaderMap,
    fields: Fields,
) -> Answer {
    check_entry(&headers, &fields)?;
    let email = fold(fields.text("email"));
    let peer = peer.map(|axum::Extension(ConnectInfo(peer))| peer.ip());
    let peer = client(peer, &headers, &web.app.config.server.proxies);
    if email.len() > LONGEST_ADDRESS {
        return Err(Fault::input(format!(
            "a mail address has at most {LONGEST_ADDRESS} letters"
        )));
    }
    let limiter = &web.memory.limiter;
    if limiter.wait(peer, &email, web.app.now()).await.is_err() {
        return Err(Fault::new(
            StatusCode::TOO_MANY_REQUESTS,
            "Very many try to sign in at this moment.",
            "Try again in a few seconds; the right password still gets in.",
        ));
    }
    let begun = {
        let _turn = web.memory.hashing.acquire().await;
        web.app.sign_in(&email, fields.text("password")).await
    };
    match begun {
        Ok(begun) => {
            limiter.forgive(peer, &email);
            Ok(entered(&web, &begun, fields.text("next")))
        }
        Err(AppError::Policy(_)) => {
            let error = "The address and the password don't fit together. Try again, or ask an admin for a new link.";
            sign_in_form(
                &web,
                &headers,
                StatusCode::UNAUTHORIZED,
                fields.text("email"),
                fields.text("next"),
                Some(error.to_owned()),
            )
            .await
        }
        Err(other) => Err(other.into()),
    }
}

/// The made-up operators of the demo.
async fn demo_operators(web: &Web) -> Result<Vec<DemoOperator>, Fault> {
    let operators = web.app.store.operators().await?;
    let view = web.app.live.view();
    Ok(operators
        .into_iter()
        .map(|operator| {
            let name = view
                .person_called(&operator.email)
                .map_or(operator.email.as_str(), |p| p.name.as_str());
            let name = name.split(['.', '@', ' ']).next().unwrap_or(name);
            let mut letters = name.chars();
            let name: String = letters
                .next()
                .map(|first| first.to_uppercase().chain(letters).collect())
                .unwrap_or_default();
            let roles: Vec<&str> = operator.roles.iter().map(|r| r.as_str()).collect();
            DemoOperator {
                label: format!("{name} ({})", roles.join(", ")),
                email: operator.email,
            }
        })
        .collect())
}

/// Whether the browser knows us by a name of this machine: a foreign name that was made to lead
/// here belongs to somebody else's page.
fn asks_this_machine(headers: &HeaderMap) -> bool {
    let host = headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or("");
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
        .map_or(host, |(name, _)| name);
    ["localhost", "127.0.0.1", "[::1]"].contains(&name)
}

/// One click in the demo; nowhere else does this address exist.
pub(super) async fn sign_in_demo(
    State(web): State<Arc<Web>>,
    peer: Peer,
    headers: HeaderMap,
    fields: Fields,
) -> Answer {
    let from_here = peer.is_some_and(|axum::Extension(ConnectInfo(peer))| peer.ip().is_loopback());
    if !(web.demo && from_here && asks_this_machine(&headers)) {
        return Err(Fault::nothing_here("There is no page at this address."));
    }
    check_entry(&headers, &fields)?;
    let email = fold(fields.text("email"));
    if web.app.store.operator(&email).await?.is_none() {
        return Err(Fault::input(format!("there is no operator «{email}»")));
    }
    let begun = web.app.begin_session(&email).await?;
    Ok(entered(&web, &begun, fields.text("next")))
}

pub(super) async fn sign_out(State(web): State<Arc<Web>>, posted: Posted) -> Answer {
    web.app.sign_out(&posted.by.token).await?;
    let mut response = Redirect::to("/sign-in").into_response();
    set_cookie(&web, &mut response, SESSION, "");
    Ok(response)
}

fn set_up_form(
    web: &Web,
    headers: &HeaderMap,
    status: StatusCode,
    email: &str,
    token: &str,
    error: Option<String>,
) -> Answer {
    let csrf = entry_token(web, headers);
    let page = SetUp {
        csrf: csrf.clone(),
        token: token.to_owned(),
        email: email.to_owned(),
        least_length: MIN_PASSWORD,
        error,
    };
    shown(web, status, &csrf, page)
}

fn used_up() -> Fault {
    Fault::new(
        StatusCode::FORBIDDEN,
        "This link is not valid any more: it works once and for seven days, and a newer link replaces it.",
        "Ask an admin for a new one.",
    )
}

pub(super) async fn set_up_page(
    State(web): State<Arc<Web>>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Answer {
    if !web.app.is_invited(&asked.email, &asked.token).await? {
        return Err(used_up());
    }
    set_up_form(
        &web,
        &headers,
        StatusCode::OK,
        &asked.email,
        &asked.token,
        None,
    )
}

pub(super) async fn set_up(
    State(web): State<Arc<Web>>,
    headers: HeaderMap,
    fields: Fields,
) -> Answer {
    check_entry(&headers, &fields)?;
    let (email, token) = (fields.text("email"), fields.text("token"));
    let password = fields.text("password");
    if !web.app.is_invited(email, token).await? {
        return Err(used_up());
    }
    let again = |error: String| {
        set_up_form(
            &web,
            &headers,
            StatusCode::UNPROCESSABLE_ENTITY,
            email,
            token,
            Some(error),
        )
    };
    if password != fields.text("again") {
        return again("The two passwords differ. Type the same one twice.".to_owned());
    }
    let _turn = web.memory.hashing.acquire().await;
    match web.app.set_password(email, token, password).await {
        Ok(()) => {}
        Err(AppError::Input(_)) => {
            return again(format!(
                "The password is too short. Use at least {MIN_PASSWORD} characters."
            ));
        }
        Err(other) => return Err(other.into()),
    }
    let begun = web.app.sign_in(email, password).await?;
    Ok(entered(&web, &begun, "/"))
}
