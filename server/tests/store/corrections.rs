//! After a retraction: who is corrected, and when.

use countermand::store::{Outcome, StoreError};
use countermand_core::change::{Change, Step};
use countermand_core::notice::{Kind, ReceiptState};

use crate::fixture::*;

on_both!(
    inv_23_corrections_go_to_exactly_those_who_may_have_been_told,
    inv_23_what_was_in_flight_at_the_commit_is_corrected_however_it_ended,
    inv_23_any_kind_of_notice_earns_a_correction,
    inv_23_whoever_was_refused_at_a_door_is_corrected,
    inv_23_nobody_is_corrected_before_the_retraction,
    inv_24_a_correction_waits_for_every_earlier_attempt,
    inv_17_an_unknown_correction_is_sent_again,
    inv_25_a_late_accepted_overwrites_nothing,
    a_dead_workers_flight_is_corrected,
    inv_22_a_retraction_and_starts_at_once_agree_on_who_was_sent_to,
    inv_22_the_answer_is_that_of_the_commit_however_late_it_is_counted,
    inv_30_of_two_who_retract_at_once_the_second_hears_of_a_conflict,
);

async fn inv_23_corrections_go_to_exactly_those_who_may_have_been_told(db: &Db) {
    let people: Vec<u32> = (0..9).collect();
    let id = db.publish(1, &people).await;
    let w = db.worker("w").await;
    w.send(id, Kind::Order, 0, Outcome::Accepted).await;
    w.send(id, Kind::Order, 1, Outcome::Rejected).await;
    w.send(id, Kind::Order, 2, Outcome::Unknown { not_before: t(9) })
        .await;
    w.send(id, Kind::Order, 3, Outcome::Deferred { not_before: t(9) })
        .await;
    w.claim_one(id, Kind::Order, 4).await;
    w.fly(id, Kind::Order, 5).await;
    // Deferred once, in flight again.
    w.send(id, Kind::Order, 6, Outcome::Deferred { not_before: t(4) })
        .await;
    let again = w.retries(t(5)).await;
    w.start(&again).await;
    // Deferred, then rejected before the retraction.
    w.send(id, Kind::Order, 7, Outcome::Deferred { not_before: t(5) })
        .await;
    let again = w.retries(t(5)).await;
    w.start(&again).await;
    w.settle(again[0], Outcome::Rejected).await;
    db.retract(id).await;
    assert_eq!(db.to_correct(id).await, [0, 2, 5, 6]);
}

async fn inv_23_what_was_in_flight_at_the_commit_is_corrected_however_it_ended(db: &Db) {
    let id = db.publish(1, &[0, 1, 2, 3, 4]).await;
    let w = db.worker("w").await;
    w.send(id, Kind::Order, 4, Outcome::Rejected).await;
    let mut flying = Vec::new();
    for person in 0..4 {
        flying.push(w.fly(id, Kind::Order, person).await);
    }
    db.retract(id).await;
    w.settle(flying[0], Outcome::Accepted).await;
    w.settle(flying[1], Outcome::Rejected).await;
    w.settle(flying[2], Outcome::Unknown { not_before: t(9) })
        .await;
    w.settle(flying[3], Outcome::Deferred { not_before: t(9) })
        .await;
    assert_eq!(db.state(id, 0).await, ReceiptState::Accepted);
    assert_eq!(db.state(id, 1).await, ReceiptState::Rejected);
    assert_eq!(db.state(id, 2).await, ReceiptState::Unknown);
    assert_eq!(db.state(id, 3).await, ReceiptState::Cancelled);
    assert!(w.retries(t(1_000)).await.is_empty());
    assert_eq!(db.to_correct(id).await, [0, 1, 2, 3]);
    assert_eq!(db.unsettled(&[]).await.unwrap(), 0);
}

async fn inv_23_any_kind_of_notice_earns_a_correction(db: &Db) {
    let id = db.publish(1, &[0, 1, 2]).await;
    let w = db.worker("w").await;
    w.send(id, Kind::Order, 0, Outcome::Rejected).await;
    w.send(id, Kind::Reminder(1), 0, Outcome::Accepted).await;
    w.send(id, Kind::Blocked, 1, Outcome::Unknown { not_before: t(9) })
        .await;
    db.retract(id).await;
    assert_eq!(db.to_correct(id).await, [0, 1]);
    // A correction is no notice that earns another.
    w.send(id, Kind::Correction, 0, Outcome::Accepted).await;
    assert_eq!(db.to_correct(id).await, [0, 1]);
    let (notices, corrections) = db.receipt_counts(id).await.unwrap();
    assert_eq!(
        (notices.accepted, notices.rejected, notices.unknown),
        (1, 1, 1)
    );
    assert_eq!(corrections.accepted, 1);
}

