//! Every exit status, and what is said with it.

use std::sync::{Arc, Mutex};

use countermand::app::App;
use countermand::clock::{Ids, ManualClock};
use countermand::config::Config;
use countermand_core::actor::Actor;
use serde_json::Value;
use uuid::Uuid;

use crate::shop::{ANN, BO, CY, NIGHT, Shop};

#[test]
fn nothing_is_read_where_nothing_is_and_init_makes_it_once() {
    let shop = Shop::empty();
    for line in [
        "order list",
        "decide --user a@example.test",
        "audit verify --json",
        "notices status X",
        "mode",
        "import csv x.csv",
    ] {
        let ran = shop.types(line).ends(
            2,
            "there is nothing in ./countermand-data yet; `countermand init` makes it",
        );
        assert_eq!(ran.out, "");
    }
    assert!(
        !shop.file("countermand-data").exists(),
        "reading made something"
    );
    for line in [
        "catalogue show tiktok --json",
        "catalogue search --json",
        "order schema",
    ] {
        shop.does(line).json();
    }
    shop.types("init --database mysql:x")
        .ends(2, "names no database");
    shop.does("init --json").json();
    let ran = shop
        .types("init --admin root@example.test")
        .ends(2, "nothing was changed");
    assert_eq!(ran.out, "");
    assert_eq!(
        shop.does("operator list --json").json(),
        serde_json::json!([])
    );
    let config = std::fs::read_to_string(shop.file("countermand-data/countermand.toml")).unwrap();
    let secret = config.lines().find(|l| l.starts_with("secret")).unwrap();
    assert_eq!(secret.len(), "secret = \"\"".len() + 64);
    #[cfg(unix)]
    for (name, mode) in [
        ("", 0o700),
        ("countermand.toml", 0o600),
        ("countermand.db", 0o600),
    ] {
        use std::os::unix::fs::PermissionsExt;
        let made = shop.file("countermand-data").join(name);
        let rights = std::fs::metadata(&made).unwrap().permissions().mode() & 0o777;
        assert_eq!(rights, mode, "{}", made.display());
    }
}

#[test]
fn global_options_stand_before_or_behind_the_command() {
    let shop = Shop::empty();
    shop.does("--data d init");
    shop.does("operator add ann@example.test --role author --data d");
    let before = shop.does("--json --data d operator list").out;
    let behind = shop.does("operator list --json --data d").out;
    assert_eq!(before, behind);
    shop.does("--data e init --database sqlite:other.db");
    assert!(shop.file("e/other.db").exists());
    shop.does("--data e order list");
    shop.does("--data d order list --config e/countermand.toml --database sqlite:countermand.db");
}

#[test]
fn wrong_use_ends_with_two() {
    let shop = Shop::new();
    for (line, words) in [
        ("order", "Usage"),
        ("retract", "unrecognized subcommand"),
        ("order retract 7Q2M", "--reason"),
        ("operator add ann --role author", "mail address"),
        (
            "operator add ann@example.test --role boss",
            "roles are viewer",
        ),
        (
            "operator invite nobody@example.test",
            "there is no operator",
        ),
        (
            "decide --user eve@example.test --device DEV7F3A",
            "no device key",
        ),
        (
            "decide --user eve@example.test --channel carrier-pigeon",
            "expected one of activesync",
        ),
        ("decide --user eve@example.test --at tonight", "no time"),
        ("order show 7Q2M", "there is no order «7Q2M»"),
        ("order preview 7Q2M", "there is no order «7Q2M»"),
        ("order preview missing.toml", "no file missing.toml"),
        ("audit log --order 7Q2M", "there is no order"),
        ("explain R-0000-00", "no refusal goes by"),
        ("import cvs devices.csv", "possible values"),
        ("import auto people.csv", "countermand people import"),
        ("people import devices.csv", "no column email"),
        ("catalogue show tictoc", "did you mean tiktok?"),
        ("order list --config missing.toml", "missing.toml"),
        ("order list --database mysql:x", "names no database"),
        ("serve --gate-only", "set url in [follow]"),
    ] {
        let ran = shop.types(line).ends(2, words);
        assert_eq!(ran.out, "", "{line}");
    }
    shop.run_at(NIGHT, &[("COUNTERMAND_NOW", "tonight")], &["mode"])
        .ends(2, "COUNTERMAND_NOW");
    shop.run_at(NIGHT, &[("COUNTERMAND_SERVER__LISTN", "x")], &["mode"])
        .ends(2, "did you mean «listen»?");
}

