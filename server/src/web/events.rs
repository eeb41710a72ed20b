//! The stream that tells an open page that something has changed; the page then asks again.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{Stream, unfold};
use tokio::sync::watch;

use super::Web;
use super::session::SignedIn;

/// While notices go out there are hundreds of commits a second; no reader follows more than this.
const REST: Duration = Duration::from_millis(300);

/// Proxies close what is silent for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

struct Watching {
    changes: watch::Receiver<i64>,
    stopping: watch::Receiver<bool>,
    resting: bool,
}

impl Watching {
    /// The next version worth telling; `None` when the server stops.
    async fn next(&mut self) -> Option<i64> {
        let stopping = &mut self.stopping;
        let changes = &mut self.changes;
        let resting = std::mem::replace(&mut self.resting, true);
        let wait = async {
            if resting {
                tokio::time::sleep(REST).await;
            }
            changes.changed().await.ok()
        };
        tokio::select! {
            // A sender that is gone never asks to stop.
            Ok(_) = stopping.wait_for(|stop| *stop) => None,
            changed = wait => { changed?; Some(*self.changes.borrow_and_update()) }
        }
    }
}

pub(super) async fn events(
    State(web): State<Arc<Web>>,
    _by: SignedIn,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let watching = Watching {
        changes: web.app.live.subscribe(),
        stopping: web.stopping.clone(),
        resting: false,
    };
    let stream = unfold(watching, |mut watching| async move {
        let version = watching.next().await?;
        let event = Event::default().event("changed").data(version.to_string());
        Some((Ok(event), watching))
    });
    Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}
