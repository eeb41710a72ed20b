//! Notices that stop by themselves (invariant 14): the real sender and the real office against a relay
//! that rejects.

use std::sync::Arc;

use countermand::app::App;
use countermand::clock::SystemClock;
use countermand::outbox::smtp::SmtpConfig;
use countermand::outbox::transport::Transport;
use countermand::outbox::worker::{Sender, Setup};
use countermand::store::{Outcome, Settled, Turn, Wanted};
use countermand_core::actor::Actor;
use countermand_core::audit::Entry;
use countermand_core::id::PersonId;
use countermand_core::notice::Kind;
use countermand_core::order::Order;
use countermand_core::verdict::{Channel, Decision, Question};
use sqlx::Connection as _;

use crate::support::app::{DEADLINE, RESPONDER, START, TIKTOK, World, operator, time};
use crate::support::sending::{FROM, address, person_at};
use crate::support::smtp_record::{Fault, Recorder, Setup as Relay};
use crate::support::story_clock::StoryClock;

const PEOPLE: u32 = 400;
const SESSIONS: usize = 8;
const DEPTH: u64 = SESSIONS as u64 * 4;

fn wary(hold_at: &str) -> String {
    let stages = format!("[stages]\nhold_at = {{ {hold_at} }}\n[forbid]");
    TIKTOK.replace("[forbid]", &stages)
}

