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
fn the_doctor_wants_an_address_and_an_installation() {
    let shop = Shop::new();
    shop.types("doctor --from mail.example.test")
        .ends(2, "http:// or https://");
    Shop::empty().types("doctor").ends(2, "there is nothing in");
}
