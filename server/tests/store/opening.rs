//! Opening, versions, and that a commit is all or nothing.

use std::task::Poll;

use countermand::store::{Store, StoreError};
use countermand_core::change::{Change, Step};

use crate::fixture::*;

on_both!(
    a_database_is_made_once_and_opened_again,
    two_processes_may_start_at_once,
    a_newer_database_is_refused,
    each_commit_raises_the_version_by_one,
    commits_of_many_at_once_queue,
    inv_33_entry_and_change_are_one_transaction,
    a_failed_commit_leaves_nothing,
    a_commit_that_is_given_up_is_whole_or_nothing,
);

async fn a_database_is_made_once_and_opened_again(db: &Db) {
    let before = db
        .put(Change::People(vec![person(
            "al@corp.test",
            &[],
            &["staff"],
        )]))
        .await;
    let again = db.again().await;
    assert_eq!(again.version().await.unwrap(), before);
    assert_eq!(
        db.number("SELECT CAST(COUNT(*) AS BIGINT) FROM migration")
            .await,
        migrations().len() as i64
    );
}

/// The texts of all of them.
fn migrations() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
    std::fs::read_dir(folder)
        .unwrap()
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
        .collect()
}

async fn two_processes_may_start_at_once(db: &Db) {
    // All of them, so that making one twice would fail.
    for file in migrations() {
        let made = file
            .lines()
            .filter_map(|line| line.strip_prefix("CREATE TABLE "))
            .filter_map(|rest| rest.split(' ').next().map(str::to_owned));
        for table in made {
            sqlx::query(sqlx::AssertSqlSafe(format!("DROP TABLE {table}")))
                .execute(&mut db.connection().await)
                .await
                .unwrap();
        }
    }
    db.raw("DROP TABLE migration").await;
    let (one, two, three) = tokio::join!(db.try_again(), db.try_again(), db.try_again());
    for store in [one, two, three] {
        assert_eq!(store.unwrap().version().await.unwrap(), 0);
    }
}

async fn a_newer_database_is_refused(db: &Db) {
    db.raw("INSERT INTO migration (number) VALUES (9999)").await;
    let error = db.try_again().await.unwrap_err();
    assert!(matches!(error, StoreError::Unsupported(_)), "{error:?}");
    assert!(error.to_string().contains("newer countermand"), "{error}");
}

async fn each_commit_raises_the_version_by_one(db: &Db) {
    let first = db
        .put(Change::People(vec![person("al@corp.test", &[], &[])]))
        .await;
    let second = db.put(order_change(draft(1), None, Step::Draft)).await;
    assert_eq!((first, second), (1, 2));
    db.renew_worker("w", t(60)).await.unwrap();
    assert_eq!(db.version().await.unwrap(), 3);
}

async fn commits_of_many_at_once_queue(db: &Db) {
    let other = db.again().await;
    let row = |n: usize| {
        let people = vec![person(&format!("p{n}@corp.test"), &[], &["staff"])];
        by_somebody(Change::People(people), t(0))
    };
    let (rows_a, rows_b): (Vec<_>, Vec<_>) =
        ((0..10).map(row).collect(), (10..20).map(row).collect());
    let many = |store, rows: Vec<_>| async move {
        let store: &Store = store;
        for commit in rows {
            store.commit(&commit).await.unwrap();
        }
    };
    tokio::join!(many(&db.store, rows_a), many(&other, rows_b));
    assert_eq!(db.version().await.unwrap(), 20);
    assert_eq!(db.index().await.people().count(), 20);
    let verified = db.audit_verify().await.unwrap();
    assert!(verified.ok && verified.entries == 20, "{verified:?}");
}

async fn inv_33_entry_and_change_are_one_transaction(db: &Db) {
    let version = db.put(order_change(draft(1), None, Step::Draft)).await;
    let entries = db.audit_newest(Some(order_id(1)), 10).await.unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].action, "order.draft");
    assert_eq!(entries[0].actor.name(), "ada@corp.test");
    assert_eq!(entries[0].at, t(0));
    let followed = db.follow(version - 1).await.unwrap().unwrap();
    assert_eq!((followed.version, followed.facts.len()), (version, 1));
}

async fn a_failed_commit_leaves_nothing(db: &Db) {
    db.put(order_change(draft(1), None, Step::Draft)).await;
    let (version, facts) = (db.version().await.unwrap(), db.facts().await);
    let submitted = draft(1).submit("ada@corp.test", t(0)).unwrap();
    for wrong in [
        order_change(draft(1), None, Step::Draft),
        order_change(submitted.clone(), Some(version + 7), Step::Submit),
        Change::Invite {
            email: "nobody@corp.test".to_owned(),
            invitation: "x".to_owned(),
            until: t(9),
        },
    ] {
        db.commit(&by_somebody(wrong, t(5))).await.unwrap_err();
        assert_eq!(db.version().await.unwrap(), version);
        assert_eq!(db.facts().await, facts);
        assert_eq!(db.audit_newest(None, 10).await.unwrap().len(), 1);
        assert!(db.follow(version).await.unwrap().is_none());
        // Another process is not kept waiting by what failed.
        db.again().await.renew_worker("w", t(60)).await.unwrap();
        db.raw("DELETE FROM worker").await;
        db.raw("UPDATE version SET number = number - 1").await;
    }
    let next = db
        .put(order_change(submitted, Some(version), Step::Submit))
        .await;
    assert_eq!(next, version + 1);
}

/// As when a browser hangs up: the commit's future is dropped after any number of its steps.
async fn a_commit_that_is_given_up_is_whole_or_nothing(db: &Db) {
    let mut whole = 0;
    for steps in 0..24 {
        let n = steps as u128 + 1;
        let commit = by_somebody(order_change(draft(n), None, Step::Draft), t(0));
        let done = within(db.commit(&commit), steps).await;
        if let Some(done) = done {
            done.unwrap();
        }
        // The next one waits for what the dropped one leaves to undo.
        db.put(Change::People(vec![person(
            &format!("p{n}@corp.test"),
            &[],
            &[],
        )]))
        .await;
        let there = db.order_called(&order_id(n).to_string()).await.is_ok();
        let entries = db.audit_newest(Some(order_id(n)), 9).await.unwrap().len();
        assert_eq!(entries, usize::from(there), "after {steps} steps");
        whole += i64::from(there);
    }
    assert!(whole > 0, "no commit ever got to its end");
    assert_eq!(db.version().await.unwrap(), 24 + whole);
    assert!(db.audit_verify().await.unwrap().ok);
}

/// What the future comes to, if it does in so many steps.
async fn within<F: Future>(future: F, steps: usize) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    let mut done = 0;
    std::future::poll_fn(move |context| {
        if done == steps {
            return Poll::Ready(None);
        }
        done += 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

/// A data directory may be called anything.
#[tokio::test]
async fn a_path_may_hold_letters_that_mean_something_in_a_url() {
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join("100% mine? #1 é");
    std::fs::create_dir(&odd).unwrap();
    let store = Store::open("sqlite:house.db", &odd).await.unwrap();
    store.renew_worker("w", t(60)).await.unwrap();
    store.close().await;
    assert!(odd.join("house.db").is_file());
    let whole = format!("sqlite://{}", odd.join("house.db").display());
    let again = Store::open(&whole, folder.path()).await.unwrap();
    assert_eq!(again.version().await.unwrap(), 1);
}

#[tokio::test]
async fn a_url_of_another_database_says_what_to_write() {
    let error = Store::open("mysql://host/x", std::path::Path::new("/"))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("sqlite:countermand.db"),
        "{error}"
    );
}
