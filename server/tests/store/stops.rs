//! Orders whose notices stopped by themselves, and who said that one looks wrong (invariant 14).

use countermand::store::{Outcome, StoreError, Touched};
use countermand_core::actor::Actor;
use countermand_core::change::{Change, Commit, Step};
use countermand_core::id::PersonId;
use countermand_core::notice::channel::Lane;
use countermand_core::notice::{Kind, ReceiptState};

use crate::fixture::*;

on_both!(
    inv_14_a_stopped_order_begins_nothing_and_its_retries_wait,
    inv_14_a_stop_survives_a_hold_and_a_retraction_takes_it_along,
    inv_14_whoever_says_that_it_looks_wrong_counts_once,
    inv_14_rejections_are_counted_without_those_of_corrections,
    inv_14_what_outlived_its_time_was_rejected_by_nobody_and_inv_23_is_corrected_if_it_flew,
);

async fn stop(db: &Db, id: countermand_core::id::OrderId) {
    db.step(id, Step::Stop, |o| {
        o.stop_notices(t(0), "too many").unwrap()
    })
    .await;
}

async fn inv_14_a_stopped_order_begins_nothing_and_its_retries_wait(db: &Db) {
    let (id, other) = (
        db.publish(1, &[0, 1, 2, 3]).await,
        db.publish(2, &[0]).await,
    );
    let w = db.worker("w").await;
    let new = w.claim_one(id, Kind::Order, 0).await;
    for person in [1, 2] {
        let later = Outcome::Deferred { not_before: t(3) };
        w.send(id, Kind::Order, person, later).await;
    }
    let retry = w.retries(t(4)).await[0];
    let flying = w.fly(id, Kind::Order, 3).await;
    stop(db, id).await;
    assert!(w.start(&[new, retry]).await.is_empty());
    assert!(db.states(id, 0).await.is_empty(), "planned again");
    assert_eq!(db.state(id, 1).await, ReceiptState::Claimed);
    for kind in [
        Kind::Order,
        Kind::Reminder(1),
        Kind::Blocked,
        Kind::Correction,
    ] {
        assert!(w.claim(id, kind, &[0]).await.claimed.is_empty(), "{kind}");
    }
    // Its retries wait for the resume, not for a sender; what is on its way may finish.
    db.retire_worker("w", t(5)).await.unwrap();
    let w = db.worker("v").await;
    assert!(w.retries(t(100)).await.is_empty());
    assert_eq!(db.next_retry(Lane::People, &[]).await.unwrap(), None);
    assert_eq!(db.unsettled(&[]).await.unwrap(), 0);
    assert_eq!(db.state(id, 3).await, ReceiptState::Unknown, "{flying:?}");
    // Other orders don't.
    w.send(other, Kind::Order, 0, Outcome::Accepted).await;

    db.resume(id).await;
    assert_eq!(db.unsettled(&[]).await.unwrap(), 2);
    assert_eq!(db.next_retry(Lane::People, &[]).await.unwrap(), Some(t(3)));
    assert_eq!(w.retries(t(100)).await.len(), 2);
    w.send(id, Kind::Order, 0, Outcome::Accepted).await;
}

async fn inv_14_a_stop_survives_a_hold_and_a_retraction_takes_it_along(db: &Db) {
    let id = db.publish(1, &[0, 1]).await;
    let w = db.worker("w").await;
    w.send(id, Kind::Order, 0, Outcome::Accepted).await;
    w.send(id, Kind::Order, 1, Outcome::Deferred { not_before: t(3) })
        .await;
    stop(db, id).await;
    db.hold(id).await;
    assert!(db.stored(id).await.order.stop().is_some());
    assert!(w.retries(t(9)).await.is_empty());
    assert_eq!(db.unsettled(&[]).await.unwrap(), 0);
    db.resume(id).await;
    assert_eq!(w.retries(t(9)).await.len(), 1);
    stop(db, id).await;
    db.retract(id).await;
    assert_eq!(db.state(id, 1).await, ReceiptState::Cancelled);
    assert_eq!(db.to_correct(id).await, [0]);
    w.send(id, Kind::Correction, 0, Outcome::Accepted).await;
}

