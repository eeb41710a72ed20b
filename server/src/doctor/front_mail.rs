//! nginx's mail proxy from outside. It asks before anybody has checked a password, so the probe can sign in with
//! none. Dovecot and Postfix ask after it, and can't be tried so.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::gate::probe::{Probe, Wish};

use super::Visit;
use super::front::down;
use super::http::Server;
use super::lines::Lines;
use super::report::Report;

pub async fn look(visit: &Visit, server: &Server, place: &str, report: &mut Report) {
    let authority = visit.authority();
    let connected =
        tokio::time::timeout(super::PATIENCE, server.connect(authority.as_deref())).await;
    let stream = match connected {
        Ok(Ok(stream)) => stream,
        Ok(Err(why)) => return down(place, &why, report),
        Err(_) => return down(place, "no answer", report),
    };
    let probe = visit.probe(Wish::Refuse);
    let mut lines = Lines::over(stream);
    let said = match server.scheme.trim_end_matches('s') {
        "imap" => imap(&mut lines, &probe).await,
        "pop3" => pop3(&mut lines, &probe).await,
        _ => smtp(&mut lines, &probe).await,
    };
    let said = match said {
        Ok(said) if visit.is_ours(&probe, &said) => {
            report.ok(
                "front.asks",
                place,
                "the mail proxy asks us: the probe's login is refused",
            );
            return;
        }
        Ok(said) => said,
        Err(error) => error.to_string(),
    };
    let said: String = said.chars().take(120).collect();
    report.failed(
        "front.asks",
        place,
        [
            &format!("the probe's login is not refused in our words: {said}"),
            "the words of our gate, as nginx's auth_http passes them on",
            "take over deploy/nginx/countermand-mail.conf, with our address and [gate] secret. Only nginx's mail proxy can be tried so: take a Dovecot or Postfix out of [doctor] fronts",
        ],
    );
}

async fn imap(lines: &mut Lines, probe: &Probe) -> io::Result<String> {
    lines.line().await?;
    lines
        .send(&format!("a LOGIN {} none\r\n", probe.person()))
        .await?;
    loop {
        let line = lines.line().await?;
        if line.starts_with("a ") {
            return Ok(line);
        }
    }
}

async fn pop3(lines: &mut Lines, probe: &Probe) -> io::Result<String> {
    lines.line().await?;
    lines.send(&format!("USER {}\r\n", probe.person())).await?;
    let answer = lines.line().await?;
    if !answer.starts_with("+OK") {
        return Ok(answer);
    }
    lines.send("PASS none\r\n").await?;
    lines.line().await
}

async fn smtp(lines: &mut Lines, probe: &Probe) -> io::Result<String> {
    lines.answer().await?;
    lines.ask("EHLO doctor.invalid").await?;
    let login = STANDARD.encode(format!("\0{}\0none", probe.person()));
    lines.ask(&format!("AUTH PLAIN {login}")).await
}
