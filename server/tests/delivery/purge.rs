//! What the relay still has of a retracted order's notices is dropped.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use countermand::app::App;
use countermand::app::bounces::Bounces;
use countermand::listen::{Admit, Listen, Listener};
use countermand::outbox::bounces::lmtp;
use countermand::outbox::office::Office as _;
use countermand::outbox::smtp::SmtpConfig;
use countermand::outbox::transport::Transport;
use countermand::outbox::worker::{Sender, Setup};
use countermand::store::{Outcome, Settled, Turn, Wanted};
use countermand_core::id::OrderId;
use countermand_core::notice::Kind;
use countermand_core::order::Order;
use jiff::SignedDuration;

use crate::support::app::{RESPONDER, TIKTOK, TIKTOK_IOS, World, operator};
use crate::support::free_port;
use crate::support::postfix::Postfix;
use crate::support::smtp_record::{Fault, Setup as Relay};

/// A command that keeps what it was given, beside how often it was called.
fn script(folder: &Path, ends_with: i32) -> (Vec<String>, PathBuf) {
    let got = folder.join("got");
    let text = format!(
        "cat >> '{0}'; echo called >> '{0}.calls'; exit {ends_with}",
        got.display()
    );
    (["sh", "-c", &text].map(str::to_owned).to_vec(), got)
}