async fn inv_23_whoever_was_refused_at_a_door_is_corrected(db: &Db) {
    let (id, other) = (db.publish(1, &[0]).await, db.publish(2, &[0]).await);
    let w = db.worker("w").await;
    w.send(id, Kind::Order, 0, Outcome::Rejected).await;
    let refused = vec![
        refusal(1, Some(0), &[id], t(5)),
        refusal(2, Some(9), &[id, other], t(5)),
        refusal(3, Some(8), &[other], t(5)),
        refusal(4, None, &[id], t(5)),
    ];
    db.put(Change::Refusals(refused)).await;
    db.retract(id).await;
    assert_eq!(db.to_correct(id).await, [0, 9]);
    assert!(db.to_correct(other).await.is_empty());
}

async fn inv_23_nobody_is_corrected_before_the_retraction(db: &Db) {
    let id = db.publish(1, &[0]).await;
    db.worker("w")
        .await
        .send(id, Kind::Order, 0, Outcome::Accepted)
        .await;
    assert!(db.to_correct(id).await.is_empty());
    db.hold(id).await;
    assert!(db.to_correct(id).await.is_empty());
    // Retracting from a hold is retracting.
    db.retract(id).await;
    assert_eq!(db.to_correct(id).await, [0]);
}

async fn inv_24_a_correction_waits_for_every_earlier_attempt(db: &Db) {
    let id = db.publish(1, &[0, 1]).await;
    let w = db.worker("w").await;
    let reminder = w.fly(id, Kind::Reminder(1), 0).await;
    w.send(id, Kind::Order, 0, Outcome::Accepted).await;
    w.send(id, Kind::Order, 1, Outcome::Accepted).await;
    db.retract(id).await;
    let turned = w.claim(id, Kind::Correction, &[0, 1]).await;
    assert_eq!(turned.claimed.len(), 1, "only who has nothing in flight");
    assert_eq!(turned.claimed[0].key.person.0, 1);
    assert!(turned.taken.is_empty(), "the other is still wanted");
    // Nor do those who wait take the room of those who may go.
    let claim = vec![wanted(id, Kind::Correction, &[0, 5])];
    let turn = countermand::store::Turn {
        claim,
        limit: 1,
        ..Default::default()
    };
    assert_eq!(w.turn(turn, t(2)).await.claimed[0].key.person.0, 5);
    w.settle(reminder, Outcome::Unknown { not_before: t(9) })
        .await;
    assert_eq!(w.claim(id, Kind::Correction, &[0]).await.claimed.len(), 1);
}

async fn inv_17_an_unknown_correction_is_sent_again(db: &Db) {
    let id = db.publish(1, &[0]).await;
    let w = db.worker("w").await;
    w.send(id, Kind::Order, 0, Outcome::Accepted).await;
    db.retract(id).await;
    let first = w
        .send(
            id,
            Kind::Correction,
            0,
            Outcome::Unknown { not_before: t(30) },
        )
        .await;
    assert_eq!(db.unsettled(&[]).await.unwrap(), 1);
    assert!(w.retries(t(29)).await.is_empty());
    let second = w.retries(t(30)).await;
    assert_eq!((second[0].key, second[0].attempt), (first.key, 1));
    assert_eq!(w.start(&second).await, second);
    w.settle(second[0], Outcome::Accepted).await;
    let (_, corrections) = db.receipt_counts(id).await.unwrap();
    assert_eq!((corrections.accepted, corrections.claimed), (1, 0));
}

async fn inv_25_a_late_accepted_overwrites_nothing(db: &Db) {
    let id = db.publish(1, &[0, 1, 2]).await;
    let w = db.worker("w").await;
    let cancelled = w.claim_one(id, Kind::Order, 0).await;
    let deferred = w.fly(id, Kind::Order, 1).await;
    let lost = w.fly(id, Kind::Order, 2).await;
    db.retract(id).await;
    w.settle(deferred, Outcome::Deferred { not_before: t(9) })
        .await;
    w.settle(lost, Outcome::Unknown { not_before: t(9) }).await;
    let version = db.version().await.unwrap();
    for late in [cancelled, deferred, lost] {
        w.settle(late, Outcome::Accepted).await;
    }
    assert_eq!(db.state(id, 0).await, ReceiptState::Cancelled);
    assert_eq!(db.state(id, 1).await, ReceiptState::Cancelled);
    assert_eq!(db.state(id, 2).await, ReceiptState::Unknown);
    let followed = db.follow(version).await.unwrap().unwrap();
    assert!(
        followed.facts.is_empty(),
        "nobody is told by it: {followed:?}"
    );
    assert!(db.stored(id).await.order.retraction().is_some());
}

