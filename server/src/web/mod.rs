//! What a browser sees: the console, the statements, and the signing in before them.

mod account;
pub mod assets;
mod client;
mod console;
mod errors;
mod events;
mod headers;
mod health;
mod limit;
mod memory;
pub mod pages;
pub mod routes;
mod session;
mod statement;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use jiff::Timestamp;
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

use crate::app::App;
use crate::outbox::rehearsal::Rehearsal;

pub use memory::Memory;
use routes::{Kind, TABLE};

/// No form of the console comes near this.
const LARGEST_BODY: usize = 1024 * 1024;

/// Nor does a form without a session, which any stranger may send, come near this.
const LARGEST_ENTRY: usize = 16 * 1024;

/// Longer than the store waits for a connection, so that its own words reach the page.
const PATIENCE: Duration = Duration::from_secs(35);

/// How one door fares, as whoever keeps it has counted. Given in, since doors and pages know
/// nothing of each other.
#[derive(Clone, Debug, Default)]
pub struct DoorFigures {
    /// `ActiveSync · nginx`
    pub name: String,
    pub asked: u64,
    pub let_in: u64,
    pub warned: u64,
    pub refused: u64,
    /// Let in by the observe mode alone.
    pub would_refuse: u64,
    pub p99: Option<Duration>,
    /// How old the view was with which it last answered.
    pub view_age: Option<Duration>,
}

/// What the pages work with.
pub struct Web {
    pub app: App,
    pub doors: Arc<dyn Fn() -> Vec<DoorFigures> + Send + Sync>,
    /// The maildir that the transport `mailbox` writes to.
    pub mailbox: Option<PathBuf>,
    /// The way of tests; absent, there are none.
    pub rehearsal: Option<Rehearsal>,
    /// The made-up company: its operators sign in with one click, from this machine only.
    pub demo: bool,
    /// Turns true when the server is asked to stop: streams end then, so that it can.
    pub stopping: watch::Receiver<bool>,
    /// Since when the doors are counted.
    pub started: Timestamp,
    pub memory: Memory,
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Web")
            .field("app", &self.app)
            .field("mailbox", &self.mailbox)
            .field("demo", &self.demo)
            .finish_non_exhaustive()
    }
}

impl Web {
    /// With no doors, no mailbox, and nothing that asks it to stop.
    pub fn new(app: App) -> Web {
        let started = app.now();
        Web {
            app,
            doors: Arc::new(Vec::new),
            mailbox: None,
            rehearsal: None,
            demo: false,
            stopping: watch::channel(false).1,
            started,
            memory: Memory::default(),
        }
    }

    /// Whether browsers reach this by TLS only, so that a cookie may ask for it.
    fn is_https(&self) -> bool {
        self.app.config.server.public_url.starts_with("https://")
    }
}

/// Every page, from the one table of routes.
pub fn router(web: Arc<Web>) -> Router {
    let mut pages = Router::new();
    let mut streams = Router::new();
    for route in TABLE {
        let serve = (route.serve)();
        match route.kind {
            Kind::Stream => streams = streams.route(route.path, serve),
            Kind::Entry | Kind::Notice => {
                let serve = serve.layer(DefaultBodyLimit::max(LARGEST_ENTRY));
                pages = pages.route(route.path, serve);
            }
            _ => pages = pages.route(route.path, serve),
        }
    }
    pages
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            PATIENCE,
        ))
        .merge(streams)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(CatchPanicLayer::custom(errors::panicked))
        .layer(from_fn_with_state(web.clone(), errors::dress))
        .layer(from_fn(headers::secure))
        .with_state(web)
}
