//! The catalogue that comes with the program, and what a wrong catalogue file is told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use countermand_core::catalogue::{App, Catalogue, Confidence, EntryKind, Unknown};
use countermand_core::platform::Platform;

fn embedded() -> &'static Catalogue {
    Catalogue::embedded()
}

fn slugs<'a>(apps: impl IntoIterator<Item = &'a App>) -> Vec<&'a str> {
    apps.into_iter().map(|app| app.slug.as_str()).collect()
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn resolve(apps: &[&str], vendors: &[&str], packs: &[&str]) -> Result<Vec<&'static str>, Unknown> {
    embedded()
        .resolve(&strings(apps), &strings(vendors), &strings(packs))
        .map(slugs)
}

// What is in it

#[test]
fn the_embedded_catalogue_parses() {
    let catalogue = Catalogue::parse(Catalogue::EMBEDDED_FILES).unwrap();
    assert_eq!(&catalogue, embedded());
}

#[test]
fn every_data_file_is_embedded() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/catalogue");
    let on_disk: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let embedded = Catalogue::EMBEDDED_FILES
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    assert_eq!(on_disk, embedded);
}

#[test]
fn every_fact_has_a_source_and_a_confidence() {
    for app in embedded().apps() {
        for fact in &app.package_ids {
            assert!(!fact.source.is_empty(), "{} {}", app.slug, fact.id);
            // One code base cannot be more than C, several must be more.
            let weak = fact.source.starts_with("one public code base")
                || fact.source.starts_with("joined by name");
            assert_eq!(fact.confidence.is_weak(), weak, "{} {}", app.slug, fact.id);
        }
        for fact in &app.web_domains {
            assert!(!fact.source.is_empty(), "{} {}", app.slug, fact.domain);
        }
    }
    for pack in embedded().packs() {
        assert!(!pack.source.is_empty(), "{}", pack.slug);
    }
}

#[test]
fn an_order_on_tiktok_hits_the_whole_family() {
    let app = embedded().app("tiktok").unwrap();
    let on = |platform| -> Vec<(&str, Option<&str>)> {
        app.package_ids_on(platform)
            .map(|fact| (fact.id.as_str(), fact.variant.as_deref()))
            .collect()
    };
    assert_eq!(
        on(Platform::Android),
        [
            ("com.zhiliaoapp.musically", None),
            ("com.ss.android.ugc.trill", Some("Asia build")),
            ("com.zhiliaoapp.musically.go", Some("Lite")),
            ("com.ss.android.ugc.tiktok.lite", Some("Lite")),
            ("com.ss.android.ugc.trill.go", Some("Lite")),
        ]
    );
    assert_eq!(
        on(Platform::Ios),
        [
            ("com.zhiliaoapp.musically", None),
            ("com.ss.iphone.ugc.Ame", None),
            ("com.ss.iphone.ugc.trill", Some("Asia build")),
            ("com.ss.iphone.ugc.tiktok.lite", Some("Lite")),
        ]
    );
    assert!(
        on(Platform::Windows).contains(&("BytedancePte.Ltd.TikTok_6yccndn6064se", None)),
        "the Windows family name"
    );
    let weak: Vec<&str> = app
        .package_ids
        .iter()
        .filter(|fact| fact.confidence.is_weak())
        .map(|fact| fact.id.as_str())
        .collect();
    assert_eq!(weak, ["com.ss.iphone.ugc.trill"]);
}

#[test]
fn separate_products_are_separate_apps_of_the_vendor() {
    assert_eq!(resolve(&["tiktok"], &[], &[]).unwrap(), ["tiktok"]);
    let all = resolve(&[], &["bytedance"], &[]).unwrap();
    for slug in [
        "tiktok",
        "tiktok-now",
        "tiktok-studio",
        "capcut",
        "lemon8",
        "douyin",
        "lark",
    ] {
        assert!(all.contains(&slug), "{slug}");
    }
}

