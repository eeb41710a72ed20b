//! The rules of the tree itself: which module may use which, what may be
//! named where, how long a file may grow, what may not be left lying about.
//! ARCHITECTURE.md says why; each failure says how to mend it.
//!
//! `rules` are functions of a `Tree`, so that the tests at the end can hand
//! them small trees that must fail.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod code;
mod imports;
mod links;
mod rules;
mod tree;

use rules::Fault;
use tree::Tree;

fn check(rule: fn(&Tree) -> Vec<Fault>) {
    let tree = Tree::of_this_repository();
    let faults = rule(&tree);
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert!(
        faults.is_empty(),
        "the tree is not tidy:\n\n{}\n",
        lines.join("\n\n")
    );
}

#[test]
fn no_source_file_is_too_long() {
    check(rules::too_long);
}

#[test]
fn links_between_documents_lead_somewhere() {
    check(links::dead);
}

#[test]
fn modules_depend_one_way() {
    check(rules::wrong_way);
}

#[test]
fn libraries_stay_in_their_module() {
    check(rules::library_out_of_place);
}

#[test]
fn the_core_knows_no_world() {
    check(rules::impure_core);
}

#[test]
fn nothing_names_one_machine() {
    check(rules::machine_path);
}

#[test]
fn nothing_is_left_unfinished() {
    check(rules::unfinished);
}

#[test]
fn invariant_tests_name_invariants_that_exist() {
    let tree = Tree::of_this_repository();
    let covered = rules::invariants_with_tests(&tree);
    let without: Vec<u32> = rules::INVARIANTS
        .filter(|number| !covered.contains_key(number))
        .collect();
    println!(
        "invariants with tests: {} of {}",
        covered.len(),
        rules::INVARIANTS.count()
    );
    for (number, tests) in &covered {
        println!("  {number:2}: {}", tests.join(", "));
    }
    println!("invariants without a test that names them: {without:?}");
    check(rules::unknown_invariant);
}

/// Trees that must fail, and their like that must not.
mod the_rules_themselves {
    use super::*;

