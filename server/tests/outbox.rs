//! The sender against a relay that records and fails, and a database that remembers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "outbox/begun.rs"]
mod begun;
#[path = "outbox/behind.rs"]
mod behind;
#[path = "outbox/stops.rs"]
mod stops;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

use countermand::outbox::transport::Transport;
use countermand_core::actor::Actor;
use countermand_core::change::{Change, Commit, Refusal};
use countermand_core::id::PersonId;
use countermand_core::notice::Kind;
use jiff::SignedDuration;
use support::sending::*;
use support::smtp_record::{Fault, Recorder, Setup};
use tokio::sync::oneshot;

const SESSIONS: usize = 8;
/// Most receipts in flight at once.
const DEPTH: usize = SESSIONS * 4;
const A: u128 = 0xa;
const B: u128 = 0xb;

#[tokio::test(flavor = "multi_thread")]
async fn inv_15_everybody_gets_one_notice_and_one_receipt() {
    let world = World::new().await;
    let recorder = Recorder::start();
    publish(&world.store, order_id(A), 0..300).await;
    let progress = world.send("one", recorder.port()).await;
    assert_eq!(
        (progress.accepted, progress.planned, progress.in_flight),
        (300, 0, 0)
    );
    assert_eq!(
        received(&recorder, order_id(A), Kind::Order),
        once_each(0..300)
    );
    assert_eq!(
        world.in_state(order_id(A), Kind::Order, "accepted").await,
        set(0..300)
    );
    assert_eq!(recorder.violations(), [""; 0]);
    assert!(recorder.connections() <= SESSIONS);
    // Finished is finished: another run sends nothing.
    let again = world.send("two", recorder.port()).await;
    assert_eq!((again.accepted, recorder.messages().len()), (0, 300));
    let (counts, _) = world.store.receipt_counts(order_id(A)).await.unwrap();
    assert!(counts.is_finished());
}

