//! A sender whose process is behind others on the same database, and doors that report late.

use std::sync::Arc;

use countermand::app::App;
use countermand::clock::CountingIds;
use countermand::live::Live;
use countermand::outbox::compose::{Desk, NoMail};
use countermand::outbox::survey::Survey;
use countermand::serve;
use countermand::store::{Claim, Outcome, Settled, Turn, Wanted};
use countermand_core::actor::Actor;
use countermand_core::change::{Change, Commit, Refusal};
use countermand_core::id::PersonId;
use countermand_core::index::Mode;
use countermand_core::notice::channel::Lane;
use countermand_core::notice::{Key, Kind};
use countermand_core::order::Order;
use jiff::SignedDuration;

use crate::support::app::{RESPONDER, TIKTOK, World, operator};
use crate::support::sending::FROM;

const ANA: &str = "ana@corp.test";

/// Another process on the same database. It knows what was committed by now, and nothing later.
async fn another(world: &World) -> App {
    let app = &world.app;
    let policy = app.config.gate.policy();
    let live = Live::open(app.store.clone(), app.clock.clone(), policy, Mode::Enforce);
    let (live, ids) = (live.await.unwrap(), Arc::new(CountingIds::default()));
    App::over(
        app.store.clone(),
        live,
        app.clock.clone(),
        ids,
        app.config.clone(),
    )
    .await
    .unwrap()
}

fn desk(app: &App) -> Arc<Desk> {
    let office = Arc::new(app.clone());
    let desk = Desk::new(
        app.store.clone(),
        office,
        app.clock.clone(),
        FROM.to_owned(),
    );
    Arc::new(desk.unwrap())
}

async fn company() -> World {
    let world = World::new().await;
    world.people(&["ana@corp.test,,Ana,all-staff,en,UTC"]).await;
    world
        .iphones(&["ana@corp.test,1,eas:A1,com.zhiliaoapp.musically"])
        .await;
    world
}

fn claim(app: &App, order: &Order, kind: Kind) -> Claim {
    let person = app.live.view().person_called(ANA).unwrap().id;
    let key = Key {
        order: order.id,
        person,
        kind,
    };
    Claim {
        key,
        fence: 1,
        attempt: 1,
    }
}

/// A retry may be claimed by whoever asks first, so by somebody who has not heard of its order, or of
/// the retraction. It is for later then: rejected would be for good, and a correction has to say what it
/// corrects.
#[tokio::test]
async fn inv_19_nothing_is_given_up_by_a_process_that_has_not_heard_of_it() {
    let world = company().await;
    let unaware = another(&world).await;
    let order = world.publish(TIKTOK).await;
    let notice = claim(&world.app, &order, Kind::Order);
    let mail = desk(&unaware).mail(&notice).await;
    assert!(matches!(mail, Err(NoMail::NotNow(_))), "{mail:?}");
    unaware.live.follow().await.unwrap();
    desk(&unaware).mail(&notice).await.unwrap();

    let responder = operator(RESPONDER);
    let id = order.id.to_string();
    world.tell(&order, ANA).await;
    world
        .app
        .retract(&responder, &id, "sent in error")
        .await
        .unwrap();
    let correction = claim(&world.app, &order, Kind::Correction);
    let mail = desk(&unaware).mail(&correction).await;
    assert!(matches!(mail, Err(NoMail::NotNow(_))), "{mail:?}");
    unaware.live.follow().await.unwrap();
    let mail = desk(&unaware).mail(&correction).await.unwrap();
    assert!(String::from_utf8_lossy(mail.bytes()).contains("sent in error"));
}

/// Mails are written while the store puts them in flight. What was heard of meanwhile is in them all the same.
#[tokio::test]
async fn a_mail_that_was_written_ahead_is_written_anew_when_something_was_heard() {
    let world = company().await;
    let order = world.publish(TIKTOK).await;
    let claims = [
        claim(&world.app, &order, Kind::Order),
        claim(&world.app, &order, Kind::Reminder(1)),
    ];
    let desk = desk(&world.app);
    let mut drafts = desk.drafts(&claims).await;
    let draft = drafts.take(&desk, &claims[0]).unwrap();
    assert_eq!(draft, desk.mail(&claims[0]).await.unwrap());
    let mut ahead = |no: usize| drafts.take(&desk, &claims[no]).is_some();
    assert!(!ahead(0), "a draft is used once");
    assert!(!ahead(1), "a reminder answers what may still be in flight");

    let mut drafts = desk.drafts(&claims).await;
    world
        .people(&["ana@corp.test,,Anna,all-staff,en,UTC"])
        .await;
    assert_eq!(drafts.take(&desk, &claims[0]), None);
    assert_ne!(draft, desk.mail(&claims[0]).await.unwrap());

    // A door may refuse its person until it is begun, and it says so.
    let (responder, id) = (operator(RESPONDER), order.id.to_string());
    let why = "sent in error";
    world.app.retract(&responder, &id, why).await.unwrap();
    let correction = claim(&world.app, &order, Kind::Correction);
    let mut drafts = desk.drafts(&[correction]).await;
    assert_eq!(drafts.take(&desk, &correction), None);
    desk.mail(&correction).await.unwrap();
}