#[test]
fn domains_are_those_of_the_product_alone() {
    let tiktok = embedded().app("tiktok").unwrap();
    let domain = |wanted: &str| tiktok.web_domains.iter().find(|web| web.domain == wanted);
    assert_eq!(domain("tiktok.com").unwrap().confidence, Confidence::A);
    for shared in [
        "googleusercontent.com",
        "akamaized.net",
        "edgesuite.net",
        "pstatp.com",
    ] {
        for app in embedded().apps() {
            assert!(
                !app.web_domains
                    .iter()
                    .any(|web| web.domain.ends_with(shared)),
                "{} would block {shared}",
                app.slug
            );
        }
    }
}

#[test]
fn no_id_and_no_name_belongs_to_two_apps() {
    let mut owners = BTreeMap::new();
    for app in embedded().apps() {
        let ids = app
            .package_ids
            .iter()
            .map(|fact| format!("{}:{}", fact.platform, fact.id.to_lowercase()));
        let names: BTreeSet<String> = app.all_names().map(str::to_lowercase).collect();
        for key in ids.chain(names) {
            let first = owners.insert(key.clone(), &app.slug);
            assert_eq!(first, None, "{key} is also in {}", app.slug);
        }
    }
}

#[test]
fn the_list_of_apps_and_packs() {
    let apps = slugs(embedded().apps()).join("\n");
    let packs: Vec<&str> = embedded().packs().iter().map(|p| p.slug.as_str()).collect();
    insta::assert_snapshot!("slugs", format!("{apps}\n\n{}", packs.join("\n")));
}

#[test]
fn ids_in_the_reference_table_are_all_here() {
    let folder = std::env::var_os("COUNTERMAND_REFERENCE").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/reference"),
        PathBuf::from,
    );
    let Ok(text) = std::fs::read_to_string(folder.join("catalogue/bytedance_apps.json")) else {
        println!("skipped: no reference table in {}", folder.display());
        return;
    };
    let table: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut checked = 0;
    for entry in table["apps"].as_array().unwrap() {
        for (column, platform) in [
            ("android_packages", Platform::Android),
            ("ios_bundle_ids", Platform::Ios),
            ("windows", Platform::Windows),
        ] {
            for id in entry[column].as_array().unwrap() {
                // The table writes what kind of Windows id it is behind the id.
                let id = id.as_str().unwrap().split(' ').next().unwrap();
                let owner = embedded()
                    .apps()
                    .iter()
                    .find(|app| app.package_ids_on(platform).any(|fact| fact.id == id));
                let owner = owner.unwrap_or_else(|| panic!("{platform} {id} is missing"));
                assert_eq!(owner.vendor, "bytedance", "{id}");
                checked += 1;
            }
        }
    }
    assert!(checked > 50, "only {checked} ids in the table");
}

// Packs

#[test]
fn the_federal_pack_is_bytedance_and_tiktok() {
    let pack = embedded().pack("far-52.204-27").unwrap();
    assert_eq!(pack.apps, ["tiktok"]);
    assert_eq!(pack.vendors, ["bytedance"]);
    assert_eq!(
        resolve(&[], &[], &["far-52.204-27"]),
        resolve(&[], &["bytedance"], &[])
    );
}

#[test]
fn the_india_pack_holds_the_59_names() {
    let pack = embedded().pack("india-2020-06-29").unwrap();
    assert_eq!(pack.apps.len() + pack.names_without_ids.len(), 59);
    assert_eq!(
        resolve(&[], &[], &["india-2020-06-29"]).unwrap().len(),
        pack.apps.len()
    );
    for slug in [
        "tiktok",
        "helo",
        "vigo-video",
        "wechat",
        "camscanner",
        "shareit",
    ] {
        assert!(pack.apps.iter().any(|app| app == slug), "{slug}");
    }
    // No vendor: the order names apps, and not everything of their makers.
    assert!(pack.vendors.is_empty());
}

#[test]
fn the_texas_pack_is_the_software_list() {
    let all = resolve(&[], &[], &["texas-2025-01"]).unwrap();
    for slug in [
        "tiktok",
        "lemon8",
        "capcut",
        "wechat",
        "qq-mail",
        "camscanner",
        "shareit",
        "vmate",
        "rednote",
        "deepseek",
        "webull",
        "moomoo",
        "tiger-brokers",
        "alipay",
        "wps-office",
    ] {
        assert!(all.contains(&slug), "{slug}");
    }
    // Added a year later.
    assert!(!all.contains(&"shein"));
}

