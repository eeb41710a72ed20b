//! The main server's side of gate-only servers: gives out the view, and takes in what they have to put on record.
//!
//! Without a secret in `[follow]` there is none of it. Who does not show the secret is told nothing.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::IntoResponse as _;
use axum::routing::{get, post};
use countermand_core::actor::Actor;
use countermand_core::change::Commit;
use countermand_core::index::Fact;
use countermand_core::verdict::GatePolicy;
use serde::Deserialize;
use serde_json::json;
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tower_http::catch_panic::CatchPanicLayer;

use super::batch::Batch;
use crate::clock::Clock;
use crate::live::Live;
use crate::live::part::{FORMAT, Part, name_of};
use crate::store::{Followed, Store};

/// How long a question waits for news: so news comes at once, and each answer says that the view is current.
const WAIT: Duration = Duration::from_millis(500);
/// Views of everything that are made at once.
const AT_ONCE: usize = 2;
/// More than any batch.
const LARGEST: usize = 16 * 1024 * 1024;

/// What the body of a view is; another number is not understood.
pub(super) fn media_type() -> String {
    format!("application/vnd.countermand.view; format={FORMAT}")
}

pub struct Feed {
    live: Arc<Live>,
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    policy: GatePolicy,
    installation: String,
    secret: String,
    turns: Semaphore,
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").finish_non_exhaustive()
    }
}

impl Feed {
    /// `None` without a secret.
    pub fn new(
        live: Arc<Live>,
        store: Arc<Store>,
        clock: Arc<dyn Clock>,
        policy: GatePolicy,
        installation: String,
        secret: &str,
    ) -> Option<Arc<Feed>> {
        let secret = Some(secret).filter(|secret| !secret.is_empty())?;
        Some(Arc::new(Feed {
            live,
            store,
            clock,
            policy,
            installation,
            secret: secret.to_owned(),
            turns: Semaphore::new(AT_ONCE),
        }))
    }
}

pub fn router(feed: Arc<Feed>) -> Router {
    Router::new()
        .route("/api/v1/view", get(view))
        .route("/api/v1/refusals", post(take))
        .layer(DefaultBodyLimit::max(LARGEST))
        .layer(middleware::from_fn_with_state(feed.clone(), guard))
        .layer(CatchPanicLayer::custom(
            |_: Box<dyn std::any::Any + Send>| away("something went wrong here"),
        ))
        .with_state(feed)
}

async fn guard(State(feed): State<Arc<Feed>>, request: Request, next: Next) -> Response<Body> {
    let shown = request.headers().get(header::AUTHORIZATION);
    let shown = shown.map_or(&[][..], |value| value.as_bytes());
    let shown = shown.strip_prefix(b"Bearer ").unwrap_or_default();
    if bool::from(shown.ct_eq(feed.secret.as_bytes())) {
        return next.run(request).await;
    }
    let detail = "This is for gate-only servers, which show [follow] secret as a Bearer token. It must be the same in the config of both.";
    let mut response = problem(StatusCode::UNAUTHORIZED, "Not for strangers", detail);
    let bearer = HeaderValue::from_static("Bearer");
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, bearer);
    response
}

/// How a main server says what it does not take (RFC 9457).
pub(super) const PROBLEM: &str = "application/problem+json";

fn problem(status: StatusCode, title: &str, detail: &str) -> Response<Body> {
    let problem = json!({
        "type": "about:blank",
        "title": title,
        "status": status.as_u16(),
        "detail": detail,
    });
    let headers = [
        (header::CONTENT_TYPE, PROBLEM),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, problem.to_string()).into_response()
}

fn away(detail: &str) -> Response<Body> {
    problem(
        StatusCode::SERVICE_UNAVAILABLE,
        "The facts can't be read now",
        detail,
    )
}

#[derive(Deserialize)]
struct Asked {
    since: Option<i64>,
    installation: Option<String>,
    /// The name of the policy.
    policy: Option<String>,
}

