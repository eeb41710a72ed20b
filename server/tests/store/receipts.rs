//! Receipts while an order stands: one for each key, written only by who holds it.

use countermand::store::{Claim, Outcome, Turn};
use countermand_core::notice::{Kind, ReceiptState};

use crate::fixture::*;

on_both!(
    inv_15_one_receipt_for_each_order_person_and_kind,
    inv_16_only_what_is_started_is_in_flight,
    inv_18_a_stale_fence_writes_nothing,
    inv_19_a_hold_gives_back_what_was_tried_before,
    inv_18_another_worker_writes_nothing,
    inv_18_workers_at_once_share_out_what_there_is,
    inv_17_unknown_is_not_sent_again_and_leaves_the_person_untold,
    told_is_the_first_acceptance_of_any_kind,
    a_draft_and_an_unknown_order_send_nothing,
    inv_36_a_hold_gives_claims_back,
    a_deferred_one_is_claimed_again_when_it_is_due,
    due_retries_go_ahead_of_new_claims_and_the_limit_is_for_both,
    inv_28_corrections_go_ahead_of_all_else,
    one_turn_settles_starts_and_claims,
    inv_20_unsettled_counts_what_a_sender_has_to_do,
    words_of_a_relay_are_kept_whatever_they_hold,
    a_large_turn_is_taken_whole,
);

async fn inv_15_one_receipt_for_each_order_person_and_kind(db: &Db) {
    let id = db.publish(1, &[0, 1]).await;
    let w = db.worker("w").await;
    let first = w.claim(id, Kind::Order, &[0, 1]).await;
    assert_eq!(first.claimed.len(), 2);
    let again = w.claim(id, Kind::Order, &[1, 0]).await;
    assert!(again.claimed.is_empty());
    assert_eq!(
        again.taken,
        [key(id, Kind::Order, 1), key(id, Kind::Order, 0)]
    );
    for kind in [Kind::Blocked, Kind::Reminder(1), Kind::Reminder(2)] {
        assert_eq!(w.claim(id, kind, &[0]).await.claimed.len(), 1);
    }
    let of: Vec<u32> = db
        .receipted(id, Kind::Order)
        .await
        .unwrap()
        .iter()
        .collect();
    assert_eq!(of, [0, 1]);
    assert_eq!(db.receipted(id, Kind::Reminder(2)).await.unwrap().len(), 1);
    // The same person twice in one list is one claim.
    let other = db.publish(2, &[0]).await;
    let twice = w.claim(other, Kind::Order, &[0, 0]).await;
    assert_eq!(twice.claimed.len(), 1, "{twice:?}");
}

async fn inv_16_only_what_is_started_is_in_flight(db: &Db) {
    let id = db.publish(1, &[0]).await;
    let w = db.worker("w").await;
    let claim = w.claim_one(id, Kind::Order, 0).await;
    assert_eq!(db.state(id, 0).await, ReceiptState::Claimed);
    // What never began settles nothing.
    w.settle(claim, Outcome::Accepted).await;
    assert_eq!(db.state(id, 0).await, ReceiptState::Claimed);
    assert_eq!(w.start(&[claim]).await, [claim]);
    assert_eq!(db.state(id, 0).await, ReceiptState::InFlight);
    assert!(w.start(&[claim]).await.is_empty(), "twice in flight");
    w.settle(claim, Outcome::Accepted).await;
    assert_eq!(db.state(id, 0).await, ReceiptState::Accepted);
    assert!(w.start(&[claim]).await.is_empty());
}

