//! What Postfix and nginx's mail proxy do without a verdict, as the table in deploy/README.md says. Dovecot is in
//! `doors_dovecot/trouble.rs`, the web's proxies in `doors_proxies/trouble.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use countermand::gate::postfix;
use countermand::listen::{Admit, Listen, Listener};
use jiff::SignedDuration;
use support::app::SECRET;
use support::company::Company;
use support::dovecot::{Dovecot, DovecotConfig, Login};
use support::free_port;
use support::nginx_mail::NginxMail;
use support::pki::{Lines, Pki};
use support::submission::Postfix;
use support::trouble::Trouble;

const ALICE: &str = "alice@corp.test";
/// `\0alice@corp.test\0secret` in base64: SASL PLAIN (RFC 4616).
const PLAIN: &str = "AGFsaWNlQGNvcnAudGVzdABzZWNyZXQ=";
const LOGINS: [Login<'static>; 1] = [Login {
    name: ALICE,
    password: "secret",
    person: ALICE,
    device: None,
}];

/// All that can stand in Countermand's place, by the names of the table.
fn troubles() -> [(&'static str, Trouble); 6] {
    [
        ("gone", Trouble::gone()),
        ("silent", Trouble::silent()),
        ("fails", Trouble::answers(503, &[])),
        ("no HTTP", Trouble::rubbish()),
        ("somebody else", Trouble::answers(200, &[])),
        ("wrong secret", Trouble::answers(401, &[])),
    ]
}

fn dovecot(gate_port: u16, open_without_verdict: bool) -> Option<Dovecot> {
    Dovecot::start(DovecotConfig {
        gate_port,
        gate_secret: SECRET,
        logins: &LOGINS,
        open_without_verdict,
    })
}

/// What Postfix answers to a recipient of Alice's.
fn rcpt(postfix: &Postfix, pki: &Pki) -> String {
    let mut session = Lines::start_tls(postfix.port, pki, None);
    let signed_in = session.smtp(&format!("AUTH PLAIN {PLAIN}"));
    assert!(signed_in.starts_with("235"), "{signed_in}");
    let from = session.smtp(&format!("MAIL FROM:<{ALICE}>"));
    assert!(from.starts_with("250"), "{from}");
    let answer = session.smtp("RCPT TO:<carl@example.org>");
    answer.chars().take(3).collect()
}

/// Postfix speaks a protocol of its own to us, so what is no HTTP to the others is no policy to it.
#[test]
fn postfix_does_as_chosen() {
    let pki = Pki::new();
    let Some(dovecot) = dovecot(Trouble::gone().port(), true) else {
        return;
    };
    let (pki, dovecot) = (&pki, &dovecot);
    std::thread::scope(|scope| {
        for (what, trouble) in [
            ("gone", Trouble::gone()),
            ("silent", Trouble::silent()),
            ("no policy", Trouble::rubbish()),
            ("somebody else", Trouble::answers(200, &[])),
        ] {
            scope.spawn(move || {
                for open in [false, true] {
                    let (port, login) = (trouble.port(), dovecot.login_port);
                    let Some(postfix) = Postfix::start(port, login, pki, open) else {
                        return;
                    };
                    let expected = if open { "250" } else { "451" };
                    assert_eq!(rcpt(&postfix, pki), expected, "{what}");
                }
            });
        }
    });
}

/// An answer of ours would overrule what Postfix was told to do without one.
#[test]
fn inv_27_postfix_does_as_chosen_where_the_view_is_too_old() {
    let company = Company::new();
    let order = company.publish();
    company.tell(&order);
    company.go_to("2020-07-11T07:00:00Z");
    let (port, pki) = (free_port(), Pki::new());
    let listen = Listen::Tcp(([127, 0, 0, 1], port).into());
    let listener = company
        .runtime
        .block_on(Listener::bind(&listen, Admit::Group));
    let serve = postfix::serve(company.gate.clone(), listener.unwrap());
    company.runtime.spawn(serve);
    let Some(dovecot) = dovecot(Trouble::gone().port(), true) else {
        return;
    };
    let start = |open| Postfix::start(port, dovecot.login_port, &pki, open);
    let (Some(closed), Some(open)) = (start(false), start(true)) else {
        return;
    };
    assert_eq!(rcpt(&closed, &pki), "554", "the verdict of a fresh view");
    assert_eq!(rcpt(&open, &pki), "554");
    company.world.clock.advance(SignedDuration::from_mins(11));
    assert_eq!(rcpt(&closed, &pki), "451");
    assert_eq!(rcpt(&open, &pki), "250");
    company.go_to("2020-07-11T07:12:00Z");
    assert_eq!(rcpt(&open, &pki), "554");
}

/// It knows no other choice; and never a yes from who does not say where to pass on to.
#[test]
fn nginxs_mail_proxy_stays_closed() {
    let pki = Pki::new();
    let device = pki.device("dev-9c1e");
    let (pki, device) = (&pki, &device);
    std::thread::scope(|scope| {
        for (what, trouble) in troubles() {
            scope.spawn(move || {
                let Some(nginx) = NginxMail::start(trouble.port(), SECRET, pki) else {
                    return;
                };
                let mut session = Lines::connect(nginx.imap_port, pki, Some(device));
                assert!(session.line().starts_with("* OK"));
                session.send(&format!("a LOGIN {ALICE} secret"));
                let answer = session.line();
                assert!(!answer.starts_with("a OK"), "{what}: {answer}");
            });
        }
    });
}