#[test]
fn what_is_wrong_with_an_order_file_is_said_with_its_line() {
    let shop = Shop::new();
    for (old, new, words) in [
        (
            "comply_by ",
            "comply_bye",
            "bad.toml: line 12: there is no key «comply_bye» here; did you mean «comply_by»?",
        ),
        (
            "\"tiktok\"",
            "\"tiktik\"",
            "bad.toml: line 5: forbid: the catalogue has no app `tiktik`; did you mean `tiktok`?",
        ),
        (
            "\"all-staff\"",
            "\"all-stuff\"",
            "there is nobody in a group «all-stuff»; did you mean «all-staff»?",
        ),
        ("order.link", "order.lnk", "bad.toml: [notice]"),
        ("[correction]", "[corection]", "did you mean «correction»?"),
    ] {
        shop.order_with("bad.toml", old, new);
        let said = shop.types("order check bad.toml --json").ends(2, words);
        assert_eq!(said.out, "");
        let drafted = shop
            .types(&format!("--as {ANN} order draft bad.toml"))
            .ends(2, words);
        assert_eq!(drafted.out, "");
    }
    assert_eq!(shop.does("order list --json").json(), serde_json::json!([]));
    assert_eq!(
        shop.does("order check order.toml --json").json()["ok"],
        true
    );
}

#[test]
fn an_import_keeps_the_good_rows_and_a_rejected_file_changes_nothing() {
    let shop = Shop::new();
    let header = "person,device,platform,form_factor,seen_at,apps";
    let good = "ann@example.test,18,android,phone,2020-07-10T18:00:00Z,com.zhiliaoapp.musically@1";
    let bad = "eve@example.test,99,symbian,phone,2020-07-10T18:00:00Z,";
    shop.write("mixed.csv", &format!("{header}\n{good}\n{bad}\n"));
    let ran = shop
        .types("import csv mixed.csv --json")
        .ends(2, "mixed.csv: line 3: platform");
    let told = ran.json();
    assert_eq!(
        (&told["imported"], &told["rejected"]),
        (&1.into(), &1.into())
    );
    assert_eq!(told["files"][0]["rejects"], "mixed.csv.rejects");
    let rejects = std::fs::read_to_string(shop.file("mixed.csv.rejects")).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let kept = std::fs::metadata(shop.file("mixed.csv.rejects")).unwrap();
        assert_eq!(kept.permissions().mode() & 0o777, 0o600, "people's rows");
    }
    assert_eq!(rejects, format!("{header}\n{bad}\n"));
    let devices = |shop: &Shop| shop.gets(ANN, "order preview order.toml")["devices"].clone();
    assert_eq!(devices(&shop), 2);
    shop.write("mixed.csv.rejects", &rejects.replace("symbian", "ios"));
    assert_eq!(
        shop.does("import auto mixed.csv.rejects --json").json()["imported"],
        1
    );

    // One file that can't be read at all keeps the others out, too.
    shop.write(
        "more.csv",
        &format!("{header}\n{}\n", good.replace("18,", "55,")),
    );
    let before = shop.gets(ANN, "audit verify")["head"].clone();
    shop.types("import auto more.csv order.toml")
        .ends(2, "order.toml");
    shop.types("import auto more.csv missing.csv")
        .ends(2, "missing.csv");
    assert_eq!(shop.gets(ANN, "audit verify")["head"], before);

    shop.write(
        "people2.csv",
        "email,groups\nfay@example.test,all-staff\nno address,all-staff\n",
    );
    let ran = shop
        .types("people import people2.csv --json")
        .ends(2, "line 3");
    assert_eq!(
        (&ran.json()["imported"], &ran.json()["rejected"]),
        (&1.into(), &1.into())
    );
    assert!(shop.file("people2.csv.rejects").exists());
}

#[test]
fn inv_08_nobody_approves_their_own_words() {
    let shop = Shop::new();
    let id = shop.draft();
    shop.gets(ANN, &format!("order submit {id}"));
    let own = shop
        .types(&format!("--as {ANN} order approve {id}"))
        .ends(3, "another person");
    assert_eq!(own.out, "");
    shop.gets(BO, &format!("order approve {id}"));
}

#[test]
fn what_policy_refuses_ends_with_three() {
    let shop = Shop::new();
    let id = shop.published();
    for line in [
        format!("--as {ANN} order retract {id} --reason x"),
        format!("--as {ANN} order hold {id}"),
        format!("--as {CY} order draft order.toml"),
        format!("--as {ANN} mode enforce"),
        format!("--as {ANN} doors open --reason x"),
        format!("--as {ANN} people import people.csv"),
        format!("--as {ANN} import csv devices.csv"),
        format!("--as {ANN} operator add x@example.test --role admin"),
        format!("--as {ANN} backup b.db"),
        format!("--as {ANN} explain R-0000-00"),
        format!("--as {ANN} attest eve@example.test {id}"),
        "--as nobody@example.test order list".to_owned(),
        // Without --as somebody at the shell reads and sets up, and no more.
        format!("order retract {id} --reason x"),
        "order draft order.toml".to_owned(),
        "mode enforce".to_owned(),
        "doors close".to_owned(),
        format!("attest eve@example.test {id}"),
    ] {
        let ran = shop.types(&line);
        assert_eq!(
            (ran.status, ran.out.as_str()),
            (3, ""),
            "{line}: {}",
            ran.err
        );
        assert!(ran.err.starts_with("countermand: "), "{line}: {}", ran.err);
    }
    assert!(!shop.file("b.db").exists());
    let distrust = [("COUNTERMAND_SERVER__TRUST_SHELL", "false")];
    shop.run_at(NIGHT, &distrust, &["--as", CY, "order", "list"])
        .ends(3, "trust_shell");
    shop.run_at(NIGHT, &distrust, &["order", "list"])
        .ends(0, "");
}

