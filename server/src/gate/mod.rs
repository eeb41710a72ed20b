//! The front doors of mail: each asks for a verdict, each gets one in its own wire format.
//!
//! A door is answered from the index alone, so it goes on being answered while the database is away,
//! until the view is older than `max_view_age`. To add a door: a [`Route`], a file that turns its
//! question into an `ask::Asked` and the `ask::Outcome` into its answer, and a line in [`router`].

mod ask;
pub mod batch;
pub mod doveadm;
mod dovecot;
pub mod feed;
pub mod follow;
mod http;
mod keeper;
pub mod kick;
pub mod metrics;
mod nginx_mail;
pub mod page;
pub mod postfix;
pub mod probe;
mod record;
mod sessions;
pub mod spool;
pub mod wire;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::Entry;
use axum::http::{HeaderValue, Response, StatusCode};
use axum::middleware::{self, Next};
use axum::response::IntoResponse as _;
use axum::routing::any;
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

use crate::clock::Clock;
use crate::config::GateConfig;
use crate::live::Live;

use doveadm::Doveadm;
use metrics::{DoorFigures, Metrics};
use page::RefusedPage;
use record::Recorder;
use sessions::Sessions;

pub use keeper::{Keeper, KeeperError};

/// The header that proves that a proxy asks.
const SECRET: &str = "x-countermand-secret";

/// How old the view of the facts was, and of which version: on every answer.
const VIEW_AGE: &str = "x-countermand-view-age";
const VIEW_VERSION: &str = "x-countermand-view-version";

/// Longer than any answer takes, and no longer than the shipped configurations wait.
const LONGEST: Duration = Duration::from_secs(2);

/// Questions that are answered at once; more wait their turn.
const AT_ONCE: usize = 1024;

/// By which protocol a door asks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Route {
    /// Forward authentication: nginx, Caddy, Traefik, HAProxy, Envoy.
    Http,
    Dovecot,
    Postfix,
    NginxMail,
}

impl Route {
    pub const ALL: [Route; 4] = [
        Route::Http,
        Route::Dovecot,
        Route::Postfix,
        Route::NginxMail,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Route::Http => "http",
            Route::Dovecot => "dovecot",
            Route::Postfix => "postfix",
            Route::NginxMail => "nginx-mail",
        }
    }
}

/// What the doors ask.
pub struct Gate {
    live: Arc<Live>,
    clock: Arc<dyn Clock>,
    config: GateConfig,
    /// Where the person signs in to see why, without a slash at its end.
    public_url: String,
    page: RefusedPage,
    recorder: Recorder,
    sessions: Sessions,
    /// The mail server that can be told to end a session.
    doveadm: Option<Doveadm>,
    metrics: Metrics,
    turns: Semaphore,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate")
            .field("config", &self.config)
            .field("public_url", &self.public_url)
            .finish_non_exhaustive()
    }
}

impl Gate {
    /// `page` draws what a browser is shown when it was refused ([`page::plain`] will do).
    /// Somebody must run [`Gate::keep_recording`], or each refusal waits in vain for its record.
    #[expect(
        clippy::expect_used,
        reason = "the metrics' names are constants, and the unit test makes them"
    )]
    pub fn new(
        live: Arc<Live>,
        keeper: impl Into<Keeper>,
        clock: Arc<dyn Clock>,
        config: GateConfig,
        public_url: &str,
        page: RefusedPage,
    ) -> Arc<Gate> {
        let metrics = Metrics::new().expect("the metrics have valid names");
        let keeper = keeper.into();
        let recorder = Recorder::new(keeper, clock.clone(), metrics.waiting.clone());
        Arc::new(Gate {
            live,
            clock,
            sessions: Sessions::default(),
            doveadm: Doveadm::new(&config.doveadm),
            config,
            public_url: public_url.trim_end_matches('/').to_owned(),
            page,
            recorder,
            metrics,
            turns: Semaphore::new(AT_ONCE),
        })
    }

    /// Puts refusals on record, for ever.
    pub async fn keep_recording(self: Arc<Self>) {
        self.recorder.keep_writing().await;
    }

    /// Puts on record what is not yet: before an orderly end.
    pub async fn flush(&self) -> Result<(), KeeperError> {
        self.recorder.flush().await
    }

    /// How each door that was asked has fared since the start of this process.
    pub fn figures(&self) -> Vec<DoorFigures> {
        self.metrics.figures()
    }

    /// Web mail, say, which has asked at its own door for the person who reads.
    fn is_own_server(&self, remote: Option<IpAddr>) -> bool {
        remote.is_some_and(|ip| self.config.own_servers.contains(&ip))
    }

    /// The registry that `/metrics` writes out, with the figures of this moment.
    pub fn registry(&self) -> &prometheus::Registry {
        let age = self.live.age(self.clock.now());
        self.metrics.view_age.set(match age {
            Duration::MAX => f64::INFINITY,
            age => age.as_secs_f64(),
        });
        self.metrics.view_version.set(self.live.version());
        &self.metrics.registry
    }
}

/// The HTTP gates. Whatever fails here answers 503, so that the door does as its own configuration
/// says.
pub fn router(gate: Arc<Gate>) -> Router {
    Router::new()
        .route("/gate/http", any(http::verdict))
        .route("/gate/http/", any(http::verdict))
        .route("/gate/http/{*original}", any(http::verdict))
        .route("/gate/authz", any(http::authz))
        .route("/gate/authz/", any(http::authz))
        .route("/gate/authz/{*original}", any(http::authz))
        .route("/gate/eas-refused", any(http::eas_refused))
        .route("/gate/web-refused", any(http::web_refused))
        .route("/gate/dovecot", any(dovecot::policy))
        .route("/gate/nginx-mail", any(nginx_mail::verdict))
        .layer(middleware::from_fn_with_state(gate.clone(), guard))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            LONGEST,
        ))
        .layer(CatchPanicLayer::custom(
            |_: Box<dyn std::any::Any + Send>| no_verdict(),
        ))
        .with_state(gate)
}

/// Lets nobody ask who does not know the secret: a proxy makes every outsider a loopback peer.
async fn guard(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response<Body> {
    let shown = request
        .headers()
        .get(SECRET)
        .map_or(&[][..], |v| v.as_bytes());
    let secret = gate.config.secret.as_bytes();
    if secret.is_empty() || !bool::from(shown.ct_eq(secret)) {
        return stranger();
    }
    if let Some(answer) = gate.probed(&request) {
        return answer;
    }
    let version = gate.live.version();
    let mut response = match gate.turns.acquire().await {
        Ok(_turn) => next.run(request).await,
        Err(_) => no_verdict(),
    };
    let headers = response.headers_mut();
    headers.insert(VIEW_VERSION, HeaderValue::from(version));
    if let Entry::Vacant(entry) = headers.entry(VIEW_AGE) {
        entry.insert(in_seconds(gate.live.age(gate.clock.now())));
    }
    response
}

/// A view's age as answers carry it.
fn in_seconds(age: Duration) -> HeaderValue {
    let text = match age {
        Duration::MAX => "none".to_owned(),
        age => format!("{:.1}", age.as_secs_f64()),
    };
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("none"))
}

fn stranger() -> Response<Body> {
    (
        StatusCode::UNAUTHORIZED,
        "The gates answer whoever shows the header X-Countermand-Secret with the value of [gate] secret in \
         countermand.toml; this request did not. The configurations in deploy/ set it.\n",
    )
        .into_response()
}

fn no_verdict() -> Response<Body> {
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}
