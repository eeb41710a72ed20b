//! The gates, asked as each mail server asks: the probe must be refused, and who does not know the secret
//! turned away.

use std::io;
use std::path::PathBuf;

use crate::gate::probe::{Probe, Told, Wish};
use crate::listen::Listen;

use super::http::{Reply, Server};
use super::lines::Lines;
use super::report::Report;
use super::{At, Visit};

/// RFC 5737: the address of a stranger, which is nobody's.
const STRANGER: &str = "192.0.2.1";
/// The doctor's clock and the server's.
const MOST_APART: i64 = 30;
/// As `/readyz` has it.
const OLD: u64 = 10;

const SECRET: &str = "X-Countermand-Secret";

impl Visit {
    pub(super) fn probe(&self, wish: Wish) -> Probe {
        Probe::new(&self.config.gate.secret, wish, self.clock.now())
    }

    /// The file of `[doctor] ca_file`.
    pub(super) fn authority(&self) -> Option<PathBuf> {
        let file = self.config.doctor.ca_file.as_deref()?;
        Some(self.data.join(file))
    }

    fn told(&self, probe: &Probe, text: &str) -> Option<Told> {
        probe.told(&self.config.gate.secret, text)
    }

    pub(super) fn is_ours(&self, probe: &Probe, text: &str) -> bool {
        self.told(probe, text).is_some()
    }

    /// Where `serve` listens, as seen from this machine.
    fn listen(&self) -> String {
        let listen = self.config.server.listen.as_str();
        let here = listen.replacen("0.0.0.0:", "127.0.0.1:", 1);
        here.replacen("[::]:", "[::1]:", 1)
    }

