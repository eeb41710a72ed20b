//! The main server stays away for long, or the disk was damaged.

use std::os::unix::fs::PermissionsExt as _;

use crate::house::{House, SECRET, metric, told};
use crate::support::http::send;

const SHORT: &[(&str, &str)] = &[("GATE__MAX_VIEW_AGE", "PT2S")];

/// What the gate-only server says to every kind of door that asks by HTTP.
fn statuses(house: &House) -> [u16; 3] {
    let login = br#"{"user":"alice@corp.test","protocol":"imap","passdb_device":"d"}"#;
    let secret = ("X-Countermand-Secret", SECRET);
    let dovecot = send(
        house.gate_port,
        "POST",
        "/gate/dovecot?command=allow",
        &[secret],
        login,
    );
    let mail_proxy = [
        secret,
        ("Auth-User", "alice@corp.test"),
        ("Auth-Protocol", "imap"),
        ("Client-IP", "192.0.2.1"),
        ("Auth-Method", "plain"),
        ("Auth-Pass", "x"),
        ("Auth-Login-Attempt", "1"),
    ];
    let mail_proxy = send(house.gate_port, "GET", "/gate/nginx-mail", &mail_proxy, b"");
    let http = house.asks("alice@corp.test", "DEV7F3A");
    for reply in [&dovecot, &mail_proxy, &http] {
        assert!(reply.header("x-countermand-view-age").is_some());
        assert!(reply.header("x-countermand-view-version").is_some());
    }
    [http.status, dovecot.status, mail_proxy.status]
}

#[test]
fn inv_27_a_view_that_is_too_old_gives_no_verdict_and_says_so() {
    let house = House::new();
    let main = house.main(&[]);
    let gate = house.gate(SHORT);
    house.publish();
    gate.await_that("refuse as the main server does", || {
        told(&house.asks("alice@corp.test", "DEV7F3A")) == (403, Some("deny"))
    });
    drop(main);
    gate.await_that("have too old a view", || {
        house.asks("bob@corp.test", "DEVB0B").status == 503
    });
    assert_eq!(statuses(&house), [503; 3]);
    let reply = house.asks("alice@corp.test", "DEV7F3A");
    let reason = reply.header("x-countermand-reason").unwrap();
    assert!(
        reason.starts_with("No verdict: ") && reason.contains("max_view_age"),
        "{reason}"
    );
    let age: f64 = reply
        .header("x-countermand-view-age")
        .unwrap()
        .parse()
        .unwrap();
    assert!(age >= 2.0, "{age}");
    assert!(metric(house.gate_port, "countermand_gate_view_age_seconds") >= 2.0);
    assert_eq!(
        send(house.gate_port, "GET", "/readyz", &[], b"").status,
        503
    );
    assert_eq!(
        send(house.gate_port, "GET", "/healthz", &[], b"").status,
        200
    );

    // A restart makes no old view young.
    drop(gate);
    let gate = house.gate(SHORT);
    assert_eq!(house.asks("alice@corp.test", "DEV7F3A").status, 503);
    let _main = house.main(&[]);
    gate.await_that("give verdicts again", || {
        told(&house.asks("alice@corp.test", "DEV7F3A")) == (403, Some("deny"))
    });
    assert_eq!(
        send(house.gate_port, "GET", "/readyz", &[], b"").status,
        200
    );
}

#[test]
fn inv_04_a_view_that_is_too_old_and_had_no_order_closes_no_door() {
    let house = House::new();
    let main = house.main(&[]);
    let gate = house.gate(SHORT);
    house.follows(&gate);
    drop(main);
    gate.await_that("have too old a view", || {
        metric(house.gate_port, "countermand_gate_view_age_seconds") > 2.0
    });
    let reply = house.asks("alice@corp.test", "DEV7F3A");
    assert_eq!(told(&reply), (204, Some("allow")));
    let reason = reply.header("x-countermand-reason").unwrap();
    assert!(reason.contains("no order was enforcing"), "{reason}");
}

#[test]
fn a_damaged_view_is_refused_as_a_whole_and_fetched_anew() {
    let house = House::new();
    let main = house.main(&[]);
    let gate = house.gate(&[]);
    house.publish();
    gate.await_that("refuse as the main server does", || {
        told(&house.asks("alice@corp.test", "DEV7F3A")) == (403, Some("deny"))
    });
    drop(gate);
    drop(main);
    let view = house.gate_data().join("gate-view");
    let mut bytes = std::fs::read(&view).unwrap();
    let mode = std::fs::metadata(&view).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let holds = |text: &str| bytes.windows(text.len()).any(|w| w == text.as_bytes());
    assert!(holds("alice@corp.test") && holds("com.zhiliaoapp.musically"));
    for nobodys_business in [
        "com.example.chess",
        "Surname",
        "Security risks",
        "sent in error",
    ] {
        assert!(!holds(nobodys_business), "{nobodys_business}");
    }
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&view, bytes).unwrap();

    let gate = house.gate(&[]);
    gate.await_that("say that it is damaged", || {
        gate.log().contains("is not used")
    });
    assert_eq!(statuses(&house), [503; 3]);
    let reply = house.asks("bob@corp.test", "DEVB0B");
    assert_eq!(reply.header("x-countermand-view-age"), Some("none"));
    assert_eq!(
        reply.header("x-countermand-reason"),
        Some("No verdict: there is no view of the facts yet.")
    );
    assert_eq!(
        metric(house.gate_port, "countermand_gate_view_version"),
        -1.0
    );
    assert!(house.gate_data().join("gate-view.refused").exists());

    let _main = house.main(&[]);
    gate.await_that("fetch a new view", || {
        told(&house.asks("alice@corp.test", "DEV7F3A")) == (403, Some("deny"))
    });
    assert_eq!(told(&house.asks("bob@corp.test", "DEVB0B")).0, 204);
}
