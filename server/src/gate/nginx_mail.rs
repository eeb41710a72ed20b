//! nginx's mail proxy (`auth_http`): IMAP, POP3 and submission for fleets whose devices show certificates.
//!
//! nginx asks before the mail server has checked the password. So only a certificate that nginx has
//! verified vouches for anybody; without one, a refusal names no app.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use axum::response::IntoResponse as _;
use countermand_core::verdict::{Channel, Decision};

use super::ask::{Asked, Outcome};
use super::wire::nginx_mail::{self as wire, MailProxyRequest};
use super::{Gate, Route};

/// `/gate/nginx-mail`: always 200; nginx reads the answer from headers.
pub(super) async fn verdict(State(gate): State<Arc<Gate>>, request: Request) -> Response<Body> {
    let began = Instant::now();
    let (asked, protocol) = match MailProxyRequest::read(request.headers()) {
        Ok(read) => {
            let protocol = read.channel;
            // Only a certificate vouches for anybody; a key that can't be read is none.
            let mut asked = Asked::of(read.login, &read.keys, protocol, true);
            asked.vouched = !asked.question.keys.is_empty();
            (asked, protocol)
        }
        Err(error) => {
            tracing::warn!(%error, "nginx's question can't be read; it is judged as of an unknown device");
            (Asked::unreadable(Channel::Imap), Channel::Imap)
        }
    };
    let (outcome, _) = gate.answer(Route::NginxMail, &asked, began).await;
    let mut headers = HeaderMap::new();
    let mut put = |name: &'static str, value: &str| {
        // A line of ASCII always fits.
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    match outcome {
        // auth_http has no way to let in by itself: nginx answers its client with a temporary error.
        Outcome::NoVerdict(why) => {
            return (StatusCode::SERVICE_UNAVAILABLE, why).into_response();
        }
        Outcome::Answer(answer) if answer.decision == Decision::Deny => {
            put("auth-status", &wire::reason(&answer.line));
            if protocol == Channel::Submission {
                put("auth-error-code", "535 5.7.1");
            }
        }
        Outcome::Answer(_) => match gate.config.nginx_mail.server(protocol) {
            Some(server) => {
                put("auth-status", "OK");
                put("auth-server", &server.ip().to_string());
                put("auth-port", &server.port().to_string());
            }
            None => {
                tracing::error!(
                    %protocol,
                    "nginx asks where to pass a login on to, and [gate.nginx_mail] in countermand.toml does not say"
                );
                return StatusCode::SERVICE_UNAVAILABLE.into_response();
            }
        },
    }
    (StatusCode::OK, headers).into_response()
}