/// 200 with everything, or with what changed after `since`; 204 where nothing did.
async fn view(State(feed): State<Arc<Feed>>, Query(asked): Query<Asked>) -> Response<Body> {
    let is_ours = asked.installation.as_ref() == Some(&feed.installation)
        && asked.policy == Some(name_of(&feed.policy));
    match asked.since.filter(|_| is_ours) {
        Some(since) => feed.news(since).await,
        None => feed.everything().await,
    }
}

impl Feed {
    async fn everything(&self) -> Response<Body> {
        let Ok(_turn) = self.turns.acquire().await else {
            return away("the server is about to end");
        };
        match self.store.load().await {
            Ok(all) => self.part(None, all).await,
            Err(_) => away("the database does not answer"),
        }
    }

    async fn news(&self, since: i64) -> Response<Body> {
        let mut versions = self.live.subscribe();
        let _ = timeout(WAIT, versions.wait_for(|version| *version != since)).await;
        if self.live.version() == since {
            let age = self.live.age(self.clock.now());
            let headers = [("x-countermand-view-age", age.as_secs_f64().to_string())];
            return (StatusCode::NO_CONTENT, headers).into_response();
        }
        match self.store.follow(since).await {
            Ok(Some(news)) => self.part(Some(since), news).await,
            Ok(None) => {
                let headers = [("x-countermand-view-age", "0")];
                (StatusCode::NO_CONTENT, headers).into_response()
            }
            Err(_) => away("the database does not answer"),
        }
    }

    async fn part(&self, since: Option<i64>, mut followed: Followed) -> Response<Body> {
        // So that the index knows of every fact among these whether it concerns a verdict.
        if self.live.follow().await.is_err() {
            return away("the database does not answer");
        }
        let concern = {
            let view = self.live.view();
            if followed.anew {
                // Until somebody has set a mode, the config's holds, and stands in no fact.
                let settings = Fact::Settings(view.settings().clone());
                followed.facts.push(settings);
            }
            view.concern(&followed.facts)
        };
        let part = Part {
            since: since.filter(|_| !followed.anew),
            version: followed.version,
            installation: self.installation.clone(),
            policy: self.policy.clone(),
            facts: concern.for_gates(followed.facts),
        };
        match part.encode() {
            Ok(bytes) => {
                let headers = [
                    (header::CONTENT_TYPE.as_str(), media_type()),
                    (header::CACHE_CONTROL.as_str(), "no-store".to_owned()),
                    ("x-countermand-view-age", "0".to_owned()),
                ];
                (headers, bytes).into_response()
            }
            Err(_) => away("the facts can't be put into words"),
        }
    }
}

/// Takes in what a gate-only server has to put on record. 204: it is.
async fn take(State(feed): State<Arc<Feed>>, body: Bytes) -> Response<Body> {
    let batch: Batch = match serde_json::from_slice(&body) {
        Ok(batch) => batch,
        Err(_) => {
            let detail = "The body is no batch of a gate-only server of this version.";
            return problem(StatusCode::BAD_REQUEST, "Not readable", detail);
        }
    };
    if batch.installation != feed.installation {
        let detail = "These are refusals of people of another installation, or from before a backup took the database's place.";
        return problem(StatusCode::CONFLICT, "Not ours", detail);
    }
    // A person or an order that the gate knows may be younger than our view.
    if feed.live.follow().await.is_err() {
        return away("the database does not answer");
    }
    if let Err(why) = batch.check(&feed.live.view()) {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, "Makes no sense", &why);
    }
    for change in batch.changes(feed.clock.now()) {
        let commit = Commit {
            actor: Actor::System("gate".to_owned()),
            at: feed.clock.now(),
            change,
        };
        if feed.store.commit(&commit).await.is_err() {
            return away("the database does not answer");
        }
    }
    StatusCode::NO_CONTENT.into_response()
}
