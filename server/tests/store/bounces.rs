//! Bounces and purges: what they take back, what they leave, and that twice is once.

use countermand::store::{Outcome, Store};
use countermand_core::change::{Bounce, Change, Purge};
use countermand_core::id::{OrderId, PersonId};
use countermand_core::notice::{Kind, ReceiptState};

use crate::fixture::*;

on_both!(
    inv_35_a_bounce_takes_told_back_once_and_the_index_follows,
    inv_35_whoever_got_another_kind_of_notice_stays_told_of_that,
    inv_23_a_bounced_notice_earns_its_correction,
    inv_28_a_bounced_correction_is_listed_for_another_channel,
    a_bounce_may_be_here_before_the_relays_answer,
    what_can_not_have_left_can_not_come_back,
    inv_33_one_entry_for_what_is_news_and_none_for_what_is_not,
    inv_15_who_bounced_gets_no_second_notice,
    each_queued_mail_is_asked_for_once,
    inv_35_a_bounce_goes_with_the_attempt_that_certainly_failed,
    inv_28_a_correction_that_is_tried_again_has_not_come_back_yet,
    inv_18_a_stale_worker_takes_no_bounce_along,
    inv_28_a_late_bounce_is_of_its_own_attempt,
);

fn bounce(order: OrderId, kind: Kind, person: u32) -> Bounce {
    Bounce {
        key: key(order, kind, person),
        attempt: None,
        words: "550 5.1.1 no such\0 mailbox".to_owned(),
    }
}

impl Db {
    async fn bounces(&self, all: &[Bounce]) -> i64 {
        self.put_at(t(50), Change::Bounces(all.to_vec())).await
    }

    async fn listed(&self, order: OrderId) -> Vec<(u32, Kind, &'static str, String)> {
        let (total, all) = self.store.unreached(order, 0, 100).await.unwrap();
        assert_eq!(total, all.len() as u64);
        let mut all: Vec<_> = all
            .into_iter()
            .map(|one| (one.person.0, one.kind, one.word(), one.detail))
            .collect();
        all.sort();
        all
    }
}

async fn inv_35_a_bounce_takes_told_back_once_and_the_index_follows(db: &Db) {
    let id = db.publish(1, &[0, 1]).await;
    let w = db.worker("w").await;
    for person in [0, 1] {
        w.send(id, Kind::Order, person, Outcome::Accepted).await;
    }
    let mut index = db.index().await;
    let before = db.version().await.unwrap();
    db.bounces(&[bounce(id, Kind::Order, 0)]).await;
    assert_eq!(
        (db.told(id, 0).await, db.told(id, 1).await),
        (None, Some(t(2)))
    );
    for fact in db.follow(before).await.unwrap().unwrap().facts {
        index.apply(fact);
    }
    assert_eq!(index.told(id, PersonId(0)), None);
    // Neither a late outcome nor a second bounce gives it back or dates it anew.
    let listed = db.listed(id).await;
    let words = "550 5.1.1 no such mailbox".to_owned();
    assert_eq!(listed, [(0, Kind::Order, "bounced", words)]);
    let other = Bounce {
        words: "other words".to_owned(),
        ..bounce(id, Kind::Order, 0)
    };
    db.bounces(&[other]).await;
    assert_eq!(db.listed(id).await, listed);
    assert_eq!(db.state(id, 0).await, ReceiptState::Accepted);
    let (counts, _) = db.receipt_counts(id).await.unwrap();
    assert_eq!((counts.accepted, counts.bounced), (2, 1));
    assert!(counts.is_finished());
}

async fn inv_35_whoever_got_another_kind_of_notice_stays_told_of_that(db: &Db) {
    let id = db.publish(1, &[0]).await;
    let w = db.worker("w").await;
    w.send(id, Kind::Order, 0, Outcome::Accepted).await;
    let reminder = w.fly(id, Kind::Reminder(1), 0).await;
    w.settle_at(reminder, Outcome::Accepted, t(20)).await;
    db.bounces(&[bounce(id, Kind::Order, 0)]).await;
    assert_eq!(db.told(id, 0).await, Some(t(20)));
    db.bounces(&[bounce(id, Kind::Reminder(1), 0)]).await;
    assert_eq!(db.told(id, 0).await, None);
}

