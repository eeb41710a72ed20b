//! An order taken back while its notices go out: how long until nothing more can begin, and until the
//! first correction is out.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use countermand::app::App;
use countermand::clock::{Clock as _, SystemClock};
use countermand::serve::{self, Options};
use countermand::store::{Outcome, Settled, Store, Turn, Wanted};
use countermand_core::actor::Actor;
use countermand_core::fleet::{
    DeviceKey, FormFactor, IncomingApp, IncomingReport, Ownership, Visibility,
};
use countermand_core::id::{OrderId, PersonId};
use countermand_core::notice::Kind;
use countermand_core::platform::Platform;
use tokio::sync::oneshot;

use crate::notices::sink;
use crate::rows::{Bar, Figure, Row};
use crate::stage::{Stage, address, order};

const RUNS: usize = 3;
const SESSIONS: usize = 8;

/// `people` with the app on a phone each, all of whom are to be told; retracted when `told` of them
/// have been, beside the first `before`, whose receipts were on disk before any mail left.
pub async fn planned(people: usize, told: usize, before: usize) -> anyhow::Result<Vec<Row>> {
    let (_sink, port) = sink().await?;
    let folder = tempfile::tempdir()?;
    let stage = Stage::with(port, SESSIONS, people, folder.path()).await?;
    let system = Actor::System("bench".to_owned());
    let reports = (0..people).map(phone).collect::<anyhow::Result<Vec<_>>>()?;
    stage.app.import_reports(&system, reports, |_| {}).await?;
    let url = &stage.app.config.database.url;
    // As another process sees it.
    let other = Store::open(url, folder.path()).await?;
    let [mut stopped, mut answered, mut corrected] = [const { Vec::new() }; 3];
    // To correct very many would take longer than all else, so they end it.
    let rounds = if before > 0 { 1 } else { RUNS };
    for _ in 0..rounds {
        let run = once(&stage, &other, folder.path(), (people, told, before)).await?;
        stopped.push(run.stopped);
        answered.push(run.answered);
        corrected.push(run.corrected);
    }
    let row = |work, runs, most| Row {
        work,
        unit: "ms",
        more_is_better: false,
        ours: Figure::of(runs),
        peers: BTreeMap::new(),
        bars: vec![Bar::AtMost(most)],
    };
    Ok(vec![
        row("retract-last-cancel", stopped, 200.0),
        row("retract-answer", answered, 1_000.0),
        row("retract-first-correction", corrected, 2_000.0),
    ])
}

/// Milliseconds from the call.
struct Run {
    /// To the commit, after which nothing of the order can begin, seen from another connection.
    stopped: f64,
    answered: f64,
    corrected: f64,
}

async fn once(
    stage: &Stage,
    other: &Store,
    data: &std::path::Path,
    (people, told, before): (usize, usize, usize),
) -> anyhow::Result<Run> {
    let app = &stage.app;
    let id = stage
        .publish(&order("affected", "2020-01-01T00:00:00Z", 600))
        .await?;
    let order: OrderId = id.parse()?;
    accepted(app, other, order, before).await?;
    let (end, ended) = oneshot::channel::<()>();
    let sender = serve::sender(app, data, Options::default())?;
    let mut progress = sender.progress();
    let following = tokio::spawn(app.live.clone().keep_following());
    let sending = tokio::spawn(sender.run(async move {
        let _ = ended.await;
    }));
    progress.wait_for(|p| p.accepted >= told as u64).await?;
    let start = Instant::now();
    let since = move || start.elapsed().as_secs_f64() * 1e3;
    let answer = async {
        let answer = app
            .retract(&stage.responder, &id, "It was sent in error")
            .await?;
        anyhow::Ok((since(), answer))
    };
    let watched = async {
        let stopped = loop {
            if other.order_state(order).await? == "retracted" {
                break since();
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        while other.receipt_counts(order).await?.1.accepted == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        anyhow::Ok((stopped, since()))
    };
    let ((answered, answer), (stopped, corrected)) = tokio::try_join!(answer, watched)?;
    let all = answer.cancelled + answer.in_flight + answer.accepted + answer.unknown;
    if all != people as u64 {
        bail!("{all} of {people} people are in the answer: {answer:?}");
    }
    let due = answer.corrections_planned;
    if before == 0 && told < people {
        // The rest of the corrections, so that the next round begins at rest.
        while other.receipt_counts(order).await?.1.accepted < due {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let _ = end.send(());
    sending.await.context("the sender")??;
    following.abort();
    Ok(Run {
        stopped,
        answered,
        corrected,
    })
}

/// Receipts of the first people, by the turns that a sender takes, without a relay.
async fn accepted(app: &App, store: &Store, order: OrderId, people: usize) -> anyhow::Result<()> {
    let all: Vec<PersonId> = app
        .live
        .view()
        .to_tell(order, SystemClock.now())
        .iter()
        .take(people)
        .map(PersonId)
        .collect();
    let turn = async |turn: Turn| store.turn("bench", &turn, SystemClock.now()).await;
    for people in all.chunks(5_000) {
        let claimed = turn(Turn {
            claim: vec![Wanted {
                order,
                kind: Kind::Order,
                people: people.to_vec(),
            }],
            limit: people.len(),
            ..Turn::default()
        })
        .await?;
        let started = turn(Turn {
            start: claimed.claimed,
            ..Turn::default()
        })
        .await?
        .started;
        let settle = started.into_iter().map(|claim| Settled {
            claim,
            outcome: Outcome::Accepted,
            detail: "250 2.0.0 Ok".to_owned(),
        });
        turn(Turn {
            settle: settle.collect(),
            ..Turn::default()
        })
        .await?;
    }
    Ok(())
}

fn phone(person: usize) -> anyhow::Result<IncomingReport> {
    Ok(IncomingReport {
        source: "bench".to_owned(),
        keys: vec![DeviceKey::mdm("bench", &person.to_string())?],
        person: Some(address(person)),
        platform: Some(Platform::Android),
        form_factor: Some(FormFactor::Phone),
        ownership: Some(Ownership::Company),
        os_version: None,
        visibility: Visibility::Full,
        complete: true,
        seen_at: SystemClock.now(),
        apps: vec![IncomingApp {
            package_id: "com.zhiliaoapp.musically".to_owned(),
            ..IncomingApp::default()
        }],
    })
}
