//! Alice's mail server, and the three protocols and three proofs by which her phones come to it.

use axum::body::Body;
use axum::http::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::app::SECRET;
use crate::support::company::WITH_TIKTOK;
use crate::support::dovecot::{Dovecot, DovecotConfig, Login, More};
use crate::support::gate::FakeGate;
use crate::support::in_trouble::{Told, Tried};
use crate::support::pki::{Identity, Lines, Pki};
use crate::support::smtp_record::Recorder;

pub const ALICE: &str = "alice@corp.test";
/// Alice's two phones, as every proof names them.
pub const TIKTOK: &str = "dev-7f3a";
pub const CLEAN: &str = "dev-9c1e";
/// A certificate of the clean phone's that leads to the password of the other.
pub const MIXED: &str = "dev-c10c";

const fn login(name: &'static str, device: Option<&'static str>) -> Login<'static> {
    Login {
        name,
        password: "secret",
        person: ALICE,
        device,
    }
}

pub const LOGINS: [Login<'static>; 3] = [
    login(ALICE, None),
    login("alice+dev-7f3a@corp.test", Some(TIKTOK)),
    login("alice+dev-9c1e@corp.test", Some(CLEAN)),
];
const CERTIFICATES: [(&str, &str); 3] = [
    (TIKTOK, ALICE),
    (CLEAN, ALICE),
    (MIXED, "alice+dev-7f3a@corp.test"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Imap,
    Pop3,
    Submission,
}

impl Protocol {
    pub const ALL: [Protocol; 3] = [Protocol::Imap, Protocol::Pop3, Protocol::Submission];
}

/// What a mail app shows to sign in.
#[derive(Clone, Debug)]
pub enum Proof {
    Password(String),
    Token(&'static str, String),
}

impl Proof {
    /// The password of that device, or Alice's own.
    pub fn password(device: Option<&str>) -> Proof {
        let login = LOGINS.iter().find(|login| login.device == device).unwrap();
        Proof::Password(login.name.to_owned())
    }

    /// See [`issuer`].
    pub fn token(says: &str) -> Proof {
        Proof::Token("XOAUTH2", says.to_owned())
    }

    /// SASL mechanism and initial response.
    fn sasl(&self) -> (&'static str, String) {
        match self {
            // RFC 4616
            Proof::Password(name) => ("PLAIN", STANDARD.encode(format!("\0{name}\0secret"))),
            // RFC 7628
            Proof::Token(name @ "OAUTHBEARER", token) => {
                let text = format!("n,a={ALICE},\x01auth=Bearer {token}\x01\x01");
                (name, STANDARD.encode(text))
            }
            Proof::Token(name, token) => {
                let text = format!("user={ALICE}\x01auth=Bearer {token}\x01\x01");
                (name, STANDARD.encode(text))
            }
        }
    }
}

/// Who has given the tokens, and is asked what they are worth (RFC 7662). A token is called after what is said of it.
pub fn issuer() -> FakeGate {
    FakeGate::start(|call| {
        let token = call.body.strip_prefix("token=").unwrap_or_default();
        let token = token.split('&').next().unwrap_or_default();
        let of = |person: &str, device: &str| {
            format!(r#"{{"active":true,"username":"{person}","device_id":{device}}}"#)
        };
        let (status, answer) = match token {
            "inactive" => (200, r#"{"active":false}"#.to_owned()),
            "garbled" => (200, r#"<html>{"active":tr"#.to_owned()),
            "failing" => (500, of(ALICE, r#""dev-9c1e""#)),
            "bobs" => (200, of("bob@corp.test", r#""dev-9c1e""#)),
            "nameless" => (200, of(ALICE, "null")),
            "listed" => (200, of(ALICE, r#"["dev-9c1e"]"#)),
            "odd" => (200, of(ALICE, r#""dev-9c1e\u0009user=bob@corp.test""#)),
            device => (200, of(ALICE, &format!("\"{device}\""))),
        };
        let head = Response::builder().status(status);
        let head = head.header("Content-Type", "application/json");
        head.body(Body::from(answer)).unwrap()
    })
}

/// The mail server, with who gave its tokens and where its mails go.
pub struct House {
    pub pki: Pki,
    pub dovecot: Dovecot,
    _relay: Recorder,
}

impl House {
    /// `None` if Dovecot is missing.
    pub fn before(gate_port: u16, introspection_port: u16, open: bool) -> Option<House> {
        let (pki, relay) = (Pki::new(), Recorder::start());
        let config = DovecotConfig {
            gate_port,
            gate_secret: SECRET,
            logins: &LOGINS,
            open_without_verdict: open,
        };
        let more = More {
            introspection_port: Some(introspection_port),
            pki: Some(&pki),
            certificates: &CERTIFICATES,
            relay_port: Some(relay.port()),
            ..More::default()
        };
        let dovecot = Dovecot::start_with(config, more)?;
        Some(House {
            pki,
            dovecot,
            _relay: relay,
        })
    }

    /// What becomes of a phone of Alice's that shows its own password.
    pub fn tells(&self, protocol: Protocol, device: &str) -> Told {
        let name = if device == WITH_TIKTOK { TIKTOK } else { CLEAN };
        match self.enter(protocol, None, &Proof::password(Some(name))) {
            Ok(()) => Told::In,
            Err(shown) if shown.contains("Reference R-") => Told::Refused,
            Err(_) => Told::NoVerdict,
        }
    }

    /// Each protocol, with the choice that the house was made with.
    pub fn tried(&self, open: bool) -> impl Iterator<Item = Tried<'_>> {
        Protocol::ALL.into_iter().map(move |protocol| {
            let name = format!("{protocol:?}");
            Tried::new(&name, open, move |device| self.tells(protocol, device))
        })
    }

    /// Signs in. Where that fails, what the person is shown.
    pub fn enter(
        &self,
        protocol: Protocol,
        identity: Option<&Identity>,
        proof: &Proof,
    ) -> Result<(), String> {
        let (mechanism, response) = proof.sasl();
        let port = match protocol {
            Protocol::Imap => self.dovecot.imap_port,
            Protocol::Pop3 => self.dovecot.pop3_port,
            Protocol::Submission => self.dovecot.submission_port,
        };
        let mut session = Lines::connect(port, &self.pki, identity);
        session.line();
        match protocol {
            Protocol::Imap => {
                session.send(&format!("a AUTHENTICATE {mechanism} {response}"));
                ended(&mut session, "a OK", "a ")
            }
            Protocol::Pop3 => {
                session.send(&format!("AUTH {mechanism} {response}"));
                ended(&mut session, "+OK", "-ERR")
            }
            Protocol::Submission => {
                assert!(session.smtp("EHLO phone").starts_with("250"));
                session.send(&format!("AUTH {mechanism} {response}"));
                ended(&mut session, "235 ", "535 ")
            }
        }
    }
}

/// The end of a dialogue that began with everything there is to say.
fn ended(session: &mut Lines, good: &str, bad: &str) -> Result<(), String> {
    loop {
        let line = session.line();
        if line.starts_with(good) {
            return Ok(());
        }
        if line.starts_with(bad) || line.starts_with("4") {
            return Err(line);
        }
        assert!(!line.is_empty(), "the mail server hung up");
        // What was wrong with a token comes as a challenge; RFC 7628 has it answered by as good as nothing.
        if line.starts_with('+') || line.starts_with("334") {
            session.send("");
        }
    }
}
