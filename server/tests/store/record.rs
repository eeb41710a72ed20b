//! The record: what tampering shows, what shows only against a checkpoint kept elsewhere, and copies.

use countermand::store::{Backend, StoreError};
use countermand_core::audit::GENESIS;
use countermand_core::change::{Change, Step};
use countermand_core::exemption::Attestation;
use countermand_core::id::PersonId;

use crate::fixture::*;

on_both!(
    an_empty_record_verifies,
    entries_are_read_in_order,
    inv_32_a_life_is_read_whole_among_many_other_entries,
    inv_33_tampering_with_entries_shows,
    inv_33_an_entry_put_beside_the_chain_shows,
    inv_33_a_cut_tail_shows,
    inv_33_the_whole_log_cut_shows,
    inv_33_a_record_cut_with_its_head_shows_only_elsewhere,
    a_long_record_verifies,
    refusals_make_no_entries,
    a_backup_is_a_whole_copy_while_others_write,
    notes_to_followers_are_tidied,
);

async fn with_entries(db: &Db, n: u128) {
    for i in 1..=n {
        db.put(order_change(draft(i), None, Step::Draft)).await;
    }
}

async fn an_empty_record_verifies(db: &Db) {
    let verified = db.audit_verify().await.unwrap();
    assert!(verified.ok);
    assert_eq!((verified.entries, verified.head.as_str()), (0, GENESIS));
}

async fn entries_are_read_in_order(db: &Db) {
    with_entries(db, 5).await;
    let numbers = |entries: Vec<countermand_core::audit::Entry>| -> Vec<u64> {
        entries.iter().map(|e| e.number).collect()
    };
    assert_eq!(numbers(db.audit_after(0, 3).await.unwrap()), [1, 2, 3]);
    assert_eq!(numbers(db.audit_after(3, 9).await.unwrap()), [4, 5]);
    assert_eq!(numbers(db.audit_newest(None, 2).await.unwrap()), [5, 4]);
    assert_eq!(
        numbers(db.audit_newest(Some(order_id(2)), 9).await.unwrap()),
        [2]
    );
    let verified = db.audit_verify().await.unwrap();
    assert!(verified.ok && verified.entries == 5);
    assert_eq!(
        verified.head,
        db.audit_newest(None, 1).await.unwrap()[0].hash
    );
}

async fn inv_32_a_life_is_read_whole_among_many_other_entries(db: &Db) {
    with_entries(db, 2).await;
    for person in 0..600 {
        db.put(Change::Attestation(Attestation {
            order: order_id(1),
            person: PersonId(person),
            at: t(1),
        }))
        .await;
    }
    let life = db.life_of(order_id(1)).await.unwrap();
    assert_eq!(life.len(), 1);
    assert_eq!(
        (life[0].number, life[0].action.as_str()),
        (1, "order.draft")
    );
    assert!(db.life_of(order_id(9)).await.unwrap().is_empty());
    let (total, last) = db.audit_page(order_id(1), 600, 50).await.unwrap();
    assert_eq!((total, last), (601, life));
}

/// Each with the first entry that no longer fits.
const TAMPERINGS: &[(&str, &str, u64)] = &[
    (
        "details",
        "UPDATE audit SET details = '{}' WHERE number = 3",
        3,
    ),
    (
        "actor",
        r#"UPDATE audit SET actor = '{"kind":"operator","name":"eve"}' WHERE number = 2"#,
        2,
    ),
    ("time", "UPDATE audit SET at = at + 1 WHERE number = 4", 4),
    (
        "order",
        "UPDATE audit SET order_id = NULL WHERE number = 5",
        5,
    ),
    (
        "action",
        "UPDATE audit SET action = 'order.approve' WHERE number = 1",
        1,
    ),
    (
        "hash",
        "UPDATE audit SET hash = previous WHERE number = 2",
        2,
    ),
    ("removed", "DELETE FROM audit WHERE number = 2", 2),
    ("first removed", "DELETE FROM audit WHERE number = 1", 1),
    (
        "renumbered",
        "UPDATE audit SET number = 9 WHERE number = 2",
        2,
    ),
];

async fn inv_33_tampering_with_entries_shows(db: &Db) {
    with_entries(db, 5).await;
    db.raw("CREATE TABLE kept AS SELECT * FROM audit").await;
    for (what, sql, first_bad) in TAMPERINGS {
        assert_eq!(db.raw(sql).await, 1, "{what}");
        let verified = db.audit_verify().await.unwrap();
        assert_eq!(
            (verified.ok, verified.first_bad),
            (false, Some(*first_bad)),
            "{what}"
        );
        db.raw("DELETE FROM audit").await;
        db.raw("INSERT INTO audit SELECT * FROM kept").await;
        assert!(db.audit_verify().await.unwrap().ok);
    }
    // Reordered: two entries change places.
    db.raw("UPDATE audit SET number = 99 WHERE number = 3")
        .await;
    db.raw("UPDATE audit SET number = 3 WHERE number = 4").await;
    db.raw("UPDATE audit SET number = 4 WHERE number = 99")
        .await;
    assert_eq!(db.audit_verify().await.unwrap().first_bad, Some(3));
}

