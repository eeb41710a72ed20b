//! Who asks: cookies, the extractor of a signed-in operator, and the token of each form.

use std::sync::Arc;

use axum::extract::{Form, FromRequest, FromRequestParts, Request};
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::{IntoResponse, Redirect, Response};
use countermand_core::actor::{Act, Actor, Operator, Role};
use subtle::ConstantTimeEq as _;

use super::Web;
use super::errors::{Fault, prefers_json};
use crate::store::Session;

/// The session's token; the database has only its hash.
pub(super) const SESSION: &str = "countermand_session";

/// Stands in the forms before a session, and comes back with them: a stranger's page can send a
/// form here, but can't read or set this.
pub(super) const ENTRY: &str = "countermand_entry";

/// An operator with a session that holds.
#[derive(Clone, Debug)]
pub(super) struct SignedIn {
    pub operator: Operator,
    pub session: Session,
    pub token: String,
    /// The page asks anew by itself: what is said once is kept for who looks.
    pub fragment: bool,
}

impl SignedIn {
    pub(super) fn actor(&self) -> Actor {
        Actor::Operator(self.operator.email.clone())
    }

    pub(super) fn is(&self, role: Role) -> bool {
        self.operator.roles.contains(&role)
    }

    pub(super) fn may(&self, act: Act) -> bool {
        act.allowed_to(&self.operator.roles)
    }
}

impl FromRequestParts<Arc<Web>> for SignedIn {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, web: &Arc<Web>) -> Result<Self, Response> {
        let found = match cookie(&parts.headers, SESSION) {
            Some(token) => web
                .app
                .session(&token)
                .await
                .map_err(|e| Fault::from(e).into_response())?
                .map(|(session, operator)| (token, session, operator)),
            None => None,
        };
        let Some((token, session, operator)) = found else {
            return Err(stranger(parts));
        };
        if !Act::Read.allowed_to(&operator.roles) {
            return Err(Fault::policy(format!("{} has no role", operator.email)).into_response());
        }
        Ok(SignedIn {
            operator,
            session,
            token,
            fragment: parts.headers.contains_key("x-fragment"),
        })
    }
}

/// A reader is led to the sign-in page and back; anything else is told no.
fn stranger(parts: &Parts) -> Response {
    let accept = parts
        .headers
        .get(axum::http::header::ACCEPT)
        .and_then(|v| v.to_str().ok())
        .unwrap_or("");
    let reads = parts.method == Method::GET
        && !prefers_json(&parts.headers)
        && !accept.contains("text/event-stream");
    if !reads {
        return Fault::stranger().into_response();
    }
    match parts.uri.path_and_query().map(|p| p.as_str()) {
        None | Some("/") => Redirect::to("/sign-in").into_response(),
        Some(next) => Redirect::to(&format!("/sign-in?next={}", encode(next))).into_response(),
    }
}

/// The fields of a form.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// What was sent under that name; nothing is an empty text.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0
            .iter()
            .find(|(n, _)| n == name)
            .map_or("", |(_, value)| value)
    }

    pub(super) fn is_from(&self, token: &str) -> bool {
        !token.is_empty() && bool::from(self.text("csrf").as_bytes().ct_eq(token.as_bytes()))
    }
}

impl FromRequest<Arc<Web>> for Fields {
    type Rejection = Response;

    async fn from_request(request: Request, web: &Arc<Web>) -> Result<Self, Response> {
        Form::from_request(request, web)
            .await
            .map(|Form(fields)| Fields(fields))
            .map_err(IntoResponse::into_response)
    }
}

/// A form that a signed-in operator sent from a page of this very session. No route that changes
/// anything takes less than this.
#[derive(Clone, Debug)]
pub(super) struct Posted {
    pub by: SignedIn,
    pub fields: Fields,
}

impl FromRequest<Arc<Web>> for Posted {
    type Rejection = Response;

    async fn from_request(request: Request, web: &Arc<Web>) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let by = SignedIn::from_request_parts(&mut parts, web).await?;
        let fields = Fields::from_request(Request::from_parts(parts, body), web).await?;
        if !fields.is_from(&by.session.csrf) {
            return Err(Fault::forged().into_response());
        }
        Ok(Posted { by, fields })
    }
}

pub(super) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(n, _)| *n == name)
        .map(|(_, value)| value.to_owned())
}

/// For this host and path, never for a script. Lax: a link from a mail may open the console,
/// a foreign page's form may not act in it.
pub(super) fn set_cookie(web: &Web, response: &mut Response, name: &str, value: &str) {
    let secure = if web.is_https() { "; Secure" } else { "" };
    let ends = if value.is_empty() { "; Max-Age=0" } else { "" };
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{ends}");
    // Names and values are ours: letters and hexadecimal digits.
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().append(SET_COOKIE, value);
    }
}

/// Whether one may be sent on to that address: a path of this console and nothing else.
pub(super) fn is_local(next: &str) -> bool {
    next.starts_with('/')
        && !next.starts_with("//")
        && !next.contains('\\')
        && next.chars().all(|c| !c.is_control() && c.is_ascii())
}

/// For a value in a query.
pub(super) fn encode(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                char::from(b).to_string()
            }
            _ => format!("%{b:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_of_this_console_is_local() {
        for next in ["/", "/orders/7Q2M", "/audit?order=7Q2M&page=2"] {
            assert!(is_local(next), "{next}");
        }
        for next in [
            "",
            "orders",
            "//evil.test",
            "/\\evil.test",
            "https://evil.test",
            "/a\r\nb",
            "/\tx",
        ] {
            assert!(!is_local(next), "{next:?}");
        }
    }

    #[test]
    fn a_query_survives_the_way_to_the_sign_in_page() {
        assert_eq!(
            encode("/audit?order=7Q2M&page=2"),
            "/audit%3Forder%3D7Q2M%26page%3D2"
        );
    }
}
