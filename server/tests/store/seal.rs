//! The key that seals notices, what a seal is asked about, and the cause of a retraction.

use countermand::store::Outcome;
use countermand_core::change::{Change, Step};
use countermand_core::id::PersonId;
use countermand_core::notice::token::{Said, open, seal};
use countermand_core::notice::{Kind, ReceiptState};
use jiff::Timestamp;

use crate::fixture::*;

on_both!(
    whoever_opens_first_makes_the_key_and_all_have_it,
    only_what_may_have_left_was_sent,
    inv_23_a_cause_said_later_changes_nobodys_correction,
);

async fn whoever_opens_first_makes_the_key_and_all_have_it(db: &Db) {
    let (other, third) = (db.again().await, db.again().await);
    let (one, two, three) = tokio::join!(
        db.seal_key(|| "11".repeat(32)),
        other.seal_key(|| "22".repeat(32)),
        third.seal_key(|| "33".repeat(32)),
    );
    let later = db
        .again()
        .await
        .seal_key(|| unreachable!("it is there"))
        .await;
    let order = draft(7);
    let said = Said {
        kind: Kind::Order,
        person: PersonId(1),
        comply_by: Timestamp::UNIX_EPOCH,
    };
    let token = seal(&one.unwrap(), &order, &said);
    for key in [two, three, later] {
        assert_eq!(open(&key.unwrap(), &order, &token), Some(said));
    }
    let rows = "SELECT CAST(COUNT(*) AS BIGINT) FROM setting WHERE name = 'notice_key'";
    assert_eq!(db.number(rows).await, 1);
    // It is no fact about the world: nothing follows from it, and the record is silent.
    assert_eq!(db.version().await.unwrap(), 0);
    let key = db.seal_key(String::new).await.unwrap();
    assert_eq!(format!("{key:?}"), "SealKey(…)");
}

async fn only_what_may_have_left_was_sent(db: &Db) {
    let order = db.publish(1, &[1, 2, 3, 4, 5]).await;
    let worker = db.worker("w").await;
    let sent = async |person: u32| {
        let key = key(order, Kind::Order, person);
        db.may_have_been_sent(&key).await.unwrap()
    };
    assert_eq!(sent(1).await, None);
    worker.claim(order, Kind::Order, &[1]).await;
    assert_eq!(sent(1).await, None);
    worker.fly(order, Kind::Order, 2).await;
    assert!(sent(2).await.is_some());
    for (person, outcome, was_sent) in [
        (3, Outcome::Accepted, true),
        (4, Outcome::Unknown { not_before: t(100) }, true),
        (5, Outcome::Rejected, false),
    ] {
        worker.send(order, Kind::Order, person, outcome).await;
        assert_eq!(sent(person).await.is_some(), was_sent, "person {person}");
    }
    // A correction that nobody knows of is sent again; until then it may have arrived. One that
    // certainly did not leave has not.
    db.retract(order).await;
    for (person, outcome, was_sent) in [
        (3, Outcome::Unknown { not_before: t(100) }, true),
        (4, Outcome::Deferred { not_before: t(100) }, false),
    ] {
        worker.send(order, Kind::Correction, person, outcome).await;
        let key = key(order, Kind::Correction, person);
        let sent = db.may_have_been_sent(&key).await.unwrap();
        assert_eq!(sent.is_some(), was_sent, "person {person}");
    }
}

async fn inv_23_a_cause_said_later_changes_nobodys_correction(db: &Db) {
    let order = db.publish(1, &[1, 2]).await;
    let worker = db.worker("w").await;
    let claim = worker.fly(order, Kind::Order, 1).await;
    db.retract(order).await;
    let before = db.stored(order).await;
    // In flight at the commit: rejected later, it earns the correction all the same.
    worker.settle(claim, Outcome::Rejected).await;
    assert_eq!(db.state(order, 1).await, ReceiptState::Rejected);
    assert_eq!(db.to_correct(order).await, [1]);
    let with_cause = before.order.clone().say_cause("A slip").unwrap();
    db.put(Change::Order {
        order: Box::new(with_cause.clone()),
        was: Some(before.changed),
        step: Step::Cause,
        details: serde_json::json!({}),
    })
    .await;
    let after = db.stored(order).await;
    assert_eq!(after.order, with_cause);
    assert_eq!(after.changed, before.changed);
    assert_eq!(db.to_correct(order).await, [1]);
    let entry = &db.audit_newest(Some(order), 1).await.unwrap()[0];
    assert_eq!(entry.action, "order.cause");
}
