//! The mail servers that we talk to: the one that ends sessions, those behind nginx's mail proxy, the relay,
//! and the one that hands us bounces.

use std::io;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use tokio::time::timeout;

use crate::config::{DoveadmConfig, TransportKind};
use crate::gate::doveadm::{Doveadm, DoveadmError};
use crate::listen::Listen;
use crate::outbox::message::bare_address;
use crate::outbox::smtp::{self, SmtpConfig};

use super::lines::Lines;
use super::report::Report;
use super::{PATIENCE, Visit};

/// For the answer to a key that should not be taken.
const GUESS: Duration = Duration::from_secs(1);
/// A bounce that nobody has read for so long: nobody reads them. In seconds.
const UNREAD: i64 = 10 * 60;

pub async fn servers(visit: &Visit, report: &mut Report) {
    let gate = &visit.config.gate;
    if let Some(doveadm) = Doveadm::new(&gate.doveadm) {
        sessions(&gate.doveadm, &doveadm, report).await;
    }
    for (protocol, server, greeting) in [
        ("imap", gate.nginx_mail.imap, "* OK"),
        ("pop3", gate.nginx_mail.pop3, "+OK"),
        ("smtp", gate.nginx_mail.smtp, "220"),
    ] {
        let Some(server) = server else { continue };
        let place = format!("{server} ({protocol})");
        let said = match greeted(&Listen::Tcp(server)).await {
            Ok(line) if line.starts_with(greeting) => {
                report.ok("mail_server", place, "greets");
                continue;
            }
            Ok(line) => format!("it says «{line}»"),
            Err(error) => error.to_string(),
        };
        report.failed(
            "mail_server",
            place,
            [
                &format!(
                    "the server that nginx's mail proxy passes a login on to does not greet: {said}"
                ),
                &format!("«{greeting}»"),
                &format!("start it, or correct {protocol} in [gate.nginx_mail]"),
            ],
        );
    }
}

async fn greeted(server: &Listen) -> io::Result<String> {
    Lines::connect(server).await?.line().await
}

async fn sessions(config: &DoveadmConfig, doveadm: &Doveadm, report: &mut Report) {
    let place = config.address.clone().unwrap_or_default();
    let said = match doveadm.greet().await {
        Ok(()) => {
            let other = DoveadmConfig {
                address: config.address.clone(),
                api_key: "not-the-key".to_owned(),
            };
            // Dovecot answers a wrong key late, or hangs up: whatever is no answer is a refusal.
            let taken = match Doveadm::new(&other) {
                Some(other) => timeout(GUESS, other.greet()).await,
                None => return,
            };
            if !matches!(taken, Ok(Ok(()))) {
                report.ok("doveadm", place, "takes our key, and no other");
                return;
            }
            report.failed(
                "doveadm.open",
                place,
                [
                    "Dovecot's doveadm HTTP API takes any key: whoever reaches it can read and end sessions",
                    "a key of its own",
                    "set doveadm_api_key in Dovecot, and let it listen on loopback only",
                ],
            );
            return;
        }
        Err(error) => error,
    };
    let mend = match said {
        DoveadmError::Lost(_) => {
            "start Dovecot with the `service doveadm` lines of deploy/dovecot/countermand.conf, or correct [gate.doveadm] address"
        }
        _ => {
            "set [gate.doveadm] api_key to Dovecot's doveadm_api_key; it keeps whoever has another one waiting"
        }
    };
    report.failed(
        "doveadm",
        place,
        [
            &format!("open sessions can't be ended: {said}"),
            "Dovecot's doveadm HTTP API; without it a refused phone stays connected until it comes back",
            mend,
        ],
    );
}

pub async fn relay(visit: &Visit, report: &mut Report) {
    let notices = &visit.config.notices;
    let sender = match &notices.bounces.sender {
        Some(sender) => sender.clone(),
        None => bare_address(&notices.from).unwrap_or_default(),
    };
    if notices.transport == TransportKind::Smtp {
        greet("relay", &notices.smtp, &sender, false, report).await;
    }
    if notices.test.transport == TransportKind::Smtp {
        greet("relay.test", &notices.test.smtp, &sender, true, report).await;
    }
}

