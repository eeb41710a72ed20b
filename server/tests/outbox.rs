//! The sender against a relay that records and fails, and a database that remembers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use countermand::outbox::transport::Transport;
use countermand::store::{Turn, Wanted};
use countermand_core::actor::Actor;
use countermand_core::change::{Change, Commit, Refusal};
use countermand_core::id::PersonId;
use countermand_core::notice::Kind;
use jiff::SignedDuration;
use support::postgres::Postgres;
use support::sending::*;
use support::smtp_record::{Fault, Recorder, Setup};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

const SESSIONS: usize = 8;
/// Most receipts in flight at once.
const DEPTH: usize = SESSIONS * 4;
const A: u128 = 0xa;
const B: u128 = 0xb;

fn set(people: impl IntoIterator<Item = u32>) -> BTreeSet<u32> {
    people.into_iter().collect()
}

fn once_each(people: impl IntoIterator<Item = u32>) -> BTreeMap<u32, usize> {
    people.into_iter().map(|person| (person, 1)).collect()
}

/// Stops the relay at one message until the test has done something: the script blocks at `at`, which is
/// the how-manieth RCPT, `reached` hears of it, and `go_on` lets it continue.
struct Pause {
    reached: oneshot::Receiver<()>,
    go_on: mpsc::Sender<()>,
}