async fn inv_23_a_bounced_notice_earns_its_correction(db: &Db) {
    let id = db.publish(1, &[0, 1]).await;
    let w = db.worker("w").await;
    for person in [0, 1] {
        w.send(id, Kind::Order, person, Outcome::Accepted).await;
    }
    db.bounces(&[bounce(id, Kind::Order, 0)]).await;
    let would: Vec<u32> = db.would_correct(id).await.unwrap().iter().collect();
    db.retract(id).await;
    db.bounces(&[bounce(id, Kind::Order, 1)]).await;
    assert_eq!(db.to_correct(id).await, [0, 1]);
    assert_eq!(would, [0, 1]);
    let answer = db.answer(id).await;
    assert_eq!((answer.accepted, answer.corrections_planned), (2, 2));
    assert_eq!(
        w.claim(id, Kind::Correction, &[0, 1]).await.claimed.len(),
        2
    );
}

async fn inv_28_a_bounced_correction_is_listed_for_another_channel(db: &Db) {
    let id = db.publish(1, &[0]).await;
    let w = db.worker("w").await;
    w.send(id, Kind::Order, 0, Outcome::Accepted).await;
    db.retract(id).await;
    w.send(id, Kind::Correction, 0, Outcome::Accepted).await;
    db.bounces(&[bounce(id, Kind::Correction, 0)]).await;
    let listed = db.listed(id).await;
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].1, listed[0].2), (Kind::Correction, "bounced"));
    assert_eq!(
        db.told(id, 0).await,
        Some(t(2)),
        "they were told of the order"
    );
    let (notices, corrections) = db.receipt_counts(id).await.unwrap();
    assert_eq!((notices.bounced, corrections.bounced), (0, 1));
    assert_eq!(db.to_correct(id).await, [0]);
}

async fn a_bounce_may_be_here_before_the_relays_answer(db: &Db) {
    let id = db.publish(1, &[0, 1]).await;
    let w = db.worker("w").await;
    let flying = [
        w.fly(id, Kind::Order, 0).await,
        w.fly(id, Kind::Order, 1).await,
    ];
    db.bounces(&[bounce(id, Kind::Order, 0), bounce(id, Kind::Order, 1)])
        .await;
    w.settle(flying[0], Outcome::Accepted).await;
    w.settle(flying[1], Outcome::Unknown { not_before: t(9) })
        .await;
    assert_eq!((db.told(id, 0).await, db.told(id, 1).await), (None, None));
    let listed = db.listed(id).await;
    assert!(
        listed
            .iter()
            .all(|one| one.2 == "bounced" && one.3.contains("5.1.1")),
        "{listed:?}"
    );
    assert_eq!(listed.len(), 2);
    db.retract(id).await;
    assert_eq!(db.to_correct(id).await, [0, 1]);
}

async fn inv_35_a_bounce_goes_with_the_attempt_that_certainly_failed(db: &Db) {
    let id = db.publish(1, &[0]).await;
    let w = db.worker("w").await;
    let flying = w.fly(id, Kind::Order, 0).await;
    db.bounces(&[bounce(id, Kind::Order, 0)]).await;
    assert_eq!(db.listed(id).await.len(), 1);
    assert_eq!(db.rejections(id).await.unwrap(), 1);
    w.settle(flying, Outcome::Deferred { not_before: t(3) })
        .await;
    assert!(db.listed(id).await.is_empty());
    assert_eq!(db.rejections(id).await.unwrap(), 0);
    let again = w.start(&w.retries(t(4)).await).await;
    w.settle(again[0], Outcome::Accepted).await;
    assert_eq!(db.told(id, 0).await, Some(t(2)));
    // That of the attempt that arrived stays.
    db.bounces(&[bounce(id, Kind::Order, 0)]).await;
    assert_eq!(db.told(id, 0).await, None);
    assert_eq!(db.listed(id).await.len(), 1);
}

