//! Channels: recipients with numbers of their own, apart from people in every count.

use countermand::store::{Outcome, Turn};
use countermand_core::change::Step;
use countermand_core::id::{OrderId, PersonId};
use countermand_core::notice::channel::{Channels, Lane};
use countermand_core::notice::{Kind, ReceiptState};
use countermand_core::order::Order;

use crate::fixture::*;

on_both!(
    a_channel_has_one_number_for_ever,
    only_a_publication_gives_numbers,
    a_channel_counts_as_nobody_told,
    inv_23_exactly_the_channels_that_were_announced_at_are_corrected,
    inv_22_a_claimed_announcement_ends_with_its_order,
    a_lane_takes_its_own_retries_only,
    a_retry_at_a_channel_that_a_server_lacks_is_anothers,
    inv_14_what_a_channel_rejects_stops_no_notices,
    what_a_channel_said_names_no_mail_to_purge,
);

/// A draft that names the channels.
fn announced(n: u128, people: &[u32], channels: &[&str]) -> Order {
    let mut order = published(n, people);
    let named = channels.iter().map(|c| (*c).to_owned()).collect();
    order.revision.file.announce.channels = named;
    order
}

async fn publish(db: &Db, n: u128, channels: &[&str]) -> OrderId {
    let order = announced(n, &[0, 1], channels);
    let id = order.id;
    db.put(order_change(order, None, Step::Publish)).await;
    id
}

fn called(names: &[(&str, u16)]) -> Channels {
    names
        .iter()
        .map(|(name, no)| ((*name).to_owned(), *no))
        .collect()
}

async fn a_channel_has_one_number_for_ever(db: &Db) {
    let first = publish(db, 1, &["ops", "staff"]).await;
    let second = publish(db, 2, &["staff", "board", "ops"]).await;
    let channels = db.stored(first).await.order.channels;
    assert_eq!(channels, called(&[("ops", 0), ("staff", 1)]));
    let channels = db.stored(second).await.order.channels;
    assert_eq!(channels, called(&[("board", 2), ("ops", 0), ("staff", 1)]));
    assert_eq!(db.channels().await.unwrap(), channels);
    // What follows of the order keeps them, and so does an index.
    db.hold(second).await;
    assert_eq!(db.stored(second).await.order.channels, channels);
    let index = db.index().await;
    let staff = index.order(second).unwrap().channel(PersonId::channel(1));
    assert_eq!(staff, Some("staff"));
}

async fn only_a_publication_gives_numbers(db: &Db) {
    let mut order = draft(1);
    order.revision.file.announce.channels = vec!["ops".to_owned()];
    let id = order.id;
    db.put(order_change(order, None, Step::Draft)).await;
    assert!(db.stored(id).await.order.channels.is_empty());
    assert!(db.channels().await.unwrap().is_empty());
    // Nor does one that somebody else was quicker than.
    let late = order_change(announced(1, &[0], &["ops"]), Some(-1), Step::Publish);
    assert!(db.store.commit(&by_somebody(late, t(0))).await.is_err());
    assert!(db.channels().await.unwrap().is_empty());
}

async fn a_channel_counts_as_nobody_told(db: &Db) {
    let id = publish(db, 1, &["ops"]).await;
    let ops = PersonId::channel(0).0;
    let w = db.worker("w").await;
    w.send(id, Kind::Order, ops, Outcome::Accepted).await;
    w.send(id, Kind::Order, 0, Outcome::Accepted).await;
    let (notices, _) = db.receipt_counts(id).await.unwrap();
    assert_eq!((notices.accepted, notices.claimed), (1, 0));
    let index = db.index().await;
    assert_eq!(index.told_of(id), 1);
    let receipts = db.channel_receipts(id).await.unwrap();
    assert_eq!(receipts.len(), 1);
    assert_eq!(
        (receipts[0].channel, receipts[0].kind, receipts[0].state),
        (PersonId(ops), Kind::Order, ReceiptState::Accepted)
    );
    assert_eq!(receipts[0].detail, "250 ok");
}

async fn inv_23_exactly_the_channels_that_were_announced_at_are_corrected(db: &Db) {
    let names = [
        "accepted", "unknown", "flying", "rejected", "deferred", "never",
    ];
    let id = publish(db, 1, &names).await;
    let order = db.stored(id).await.order;
    let of = |name: &str| PersonId::channel(order.channels[name]).0;
    let w = db.worker("w").await;
    w.send(id, Kind::Order, 0, Outcome::Accepted).await;
    w.send(id, Kind::Order, of("accepted"), Outcome::Accepted)
        .await;
    let not_before = t(100);
    w.send(
        id,
        Kind::Order,
        of("unknown"),
        Outcome::Unknown { not_before },
    )
    .await;
    w.send(id, Kind::Order, of("rejected"), Outcome::Rejected)
        .await;
    w.send(
        id,
        Kind::Order,
        of("deferred"),
        Outcome::Deferred { not_before },
    )
    .await;
    w.fly(id, Kind::Order, of("flying")).await;
    db.retract(id).await;
    let mut expected = vec![0, of("accepted"), of("unknown"), of("flying")];
    expected.sort_unstable();
    assert_eq!(db.to_correct(id).await, expected);
    let answer = db.answer(id).await;
    let mut channels = answer.channels.clone();
    channels.sort_unstable();
    assert_eq!(channels, ["accepted", "flying", "unknown"]);
    // The numbers are of people.
    let numbers = (
        answer.accepted,
        answer.unknown,
        answer.in_flight,
        answer.cancelled,
    );
    assert_eq!((numbers, answer.corrections_planned), ((1, 0, 0, 0), 1));
    // 24: not before what flies has landed.
    let w = db.worker("w").await;
    assert!(
        w.claim(id, Kind::Correction, &[of("flying")])
            .await
            .claimed
            .is_empty()
    );
}

