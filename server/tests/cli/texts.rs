//! What an order's texts are before anybody is told: hints, previews, tests.

use super::shop::{ANN, BO, CY, NIGHT, Shop, has};

/// The order file with places to ask, so that it has no hint.
fn quiet(shop: &Shop) {
    shop.order_with(
        "order.toml",
        "See {{ order.link }}",
        "Questions? Answer this mail.",
    );
}

#[test]
fn hints_go_with_every_step_until_publication() {
    let shop = Shop::new();
    shop.order_with(
        "late.toml",
        "2020-07-10T23:59:00-07:00",
        "2020-07-13T23:59:00-07:00",
    );
    let checked = shop.does("--json order check late.toml").json();
    let lints = checked["lints"].as_array().unwrap();
    assert_eq!(lints.len(), 2, "{lints:?}");
    for lint in lints {
        has(lint, "where what mend section line");
    }
    assert_eq!(lints[0]["where"], "[notice], line 15", "{lints:?}");
    assert_eq!(lints[1]["where"], "[notice], line 16", "{lints:?}");
    assert!(lints[1]["what"].as_str().unwrap().contains("«tonight»"));
    assert_eq!(checked["warnings"].as_array().unwrap().len(), 2);
    let drafted = shop.gets(ANN, "order draft late.toml");
    assert_eq!(drafted["lints"].as_array(), Some(lints));
    let id = drafted["id"].as_str().unwrap();
    for (who, step) in [
        (ANN, "submit"),
        (ANN, "show"),
        (BO, "approve"),
        (BO, "show"),
    ] {
        let after = shop.gets(who, &format!("order {step} {id}"));
        assert_eq!(after["lints"].as_array(), Some(lints), "{step}");
    }
    let said = shop.does(&format!("order show {id}")).out;
    assert!(
        said.contains("Note: [notice], line 16: the text says «tonight»"),
        "{said}"
    );
    let published = shop.gets(ANN, &format!("order publish {id}"));
    assert_eq!(published["lints"].as_array().unwrap().len(), 0);

    quiet(&shop);
    let checked = shop.does("--json order check order.toml").json();
    assert_eq!(checked["lints"].as_array().unwrap().len(), 0, "{checked}");
}

#[test]
fn anybodys_notice_is_shown_and_nothing_happens() {
    let shop = Shop::new();
    let before = shop.does("--json audit verify").json();
    let asked = "notices preview order.toml --person eve.adams@example.test";
    let shown = shop.does(&format!("--json {asked}")).json();
    has(&shown, "kind from to subject language text html remarks");
    assert_eq!(shown["to"], "Eve Adams <eve@example.test>");
    assert_eq!(shown["language"], "en");
    let text = shown["text"].as_str().unwrap();
    assert!(
        text.contains("Please remove TikTok by 10 Jul 2020, 23:59 PDT"),
        "{text}"
    );
    assert!(
        shown["html"]
            .as_str()
            .unwrap()
            .starts_with("<!doctype html>\n<html lang=\"en\">")
    );
    let words = shop.does(asked).out;
    for line in [
        "To: Eve Adams <eve@example.test>",
        "Subject: Remove TikTok by tonight to keep mail on your phone",
        "Note: As if it were published now.",
        "Nothing was sent, and nothing was changed.",
    ] {
        assert!(words.lines().any(|l| l == line), "{line} in {words}");
    }
    assert!(
        shop.does(&format!("{asked} --html"))
            .out
            .starts_with("<!doctype html>")
    );

    let correction = shop
        .does(&format!("--json {asked} --kind correction"))
        .json();
    let text = correction["text"].as_str().unwrap();
    assert!(
        text.contains("It no longer holds, and you need do nothing."),
        "{text}"
    );
    assert!(
        text.contains("(here stands the reason that the retraction gives)"),
        "{text}"
    );
    assert!(
        correction["remarks"][1]
            .as_str()
            .unwrap()
            .starts_with("As if it were retracted")
    );

    let brand = shop
        .does("notices preview order.toml --person dan@example.test")
        .out;
    assert!(brand.contains("not in the order's audience"), "{brand}");
    shop.types("notices preview order.toml --person nobody@example.test")
        .ends(2, "there is nobody called «nobody@example.test»");
    shop.types(&format!("{asked} --kind reminder-1"))
        .ends(2, "there is no reminder-1");
    shop.types(&format!("{asked} --kind praise"))
        .ends(2, "is no kind of notice");
    shop.does("operator add vi@example.test --role viewer");
    shop.types(&format!("--as vi@example.test {asked}"))
        .ends(3, "may not preview");
    let after = shop.does("--json audit verify").json();
    // But for the operator who was added.
    assert_eq!(
        after["entries"].as_u64(),
        before["entries"].as_u64().map(|n| n + 1)
    );
    assert!(!shop.file("countermand-data/test-mailbox").exists());
}

#[test]
fn what_only_the_doors_know_is_for_who_looks_people_up() {
    let shop = Shop::new();
    let id = shop.published();
    shop.does("--as root@example.test mode enforce");
    shop.decides(NIGHT, &["--device", "eas:ABCDEF0123456789"]);
    let asked = format!("notices preview {id} --person eve@example.test --kind correction");
    let ann = shop.gets(ANN, &asked);
    let remarks = ann["remarks"].to_string();
    assert!(remarks.contains("is left out"), "{remarks}");
    let cy = shop.gets(CY, &asked);
    assert!(!cy["remarks"].to_string().contains("is left out"), "{cy}");
}

#[test]
fn inv_11_a_test_reaches_its_operator_and_no_live_transport() {
    let shop = Shop::new();
    let id = shop.draft();
    let mails = |folder: &str| {
        let folder = shop.file(&format!("countermand-data/{folder}/new"));
        std::fs::read_dir(folder).map_or(Vec::new(), |files| {
            files
                .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
                .collect()
        })
    };
    shop.types(&format!("notices test {id}"))
        .ends(3, "say who acts with --as EMAIL");
    shop.types(&format!(
        "--as {ANN} notices test {id} --to eve@example.test"
    ))
    .ends(3, "eve@example.test is no operator");
    assert!(mails("test-mailbox").is_empty());
    let tested = shop.gets(ANN, &format!("notices test {id} --kind correction"));
    assert_eq!(tested["to"], ANN);
    assert_eq!(tested["subject"], "TEST: CORRECTION: you may keep TikTok");
    shop.gets(ANN, &format!("notices test order.toml --to {BO}"));
    let sent = mails("test-mailbox");
    assert_eq!(sent.len(), 2);
    for mail in &sent {
        for line in [
            "X-Countermand-Test: 1",
            "Subject: TEST: ",
            "Message-ID: <test.",
            "THIS IS A TEST",
            "THIS WAS A TEST",
        ] {
            assert!(mail.contains(line), "{line} in {mail}");
        }
        assert!(!mail.contains("?n="), "a test has no token: {mail}");
    }
    // Ann is not on the list of staff; she is somebody all the same, and no channel.
    let to_her = "Mail was not refused to you because of it.";
    assert!(sent.iter().any(|mail| mail.contains(to_her)), "{sent:?}");
    // Nothing of it is a notice: no receipt, and nothing in the mailbox of notices.
    shop.does("notices send --until-idle");
    assert!(mails("mailbox").is_empty());
    let shown = shop.gets(ANN, &format!("order show {id}"));
    assert_eq!(shown["notices"]["accepted"], 0);
    assert_eq!(shown["corrections"]["accepted"], 0);
    let log = shop.does("audit log").out;
    assert_eq!(log.matches("notice.test").count(), 2, "{log}");
}