async fn inv_18_a_stale_worker_takes_no_bounce_along(db: &Db) {
    let id = db.publish(1, &[0]).await;
    let w = db.worker("w").await;
    let flying = w.fly(id, Kind::Order, 0).await;
    db.bounces(&[bounce(id, Kind::Order, 0)]).await;
    assert_eq!(db.bury_workers(t(100_000)).await.unwrap(), 1);
    w.settle(flying, Outcome::Deferred { not_before: t(3) })
        .await;
    assert_eq!(db.state(id, 0).await, ReceiptState::Unknown);
    let listed = db.listed(id).await;
    assert_eq!((listed.len(), listed[0].2), (1, "bounced"));
}

/// A retracted order whose corrections to two people may have arrived, so that there is another attempt.
async fn corrections_perhaps_arrived(db: &Db, w: Worker<'_>) -> OrderId {
    let id = db.publish(1, &[0, 1]).await;
    for person in [0, 1] {
        w.send(id, Kind::Order, person, Outcome::Accepted).await;
    }
    db.retract(id).await;
    for person in [0, 1] {
        let lost = Outcome::Unknown { not_before: t(3) };
        w.send(id, Kind::Correction, person, lost).await;
    }
    id
}

async fn inv_28_a_correction_that_is_tried_again_has_not_come_back_yet(db: &Db) {
    let w = db.worker("w").await;
    let id = corrections_perhaps_arrived(db, w).await;
    // Both may have arrived, and came back: there is no other attempt yet.
    db.bounces(&[0, 1].map(|p| bounce(id, Kind::Correction, p)))
        .await;
    assert_eq!(db.listed(id).await.len(), 2);
    let again = w.start(&w.retries(t(4)).await).await;
    assert_eq!(again.len(), 2);
    for claim in again {
        w.settle(claim, Outcome::Accepted).await;
    }
    assert!(db.listed(id).await.is_empty());
    db.bounces(&[bounce(id, Kind::Correction, 1)]).await;
    let listed = db.listed(id).await;
    assert_eq!((listed.len(), listed[0].0), (1, 1));
}

async fn inv_28_a_late_bounce_is_of_its_own_attempt(db: &Db) {
    let w = db.worker("w").await;
    let id = corrections_perhaps_arrived(db, w).await;
    let of_attempt = |person, attempt| Bounce {
        attempt: Some(attempt),
        ..bounce(id, Kind::Correction, person)
    };
    // Before there is another attempt, and after.
    db.bounces(&[of_attempt(0, 0), of_attempt(1, 1)]).await;
    let listed = db.listed(id).await;
    assert_eq!((listed.len(), listed[0].0), (1, 0));
    for claim in w.start(&w.retries(t(4)).await).await {
        assert_eq!(claim.attempt, 1);
        db.bounces(&[of_attempt(claim.key.person.0, 0)]).await;
        w.settle(claim, Outcome::Accepted).await;
    }
    db.bounces(&[of_attempt(0, 0), of_attempt(1, 0), of_attempt(1, 2)])
        .await;
    assert!(db.listed(id).await.is_empty(), "the second has arrived");
    db.bounces(&[of_attempt(1, 1)]).await;
    let listed = db.listed(id).await;
    assert_eq!((listed.len(), listed[0].0), (1, 1));
}

async fn what_can_not_have_left_can_not_come_back(db: &Db) {
    let id = db.publish(1, &[0, 1, 2, 3]).await;
    let w = db.worker("w").await;
    w.claim_one(id, Kind::Order, 0).await;
    w.send(id, Kind::Order, 1, Outcome::Rejected).await;
    w.send(id, Kind::Order, 2, Outcome::Deferred { not_before: t(9) })
        .await;
    let never = order_id(77);
    let all: Vec<Bounce> = (0..4).map(|p| bounce(id, Kind::Order, p)).collect();
    let version = db.version().await.unwrap();
    db.bounces(&all).await;
    db.bounces(&[bounce(never, Kind::Order, 1), bounce(id, Kind::Blocked, 1)])
        .await;
    let listed = db.listed(id).await;
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].0, listed[0].2), (1, "rejected"));
    let followed = db.follow(version).await.unwrap().unwrap();
    assert!(followed.touched.is_empty(), "{followed:?}");
}

