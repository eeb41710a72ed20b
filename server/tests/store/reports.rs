//! Reports: joined to their devices, numbered packages, and evidence that comes back as it went in.

use std::collections::BTreeSet;

use countermand_core::change::Change;
use countermand_core::evidence::Package;
use countermand_core::fleet::{Device, IncomingApp, IncomingReport, Visibility};
use countermand_core::id::{DeviceId, PackageNo, PersonId};

use crate::fixture::*;

on_both!(
    sources_meet_in_one_device_by_a_shared_key,
    one_source_keeps_apart_what_it_numbers_apart,
    a_re_enrolled_device_is_two_that_its_key_fits,
    an_ambiguous_report_makes_one_device_however_often,
    an_eas_key_is_one_in_hex_and_any_letter_case,
    a_package_is_numbered_once,
    a_rolled_back_commit_numbers_nothing,
    two_stores_number_alike,
    names_count_only_without_ids,
    evidence_comes_back_as_it_went_in,
    inv_06_an_older_report_overrides_nothing,
    inv_06_a_report_from_the_future_counts_from_its_arrival,
    texts_that_a_database_could_not_hold_are_mended,
    a_large_chunk_is_taken_whole,
);

async fn devices(db: &Db) -> Vec<Device> {
    db.index().await.devices().cloned().collect()
}

async fn take(db: &Db, reports: Vec<IncomingReport>) {
    db.put(Change::Reports(reports)).await;
}

fn ids(device: &Device) -> BTreeSet<u32> {
    device
        .evidence
        .sightings()
        .iter()
        .map(|s| s.app.package.0)
        .collect()
}

async fn sources_meet_in_one_device_by_a_shared_key(db: &Db) {
    take(
        db,
        vec![report(
            "intune",
            &["mdm:intune:7", "serial:F17X"],
            None,
            &["a.b"],
        )],
    )
    .await;
    take(
        db,
        vec![report(
            "exchange",
            &["eas:DEV1", "serial:f17x"],
            None,
            &["c.d"],
        )],
    )
    .await;
    take(
        db,
        vec![report("csv", &["mdm:csv:9", "eas:dev1"], None, &[])],
    )
    .await;
    let found = devices(db).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        found[0].keys,
        keys(&["mdm:intune:7", "serial:F17X", "eas:DEV1", "mdm:csv:9"])
            .into_iter()
            .collect()
    );
    // A key keeps the spelling of its first source.
    let spelled: Vec<&str> = found[0].keys.iter().map(|k| k.as_str()).collect();
    assert!(
        spelled.contains(&"serial:F17X") && spelled.contains(&"eas:DEV1"),
        "{spelled:?}"
    );
}

async fn one_source_keeps_apart_what_it_numbers_apart(db: &Db) {
    let reports = vec![
        report("intune", &["mdm:intune:1", "eas:CLONE"], None, &["a.b"]),
        report("intune", &["mdm:intune:2", "eas:CLONE"], None, &[]),
    ];
    take(db, reports.clone()).await;
    take(db, reports).await;
    assert_eq!(devices(db).await.len(), 2);
    let index = db.index().await;
    assert_eq!(
        index.devices_called(&"eas:clone".parse().unwrap()).count(),
        2
    );
}

async fn a_re_enrolled_device_is_two_that_its_key_fits(db: &Db) {
    take(
        db,
        vec![report(
            "intune",
            &["mdm:intune:1", "serial:S1"],
            None,
            &["a.b"],
        )],
    )
    .await;
    take(
        db,
        vec![report(
            "intune",
            &["mdm:intune:2", "serial:S1"],
            None,
            &["c.d"],
        )],
    )
    .await;
    // Each enrolment's next report goes to its own record.
    take(
        db,
        vec![report("intune", &["mdm:intune:1"], None, &["e.f"])],
    )
    .await;
    let found = devices(db).await;
    assert_eq!(found.len(), 2);
    assert_eq!((ids(&found[0]), ids(&found[1])), ([2].into(), [1].into()));
}

async fn an_ambiguous_report_makes_one_device_however_often(db: &Db) {
    let two = vec![
        report("intune", &["mdm:intune:1", "eas:CLONE"], None, &["a.b"]),
        report("intune", &["mdm:intune:2", "eas:CLONE"], None, &[]),
    ];
    take(db, two).await;
    for _ in 0..3 {
        take(db, vec![report("exchange", &["eas:CLONE"], None, &["c.d"])]).await;
    }
    assert_eq!(devices(db).await.len(), 3);
}

