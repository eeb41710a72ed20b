//! Clients that ask again and again.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::tools::find;

/// Of each measurement.
const LASTS: Duration = Duration::from_secs(2);

/// What a door did in a second for many, and how many milliseconds one alone waited.
#[derive(Clone, Copy, Debug)]
pub struct Took {
    pub each_second: f64,
    pub p50: f64,
    pub p99: f64,
}

/// wrk under TLS, over connections that stay: `many` of them, then one.
pub async fn wrk(
    port: u16,
    path: &str,
    headers: &[(&str, &str)],
    many: usize,
) -> anyhow::Result<Took> {
    let url = format!("https://localhost:{port}{path}");
    let busy = wrk_says(&url, headers, many).await?;
    let alone = wrk_says(&url, headers, 1).await?;
    let after = |text: &str, what: &str| -> anyhow::Result<String> {
        let line = text.lines().find_map(|l| l.trim().strip_prefix(what));
        let line = line.with_context(|| format!("wrk said no {what}: {text}"))?;
        Ok(line.trim().to_owned())
    };
    Ok(Took {
        each_second: after(&busy, "Requests/sec:")?.parse()?,
        p50: milliseconds(&after(&alone, "50%")?)?,
        p99: milliseconds(&after(&alone, "99%")?)?,
    })
}

async fn wrk_says(url: &str, headers: &[(&str, &str)], clients: usize) -> anyhow::Result<String> {
    let mut command = tokio::process::Command::new(find("wrk")?);
    let threads = clients.min(2);
    command.arg("--latency");
    command.args([
        format!("-t{threads}"),
        format!("-c{clients}"),
        format!("-d{}s", LASTS.as_secs()),
    ]);
    for (name, value) in headers {
        command.arg("-H").arg(format!("{name}: {value}"));
    }
    let done = command.arg(url).output().await?;
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        bail!("wrk met errors: {text}");
    }
    Ok(text)
}

/// wrk's `812.00us`, `1.20ms`, `1.01s`.
fn milliseconds(text: &str) -> anyhow::Result<f64> {
    for (unit, factor) in [("us", 0.001), ("ms", 1.0), ("s", 1000.0)] {
        if let Some(number) = text.strip_suffix(unit) {
            return Ok(number.trim().parse::<f64>()? * factor);
        }
    }
    bail!("wrk said «{text}» for a time")
}

/// The same for clients of our own. `visit` asks until the time that it is given, and says how many milliseconds
/// each answer took.
pub async fn clients<V, F>(many: usize, visit: V) -> anyhow::Result<Took>
where
    V: Fn(Instant) -> F,
    F: Future<Output = anyhow::Result<Vec<f64>>> + Send + 'static,
{
    let begun = Instant::now();
    let busy = waits(many, &visit).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let mut alone = waits(1, &visit).await?;
    alone.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = (alone.len() as f64 * share) as usize;
        alone.get(place.min(alone.len().saturating_sub(1))).copied()
    };
    Ok(Took {
        each_second: busy.len() as f64 / seconds,
        p50: at(0.5).context("nobody was answered")?,
        p99: at(0.99).context("nobody was answered")?,
    })
}

async fn waits<V, F>(clients: usize, visit: &V) -> anyhow::Result<Vec<f64>>
where
    V: Fn(Instant) -> F,
    F: Future<Output = anyhow::Result<Vec<f64>>> + Send + 'static,
{
    let until = Instant::now() + LASTS;
    let mut visits = JoinSet::new();
    for _ in 0..clients {
        visits.spawn(visit(until));
    }
    let mut all = Vec::new();
    while let Some(waits) = visits.join_next().await {
        all.extend(waits??);
    }
    Ok(all)
}

pub fn since(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

/// A client of a protocol of lines.
pub struct Lines(BufReader<TcpStream>);

impl Lines {
    pub async fn connect(port: u16) -> anyhow::Result<Lines> {
        let tcp = TcpStream::connect(("127.0.0.1", port)).await?;
        tcp.set_nodelay(true)?;
        Ok(Lines::over(tcp))
    }

    pub fn over(tcp: TcpStream) -> Lines {
        Lines(BufReader::new(tcp))
    }

    pub async fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line).await? == 0 {
            bail!("the server hung up");
        }
        Ok(line)
    }

    pub async fn send(&mut self, text: &str) -> anyhow::Result<()> {
        self.0
            .get_mut()
            .write_all(format!("{text}\r\n").as_bytes())
            .await?;
        Ok(())
    }

    /// Sends, and reads up to a line that begins so; one that begins otherwise at that place is an error.
    pub async fn say(&mut self, text: &str, good: &str, goes_on: &str) -> anyhow::Result<()> {
        self.send(text).await?;
        loop {
            let line = self.line().await?;
            if line.starts_with(good) {
                return Ok(());
            }
            if goes_on.is_empty() || !line.starts_with(goes_on) {
                bail!("«{text}» was answered by «{}»", line.trim_end());
            }
        }
    }
}