async fn inv_18_a_stale_fence_writes_nothing(db: &Db) {
    let id = db.publish(1, &[0, 1]).await;
    let w = db.worker("w").await;
    let old = w.claim_one(id, Kind::Order, 0).await;
    db.bury_workers(t(3600)).await.unwrap();
    let w = db.worker("w").await;
    let new = w.claim_one(id, Kind::Order, 0).await;
    assert!(new.fence > old.fence);
    assert!(w.start(&[old]).await.is_empty());
    assert_eq!(w.start(&[new]).await, [new]);
    let forged = Claim {
        fence: new.fence + 1,
        ..new
    };
    for wrong in [old, forged] {
        w.settle(wrong, Outcome::Rejected).await;
        assert_eq!(db.state(id, 0).await, ReceiptState::InFlight);
    }
    // Neither does a hold let the old one give back what the new one holds.
    let kept = w.claim_one(id, Kind::Order, 1).await;
    db.hold(id).await;
    assert!(
        w.start(&[Claim {
            fence: kept.fence - 1,
            ..kept
        }])
        .await
        .is_empty()
    );
    assert_eq!(db.state(id, 1).await, ReceiptState::Claimed);
}

/// What was claimed anew for another attempt and met a hold is anyone's, though its worker lives on.
async fn inv_19_a_hold_gives_back_what_was_tried_before(db: &Db) {
    let id = db.publish(1, &[0]).await;
    let (w, other) = (db.worker("w").await, db.worker("other").await);
    w.send(id, Kind::Order, 0, Outcome::Deferred { not_before: t(3) })
        .await;
    let again = w.retries(t(4)).await;
    assert_eq!(again.len(), 1);
    db.hold(id).await;
    assert!(w.start(&again).await.is_empty());
    db.resume(id).await;
    let again = other.retries(t(5)).await;
    assert_eq!(again.len(), 1, "it is still the first one's");
    assert_eq!(other.start(&again).await, again);
}

async fn inv_18_another_worker_writes_nothing(db: &Db) {
    let id = db.publish(1, &[0]).await;
    let (w, thief) = (db.worker("w").await, db.worker("thief").await);
    let claim = w.claim_one(id, Kind::Order, 0).await;
    assert!(thief.start(&[claim]).await.is_empty());
    w.start(&[claim]).await;
    thief.settle(claim, Outcome::Rejected).await;
    assert_eq!(db.state(id, 0).await, ReceiptState::InFlight);
}

async fn inv_18_workers_at_once_share_out_what_there_is(db: &Db) {
    let people: Vec<u32> = (0..90).collect();
    let id = db.publish(1, &people).await;
    let other = db.again().await;
    let (one, two) = (db.worker("one").await, db.worker("two").await);
    let two = Worker {
        store: &other,
        ..two
    };
    let sends = |w| {
        let people = people.clone();
        async move {
            let w: Worker<'_> = w;
            let mut started = Vec::new();
            for chunk in people.chunks(7) {
                let claims = w.claim(id, Kind::Order, chunk).await.claimed;
                started.extend(w.start(&claims).await.iter().map(|c| c.key.person.0));
            }
            started
        }
    };
    let (mut all, theirs) = tokio::join!(sends(one), sends(two));
    all.extend(theirs);
    all.sort_unstable();
    assert_eq!(all, people);
}

async fn inv_17_unknown_is_not_sent_again_and_leaves_the_person_untold(db: &Db) {
    let id = db.publish(1, &[0]).await;
    let w = db.worker("w").await;
    w.send(id, Kind::Order, 0, Outcome::Unknown { not_before: t(3) })
        .await;
    assert_eq!(db.state(id, 0).await, ReceiptState::Unknown);
    assert_eq!(db.told(id, 0).await, None);
    assert!(w.retries(t(1_000)).await.is_empty());
    assert!(w.claim(id, Kind::Order, &[0]).await.claimed.is_empty());
    assert_eq!(db.unsettled(&[]).await.unwrap(), 0);
    // A later kind that is accepted tells.
    w.send(id, Kind::Reminder(1), 0, Outcome::Accepted).await;
    assert_eq!(db.told(id, 0).await, Some(t(2)));
}