async fn an_eas_key_is_one_in_hex_and_any_letter_case(db: &Db) {
    for key in ["eas:DEV7F3A", "EAS:dev7f3a", "eas:44455637463341"] {
        take(db, vec![report("exchange", &[key], None, &["a.b"])]).await;
    }
    let found = devices(db).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].keys.len(), 1);
    assert_eq!(found[0].keys.first().unwrap().as_str(), "eas:DEV7F3A");
}

async fn packages(db: &Db) -> Vec<(u32, String)> {
    let index = db.index().await;
    (0..)
        .map_while(|n| {
            index
                .package(PackageNo(n))
                .map(|p| (n, format!("{}|{}", p.id, p.name)))
        })
        .collect()
}

async fn a_package_is_numbered_once(db: &Db) {
    take(
        db,
        vec![report("m", &["mdm:m:1"], None, &["b", "a", "b", " a "])],
    )
    .await;
    take(
        db,
        vec![
            report("m", &["mdm:m:2"], None, &["c", "a"]),
            report("m", &["mdm:m:3"], None, &["c"]),
        ],
    )
    .await;
    let expected = [(0, "a|"), (1, "b|"), (2, "c|")].map(|(n, p)| (n, p.to_owned()));
    assert_eq!(packages(db).await, expected);
    // Letter case is the matcher's matter: evidence keeps what the source wrote.
    take(db, vec![report("m", &["mdm:m:1"], None, &["A"])]).await;
    assert_eq!(packages(db).await.len(), 4);
}

async fn a_rolled_back_commit_numbers_nothing(db: &Db) {
    take(db, vec![report("m", &["mdm:m:1"], None, &["a"])]).await;
    // The record's next place is taken, so that the commit fails after its packages are numbered.
    db.raw("INSERT INTO audit (number, at, actor, action, details, previous, hash) VALUES (2, 0, '', '', '', '', '')").await;
    let failing = by_somebody(
        Change::Reports(vec![report("m", &["mdm:m:2"], None, &["lost"])]),
        t(0),
    );
    db.commit(&failing).await.unwrap_err();
    db.raw("DELETE FROM audit WHERE number = 2").await;
    take(db, vec![report("m", &["mdm:m:3"], None, &["kept"])]).await;
    take(db, vec![report("m", &["mdm:m:2"], None, &["lost"])]).await;
    let expected = [(0, "a|"), (1, "kept|"), (2, "lost|")].map(|(n, p)| (n, p.to_owned()));
    assert_eq!(packages(db).await, expected);
    assert_eq!(ids(&devices(db).await[2]), [2].into());
}

async fn two_stores_number_alike(db: &Db) {
    let other = db.again().await;
    take(db, vec![report("m", &["mdm:m:1"], None, &["a"])]).await;
    let theirs = Change::Reports(vec![report("m", &["mdm:m:2"], None, &["b", "a"])]);
    other.commit(&by_somebody(theirs, t(0))).await.unwrap();
    take(db, vec![report("m", &["mdm:m:3"], None, &["c", "b", "a"])]).await;
    let expected = [(0, "a|"), (1, "b|"), (2, "c|")].map(|(n, p)| (n, p.to_owned()));
    assert_eq!(packages(db).await, expected);
    assert_eq!(ids(&devices(db).await[2]), [0, 1, 2].into());
}

async fn names_count_only_without_ids(db: &Db) {
    let mut one = report("m", &["mdm:m:1"], None, &["a"]);
    let named = |id: &str, name: &str| IncomingApp {
        package_id: id.to_owned(),
        name: name.to_owned(),
        version: String::new(),
    };
    one.apps = vec![
        named("a", "One"),
        named("a", "Other"),
        named("", "Named "),
        named("", "Named"),
    ];
    take(db, vec![one.clone()]).await;
    take(db, vec![one]).await;
    let index = db.index().await;
    let package = |n| index.package(PackageNo(n)).cloned();
    assert_eq!(
        package(0),
        Some(Package {
            id: String::new(),
            name: "Named".to_owned()
        })
    );
    assert_eq!(
        package(1),
        Some(Package {
            id: "a".to_owned(),
            name: String::new()
        })
    );
    assert_eq!(package(2), None);
}