    /// Asks a gate with that secret, or with none.
    async fn ask(
        &self,
        secret: Option<&str>,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Reply, String> {
        let server = Server::of(&format!("http://{}", self.listen()))?;
        let secret = secret.map(|secret| (SECRET, secret));
        let headers: Vec<_> = secret.into_iter().chain(headers.iter().copied()).collect();
        server.ask(None, method, path, &headers, body).await
    }
}

/// The HTTP gate; whether the one that this config describes answers.
pub async fn look(visit: &Visit, report: &mut Report) -> bool {
    let place = visit.listen();
    let secret = visit.config.gate.secret.as_str();
    if secret.is_empty() {
        report.failed(
            "gate.secret",
            "[gate] secret",
            [
                "there is no secret, so the gates answer nobody and every door is without a verdict",
                "a secret that only the doors know",
                "put one into [gate] secret (openssl rand -hex 32) and into the configurations of the doors",
            ],
        );
        return false;
    }
    let probe = visit.probe(Wish::Refuse);
    let uri = phone(&probe);
    let original = [
        ("X-Original-URI", uri.as_str()),
        ("X-Original-Method", "GET"),
    ];
    let reply = visit
        .ask(Some(secret), "GET", "/gate/http", &original, "")
        .await;
    let told = match reply {
        Err(why) => {
            down(visit, place, &why, report);
            return false;
        }
        Ok(reply) if reply.status == 401 && reply.body.contains(SECRET) => {
            report.failed(
                "gate.secret",
                place,
                [
                    "the server that runs there has another secret than this config",
                    "the one in [gate] secret",
                    "restart serve, if the secret was changed here; then see that each door's configuration has it",
                ],
            );
            return false;
        }
        Ok(reply) => match visit.told(&probe, &reply.body) {
            Some(told) if reply.status == 403 => told,
            _ => {
                report.failed(
                    "gate.stranger",
                    place,
                    [
                        &format!("something else answers there, with status {}", reply.status),
                        "Countermand. A door that asks there takes a stranger's answer for ours: nginx's auth_request lets in on any 2xx",
                        "end what listens at that port, or give Countermand another in [server] listen and in the doors' configurations",
                    ],
                );
                return false;
            }
        },
    };
    strangers(visit, &original, &place, report).await;
    routes(visit, &place, report).await;
    view(visit, &told, &place, report).await;
    true
}

fn down(visit: &Visit, place: String, why: &str, report: &mut Report) {
    let said = format!("nothing answers there: {why}");
    let (expected, mend) = match visit.at {
        At::Main => (
            "`countermand serve`; without it each door does as its own configuration says",
            "start it (systemctl start countermand), or correct [server] listen",
        ),
        At::GateOnly => (
            "`countermand serve --gate-only`; without it each door does as its own configuration says",
            "start it (systemctl start countermand-gate), or correct [server] listen",
        ),
        At::Elsewhere => {
            let expected = "nothing, where serve runs on another machine";
            let mend = "run doctor on the machine of serve, too";
            return report.warning("gate.down", place, [&said, expected, mend]);
        }
    };
    report.failed("gate.down", place, [&said, expected, mend]);
}

/// The address that a phone asks for.
pub(super) fn phone(probe: &Probe) -> String {
    format!(
        "/Microsoft-Server-ActiveSync?Cmd=FolderSync&User=doctor&DeviceId={}&DeviceType=doctor",
        probe.device()
    )
}

async fn strangers(visit: &Visit, original: &[(&str, &str)], place: &str, report: &mut Report) {
    for secret in [Some("not-the-secret"), None] {
        let reply = visit.ask(secret, "GET", "/gate/http", original, "").await;
        let status = reply.map(|reply| reply.status);
        if status != Ok(401) {
            report.failed(
                "gate.open",
                place,
                [
                    &format!("who does not know the secret is answered {status:?}"),
                    "401: else anybody can ask what is on whose phone",
                    "see what stands before this port, and that it adds no secret by itself",
                ],
            );
            return;
        }
    }
}

/// The other ways in which a proxy asks.
async fn routes(visit: &Visit, place: &str, report: &mut Report) {
    for path in ["/gate/authz", "/gate/eas-refused", "/gate/web-refused"] {
        let probe = visit.probe(Wish::Refuse);
        let uri = phone(&probe);
        let original = [("X-Original-URI", uri.as_str())];
        let secret = Some(visit.config.gate.secret.as_str());
        let reply = visit.ask(secret, "GET", path, &original, "").await;
        let said = match &reply {
            Ok(reply) if visit.is_ours(&probe, &reply.body) => continue,
            Ok(reply) => format!("status {}", reply.status),
            Err(why) => why.clone(),
        };
        report.failed(
            "gate.http",
            format!("{place}{path}"),
            [
                &format!("the probe is not refused there: {said}"),
                "the same answer as at /gate/http",
                "see that no proxy between answers for this path",
            ],
        );
        return;
    }
    report.ok(
        "gate.http",
        place,
        "refuses the probe; a wrong secret and none are turned away",
    );
}

async fn view(visit: &Visit, told: &Told, place: &str, report: &mut Report) {
    let apart = told.at - visit.clock.now().as_second();
    if apart.abs() > MOST_APART {
        report.warning(
            "gate.clock",
            place,
            [
                &format!(
                    "the server's clock and this one are {} s apart",
                    apart.abs()
                ),
                "the same time",
                "set both by NTP (timedatectl set-ntp true)",
            ],
        );
    }
    let (whose, whence) = match visit.at {
        At::GateOnly => ("the main server does not answer it", "the main server"),
        At::Main | At::Elsewhere => ("its database does not answer it", "the database"),
    };
    if told.view < 0 {
        return report.failed(
            "gate.view",
            place,
            [
                &format!("the server has no view of the facts, and gives no verdict: {whose}"),
                "a view of this second",
                &format!("see the server's log and {whence}"),
            ],
        );
    }
    let most = visit.config.gate.max_view_age.as_seconds();
    let age = told.age_seconds;
    if age >= OLD {
        let said = [
            format!("the server's view of the facts is {age} s old: {whose}"),
            "a view of this second".to_owned(),
            format!(
                "see the server's log and {whence}. After {most} s (max_view_age) doors are without a verdict, if an order was enforcing"
            ),
        ];
        let said = [said[0].as_str(), &said[1], &said[2]];
        match i64::try_from(age).is_ok_and(|age| age <= most) {
            true => report.warning("gate.view", place, said),
            false => report.failed("gate.view", place, said),
        }
        return;
    }
    let Ok(app) = &visit.app else {
        let what = format!("the server's view was current {age} s ago");
        return report.ok("gate.view", place, what);
    };
    let Ok(version) = app.store.version().await else {
        return;
    };
    match seen(visit, told.view, version).await {
        view if view == version => report.ok("gate.view", place, "the server's view is that of the last commit"),
        view => report.failed(
            "gate.view",
            place,
            [
                &format!("the server's view is of commit {view}, and the database of this config is at {version}"),
                "the same database, followed within a tenth of a second",
                "restart serve with this config, or run doctor with the config (--data, --database) that serve has",
            ],
        ),
    }
}

/// The view that the server has, after it had time to follow.
async fn seen(visit: &Visit, mut view: i64, version: i64) -> i64 {
    for _ in 0..10 {
        if view >= version {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let probe = visit.probe(Wish::Refuse);
        let uri = phone(&probe);
        let original = [("X-Original-URI", uri.as_str())];
        let secret = Some(visit.config.gate.secret.as_str());
        let reply = visit.ask(secret, "GET", "/gate/http", &original, "").await;
        let told = reply.ok().and_then(|reply| visit.told(&probe, &reply.body));
        view = told.map_or(view, |told| told.view);
    }
    view
}

/// The gates of IMAP, POP3 and submission.
pub async fn look_at_mail_doors(visit: &Visit, report: &mut Report) {
    dovecot(visit, report).await;
    let mail = &visit.config.gate.nginx_mail;
    if mail.imap.or(mail.pop3).or(mail.smtp).is_some() {
        nginx_mail(visit, report).await;
    }
    // A place that makes no sense is refused when the config is read.
    if let Ok(Some(listen)) = visit.config.gate.postfix(&visit.data) {
        postfix(visit, &listen, report).await;
    }
}

async fn dovecot(visit: &Visit, report: &mut Report) {
    let path = "/gate/dovecot?command=allow";
    let place = format!("{}/gate/dovecot", visit.listen());
    let probe = visit.probe(Wish::Refuse);
    let login = serde_json::json!({
        "login": probe.person(), "user": probe.person(), "protocol": "imap", "remote": STRANGER,
        "session_id": "", "mech": "PLAIN", "cert": "", "passdb_device": "", "device_id": "",
    });
    let json = [("Content-Type", "application/json")];
    let secret = Some(visit.config.gate.secret.as_str());
    let reply = visit
        .ask(secret, "POST", path, &json, &login.to_string())
        .await;
    let said = match &reply {
        Ok(reply) if reply.body.contains("\"status\":-1") && visit.is_ours(&probe, &reply.body) => {
            report.ok("gate.dovecot", place, "refuses the probe's login");
            return;
        }
        Ok(reply) => format!("status {}: {}", reply.status, short(&reply.body)),
        Err(why) => why.clone(),
    };
    report.failed(
        "gate.dovecot",
        place,
        [
            &format!("a login from a stranger's address ({STRANGER}) by the probe is not refused: {said}"),
            "status -1",
            "take that address out of [gate] own_servers, if it is there; else see the server's log",
        ],
    );
}

async fn nginx_mail(visit: &Visit, report: &mut Report) {
    let path = "/gate/nginx-mail";
    let place = format!("{}{path}", visit.listen());
    let probe = visit.probe(Wish::Refuse);
    let person = probe.person();
    let login = [
        ("Auth-Method", "plain"),
        ("Auth-User", person.as_str()),
        ("Auth-Protocol", "imap"),
        ("Client-IP", STRANGER),
    ];
    let secret = Some(visit.config.gate.secret.as_str());
    let reply = visit.ask(secret, "GET", path, &login, "").await;
    let said = match &reply {
        Ok(reply) if visit.is_ours(&probe, reply.header("auth-status")) => {
            report.ok("gate.nginx_mail", place, "refuses the probe's login");
            return;
        }
        Ok(reply) => format!(
            "status {}, Auth-Status «{}»",
            reply.status,
            reply.header("auth-status")
        ),
        Err(why) => why.clone(),
    };
    report.failed(
        "gate.nginx_mail",
        place,
        [
            &format!("the probe's login is not refused: {said}"),
            "a header Auth-Status with the reason",
            "see the server's log",
        ],
    );
}

async fn postfix(visit: &Visit, listen: &Listen, report: &mut Report) {
    let probe = visit.probe(Wish::Refuse);
    let said = match policy(listen, &probe.person()).await {
        Ok(line) if line.starts_with("action=554 ") && visit.is_ours(&probe, &line) => {
            report.ok("gate.postfix", listen.to_string(), "refuses the probe");
            return;
        }
        Ok(line) => format!("it answers «{}»", short(&line)),
        Err(error) => error.to_string(),
    };
    report.failed(
        "gate.postfix",
        listen.to_string(),
        [
            &format!("the probe is not refused there: {said}"),
            "Countermand's answer, action=554 with the reason",
            "restart serve and see its log; [gate] postfix_listen names the place, and \"\" closes this door. Where it says DUNNO, take 192.0.2.1 out of [gate] own_servers",
        ],
    );
}

/// The answer to the question that Postfix asks at RCPT TO.
async fn policy(listen: &Listen, person: &str) -> io::Result<String> {
    let mut lines = Lines::connect(listen).await?;
    let question = format!(
        "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\nclient_address={STRANGER}\n\
         sender=doctor@doctor.invalid\nrecipient=doctor@doctor.invalid\nsasl_method=PLAIN\nsasl_username={person}\n\n"
    );
    lines.send(&question).await?;
    lines.line().await
}

fn short(text: &str) -> String {
    text.chars().take(120).collect()
}
