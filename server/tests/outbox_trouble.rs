//! Senders that share a database, that died, or whose relay or database is away.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use countermand::store::{Turn, Wanted};
use countermand_core::id::PersonId;
use countermand_core::notice::Kind;
use jiff::SignedDuration;
use support::postgres::Postgres;
use support::sending::*;
use support::smtp_record::Recorder;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const A: u128 = 0xa;
const B: u128 = 0xb;

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
async fn doorway(to: u16, open: Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
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
async fn inv_19_a_relay_that_is_away_loses_nothing() {
    let world = World::new().await;
    let recorder = Recorder::start();
    let open = Arc::new(AtomicBool::new(false));
    let port = doorway(recorder.port(), Arc::clone(&open)).await;
    publish(&world.store, order_id(A), 0..200).await;
    world.office.refresh(&world.store).await;
    let sender = world.sender("one", port);
    let mut progress = sender.progress();
    let sending = tokio::spawn(sender.run_until_idle(std::future::pending()));
    progress.wait_for(|p| p.trouble.is_some()).await.unwrap();
    // Nothing is claimed for a relay that is away, so nothing has to be given up.
    assert_eq!(world.store.unsettled(&[]).await.unwrap(), 0);
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
    assert_eq!(later.store.unsettled(&[]).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_19_a_database_that_is_away_loses_no_outcome() {
    let world = World::new().await;
    let (setup, pause) = pausing(120);
    let recorder = setup.start();
    publish(&world.store, order_id(A), 0..300).await;
    world.office.refresh(&world.store).await;
    let sender = world.sender("one", recorder.port());
    let mut progress = sender.progress();
    let sending = tokio::spawn(sender.run_until_idle(std::future::pending()));
    pause.reached.await.unwrap();
    world.tamper("ALTER TABLE receipt RENAME TO away").await;
    pause.go_on.send(()).unwrap();
    let failing = |p: &countermand::outbox::worker::Progress| {
        p.trouble
            .as_deref()
            .is_some_and(|why| why.contains("receipt"))
    };
    progress.wait_for(failing).await.unwrap();
    world.tamper("ALTER TABLE away RENAME TO receipt").await;
    let done = sending.await.unwrap().unwrap();
    assert_eq!((done.accepted, done.unknown, done.trouble), (300, 0, None));
    assert_eq!(
        received(&recorder, order_id(A), Kind::Order),
        once_each(0..300)
    );
    assert_eq!(
        world.in_state(order_id(A), Kind::Order, "accepted").await,
        set(0..300)
    );
}

/// A way to PostgreSQL on which every fifth COMMIT gets through and its answer does not.
async fn forgetful_way(to: u16, commits: Arc<AtomicUsize>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (near, _) = listener.accept().await.unwrap();
            let far = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
            tokio::spawn(carry(near, far, Arc::clone(&commits)));
        }
    });
    port
}

async fn carry(near: TcpStream, far: TcpStream, commits: Arc<AtomicUsize>) {
    let (mut near_in, mut near_out) = near.into_split();
    let (mut far_in, mut far_out) = far.into_split();
    let (mut asked, mut answered) = (vec![0; 65536], vec![0; 65536]);
    let mut cut = false;
    loop {
        tokio::select! {
            read = near_in.read(&mut asked) => match read {
                Ok(n @ 1..) => {
                    let is_commit = asked[..n].windows(6).any(|word| word == b"COMMIT");
                    cut |= is_commit && commits.fetch_add(1, Ordering::SeqCst) % 5 == 4;
                    if far_out.write_all(&asked[..n]).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
            read = far_in.read(&mut answered) => match read {
                // The answer says that it is committed; nobody hears it.
                Ok(n @ 1..) if !cut => {
                    if near_out.write_all(&answered[..n]).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_16_a_commit_whose_answer_is_lost_neither_doubles_nor_forgets() {
    let Some(postgres) = Postgres::shared() else {
        return;
    };
    let here = std::path::Path::new(".");
    let url = postgres.fresh_database();
    let world = World::at(&url, here, SignedDuration::ZERO).await;
    publish(&world.store, order_id(A), 0..200).await;
    let (before, database) = url.rsplit_once('/').unwrap();
    let (host, port) = before.rsplit_once(':').unwrap();
    let commits = Arc::new(AtomicUsize::new(0));
    let port = forgetful_way(port.parse().unwrap(), Arc::clone(&commits)).await;
    let url = format!("{host}:{port}/{database}?sslmode=disable");
    let far = World::at(&url, here, SignedDuration::ZERO).await;
    let recorder = Recorder::start();
    let done = far.send("one", recorder.port()).await;
    assert_eq!((done.unknown, done.trouble), (0, None));
    assert!(commits.load(Ordering::SeqCst) >= 15, "too few were lost");
    assert_eq!(recorder.begun().len(), 200);
    assert_eq!(
        received(&recorder, order_id(A), Kind::Order),
        once_each(0..200)
    );
    assert_eq!(
        world.in_state(order_id(A), Kind::Order, "accepted").await,
        set(0..200)
    );
}
