//! Two servers on one database; one of them has not all channels in its config.

use std::sync::Arc;

use countermand::outbox::worker::Sender;
use countermand::serve;
use countermand::store::{Outcome, Settled, Turn, Wanted};
use countermand_core::id::PersonId;
use countermand_core::notice::Kind;
use jiff::SignedDuration;

use super::play::*;
use super::support::webhook::Webhook;

#[tokio::test(flavor = "multi_thread")]
async fn inv_18_a_server_leaves_a_channel_that_it_has_not_to_one_that_has_it() {
    let hook = Webhook::start().await;
    let world = house(vec![plain(&hook, "ops"), plain(&hook, "board")]).await;
    let mut lesser = world.app.clone();
    let mut config = (*lesser.config).clone();
    config
        .notices
        .channels
        .retain(|channel| channel.name == "ops");
    lesser.config = Arc::new(config);
    let order = world.publish(&order_at(&["ops", "board"])).await;
    let of_lesser = async || serve::announcer(&lesser).await.unwrap().unwrap();
    let idle = |sender: Sender| async { sender.run_until_idle(std::future::pending()).await };
    let progress = idle(of_lesser().await).await.unwrap();
    assert_eq!((progress.accepted, progress.rejected), (1, 0));
    let at = at_channels(&world, &order).await;
    assert_eq!(
        (at["ops"].announcement, at["board"].announcement),
        ("accepted", "planned")
    );
    // A retry is anyone's: it is put off again, and not given up.
    let numbers = world.app.store.channels().await.unwrap();
    let board = PersonId::channel(numbers["board"]);
    let (store, now) = (&world.app.store, world.app.now());
    let turn = Turn {
        claim: vec![Wanted {
            order: order.id,
            kind: Kind::Order,
            people: vec![board],
        }],
        limit: 1,
        ..Turn::default()
    };
    let start = store.turn("w", &turn, now).await.unwrap().claimed;
    let turn = Turn {
        start,
        ..Turn::default()
    };
    let started = store.turn("w", &turn, now).await.unwrap().started;
    let turn = Turn {
        settle: started
            .into_iter()
            .map(|claim| Settled {
                claim,
                outcome: Outcome::Deferred { not_before: now },
                detail: "503".to_owned(),
            })
            .collect(),
        ..Turn::default()
    };
    store.turn("w", &turn, now).await.unwrap();
    let sender = of_lesser().await;
    let mut seen = sender.progress();
    let until = async move {
        let _ = seen.wait_for(|progress| progress.deferred > 0).await;
    };
    let progress = sender.run(until).await.unwrap();
    assert_eq!((progress.deferred, progress.rejected), (1, 0));
    world.clock.advance(SignedDuration::from_secs(60));
    send(&world, "one", LONG).await;
    let at = at_channels(&world, &order).await;
    assert_eq!(at["board"].announcement, "accepted");
    assert_eq!(
        (hook.asked("/ops").len(), hook.asked("/board").len()),
        (1, 1)
    );
}
