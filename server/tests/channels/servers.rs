//! Two servers on one database; one of them has not all channels in its config.

use std::sync::Arc;

use countermand::app::App;
use countermand::app::waits::Why;
use countermand::outbox::worker::Sender;
use countermand::serve::{self, Options};
use countermand::store::{Outcome, Settled, Turn, Wanted};
use countermand_core::id::PersonId;
use countermand_core::notice::Kind;
use countermand_core::order::Order;

use super::play::*;
use super::support::app::World;
use super::support::postgres::Postgres;
use super::support::webhook::Webhook;

#[tokio::test(flavor = "multi_thread")]
async fn inv_18_a_server_leaves_a_channel_that_it_has_not_to_one_that_has_it() {
    leaves_it(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_18_a_server_leaves_a_channel_that_it_has_not_on_postgres() {
    let url = tokio::task::spawn_blocking(|| Postgres::shared().map(Postgres::fresh_database));
    if let Some(url) = url.await.unwrap() {
        leaves_it(Some(url)).await;
    }
}

async fn leaves_it(database: Option<String>) {
    let hook = Webhook::start().await;
    let channels = vec![plain(&hook, "ops"), plain(&hook, "board")];
    let world = house_on(database, channels).await;
    let mut lesser = world.app.clone();
    let mut config = (*lesser.config).clone();
    config
        .notices
        .channels
        .retain(|channel| channel.name == "ops");
    lesser.config = Arc::new(config);
    let order = world.publish(&order_at(&["ops", "board"])).await;
    // What is planned, and then what waits for a retry, of the announcement and of its correction.
    leaves(&world, &lesser, &order, 1).await;
    let at = at_channels(&world, &order).await;
    assert_eq!(
        (at["ops"].announcement, at["board"].announcement),
        ("accepted", "planned")
    );
    try_in_vain(&world, &order, Kind::Order).await;
    leaves(&world, &lesser, &order, 0).await;
    send(&world, "one", LONG).await;
    let at = at_channels(&world, &order).await;
    assert_eq!(at["board"].announcement, "accepted");
    retract(&world, &order).await;
    leaves(&world, &lesser, &order, 1).await;
    try_in_vain(&world, &order, Kind::Correction).await;
    leaves(&world, &lesser, &order, 0).await;
    send(&world, "two", LONG).await;
    let at = at_channels(&world, &order).await;
    assert_eq!(at["board"].correction, Some("accepted"));
    assert!(lesser.waits().await.unwrap().is_empty());
    assert_eq!(
        (hook.asked("/ops").len(), hook.asked("/board").len()),
        (2, 2)
    );
}

/// The lesser server's senders, of mail too, come to an end without the board; and it says who is left.
async fn leaves(world: &World, lesser: &App, order: &Order, announces: u64) {
    let idle =
        |sender: Sender| async { sender.run_until_idle(std::future::pending()).await.unwrap() };
    let progress = idle(serve::announcer(lesser).await.unwrap().unwrap()).await;
    assert_eq!(
        (progress.accepted, progress.deferred, progress.rejected),
        (announces, 0, 0)
    );
    let mailbox = tempfile::tempdir().unwrap();
    let mails = serve::sender(lesser, mailbox.path(), Options::default()).unwrap();
    assert_eq!(idle(mails).await.deferred, 0);
    let left = lesser.waits().await.unwrap().remove(0);
    assert_eq!(left.order.id, order.id);
    assert_eq!(left.why, Why::NoChannel(vec!["board".to_owned()]));
    assert!(world.app.waits().await.unwrap().is_empty());
}

/// The board's server puts a server off that has it.
async fn try_in_vain(world: &World, order: &Order, kind: Kind) {
    let (store, now) = (&world.app.store, world.app.now());
    let board = PersonId::channel(store.channels().await.unwrap()["board"]);
    let turn = Turn {
        claim: vec![Wanted {
            order: order.id,
            kind,
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
    assert_eq!(started.len(), 1);
    let put_off = |claim| Settled {
        claim,
        outcome: Outcome::Deferred { not_before: now },
        detail: "503".to_owned(),
    };
    let turn = Turn {
        settle: started.into_iter().map(put_off).collect(),
        ..Turn::default()
    };
    store.turn("w", &turn, now).await.unwrap();
}
