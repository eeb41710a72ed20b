//! From what went wrong to a page, or to `application/problem+json` for who prefers that.

use std::any::Any;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use countermand_core::id::crockford;
use serde_json::json;

use super::Web;
use super::pages::ErrorPage;
use crate::app::AppError;
use crate::outbox::maildir::ReadError;
use crate::store::StoreError;

/// Why a request was not served. Nothing was changed.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub status: StatusCode,
    pub what: String,
    pub mend: &'static str,
    /// For the log alone: it may name what is nobody's business.
    pub detail: Option<String>,
}

/// What a handler gives.
pub(super) type Answer = Result<Response, Fault>;

const UNCHANGED: &str = "Nothing has changed. Go back, mend it, and try again.";
const NOT_YOURS: &str = "Nothing has changed. Ask somebody who may, or ask an admin for the role.";
const TRY_AGAIN: &str = "Try again in a moment. If it stays so, give the reference below to whoever runs this installation: the log tells more.";

impl Fault {
    pub(super) fn new(status: StatusCode, what: impl Into<String>, mend: &'static str) -> Fault {
        Fault {
            status,
            what: what.into(),
            mend,
            detail: None,
        }
    }

    pub(super) fn input(what: impl Into<String>) -> Fault {
        Fault::new(StatusCode::UNPROCESSABLE_ENTITY, what, UNCHANGED)
    }

    pub(super) fn policy(what: impl Into<String>) -> Fault {
        Fault::new(StatusCode::FORBIDDEN, what, NOT_YOURS)
    }

    pub(super) fn nothing_here(what: impl Into<String>) -> Fault {
        Fault::new(
            StatusCode::NOT_FOUND,
            what,
            "Check the address, or look for it in the list.",
        )
    }

    pub(super) fn failed(detail: impl Into<String>) -> Fault {
        Fault {
            detail: Some(detail.into()),
            ..Fault::bare(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }

    pub(super) fn stranger() -> Fault {
        Fault::new(
            StatusCode::UNAUTHORIZED,
            "Only an operator who has signed in may do this, and a session ends after twelve hours.",
            "Sign in, then try again. Nothing has changed.",
        )
    }

    pub(super) fn forged() -> Fault {
        Fault::new(
            StatusCode::FORBIDDEN,
            "This form was not given out by this session.",
            "Nothing has changed. Open the page anew and send it from there; cookies must be allowed.",
        )
    }

    /// For an answer that came without words of ours.
    fn bare(status: StatusCode) -> Fault {
        let (what, mend) = match status {
            StatusCode::NOT_FOUND => (
                "There is no page at this address.",
                "Check the address, or begin with the orders.",
            ),
            StatusCode::METHOD_NOT_ALLOWED => (
                "This address does not take that kind of request.",
                "Open the page that the form stands on, and send it from there.",
            ),
            StatusCode::PAYLOAD_TOO_LARGE => (
                "That was more than this form takes.",
                "Send less; nothing has changed.",
            ),
            StatusCode::SERVICE_UNAVAILABLE => ("This took too long.", TRY_AGAIN),
            status if status.is_client_error() => (
                "The request could not be read.",
                "Open the page that the form stands on, and send it from there.",
            ),
            _ => ("This could not be done just now.", TRY_AGAIN),
        };
        Fault::new(status, what, mend)
    }
}

impl From<AppError> for Fault {
    fn from(error: AppError) -> Self {
        match error {
            AppError::Input(_) | AppError::Problems(_) => Fault::input(error.to_string()),
            AppError::Policy(what) => Fault::policy(what),
            AppError::Failed(detail) => Fault::failed(detail),
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(what) => Fault::nothing_here(what),
            other => Fault::failed(other.to_string()),
        }
    }
}

impl From<ReadError> for Fault {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Id(_) | ReadError::Missing(_) => Fault::nothing_here(error.to_string()),
            ReadError::Malformed(_) | ReadError::Io { .. } => Fault::failed(error.to_string()),
        }
    }
}

impl From<askama::Error> for Fault {
    fn from(error: askama::Error) -> Self {
        Fault::failed(format!("a page did not render: {error}"))
    }
}

impl IntoResponse for Fault {
    /// Only a mark: [`dress`] knows what the reader prefers, and writes the page.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// A handler panicked. The message goes to the log; the other requests go on.
pub(super) fn panicked(cause: Box<dyn Any + Send + 'static>) -> Response {
    let words = cause
        .downcast_ref::<String>()
        .map(String::as_str)
        .or(cause.downcast_ref::<&str>().copied())
        .unwrap_or("no words");
    Fault::failed(format!("a handler panicked: {words}")).into_response()
}

/// Marks an answer whose status is no success and whose body is nevertheless meant.
#[derive(Clone, Copy, Debug)]
struct AsIs;

pub(super) fn as_is(answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    response.extensions_mut().insert(AsIs);
    response
}

/// Gives every failure its page, its reference, and its line in the log.
pub(super) async fn dress(State(web): State<Arc<Web>>, request: Request, next: Next) -> Response {
    let json = prefers_json(request.headers()) || request.uri().path().ends_with(".json");
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = next.run(request).await;
    let fault = match response.extensions_mut().remove::<Fault>() {
        Some(fault) => fault,
        None if response.status().as_u16() >= 400
            && response.extensions().get::<AsIs>().is_none() =>
        {
            Fault::bare(response.status())
        }
        None => return response,
    };
    let code = crockford(web.app.ids.uuid().as_u128() as u64, 6);
    let reference = format!("E-{}-{}", &code[..4], &code[4..]);
    if fault.status.is_server_error() {
        let detail = fault.detail.as_deref().unwrap_or(&fault.what);
        tracing::error!(%reference, %method, %path, status = fault.status.as_u16(), detail, "a request failed");
    } else {
        tracing::info!(%reference, %method, %path, status = fault.status.as_u16(), "a request was refused");
    }
    let mut dressed = if json {
        problem(&fault, &reference)
    } else {
        page(fault, reference)
    };
    // Cookies and `Retry-After` that came with the failure stay.
    for (name, value) in response.headers() {
        if name != CONTENT_TYPE && name != axum::http::header::CONTENT_LENGTH {
            dressed.headers_mut().append(name.clone(), value.clone());
        }
    }
    dressed
}

fn page(fault: Fault, reference: String) -> Response {
    let page = ErrorPage {
        status: fault.status.as_u16(),
        what: fault.what,
        mend: fault.mend.to_owned(),
        reference,
    };
    match askama::Template::render(&page) {
        Ok(html) => (fault.status, axum::response::Html(html)).into_response(),
        Err(_) => (fault.status, format!("{} {}", page.what, page.reference)).into_response(),
    }
}

fn problem(fault: &Fault, reference: &str) -> Response {
    let body = json!({
        "type": "about:blank",
        "title": fault.status.canonical_reason().unwrap_or("Error"),
        "status": fault.status.as_u16(),
        "detail": format!("{} {}", fault.what, fault.mend),
        "reference": reference,
    });
    let mut response = (fault.status, body.to_string()).into_response();
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    response
}

pub(super) fn prefers_json(headers: &HeaderMap) -> bool {
    let accept = headers
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    !accept.contains("text/html")
        && (accept.contains("application/json") || accept.contains("application/problem+json"))
}
