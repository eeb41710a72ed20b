//! Proves the harness of real servers, and with it the shipped configurations, against a gate that answers to order.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;

use axum::body::Body;
use axum::http::Response;
use countermand::gate::wire::dovecot::{self as wire, DovecotRequest};
use countermand::gate::wire::headers::GateRequest;
use countermand::gate::wire::wbxml::{self, EasRefusal};
use support::dovecot::{Dovecot, DovecotConfig, Login};
use support::gate::{Call, FakeGate};
use support::http;
use support::imap::Imap;
use support::nginx::{Nginx, NginxConfig};
use support::postgres::Postgres;
use support::smtp_sink::SmtpSink;

const SECRET: &str = "s3cret-of-the-gate";
const REASON: &str = "TikTok is installed. Remove it to keep mail.";
const ALICE: (&str, &str) = ("Authorization", "Basic YWxpY2VAY29ycC50ZXN0OnNlY3JldA==");

fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body.into()).unwrap()
}

/// Refuses the device DEV7F3A by ActiveSync and bob on the web, as the real gate would.
fn http_gate(call: &Call) -> Response<Body> {
    if call.header("x-countermand-secret") != Some(SECRET) {
        return answer(401, &[("WWW-Authenticate", "Basic")], "");
    }
    let read = |route| GateRequest::read(route, &call.uri, &call.headers).unwrap();
    match call.uri.as_str() {
        "/gate/http" => {
            let request = read("/gate/http");
            let refused = request.keys.iter().any(|key| key == "eas:DEV7F3A")
                || request.person.as_deref() == Some("bob@corp.test");
            let headers = [
                ("X-Countermand-Decision", "deny"),
                ("X-Countermand-Reason", REASON),
                ("X-Countermand-Ref", "R-7Q2M-4F"),
            ];
            if refused {
                answer(403, &headers, "")
            } else {
                answer(204, &[], "")
            }
        }
        "/gate/eas-refused" => {
            let eas = read("/gate/eas-refused").eas.unwrap();
            match wbxml::refusal(eas.command.as_deref().unwrap_or_default(), eas.protocol) {
                EasRefusal::Wbxml(body) => {
                    answer(200, &[("Content-Type", wbxml::MEDIA_TYPE)], body)
                }
                EasRefusal::Http403 => answer(403, &[], ""),
            }
        }
        "/gate/web-refused" => {
            let of = |name| call.header(name).unwrap_or("none").to_owned();
            let page = format!(
                "{} ({})",
                of("x-countermand-reason"),
                of("x-countermand-ref")
            );
            answer(403, &[("Content-Type", "text/html")], page)
        }
        other => panic!("no such gate: {other}"),
    }
}

fn nginx(gate: &FakeGate, gate_secret: &str) -> Option<Nginx> {
    Nginx::start(NginxConfig {
        gate_port: gate.port,
        gate_secret,
        open_without_verdict: false,
    })
}

fn sync(device: &str) -> String {
    format!(
        "/Microsoft-Server-ActiveSync?Cmd=FolderSync&User=alice%40corp.test&DeviceId={device}&DeviceType=iPhone"
    )
}

#[test]
fn nginx_lets_in_and_refuses_in_the_phones_own_protocol() {
    let gate = FakeGate::start(http_gate);
    let Some(nginx) = nginx(&gate, SECRET) else {
        return;
    };
    let ask = |device, version| {
        let headers = [ALICE, ("MS-ASProtocolVersion", version)];
        http::send(
            nginx.port,
            "POST",
            &sync(device),
            &headers,
            b"\x03\x01\x6a\x00",
        )
    };

    let reply = ask("DEV9C1E", "14.1");
    assert_eq!(
        (reply.status, reply.text()),
        (200, format!("mail server: POST {}", sync("DEV9C1E")))
    );

    let reply = ask("DEV7F3A", "14.1");
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, Some(wbxml::MEDIA_TYPE))
    );
    assert_eq!(
        EasRefusal::Wbxml(reply.body),
        wbxml::refusal("FolderSync", Some((14, 1)))
    );
    assert_eq!(ask("DEV7F3A", "12.1").status, 403);
}

#[test]
fn nginx_shows_a_browser_the_reason() {
    let gate = FakeGate::start(http_gate);
    let Some(nginx) = nginx(&gate, SECRET) else {
        return;
    };
    assert_eq!(http::get(nginx.port, "/SOGo/", &[ALICE]).status, 200);

    let bob = ("Authorization", "Basic Ym9iQGNvcnAudGVzdDpzZWNyZXQ=");
    let reply = http::get(
        nginx.port,
        "/SOGo/",
        &[bob, ("X-Countermand-Reason", "forged")],
    );
    assert_eq!(
        (reply.status, reply.text()),
        (403, format!("{REASON} (R-7Q2M-4F)"))
    );
}