async fn inv_33_one_entry_for_what_is_news_and_none_for_what_is_not(db: &Db) {
    let id = db.publish(1, &[0, 1, 2]).await;
    let w = db.worker("w").await;
    for person in 0..3 {
        w.send(id, Kind::Order, person, Outcome::Accepted).await;
    }
    let entries = async || {
        let all = db.audit_newest(None, 100).await.unwrap();
        let bounces = all.into_iter().filter(|e| e.action == "notices.bounce");
        bounces.collect::<Vec<_>>()
    };
    db.bounces(&[bounce(id, Kind::Order, 0), bounce(id, Kind::Order, 1)])
        .await;
    assert_eq!(entries().await.len(), 1);
    db.bounces(&[bounce(id, Kind::Order, 1), bounce(id, Kind::Order, 0)])
        .await;
    assert_eq!(entries().await.len(), 1);
    db.bounces(&[bounce(id, Kind::Order, 1), bounce(id, Kind::Order, 2)])
        .await;
    let all = entries().await;
    assert_eq!(all.len(), 2);
    let details: serde_json::Value = serde_json::from_str(&all[0].details).unwrap();
    let receipts = details["receipts"].as_array().unwrap();
    assert_eq!(
        (receipts.len(), receipts[0]["person"].as_u64()),
        (1, Some(2))
    );
    assert_eq!(all[0].order, Some(id));
    assert!(db.audit_verify().await.unwrap().ok);
}

async fn inv_15_who_bounced_gets_no_second_notice(db: &Db) {
    let id = db.publish(1, &[0]).await;
    let w = db.worker("w").await;
    w.send(id, Kind::Order, 0, Outcome::Accepted).await;
    db.bounces(&[bounce(id, Kind::Order, 0)]).await;
    let again = w.claim(id, Kind::Order, &[0]).await;
    assert!(again.claimed.is_empty());
    assert!(w.retries(t(10_000)).await.is_empty());
    assert_eq!(db.unsettled(&[]).await.unwrap(), 0);
}

async fn each_queued_mail_is_asked_for_once(db: &Db) {
    let id = db.publish(1, &(0..6).collect::<Vec<u32>>()).await;
    let w = db.worker("w").await;
    w.send(id, Kind::Order, 0, Outcome::Accepted).await;
    w.send(id, Kind::Order, 1, Outcome::Rejected).await;
    w.send(id, Kind::Order, 2, Outcome::Unknown { not_before: t(9) })
        .await;
    w.send(id, Kind::Order, 3, Outcome::Accepted).await;
    db.bounces(&[bounce(id, Kind::Order, 3)]).await;
    let late = w.fly(id, Kind::Order, 4).await;
    db.retract(id).await;
    w.send(id, Kind::Correction, 0, Outcome::Accepted).await;
    let store: &Store = db;
    let first = store.purgeable(id, t(-100)).await.unwrap();
    assert_eq!((first.answers.len(), first.is_all), (1, false));
    assert_eq!(
        store.purgeable(id, t(3)).await.unwrap().answers.len(),
        0,
        "too old"
    );
    let purge = |through| {
        Change::Purge(Purge {
            order: id,
            asked: 1,
            through,
            status: Some(0),
            words: "done".to_owned(),
        })
    };
    db.put(purge(first.through)).await;
    assert!(
        store
            .purgeable(id, t(-100))
            .await
            .unwrap()
            .answers
            .is_empty()
    );
    w.settle(late, Outcome::Accepted).await;
    let second = store.purgeable(id, t(-100)).await.unwrap();
    assert_eq!((second.answers.len(), second.is_all), (1, true));
    db.put(purge(second.through)).await;
    let none = store.purgeable(id, t(-100)).await.unwrap();
    assert_eq!((none.answers.len(), none.is_all), (0, true));
    let life = db.life_of(id).await.unwrap();
    assert_eq!(life.iter().filter(|e| e.action == "order.purge").count(), 2);
}