async fn told_is_the_first_acceptance_of_any_kind(db: &Db) {
    let id = db.publish(1, &[0, 1]).await;
    let w = db.worker("w").await;
    let version = db.version().await.unwrap();
    let claim = w.fly(id, Kind::Order, 0).await;
    w.settle_at(claim, Outcome::Accepted, t(50)).await;
    let followed = db.follow(version).await.unwrap().unwrap();
    assert_eq!(followed.facts.len(), 1, "{followed:?}");
    let claim = w.fly(id, Kind::Reminder(1), 0).await;
    w.settle_at(claim, Outcome::Accepted, t(90)).await;
    w.send(id, Kind::Order, 1, Outcome::Rejected).await;
    assert_eq!(db.told(id, 0).await, Some(t(50)));
    assert_eq!(db.told(id, 1).await, None);
    // A correction tells nobody of the order.
    db.retract(id).await;
    db.put(countermand_core::change::Change::Refusals(vec![refusal(
        1,
        Some(1),
        &[id],
        t(0),
    )]))
    .await;
    w.send(id, Kind::Correction, 1, Outcome::Accepted).await;
    assert_eq!(db.told(id, 1).await, None);
}

async fn a_draft_and_an_unknown_order_send_nothing(db: &Db) {
    db.put(order_change(
        draft(1),
        None,
        countermand_core::change::Step::Draft,
    ))
    .await;
    let w = db.worker("w").await;
    for order in [order_id(1), order_id(404)] {
        for kind in [Kind::Order, Kind::Correction] {
            let turned = w.claim(order, kind, &[0]).await;
            assert!(turned.claimed.is_empty() && turned.taken.is_empty());
        }
    }
    let standing = db.publish(2, &[0]).await;
    assert!(
        w.claim(standing, Kind::Correction, &[0])
            .await
            .claimed
            .is_empty()
    );
}

async fn inv_36_a_hold_gives_claims_back(db: &Db) {
    let id = db.publish(1, &[0, 1]).await;
    let w = db.worker("w").await;
    let new = w.claim_one(id, Kind::Order, 0).await;
    w.send(id, Kind::Order, 1, Outcome::Deferred { not_before: t(3) })
        .await;
    let retry = w.retries(t(4)).await[0];
    db.hold(id).await;
    assert!(w.start(&[new, retry]).await.is_empty());
    assert!(db.states(id, 0).await.is_empty(), "planned again");
    assert_eq!(db.state(id, 1).await, ReceiptState::Claimed);
    assert!(w.claim(id, Kind::Order, &[0]).await.claimed.is_empty());
    assert!(w.retries(t(100)).await.is_empty());
    db.resume(id).await;
    assert_eq!(w.retries(t(100)).await.len(), 1);
    w.fly(id, Kind::Order, 0).await;
    // What is in flight when the hold comes may finish.
    db.hold(id).await;
    let flying = w.turn(Turn::default(), t(5)).await;
    assert!(flying.started.is_empty());
    assert_eq!(db.state(id, 0).await, ReceiptState::InFlight);
}

async fn a_deferred_one_is_claimed_again_when_it_is_due(db: &Db) {
    let id = db.publish(1, &[0]).await;
    let w = db.worker("w").await;
    let first = w
        .send(id, Kind::Order, 0, Outcome::Deferred { not_before: t(30) })
        .await;
    assert_eq!(db.told(id, 0).await, None);
    assert!(w.retries(t(29)).await.is_empty());
    let second = w.retries(t(30)).await;
    assert_eq!(second.len(), 1);
    assert_eq!((second[0].key, second[0].attempt), (first.key, 1));
    assert!(second[0].fence > first.fence);
    assert!(w.retries(t(31)).await.is_empty(), "it is held now");
    assert!(w.start(&[first]).await.is_empty());
    assert_eq!(w.start(&second).await, second);
    w.settle(second[0], Outcome::Deferred { not_before: t(40) })
        .await;
    let third = db.worker("other").await.retries(t(40)).await;
    assert_eq!(third[0].attempt, 2);
}

