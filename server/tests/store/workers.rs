//! Workers that die, end in peace, or come back too late.

use countermand::store::Outcome;
use countermand_core::notice::{Kind, ReceiptState};

use crate::fixture::*;

on_both!(
    inv_17_a_dead_workers_flight_is_unknown,
    inv_19_what_a_dead_worker_only_claimed_is_anyones,
    a_living_worker_is_left_alone,
    retiring_needs_no_lease_to_run_out,
    a_dead_workers_correction_waits_to_be_sent_again,
    inv_19_a_worker_that_comes_back_from_the_dead_strands_nothing,
);

async fn inv_17_a_dead_workers_flight_is_unknown(db: &Db) {
    let id = db.publish(1, &[0]).await;
    let w = db.worker("w").await;
    let flying = w.fly(id, Kind::Order, 0).await;
    let version = db.version().await.unwrap();
    assert_eq!(db.bury_workers(t(61)).await.unwrap(), 1);
    assert_eq!(db.bury_workers(t(62)).await.unwrap(), 0);
    assert_eq!(db.state(id, 0).await, ReceiptState::Unknown);
    w.settle(flying, Outcome::Accepted).await;
    assert_eq!(db.state(id, 0).await, ReceiptState::Unknown);
    assert_eq!(db.told(id, 0).await, None);
    let touched = db.follow(version).await.unwrap().unwrap().touched;
    assert!(touched.contains(&countermand::store::Touched::Receipts(id)));
    // A retraction corrects.
    db.retract(id).await;
    assert_eq!(db.to_correct(id).await, [0]);
}

async fn inv_19_what_a_dead_worker_only_claimed_is_anyones(db: &Db) {
    let id = db.publish(1, &[0, 1]).await;
    let w = db.worker("w").await;
    let new = w.claim_one(id, Kind::Order, 0).await;
    w.send(id, Kind::Order, 1, Outcome::Deferred { not_before: t(3) })
        .await;
    let retry = w.retries(t(4)).await[0];
    assert_eq!(db.bury_workers(t(61)).await.unwrap(), 0);
    assert!(db.states(id, 0).await.is_empty(), "planned again");
    let other = db.worker("other").await;
    other.fly(id, Kind::Order, 0).await;
    let taken = other.retries(t(61)).await;
    assert_eq!((taken[0].key, taken[0].attempt), (retry.key, 1));
    assert!(w.start(&[new, retry]).await.is_empty());
}

async fn a_living_worker_is_left_alone(db: &Db) {
    let id = db.publish(1, &[0, 1]).await;
    let w = db.worker("w").await;
    let (claim, flying) = (
        w.claim_one(id, Kind::Order, 0).await,
        w.fly(id, Kind::Order, 1).await,
    );
    db.renew_worker("w", t(120)).await.unwrap();
    db.renew_worker("dead", t(1)).await.unwrap();
    assert_eq!(db.bury_workers(t(61)).await.unwrap(), 0);
    assert_eq!(w.start(&[claim]).await, [claim]);
    w.settle(flying, Outcome::Accepted).await;
    assert_eq!(db.state(id, 1).await, ReceiptState::Accepted);
}

async fn retiring_needs_no_lease_to_run_out(db: &Db) {
    let id = db.publish(1, &[0, 1]).await;
    let (w, other) = (db.worker("w").await, db.worker("other").await);
    w.claim_one(id, Kind::Order, 0).await;
    w.fly(id, Kind::Order, 1).await;
    db.retire_worker("w", t(3)).await.unwrap();
    assert_eq!(other.claim(id, Kind::Order, &[0, 1]).await.claimed.len(), 1);
    assert_eq!(db.state(id, 1).await, ReceiptState::Unknown);
    db.retire_worker("w", t(4)).await.unwrap();
}

async fn a_dead_workers_correction_waits_to_be_sent_again(db: &Db) {
    let id = db.publish(1, &[0, 1]).await;
    let w = db.worker("w").await;
    for person in [0, 1] {
        w.send(id, Kind::Order, person, Outcome::Accepted).await;
    }
    db.retract(id).await;
    w.fly(id, Kind::Correction, 0).await;
    w.claim_one(id, Kind::Correction, 1).await;
    assert_eq!(
        db.bury_workers(t(61)).await.unwrap(),
        0,
        "no unknown: it is sent again"
    );
    let other = db.worker("other").await;
    let again = other.retries(t(61)).await;
    assert_eq!(again.len(), 1);
    assert_eq!(
        (again[0].key, again[0].attempt),
        (key(id, Kind::Correction, 0), 1)
    );
    assert_eq!(
        other
            .claim(id, Kind::Correction, &[0, 1])
            .await
            .claimed
            .len(),
        1
    );
}

/// Paused past its lease, buried, then awake again: what it claims then must not be lost with it.
async fn inv_19_a_worker_that_comes_back_from_the_dead_strands_nothing(db: &Db) {
    let id = db.publish(1, &[0, 1]).await;
    let w = db.worker("w").await;
    db.bury_workers(t(61)).await.unwrap();
    w.claim(id, Kind::Order, &[0]).await;
    let claimed = w.claim(id, Kind::Order, &[1]).await.claimed;
    w.start(&claimed).await;
    // It dies for good without having renewed its lease.
    db.bury_workers(t(200)).await.unwrap();
    let other = db.worker("other").await;
    assert_eq!(other.claim(id, Kind::Order, &[0]).await.claimed.len(), 1);
    assert_ne!(
        db.states(id, 1).await.first().map(|s| s.1),
        Some(ReceiptState::InFlight)
    );
    db.retire_worker("other", t(201)).await.unwrap();
    assert_eq!(db.unsettled(&[]).await.unwrap(), 0);
}
