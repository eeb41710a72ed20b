//! Notices with receipts into Postfix's smtp-sink, beside Postfix's own smtp-source.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, bail};
use countermand::app::App;
use countermand::clock::{RandomIds, SystemClock};
use countermand::config::{Config, TransportKind};
use countermand::outbox::smtp::Tls;
use countermand::serve::{self, Options};
use countermand_core::actor::{Actor, Role};
use countermand_core::fleet::PersonRow;

use crate::rows::{Figure, Row};
use crate::tools::{find, free_port, start};

const SESSIONS: usize = 8;
const RUNS: usize = 3;

/// The order of the bench: everyone is told, so that as many notices go out as there are people.
fn order(body: usize) -> String {
    let line = "Your device has an app that the company does not allow. Remove it to read mail.\n";
    let text = line.repeat(body / line.len() + 1);
    format!(
        "title = \"Bench\"\nreason = \"To measure\"\n[forbid]\napps = [\"tiktok\"]\n[audience]\ngroups = [\"all\"]\ntell = \"everyone\"\n[deadline]\ncomply_by = \"2100-01-01T00:00:00Z\"\n[notice]\nsubject = \"Bench\"\nbody = '''\n{text}'''\n[correction]\nsubject = \"CORRECTION: bench\"\nbody = \"Never mind.\"\n"
    )
}

/// One row for each size of message.
pub async fn into_the_sink(people: usize) -> anyhow::Result<Vec<Row>> {
    let port = free_port()?;
    let mut sink = Command::new(find("smtp-sink")?);
    sink.args(["-c", "-u", "nobody", &format!("127.0.0.1:{port}"), "1024"]);
    let _sink = start(&mut sink, port).await?;
    let mut rows = Vec::new();
    for (work, size) in [("notices-2kB", 2_000_usize), ("notices-10kB", 10_000)] {
        let (mut ours, mut source) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            // HTML and text are two copies of the body, so each is half of the message.
            ours.push(send(port, people, size / 2 - 400).await?);
            source.push(smtp_source(port, people, size)?);
        }
        rows.push(Row {
            work,
            unit: "mails/s",
            more_is_better: true,
            ours: Figure::of(ours),
            peers: BTreeMap::from([("smtp-source", Figure::of(source))]),
        });
    }
    Ok(rows)
}

async fn send(port: u16, people: usize, body: usize) -> anyhow::Result<f64> {
    let folder = tempfile::tempdir()?;
    let mut config = Config::default();
    config.notices.transport = TransportKind::Smtp;
    config.notices.smtp.port = port;
    config.notices.smtp.tls = Tls::None;
    config.notices.smtp.sessions = SESSIONS;
    let app = App::open(
        config,
        folder.path(),
        Arc::new(SystemClock),
        Arc::new(RandomIds),
    )
    .await?;
    let system = Actor::System("bench".to_owned());
    let rows = (0..people).map(|i| PersonRow {
        email: format!("user{i}@example.test"),
        name: format!("User {i}"),
        groups: BTreeSet::from(["all".to_owned()]),
        ..PersonRow::default()
    });
    app.import_people(&system, rows.collect(), |_| {}).await?;
    let (ana, ben) = ("ana@example.test", "ben@example.test");
    app.put_operator(&system, ana, BTreeSet::from([Role::Author]))
        .await?;
    app.put_operator(&system, ben, BTreeSet::from([Role::Approver]))
        .await?;
    let (ana, ben) = (
        Actor::Operator(ana.to_owned()),
        Actor::Operator(ben.to_owned()),
    );
    let id = app.draft(&ana, &order(body)).await?.id.to_string();
    app.submit(&ana, &id).await?;
    app.approve(&ben, &id, None).await?;
    app.publish(&ana, &id).await?;
    let sender = serve::sender(&app, folder.path(), Options::default())?;
    tokio::spawn(app.live.clone().keep_following());
    let start = Instant::now();
    let done = sender.run_until_idle(std::future::pending()).await?;
    let took = start.elapsed().as_secs_f64();
    if done.accepted != people as u64 {
        bail!(
            "{} of {people} notices were accepted: {done:?}",
            done.accepted
        );
    }
    Ok(people as f64 / took)
}

fn smtp_source(port: u16, mails: usize, size: usize) -> anyhow::Result<f64> {
    let start = Instant::now();
    let (sessions, mails_text, size) = (SESSIONS.to_string(), mails.to_string(), size.to_string());
    let address = format!("127.0.0.1:{port}");
    let done = Command::new(find("smtp-source")?)
        .args([
            "-d",
            "-s",
            &sessions,
            "-m",
            &mails_text,
            "-l",
            &size,
            "-f",
            "a@example.test",
            "-t",
            "b@example.test",
            &address,
        ])
        .output()
        .context("smtp-source")?;
    if !done.status.success() {
        bail!("smtp-source: {}", String::from_utf8_lossy(&done.stderr));
    }
    Ok(mails as f64 / start.elapsed().as_secs_f64())
}