async fn due_retries_go_ahead_of_new_claims_and_the_limit_is_for_both(db: &Db) {
    let id = db.publish(1, &[0, 1, 2, 3]).await;
    let w = db.worker("w").await;
    for person in [0, 1] {
        w.send(
            id,
            Kind::Order,
            person,
            Outcome::Deferred {
                not_before: t(20 - i64::from(person)),
            },
        )
        .await;
    }
    let claim = vec![wanted(id, Kind::Order, &[2, 3])];
    let turned = w
        .turn(
            Turn {
                claim: claim.clone(),
                limit: 3,
                ..Turn::default()
            },
            t(60),
        )
        .await;
    let people: Vec<u32> = turned.claimed.iter().map(|c| c.key.person.0).collect();
    assert_eq!(
        people,
        [1, 0, 2],
        "a retry is due; the longest waiting first"
    );
    let turned = w
        .turn(
            Turn {
                claim,
                limit: 0,
                ..Turn::default()
            },
            t(60),
        )
        .await;
    assert!(turned.claimed.is_empty());
}

async fn inv_28_corrections_go_ahead_of_all_else(db: &Db) {
    let (gone, standing) = (db.publish(1, &[0, 1]).await, db.publish(2, &[0, 1]).await);
    let w = db.worker("w").await;
    for person in [0, 1] {
        w.send(gone, Kind::Order, person, Outcome::Accepted).await;
    }
    w.send(
        standing,
        Kind::Order,
        1,
        Outcome::Deferred { not_before: t(3) },
    )
    .await;
    db.retract(gone).await;
    w.send(
        gone,
        Kind::Correction,
        0,
        Outcome::Deferred { not_before: t(50) },
    )
    .await;
    let claim = vec![
        wanted(standing, Kind::Order, &[0]),
        wanted(gone, Kind::Correction, &[1]),
    ];
    let turned = w
        .turn(
            Turn {
                claim,
                limit: 10,
                ..Turn::default()
            },
            t(60),
        )
        .await;
    let order: Vec<_> = turned
        .claimed
        .iter()
        .map(|c| (c.key.kind, c.key.person.0))
        .collect();
    assert_eq!(
        order,
        [
            (Kind::Correction, 0),
            (Kind::Correction, 1),
            (Kind::Order, 1),
            (Kind::Order, 0)
        ]
    );
}

async fn one_turn_settles_starts_and_claims(db: &Db) {
    let id = db.publish(1, &[0, 1, 2]).await;
    let w = db.worker("w").await;
    let (flown, ready) = (
        w.fly(id, Kind::Order, 0).await,
        w.claim_one(id, Kind::Order, 1).await,
    );
    let before = db.version().await.unwrap();
    let turn = Turn {
        settle: vec![countermand::store::Settled {
            claim: flown,
            outcome: Outcome::Accepted,
            detail: "250 ok".to_owned(),
        }],
        start: vec![ready],
        claim: vec![wanted(id, Kind::Order, &[0, 1, 2])],
        limit: 5,
        ..Turn::default()
    };
    let turned = w.turn(turn, t(3)).await;
    assert_eq!(db.version().await.unwrap(), before + 1);
    assert_eq!(turned.started, [ready]);
    assert_eq!(turned.claimed.len(), 1);
    assert_eq!(
        (turned.claimed[0].key, turned.claimed[0].fence),
        (key(id, Kind::Order, 2), before + 1)
    );
    assert_eq!(
        turned.taken,
        [key(id, Kind::Order, 0), key(id, Kind::Order, 1)]
    );
    let (n, _) = db.receipt_counts(id).await.unwrap();
    assert_eq!(
        (n.accepted, n.in_flight, n.claimed, n.planned),
        (1, 1, 1, 0)
    );
}