fn lines(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

async fn world(people: usize, purge: Vec<String>) -> World {
    let world = World::with(|c| {
        c.notices.from = "IT Security <it-security@corp.test>".to_owned();
        c.notices.bounces = toml::from_str("sender = \"bounces@corp.test\"\nverp = true").unwrap();
        c.notices.smtp.purge = purge;
    })
    .await;
    let row = |n| format!("p{n}@corp.test,,Person,all-staff,en,UTC");
    let rows: Vec<String> = (0..people).map(row).collect();
    world
        .people(&rows.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    let phone = |n| format!("p{n}@corp.test,K{n},eas:K{n},{TIKTOK_IOS}");
    let phones: Vec<String> = (0..people).map(phone).collect();
    world
        .iphones(&phones.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    world
}

/// A notice of that kind, taken by a relay with these words.
async fn accepted(app: &App, order: OrderId, kind: Kind, person: &str, answer: &str) {
    let person = app.live.view().person_called(person).unwrap().id;
    let now = app.now();
    let turn = async |turn: Turn| app.store.turn("w", &turn, now).await.unwrap();
    let claim = vec![Wanted {
        order,
        kind,
        people: vec![person],
    }];
    let claimed = turn(Turn {
        claim,
        limit: 1,
        ..Turn::default()
    });
    let start = claimed.await.claimed;
    let claim = start[0];
    turn(Turn {
        start,
        ..Turn::default()
    })
    .await;
    let settle = vec![Settled {
        claim,
        outcome: Outcome::Accepted,
        detail: answer.to_owned(),
    }];
    turn(Turn {
        settle,
        ..Turn::default()
    })
    .await;
    app.live.follow().await.unwrap();
}

async fn retract(world: &World, order: &Order) {
    let id = order.id.to_string();
    world
        .app
        .retract(&operator(RESPONDER), &id, "in error")
        .await
        .unwrap();
}

async fn purges(app: &App, order: OrderId) -> Vec<serde_json::Value> {
    let life = app.store.life_of(order).await.unwrap();
    let purges = life.iter().filter(|e| e.action == "order.purge");
    purges
        .map(|e| serde_json::from_str(&e.details).unwrap())
        .collect()
}

#[tokio::test]
async fn the_ids_of_the_orders_queued_notices_are_given_once_and_it_is_on_record() {
    let folder = tempfile::tempdir().unwrap();
    let (command, got) = script(folder.path(), 0);
    let world = world(4, command).await;
    let order = world.publish(TIKTOK).await;
    let app = &world.app;
    let at = |n: usize| format!("p{n}@corp.test");
    accepted(
        app,
        order.id,
        Kind::Order,
        &at(0),
        "250 2.0.0 Ok: queued as 4old0000",
    )
    .await;
    world.clock.advance(SignedDuration::from_hours(5 * 24 + 1));
    accepted(
        app,
        order.id,
        Kind::Order,
        &at(1),
        "250 2.0.0 Ok: queued as 4abcXYZ",
    )
    .await;
    accepted(
        app,
        order.id,
        Kind::Order,
        &at(2),
        "250 2.0.0 Ok: queued as ALL",
    )
    .await;
    accepted(
        app,
        order.id,
        Kind::Order,
        &at(3),
        "250 Ok: queued as 3F2A1B",
    )
    .await;
    retract(&world, &order).await;
    accepted(
        app,
        order.id,
        Kind::Correction,
        &at(1),
        "250 2.0.0 Ok: queued as 4corr00",
    )
    .await;
    assert!(lines(&got).is_empty(), "a retraction waits for no command");
    assert!(app.purge(order.id).await.unwrap());
    assert_eq!(lines(&got), ["4abcXYZ", "3F2A1B"]);
    assert!(app.purge(order.id).await.unwrap());
    assert_eq!(lines(&got).len(), 2, "once");
    let record = purges(app, order.id).await;
    assert_eq!(record.len(), 1);
    assert_eq!(
        (record[0]["asked"].as_u64(), record[0]["status"].as_i64()),
        (Some(2), Some(0))
    );
    assert!(
        record[0]["remark"]
            .as_str()
            .unwrap()
            .starts_with("the relay was asked to drop 2 of its queued mails: done")
    );
}

#[tokio::test]
async fn a_command_that_fails_is_on_record_and_is_not_repeated_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    for (command, status) in [
        (script(folder.path(), 7).0, Some(7)),
        (vec!["/nowhere/postsuper".to_owned()], None),
    ] {
        let world = world(1, command).await;
        let order = world.publish(TIKTOK).await;
        accepted(
            &world.app,
            order.id,
            Kind::Order,
            "p0@corp.test",
            "250 Ok: queued as 4abcXYZ",
        )
        .await;
        retract(&world, &order).await;
        for _ in 0..2 {
            assert!(world.app.purge(order.id).await.unwrap());
        }
        let record = purges(&world.app, order.id).await;
        assert_eq!(record.len(), 1);
        assert_eq!(record[0]["status"].as_i64(), status);
    }
}

#[tokio::test]
async fn without_a_command_nothing_is_asked_and_nothing_recorded() {
    let world = world(1, Vec::new()).await;
    let order = world.publish(TIKTOK).await;
    accepted(
        &world.app,
        order.id,
        Kind::Order,
        "p0@corp.test",
        "250 Ok: queued as 4abcXYZ",
    )
    .await;
    retract(&world, &order).await;
    assert!(world.app.purge(order.id).await.unwrap());
    assert!(purges(&world.app, order.id).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_follows_each_retraction_by_itself_those_before_its_start_too() {
    let folder = tempfile::tempdir().unwrap();
    let (command, got) = script(folder.path(), 0);
    let world = world(2, command).await;
    let first = world.publish(TIKTOK).await;
    accepted(
        &world.app,
        first.id,
        Kind::Order,
        "p0@corp.test",
        "250 Ok: queued as 4first0",
    )
    .await;
    // As after a crash between the retraction and the command.
    retract(&world, &first).await;
    let purging = tokio::spawn(world.app.clone().keep_purging());
    let mut changed = world.app.live.subscribe();
    changed.mark_changed();
    while purges(&world.app, first.id).await.is_empty() {
        changed.changed().await.unwrap();
    }
    let second = world.publish(TIKTOK).await;
    accepted(
        &world.app,
        second.id,
        Kind::Order,
        "p1@corp.test",
        "250 Ok: queued as 4second",
    )
    .await;
    retract(&world, &second).await;
    while purges(&world.app, second.id).await.is_empty() {
        changed.changed().await.unwrap();
    }
    assert_eq!(lines(&got), ["4first0", "4second"]);
    purging.abort();
}

async fn send(app: &App, port: u16) {
    let setup = Setup {
        store: app.store.clone(),
        office: Arc::new(app.clone()),
        clock: app.clock.clone(),
        transport: Transport::Smtp(SmtpConfig {
            port,
            final_dot_timeout: SignedDuration::from_mins(5),
            ..SmtpConfig::default()
        }),
        from: app.config.notices.from.clone(),
        sessions: 4,
        name: app.ids.uuid().to_string(),
    };
    let sender = Sender::new(setup).unwrap();
    let done = sender.run_until_idle(std::future::pending()).await.unwrap();
    assert_eq!(done.trouble, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_postfix_drops_the_notices_that_it_could_not_pass_on_and_keeps_the_rest() {
    let next_hop = free_port();
    let Some(postfix) = tokio::task::block_in_place(|| Postfix::start(next_hop, free_port()))
    else {
        return;
    };
    let world = world(12, postfix.purge()).await;
    let order = world.publish(TIKTOK).await;
    send(&world.app, postfix.port).await;
    postfix.await_that("queue what it took", || postfix.queued().len() == 12);
    let other = world.publish(&TIKTOK.replace("Remove", "Delete")).await;
    send(&world.app, postfix.port).await;
    postfix.await_that("queue the other order's", || postfix.queued().len() == 24);
    retract(&world, &order).await;
    assert!(world.app.purge(order.id).await.unwrap());
    assert_eq!(postfix.queued().len(), 12, "the other order's are there");
    let record = purges(&world.app, order.id).await;
    assert_eq!(
        (record[0]["asked"].as_u64(), record[0]["status"].as_i64()),
        (Some(12), Some(0))
    );
    // The corrections go out, and stay.
    send(&world.app, postfix.port).await;
    postfix.await_that("queue the corrections", || postfix.queued().len() == 24);
    assert!(world.app.purge(order.id).await.unwrap());
    assert_eq!(postfix.queued().len(), 24);
    assert!(purges(&world.app, other.id).await.is_empty());
}

/// Whatever this Postfix writes, not what we believe that it does.
#[tokio::test(flavor = "multi_thread")]
async fn inv_35_a_real_postfix_returns_what_the_next_hop_refuses_and_told_is_taken_back() {
    let next_hop = Relay::new()
        .script(|offer| match offer.to.starts_with("p0@") {
            true => Fault::Rcpt(550),
            false => Fault::Accept,
        })
        .start();
    let world = world(3, Vec::new()).await;
    let bounces = Arc::new(Bounces::new(world.app.clone()));
    let listen = Listen::Tcp("127.0.0.1:0".parse().unwrap());
    let listener = Listener::bind(&listen, Admit::Everyone).await.unwrap();
    let lmtp_port = listener.port().unwrap();
    tokio::spawn(lmtp::serve(listener, bounces));
    let started = tokio::task::block_in_place(|| Postfix::start(next_hop.port(), lmtp_port));
    let Some(postfix) = started else {
        return;
    };
    let order = world.publish(TIKTOK).await;
    send(&world.app, postfix.port).await;
    let person = |n: usize| {
        let view = world.app.live.view();
        view.person_called(&format!("p{n}@corp.test")).unwrap().id
    };
    let mut changed = world.app.live.subscribe();
    changed.mark_changed();
    loop {
        changed.changed().await.unwrap();
        let (total, all) = world.app.store.unreached(order.id, 0, 9).await.unwrap();
        if total > 0 {
            assert_eq!((all[0].person, all[0].word()), (person(0), "bounced"));
            assert!(all[0].detail.contains("550"), "{}", all[0].detail);
            break;
        }
    }
    let told = |n| {
        let person = person(n);
        world.app.live.view().told(order.id, person).is_some()
    };
    assert!(!told(0) && told(1) && told(2));
    assert!(world.app.domain(person(0)).is_some());
}