/// A copy put outside the numbers of the chain, its removal, and the number that is named.
const STRAYS: &[(&str, &str, u64)] = &[
    (
        "INSERT INTO audit SELECT -1, at, actor, action, order_id, details, previous, hash FROM audit WHERE number = 3",
        "DELETE FROM audit WHERE number = -1",
        0,
    ),
    (
        "INSERT INTO audit SELECT 0, at, actor, action, order_id, details, previous, hash FROM audit WHERE number = 3",
        "DELETE FROM audit WHERE number = 0",
        0,
    ),
    (
        "INSERT INTO audit SELECT 6, at, actor, action, order_id, details, previous, hash FROM audit WHERE number = 3",
        "DELETE FROM audit WHERE number = 6",
        6,
    ),
    (
        "INSERT INTO audit SELECT 1005, at, actor, action, order_id, details, previous, hash FROM audit WHERE number = 3",
        "DELETE FROM audit WHERE number = 1005",
        1005,
    ),
];

async fn inv_33_an_entry_put_beside_the_chain_shows(db: &Db) {
    with_entries(db, 5).await;
    for (put, remove, number) in STRAYS {
        assert_eq!(db.raw(put).await, 1);
        let verified = db.audit_verify().await.unwrap();
        assert_eq!((verified.ok, verified.first_bad), (false, Some(*number)));
        assert_eq!(db.raw(remove).await, 1);
        assert!(db.audit_verify().await.unwrap().ok);
    }
}

async fn inv_33_a_cut_tail_shows(db: &Db) {
    with_entries(db, 5).await;
    db.raw("DELETE FROM audit WHERE number > 3").await;
    let verified = db.audit_verify().await.unwrap();
    assert_eq!(
        (verified.ok, verified.entries, verified.first_bad),
        (false, 3, Some(4))
    );
    // What is appended to the stump does not mend it.
    with_entries_from(db, 6).await;
    assert_eq!(db.audit_verify().await.unwrap().first_bad, Some(4));
}

async fn with_entries_from(db: &Db, n: u128) {
    db.put(order_change(draft(n), None, Step::Draft)).await;
}

async fn inv_33_the_whole_log_cut_shows(db: &Db) {
    with_entries(db, 3).await;
    db.raw("DELETE FROM audit").await;
    let verified = db.audit_verify().await.unwrap();
    assert_eq!(
        (verified.ok, verified.entries, verified.first_bad),
        (false, 0, Some(1))
    );
}

/// Whoever may write the head as well can cut the tail unseen; that is what the signed checkpoint
/// kept elsewhere is for. It is compared by whoever keeps it, with the length and hash given here.
async fn inv_33_a_record_cut_with_its_head_shows_only_elsewhere(db: &Db) {
    with_entries(db, 5).await;
    let checkpoint = db.audit_verify().await.unwrap();
    db.raw("DELETE FROM audit WHERE number > 3").await;
    db.raw("UPDATE audit_head SET entries = 3, hash = (SELECT hash FROM audit WHERE number = 3)")
        .await;
    let cut = db.audit_verify().await.unwrap();
    assert!(cut.ok, "the database alone can't tell");
    assert!(cut.entries < checkpoint.entries && cut.head != checkpoint.head);
    db.raw("DELETE FROM audit").await;
    db.raw("UPDATE audit_head SET entries = 0, hash = '0000000000000000000000000000000000000000000000000000000000000000'").await;
    let cut = db.audit_verify().await.unwrap();
    assert!(cut.ok && cut.entries < checkpoint.entries && cut.head != checkpoint.head);
    // A database without its head does not verify.
    db.raw("DELETE FROM audit_head").await;
    db.audit_verify().await.unwrap_err();
}

