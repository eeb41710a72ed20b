//! Whether the program lives, and whether it can be asked.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::Web;
use super::errors::as_is;

/// A view older than this is no base for a first answer.
const OLDEST_VIEW: Duration = Duration::from_secs(10);

pub(super) async fn alive() -> &'static str {
    "ok\n"
}

pub(super) async fn ready(State(web): State<Arc<Web>>) -> Response {
    let live = &web.app.live;
    let age = live.age(web.app.now());
    if live.version() < 0 {
        as_is((
            StatusCode::SERVICE_UNAVAILABLE,
            "the index is not loaded yet\n".to_owned(),
        ))
    } else if age >= OLDEST_VIEW {
        as_is((
            StatusCode::SERVICE_UNAVAILABLE,
            format!(
                "the view is {} s old; the database does not answer\n",
                age.as_secs()
            ),
        ))
    } else {
        as_is((StatusCode::OK, "ready\n".to_owned()))
    }
}
