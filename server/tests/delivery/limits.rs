//! Limits of a sender, by a clock that the test moves.

use std::sync::Arc;

use countermand::clock::{Clock as _, ManualClock};
use countermand::outbox::limits::LimitsConfig;
use countermand::outbox::worker::{Progress, Sender};
use countermand_core::notice::Kind;
use jiff::SignedDuration;

use crate::support::sending::*;
use crate::support::smtp_record::{Fault, Recorder, Setup};

struct Stage {
    world: World,
    clock: Arc<ManualClock>,
    recorder: Recorder,
}

/// People by number: the even ones are at gmail.test, the others at corp.test.
async fn stage(setup: Setup) -> Stage {
    let mut world = World::new().await;
    let clock = Arc::new(ManualClock::at(noon()));
    world.clock = clock.clone();
    let domains = world.office.domains.set(|person| match person % 2 {
        0 => "Gmail.test",
        _ => "corp.test",
    });
    domains.unwrap();
    Stage {
        world,
        clock,
        recorder: setup.start(),
    }
}

impl Stage {
    async fn sender(&self, limits: &str) -> Sender {
        self.world.office.refresh(&self.world.store).await;
        let limits: LimitsConfig = toml::from_str(limits).unwrap();
        self.world
            .sender("one", self.recorder.port())
            .limited(&limits)
    }

    /// Moves the clock on by tenths of a second until the sender has ended.
    async fn run(&self, sender: Sender) -> (Progress, SignedDuration) {
        let began = self.clock.now();
        let mut progress = sender.progress();
        let mut sending = tokio::spawn(sender.run_until_idle(std::future::pending()));
        loop {
            tokio::select! {
                done = &mut sending => {
                    return (done.unwrap().unwrap(), self.clock.now().duration_since(began));
                }
                // Each look of the sender at its work is followed by a tenth of a second.
                changed = progress.changed() => match changed {
                    Ok(()) => self.clock.advance(SignedDuration::from_millis(100)),
                    Err(_) => return (sending.await.unwrap().unwrap(), self.clock.now().duration_since(began)),
                }
            }
        }
    }

    fn taken(&self) -> usize {
        self.recorder.accepted().len()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relays_limit_is_held_and_everybody_is_told_in_the_end() {
    let stage = stage(Setup::new()).await;
    publish(&stage.world.store, order_id(1), 0..40).await;
    let (done, took) = stage.run(stage.sender("per_second = 8").await).await;
    assert_eq!((done.accepted, done.planned), (40, 0));
    assert_eq!(
        received(&stage.recorder, order_id(1), Kind::Order),
        once_each(0..40)
    );
    // Two at once, and then eight a second.
    assert!(took >= SignedDuration::from_millis(4_700), "{took}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_behind_people_of_a_slow_domain() {
    let stage = stage(Setup::new()).await;
    publish(&stage.world.store, order_id(1), 0..400).await;
    let sender = stage.sender("per_domain = { \"gmail.test\" = 1 }").await;
    // The clock stands: of the slow domain one may leave, of the other all.
    let mut progress = sender.progress();
    let sending = tokio::spawn(sender.run(std::future::pending()));
    let waits = |p: &Progress| p.accepted == 201 && p.planned == 199;
    progress.wait_for(waits).await.unwrap();
    assert_eq!(stage.taken(), 201);
    let of_corp = received(&stage.recorder, order_id(1), Kind::Order);
    let of_corp = set(of_corp.into_keys().filter(|person| person % 2 == 1));
    assert_eq!(of_corp, set((0..400).filter(|person| person % 2 == 1)));
    stage.clock.advance(SignedDuration::from_secs(1));
    progress.wait_for(|p| p.accepted == 202).await.unwrap();
    sending.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_28_no_limit_makes_a_correction_wait() {
    let stage = stage(Setup::new()).await;
    publish(&stage.world.store, order_id(1), 0..60).await;
    stage.world.send("first", stage.recorder.port()).await;
    publish(&stage.world.store, order_id(2), 0..60).await;
    retract(&stage.world.store, order_id(1)).await;
    let sender = stage
        .sender("per_second = 1\nper_domain = { \"*\" = 1 }")
        .await;
    let mut progress = sender.progress();
    let sending = tokio::spawn(sender.run(std::future::pending()));
    // The clock stands, and all corrections leave. The other order's notices wait for what they took.
    progress.wait_for(|p| p.accepted == 60).await.unwrap();
    assert_eq!(
        received(&stage.recorder, order_id(1), Kind::Correction),
        once_each(0..60)
    );
    stage.clock.advance(SignedDuration::from_secs(30));
    assert_eq!(stage.taken(), 120, "nothing else was taken");
    stage.clock.advance(SignedDuration::from_secs(35));
    progress.wait_for(|p| p.accepted > 60).await.unwrap();
    sending.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_attempts_wait_for_no_limit_and_end() {
    let faults = [Fault::Rcpt(450), Fault::Accept];
    let stage = stage(Setup::new().faults(&faults.repeat(6))).await;
    publish(&stage.world.store, order_id(1), 0..12).await;
    let (done, _) = stage.run(stage.sender("per_second = 20").await).await;
    assert_eq!(done.accepted, 12);
    assert!(done.deferred > 0);
}