async fn inv_22_a_claimed_announcement_ends_with_its_order(db: &Db) {
    let id = publish(db, 1, &["ops"]).await;
    let ops = PersonId::channel(0).0;
    let w = db.worker("w").await;
    let claim = w.claim_one(id, Kind::Order, ops).await;
    db.retract(id).await;
    assert!(w.start(&[claim]).await.is_empty());
    assert_eq!(db.state(id, ops).await, ReceiptState::Cancelled);
    assert!(db.to_correct(id).await.is_empty());
}

async fn a_lane_takes_its_own_retries_only(db: &Db) {
    let id = publish(db, 1, &["ops"]).await;
    let ops = PersonId::channel(0);
    let w = db.worker("w").await;
    let later = |seconds| Outcome::Deferred {
        not_before: t(seconds),
    };
    w.send(id, Kind::Order, 0, later(100)).await;
    w.send(id, Kind::Order, ops.0, later(50)).await;
    assert_eq!(
        db.next_retry(Lane::People, &[]).await.unwrap(),
        Some(t(100))
    );
    assert_eq!(
        db.next_retry(Lane::Channels, &[]).await.unwrap(),
        Some(t(50))
    );
    for (lane, expected) in [(Lane::Channels, ops), (Lane::People, PersonId(0))] {
        let turn = Turn {
            limit: 100,
            lane,
            ..Turn::default()
        };
        let claimed = w.turn(turn, t(200)).await.claimed;
        assert_eq!(claimed.len(), 1);
        assert_eq!(claimed[0].key.person, expected);
        assert_eq!(db.next_retry(lane, &[]).await.unwrap(), None);
    }
}

async fn a_retry_at_a_channel_that_a_server_lacks_is_anothers(db: &Db) {
    let id = publish(db, 1, &["ops", "board"]).await;
    let (ops, board) = (PersonId::channel(0), PersonId::channel(1));
    let w = db.worker("w").await;
    for (channel, seconds) in [(ops, 100), (board, 50)] {
        let not_before = t(seconds);
        w.send(id, Kind::Order, channel.0, Outcome::Deferred { not_before })
            .await;
    }
    w.send(id, Kind::Order, 0, Outcome::Deferred { not_before: t(70) })
        .await;
    let all = async |lacks: &[PersonId]| {
        (
            db.next_retry(Lane::People, lacks).await.unwrap(),
            db.next_retry(Lane::Channels, lacks).await.unwrap(),
            db.unsettled(lacks).await.unwrap(),
        )
    };
    assert_eq!(all(&[]).await, (Some(t(70)), Some(t(50)), 3));
    assert_eq!(all(&[board]).await, (Some(t(70)), Some(t(100)), 2));
    assert_eq!(all(&[ops, board]).await, (Some(t(70)), None, 1));
    for (lacks, expected) in [(vec![ops, board], vec![]), (vec![board], vec![ops])] {
        let turn = Turn {
            limit: 100,
            lane: Lane::Channels,
            lacks,
            ..Turn::default()
        };
        let claimed = w.turn(turn, t(200)).await.claimed;
        let whose: Vec<PersonId> = claimed.iter().map(|claim| claim.key.person).collect();
        assert_eq!(whose, expected);
    }
    // What another has claimed it may well settle: that is waited for.
    assert_eq!(db.unsettled(&[ops, board]).await.unwrap(), 2);
}

async fn inv_14_what_a_channel_rejects_stops_no_notices(db: &Db) {
    let id = publish(db, 1, &["ops"]).await;
    let ops = PersonId::channel(0).0;
    let w = db.worker("w").await;
    w.send(id, Kind::Order, ops, Outcome::Rejected).await;
    assert_eq!(db.rejections(id).await.unwrap(), 0);
    w.send(id, Kind::Order, 0, Outcome::Rejected).await;
    assert_eq!(db.rejections(id).await.unwrap(), 1);
}

async fn what_a_channel_said_names_no_mail_to_purge(db: &Db) {
    let id = publish(db, 1, &["ops"]).await;
    let ops = PersonId::channel(0).0;
    let w = db.worker("w").await;
    w.send(id, Kind::Order, 0, Outcome::Accepted).await;
    w.send(id, Kind::Order, ops, Outcome::Accepted).await;
    db.retract(id).await;
    let found = db.purgeable(id, t(-1)).await.unwrap();
    assert_eq!((found.answers.len(), found.is_all), (1, true));
}