async fn inv_14_whoever_says_that_it_looks_wrong_counts_once(db: &Db) {
    let (id, other) = (db.publish(1, &[0]).await, db.publish(2, &[0]).await);
    let says = |order, person| Commit {
        actor: Actor::Person(format!("p{person}@corp.test")),
        at: t(1),
        change: Change::LooksWrong {
            order,
            person: PersonId(person),
        },
    };
    let before = db.version().await.unwrap();
    db.commit(&says(id, 0)).await.unwrap();
    let followed = db.follow(before).await.unwrap().unwrap();
    assert_eq!(followed.touched, [Touched::Receipts(id)]);
    let entry = db.audit_newest(Some(id), 1).await.unwrap().remove(0);
    assert_eq!(entry.action, "looks_wrong");
    assert_eq!(entry.actor, Actor::Person("p0@corp.test".to_owned()));
    assert_eq!(
        db.life_of(id).await.unwrap().len(),
        1,
        "no step of its life"
    );
    // Again: nothing is written, the record neither. Of many at once one gets through.
    let again = db.commit(&says(id, 0)).await.unwrap_err();
    assert!(matches!(again, StoreError::Conflict), "{again:?}");
    assert_eq!(db.audit_newest(None, 1).await.unwrap(), [entry]);
    let (one, two) = (says(id, 1), says(id, 1));
    let second = db.again().await;
    let (one, two) = tokio::join!(db.commit(&one), second.commit(&two));
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    db.commit(&says(other, 0)).await.unwrap();
    assert_eq!(db.looks_wrong(id).await.unwrap(), 2);
    assert_eq!(db.looks_wrong(other).await.unwrap(), 1);
    assert!(db.audit_verify().await.unwrap().ok);
}

async fn inv_14_rejections_are_counted_without_those_of_corrections(db: &Db) {
    let (id, other) = (db.publish(1, &[0, 1, 2]).await, db.publish(2, &[0]).await);
    let w = db.worker("w").await;
    w.send(id, Kind::Order, 0, Outcome::Accepted).await;
    w.send(id, Kind::Order, 1, Outcome::Rejected).await;
    w.send(id, Kind::Reminder(1), 0, Outcome::Rejected).await;
    w.send(id, Kind::Order, 2, Outcome::Unknown { not_before: t(3) })
        .await;
    w.send(other, Kind::Order, 0, Outcome::Rejected).await;
    assert_eq!(db.rejections(id).await.unwrap(), 2);
    db.retract(id).await;
    w.send(id, Kind::Correction, 0, Outcome::Rejected).await;
    assert_eq!(db.rejections(id).await.unwrap(), 2);
}

async fn inv_14_what_outlived_its_time_was_rejected_by_nobody_and_inv_23_is_corrected_if_it_flew(
    db: &Db,
) {
    let id = db.publish(1, &[0, 1, 2]).await;
    let w = db.worker("w").await;
    w.send(id, Kind::Order, 0, Outcome::TooLate).await;
    w.send(id, Kind::Order, 1, Outcome::Rejected).await;
    assert_eq!(db.state(id, 0).await, ReceiptState::Cancelled);
    assert_eq!(db.rejections(id).await.unwrap(), 1);
    let (_, unreached) = db.unreached(id, 0, 100).await.unwrap();
    assert_eq!(unreached.len(), 1);
    assert_eq!(unreached[0].person, PersonId(1));
    // It is settled: nobody tries it again.
    assert!(w.retries(t(1_000)).await.is_empty());
    assert_eq!(w.claim(id, Kind::Order, &[0]).await.taken.len(), 1);
    let flying = w.fly(id, Kind::Order, 2).await;
    db.retract(id).await;
    w.settle(flying, Outcome::TooLate).await;
    assert_eq!(db.state(id, 2).await, ReceiptState::Cancelled);
    assert_eq!(db.to_correct(id).await, [2]);
    let answer = db.answer(id).await;
    assert_eq!((answer.in_flight, answer.cancelled), (1, 0));
}