#[test]
fn inv_33_a_changed_record_ends_with_one() {
    let shop = Shop::new();
    shop.does("audit verify");
    let database = shop.file("countermand-data/countermand.db");
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        use sqlx::Connection;
        sqlx::any::install_default_drivers();
        let url = format!("sqlite://{}", database.display());
        let mut connection = sqlx::AnyConnection::connect(&url).await.unwrap();
        sqlx::query("UPDATE audit SET details = '{}' WHERE number = 3")
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
    });
    let found = shop.types("audit verify --json");
    assert_eq!(found.status, 1);
    assert_eq!(
        (&found.json()["ok"], &found.json()["first_bad"]),
        (&false.into(), &3.into())
    );
}

/// Ids whose short forms are all the same.
#[derive(Debug)]
struct AlikeIds(Mutex<u128>);

impl Ids for AlikeIds {
    fn uuid(&self) -> Uuid {
        let mut next = self.0.lock().unwrap();
        *next += 1 << 64;
        Uuid::from_u128(*next)
    }

    fn secret(&self) -> String {
        "secret".to_owned()
    }
}

#[test]
fn inv_30_an_ambiguous_id_changes_nothing() {
    let shop = Shop::new();
    let orders: Vec<String> = tokio::runtime::Runtime::new().unwrap().block_on(async {
        let data = shop.file("countermand-data");
        let config = Config::load(&data, None, std::iter::empty()).unwrap();
        let clock = ManualClock::at("2020-07-10T19:00:00Z".parse().unwrap());
        let ids = AlikeIds(Mutex::new(0x8000_0000_0000_0007));
        let app = App::open(config, &data, Arc::new(clock), Arc::new(ids))
            .await
            .unwrap();
        let (ann, bo) = (Actor::Operator(ANN.into()), Actor::Operator(BO.into()));
        let text = std::fs::read_to_string(shop.file("order.toml")).unwrap();
        let mut drafted = Vec::new();
        for _ in 0..2 {
            let id = app.draft(&ann, &text).await.unwrap().id.to_string();
            app.submit(&ann, &id).await.unwrap();
            app.approve(&bo, &id, None).await.unwrap();
            app.publish(&ann, &id).await.unwrap();
            drafted.push(id);
        }
        app.store.close().await;
        drafted
    });
    for line in [
        "order show 0007",
        "notices status 0007",
        "order retract 0007 --reason x",
        "order hold 0007",
    ] {
        let ran = shop
            .types(&format!("--as {CY} {line}"))
            .ends(2, "fits more than one order");
        assert_eq!(ran.out, "");
    }
    for id in &orders {
        assert_eq!(
            shop.gets(CY, &format!("order show {id}"))["state"],
            "published"
        );
    }
    shop.gets(CY, &format!("order retract {} --reason x", orders[0]));
    assert_eq!(
        shop.gets(CY, &format!("order show {}", orders[1]))["state"],
        "published"
    );
}

#[test]
fn the_schema_tells_texts_from_tables_by_locale() {
    let schema = Shop::empty().does("order schema").json();
    let strings = |value: &Value| -> Vec<String> {
        let all = value.as_array().unwrap();
        all.iter().map(|v| v.as_str().unwrap().to_owned()).collect()
    };
    let mut required = strings(&schema["required"]);
    required.sort();
    assert_eq!(
        required,
        [
            "audience",
            "correction",
            "deadline",
            "forbid",
            "notice",
            "reason",
            "title"
        ]
    );
    assert_eq!(
        strings(&schema["$defs"]["AudienceRule"]["required"]),
        ["groups"]
    );
    assert_eq!(
        strings(&schema["$defs"]["Deadline"]["required"]),
        ["comply_by"]
    );
    let texts = &schema["$defs"]["Texts"];
    assert_eq!(texts["additionalProperties"], false);
    assert_eq!(texts["properties"].as_object().unwrap().len(), 2);
    let tables = texts["patternProperties"].as_object().unwrap();
    assert_eq!(tables.values().next().unwrap()["$ref"], "#/$defs/Text");
    assert_eq!(schema["properties"]["notice"]["$ref"], "#/$defs/Texts");
    assert_eq!(schema["additionalProperties"], false);
}

#[test]
fn completions_are_scripts() {
    let shop = Shop::empty();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = shop.does(&format!("completions {shell}")).out;
        assert!(script.contains("retract"), "{shell}");
    }
    shop.types("completions nosh").ends(2, "possible values");
}