/// It waited for a retry until its order had ended: our own decision, and nobody's rejection.
#[tokio::test(flavor = "multi_thread")]
async fn inv_31_what_outlived_its_order_is_cancelled_and_counts_as_no_rejection() {
    let world = company().await;
    let ends = "expires = \"2020-07-12\"\ntitle =";
    let wary = "[stages]\nhold_at = { rejected = \"0%\" }\n[forbid]";
    let text = TIKTOK.replace("title =", ends).replace("[forbid]", wary);
    let order = world.publish(&text).await;
    let (store, now) = (&world.app.store, world.app.now());
    let key = claim(&world.app, &order, Kind::Order).key;
    let claim = vec![Wanted {
        order: key.order,
        kind: key.kind,
        people: vec![key.person],
    }];
    let turn = |turn: Turn| async move { store.turn("w", &turn, now).await.unwrap() };
    let limit = 1;
    let claimed = turn(Turn {
        claim,
        limit,
        ..Turn::default()
    });
    let start = claimed.await.claimed;
    let started = turn(Turn {
        start,
        ..Turn::default()
    });
    let settle = started.await.started.into_iter().map(|claim| Settled {
        claim,
        outcome: Outcome::Deferred { not_before: now },
        detail: "450".to_owned(),
    });
    turn(Turn {
        settle: settle.collect(),
        ..Turn::default()
    })
    .await;
    world.go_to("2020-07-12T07:00:00Z").await;
    let folder = tempfile::tempdir().unwrap();
    let sender = serve::sender(&world.app, folder.path(), serve::Options::default()).unwrap();
    let progress = sender.run_until_idle(std::future::pending()).await.unwrap();
    assert_eq!((progress.too_late, progress.rejected), (1, 0));
    let id = order.id.to_string();
    let shown = world.app.show(&operator(RESPONDER), &id).await.unwrap();
    assert_eq!((shown.notices.cancelled, shown.notices.rejected), (1, 0));
    assert_eq!(store.rejections(order.id).await.unwrap(), 0);
    assert_eq!(store.unreached(order.id, 0, 9).await.unwrap().0, 0);
}

/// A door that was cut off goes on refusing, and reports it after the retraction; and it may not be
/// certain who that was.
#[tokio::test]
async fn inv_23_who_was_perhaps_refused_after_the_retraction_is_looked_for() {
    let world = company().await;
    let order = world.publish(TIKTOK).await;
    let id = order.id.to_string();
    let app = &world.app;
    app.retract(&operator(RESPONDER), &id, "sent in error")
        .await
        .unwrap();
    let mut survey = Survey::new(desk(app), "w", Lane::People);
    survey.take(&[]).await.unwrap();
    assert_eq!(survey.planned(), 0);

    let person = app.live.view().person_called(ANA).unwrap().id;
    let refusal = Refusal {
        fingerprint: 1,
        at: app.now(),
        person: Some(person),
        certain: false,
        missing: None,
        orders: [order.id].into(),
        known: "{}".to_owned(),
    };
    let commit = Commit {
        actor: Actor::System("gate".to_owned()),
        at: app.now(),
        change: Change::Refusals(vec![refusal]),
    };
    app.store.commit(&commit).await.unwrap();
    world.clock.set(app.now() + SignedDuration::from_secs(5));
    app.live.follow().await.unwrap();
    survey.take(&[]).await.unwrap();
    let offer = survey.offer(9);
    let wanted: Vec<(Kind, &[PersonId])> = offer
        .iter()
        .map(|wanted| (wanted.kind, wanted.people.as_slice()))
        .collect();
    assert_eq!(wanted, [(Kind::Correction, [person].as_slice())]);
}

/// Of two views of one thread the second waits for a commit that waits for the first: so rarely that no
/// other test would show it.
#[tokio::test]
#[should_panic(expected = "holds a view of the index already")]
async fn a_view_within_a_view_is_found() {
    let world = company().await;
    let live = &world.app.live;
    drop(live.view());
    let outer = live.view();
    let _inner = (live.view(), outer);
}
