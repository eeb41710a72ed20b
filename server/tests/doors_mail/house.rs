//! Alice's company, and her phones at Postfix and at nginx's mail proxy: each shows a certificate.

use std::sync::Mutex;

use axum::http::Response;
use countermand::config::Config;
use countermand::gate::postfix;
use countermand::listen::{Admit, Listen, Listener};
use countermand_core::verdict::NoKey;
use tokio::runtime::Runtime;

use crate::support::company::{Company, WITH_TIKTOK};
use crate::support::dovecot::{Dovecot, DovecotConfig, Login};
use crate::support::gate::FakeGate;
use crate::support::in_trouble::Told;
use crate::support::nginx_mail::NginxMail;
use crate::support::pki::{Identity, Lines, Pki};

pub const ALICE: &str = "alice@corp.test";
/// `\0alice@corp.test\0secret` in base64: SASL PLAIN (RFC 4616).
const PLAIN: &str = "AGFsaWNlQGNvcnAudGVzdABzZWNyZXQ=";
const LOGINS: [Login<'static>; 1] = [Login {
    name: ALICE,
    password: "secret",
    person: ALICE,
    device: None,
}];

/// Certificates alone name devices here.
pub fn by_certificate(config: &mut Config) {
    config.gate.no_device_key = NoKey::Allow;
}

/// It checks passwords, and is told yes by whomever it asks: the doors before it are looked at.
pub struct Passwords {
    pub dovecot: Dovecot,
    _yes: FakeGate,
}

pub fn passwords() -> Option<Passwords> {
    let yes = FakeGate::start(|_| Response::new(r#"{"status":0,"msg":""}"#.into()));
    let dovecot = Dovecot::start(DovecotConfig {
        gate_port: yes.port,
        gate_secret: "none",
        logins: &LOGINS,
        open_without_verdict: false,
    })?;
    Some(Passwords { dovecot, _yes: yes })
}

/// Alice's two phones.
pub struct Phones {
    pub pki: Pki,
    pub tiktok: Identity,
    pub clean: Identity,
}

impl Phones {
    pub fn new() -> Phones {
        let pki = Pki::new();
        Phones {
            tiktok: pki.device("dev-7f3a"),
            clean: pki.device("dev-9c1e"),
            pki,
        }
    }

    pub fn of(&self, device: &str) -> &Identity {
        if device == WITH_TIKTOK {
            &self.tiktok
        } else {
            &self.clean
        }
    }

    /// A session at a Postfix.
    pub fn sign_in(&self, port: u16, identity: Option<&Identity>) -> Lines {
        let mut session = Lines::start_tls(port, &self.pki, identity);
        let answer = session.smtp(&format!("AUTH PLAIN {PLAIN}"));
        assert!(answer.starts_with("235"), "{answer}");
        session
    }

    /// What a Postfix answers to a recipient of this phone's.
    pub fn recipient(&self, port: u16, device: &str) -> String {
        recipient(&mut self.sign_in(port, Some(self.of(device))))
    }

    /// What a mail app is answered behind nginx's mail proxy.
    pub fn log_in(
        &self,
        nginx: &NginxMail,
        protocol: Protocol,
        identity: Option<&Identity>,
        password: &str,
    ) -> String {
        let port = match protocol {
            Protocol::Imap => nginx.imap_port,
            Protocol::Pop3 => nginx.pop3_port,
            Protocol::Smtp => nginx.smtp_port,
        };
        let mut session = Lines::connect(port, &self.pki, identity);
        let greeting = session.line();
        match protocol {
            Protocol::Imap => {
                assert!(greeting.starts_with("* OK"), "{greeting}");
                session.send(&format!("a LOGIN {ALICE} {password}"));
                loop {
                    let line = session.line();
                    if !line.starts_with('*') {
                        return line;
                    }
                }
            }
            Protocol::Pop3 => {
                assert!(greeting.starts_with("+OK"), "{greeting}");
                session.send(&format!("USER {ALICE}"));
                assert!(session.line().starts_with("+OK"));
                session.send(&format!("PASS {password}"));
                session.line()
            }
            Protocol::Smtp => {
                assert!(greeting.starts_with("220"), "{greeting}");
                assert!(session.smtp("EHLO phone").starts_with("250"));
                session.smtp(&format!("AUTH PLAIN {PLAIN}"))
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Imap,
    Pop3,
    Smtp,
}

impl Protocol {
    pub const ALL: [Protocol; 3] = [Protocol::Imap, Protocol::Pop3, Protocol::Smtp];

    /// How an answer begins that lets in, and one that refuses.
    const fn begins(self) -> (&'static str, &'static str) {
        match self {
            Protocol::Imap => ("a OK", "a NO "),
            Protocol::Pop3 => ("+OK", "-ERR "),
            Protocol::Smtp => ("235", "535 5.7.1 "),
        }
    }

    pub fn told(self, answer: &str) -> Told {
        let (good, bad) = self.begins();
        if answer.starts_with(good) {
            return Told::In;
        }
        if explains(answer) {
            assert!(answer.starts_with(bad), "{answer}");
            return Told::Refused;
        }
        Told::NoVerdict
    }
}

/// What Postfix answers to one more recipient.
pub fn recipient(session: &mut Lines) -> String {
    let from = session.smtp(&format!("MAIL FROM:<{ALICE}>"));
    assert!(from.starts_with("250"), "{from}");
    let answer = session.smtp("RCPT TO:<carl@example.org>");
    assert!(session.smtp("RSET").starts_with("250"));
    answer
}

pub fn told(answer: &str) -> Told {
    match answer.get(..3) {
        Some("250") => Told::In,
        Some("451") => {
            assert!(answer.starts_with("451 4.3.5"), "{answer}");
            Told::NoVerdict
        }
        _ => {
            assert!(answer.starts_with("554 5.7.1"), "{answer}");
            assert!(explains(answer), "{answer}");
            Told::Refused
        }
    }
}

fn explains(answer: &str) -> bool {
    let explains = ["Remove TikTok", "Reference R-"].map(|text| answer.contains(text));
    assert_eq!(explains[0], explains[1], "{answer}");
    explains[0]
}

/// Countermand's door for Postfix, which can be killed alone.
pub struct Policy<'a> {
    company: &'a Company,
    listen: Listen,
    runtime: Mutex<Option<Runtime>>,
}

impl Policy<'_> {
    pub fn of(company: &Company, listen: Listen) -> Policy<'_> {
        let runtime = Mutex::new(None);
        let policy = Policy {
            company,
            listen,
            runtime,
        };
        policy.start();
        policy
    }

    pub fn start(&self) {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(Listener::bind(&self.listen, Admit::Group));
        runtime.spawn(postfix::serve(self.company.gate.clone(), listener.unwrap()));
        *self.runtime.lock().unwrap() = Some(runtime);
    }

    pub fn kill(&self) {
        let runtime = self.runtime.lock().unwrap().take().unwrap();
        runtime.shutdown_timeout(std::time::Duration::from_secs(30));
    }
}
