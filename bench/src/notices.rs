//! Notices with receipts into Postfix's smtp-sink, beside those who send without any.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Instant;

use anyhow::bail;
use countermand::serve::{self, Options};

use crate::peers;
use crate::rows::{Bar, Figure, Row};
use crate::stage::{Stage, order};
use crate::tools::{Running, find, free_port, start};

const SESSIONS: usize = 8;
const RUNS: usize = 3;

const SMTP_SOURCE: &str = "smtp-source";
const SMTPLIB: &str = "Python smtplib, 1 connection";

pub async fn sink() -> anyhow::Result<(Running, u16)> {
    let port = free_port()?;
    let mut sink = Command::new(find("smtp-sink")?);
    sink.args(["-c", "-u", "nobody", &format!("127.0.0.1:{port}"), "1024"]);
    Ok((start(&mut sink, port).await?, port))
}

/// Two rows for each size of message: with eight sessions, and with one.
pub async fn into_the_sink(people: usize) -> anyhow::Result<Vec<Row>> {
    let (_sink, port) = sink().await?;
    let mut rows = Vec::new();
    for (size, works) in [
        (2_000_usize, ["notices-2kB", "notices-2kB-1"]),
        (10_000, ["notices-10kB", "notices-10kB-1"]),
    ] {
        let [mut ours, mut source, mut lettre] = [const { Vec::new() }; 3];
        let [mut ours_1, mut source_1, mut smtplib] = [const { Vec::new() }; 3];
        // Turn by turn, so that a busy moment of the machine touches all alike.
        for _ in 0..RUNS {
            // HTML and text are two copies of the body, so each is half of the message.
            let body = size / 2 - 400;
            ours.push(send(port, SESSIONS, people, body).await?);
            source.push(peers::smtp_source(port, SESSIONS, people, size)?);
            lettre.push(peers::with_lettre(port, SESSIONS, people, size).await?);
            ours_1.push(send(port, 1, people / 5, body).await?);
            source_1.push(peers::smtp_source(port, 1, people / 5, size)?);
            smtplib.push(peers::smtplib(port, people / 20, size)?);
        }
        let smtplib = Figure::of(smtplib);
        let ratio = |peer, at_least| Some(Bar::Ratio { peer, at_least });
        rows.push(Row {
            work: works[0],
            unit: "mails/s",
            more_is_better: true,
            ours: Figure::of(ours),
            peers: BTreeMap::from([
                (SMTP_SOURCE, Figure::of(source)),
                ("lettre", Figure::of(lettre)),
                (SMTPLIB, smtplib),
            ]),
            bar: ratio(SMTP_SOURCE, 0.6),
        });
        rows.push(Row {
            work: works[1],
            unit: "mails/s",
            more_is_better: true,
            ours: Figure::of(ours_1),
            peers: BTreeMap::from([(SMTP_SOURCE, Figure::of(source_1)), (SMTPLIB, smtplib)]),
            bar: None,
        });
    }
    Ok(rows)
}

/// Notices a second, from the first survey to the last receipt on disk.
async fn send(port: u16, sessions: usize, people: usize, body: usize) -> anyhow::Result<f64> {
    let folder = tempfile::tempdir()?;
    let stage = Stage::with(port, sessions, people, folder.path()).await?;
    stage
        .publish(&order("everyone", "2100-01-01T00:00:00Z", body))
        .await?;
    let sender = serve::sender(&stage.app, folder.path(), Options::default())?;
    let following = tokio::spawn(stage.app.live.clone().keep_following());
    let start = Instant::now();
    let done = sender.run_until_idle(std::future::pending()).await?;
    let took = start.elapsed().as_secs_f64();
    following.abort();
    if done.accepted != people as u64 {
        bail!(
            "{} of {people} notices were accepted: {done:?}",
            done.accepted
        );
    }
    Ok(people as f64 / took)
}
