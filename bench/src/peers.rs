//! Others who put mails into the same sink: Postfix's smtp-source, lettre, Python's smtplib.
//!
//! None of them keeps a receipt, and each is used in its best form.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context as _, bail};
use lettre::Message;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::extension::ClientId;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::notices::Took;
use crate::tools::{cpu_seconds, find};

const LINE: &str =
    "Your device has an app that the company does not allow. Remove it to read mail.\n";

pub fn smtp_source(port: u16, sessions: usize, mails: usize, size: usize) -> anyhow::Result<Took> {
    let mut command = Command::new(find("smtp-source")?);
    command.args(["-d", "-f", "a@example.test", "-t", "b@example.test"]);
    command.args(["-s", &sessions.to_string()]);
    command.args(["-m", &mails.to_string()]);
    command.args(["-l", &size.to_string()]);
    timed(command.arg(format!("127.0.0.1:{port}")), mails)
}

/// One connection, messages made with its own `email`, as its documentation shows.
const SMTPLIB: &str = r#"
import smtplib, sys
from email.message import EmailMessage
port, mails, size = map(int, sys.argv[1:4])
line = "Your device has an app that the company does not allow. Remove it to read mail.\n"
body = line * (size // len(line))
relay = smtplib.SMTP("127.0.0.1", port)
for i in range(mails):
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@example.test", f"user{i}@example.test", "Bench"
    mail.set_content(f"Dear User {i},\n" + body)
    relay.send_message(mail)
relay.quit()
"#;

pub fn smtplib(port: u16, mails: usize, size: usize) -> anyhow::Result<Took> {
    let mut command = Command::new(find("python3")?);
    command.args(["-c", SMTPLIB]);
    command.args([port.to_string(), mails.to_string(), size.to_string()]);
    timed(&mut command, mails)
}

fn timed(command: &mut Command, mails: usize) -> anyhow::Result<Took> {
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let done = command.output().with_context(|| format!("{command:?}"))?;
    if !done.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
    Ok(Took::since(start, cpu, mails))
}

/// As many connections as we have sessions, each on a socket of our own: lettre opens its own without
/// TCP_NODELAY, and then waits some 40 ms for each mail.
pub async fn with_lettre(
    port: u16,
    sessions: usize,
    mails: usize,
    size: usize,
) -> anyhow::Result<Took> {
    let body: Arc<str> = LINE.repeat(size / LINE.len()).into();
    let next = Arc::new(AtomicUsize::new(0));
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let mut workers = JoinSet::new();
    for _ in 0..sessions {
        let (body, next) = (Arc::clone(&body), Arc::clone(&next));
        workers.spawn(async move {
            let socket = TcpStream::connect(("127.0.0.1", port)).await?;
            socket.set_nodelay(true)?;
            let hello = ClientId::Domain("bench.example.test".to_owned());
            let mut relay =
                AsyncSmtpConnection::connect_with_transport(Box::new(socket), &hello).await?;
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                if i >= mails {
                    relay.quit().await?;
                    return anyhow::Ok(());
                }
                let mail = Message::builder()
                    .from("Bench <a@example.test>".parse()?)
                    .to(format!("User {i} <user{i}@example.test>").parse()?)
                    .subject("Bench")
                    .body(format!("Dear User {i},\n{body}"))?;
                relay.send(mail.envelope(), &mail.formatted()).await?;
            }
        });
    }
    while let Some(done) = workers.join_next().await {
        done??;
    }
    Ok(Took::since(start, cpu, mails))
}
