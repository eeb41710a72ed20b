//! Forward authentication: a proxy asks before it passes a request on, and shows what we say after a
//! refusal.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use axum::response::IntoResponse as _;
use countermand_core::verdict::{Channel, Decision, Question};

use super::ask::{Answer, Asked, Outcome};
use super::page::{self, RefusedInfo};
use super::wire::eas::EasRequest;
use super::wire::headers::{self, GateRequest, GateRequestError};
use super::wire::wbxml::{self, EasRefusal};
use super::{Gate, Route, VIEW_AGE, in_seconds};

/// An original request, as far as it can be read.
struct Original {
    asked: Asked,
    /// Asks what the server can do, and names no device: the phone has no right or wrong answer to
    /// give yet, and learns nothing but versions.
    is_bare_options: bool,
    eas: Option<EasRequest>,
}

/// `/gate/http`: 204 or 403. The body of a request is never read.
pub(super) async fn verdict(State(gate): State<Arc<Gate>>, request: Request) -> Response<Body> {
    let began = Instant::now();
    let original = read("/gate/http", &request);
    let (outcome, age) = gate.judge_original(&original, began).await;
    let status = match refusal(&outcome) {
        Ok(None) => StatusCode::NO_CONTENT,
        Ok(Some(_)) => StatusCode::FORBIDDEN,
        Err(NoVerdict) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut response = status.into_response();
    describe(response.headers_mut(), &outcome, age);
    response
}

/// `/gate/authz`, for proxies that ask once and show our own words: 200 (Envoy takes nothing else for a yes), or
/// 403 with what the client is shown, and in `X-Countermand-Show` the status that belongs to it.
pub(super) async fn authz(State(gate): State<Arc<Gate>>, request: Request) -> Response<Body> {
    let began = Instant::now();
    let original = read("/gate/authz", &request);
    let (outcome, age) = gate.judge_original(&original, began).await;
    let mut response = match refusal(&outcome) {
        Ok(None) => StatusCode::OK.into_response(),
        Err(NoVerdict) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Ok(Some(answer)) => {
            let mut shown = match original.asked.question.channel {
                Channel::Activesync => shown_to_phone(&original, answer),
                _ => shown_to_browser(&gate, answer),
            };
            let status = HeaderValue::from(shown.status().as_u16());
            shown.headers_mut().insert("x-countermand-show", status);
            *shown.status_mut() = StatusCode::FORBIDDEN;
            shown
        }
    };
    describe(response.headers_mut(), &outcome, age);
    response
}

/// `/gate/eas-refused`: what the phone is told, in the words of its command and protocol version.
pub(super) async fn eas_refused(State(gate): State<Arc<Gate>>, request: Request) -> Response<Body> {
    let original = read("/gate/eas-refused", &request);
    let (outcome, age) = gate.look_again(&original.asked);
    let Ok(Some(answer)) = refusal(&outcome) else {
        return come_again();
    };
    let mut response = shown_to_phone(&original, answer);
    describe(response.headers_mut(), &outcome, age);
    response
}

/// `/gate/web-refused`: what a browser is shown.
pub(super) async fn web_refused(State(gate): State<Arc<Gate>>, request: Request) -> Response<Body> {
    let original = read("/gate/web-refused", &request);
    let (outcome, age) = gate.look_again(&original.asked);
    let Ok(Some(answer)) = refusal(&outcome) else {
        return come_again();
    };
    let mut response = shown_to_browser(&gate, answer);
    describe(response.headers_mut(), &outcome, age);
    response
}

/// The door does as its own configuration says.
struct NoVerdict;

/// The answer, if it is to refuse.
fn refusal(outcome: &Outcome) -> Result<Option<&Answer>, NoVerdict> {
    match outcome {
        Outcome::NoVerdict(_) => Err(NoVerdict),
        Outcome::Answer(answer) if answer.decision == Decision::Deny => Ok(Some(answer)),
        Outcome::Answer(_) => Ok(None),
    }
}

fn shown_to_phone(original: &Original, answer: &Answer) -> Response<Body> {
    let command = original.eas.as_ref().and_then(|e| e.command.as_deref());
    let protocol = original.eas.as_ref().and_then(|e| e.protocol);
    let no_store = (header::CACHE_CONTROL, "no-store");
    match wbxml::refusal(command.unwrap_or_default(), protocol) {
        EasRefusal::Wbxml(body) => {
            let headers = [(header::CONTENT_TYPE, wbxml::MEDIA_TYPE), no_store];
            (headers, body).into_response()
        }
        EasRefusal::Http403 => {
            (StatusCode::FORBIDDEN, [no_store], answer.line.clone()).into_response()
        }
    }
}

fn shown_to_browser(gate: &Gate, answer: &Answer) -> Response<Body> {
    let html = (gate.page)(&RefusedInfo::of(gate, answer));
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, page::POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (StatusCode::FORBIDDEN, headers, html).into_response()
}

/// Between the refusal and this page the facts, or the age of the view, have changed.
fn come_again() -> Response<Body> {
    let headers = [
        (header::RETRY_AFTER, "1"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let text = "This has changed just now. Try once more.\n";
    (StatusCode::SERVICE_UNAVAILABLE, headers, text).into_response()
}

impl Gate {
    async fn judge_original(&self, original: &Original, began: Instant) -> (Outcome, Duration) {
        if original.is_bare_options {
            self.let_in(Route::Http, &original.asked, began)
        } else {
            self.answer(Route::Http, &original.asked, began).await
        }
    }

    /// Counts what is let in without a question to the index.
    fn let_in(&self, route: Route, asked: &Asked, began: Instant) -> (Outcome, Duration) {
        let now = self.clock.now();
        let answered = super::metrics::Answered::Allow;
        let channel = asked.question.channel;
        self.metrics
            .count(route, channel, answered, now, began.elapsed());
        let answer = Answer::open(super::ask::nothing());
        (Outcome::Answer(Box::new(answer)), self.live.age(now))
    }

    /// The same question once more, neither counted nor recorded: the refusal was.
    fn look_again(&self, asked: &Asked) -> (Outcome, Duration) {
        let now = self.clock.now();
        let age = self.live.age(now);
        (self.judge(asked, now, age), age)
    }
}

fn describe(headers: &mut HeaderMap, outcome: &Outcome, age: Duration) {
    let mut put = |name: &'static str, value: &str| {
        // A line of ASCII always fits.
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    if let Outcome::NoVerdict(why) = outcome {
        put("x-countermand-reason", why);
    }
    if let Outcome::Answer(answer) = outcome {
        put("x-countermand-decision", answer.decision.as_str());
        put("x-countermand-reason", &answer.line);
        if let Some(reference) = &answer.reference {
            put("x-countermand-ref", reference);
        }
    }
    headers.insert(VIEW_AGE, in_seconds(age));
}

fn read(route: &str, request: &Request) -> Original {
    let call = request
        .uri()
        .path_and_query()
        .map_or("", |call| call.as_str());
    match GateRequest::read(route, call, request.headers()) {
        Ok(read) => understood(route, request, read),
        Err(error) => garbled(request, &error),
    }
}

fn understood(route: &str, request: &Request, read: GateRequest) -> Original {
    let asked = Asked::of(read.person, &read.keys, read.channel, read.vouched);
    // Where the path of the call is the original one, so is its method; a header could be the client's.
    let is_original = request.uri().path().len() > route.len() + 1;
    let is_options = request.method() == Method::OPTIONS || (read.is_options && !is_original);
    Original {
        is_bare_options: is_options
            && asked.question.keys.is_empty()
            && !asked.garbled
            && read.eas.is_some(),
        asked,
        eas: read.eas,
    }
}

fn garbled(request: &Request, error: &GateRequestError) -> Original {
    // Not a warning: anybody can send nonsense, as often as they like.
    tracing::info!(%error, "a door's question can't be read; it is judged as of an unknown device");
    Original {
        is_bare_options: false,
        asked: Asked {
            question: Question {
                person: headers::person_of(request.headers()),
                keys: Vec::new(),
                channel: match error {
                    GateRequestError::Eas(_) => Channel::Activesync,
                    _ => Channel::Web,
                },
            },
            vouched: false,
            garbled: true,
        },
        eas: None,
    }
}
