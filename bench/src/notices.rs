//! Notices with receipts into Postfix's smtp-sink, beside those who send without any.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Instant;

use anyhow::bail;
use countermand::serve::{self, Options};

use crate::peers;
use crate::rows::{Bar, Figure, Row};
use crate::stage::{Stage, order};
use crate::tools::{Running, cpu_seconds, find, free_port, start};

const SESSIONS: usize = 8;
const RUNS: usize = 3;

const SMTP_SOURCE: &str = "smtp-source";
const SMTPLIB: &str = "Python smtplib, 1 connection";
const LETTRE: &str = "lettre, no receipts";

pub async fn sink() -> anyhow::Result<(Running, u16)> {
    let port = free_port()?;
    let mut sink = Command::new(find("smtp-sink")?);
    sink.args(["-c", "-u", "nobody", &format!("127.0.0.1:{port}"), "1024"]);
    Ok((start(&mut sink, port).await?, port))
}

/// What some mails took.
#[derive(Clone, Copy, Debug)]
pub struct Took {
    pub mails: usize,
    pub seconds: f64,
    /// Of processor time, the sink's left out.
    pub cpu: f64,
}

impl Took {
    pub fn since(start: Instant, cpu: f64, mails: usize) -> Took {
        Took {
            mails,
            seconds: start.elapsed().as_secs_f64(),
            cpu: cpu_seconds() - cpu,
        }
    }
}

fn a_second(runs: &[Took]) -> Figure {
    Figure::of(runs.iter().map(|t| t.mails as f64 / t.seconds).collect())
}

fn micros_each(runs: &[Took]) -> Figure {
    Figure::of(runs.iter().map(|t| t.cpu * 1e6 / t.mails as f64).collect())
}

/// For each size of message: mails a second with eight sessions and with one, and processor time.
pub async fn into_the_sink(people: usize) -> anyhow::Result<Vec<Row>> {
    let (_sink, port) = sink().await?;
    let mut rows = Vec::new();
    for (size, works) in [
        (
            2_000_usize,
            ["notices-2kB", "notices-2kB-1", "notices-2kB-cpu"],
        ),
        (
            10_000,
            ["notices-10kB", "notices-10kB-1", "notices-10kB-cpu"],
        ),
    ] {
        let [mut ours, mut source, mut others] = [const { Vec::new() }; 3];
        let [mut ours_1, mut source_1, mut smtplib] = [const { Vec::new() }; 3];
        // Turn by turn, so that a busy moment of the machine touches all alike.
        for _ in 0..RUNS {
            // HTML and text are two copies of the body, so each is half of the message.
            let body = size / 2 - 400;
            ours.push(send(port, SESSIONS, people, body).await?);
            source.push(peers::smtp_source(port, SESSIONS, people, size)?);
            others.push(peers::with_lettre(port, SESSIONS, people, size).await?);
            ours_1.push(send(port, 1, people / 5, body).await?);
            source_1.push(peers::smtp_source(port, 1, people / 5, size)?);
            smtplib.push(peers::smtplib(port, people / 20, size)?);
        }
        let row = |work, unit, ours, peers, bars| Row {
            work,
            unit,
            more_is_better: unit == "mails/s",
            ours,
            peers,
            bars,
        };
        let at_least = |peer, at_least| Bar::Ratio { peer, at_least };
        rows.push(row(
            works[0],
            "mails/s",
            a_second(&ours),
            BTreeMap::from([
                (SMTP_SOURCE, a_second(&source)),
                (LETTRE, a_second(&others)),
                (SMTPLIB, a_second(&smtplib)),
            ]),
            vec![at_least(SMTP_SOURCE, 0.6), at_least(SMTPLIB, 10.0)],
        ));
        rows.push(row(
            works[1],
            "mails/s",
            a_second(&ours_1),
            BTreeMap::from([(SMTP_SOURCE, a_second(&source_1))]),
            Vec::new(),
        ));
        rows.push(row(
            works[2],
            "µs/mail",
            micros_each(&ours),
            BTreeMap::from([
                (SMTP_SOURCE, micros_each(&source)),
                (LETTRE, micros_each(&others)),
                (SMTPLIB, micros_each(&smtplib)),
            ]),
            Vec::new(),
        ));
    }
    Ok(rows)
}

/// From the first survey to the last receipt on disk.
async fn send(port: u16, sessions: usize, people: usize, body: usize) -> anyhow::Result<Took> {
    let folder = tempfile::tempdir()?;
    let stage = Stage::with(port, sessions, people, folder.path()).await?;
    stage
        .publish(&order("everyone", "2100-01-01T00:00:00Z", body))
        .await?;
    let sender = serve::sender(&stage.app, folder.path(), Options::default())?;
    let following = tokio::spawn(stage.app.live.clone().keep_following());
    let (start, cpu) = (Instant::now(), cpu_seconds());
    // As the server does it: beside the sessions, so that nothing wakes another thread for it.
    let done = tokio::spawn(sender.run_until_idle(std::future::pending())).await??;
    let took = Took::since(start, cpu, people);
    following.abort();
    if done.accepted != people as u64 {
        bail!(
            "{} of {people} notices were accepted: {done:?}",
            done.accepted
        );
    }
    Ok(took)
}
