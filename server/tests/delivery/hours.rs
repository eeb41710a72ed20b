//! A relay that takes nothing for hours loses nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use countermand::clock::ShiftedClock;
use countermand_core::notice::Kind;
use jiff::SignedDuration;

use crate::support::sending::*;
use crate::support::smtp_record::{Fault, Setup};

#[tokio::test(flavor = "multi_thread")]
async fn inv_19_a_relay_that_takes_nothing_for_a_day_loses_nothing() {
    let mut world = World::new().await;
    let clock = Arc::new(ShiftedClock::showing(noon()));
    world.clock = clock.clone();
    let works = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&works);
    let relay = Setup::new()
        .script(move |offer| {
            if offer.to.is_empty() || asked.load(Ordering::SeqCst) {
                return Fault::Accept;
            }
            // It has no room, at different places of the dialogue.
            match person_at(offer.to) % 3 {
                0 => Fault::Data(451),
                1 => Fault::Rcpt(450),
                _ => Fault::Dot(452),
            }
        })
        .start();
    publish(&world.store, order_id(1), 0..60).await;
    world.office.refresh(&world.store).await;
    let sender = world.sender("one", relay.port());
    let mut progress = sender.progress();
    let sending = tokio::spawn(sender.run_until_idle(std::future::pending()));
    let mut now = noon();
    for _ in 0..24 {
        // Each hour everybody is tried once more, in vain: no wait between attempts is longer.
        let so_far = progress.borrow_and_update().deferred;
        progress
            .wait_for(|p| p.deferred >= so_far + 60)
            .await
            .unwrap();
        now += SignedDuration::from_hours(1);
        clock.jump_to(now);
    }
    assert_eq!(
        world.in_state(order_id(1), Kind::Order, "accepted").await,
        set([])
    );
    works.store(true, Ordering::SeqCst);
    clock.jump_to(now + SignedDuration::from_hours(1));
    let done = sending.await.unwrap().unwrap();
    assert_eq!((done.accepted, done.rejected, done.unknown), (60, 0, 0));
    assert_eq!(
        world.in_state(order_id(1), Kind::Order, "accepted").await,
        set(0..60)
    );
    let whole = relay.accepted();
    assert_eq!(whole.len(), 60, "each was taken once");
    assert_eq!(set(whole.iter().map(|m| person_at(&m.to[0]))), set(0..60));
}
