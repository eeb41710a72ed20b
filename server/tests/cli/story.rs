//! The story of 10 July 2020 through the command line, and the documents that it prints.

use serde_json::Value;

use crate::shop::{ANN, BO, CY, NIGHT, NOON, Shop, has};

const RECEIPTS: &str = "planned claimed in_flight accepted rejected unknown cancelled";
const DEVICE: &[&str] = &["--device", "eas:44455637463341"];

#[test]
fn the_story_from_draft_to_retraction() {
    let shop = Shop::new();
    let preview = shop.gets(ANN, "order preview order.toml");
    has(
        &preview,
        "digest people devices in_scope by_platform by_form_factor by_group unknown exempt already_denied weak_matches",
    );
    has(&preview["unknown"], "invisible stale no_report");
    assert_eq!(
        (
            &preview["people"],
            &preview["devices"],
            &preview["in_scope"]
        ),
        (&1.into(), &1.into(), &3.into())
    );
    assert_eq!(preview["unknown"]["invisible"], 1);
    assert_eq!(preview["by_platform"]["ios"], 1);

    let id = shop.draft();
    let short = shop.gets(ANN, &format!("order show {id}"))["short"]
        .as_str()
        .unwrap()
        .to_lowercase();
    assert_eq!(
        shop.gets(ANN, &format!("order preview {short}"))["digest"],
        preview["digest"]
    );
    assert_eq!(
        shop.gets(ANN, &format!("order submit {short}"))["state"],
        "in_review"
    );
    let digest = preview["digest"].as_str().unwrap();
    assert_eq!(
        shop.gets(BO, &format!("order approve {id} --digest {digest}"))["state"],
        "approved"
    );
    let published = shop.gets(ANN, &format!("order publish {id}"));
    assert_eq!(published["state"], "published");

    let shown = shop.gets(ANN, &format!("order show {id}"));
    has(
        &shown,
        "id state revision published_at enforce_from retracted_at notices corrections",
    );
    has(&shown["notices"], RECEIPTS);
    has(&shown["corrections"], RECEIPTS);
    assert_eq!(shown["published_at"], NOON);
    assert_eq!(shown["enforce_from"], "2020-07-11T06:59:00Z");
    assert_eq!(shown["retracted_at"], Value::Null);
    assert_eq!(
        shown["notices"]["planned"], 2,
        "those with the app, and those whose apps nobody sees"
    );
    has(
        &shop.gets(ANN, &format!("notices status {id}")),
        "id notices corrections finished",
    );

    // Before the deadline, after it, held, resumed, extended: each follows from the time alone.
    assert_eq!(
        shop.decides(NOON, DEVICE).ends(0, "").json()["decision"],
        "warn"
    );
    let denied = shop.decides(NIGHT, DEVICE).ends(3, "").json();
    has(&denied, "decision because fallback person device ref");
    assert_eq!(
        (&denied["decision"], &denied["fallback"]),
        (&"deny".into(), &Value::Null)
    );
    assert_eq!(
        (&denied["person"], &denied["device"]),
        (&"eve@example.test".into(), &"eas:DEV7F3A".into())
    );
    assert!(denied["ref"].as_str().unwrap().starts_with("R-"));
    let because = &denied["because"][0];
    has(
        because,
        "order title app package_id version seen_at source enforce_from",
    );
    assert_eq!(because["order"], id.as_str());
    assert_eq!(
        (&because["app"], &because["source"]),
        (&"tiktok".into(), &"csv".into())
    );
    assert_eq!(because["enforce_from"], "2020-07-11T06:59:00Z");
    let at = [
        DEVICE,
        &["--at", "2020-07-11T00:30:00[America/Los_Angeles]"],
    ]
    .concat();
    assert_eq!(
        shop.decides(NOON, &at).ends(3, "").json()["at"],
        "2020-07-11T07:30:00Z"
    );

    assert_eq!(
        shop.gets(CY, &format!("order hold {id} --reason Really?"))["state"],
        "held"
    );
    assert_eq!(
        shop.decides(NIGHT, DEVICE).ends(0, "").json()["because"][0]["softened"],
        "held"
    );
    assert_eq!(
        shop.gets(CY, &format!("order resume {id}"))["state"],
        "published"
    );
    shop.decides(NIGHT, DEVICE).ends(3, "");
    let to = "2020-07-12T23:59:00[America/Los_Angeles]";
    let extended = shop.gets(CY, &format!("order extend {id} --to {to}"));
    assert_eq!(extended["enforce_from"], "2020-07-13T06:59:00Z");
    shop.decides(NIGHT, DEVICE).ends(0, "");

    let retract = [
        "--json",
        "--as",
        CY,
        "order",
        "retract",
        &id,
        "--reason",
        "Sent in error",
    ];
    let late = "2020-07-13T09:00:00Z";
    let answer = shop.run_at(late, &[], &retract).ends(0, "").json();
    has(
        &answer,
        "cancelled in_flight accepted unknown corrections_planned devices_restored exports_outstanding",
    );
    assert_eq!(
        (&answer["cancelled"], &answer["devices_restored"]),
        (&2.into(), &1.into())
    );
    assert_eq!(
        shop.run_at(late, &[], &retract).ends(0, "").json(),
        answer,
        "twice is once"
    );
    assert_eq!(
        shop.decides(late, DEVICE).ends(0, "").json()["decision"],
        "allow"
    );
    let shown = shop.gets(ANN, &format!("order show {id}"));
    assert_eq!(
        (&shown["state"], &shown["retracted_at"]),
        (&"retracted".into(), &late.into())
    );
    assert_eq!(shown["enforce_from"], Value::Null);
    assert_eq!(shown["notices"]["cancelled"], 2);

    let verified = shop.gets(ANN, "audit verify");
    has(&verified, "entries head ok first_bad");
    assert_eq!(
        (&verified["ok"], &verified["first_bad"]),
        (&true.into(), &Value::Null)
    );
    let actions: Vec<String> = shop
        .gets(ANN, &format!("audit log --order {id}"))
        .as_array()
        .unwrap()
        .iter()
        .map(|e| {
            format!(
                "{} {}",
                e["action"].as_str().unwrap(),
                e["actor"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(actions.first().unwrap(), "order.draft ann@example.test");
    assert_eq!(actions.last().unwrap(), "order.retract cy@example.test");
    assert_eq!(actions.len(), 8);
}

#[test]
fn what_was_sent_is_corrected() {
    let shop = Shop::new();
    let id = shop.published();
    assert_eq!(
        shop.does("--json notices send --until-idle").json()["accepted"],
        2
    );
    let shown = shop.gets(ANN, &format!("order show {id}"));
    assert_eq!(
        (&shown["notices"]["planned"], &shown["notices"]["accepted"]),
        (&0.into(), &2.into())
    );
    let answer = shop.gets(CY, &format!("order retract {id} --reason Wrong"));
    assert_eq!(
        (&answer["accepted"], &answer["corrections_planned"]),
        (&2.into(), &2.into())
    );
    let status = format!("notices status {id}");
    assert_eq!(shop.gets(ANN, &status)["finished"], false);
    shop.does("notices send --until-idle");
    let status = shop.gets(ANN, &status);
    assert_eq!(
        (&status["finished"], &status["corrections"]["accepted"]),
        (&true.into(), &2.into())
    );
    assert_eq!(shop.gets(ANN, "audit log")[7]["shell_of"], "tester");
}

#[test]
fn people_read_states_in_words_with_the_next_command() {
    let shop = Shop::new();
    let id = shop.draft();
    let shown = shop
        .types(&format!("--data ./countermand-data order show {id}"))
        .ends(0, "")
        .out;
    for words in [
        "10 Jul 2020, 23:59 PDT",
        "10 Jul 2020, 12:00 PDT  draft  ann@example.test",
        "countermand --as EMAIL order submit",
    ] {
        assert!(shown.contains(words), "«{words}» is not in\n{shown}");
    }
    assert!(!shown.contains('\u{1b}'), "colour without a terminal");
    let list = shop.does("order list").out;
    assert!(
        list.contains("draft") && list.contains("Remove TikTok"),
        "{list}"
    );
    // Where the data is elsewhere, the command to type says so.
    std::fs::rename(shop.file("countermand-data"), shop.file("our data? 100%")).unwrap();
    let shown = shop
        .run(&["order", "show", &id, "--data", "our data? 100%"])
        .ends(0, "")
        .out;
    assert!(
        shown.contains("countermand --data 'our data? 100%' --as EMAIL order submit"),
        "{shown}"
    );
}

#[test]
fn an_exemption_takes_two_and_leaves_the_person_out() {
    let shop = Shop::new();
    shop.published();
    shop.decides(NIGHT, DEVICE).ends(3, "");
    let add = [
        "--json",
        "--as",
        ANN,
        "exempt",
        "add",
        "--person",
        "eve@example.test",
        "--until",
        "2020-08-01",
        "--reason",
        "Runs our channel",
    ];
    let asked = shop.run(&add).ends(0, "").json();
    assert_eq!(asked["state"], "asked for");
    shop.decides(NIGHT, DEVICE).ends(3, "");
    let id = asked["id"].as_str().unwrap();
    shop.types(&format!("--as {ANN} exempt approve {id}"))
        .ends(3, "another person");
    assert_eq!(
        shop.gets(BO, &format!("exempt approve {id}"))["state"],
        "active"
    );
    shop.decides(NIGHT, DEVICE).ends(0, "");
    assert_eq!(
        shop.gets(ANN, &format!("exempt end {id}"))["state"],
        "ended"
    );
    shop.decides(NIGHT, DEVICE).ends(3, "");
    assert_eq!(shop.gets(ANN, "exempt list")[0]["approved_by"], BO);
}

#[test]
fn a_persons_word_is_taken_where_the_order_takes_it() {
    let shop = Shop::new();
    let id = shop.published();
    let attest = |id: &str| shop.types(&format!("--json --as {CY} attest cy@example.test {id}"));
    attest(&id).ends(2, "takes nobody's word");
    shop.order_with(
        "order.toml",
        "[notice]",
        "[when_unknown]\ninvisible = \"attest\"\n\n[notice]",
    );
    let id = shop.published();
    let decide = [
        "decide",
        "--user",
        "cy@example.test",
        "--device",
        "mdm:csv:20",
    ];
    shop.run_at(NIGHT, &[], &decide).ends(3, "");
    has(&attest(&id).ends(0, "").json(), "person order at until");
    assert_eq!(shop.run_at(NIGHT, &[], &decide).status, 0);
}

#[test]
fn doors_and_mode_are_acts_of_one() {
    let shop = Shop::new();
    shop.published();
    assert_eq!(shop.gets(ANN, "mode")["mode"], "observe");
    assert_eq!(
        shop.gets("root@example.test", "mode enforce")["mode"],
        "enforce"
    );
    let open = [
        "--json",
        "--as",
        CY,
        "doors",
        "open",
        "--reason",
        "Mail is down",
    ];
    assert_eq!(
        shop.run(&open).ends(0, "").json()["doors_open"]["reason"],
        "Mail is down"
    );
    assert_eq!(
        shop.decides(NIGHT, DEVICE).ends(0, "").json()["decision"],
        "allow"
    );
    assert_eq!(shop.gets(CY, "doors close")["doors_open"], Value::Null);
    shop.decides(NIGHT, DEVICE).ends(3, "");
}

#[test]
fn a_backup_brings_everything_back_and_overwrites_nothing() {
    let shop = Shop::new();
    let id = shop.draft();
    shop.does("backup b.db");
    shop.types("backup b.db").ends(2, "never overwrites");
    shop.gets(ANN, &format!("order submit {id}"));
    shop.types("restore b.db").ends(2, "--force");
    shop.types("restore order.toml --force")
        .ends(2, "no backup of Countermand");
    shop.types("restore missing.db --force")
        .ends(2, "no file missing.db");
    shop.types(&format!("--as {ANN} restore b.db --force"))
        .ends(3, "role admin");
    assert_eq!(
        shop.gets(ANN, &format!("order show {id}"))["state"],
        "in_review"
    );

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let data = shop.file("countermand-data");
    let open = countermand::store::Store::open("sqlite:countermand.db", &data);
    let store = runtime.block_on(open).unwrap();
    shop.types("restore b.db --force")
        .ends(2, "stop `countermand serve` first");
    runtime.block_on(store.close());

    let restored = shop.does("restore b.db --force --json").json();
    assert_eq!(restored["ok"], true);
    assert_eq!(
        shop.gets(ANN, &format!("order show {id}"))["state"],
        "draft"
    );
}

#[test]
fn inv_26_a_backup_from_before_a_retraction_does_not_bring_the_order_back() {
    let shop = Shop::new();
    let id = shop.published();
    shop.does("backup b.db");
    shop.gets(CY, &format!("order retract {id} --reason Mistake"));
    let restored = shop.does("restore b.db --force --json").json();
    assert_eq!(restored["held"], serde_json::json!([id]));
    assert_eq!(shop.gets(ANN, &format!("order show {id}"))["state"], "held");
    shop.does("notices send --until-idle");
    let status = shop.gets(ANN, &format!("notices status {id}"));
    assert_eq!(status["notices"]["accepted"], 0, "{status}");
    let log = shop.gets(ANN, "audit log");
    let actions: Vec<&str> = log
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|e| e["action"].as_str())
        .collect();
    assert!(actions.contains(&"database.restore"), "{actions:?}");
}
