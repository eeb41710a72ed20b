//! Orders, exemptions, attestations and settings: saved, read, and never saved over another's.

use countermand::store::StoreError;
use countermand_core::change::{Change, Step};
use countermand_core::exemption::{Attestation, Exempted, Exemption};
use countermand_core::id::{ExemptionId, PersonId};
use countermand_core::index::{DoorsOpen, Fact, Mode, Settings};
use countermand_core::notice::{Kind, ReceiptState};
use uuid::Uuid;

use crate::fixture::*;

on_both!(
    an_order_comes_back_as_it_was,
    whoever_is_slower_is_told,
    inv_30_an_unknown_or_ambiguous_id_changes_nothing,
    inv_22_a_retraction_cancels_what_is_claimed_in_its_own_commit,
    a_hold_cancels_nothing,
    settings_are_absent_until_set,
    exemptions_and_attestations_are_replaced_by_newer_ones,
);

async fn an_order_comes_back_as_it_was(db: &Db) {
    assert!(db.orders().await.unwrap().is_empty());
    let order = published(1, &[0, 7, 70_000]);
    let version = db
        .put(order_change(order.clone(), None, Step::Publish))
        .await;
    let stored = db.orders().await.unwrap().remove(0);
    assert_eq!((stored.order, stored.changed), (order.clone(), version));
    db.retract(order.id).await;
    let stored = db.stored(order.id).await;
    assert_eq!(
        (stored.order, stored.changed),
        (retracted(order), version + 1)
    );
}

async fn whoever_is_slower_is_told(db: &Db) {
    let id = db.publish(1, &[0]).await;
    let was = db.stored(id).await;
    db.hold(id).await;
    let late = order_change(retracted(was.order), Some(was.changed), Step::Retract);
    let error = db.commit(&by_somebody(late, t(0))).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict), "{error:?}");
    assert!(db.stored(id).await.order.is_held());
    // Of two at once exactly one gets through.
    let (now, other) = (db.stored(id).await, db.again().await);
    let commit = by_somebody(
        order_change(
            now.order.clone().resume(t(0)).unwrap(),
            Some(now.changed),
            Step::Resume,
        ),
        t(0),
    );
    let (a, b) = tokio::join!(db.commit(&commit), other.commit(&commit));
    assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
}

async fn inv_30_an_unknown_or_ambiguous_id_changes_nothing(db: &Db) {
    // The short form is made of the last twenty bits.
    let (one, two) = (
        db.publish(0x1_0000_0005, &[0]).await,
        db.publish(0x2_0000_0005, &[0]).await,
    );
    let alone = db.publish(0xF_FFFF, &[0]).await;
    let named = |text: &'static str| db.order_called(text);
    assert_eq!(named("zzzz").await.unwrap().order.id, alone);
    assert_eq!(named(" ZZZZ ").await.unwrap().order.id, alone);
    for whole in [one, two] {
        let text = whole.to_string().to_uppercase();
        assert_eq!(db.order_called(&text).await.unwrap().order.id, whole);
    }
    for (wrong, says) in [
        ("0005", "more than one"),
        ("ZZZ", "there is no order «ZZZ»"),
        ("", "there is no order"),
        ("00000000-0000-0000-0000-00000000dead", "there is no order"),
        ("'; DROP TABLE orders; --", "there is no order"),
    ] {
        let error = named(wrong).await.unwrap_err();
        assert!(
            matches!(&error, StoreError::NotFound(t) if t.contains(says)),
            "{wrong}: {error:?}"
        );
    }
}

