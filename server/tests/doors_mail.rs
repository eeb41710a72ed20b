//! The doors of fleets whose devices show certificates: real Postfix, and nginx's mail proxy before a real
//! Dovecot, with the shipped configurations.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::Arc;

use countermand::config::GateConfig;
use countermand::gate::{Gate, Route, postfix};
use countermand::listen::{Admit, Listen, Listener};
use countermand_core::order::Order;
use support::app::{Listening, RESPONDER, SECRET, TIKTOK, World, operator};
use support::dovecot::{Dovecot, DovecotConfig, Login};
use support::free_port;
use support::nginx_mail::NginxMail;
use support::pki::{Identity, Lines, Pki};
use support::smtp_record::Recorder;
use support::submission::Postfix;

/// Alice, her phone with TikTok and her clean one, each with a certificate.
struct Company {
    world: World,
    gate: Arc<Gate>,
    listening: Option<Listening>,
    runtime: tokio::runtime::Runtime,
    pki: Pki,
    with_tiktok: Identity,
    clean: Identity,
}

const ALICE: &str = "alice@corp.test";
/// `\0alice@corp.test\0secret` in base64: SASL PLAIN (RFC 4616).
const PLAIN: &str = "AGFsaWNlQGNvcnAudGVzdABzZWNyZXQ=";
const LOGINS: [Login<'static>; 1] = [Login {
    name: ALICE,
    password: "secret",
    person: ALICE,
    device: None,
}];

impl Company {
    fn new() -> Self {
        Self::with(|_| {})
    }

    /// nginx passes logins on to that Dovecot, and what is sent to that relay.
    fn before(dovecot: &Dovecot, relay: &Recorder) -> Self {
        Self::with(|config| {
            let at = |port| Some(([127, 0, 0, 1], port).into());
            config.nginx_mail.imap = at(dovecot.imap_port);
            config.nginx_mail.pop3 = at(dovecot.pop3_port);
            config.nginx_mail.smtp = at(relay.port());
        })
    }

    fn with(change: impl FnOnce(&mut GateConfig)) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (world, gate) = runtime.block_on(async {
            let world = World::with(|config| {
                config.gate.no_device_key = countermand_core::verdict::NoKey::Allow;
                change(&mut config.gate);
            });
            let world = world.await;
            world.people(&["alice@corp.test,,Alice,all-staff,,"]).await;
            let clean = "alice@corp.test,2,cert:dev-9c1e;cert:CN=dev-9c1e,com.example.clock@1";
            world.iphones(&[clean]).await;
            let gate = world.gate();
            (world, gate)
        });
        let pki = Pki::new();
        let company = Company {
            listening: Some(Listening::start(gate.clone())),
            with_tiktok: pki.device("dev-7f3a"),
            clean: pki.device("dev-9c1e"),
            world,
            gate,
            runtime,
            pki,
        };
        company.report("com.zhiliaoapp.musically@16.1");
        company
    }

    fn report(&self, apps: &str) {
        let row = format!("alice@corp.test,1,cert:dev-7f3a;cert:CN=dev-7f3a,{apps}");
        self.runtime.block_on(self.world.iphones(&[&row]));
    }

    fn publish(&self) -> Order {
        self.runtime.block_on(async {
            let order = self.world.publish(TIKTOK).await;
            self.world.tell(&order, ALICE).await;
            order
        })
    }

    fn go_to(&self, at: &str) {
        self.runtime.block_on(self.world.go_to(at));
    }

    fn retract(&self, order: &Order) {
        let (responder, id) = (operator(RESPONDER), order.id.to_string());
        let retracted = self.world.app.retract(&responder, &id, "sent in error");
        self.runtime.block_on(retracted).unwrap();
    }

    /// Let in, warned, refused, cured, let in; then refused again, retracted, let in.
    fn story(&self, enter: impl Fn(&Identity) -> bool) {
        let (tiktok, clean) = (&self.with_tiktok, &self.clean);
        assert!(enter(tiktok) && enter(clean), "no order");
        let order = self.publish();
        assert!(enter(tiktok) && enter(clean), "until the deadline");
        let doors = self.gate.figures();
        let asked = doors.iter().filter(|door| door.route != Route::Dovecot);
        assert!(
            asked.clone().count() > 0 && asked.clone().all(|door| door.warned > 0),
            "{doors:?}"
        );
        self.go_to("2020-07-11T07:00:00Z");
        assert!(!enter(tiktok) && enter(clean), "past the deadline");
        self.report("com.example.clock@1");
        assert!(enter(tiktok), "cured");
        self.go_to("2020-07-11T08:00:00Z");
        self.report("com.zhiliaoapp.musically@16.1");
        assert!(!enter(tiktok) && enter(clean), "installed again");
        self.retract(&order);
        assert!(enter(tiktok) && enter(clean), "retracted");
    }

    fn dovecot(&self) -> Option<Dovecot> {
        Dovecot::start(DovecotConfig {
            gate_port: self.listening.as_ref().unwrap().port,
            gate_secret: SECRET,
            logins: &LOGINS,
            // It asks us as well; in these tests the other door is looked at.
            open_without_verdict: true,
        })
    }
}

/// The door for Postfix on a runtime of its own; dropping it is what killing Countermand is to Postfix.
fn policy(company: &Company) -> (u16, tokio::runtime::Runtime) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let port = free_port();
    let listen = Listen::Tcp(([127, 0, 0, 1], port).into());
    let listener = runtime
        .block_on(Listener::bind(&listen, Admit::Group))
        .unwrap();
    runtime.spawn(postfix::serve(company.gate.clone(), listener));
    (port, runtime)
}