#[test]
fn nginx_lets_no_client_forge_what_the_gate_reads() {
    let gate = FakeGate::start(http_gate);
    let Some(nginx) = nginx(&gate, SECRET) else {
        return;
    };
    let forged = [
        ALICE,
        ("X-Original-URI", "/SOGo/"),
        ("X-Original-Method", "OPTIONS"),
        ("X-Forwarded-Uri", "/SOGo/"),
        ("X-Forwarded-Method", "OPTIONS"),
        ("X-Remote-User", "carol@corp.test"),
        ("X-Client-Cert-Serial", "0A1B"),
        ("X-Client-Cert-Subject", "CN=forged"),
        ("X-Countermand-Secret", "guessed"),
    ];
    http::send(nginx.port, "POST", &sync("DEV7F3A"), &forged, b"");
    let calls = gate.calls();
    assert_eq!(calls.len(), 2, "one for the verdict, one for the refusal");
    for call in calls {
        let request = GateRequest::read(&call.uri, &call.uri, &call.headers).unwrap();
        assert_eq!(request.keys, ["eas:DEV7F3A"]);
        assert_eq!(request.person.as_deref(), Some("alice@corp.test"));
        assert_eq!(call.header("x-original-method"), Some("POST"));
        assert_eq!(call.header("x-countermand-secret"), Some(SECRET));
    }
}

#[test]
fn nginx_without_a_verdict_closes_for_two_minutes() {
    let gate = FakeGate::start(http_gate);
    let Some(nginx) = nginx(&gate, "not the secret") else {
        return;
    };
    let reply = http::get(nginx.port, "/SOGo/", &[ALICE]);
    assert_eq!(
        (reply.status, reply.header("retry-after")),
        (503, Some("120"))
    );
    assert_eq!(
        reply.header("www-authenticate"),
        None,
        "a phone must not ask for the password again"
    );

    drop(gate);
    let reply = http::send(nginx.port, "POST", &sync("DEV9C1E"), &[ALICE], b"");
    assert_eq!(
        (reply.status, reply.header("retry-after")),
        (503, Some("120"))
    );
}

#[test]
fn nginx_without_a_verdict_opens_where_that_was_chosen() {
    let gate = FakeGate::start(http_gate);
    let config = NginxConfig {
        gate_port: gate.port,
        gate_secret: SECRET,
        open_without_verdict: true,
    };
    let Some(nginx) = Nginx::start(config) else {
        return;
    };
    assert_eq!(
        http::send(nginx.port, "POST", &sync("DEV7F3A"), &[ALICE], b"").status,
        403
    );
    drop(gate);
    assert_eq!(
        http::send(nginx.port, "POST", &sync("DEV7F3A"), &[ALICE], b"").status,
        200
    );
}

/// Refuses the device dev-7f3a, as the real gate would.
fn dovecot_gate(call: &Call) -> Response<Body> {
    if call.header("x-countermand-secret") != Some(SECRET) {
        return answer(401, &[], "");
    }
    let request = DovecotRequest::parse(call.body.as_bytes()).unwrap();
    let refused = request.keys().iter().any(|key| key == "cred:dev-7f3a");
    answer(
        200,
        &[("Content-Type", "application/json")],
        if refused {
            wire::refuse(REASON)
        } else {
            wire::allow()
        },
    )
}

const LOGINS: [Login<'static>; 3] = [
    Login {
        name: "alice+7f3a@corp.test",
        password: "one",
        person: "alice@corp.test",
        device: Some("dev-7f3a"),
    },
    Login {
        name: "alice+9c1e@corp.test",
        password: "two",
        person: "alice@corp.test",
        device: Some("dev-9c1e"),
    },
    Login {
        name: "bob@corp.test",
        password: "three",
        person: "bob@corp.test",
        device: None,
    },
];

fn dovecot(gate: &FakeGate, open_without_verdict: bool) -> Option<Dovecot> {
    Dovecot::start(DovecotConfig {
        gate_port: gate.port,
        gate_secret: SECRET,
        logins: &LOGINS,
        open_without_verdict,
    })
}