async fn inv_22_a_retraction_cancels_what_is_claimed_in_its_own_commit(db: &Db) {
    let (id, other) = (db.publish(1, &[0, 1, 2]).await, db.publish(2, &[0]).await);
    let w = db.worker("w").await;
    let (claimed, _kept) = (
        w.claim_one(id, Kind::Order, 0).await,
        w.claim_one(other, Kind::Order, 0).await,
    );
    let waiting = w.fly(id, Kind::Order, 1).await;
    w.settle(
        waiting,
        countermand::store::Outcome::Deferred { not_before: t(9) },
    )
    .await;
    let flying = w.fly(id, Kind::Order, 2).await;
    db.retract(id).await;
    assert_eq!(db.state(id, 0).await, ReceiptState::Cancelled);
    assert_eq!(db.state(id, 1).await, ReceiptState::Cancelled);
    assert_eq!(db.state(id, 2).await, ReceiptState::InFlight);
    assert_eq!(db.state(other, 0).await, ReceiptState::Claimed);
    assert!(w.start(&[claimed, flying]).await.is_empty());
    assert!(w.retries(t(100)).await.is_empty());
    let (notices, corrections) = db.receipt_counts(id).await.unwrap();
    assert_eq!(
        (notices.cancelled, notices.in_flight, notices.claimed),
        (2, 1, 0)
    );
    assert_eq!(corrections, Default::default());
}

async fn a_hold_cancels_nothing(db: &Db) {
    let id = db.publish(1, &[0]).await;
    let w = db.worker("w").await;
    w.claim_one(id, Kind::Order, 0).await;
    db.hold(id).await;
    assert_eq!(db.state(id, 0).await, ReceiptState::Claimed);
}

async fn settings_are_absent_until_set(db: &Db) {
    assert_eq!(db.settings().await.unwrap(), None);
    let open = DoorsOpen {
        by: "rita@corp.test".to_owned(),
        at: t(0),
        reason: "on fire".to_owned(),
    };
    for settings in [
        Settings {
            mode: Mode::Enforce,
            doors_open: Some(open),
        },
        Settings {
            mode: Mode::Enforce,
            doors_open: None,
        },
    ] {
        let version = db.version().await.unwrap();
        let was = db.settings().await.unwrap();
        db.put(Change::Settings {
            was: was.clone(),
            settings: settings.clone(),
            action: "doors",
            why: "x".to_owned(),
        })
        .await;
        assert_eq!(db.settings().await.unwrap().as_ref(), Some(&settings));
        let followed = db.follow(version).await.unwrap().unwrap();
        assert_eq!(followed.facts, [Fact::Settings(settings.clone())]);
        // Whoever started from older ones is too late.
        let late = Change::Settings {
            was,
            settings: Settings::default(),
            action: "mode",
            why: String::new(),
        };
        let error = db.commit(&by_somebody(late, t(0))).await.unwrap_err();
        assert!(matches!(error, StoreError::Conflict), "{error:?}");
        assert_eq!(db.settings().await.unwrap(), Some(settings));
    }
}

async fn exemptions_and_attestations_are_replaced_by_newer_ones(db: &Db) {
    let id = db.publish(1, &[0]).await;
    let mut exemption = Exemption {
        id: ExemptionId(Uuid::from_u128(9)),
        order: Some(id),
        who: Exempted::Group("it".to_owned()),
        reason: "testers".to_owned(),
        until: t(86_400),
        asked_by: "ada@corp.test".to_owned(),
        asked_at: t(0),
        approved: None,
        ended: None,
    };
    db.put(Change::Exemption {
        was: None,
        exemption: exemption.clone(),
        step: "add",
    })
    .await;
    let was = Some(Box::new(exemption.clone()));
    exemption.approved = Some(("ben@corp.test".to_owned(), t(1)));
    let approve = Change::Exemption {
        was,
        exemption: exemption.clone(),
        step: "approve",
    };
    db.put(approve.clone()).await;
    let error = db.commit(&by_somebody(approve, t(0))).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict), "{error:?}");
    let of = |at| Attestation {
        order: id,
        person: PersonId(0),
        at,
    };
    db.put(Change::Attestation(of(t(1)))).await;
    db.put(Change::Attestation(of(t(2)))).await;
    let facts = db.load().await.unwrap().facts;
    let kept: Vec<&Fact> = facts
        .iter()
        .filter(|f| matches!(f, Fact::Exemption(_) | Fact::Attestation(_)))
        .collect();
    assert_eq!(
        kept,
        [&Fact::Exemption(exemption), &Fact::Attestation(of(t(2)))]
    );
    let entry = db.audit_newest(Some(id), 3).await.unwrap();
    let actions: Vec<&str> = entry.iter().map(|e| e.action.as_str()).collect();
    assert_eq!(actions, ["attest", "attest", "exemption.approve"]);
}