async fn a_dead_workers_flight_is_corrected(db: &Db) {
    let id = db.publish(1, &[0, 1]).await;
    let w = db.worker("w").await;
    let flying = w.fly(id, Kind::Order, 0).await;
    w.claim_one(id, Kind::Order, 1).await;
    db.retract(id).await;
    let other = db.worker("other").await;
    assert!(
        other
            .claim(id, Kind::Correction, &[0])
            .await
            .claimed
            .is_empty()
    );
    db.raw("UPDATE worker SET lease_until = 0 WHERE name = 'w'")
        .await;
    assert_eq!(db.bury_workers(t(3)).await.unwrap(), 1);
    assert_eq!(db.to_correct(id).await, [0]);
    let correction = other.fly(id, Kind::Correction, 0).await;
    w.settle(flying, Outcome::Accepted).await;
    other.settle(correction, Outcome::Accepted).await;
    assert_eq!(
        db.states(id, 0)
            .await
            .into_iter()
            .collect::<std::collections::BTreeSet<_>>(),
        [
            (Kind::Order, ReceiptState::Unknown),
            (Kind::Correction, ReceiptState::Accepted)
        ]
        .into()
    );
}

async fn inv_22_a_retraction_and_starts_at_once_agree_on_who_was_sent_to(db: &Db) {
    let people: Vec<u32> = (0..60).collect();
    let id = db.publish(1, &people).await;
    let other = db.again().await;
    let w = Worker {
        store: &other,
        ..db.worker("w").await
    };
    let sends = async {
        let mut started = Vec::new();
        for chunk in people.chunks(4) {
            let claims = w.claim(id, Kind::Order, chunk).await.claimed;
            started.extend(w.start(&claims).await.iter().map(|c| c.key.person.0));
        }
        started
    };
    let retracts = async {
        // Somewhere in the middle.
        while db.receipted(id, Kind::Order).await.unwrap().len() < 8 {}
        db.retract(id).await;
    };
    let (started, ()) = tokio::join!(sends, retracts);
    assert_eq!(db.to_correct(id).await, started);
    let (notices, _) = db.receipt_counts(id).await.unwrap();
    assert_eq!(
        (notices.in_flight, notices.claimed),
        (started.len() as u64, 0)
    );
}

async fn inv_22_the_answer_is_that_of_the_commit_however_late_it_is_counted(db: &Db) {
    let people: Vec<u32> = (0..10).collect();
    let id = db.publish(1, &people).await;
    let w = db.worker("w").await;
    let later = |at| Outcome::Deferred { not_before: t(at) };
    w.send(id, Kind::Order, 0, Outcome::Accepted).await;
    w.send(id, Kind::Order, 1, Outcome::Rejected).await;
    w.send(id, Kind::Order, 2, Outcome::Unknown { not_before: t(9) })
        .await;
    w.send(id, Kind::Order, 3, later(9)).await;
    w.claim_one(id, Kind::Order, 4).await;
    let mut flying = Vec::new();
    for person in 5..8 {
        flying.push(w.fly(id, Kind::Order, person).await);
    }
    let stored = db.stored(id).await;
    assert!(db.count_retraction(&stored.order).await.unwrap().is_none());
    let mut change = order_change(retracted(stored.order), Some(stored.changed), Step::Retract);
    if let Change::Retract { planned, .. } = &mut change {
        planned.push((Kind::Order, people.into_iter().collect()));
    }
    db.put(change).await;
    // The process dies, and the rest goes on.
    w.settle(flying[0], Outcome::Accepted).await;
    w.settle(flying[1], Outcome::Rejected).await;
    w.settle(flying[2], later(9)).await;
    w.send(id, Kind::Correction, 0, Outcome::Accepted).await;
    let order = db.stored(id).await.order;
    let answer = db.count_retraction(&order).await.unwrap().unwrap();
    let counted = (answer.cancelled, answer.unclaimed, answer.in_flight);
    assert_eq!(counted, (4, 2, 3));
    assert_eq!((answer.accepted, answer.unknown), (1, 1));
    assert_eq!(answer.corrections_planned, 5);

    let change = Change::Counted { order: id, answer };
    db.put(change.clone()).await;
    let order = db.stored(id).await.order;
    assert_eq!(order.retraction().unwrap().answer.in_flight, 3);
    assert!(db.count_retraction(&order).await.unwrap().is_none());
    assert_eq!(db.to_correct(id).await, [0, 2, 5, 6, 7]);
    let again = db.commit(&by_somebody(change, t(20))).await;
    assert!(matches!(again, Err(StoreError::Conflict)), "{again:?}");
}

async fn inv_30_of_two_who_retract_at_once_the_second_hears_of_a_conflict(db: &Db) {
    let id = db.publish(1, &[0]).await;
    let stored = db.stored(id).await;
    let change = order_change(retracted(stored.order), Some(stored.changed), Step::Retract);
    db.put(change.clone()).await;
    // Before anybody has counted what it did, and so made room for a second one.
    let second = db.commit(&by_somebody(change, t(1))).await.unwrap_err();
    assert!(matches!(second, StoreError::Conflict), "{second:?}");
}
