//! A sender that seems dead loses its claims while it still holds them. What it then asks to begin is
//! nothing: only what the store let it begin may leave. (That a hold and a retraction come between in the
//! same way, the tests of invariants 36 and 22 show.)

use std::collections::BTreeSet;

use countermand::outbox::smtp::SmtpConfig;
use countermand::outbox::transport::Transport;
use countermand::store::{Claim, Outcome, Settled, Turn, Wanted};
use countermand_core::id::PersonId;
use countermand_core::notice::Kind;
use jiff::SignedDuration;

use crate::A;
use crate::support::sending::*;

/// Another sender claims for these people, and tells them at once, by another relay. Gives back whom it got.
async fn take_over(world: &World, people: BTreeSet<u32>) -> BTreeSet<u32> {
    let (store, now) = (&world.store, world.clock.now());
    let wanted = Wanted {
        order: order_id(A),
        kind: Kind::Order,
        people: people.into_iter().map(PersonId).collect(),
    };
    let turn = Turn {
        limit: wanted.people.len(),
        claim: vec![wanted],
        ..Turn::default()
    };
    let start = store.turn("another", &turn, now).await.unwrap().claimed;
    let turn = Turn {
        start,
        ..Turn::default()
    };
    let started = store.turn("another", &turn, now).await.unwrap().started;
    let settled = |claim: &Claim| Settled {
        claim: *claim,
        outcome: Outcome::Accepted,
        detail: "250 ok".to_owned(),
    };
    let turn = Turn {
        settle: started.iter().map(settled).collect(),
        ..Turn::default()
    };
    store.turn("another", &turn, now).await.unwrap();
    set(started.iter().map(|claim| claim.key.person.0))
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_18_what_another_sender_took_over_leaves_only_by_that_one() {
    const PEOPLE: u32 = 300;
    let world = World::new().await;
    // Its one session waits for the relay's first answer, and the sender's next claims with it.
    let (setup, pause) = pausing(1);
    let recorder = setup.start();
    publish(&world.store, order_id(A), 0..PEOPLE).await;
    world.office.refresh(&world.store).await;
    let smtp = SmtpConfig {
        port: recorder.port(),
        ..SmtpConfig::default()
    };
    let sender = world.sender_of(1, "one", Transport::Smtp(smtp));
    let sending = tokio::spawn(sender.run_until_idle(std::future::pending()));
    pause.reached.await.unwrap();
    let claimed = world.in_state(order_id(A), Kind::Order, "claimed").await;
    let its_end = world.clock.now() + SignedDuration::from_mins(1);
    world.store.bury_workers(its_end).await.unwrap();
    let taken = take_over(&world, claimed).await;
    assert!(!taken.is_empty(), "it held no claims");
    pause.go_on.send(()).unwrap();
    sending.await.unwrap().unwrap();
    let others = (0..PEOPLE).filter(|person| !taken.contains(person));
    assert_eq!(
        received(&recorder, order_id(A), Kind::Order),
        once_each(others)
    );
}
