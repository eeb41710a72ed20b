//! One request over one connection, and the truth of how far it came. No proxy, no redirect, no cookie:
//! what a channel's config names is what is spoken to.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::time::timeout;

use super::config::Target;
use crate::outbox::lease::Held;
use crate::trust;

/// An answer is read no further: all that matters of it is short.
const LONGEST_ANSWER: usize = 64 * 1024;

/// A request, but for where it goes.
pub(super) struct Call {
    pub method: Method,
    /// With the query.
    pub path: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: u16,
    pub retry_after: Option<String>,
    pub body: Vec<u8>,
}

/// Why nothing came back.
#[derive(Debug)]
pub(super) enum Failure {
    /// Not a byte of the request left.
    NotSent(String),
    /// Some of it, or all of it, may have arrived.
    Lost(String),
}

/// How long to wait, for a connection and then for the answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub connect: Duration,
    pub answer: Duration,
}

pub(super) async fn send(
    target: &Target,
    tls: &Option<Arc<ClientConfig>>,
    call: Call,
    patience: Patience,
    held: &Held,
) -> Result<Answer, Failure> {
    let stream = trust::connect(&target.host, target.port, tls.clone());
    let connected = timeout(patience.connect, stream).await;
    let stream = connected
        .unwrap_or_else(|_| Err(format!("no connection within {:?}", patience.connect)))
        .map_err(|why| Failure::NotSent(format!("{}: {why}", target.authority)))?;
    let request = request(target, call).map_err(Failure::NotSent)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| Failure::NotSent(format!("{}: {error}", target.authority)))?;
    // Ends with this call, whatever the other side does.
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(connection);
    if !held.stands() {
        return Err(Failure::NotSent(
            "not sent: the sender slept past its lease".to_owned(),
        ));
    }
    // From here on nobody can say what arrived, unless the other side does.
    let lost = |why: String| Failure::Lost(format!("{}: {why}", target.authority));
    let response = timeout(patience.answer, sender.send_request(request))
        .await
        .map_err(|_| lost(format!("no answer within {:?}", patience.answer)))?
        .map_err(|error| {
            lost(format!(
                "the connection was lost before the answer: {error}"
            ))
        })?;
    let header = |name: &str| {
        let value = response.headers().get(name)?;
        value.to_str().ok().map(str::to_owned)
    };
    let (status, retry_after) = (response.status().as_u16(), header("retry-after"));
    // The status has said it; the rest is for the record.
    let body = Limited::new(response.into_body(), LONGEST_ANSWER).collect();
    let body = match timeout(patience.answer, body).await {
        Ok(Ok(body)) => body.to_bytes().to_vec(),
        Ok(Err(_)) | Err(_) => Vec::new(),
    };
    Ok(Answer {
        status,
        retry_after,
        body,
    })
}

fn request(target: &Target, call: Call) -> Result<Request<Full<Bytes>>, String> {
    let mut request = Request::builder()
        .method(call.method)
        .uri(call.path)
        .header("host", &target.authority)
        .header(
            "user-agent",
            concat!("countermand/", env!("CARGO_PKG_VERSION")),
        )
        .header("content-type", "application/json")
        .header("connection", "close");
    for (name, value) in call.headers {
        request = request.header(name, value);
    }
    // Not the error's own words: they may show the token.
    request
        .body(Full::new(Bytes::from(call.body)))
        .map_err(|_| "its url, room or token has a character that no request can hold".to_owned())
}