// Looking up

#[test]
fn resolving_gives_each_app_once_by_slug() {
    let all = resolve(
        &["wechat", "tiktok", "tiktok"],
        &["bytedance"],
        &["texas-2025-01"],
    )
    .unwrap();
    assert!(all.is_sorted());
    let once: BTreeSet<&str> = all.iter().copied().collect();
    assert_eq!(once.len(), all.len());
    assert_eq!(resolve(&[], &[], &[]).unwrap(), Vec::<&str>::new());
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest() {
    for (asked, what, message) in [
        (
            resolve(&["tiktoc"], &[], &[]),
            EntryKind::App,
            "the catalogue has no app `tiktoc`; did you mean `tiktok`?",
        ),
        (
            resolve(&[], &["bytedanse"], &[]),
            EntryKind::Vendor,
            "the catalogue has no vendor `bytedanse`; did you mean `bytedance`?",
        ),
        (
            resolve(&[], &[], &["texas-2025"]),
            EntryKind::Pack,
            "the catalogue has no pack `texas-2025`; did you mean `texas-2025-01`?",
        ),
        (
            resolve(&["bytedance"], &[], &[]),
            EntryKind::App,
            "the catalogue has no app `bytedance`; it is a vendor: put it under `vendors`",
        ),
        (
            resolve(&["no-such-thing-at-all"], &[], &[]),
            EntryKind::App,
            "the catalogue has no app `no-such-thing-at-all`; `countermand catalogue search` lists what there is",
        ),
    ] {
        let unknown = asked.unwrap_err();
        assert_eq!(unknown.what, what);
        assert_eq!(unknown.to_string(), message);
    }
}

#[test]
fn nearest_looks_at_slugs_and_then_at_names() {
    assert_eq!(embedded().nearest("tiktoc"), Some("tiktok"));
    assert_eq!(embedded().nearest("TikTok"), Some("tiktok"));
    assert_eq!(embedded().nearest("Xiaohongshoo"), Some("rednote"));
    assert_eq!(embedded().nearest("zzzzzzzzzzzz"), None);
}

#[test]
fn search_finds_by_every_field_in_any_letter_case() {
    let first = |text: &str| slugs(embedded().search(text)).first().copied();
    assert_eq!(first("TIKTOK"), Some("tiktok"));
    assert_eq!(first("musical.ly"), Some("tiktok"));
    assert_eq!(first("com.ss.iphone.ugc.ame"), Some("tiktok"));
    assert_eq!(first("tiktokv.com"), Some("tiktok"));
    assert_eq!(first("小红书"), Some("rednote"));
    assert_eq!(first("heliophilia"), Some("lemon8"));
    assert_eq!(
        slugs(embedded().search("tencent")),
        ["qq-mail", "qq-music", "wechat"]
    );
    assert_eq!(embedded().search("no such app"), Vec::<&App>::new());
    assert_eq!(embedded().search("").len(), embedded().apps().len());
}

#[test]
fn search_ranks_exact_then_beginning_then_inside() {
    let hits = slugs(embedded().search("lark"));
    assert_eq!(hits.first(), Some(&"lark"));
    assert!(hits.contains(&"feishu"), "com.ss.android.lark");
    let hits = slugs(embedded().search("com.whatsapp"));
    assert_eq!(hits, ["whatsapp", "whatsapp-business"]);
    let hits = slugs(embedded().search("meitu"));
    assert_eq!(hits, ["beautyplus", "meitu", "selfiecity"]);
}

// Wrong files

const GOOD: &str = r#"
as_of = "2026-01-01"
[sources]
own = "our own store"
[[vendors]]
slug = "acme"
name = "Acme"
[[apps]]
slug = "rocket"
name = "Rocket"
vendor = "acme"
publisher = "Acme Inc."
package_ids = [{ platform = "ios", id = "com.acme.Rocket", confidence = "B", source = "own" }]
web_domains = [{ domain = "rocket.example", confidence = "B", source = "own" }]
[[packs]]
slug = "loud"
title = "Loud things"
source = "the neighbours"
date = "2026-01-01"
apps = ["rocket"]
"#;

#[test]
fn a_file_of_ones_own_joins_the_embedded_ones() {
    let mut files = Catalogue::EMBEDDED_FILES.to_vec();
    files.push(("own.toml", GOOD));
    let catalogue = Catalogue::parse(&files).unwrap();
    assert_eq!(catalogue.apps().len(), embedded().apps().len() + 1);
    let fact = &catalogue.app("rocket").unwrap().package_ids[0];
    assert_eq!(
        (fact.id.as_str(), fact.source.as_str()),
        ("com.acme.Rocket", "our own store")
    );
    assert_ne!(catalogue.version(), embedded().version());
    assert!(
        embedded().version().starts_with("2026-"),
        "{}",
        embedded().version()
    );
}

#[test]
fn a_wrong_file_is_told_where_what_and_how_to_mend_it() {
    // Each is the good file with one thing changed.
    for (from, to, expected) in [
        (
            "name = \"Rocket\"",
            "nmae = \"Rocket\"",
            "own.toml: syntax: ",
        ),
        (
            "confidence = \"B\"",
            "confidence = \"D\"",
            "own.toml: syntax: ",
        ),
        (
            "platform = \"ios\"",
            "platform = \"symbian\"",
            "own.toml: syntax: ",
        ),
        (
            "name = \"Rocket\"",
            "name = \"\"",
            "own.toml: app `rocket`: its name is empty",
        ),
        (
            "\"com.acme.Rocket\"",
            "\" \"",
            "own.toml: app `rocket`: its package id is empty",
        ),
        (
            "\"com.acme.Rocket\"",
            "\"com.acme.Rocket \"",
            "app `rocket`: its package id `com.acme.Rocket ` begins or ends with a space",
        ),
        (
            "slug = \"rocket\"",
            "slug = \"Rocket\"",
            "app `Rocket`: its slug must be lower-case",
        ),
        (
            "vendor = \"acme\"",
            "vendor = \"acne\"",
            "app `rocket`: it names the vendor `acne`, which is in no file; did you mean `acme`?",
        ),
        (
            "apps = [\"rocket\"]",
            "apps = [\"pocket\"]",
            "pack `loud`: it names the app `pocket`, which is in no file; did you mean `rocket`?",
        ),
        (
            "apps = [\"rocket\"]",
            "apps = []",
            "pack `loud`: it names no app and no vendor",
        ),
        (
            "source = \"own\" }]\nweb",
            "source = \"owns\" }]\nweb",
            "app `rocket`: it cites the source `owns`, which is not under [sources] of this file; did you mean `own`?",
        ),
        (
            "rocket.example",
            "https://rocket.example/",
            "app `rocket`: `https://rocket.example/` is no domain",
        ),
        (
            "rocket.example",
            "*.rocket.example",
            "app `rocket`: `*.rocket.example` is no domain",
        ),
        (
            "[[packs]]",
            "[[vendors]]\nslug = \"idle\"\nname = \"Idle\"\n[[packs]]",
            "vendor `idle`: no app is of this vendor",
        ),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let text = GOOD.replacen(from, to, 1);
        let message = Catalogue::parse(&[("own.toml", &text)])
            .unwrap_err()
            .to_string();
        assert!(
            message.contains(expected),
            "{message}\nshould contain\n{expected}"
        );
    }
}

#[test]
fn a_slug_or_an_id_that_stands_twice_names_both_places() {
    let twice = Catalogue::parse(&[("one.toml", GOOD), ("two.toml", GOOD)]).unwrap_err();
    assert_eq!(
        twice.to_string(),
        "catalogue file two.toml: vendor `acme`: this slug is taken by an entry in one.toml; choose another or merge the two"
    );
    let other = GOOD
        .replace("\"acme\"", "\"acme2\"")
        .replace("\"loud\"", "\"loud2\"")
        .replace("\"rocket\"", "\"rocket2\"")
        .replace("com.acme.Rocket", "com.acme.rocket");
    let shared = Catalogue::parse(&[("one.toml", GOOD), ("two.toml", &other)]).unwrap_err();
    assert_eq!(
        shared.to_string(),
        "catalogue file two.toml: app `rocket2`: its ios id `com.acme.rocket` also stands in app `rocket` of one.toml; keep it in one of them"
    );
}