async fn a_long_record_verifies(db: &Db) {
    // More entries than are read at once: many entries by one statement each would take long, so
    // the chain is made here and written in one go.
    use countermand_core::actor::Actor;
    use countermand_core::audit::{Entry, Statement};
    let actor = Actor::System("test".to_owned());
    let (mut previous, mut rows) = (GENESIS.to_owned(), Vec::new());
    for number in 1..=2_345 {
        let statement = Statement {
            action: "test".to_owned(),
            order: None,
            details: serde_json::json!({ "n": number }),
        };
        let entry = Entry::next(number, &previous, t(number as i64), &actor, &statement);
        previous.clone_from(&entry.hash);
        rows.push(format!(
            "({}, {}, '{}', 'test', NULL, '{}', '{}', '{}')",
            entry.number,
            entry.at.as_microsecond(),
            serde_json::to_string(&entry.actor).unwrap(),
            entry.details,
            entry.previous,
            entry.hash
        ));
    }
    let sql = format!("INSERT INTO audit VALUES {}", rows.join(", "));
    let mut connection = db.connection().await;
    sqlx::query(sqlx::AssertSqlSafe(sql))
        .execute(&mut connection)
        .await
        .unwrap();
    sqlx::query("UPDATE audit_head SET entries = 2345, hash = $1")
        .bind(&previous)
        .execute(&mut connection)
        .await
        .unwrap();
    let verified = db.audit_verify().await.unwrap();
    assert!(verified.ok, "{verified:?}");
    assert_eq!((verified.entries, verified.head), (2_345, previous));
    db.raw("UPDATE audit SET details = 'x' WHERE number = 2001")
        .await;
    assert_eq!(db.audit_verify().await.unwrap().first_bad, Some(2_001));
}

async fn refusals_make_no_entries(db: &Db) {
    db.put(Change::Refusals(vec![refusal(1, Some(0), &[], t(0))]))
        .await;
    assert_eq!(db.audit_verify().await.unwrap().entries, 0);
}

async fn a_backup_is_a_whole_copy_while_others_write(db: &Db) {
    let copy = db.folder().join("it's a copy.db");
    if db.backend() == Backend::Postgres {
        let error = db.backup(&copy).await.unwrap_err();
        assert!(
            matches!(&error, StoreError::Unsupported(t) if t.contains("pg_dump")),
            "{error:?}"
        );
        return;
    }
    db.put(Change::People(vec![person(
        "al@corp.test",
        &["x@corp.test"],
        &["staff"],
    )]))
    .await;
    let id = db.publish(1, &[0]).await;
    db.put(Change::Reports(vec![report(
        "m",
        &["mdm:m:1"],
        Some("al@corp.test"),
        &["a.b"],
    )]))
    .await;
    let w = db.worker("w").await;
    w.send(
        id,
        countermand_core::notice::Kind::Order,
        0,
        countermand::store::Outcome::Accepted,
    )
    .await;
    let (version, facts) = (db.version().await.unwrap(), db.facts().await);
    // While a transaction is open that will be undone.
    let mut writer = db.connection().await;
    sqlx::query("BEGIN IMMEDIATE")
        .execute(&mut writer)
        .await
        .unwrap();
    sqlx::query("UPDATE version SET number = 999")
        .execute(&mut writer)
        .await
        .unwrap();
    db.backup(&copy).await.unwrap();
    sqlx::query("ROLLBACK").execute(&mut writer).await.unwrap();
    db.put(order_change(draft(2), None, Step::Draft)).await;
    let restored = countermand::store::Store::open("sqlite:it's a copy.db", db.folder())
        .await
        .unwrap();
    assert_eq!(restored.version().await.unwrap(), version);
    assert_eq!(sorted(&restored.load().await.unwrap().facts), facts);
    assert!(restored.audit_verify().await.unwrap().ok);
    assert_eq!(restored.file(), Some(copy.as_path()));
    // Never over what is there.
    db.backup(&copy).await.unwrap_err();
    assert_eq!(restored.version().await.unwrap(), version);
}

async fn notes_to_followers_are_tidied(db: &Db) {
    let note = "SELECT CAST(COUNT(*) AS BIGINT) FROM change_log";
    db.put(order_change(draft(1), None, Step::Draft)).await;
    assert_eq!(db.number(note).await, 1);
    db.raw("UPDATE version SET number = 51198").await;
    db.put(order_change(draft(2), None, Step::Draft)).await;
    assert_eq!(db.number(note).await, 2);
    db.put(order_change(draft(3), None, Step::Draft)).await;
    assert_eq!(db.number(note).await, 2);
    // Who is so far behind begins anew.
    let followed = db.follow(1).await.unwrap().unwrap();
    assert!(followed.anew);
    assert_eq!((followed.version, followed.facts.len()), (51_200, 3));
    let followed = db.follow(51_199).await.unwrap().unwrap();
    assert!(!followed.anew);
    assert_eq!(followed.facts.len(), 1);
    // A database restored from a copy is behind its followers.
    assert!(db.follow(60_000).await.unwrap().unwrap().anew);
}