/// So many people with TikTok on a phone each.
async fn company(people: u32) -> World {
    let world = World::new().await;
    let rows: Vec<String> = (0..people)
        .map(|n| format!("{},,P {n},all-staff,en,UTC", address(n)))
        .collect();
    world
        .people(&rows.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    let rows: Vec<String> = (0..people)
        .map(|n| format!("{},{n},eas:P{n},com.zhiliaoapp.musically", address(n)))
        .collect();
    world
        .iphones(&rows.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    world
}

fn sender(app: &App, name: &str, relay: &Recorder) -> Sender {
    let setup = Setup {
        store: Arc::clone(&app.store),
        office: Arc::new(app.clone()),
        // Its lease has to last in real time.
        clock: Arc::new(StoryClock::new(Arc::new(SystemClock), time(START), 1)),
        transport: Transport::Smtp(SmtpConfig {
            port: relay.port(),
            ..SmtpConfig::default()
        }),
        from: FROM.into(),
        sessions: SESSIONS,
        name: name.into(),
    };
    Sender::new(setup).unwrap()
}

async fn send(app: &App, name: &str, relay: &Recorder) {
    let sender = sender(app, name, relay);
    sender.run_until_idle(std::future::pending()).await.unwrap();
    app.live.follow().await.unwrap();
}

/// Every stop of the order, oldest first.
async fn stops(app: &App, order: &Order) -> Vec<Entry> {
    let life = app.store.life_of(order.id).await.unwrap();
    let stops = life
        .into_iter()
        .filter(|e| e.action == "order.stop_notices");
    stops.collect()
}

fn detail(entry: &Entry, name: &str) -> u64 {
    let details: serde_json::Value = serde_json::from_str(&entry.details).unwrap();
    details[name].as_u64().unwrap()
}

async fn now(app: &App, order: &Order) -> Order {
    let stored = app.store.order_called(&order.id.to_string()).await;
    stored.unwrap().order
}

/// Straight from the database: `condition` on receipts `r` of orders `o`.
async fn count(app: &App, condition: &'static str) -> u64 {
    let file = app.store.file().unwrap().display().to_string();
    let mut database = sqlx::AnyConnection::connect(&format!("sqlite://{file}"))
        .await
        .unwrap();
    let sql = format!(
        "SELECT CAST(COUNT(*) AS BIGINT) FROM receipt r JOIN orders o ON o.id = r.order_id WHERE {condition}"
    );
    let n: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
        .fetch_one(&mut database)
        .await
        .unwrap();
    n as u64
}

/// Rejects every tenth person.
fn rejecting() -> Recorder {
    Relay::new()
        .script(|offer| {
            if !offer.to.is_empty() && person_at(offer.to).is_multiple_of(10) {
                Fault::Rcpt(550)
            } else {
                Fault::Accept
            }
        })
        .start()
}

/// What the door says to the phone of that person.
fn verdict(app: &App, person: u32, at: &str) -> Decision {
    let question = Question {
        person: Some(address(person)),
        keys: vec![format!("eas:P{person}").parse().unwrap()],
        channel: Channel::Activesync,
    };
    app.live.view().verdict(&question, time(at)).decision
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_14_rejections_above_the_share_stop_the_notices_and_not_the_refusals() {
    let world = company(PEOPLE).await;
    let app = &world.app;
    let relay = rejecting();
    let order = world.publish(&wary(r#"rejected = "5%""#)).await;
    // Two senders, and both may see it.
    tokio::join!(send(app, "one", &relay), send(app, "two", &relay));
    let stopped = stops(app, &order).await;
    assert_eq!(stopped.len(), 1, "{stopped:?}");
    assert_eq!(stopped[0].actor, Actor::System("stages".to_owned()));
    let (told, rejected) = (detail(&stopped[0], "told"), detail(&stopped[0], "rejected"));
    assert!(
        rejected * 20 >= (told + rejected).max(20),
        "{told} {rejected}"
    );
    let (notices, _) = app.store.receipt_counts(order.id).await.unwrap();
    let began = notices.accepted + notices.rejected;
    assert!(began < u64::from(PEOPLE), "{notices:?}");
    let after = count(app, "r.settled_version > o.changed").await;
    assert!(after <= 2 * DEPTH, "only what was in flight then: {after}");
    assert_eq!(notices.claimed + notices.in_flight + notices.unknown, 0);
    assert!(now(app, &order).await.stop().is_some());
    // Another sender begins nothing, and a retraction would still count what waits.
    send(app, "three", &relay).await;
    assert_eq!(relay.messages().len() as u64, notices.accepted);
    let shown = app.preview_retraction(&order).await.unwrap();
    assert_eq!(shown.cancelled, u64::from(PEOPLE) - began);
    // Whoever was told is refused past the deadline, as if nothing had stopped.
    let told = (0..PEOPLE).find(|p| {
        let view = app.live.view();
        view.told(order.id, view.person_called(&address(*p)).unwrap().id)
            .is_some()
    });
    assert_eq!(verdict(app, told.unwrap(), DEADLINE), Decision::Deny);

    // A responder lets pass what came back; the notices go on to the end, and stop again only at another
    // share's worth of rejections.
    let mut let_pass = 0;
    while now(app, &order).await.stop().is_some() {
        let last = stops(app, &order).await.pop().unwrap();
        let (told, rejected) = (detail(&last, "told"), detail(&last, "rejected"));
        assert!((rejected - let_pass) * 20 >= told + rejected);
        let resumed = app
            .resume(&operator(RESPONDER), &order.id.to_string())
            .await
            .unwrap();
        let published = resumed.published().unwrap();
        assert_eq!(published.resumed_at, None, "refusals never stopped");
        let_pass = published.let_pass.as_ref().unwrap().rejected;
        assert!(let_pass >= rejected);
        send(app, &format!("after {let_pass}"), &relay).await;
    }
    let (notices, _) = app.store.receipt_counts(order.id).await.unwrap();
    assert_eq!((notices.accepted, notices.rejected), (360, 40));
    assert_eq!(relay.messages().len(), 360, "each once");
    assert!((2..=8).contains(&stops(app, &order).await.len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_14_nothing_is_begun_between_a_rejection_and_its_stop() {
    let world = company(PEOPLE).await;
    let (app, relay) = (&world.app, rejecting());
    // The first one is enough.
    let order = world.publish(&wary(r#"rejected = "0%""#)).await;
    send(app, "one", &relay).await;
    assert_eq!(stops(app, &order).await.len(), 1);
    const BETWEEN: &str = "r.settled_version < o.changed AND r.settled_version > (SELECT MIN(f.settled_version) FROM receipt f WHERE f.state = 'rejected')";
    assert_eq!(
        count(app, BETWEEN).await,
        0,
        "the turn that wrote it down was the last"
    );
    assert!(count(app, "r.settled_version > o.changed").await <= DEPTH);
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_14_a_sender_that_died_before_it_could_stop_is_made_good_by_the_next() {
    let world = company(40).await;
    let app = &world.app;
    let order = world.publish(&wary(r#"rejected = "5%""#)).await;
    // It wrote two rejections down, and that was its end.
    let (store, at) = (&app.store, app.now());
    let turn = Turn {
        claim: vec![Wanted {
            order: order.id,
            kind: Kind::Order,
            people: vec![PersonId(0), PersonId(1)],
        }],
        limit: 2,
        ..Turn::default()
    };
    let start = store.turn("dead", &turn, at).await.unwrap().claimed;
    let turn = Turn {
        start,
        ..Turn::default()
    };
    let started = store.turn("dead", &turn, at).await.unwrap().started;
    let settle = started.into_iter().map(|claim| Settled {
        claim,
        outcome: Outcome::Rejected,
        detail: "550 no such user".to_owned(),
    });
    let turn = Turn {
        settle: settle.collect(),
        ..Turn::default()
    };
    store.turn("dead", &turn, at).await.unwrap();
    assert!(stops(app, &order).await.is_empty());

    let relay = Recorder::start();
    send(app, "next", &relay).await;
    assert_eq!(stops(app, &order).await.len(), 1);
    assert_eq!(relay.messages(), [], "it stopped before it sent anything");
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_14_people_who_say_that_it_looks_wrong_stop_the_notices() {
    let world = company(40).await;
    let app = &world.app;
    let order = world.publish(&wary("looks_wrong = 3")).await;
    let says = |person| app.looks_wrong(order.id, PersonId(person));
    assert!(says(0).await.unwrap());
    assert!(!says(0).await.unwrap(), "counted once");
    assert!(says(1).await.unwrap());
    assert!(says(40).await.is_err(), "nobody has that number");
    assert!(now(app, &order).await.stop().is_none());
    // Many at once: it stops once.
    let many = tokio::join!(says(2), says(3), says(4), says(2));
    let counted = [many.0, many.1, many.2, many.3].map(Result::unwrap);
    assert_eq!(counted.iter().filter(|new| **new).count(), 3);
    assert_eq!(stops(app, &order).await.len(), 1);
    let stop = now(app, &order).await.stop().cloned().unwrap();
    assert!(
        stop.why.contains("said that it looks wrong"),
        "{}",
        stop.why
    );
    let relay = Recorder::start();
    send(app, "one", &relay).await;
    assert_eq!(relay.messages(), []);
    // Three more after the resume; and a retraction ends it.
    let (rita, id) = (operator(RESPONDER), order.id.to_string());
    app.resume(&rita, &id).await.unwrap();
    for person in 5..7 {
        assert!(says(person).await.unwrap());
        assert!(now(app, &order).await.stop().is_none());
    }
    assert!(says(7).await.unwrap());
    assert!(now(app, &order).await.stop().is_some());
    app.retract(&rita, &id, "in error").await.unwrap();
    assert!(!says(8).await.unwrap(), "nothing is left to stop");
    assert_eq!(app.store.looks_wrong(order.id).await.unwrap(), 8);
    // A draft is nobody's yet.
    let draft = app
        .draft(&operator(crate::support::app::AUTHOR), TIKTOK)
        .await;
    let draft = draft.unwrap();
    assert!(app.looks_wrong(draft.id, PersonId(0)).await.is_err());
}