async fn greet(
    id: &'static str,
    config: &SmtpConfig,
    sender: &str,
    tests: bool,
    report: &mut Report,
) {
    let place = format!("{}:{}", config.host, config.port);
    let said = match timeout(PATIENCE, smtp::greet(config, sender)).await {
        Ok(Ok(())) => {
            report.ok(
                id,
                place,
                format!("takes mail from {sender}; none was sent"),
            );
            return;
        }
        Ok(Err(error)) if tests => error.of_tests(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {PATIENCE:?}"),
    };
    let section = if tests {
        "[notices.test.smtp]"
    } else {
        "[notices.smtp]"
    };
    report.failed(
        id,
        place,
        [
            &said,
            &format!("a relay that takes mail from {sender}; until then nobody is told, and no correction leaves"),
            &format!("mend what it says, in {section} or at the relay"),
        ],
    );
}

pub async fn bounces(visit: &Visit, report: &mut Report) {
    let config = &visit.config.notices.bounces;
    if let Some(dir) = config.maildir(&visit.data) {
        maildir(visit, &dir, report);
    }
    if let Ok(Some(listen)) = config.listen(&visit.data) {
        let address = config.sender.clone();
        let address = address.or_else(|| bare_address(&visit.config.notices.from).ok());
        let said = match lmtp(&listen, &address.unwrap_or_default()).await {
            Ok(answer) if answer.starts_with("250") => {
                report.ok(
                    "bounces",
                    listen.to_string(),
                    "takes bounces by LMTP; none was left",
                );
                return;
            }
            Ok(answer) => format!("it says «{answer}»"),
            Err(error) => error.to_string(),
        };
        report.failed(
            "bounces",
            listen.to_string(),
            [
                &format!("bounces can't be handed over there: {said}"),
                "Countermand's LMTP; until then who was not reached is taken for told",
                "restart serve and see its log; [notices.bounces] lmtp_listen names the place",
            ],
        );
    }
}

/// As a mail server begins to hand over a bounce, and takes it back before there is one.
async fn lmtp(listen: &Listen, address: &str) -> io::Result<String> {
    let mut lines = Lines::connect(listen).await?;
    let mut said = lines.answer().await?;
    if !said.starts_with("220") {
        return Ok(said);
    }
    for command in [
        "LHLO doctor.invalid",
        "MAIL FROM:<>",
        &format!("RCPT TO:<{address}>"),
    ] {
        said = lines.ask(command).await?;
        if !said.starts_with("250") {
            return Ok(said);
        }
    }
    lines.ask("RSET").await?;
    lines.ask("QUIT").await?;
    Ok(said)
}

fn maildir(visit: &Visit, dir: &Path, report: &mut Report) {
    let place = dir.display().to_string();
    let new = match std::fs::read_dir(dir.join("new")) {
        Ok(new) => new,
        Err(error) => {
            report.failed(
                "bounces",
                place,
                [
                    &format!("the maildir for bounces can't be read: {error}"),
                    "a folder with cur, new and tmp that both the mail server and serve may write",
                    "make it (serve does at its start), or correct [notices.bounces] maildir",
                ],
            );
            return;
        }
    };
    let now = visit.clock.now().as_second();
    let age = |entry: io::Result<std::fs::DirEntry>| {
        let modified = entry.ok()?.metadata().ok()?.modified().ok()?;
        let modified = modified.duration_since(UNIX_EPOCH).ok()?;
        Some(now - i64::try_from(modified.as_secs()).ok()?)
    };
    match new.filter_map(age).max() {
        Some(age) if age > UNREAD => report.failed(
            "bounces",
            place,
            [
                &format!("a bounce has lain there unread for {} minutes", age / 60),
                "each read within a second",
                "see the log of serve: it says why",
            ],
        ),
        _ => report.ok("bounces", place, "no bounce waits there"),
    }
}
