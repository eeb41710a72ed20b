//! The doctor on the machine of a gate-only server, which has no database.

use serde_json::Value;

use crate::house::House;

/// The status, and each finding with its own.
fn examined(house: &House, more: &[(&str, &str)]) -> (i32, Vec<(String, String)>, String) {
    let (status, text) = house.at_the_gate(more, &["doctor", "--json"]);
    let report: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    let word = |check: &Value, key: &str| check[key].as_str().unwrap().to_owned();
    let checks = report["checks"].as_array().unwrap().iter();
    let found = checks.map(|check| (word(check, "id"), word(check, "status")));
    (status, found.collect(), text)
}

fn bad(found: &[(String, String)]) -> Vec<(&str, &str)> {
    let bad = found.iter().filter(|(_, status)| status != "ok");
    // On one machine the address in notices is always a local one.
    let bad = bad.filter(|(id, _)| id != "public_url.local");
    bad.map(|(id, status)| (&**id, &**status)).collect()
}

#[test]
fn the_doctor_of_a_gate_only_machine_needs_no_database() {
    let house = House::new();
    let main = house.main(&[]);
    let gate = house.gate(&[]);
    house.follows(&gate);
    let (status, found, text) = examined(&house, &[]);
    assert_eq!((status, bad(&found)), (0, vec![]), "{text}");
    for id in ["gate.http", "gate.view", "gate.dovecot", "follow", "spool"] {
        assert!(found.iter().any(|(found, _)| found == id), "{id}: {text}");
    }
    for id in ["database", "relay", "config.transport"] {
        assert!(found.iter().all(|(found, _)| found != id), "{id}: {text}");
    }

    let other = [("FOLLOW__SECRET", "another0123456789abcdef012345")];
    let (status, found, text) = examined(&house, &other);
    assert_eq!((status, bad(&found)), (1, vec![("follow", "failed")]));
    assert!(text.contains("does not know our secret"), "{text}");

    let spool = house.gate_data().join("gate-spool");
    std::fs::write(spool.join("000000000009.unreadable"), "{").unwrap();
    let (status, found, text) = examined(&house, &[]);
    assert_eq!((status, bad(&found)), (0, vec![("spool.aside", "warning")]));
    assert!(text.contains("000000000009.unreadable"), "{text}");
    std::fs::remove_file(spool.join("000000000009.unreadable")).unwrap();

    // The same people in another house: what follows there would take one for another.
    let elsewhere = House::new();
    let _main_elsewhere = elsewhere.main(&[]);
    let url = format!("http://127.0.0.1:{}", elsewhere.main_port);
    let (_, found, _) = examined(&house, &[("FOLLOW__URL", &url)]);
    assert_eq!(bad(&found), [("follow.view", "failed")]);

    drop(main);
    let (status, found, text) = examined(&house, &[]);
    assert_eq!(status, 1);
    assert!(bad(&found).contains(&("follow", "failed")), "{text}");
    drop(gate);
    let (status, found, text) = examined(&house, &[]);
    assert_eq!(status, 1);
    assert!(bad(&found).contains(&("gate.down", "failed")), "{text}");
    assert!(text.contains("countermand-gate"), "{text}");
}