    fn faults(rule: fn(&Tree) -> Vec<Fault>, path: &str, text: &str) -> Vec<String> {
        rule(&Tree::of(&[(path, text)]))
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[track_caller]
    fn fails(rule: fn(&Tree) -> Vec<Fault>, path: &str, text: &str, says: &str) {
        let found = faults(rule, path, text);
        assert_eq!(
            found.len(),
            1,
            "{path} should have one fault: {found:#?}\n{text}"
        );
        assert!(
            found[0].starts_with(&format!("{path}:")),
            "the fault does not say where: {}",
            found[0]
        );
        assert!(
            found[0].contains(says),
            "the fault does not say `{says}`: {}",
            found[0]
        );
        assert!(
            found[0].contains("To mend:"),
            "the fault does not say how to mend it: {}",
            found[0]
        );
    }

    #[track_caller]
    fn passes(rule: fn(&Tree) -> Vec<Fault>, path: &str, text: &str) {
        let found = faults(rule, path, text);
        assert!(
            found.is_empty(),
            "{path} should have no fault: {found:#?}\n{text}"
        );
    }

    #[test]
    fn length() {
        passes(rules::too_long, "core/src/a.rs", &"\n".repeat(600));
        fails(
            rules::too_long,
            "core/src/a.rs",
            &"\n".repeat(601),
            "601 lines",
        );
        passes(rules::too_long, "server/assets/a.css", &"\n".repeat(601));
    }

    #[test]
    fn direction() {
        let rule = rules::wrong_way;
        passes(
            rule,
            "server/src/app/publish.rs",
            "use crate::store::Store;",
        );
        passes(
            rule,
            "server/src/app/publish.rs",
            "use crate::{import, export::csv, config};",
        );
        passes(
            rule,
            "server/src/app/publish.rs",
            "use crate::app::retract;",
        );
        passes(rule, "server/src/web/api.rs", "use crate::live::View;");
        passes(
            rule,
            "server/src/main.rs",
            "use countermand::{cli, web, gate};",
        );
        passes(
            rule,
            "server/src/serve.rs",
            "use crate::{gate, outbox, web};",
        );
        passes(
            rule,
            "server/src/gate/http.rs",
            "// unlike crate::web\nlet a = \"crate::web\";",
        );
        fails(
            rule,
            "server/src/store/orders.rs",
            "\nuse crate::app::publish;",
            "`store` uses `app`",
        );
        fails(
            rule,
            "server/src/store.rs",
            "use crate::live::View;",
            "`store` uses `live`",
        );
        fails(
            rule,
            "server/src/live/mod.rs",
            "use crate::{store, outbox};",
            "`live` uses `outbox`",
        );
        fails(
            rule,
            "server/src/outbox/smtp.rs",
            "fn f() { crate::live::view() }",
            "`outbox` uses `live`",
        );
        fails(
            rule,
            "server/src/gate/http.rs",
            "use crate::{\n    live::View,\n    app::{a, b},\n};",
            "`gate` uses `app`",
        );
        fails(
            rule,
            "server/src/web/console/orders.rs",
            "use crate::cli::print;",
            "`web` uses `cli`",
        );
        fails(
            rule,
            "server/src/web/api.rs",
            "use crate::gate::Door;",
            "`web` uses `gate`",
        );
        fails(
            rule,
            "server/src/import/csv.rs",
            "use crate::store::Store;",
            "`import` uses `store`",
        );
        fails(
            rule,
            "server/src/import/csv.rs",
            "use super::super::export::csv;",
            "`import` uses `export`",
        );
        fails(
            rule,
            "server/src/export/mod.rs",
            "use super::import;",
            "`export` uses `import`",
        );
        fails(
            rule,
            "server/src/config.rs",
            "use crate::store::Url;",
            "`config` uses `store`",
        );
        fails(
            rule,
            "server/src/helpers/mod.rs",
            "",
            "`helpers` has no place",
        );
        // A module of the same name inside another one is not the sibling.
        passes(
            rule,
            "server/src/cli/mod.rs",
            "mod demo; use self::demo::Demo;",
        );
        passes(rule, "server/src/cli/order.rs", "use super::demo::Demo;");
    }

    #[test]
    fn libraries() {
        let rule = rules::library_out_of_place;
        passes(rule, "server/src/store/orders.rs", "use sqlx::Row;");
        passes(rule, "server/src/store.rs", "use sqlx::Row;");
        passes(rule, "server/src/outbox/message.rs", "use lettre::Message;");
        passes(
            rule,
            "server/src/main.rs",
            "let filter = \"sqlx=warn\"; // sqlx is loud",
        );
        fails(
            rule,
            "server/src/app/publish.rs",
            "use sqlx::Row;",
            "`sqlx`",
        );
        fails(rule, "server/src/storefront.rs", "use sqlx::Row;", "`sqlx`");
        fails(
            rule,
            "server/src/web/api.rs",
            "fn f(a: lettre::Address) {}",
            "`lettre`",
        );
        fails(rule, "bench/src/main.rs", "use sqlx::Row;", "`sqlx`");
    }

    #[test]
    fn purity() {
        let rule = rules::impure_core;
        passes(
            rule,
            "core/src/order.rs",
            "// no tokio, no Timestamp::now\nuse jiff::Timestamp;",
        );
        passes(
            rule,
            "core/Cargo.toml",
            "[dependencies]\njiff.workspace = true\n[dev-dependencies]\ntokio = \"1\"\n",
        );
        passes(rule, "server/src/clock.rs", "jiff::Timestamp::now()");
        fails(
            rule,
            "core/src/order.rs",
            "use tokio::sync::watch;",
            "`tokio`",
        );
        fails(
            rule,
            "core/src/order.rs",
            "fn f() -> axum::Router {}",
            "`axum`",
        );
        fails(
            rule,
            "core/src/order.rs",
            "\n\nlet now = jiff::Timestamp::now();",
            "`Timestamp::now`",
        );
        fails(
            rule,
            "core/src/order.rs",
            "let now = Timestamp :: now();",
            "`Timestamp::now`",
        );
        fails(rule, "core/src/order.rs", "use std::fs;", "`std::fs`");
        fails(
            rule,
            "core/src/order.rs",
            "use std::{fmt, net::IpAddr};",
            "`std::net`",
        );
        fails(
            rule,
            "core/Cargo.toml",
            "[dependencies]\nsqlx = { version = \"1\" }\n",
            "`sqlx`",
        );
        fails(
            rule,
            "core/Cargo.toml",
            "[dependencies]\ntokio.workspace = true\n",
            "`tokio`",
        );
    }

    #[test]
    fn machine_paths() {
        let rule = rules::machine_path;
        let path = |directory: &str| format!("open {directory} now");
        fails(
            rule,
            "README.md",
            &path(concat!("/", "home/ann/x")),
            "one machine",
        );
        fails(
            rule,
            "run",
            &path(concat!("\"/", "root/.cargo\"")),
            "one machine",
        );
        fails(
            rule,
            "server/src/a.rs",
            &path(concat!("(/", "work/a)")),
            "one machine",
        );
        fails(
            rule,
            "server/src/a.rs",
            &path(concat!("/", "Users/ann")),
            "one machine",
        );
        fails(
            rule,
            "server/src/a.rs",
            &path(concat!("C:\\", "Users\\ann")),
            "one machine",
        );
        passes(
            rule,
            "README.md",
            "https://intranet.example/work/home/root/ and /workspaces/ and ../home/",
        );
        passes(rule, "Cargo.lock", &path(concat!("/", "home/ann/x")));
    }

    #[test]
    fn unfinished_work() {
        let rule = rules::unfinished;
        for mark in [
            concat!("TO", "DO"),
            concat!("FIX", "ME"),
            concat!("X", "XX"),
        ] {
            fails(rule, "server/src/a.rs", &format!("// {mark}: later"), mark);
            fails(rule, "README.md", mark, mark);
            passes(rule, "run", &format!("mktemp a.{mark}{mark} {mark}_S"));
        }
        for call in [
            concat!("to", "do!()"),
            concat!("unimpl", "emented!()"),
            concat!("#[ig", "nore]"),
        ] {
            fails(rule, "server/src/a.rs", call, "unfinished");
        }
        fails(
            rule,
            "server/tests/a.rs",
            concat!("#[ig", "nore = \"slow\"]"),
            "unfinished",
        );
        passes(
            rule,
            "server/src/a.rs",
            "#[serde(ignore)] // to do or not to do",
        );
    }

    #[test]
    fn invariants() {
        let text = "fn inv_07_a() {}\nasync fn inv_07_b() {}\n    fn inv_37_c() {}\n// fn inv_12_no() {}\n";
        let covered = rules::invariants_with_tests(&Tree::of(&[("core/tests/a.rs", text)]));
        assert_eq!(covered.keys().copied().collect::<Vec<_>>(), [7, 37]);
        assert_eq!(covered[&7], ["inv_07_a", "inv_07_b"]);
        passes(rules::unknown_invariant, "core/tests/a.rs", text);
        fails(
            rules::unknown_invariant,
            "core/tests/a.rs",
            "fn inv_38_x() {}",
            "inv_38_x",
        );
        fails(
            rules::unknown_invariant,
            "core/tests/a.rs",
            "fn inv_7_x() {}",
            "inv_7_x",
        );
    }

    #[test]
    fn only_code_counts_as_code() {
        let text = r###"a /* b /* c */ d */ e // f
"g \" h" i r#"j " k"# l 'm' '\'' '"' n<'o>(b"p") q"###;
        let code = code::only(text);
        let words: Vec<&str> = code
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .collect();
        assert_eq!(words, ["a", "e", "i", "r", "l", "n", "o", "b", "q"]);
        assert_eq!(code.lines().count(), text.lines().count());
        assert_eq!(code.len(), text.len());
    }
}