fn mail(session: &mut Lines) -> String {
    let from = session.smtp(&format!("MAIL FROM:<{ALICE}>"));
    assert!(from.starts_with("250"), "{from}");
    let answer = session.smtp("RCPT TO:<carl@example.org>");
    assert!(session.smtp("RSET").starts_with("250"));
    answer
}

#[test]
fn a_phone_sends_through_postfix() {
    let company = Company::new();
    let Some(dovecot) = company.dovecot() else {
        return;
    };
    let (port, door) = policy(&company);
    let start = |open| Postfix::start(port, dovecot.login_port, &company.pki, open);
    let (Some(closed), Some(open)) = (start(false), start(true)) else {
        return;
    };
    let sign_in = |port, identity: Option<&Identity>| {
        let mut session = Lines::start_tls(port, &company.pki, identity);
        let answer = session.smtp(&format!("AUTH PLAIN {PLAIN}"));
        assert!(answer.starts_with("235"), "{answer}");
        session
    };
    // It stands from before the order to after the deadline.
    let standing = std::cell::RefCell::new(sign_in(closed.port, Some(&company.with_tiktok)));
    company.story(|identity| {
        let answer = mail(&mut sign_in(closed.port, Some(identity)));
        let allowed = answer.starts_with("250");
        if !allowed {
            assert!(answer.starts_with("554 5.7.1"), "{answer}");
            for text in ["Remove TikTok", "Reference R-"] {
                assert!(answer.contains(text), "{answer}");
            }
            let answer = mail(&mut standing.borrow_mut());
            assert!(answer.starts_with("554"), "an open session: {answer}");
        }
        allowed
    });
    assert!(
        mail(&mut standing.borrow_mut()).starts_with("250"),
        "retracted"
    );

    let order = company.publish();
    company.go_to("2020-07-11T10:00:00Z");
    let mut refused = sign_in(closed.port, Some(&company.with_tiktok));
    assert!(mail(&mut refused).starts_with("554"));
    let forged = Pki::self_made("dev-7f3a");
    let answer = mail(&mut sign_in(closed.port, Some(&forged)));
    assert!(
        answer.starts_with("250"),
        "no authority stands for its name: {answer}"
    );
    company.retract(&order);

    door.shutdown_background();
    let answer = mail(&mut sign_in(closed.port, Some(&company.clean)));
    assert!(answer.starts_with("451 4.3.5"), "{answer}");
    let answer = mail(&mut sign_in(open.port, Some(&company.with_tiktok)));
    assert!(answer.starts_with("250"), "{answer}");
}

#[test]
fn a_mail_app_behind_nginx_s_mail_proxy() {
    // nginx needs to be told where to pass on to, before Dovecot says where it listens.
    let first = Company::new();
    let Some(dovecot) = first.dovecot() else {
        return;
    };
    let relay = Recorder::start();
    let mut company = Company::before(&dovecot, &relay);
    let port = company.listening.as_ref().unwrap().port;
    let Some(nginx) = NginxMail::start(port, SECRET, &company.pki) else {
        return;
    };
    let log_in = |identity: Option<&Identity>, password: &str| {
        let mut session = Lines::connect(nginx.imap_port, &company.pki, identity);
        assert!(session.line().starts_with("* OK"));
        session.send(&format!("a LOGIN {ALICE} {password}"));
        loop {
            let line = session.line();
            if !line.starts_with('*') {
                return line;
            }
        }
    };
    let fetch = |identity: &Identity| {
        let mut session = Lines::connect(nginx.pop3_port, &company.pki, Some(identity));
        assert!(session.line().starts_with("+OK"));
        session.send(&format!("USER {ALICE}"));
        assert!(session.line().starts_with("+OK"));
        session.send("PASS secret");
        session.line()
    };
    let send = |identity: &Identity| {
        let mut session = Lines::connect(nginx.smtp_port, &company.pki, Some(identity));
        assert!(session.line().starts_with("220"));
        assert!(session.smtp("EHLO phone").starts_with("250"));
        session.smtp(&format!("AUTH PLAIN {PLAIN}"))
    };
    company.story(|identity| {
        let answers = [
            (log_in(Some(identity), "secret"), "a OK", "a NO "),
            (fetch(identity), "+OK", "-ERR "),
            (send(identity), "235", "535 5.7.1 "),
        ];
        let allowed = answers[0].0.starts_with(answers[0].1);
        for (answer, good, bad) in &answers {
            assert!(
                answer.starts_with(if allowed { good } else { bad }),
                "{answers:?}"
            );
            for text in ["Remove TikTok", "Reference R-"] {
                assert_eq!(answer.contains(text), !allowed, "{answers:?}");
            }
        }
        allowed
    });
    assert!(
        log_in(Some(&company.clean), "wrong").starts_with("a NO"),
        "Dovecot checks the password"
    );

    let order = company.publish();
    company.go_to("2020-07-11T10:00:00Z");
    let forged = Pki::self_made("dev-7f3a");
    let answer = log_in(Some(&forged), "secret");
    assert!(
        answer.starts_with("a OK"),
        "no authority stands for its name: {answer}"
    );
    company.retract(&order);

    company.listening = None;
    let clean = Some(&company.clean);
    let mut session = Lines::connect(nginx.imap_port, &company.pki, clean);
    session.line();
    session.send(&format!("a LOGIN {ALICE} secret"));
    let answer = session.line();
    assert!(!answer.starts_with("a OK"), "{answer}");
}