/// Every fault, each on persons of its own, and what it makes of their receipt.
#[tokio::test(flavor = "multi_thread")]
async fn inv_17_each_fault_ends_as_it_must_and_no_notice_is_doubled() {
    let mut world = World::new().await;
    world.hasten();
    world.final_dot_timeout = SignedDuration::from_secs(3);
    let faults = [
        (Fault::Accept, "accepted"),
        (Fault::Rcpt(550), "rejected"),
        (Fault::Rcpt(450), "accepted"),
        (Fault::RcptThen354(550), "rejected"),
        (Fault::Data(554), "rejected"),
        (Fault::Data(451), "accepted"),
        (Fault::Dot(554), "rejected"),
        (Fault::Dot(452), "accepted"),
        (Fault::DropAtData, "accepted"),
        (Fault::DropAfterDot, "unknown"),
        (Fault::NonsenseAfterDot, "unknown"),
        (Fault::StallAfterDot, "unknown"),
    ];
    let people = faults.len() as u32 * 3;
    let met: Mutex<BTreeSet<u32>> = Mutex::default();
    let recorder = Setup::new()
        .script(move |offer| {
            if offer.to.is_empty() {
                return Fault::Accept;
            }
            let person = person_at(offer.to);
            // A fault happens once; the second attempt goes through.
            if person != NOBODY && met.lock().unwrap().insert(person) {
                faults[person as usize % faults.len()].0
            } else {
                Fault::Accept
            }
        })
        .start();
    publish(&world.store, order_id(A), (0..people).chain([NOBODY])).await;
    world.send("one", recorder.port()).await;
    let receipts = world.receipts(order_id(A), Kind::Order).await;
    for (person, (state, _)) in &receipts {
        let expected = match *person {
            NOBODY => "rejected",
            person => faults[person as usize % faults.len()].1,
        };
        assert_eq!(
            state,
            expected,
            "{person}: {:?}",
            faults[*person as usize % faults.len()]
        );
    }
    assert_eq!(receipts.len(), people as usize + 1);
    for (person, times) in received(&recorder, order_id(A), Kind::Order) {
        let (fault, _) = faults[person as usize % faults.len()];
        // A 4xx to the dot is the relay's word that it took nothing.
        let expected = if fault == Fault::Dot(452) { 2 } else { 1 };
        assert_eq!(times, expected, "{person}: {fault:?}");
    }
    assert_eq!(recorder.violations(), [""; 0]);

    // An order that may have come earns a correction; and that is sent again where it may be lost.
    retract(&world.store, order_id(A)).await;
    const LOST: u32 = 9;
    let lost_once = Mutex::new(BTreeSet::new());
    let recorder = Setup::new()
        .script(move |offer| {
            let lost = !offer.to.is_empty()
                && person_at(offer.to).is_multiple_of(LOST)
                && lost_once.lock().unwrap().insert(offer.to.to_owned());
            if lost {
                Fault::DropAfterDot
            } else {
                Fault::Accept
            }
        })
        .start();
    world.send("two", recorder.port()).await;
    let may_have_it = |person: &u32| matches!(receipts[person].0.as_str(), "accepted" | "unknown");
    let expected = set((0..people).filter(may_have_it));
    assert_eq!(
        world
            .in_state(order_id(A), Kind::Correction, "accepted")
            .await,
        expected
    );
    let times = |person: &u32| if person.is_multiple_of(LOST) { 2 } else { 1 };
    let times: BTreeMap<_, _> = expected.iter().map(|p| (*p, times(p))).collect();
    assert_eq!(received(&recorder, order_id(A), Kind::Correction), times);
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_36_a_hold_stops_notices_and_a_resume_goes_on() {
    let world = World::new().await;
    let (setup, pause) = pausing(100);
    let recorder = setup.start();
    publish(&world.store, order_id(A), 0..300).await;
    world.office.refresh(&world.store).await;
    let sending = tokio::spawn(
        world
            .sender("one", recorder.port())
            .run_until_idle(std::future::pending()),
    );
    pause.reached.await.unwrap();
    hold(&world.store, order_id(A)).await;
    let flown = world.perhaps_told(order_id(A), &[Kind::Order]).await;
    pause.go_on.send(()).unwrap();
    // It waits for no hold; what was in flight has finished.
    sending.await.unwrap().unwrap();
    assert_eq!(
        set(received(&recorder, order_id(A), Kind::Order).into_keys()),
        flown
    );
    assert_eq!(
        world.in_state(order_id(A), Kind::Order, "accepted").await,
        flown
    );
    assert_eq!(
        world.receipts(order_id(A), Kind::Order).await.len(),
        flown.len()
    );

    resume(&world.store, order_id(A)).await;
    world.send("two", recorder.port()).await;
    assert_eq!(
        received(&recorder, order_id(A), Kind::Order),
        once_each(0..300)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_22_no_notice_begins_after_the_retraction_and_inv_23_corrections_go_to_exactly_those_reached()
 {
    let world = World::new().await;
    world.office.reminds.store(true, Ordering::SeqCst);
    let (setup, pause) = pausing(250);
    let recorder = setup.start();
    publish(&world.store, order_id(A), 0..300).await;
    // Refused at a door, and never reached by a notice otherwise.
    let refusal = Refusal {
        fingerprint: 7,
        at: noon(),
        person: Some(PersonId(7777)),
        certain: true,
        missing: None,
        orders: [order_id(A)].into(),
        known: "{}".into(),
    };
    world.office.refresh(&world.store).await;
    let sending = tokio::spawn(
        world
            .sender("one", recorder.port())
            .run_until_idle(std::future::pending()),
    );
    pause.reached.await.unwrap();
    retract(&world.store, order_id(A)).await;
    let kinds = [Kind::Order, Kind::Reminder(1)];
    let flown = world.perhaps_told(order_id(A), &kinds).await;
    let mut flying = 0;
    for kind in kinds {
        flying += world.in_state(order_id(A), kind, "in_flight").await.len();
    }
    assert!(flying <= DEPTH, "{flying}");
    let commit = Commit {
        actor: Actor::System("gate".into()),
        at: noon(),
        change: Change::Refusals(vec![refusal]),
    };
    world.store.commit(&commit).await.unwrap();
    let begun_before = recorder.begun().len();
    pause.go_on.send(()).unwrap();
    sending.await.unwrap().unwrap();

    // 22: of what began later, no more than was in flight at the commit were notices of the order.
    let of_kind = |ordinal: usize| {
        let messages = recorder.messages();
        let message = messages.iter().find(|m| m.ordinal == ordinal).unwrap();
        header(&message.bytes, "X-Countermand-Kind").unwrap()
    };
    let later = recorder.begun()[begun_before..].to_vec();
    let notices = later
        .iter()
        .filter(|begun| of_kind(begun.ordinal) != "correction")
        .count();
    assert!(notices <= flying, "{notices} of {flying}");
    // 23: exactly those.
    let mut expected = flown.clone();
    expected.insert(7777);
    assert!(flown.len() > 100 && flown.len() < 300, "{}", flown.len());
    assert_eq!(
        received(&recorder, order_id(A), Kind::Correction),
        once_each(expected.clone())
    );
    assert_eq!(
        world
            .in_state(order_id(A), Kind::Correction, "accepted")
            .await,
        expected
    );
    // 24: no correction before the person's other mails were finished.
    let mut corrected = BTreeSet::new();
    for message in recorder.messages() {
        let correction = header(&message.bytes, "X-Countermand-Kind").unwrap() == "correction";
        if correction {
            corrected.insert(message.to[0].clone());
        } else {
            assert!(
                !corrected.contains(&message.to[0]),
                "{:?} was told after the correction",
                message.to
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_29_corrections_and_reminders_answer_what_the_person_got() {
    let world = World::new().await;
    let recorder = Recorder::start();
    publish(&world.store, order_id(A), 0..20).await;
    world.send("one", recorder.port()).await;
    world.office.reminds.store(true, Ordering::SeqCst);
    publish(&world.store, order_id(B), []).await;
    world.send("two", recorder.port()).await;
    retract(&world.store, order_id(A)).await;
    world.send("three", recorder.port()).await;
    assert_eq!(recorder.messages().len(), 60);
    for message in recorder.messages() {
        let kind: Kind = header(&message.bytes, "X-Countermand-Kind")
            .unwrap()
            .parse()
            .unwrap();
        let person = person_at(&message.to[0]);
        assert_eq!(message.message_id, message_id(order_id(A), person, kind));
        let answers = (kind != Kind::Order).then(|| message_id(order_id(A), person, Kind::Order));
        assert_eq!(header(&message.bytes, "In-Reply-To"), answers);
        assert_eq!(header(&message.bytes, "References"), answers);
        assert!(
            header(&message.bytes, "From")
                .unwrap()
                .contains("it-security@corp.test")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_28_corrections_go_ahead_of_every_other_notice() {
    let world = World::new().await;
    let recorder = Recorder::start();
    publish(&world.store, order_id(A), 0..200).await;
    world.send("one", recorder.port()).await;
    let (setup, pause) = pausing(100);
    let recorder = setup.start();
    publish(&world.store, order_id(B), 0..400).await;
    world.office.refresh(&world.store).await;
    let sending = tokio::spawn(
        world
            .sender("two", recorder.port())
            .run_until_idle(std::future::pending()),
    );
    pause.reached.await.unwrap();
    retract(&world.store, order_id(A)).await;
    world.office.refresh(&world.store).await;
    let begun_before = recorder.begun().len();
    pause.go_on.send(()).unwrap();
    sending.await.unwrap().unwrap();

    let messages = recorder.messages();
    let is_correction = |ordinal: usize| {
        let message = messages.iter().find(|m| m.ordinal == ordinal).unwrap();
        header(&message.bytes, "X-Countermand-Kind").unwrap() == "correction"
    };
    let later: Vec<bool> = recorder.begun()[begun_before..]
        .iter()
        .map(|b| is_correction(b.ordinal))
        .collect();
    let last = later.iter().rposition(|correction| *correction).unwrap();
    let ahead = later[..last]
        .iter()
        .filter(|correction| !**correction)
        .count();
    // What was in flight finishes, and at the very end the last corrections share the line.
    assert!(
        ahead <= 2 * DEPTH,
        "{ahead} other notices went ahead of the last correction"
    );
    assert_eq!(
        received(&recorder, order_id(A), Kind::Correction),
        once_each(0..200)
    );
    assert_eq!(
        received(&recorder, order_id(B), Kind::Order),
        once_each(0..400)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_is_told_to_stop_finishes_what_flies_and_leaves_nothing_claimed() {
    let world = World::new().await;
    let (setup, pause) = pausing(50);
    let recorder = setup.start();
    publish(&world.store, order_id(A), 0..300).await;
    world.office.refresh(&world.store).await;
    let (stop, stopped) = oneshot::channel::<()>();
    let until = async {
        let _ = stopped.await;
    };
    let sending = tokio::spawn(world.sender("one", recorder.port()).run(until));
    pause.reached.await.unwrap();
    stop.send(()).unwrap();
    pause.go_on.send(()).unwrap();
    sending.await.unwrap().unwrap();
    let told = set(received(&recorder, order_id(A), Kind::Order).into_keys());
    assert_eq!(
        world.in_state(order_id(A), Kind::Order, "accepted").await,
        told
    );
    assert_eq!(
        world.receipts(order_id(A), Kind::Order).await.len(),
        told.len()
    );
    world.send("two", recorder.port()).await;
    assert_eq!(
        received(&recorder, order_id(A), Kind::Order),
        once_each(0..300)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_takes_notices_as_a_relay_does() {
    let world = World::new().await;
    publish(&world.store, order_id(A), 0..50).await;
    world.office.refresh(&world.store).await;
    let dir = world.folder().join("mail");
    let mailbox = Transport::Mailbox {
        dir: dir.clone(),
        durable: false,
    };
    let sender = world.sender_by("one", mailbox);
    let progress = sender.run_until_idle(std::future::pending()).await.unwrap();
    assert_eq!(progress.accepted, 50);
    assert_eq!(std::fs::read_dir(dir.join("new")).unwrap().count(), 50);
}

/// Prints how fast it went. No test of time: machines differ.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_order_goes_out_to_postfixs_sink() {
    let Some(sink) = support::smtp_sink::SmtpSink::start() else {
        return;
    };
    let world = World::new().await;
    publish(&world.store, order_id(A), 0..5000).await;
    let began = std::time::Instant::now();
    let progress = world.send("one", sink.port).await;
    let took = began.elapsed().max(Duration::from_millis(1));
    println!(
        "5000 notices in {took:?}: {:.0} a second",
        5000.0 / took.as_secs_f64()
    );
    assert_eq!(progress.accepted, 5000);
}