async fn inv_20_unsettled_counts_what_a_sender_has_to_do(db: &Db) {
    let id = db.publish(1, &[0, 1, 2]).await;
    let w = db.worker("w").await;
    assert_eq!(db.unsettled(&[]).await.unwrap(), 0);
    let held = w.claim_one(id, Kind::Order, 0).await;
    let flying = w.fly(id, Kind::Order, 1).await;
    w.send(id, Kind::Order, 2, Outcome::Deferred { not_before: t(500) })
        .await;
    assert_eq!(db.unsettled(&[]).await.unwrap(), 3);
    // A held order's retries wait for its resume, not for the sender.
    db.hold(id).await;
    assert_eq!(db.unsettled(&[]).await.unwrap(), 2);
    w.start(&[held]).await;
    assert_eq!(db.unsettled(&[]).await.unwrap(), 1);
    w.settle(flying, Outcome::Accepted).await;
    assert_eq!(db.unsettled(&[]).await.unwrap(), 0);
    db.resume(id).await;
    assert_eq!(db.unsettled(&[]).await.unwrap(), 1);
    db.retract(id).await;
    assert_eq!(db.unsettled(&[]).await.unwrap(), 0);
}

async fn words_of_a_relay_are_kept_whatever_they_hold(db: &Db) {
    let id = db.publish(1, &[0, 1]).await;
    let w = db.worker("w").await;
    let claims = [
        w.fly(id, Kind::Order, 0).await,
        w.fly(id, Kind::Order, 1).await,
    ];
    let details = ["250 naïve\0 'ok'; --", "250 2.0.0 queued as 7"];
    let settle = claims
        .iter()
        .zip(details)
        .map(|(claim, detail)| countermand::store::Settled {
            claim: *claim,
            outcome: Outcome::Accepted,
            detail: detail.to_owned(),
        });
    w.turn(
        Turn {
            settle: settle.collect(),
            ..Turn::default()
        },
        t(2),
    )
    .await;
    for said in ["250 naïve 'ok'; --", "250 2.0.0 queued as 7"] {
        let n: i64 = sqlx::query_scalar(
            "SELECT CAST(COUNT(*) AS BIGINT) FROM receipt WHERE detail = $1 AND state = 'accepted'",
        )
        .bind(said)
        .fetch_one(&mut db.connection().await)
        .await
        .unwrap();
        assert_eq!(n, 1, "{said}");
    }
}

async fn a_large_turn_is_taken_whole(db: &Db) {
    let people: Vec<u32> = (0..1_300).collect();
    let id = db.publish(1, &people).await;
    let w = db.worker("w").await;
    let claim = vec![wanted(id, Kind::Order, &people)];
    let claimed = w
        .turn(
            Turn {
                claim,
                limit: 1_200,
                ..Turn::default()
            },
            t(0),
        )
        .await
        .claimed;
    assert_eq!(claimed.len(), 1_200);
    let started = w.start(&claimed).await;
    assert_eq!(started, claimed);
    let outcome = |n: usize| match n % 4 {
        0 => Outcome::Accepted,
        1 => Outcome::Rejected,
        2 => Outcome::Unknown { not_before: t(5) },
        _ => Outcome::Deferred { not_before: t(5) },
    };
    let settle = started
        .iter()
        .enumerate()
        .map(|(n, claim)| countermand::store::Settled {
            claim: *claim,
            outcome: outcome(n),
            detail: format!("reply {n}"),
        });
    w.turn(
        Turn {
            settle: settle.collect(),
            ..Turn::default()
        },
        t(2),
    )
    .await;
    let (n, _) = db.receipt_counts(id).await.unwrap();
    assert_eq!(
        (n.accepted, n.rejected, n.unknown, n.claimed),
        (300, 300, 300, 300)
    );
    let retries = w
        .turn(
            Turn {
                limit: 1_000,
                ..Turn::default()
            },
            t(5),
        )
        .await
        .claimed;
    assert_eq!(retries.len(), 300);
    assert_eq!(w.start(&retries).await.len(), 300);
}