fn pausing(at: usize) -> (Setup, Pause) {
    let (say, reached) = oneshot::channel();
    let (go_on, wait) = mpsc::channel();
    let (say, wait, count) = (Mutex::new(Some(say)), Mutex::new(wait), AtomicUsize::new(0));
    let setup = Setup::new().script(move |offer| {
        if !offer.to.is_empty() && count.fetch_add(1, Ordering::SeqCst) + 1 == at {
            let say = say.lock().unwrap().take().unwrap();
            say.send(()).unwrap();
            wait.lock().unwrap().recv().unwrap();
        }
        Fault::Accept
    });
    (setup, Pause { reached, go_on })
}

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
    let lost_once = Mutex::new(BTreeSet::new());
    let recorder = Setup::new()
        .script(move |offer| {
            let first =
                !offer.to.is_empty() && lost_once.lock().unwrap().insert(offer.to.to_owned());
            if first {
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
    let twice = expected
        .iter()
        .map(|person| (*person, 2))
        .collect::<BTreeMap<_, _>>();
    assert_eq!(received(&recorder, order_id(A), Kind::Correction), twice);
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

async fn two_senders(url: &str, data: &std::path::Path) {
    let one = World::at(url, data, SignedDuration::ZERO).await;
    let two = World::at(url, data, SignedDuration::ZERO).await;
    let recorder = Recorder::start();
    publish(&one.store, order_id(A), 0..400).await;
    let (first, second) = tokio::join!(
        one.send("one", recorder.port()),
        two.send("two", recorder.port())
    );
    assert_eq!(first.accepted + second.accepted, 400);
    assert_eq!(recorder.begun().len(), 400);
    assert_eq!(
        received(&recorder, order_id(A), Kind::Order),
        once_each(0..400)
    );
    retract(&one.store, order_id(A)).await;
    tokio::join!(
        one.send("three", recorder.port()),
        two.send("four", recorder.port())
    );
    assert_eq!(
        received(&recorder, order_id(A), Kind::Correction),
        once_each(0..400)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_18_two_senders_on_one_sqlite_database_double_nothing() {
    let folder = tempfile::tempdir().unwrap();
    two_senders("sqlite:test.db", folder.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_18_two_senders_on_one_postgresql_database_double_nothing() {
    let Some(postgres) = Postgres::shared() else {
        return;
    };
    two_senders(&postgres.fresh_database(), std::path::Path::new(".")).await;
}

/// A way to the relay that can be shut.
async fn doorway(to: u16, open: Arc<AtomicBool>, knocks: Arc<AtomicUsize>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            knocks.fetch_add(1, Ordering::SeqCst);
            if open.load(Ordering::SeqCst) {
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
            }
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_19_a_relay_that_is_away_loses_nothing_and_is_left_in_peace() {
    let world = World::new().await;
    let recorder = Recorder::start();
    let (open, knocks) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let port = doorway(recorder.port(), Arc::clone(&open), Arc::clone(&knocks)).await;
    publish(&world.store, order_id(A), 0..200).await;
    world.office.refresh(&world.store).await;
    let sender = world.sender("one", port);
    let mut progress = sender.progress();
    let sending = tokio::spawn(sender.run_until_idle(std::future::pending()));
    progress.wait_for(|p| p.trouble.is_some()).await.unwrap();
    // Nothing is claimed for a relay that is away, so nothing has to be given up.
    assert_eq!(world.store.unsettled().await.unwrap(), 0);
    assert!(knocks.load(Ordering::SeqCst) <= SESSIONS);
    open.store(true, Ordering::SeqCst);
    let done = sending.await.unwrap().unwrap();
    assert_eq!((done.accepted, done.trouble), (200, None));
    assert_eq!(
        received(&recorder, order_id(A), Kind::Order),
        once_each(0..200)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_17_what_a_dead_sender_held_is_settled_or_sent_when_its_lease_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::at("sqlite:test.db", folder.path(), SignedDuration::ZERO).await;
    publish(&world.store, order_id(A), 0..40).await;
    publish(&world.store, order_id(B), 0..10).await;
    let claim = |order, people: std::ops::Range<u32>, kind| Turn {
        claim: vec![Wanted {
            order: order_id(order),
            kind,
            people: people.map(PersonId).collect(),
        }],
        limit: 64,
        ..Turn::default()
    };
    let begin = async |start| {
        let turn = Turn {
            start,
            ..Turn::default()
        };
        world
            .store
            .turn("dead", &turn, noon())
            .await
            .unwrap()
            .started
    };
    // It died with ten notices of A in flight and ten claimed, and with five corrections of B in flight.
    world
        .store
        .renew_worker("dead", noon() + SignedDuration::from_secs(25))
        .await
        .unwrap();
    let claimed = world
        .store
        .turn("dead", &claim(A, 0..20, Kind::Order), noon())
        .await
        .unwrap()
        .claimed;
    assert_eq!(begin(claimed[..10].to_vec()).await.len(), 10);
    let recorder = Recorder::start();
    let told = world
        .store
        .turn("dead", &claim(B, 0..5, Kind::Order), noon())
        .await
        .unwrap()
        .claimed;
    begin(told.clone()).await;
    retract(&world.store, order_id(B)).await;

    // While its lease lasts, a new sender goes on with what is unclaimed, and waits.
    world.office.refresh(&world.store).await;
    let sender = world.sender("new", recorder.port());
    let mut progress = sender.progress();
    let sending = tokio::spawn(sender.run_until_idle(std::future::pending()));
    progress.wait_for(|p| p.accepted == 20).await.unwrap();
    sending.abort();
    assert_eq!(
        set(received(&recorder, order_id(A), Kind::Order).into_keys()),
        set(20..40)
    );
    // 24: B's people have an attempt that is not timed out.
    assert_eq!(
        received(&recorder, order_id(B), Kind::Correction),
        BTreeMap::new()
    );

    let later = World::at(
        "sqlite:test.db",
        folder.path(),
        SignedDuration::from_secs(30),
    )
    .await;
    later.send("newer", recorder.port()).await;
    assert_eq!(
        set(received(&recorder, order_id(A), Kind::Order).into_keys()),
        set(10..40)
    );
    assert_eq!(
        later.in_state(order_id(A), Kind::Order, "unknown").await,
        set(0..10)
    );
    assert_eq!(
        received(&recorder, order_id(B), Kind::Correction),
        once_each(0..5)
    );
    assert_eq!(later.store.unsettled().await.unwrap(), 0);
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
