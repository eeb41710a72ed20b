//! `doctor` from outside: its statuses and its document.

use crate::shop::{NOON, Shop, has};
use crate::support::free_port;

#[test]
fn the_doctor_ends_with_1_where_something_failed_and_needs_no_operator() {
    let shop = Shop::new();
    let nowhere = format!("127.0.0.1:{}", free_port());
    let listen = [("COUNTERMAND_SERVER__LISTEN", nowhere.as_str())];
    let ran = shop.run_at(NOON, &listen, &["doctor"]).ends(1, "");
    for text in [
        "failed   gate.down",
        &nowhere,
        "to mend ",
        "\n4 ok, 2 warnings, 1 failure.",
    ] {
        assert!(ran.out.contains(text), "{text}: {}", ran.out);
    }

    let report = shop
        .run_at(NOON, &listen, &["doctor", "--json"])
        .ends(1, "")
        .json();
    has(&report, "ok failed warnings checks");
    assert_eq!(
        (&report["ok"], &report["failed"]),
        (&false.into(), &1.into())
    );
    let checks = report["checks"].as_array().unwrap();
    let down = checks
        .iter()
        .find(|check| check["id"] == "gate.down")
        .unwrap();
    has(down, "id status what where expected mend");
    assert_eq!(
        (&down["status"], &down["where"]),
        (&"failed".into(), &nowhere.clone().into())
    );

    // Nobody serves, and the proxy that is to ask does not either.
    let front = format!("http://127.0.0.1:{}", free_port());
    let asked = ["doctor", "--json", "--from", &front];
    let report = shop.run_at(NOON, &listen, &asked).ends(1, "").json();
    assert_eq!(report["failed"], 2);
}

#[test]
fn the_doctor_wants_an_address() {
    let shop = Shop::new();
    shop.types("doctor --from mail.example.test")
        .ends(2, "http:// or https://");
}

#[test]
fn where_there_is_no_database_the_doctor_looks_from_outside() {
    // A data directory that is none has no secret either.
    let ran = Shop::empty().types("doctor").ends(1, "");
    for text in [
        "warning  database",
        "there is nothing in",
        "failed   gate.secret",
    ] {
        assert!(ran.out.contains(text), "{text}: {}", ran.out);
    }

    // Somebody's laptop, with a copy of the config: all that is wrong here is what is not here.
    let laptop = Shop::empty();
    let nowhere = format!("127.0.0.1:{}", free_port());
    let front = format!("http://127.0.0.1:{}", free_port());
    // Not that of the config's first form, where a demo of this machine's may listen.
    let public = format!("http://127.0.0.1:{}", free_port());
    let config = [
        ("COUNTERMAND_GATE__SECRET", "0123456789abcdef-of-the-laptop"),
        ("COUNTERMAND_SERVER__LISTEN", nowhere.as_str()),
        ("COUNTERMAND_SERVER__PUBLIC_URL", public.as_str()),
    ];
    let asked = ["doctor", "--json", "--from", &front];
    let report = laptop.run_at(NOON, &config, &asked).ends(1, "").json();
    let checks = report["checks"].as_array().unwrap().iter();
    let found: Vec<_> = checks
        .map(|check| {
            (
                check["id"].as_str().unwrap(),
                check["status"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("database", "warning"),
        ("gate.down", "warning"),
        ("public_url", "failed"),
        ("front.down", "failed"),
    ];
    assert_eq!(found, expected);
}