#[test]
fn dovecot_lets_in_and_refuses_with_the_reason() {
    let gate = FakeGate::start(dovecot_gate);
    let Some(dovecot) = dovecot(&gate, false) else {
        return;
    };
    let login = |name, password| Imap::connect(dovecot.imap_port).login(name, password);

    assert!(login("alice+9c1e@corp.test", "two").is_ok());
    assert!(login("bob@corp.test", "three").is_ok());
    let refused = login("alice+7f3a@corp.test", "one");
    assert!(refused.tagged.starts_with("NO "), "{refused:?}");
    assert!(refused.text().contains(REASON), "{refused:?}");

    let calls = gate.calls();
    let (asked, reported): (Vec<_>, Vec<_>) = calls
        .iter()
        .partition(|call| call.uri == "/gate/dovecot?command=allow");
    assert_eq!(asked.len(), 3, "one question a login");
    assert!(
        reported
            .iter()
            .all(|call| call.uri == "/gate/dovecot?command=report")
    );
    for call in &calls {
        assert!(
            !call.body.contains("pwhash"),
            "no hash of a password leaves: {}",
            call.body
        );
    }
    let request = DovecotRequest::parse(asked[2].body.as_bytes()).unwrap();
    assert_eq!(request.person(), Some("alice@corp.test"));
    assert_eq!(request.keys(), ["cred:dev-7f3a"]);
}

#[test]
fn dovecot_tells_nobody_a_reason_before_the_password_is_right() {
    let gate = FakeGate::start(dovecot_gate);
    let Some(dovecot) = dovecot(&gate, false) else {
        return;
    };
    let refused = Imap::connect(dovecot.imap_port).login("alice+7f3a@corp.test", "wrong");
    assert!(
        !refused.is_ok() && !refused.text().contains("TikTok"),
        "{refused:?}"
    );
    assert!(
        gate.calls()
            .iter()
            .all(|call| call.uri.ends_with("command=report"))
    );
}

#[test]
fn dovecot_passes_on_what_a_mail_app_says_about_itself() {
    let gate = FakeGate::start(dovecot_gate);
    let Some(dovecot) = dovecot(&gate, false) else {
        return;
    };
    let mut imap = Imap::connect(dovecot.imap_port);
    imap.command(r#"ID ("name" "iPhone Mail" "x-device-id" "dev-7f3a")"#);
    assert!(imap.login("bob@corp.test", "three").is_ok());
    let request = DovecotRequest::parse(gate.calls()[0].body.as_bytes()).unwrap();
    assert_eq!(request.client.unwrap().device.as_deref(), Some("dev-7f3a"));
}

#[test]
fn dovecot_refuses_pop3_too() {
    let gate = FakeGate::start(dovecot_gate);
    let Some(dovecot) = dovecot(&gate, false) else {
        return;
    };
    let stream = TcpStream::connect(("127.0.0.1", dovecot.pop3_port)).unwrap();
    std::io::Write::write_all(&mut &stream, b"USER alice+7f3a@corp.test\r\nPASS one\r\n").unwrap();
    let lines: Vec<String> = BufReader::new(&stream)
        .lines()
        .take(3)
        .map(Result::unwrap)
        .collect();
    assert!(
        lines[2].starts_with("-ERR") && lines[2].contains(REASON),
        "{lines:?}"
    );
}

#[test]
fn dovecot_without_a_verdict_does_what_was_chosen() {
    for open in [false, true] {
        let gate = FakeGate::start(dovecot_gate);
        let Some(dovecot) = dovecot(&gate, open) else {
            return;
        };
        drop(gate);
        let reply = Imap::connect(dovecot.imap_port).login("bob@corp.test", "three");
        assert_eq!(reply.is_ok(), open, "{reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_makes_databases() {
    use sqlx::Connection as _;
    let Some(postgres) = Postgres::shared() else {
        return;
    };
    let urls = [postgres.fresh_database(), postgres.fresh_database()];
    assert_ne!(urls[0], urls[1]);
    for url in urls {
        let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
        sqlx::query("CREATE TABLE t (n INT)")
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
    }
}

#[test]
fn smtp_sink_greets() {
    let Some(sink) = SmtpSink::start() else {
        return;
    };
    let stream = TcpStream::connect(("127.0.0.1", sink.port)).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    assert!(line.starts_with("220 "), "{line}");
}

#[test]
fn a_missing_program_skips_a_test_and_fails_it_in_ci() {
    let missing = std::panic::catch_unwind(|| support::programs(["no-such-program"]).is_none());
    if std::env::var("CI").is_ok_and(|value| value == "true") {
        assert!(missing.is_err());
    } else {
        assert!(missing.unwrap());
    }
}
