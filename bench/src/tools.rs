//! Starting and asking other programs.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};

/// A program that ends with this value.
#[derive(Debug)]
pub struct Running(Child);

impl Drop for Running {
    /// Asks first: a server that is killed leaves its workers behind.
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        for _ in 0..100 {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn find(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // `./test` puts what comes from PyPI beside our own folder: target/python.
    let own = std::env::current_exe()?;
    let python = own
        .ancestors()
        .nth(2)
        .map(|target| target.join("python/bin"));
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .chain(python)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .with_context(|| format!("`{name}` is not installed; ./test installs what measuring needs, and `wrk` comes from Debian's package wrk"))
}

/// Seconds of processor time that this process and the children it waited for have taken. On a machine
/// that others use too, it tells more than the clock on the wall.
pub fn cpu_seconds() -> f64 {
    // Linux: man 5 proc, fields 14 to 17 in hundredths of a second, counted after the name in brackets.
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = text.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(4);
    ticks.filter_map(|n| n.parse::<f64>().ok()).sum::<f64>() / 100.0
}

pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Starts a server and waits until it listens.
pub async fn start(command: &mut Command, port: u16) -> anyhow::Result<Running> {
    let running = Running(
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?,
    );
    for _ in 0..200 {
        if tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_ok()
        {
            return Ok(running);
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    bail!("{command:?} does not listen on port {port}")
}

/// Requests a second that wrk measures, without errors.
pub async fn wrk(port: u16, path: &str, headers: &[(&str, &str)]) -> anyhow::Result<f64> {
    let mut command = tokio::process::Command::new(find("wrk")?);
    command.args(["-t2", "-c32", "-d3s"]);
    for (name, value) in headers {
        command.arg("-H").arg(format!("{name}: {value}"));
    }
    let done = command
        .arg(format!("http://127.0.0.1:{port}{path}"))
        .output()
        .await?;
    let text = String::from_utf8_lossy(&done.stdout);
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        bail!("wrk met errors: {text}");
    }
    let line = text
        .lines()
        .find_map(|l| l.strip_prefix("Requests/sec:"))
        .with_context(|| format!("wrk said: {text}"))?;
    Ok(line.trim().parse()?)
}
