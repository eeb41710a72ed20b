//! Real mail servers that ask a gate-only server: it answers them, ends their sessions, and goes on alone.

use crate::house::{House, SECRET, metric};
use crate::support::dovecot::{DOVEADM_KEY, Dovecot, DovecotConfig, Login};
use crate::support::free_port;
use crate::support::imap::Imap;
use crate::support::pki::{Lines, Pki};
use crate::support::submission::{Asks, Postfix};

/// A phone that no report has named: it is refused once an order is enforcing.
const ALICE: Login<'static> = Login {
    name: "alice@corp.test",
    password: "secret",
    person: "alice@corp.test",
    device: Some("dev-new"),
};
/// The same as AUTH PLAIN has it.
const PLAIN: &str = "AGFsaWNlQGNvcnAudGVzdABzZWNyZXQ=";

fn dovecot(gate_port: u16, open_without_verdict: bool, doveadm: u16) -> Option<Dovecot> {
    let config = DovecotConfig {
        gate_port,
        gate_secret: SECRET,
        logins: &[ALICE],
        open_without_verdict,
    };
    Dovecot::start_at(config, doveadm)
}

#[test]
fn a_gate_only_server_ends_the_open_sessions_of_its_dovecot() {
    let house = House::new();
    let doveadm = free_port();
    let Some(dovecot) = dovecot(house.gate_port, false, doveadm) else {
        return;
    };
    let main = house.main(&[]);
    let address = format!("127.0.0.1:{doveadm}");
    let gate = house.gate(&[
        ("GATE__DOVEADM__ADDRESS", &address),
        ("GATE__DOVEADM__API_KEY", DOVEADM_KEY),
    ]);
    house.follows(&gate);
    let mut session = Imap::connect(dovecot.imap_port);
    let entered = session.login(ALICE.name, ALICE.password);
    assert!(entered.is_ok(), "{entered:?}");
    assert!(session.command("SELECT INBOX").is_ok());
    session.begin_idle();

    house.publish();
    assert!(session.is_ended(), "its verdict turned");
    gate.await_that("count it", || {
        metric(house.gate_port, "countermand_gate_kicked_total") >= 1.0
    });
    gate.await_that("have it put on record", || {
        let entries = house.answers(&["--as", "root@corp.test", "audit", "log", "--last", "50"]);
        entries.to_string().contains("sessions.end")
    });
    drop(main);
    let again = || Imap::connect(dovecot.imap_port).login(ALICE.name, ALICE.password);
    let refused = again();
    assert!(
        refused.text().contains("R-"),
        "by the last view: {refused:?}"
    );
    drop(gate);
    let closed = again();
    assert!(
        !closed.is_ok() && !closed.text().contains("R-"),
        "{closed:?}"
    );
}

#[test]
fn a_postfix_asks_a_gate_only_server() {
    let house = House::new();
    let pki = Pki::new();
    // It only checks the password here: the other door is looked at.
    let Some(dovecot) = dovecot(free_port(), true, free_port()) else {
        return;
    };
    let port = free_port();
    let Some(postfix) = Postfix::start(Asks::Port(port), dovecot.login_port, &pki, false) else {
        return;
    };
    let main = house.main(&[]);
    let listen = format!("127.0.0.1:{port}");
    let gate = house.gate(&[("GATE__POSTFIX_LISTEN", &listen)]);
    house.follows(&gate);
    let phone = pki.device("dev-new");
    let mail = || {
        let mut session = Lines::start_tls(postfix.port, &pki, Some(&phone));
        let signed_in = session.smtp(&format!("AUTH PLAIN {PLAIN}"));
        assert!(signed_in.starts_with("235"), "{signed_in}");
        let from = session.smtp("MAIL FROM:<alice@corp.test>");
        assert!(from.starts_with("250"), "{from}");
        session.smtp("RCPT TO:<carl@example.org>")
    };
    let answer = mail();
    assert!(answer.starts_with("250"), "{answer}");
    let order = house.publish();
    gate.await_that("have Postfix refuse", || mail().starts_with("554 5.7.1"));
    drop(main);
    let answer = mail();
    assert!(
        answer.contains("eference") && answer.contains("R-"),
        "{answer}"
    );
    let main = house.main(&[]);
    house.retract(&order);
    gate.await_that("have Postfix take it", || mail().starts_with("250"));
    drop((gate, main));
    let answer = mail();
    assert!(answer.starts_with("451 4.3.5"), "{answer}");
}
