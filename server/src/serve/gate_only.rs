//! `serve --gate-only`: the doors of another server, beside the mail server. It has no database; it follows the
//! main server, and goes on without it from the last view on its disk.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use countermand_core::duration::Length;
use tokio::task::JoinSet;

use super::{answer, doors, listen, metrics, stop_signal};
use crate::clock::Clock;
use crate::config::Config;
use crate::gate::follow::{Caller, Follower, keep_handing_over};
use crate::gate::spool::{self, Spool};
use crate::gate::{self, Gate, Keeper};
use crate::live::Live;
use crate::live::disk::{self, Disk, DiskError};
use crate::live::part::Part;

/// Serves until asked to stop.
pub async fn gate_only(config: Config, data: &Path, clock: Arc<dyn Clock>) -> Result<()> {
    let follow = &config.follow;
    let caller = || Caller::new(follow).map_err(|why| anyhow::anyhow!("[follow] {why}"));
    let (news, spooled) = (caller()?, caller()?);
    // First, so that no two processes work in one folder.
    let listener = listen(&config.server.listen).await?;
    let stopping = stop_signal();
    std::fs::create_dir_all(data).with_context(|| data.display().to_string())?;

    let live = Live::to_be_fed(clock.clone());
    let (disk, last) = restore(&live, &data.join(disk::FILE))?;
    let folder = data.join(spool::FOLDER);
    let spool = Spool::open(&folder, live.clone())
        .with_context(|| format!("the spool {}", folder.display()))?;
    let gate = Gate::new(
        live.clone(),
        Keeper::Spool(spool.clone()),
        clock.clone(),
        config.gate.clone(),
        &config.server.public_url,
        Box::new(doors::page),
    );
    let figures = gate.registry();
    spool.register(figures)?;
    let follower = Follower::new(live.clone(), disk, last, news, clock.clone(), figures)?;
    let mut tasks = JoinSet::new();
    tasks.spawn(follower.keep_following());
    tasks.spawn(keep_handing_over(spool.clone(), spooled));
    tasks.spawn(gate.clone().keep_recording());
    tasks.spawn(gate.clone().keep_kicking());
    doors::open_for_postfix(&config.gate, data, &gate, &mut tasks).await?;
    eprintln!(
        "The doors are answered at http://{}; the main server is {}",
        config.server.listen, follow.url
    );
    let router = gate::router(gate.clone())
        .merge(health(live, clock, config.gate.max_view_age))
        .route("/metrics", metrics(gate.clone()));
    answer(listener, router, stopping).await?;
    // What was not yet written goes to the spool, and from there to the main server at the next start.
    spool.end();
    gate.flush().await.context(
        "refusals that are not on disk are lost with this process: no reference of theirs can be looked up, and no retraction corrects their people",
    )
}

/// Feeds the index with what an earlier process left on disk.
fn restore(live: &Live, path: &Path) -> Result<(Disk, Option<Part>)> {
    match Disk::open(path) {
        Ok(Some((disk, stored))) => {
            let mut last = None;
            for part in stored.parts {
                last = Some(part.head());
                live.feed(part, stored.seen_at);
            }
            Ok((disk, last))
        }
        Ok(None) => Ok((Disk::empty(path), None)),
        // Half a view would open some doors and close others. None at all is what each door has a setting for.
        Err(refused @ DiskError::Refused { .. }) => {
            eprintln!(
                "countermand: {refused}. Until that answers there is no verdict, and each door does as its own configuration says."
            );
            Disk::put_aside(path).with_context(|| path.display().to_string())?;
            Ok((Disk::empty(path), None))
        }
        Err(error) => Err(error.into()),
    }
}

/// For who watches the process. It is ready where the doors get verdicts.
fn health(live: Arc<Live>, clock: Arc<dyn Clock>, max_view_age: Length) -> Router {
    let ready = get(move || {
        let (age, now) = (live.age(clock.now()), clock.now());
        async move {
            match now.checked_sub(age) {
                Ok(fresh_at) if max_view_age.after(fresh_at) >= now => {
                    (StatusCode::OK, "ready\n".to_owned())
                }
                Ok(_) => (
                    StatusCode::SERVICE_UNAVAILABLE,
                    format!(
                        "the view is {} s old; the main server does not answer\n",
                        age.as_secs()
                    ),
                ),
                Err(_) => (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "there is no view yet; the main server does not answer\n".to_owned(),
                ),
            }
        }
    });
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", ready)
}
