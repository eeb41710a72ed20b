//! Whose a device is, in the terminal: looked up, recognised, shared.

use super::shop::{ANN, CY, NIGHT, NOON, Shop, has};

const HEADER: &str =
    "person,device,keys,platform,form_factor,ownership,visibility,os_version,seen_at,apps\n";

#[test]
fn an_unknown_device_is_recognised_by_word_and_by_report() {
    let shop = Shop::new();
    let id = shop.published();
    shop.does("notices send --until-idle");
    let unknown = ["--device", "eas:ROTATED", "--channel", "imap"];
    let before = shop.decides(NOON, &unknown).json();
    assert_eq!(before["decision"], "allow", "nothing is enforcing yet");
    let refused = shop.decides(NIGHT, &unknown).ends(3, "").json();
    assert_eq!(refused["fallback"], "unknown_device");
    assert_eq!(refused["because"][0]["order"], id.as_str());
    let line = refused["line"].as_str().unwrap();
    assert!(
        line.contains("Enrol it") && line.contains("helpdesk"),
        "{line}"
    );

    let word = [
        "device",
        "recognise",
        "eas:ROTATED",
        "--person",
        "eve.adams@example.test",
    ];
    let says = |who: &[&str], more: &[&str]| {
        let reason = ["--reason", "Showed it at the desk"];
        shop.run_at(NIGHT, &[], &[who, &word[..], &reason, more].concat())
    };
    says(&["--as", ANN], &[]).ends(3, "may not have devices recognised");
    says(&[], &[]).ends(3, "--as EMAIL");
    says(&["--as", CY], &["--same-as", "eas:DEV8"]).ends(2, "no key of exactly one device");
    shop.types(&format!(
        "--as {CY} device recognise eas:DEV8 --person eve@example.test --reason x"
    ))
    .ends(2, "another person's");
    shop.types(&format!(
        "--as {CY} device recognise DEV8 --person eve@example.test --reason x"
    ))
    .ends(2, "is no device key");
    let done = says(&["--as", CY, "--json"], &["--platform", "ios"])
        .ends(0, "")
        .json();
    has(&done, "key person same_as at decision");
    assert_eq!(
        (&done["person"], &done["decision"]),
        (&"eve@example.test".into(), &"warn".into())
    );
    says(&["--as", CY], &[]).ends(2, "there is nothing to do");
    let warned = shop.decides(NIGHT, &unknown).ends(0, "").json();
    assert_eq!(
        (&warned["decision"], &warned["fallback"]),
        (&"warn".into(), &"no_report".into())
    );

    let shown = shop.gets(CY, "device show EAS:rotated");
    has(&shown, "devices claims");
    assert_eq!(shown["devices"][0]["person"], "eve@example.test");
    assert_eq!(shown["devices"][0]["last_report"], serde_json::Value::Null);
    assert_eq!(
        shop.gets(CY, "device show eve@example.test")["devices"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let words = shop
        .does(&format!("--as {CY} device show eve@example.test"))
        .out;
    assert!(words.contains("known by somebody's word"), "{words}");
    assert!(!words.contains("musically"), "no apps: {words}");
    shop.types(&format!("--as {ANN} device show eas:ROTATED"))
        .ends(3, "look up");
    shop.types(&format!("--as {CY} device show nobody"))
        .ends(2, "no device key");
    let none = shop.does(&format!("--as {CY} device show eas:NEVER")).out;
    assert!(none.starts_with("Nothing is known of eas:NEVER"), "{none}");
    let log = shop.gets(CY, "audit log");
    let entry = log
        .as_array()
        .unwrap()
        .iter()
        .find(|e| e["action"] == "device.recognise")
        .unwrap();
    assert!(
        entry.to_string().contains("Showed it at the desk"),
        "{entry}"
    );

    // Taken back, it is unknown again; and given anew.
    let back = |who: &str, key: &str| {
        let line = [
            "--as",
            who,
            "device",
            "forget",
            key,
            "--reason",
            "Was not hers",
        ];
        shop.run_at(NIGHT, &[], &line)
    };
    back(ANN, "eas:ROTATED").ends(3, "may not have devices recognised");
    back(CY, "eas:DEV7F3A").ends(2, "what a report says is mended at its source");
    let told = back(CY, "EAS:rotated").ends(0, "").out;
    assert!(
        told.contains("a device of eve@example.test is taken back. The doors refuse it"),
        "{told}"
    );
    let refused = shop.decides(NIGHT, &unknown).ends(3, "").json();
    assert_eq!(refused["fallback"], "unknown_device");
    says(&["--as", CY], &["--platform", "ios"]).ends(0, "");

    // A report that shows the key takes the device in.
    let row = "eve@example.test,30,eas:ROTATED,ios,phone,personal,full,13.5,2020-07-11T08:00:00Z,com.zhiliaoapp.musically@16.6.5\n";
    shop.write("more.csv", &format!("{HEADER}{row}"));
    shop.run_at(NIGHT, &[], &["import", "csv", "more.csv"])
        .ends(0, "");
    let refused = shop.decides(NIGHT, &unknown).ends(3, "").json();
    assert_eq!(refused["because"][0]["app"], "tiktok");
}

#[test]
fn inv_37_who_looks_at_somebodys_devices_or_apps_is_on_record() {
    let shop = Shop::new();
    shop.published();
    shop.does("notices send --until-idle");
    let looks = || {
        let log = shop.gets(CY, "audit log");
        let looks = log.as_array().unwrap().iter();
        let looks = looks.filter(|e| e["action"] == "person.look");
        let said = |e: &serde_json::Value| {
            let people = e["details"]["people"].as_array().unwrap().len();
            let what = e["details"]["what"].as_str().unwrap().to_owned();
            (e["actor"].as_str().unwrap().to_owned(), what, people)
        };
        looks.map(said).collect::<Vec<_>>()
    };
    // Nobody's, or refused, or without an app in the answer.
    shop.does(&format!("--as {CY} device show eas:NEVER"));
    shop.types(&format!("--as {ANN} device show eve@example.test"))
        .ends(3, "look up");
    shop.decides(NIGHT, &["--device", "eas:ROTATED"])
        .ends(3, "");
    assert!(looks().is_empty(), "{:?}", looks());

    let mut expected = Vec::new();
    for line in ["device show eve@example.test", "device show eas:DEV7F3A"] {
        shop.does(&format!("--as {CY} {line}"));
        expected.push(("devices", 1));
        assert_eq!(looks().len(), expected.len(), "{line}");
    }
    let refused = shop
        .decides(NIGHT, &["--device", "eas:DEV7F3A"])
        .ends(3, "");
    assert_eq!(refused.json()["because"][0]["app"], "tiktok");
    expected.push(("verdict", 1));
    let all = looks();
    let told: Vec<_> = all.iter().map(|(_, what, n)| (what.as_str(), *n)).collect();
    assert_eq!(told, expected);
    assert!(all[1].0.contains(CY), "{all:?}");
    // The record is read by many: it does not say who that was.
    let log = shop.does(&format!("--as {ANN} audit log"));
    assert!(log.out.contains("person.look"), "{}", log.out);
    assert!(!log.out.contains("eve@"), "{}", log.out);
}

#[test]
fn a_file_that_is_too_large_is_not_taken() {
    let shop = Shop::new();
    let row = "eve@example.test,31,eas:BIG,ios,phone,personal,full,13.5,2020-07-10T12:00:00Z,com.example.mail@1\n";
    shop.write("big.csv", &format!("{HEADER}{}", row.repeat(11_000)));
    let small = [("COUNTERMAND_IMPORT__MAX_MIB", "1")];
    for command in ["import csv big.csv", "people import big.csv"] {
        let line: Vec<&str> = command.split(' ').collect();
        shop.run_at(NOON, &small, &line)
            .ends(2, "more than the 1 MiB that an import may have");
    }
    let known = shop.does(&format!("--as {CY} device show eas:BIG")).out;
    assert!(known.starts_with("Nothing is known"), "{known}");
    let none = [("COUNTERMAND_IMPORT__MAX_MIB", "0")];
    shop.run_at(NOON, &none, &["import", "csv", "big.csv"])
        .ends(2, "max_mib");
    shop.does("import csv big.csv");
}

#[test]
fn a_restored_backup_is_one_more_name_of_the_same_device() {
    let shop = Shop::new();
    shop.published();
    shop.does("notices send --until-idle");
    let word = [
        "--as",
        CY,
        "device",
        "recognise",
        "eas:RESTORED",
        "--person",
        "eve@example.test",
        "--same-as",
        "eas:DEV7F3A",
        "--reason",
        "x",
    ];
    let said = shop.run_at(NIGHT, &[], &word).ends(0, "").out;
    assert!(
        said.contains(
            "one more name of eve@example.test's device eas:DEV7F3A. The doors still refuse it"
        ),
        "{said}"
    );
    let refused = shop
        .decides(NIGHT, &["--device", "eas:RESTORED"])
        .ends(3, "")
        .json();
    assert_eq!(refused["because"][0]["app"], "tiktok");
}

#[test]
fn inv_05_an_import_notes_a_key_that_two_devices_share() {
    let shop = Shop::new();
    let row = "ann@example.test,31,eas:DEV7F3A,android,phone,company,full,10,2020-07-10T12:00:00Z,com.example.mail@1\n";
    shop.write("clone.csv", &format!("{HEADER}{row}"));
    let ran = shop
        .types("--json import csv clone.csv")
        .ends(0, "2 devices go by eas:DEV7F3A");
    let note = "2 devices go by eas:DEV7F3A (of ann@example.test, eve@example.test): at a door the strictest of them decides, until their reports tell them apart";
    assert_eq!(ran.json()["files"][0]["notes"], serde_json::json!([note]));
    let fine = shop
        .types("--json import csv devices.csv")
        .ends(0, "2 devices go by");
    assert_eq!(fine.json()["imported"], 4);
}