async fn evidence_comes_back_as_it_went_in(db: &Db) {
    db.put(Change::People(vec![person(
        "al@corp.test",
        &[],
        &["staff"],
    )]))
    .await;
    let mut narrow = report("b", &["mdm:b:1", "serial:S"], None, &["x.y"]);
    narrow.visibility = Visibility::ManagedOnly;
    narrow.seen_at = t(-60);
    let full = report(
        "a",
        &["mdm:a:1", "serial:S"],
        Some("al@corp.test"),
        &["a.b", "x.y"],
    );
    take(db, vec![full, narrow]).await;
    let device = devices(db).await.remove(0);
    assert_eq!(device.id, DeviceId(0));
    assert_eq!(device.person, Some(PersonId(0)));
    assert_eq!(device.last_report, Some(t(-60)));
    assert_eq!(device.visibility, Visibility::ManagedOnly);
    assert_eq!(device.os_version, "10");
    let seen: Vec<_> = device
        .evidence
        .sightings()
        .iter()
        .map(|s| {
            (
                s.app.package.0,
                s.app.version.clone(),
                s.report.source.clone(),
                s.report.seen_at,
            )
        })
        .collect();
    let version = || "16.6.5".to_owned();
    assert!(
        seen.contains(&(0, version(), "a".to_owned(), t(-3600))),
        "{seen:?}"
    );
    assert!(
        seen.contains(&(1, version(), "b".to_owned(), t(-60))),
        "{seen:?}"
    );
    assert_eq!(device.evidence.complete_at().unwrap().seen_at, t(-3600));
}

async fn inv_06_an_older_report_overrides_nothing(db: &Db) {
    let new = report("m", &["mdm:m:1"], None, &["a"]);
    let mut old = report("m", &["mdm:m:1"], None, &["b"]);
    old.seen_at = t(-7200);
    old.os_version = Some("9".to_owned());
    take(db, vec![new.clone()]).await;
    take(db, vec![old.clone()]).await;
    let apart = devices(db).await.remove(0);
    assert_eq!(
        (apart.os_version.as_str(), apart.last_report),
        ("10", Some(t(-3600)))
    );
    assert_eq!(ids(&apart), [0].into());
    // The same two in one chunk, in either order.
    let renamed = |mut r: IncomingReport, key| {
        r.keys = keys(&[key]);
        r
    };
    take(
        db,
        vec![
            renamed(new.clone(), "mdm:m:2"),
            renamed(old.clone(), "mdm:m:2"),
        ],
    )
    .await;
    take(db, vec![renamed(old, "mdm:m:3"), renamed(new, "mdm:m:3")]).await;
    for device in devices(db).await {
        assert_eq!(ids(&device), [0].into(), "{device:?}");
    }
}

async fn inv_06_a_report_from_the_future_counts_from_its_arrival(db: &Db) {
    let mut ahead = report("m", &["mdm:m:1"], None, &["a"]);
    ahead.seen_at = t(86_400);
    db.put_at(t(10), Change::Reports(vec![ahead])).await;
    assert_eq!(devices(db).await[0].last_report, Some(t(10)));
}

async fn texts_that_a_database_could_not_hold_are_mended(db: &Db) {
    // PostgreSQL holds no NUL in a text, and indexes none longer than a third of a page.
    let long: String = std::iter::repeat_n("lang.é", 2_000).collect();
    let mut one = report(
        "m",
        &["mdm:m:1"],
        None,
        &["com.a\0b", "com.ab", &long, &long],
    );
    one.os_version = Some("1\x000".to_owned());
    take(db, vec![one]).await;
    let found = packages(db).await;
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found[0].1, "com.ab|");
    assert!(long.starts_with(found[1].1.trim_end_matches('|')));
    assert_eq!(devices(db).await[0].os_version, "10");
}

async fn a_large_chunk_is_taken_whole(db: &Db) {
    let apps: Vec<String> = (0..900).map(|n| format!("com.app{n}")).collect();
    let reports: Vec<IncomingReport> = (0..600)
        .map(|n| {
            let own = format!("mdm:m:{n}");
            let eas = format!("eas:DEV{n}");
            let on: Vec<&str> = (0..60).map(|i| apps[(n * 7 + i) % 900].as_str()).collect();
            report("m", &[&own, &eas], None, &on)
        })
        .collect();
    take(db, reports.clone()).await;
    take(db, reports).await;
    let found = devices(db).await;
    assert_eq!(found.len(), 600);
    assert!(
        found
            .iter()
            .all(|d| d.keys.len() == 2 && ids(d).len() == 60)
    );
    assert_eq!(
        db.number("SELECT CAST(COUNT(*) AS BIGINT) FROM package")
            .await,
        900
    );
}
