//! The stream that tells an open page that something has changed; the page then asks again.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use countermand_core::actor::Act;
use futures_util::stream::{Stream, unfold};
use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::Web;
use super::errors::Fault;
use super::session::SignedIn;

/// While notices go out there are hundreds of commits a second; no reader follows more than this.
const REST: Duration = Duration::from_millis(300);

/// Proxies close what is silent for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// How often a stream asks whether its session still holds: it outlives a request by far.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

struct Watching {
    web: Arc<Web>,
    token: String,
    /// When the session was last known to hold.
    looked_at: Timestamp,
    changes: watch::Receiver<i64>,
    stopping: watch::Receiver<bool>,
    resting: bool,
    _place: OwnedSemaphorePermit,
}

impl Watching {
    /// The next version worth telling; `None` when the server stops or the session is over.
    async fn next(&mut self) -> Option<i64> {
        let resting = std::mem::replace(&mut self.resting, true);
        if resting {
            tokio::select! {
                // A sender that is gone never asks to stop.
                Ok(_) = self.stopping.wait_for(|stop| *stop) => return None,
                () = tokio::time::sleep(REST) => {}
            }
        }
        loop {
            let changed = tokio::select! {
                Ok(_) = self.stopping.wait_for(|stop| *stop) => return None,
                changed = self.changes.changed() => { changed.ok()?; true }
                () = tokio::time::sleep(LOOK_AGAIN) => false,
            };
            if !self.may_go_on().await {
                return None;
            }
            if changed {
                return Some(*self.changes.borrow_and_update());
            }
        }
    }

    /// A database that is away ends no stream: the pages themselves ask again.
    async fn may_go_on(&mut self) -> bool {
        let now = self.web.app.now();
        let age = Duration::try_from(now.duration_since(self.looked_at)).unwrap_or_default();
        if age < LOOK_AGAIN {
            return true;
        }
        self.looked_at = now;
        match self.web.app.session(&self.token).await {
            Ok(found) => found.is_some_and(|(_, by)| Act::Read.allowed_to(&by.roles)),
            Err(_) => true,
        }
    }
}

pub(super) async fn events(
    State(web): State<Arc<Web>>,
    by: SignedIn,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Fault> {
    let Ok(place) = web.memory.streams.clone().try_acquire_owned() else {
        return Err(Fault::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "Very many pages are open at this moment, so this one does not follow by itself.",
            "Load it anew to see what has changed.",
        ));
    };
    let watching = Watching {
        token: by.token,
        looked_at: web.app.now(),
        changes: web.app.live.subscribe(),
        stopping: web.stopping.clone(),
        resting: false,
        _place: place,
        web,
    };
    let stream = unfold(watching, |mut watching| async move {
        let version = watching.next().await?;
        let event = Event::default().event("changed").data(version.to_string());
        Some((Ok(event), watching))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}
