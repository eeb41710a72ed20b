//! What is written down of a refusal, and when.

use sqlx::Connection as _;

use crate::house::{BOB, House, login, told, uri};
use crate::support::app::{RESPONDER, operator};

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_on_record_before_the_answer_and_repeats_are_only_counted() {
    let (house, order) = House::enforcing().await;
    let store = &house.world.app.store;
    let reply = house.sync("DEV7F3A").await;
    let reference = reply.header("x-countermand-ref").unwrap().to_owned();
    let alice = house.person("alice@corp.test");

    let found = house
        .world
        .app
        .explain(&operator(RESPONDER), &reference)
        .await
        .unwrap();
    assert_eq!(
        (found.len(), found[0].times, found[0].person),
        (1, 1, Some(alice))
    );
    // Who looked is on record, with whose it was.
    let look = store.audit_newest(None, 1).await.unwrap().remove(0);
    assert_eq!(
        (look.action.as_str(), look.actor.name()),
        ("person.look", RESPONDER)
    );
    assert_eq!(
        look.details,
        format!("{{\"people\":[{alice}],\"what\":\"refusal\"}}")
    );
    let written = store.version().await.unwrap();
    let known: serde_json::Value = serde_json::from_str(&found[0].known).unwrap();
    assert_eq!(known["door"], "http");
    assert_eq!(known["question"]["person"], "alice@corp.test");
    assert_eq!(known["question"]["keys"][0], "eas:DEV7F3A");
    assert_eq!(known["verdict"]["because"][0]["seen"]["app_name"], "TikTok");
    assert!(store.refused(order.id).await.unwrap().contains(alice.0));

    house
        .world
        .clock
        .advance(jiff::SignedDuration::from_mins(5));
    for _ in 0..2 {
        assert_eq!(
            house.sync("DEV7F3A").await.header("x-countermand-ref"),
            Some(&*reference)
        );
    }
    assert_eq!(
        store.version().await.unwrap(),
        written,
        "nothing was written again"
    );
    house.gate.flush().await.unwrap();
    let found = house.recorded(&reference).await;
    assert_eq!(
        (found[0].times, found[0].last_at),
        (3, house.world.app.now())
    );
    house.gate.flush().await.unwrap();
    assert_eq!(house.recorded(&reference).await[0].times, 3, "counted once");

    assert_eq!(told(&house.sync("DEV9C1E").await).0, 204);
    let figures = house.gate.figures();
    assert_eq!(figures.len(), 1);
    assert_eq!(
        (figures[0].asked, figures[0].let_in, figures[0].refused),
        (4, 1, 3)
    );
    assert_eq!(figures[0].last_refused, Some(house.world.app.now()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_door_is_answered_while_the_database_is_away() {
    let (house, _) = House::enforcing().await;
    house.world.app.store.close().await;
    assert_eq!(told(&house.sync("DEV9C1E").await), (204, Some("allow")));
    assert_eq!(told(&house.sync("DEV7F3A").await), (403, Some("deny")));
    assert_eq!(told(&house.sync("DEV7F3A").await), (403, Some("deny")));
    let families = house.gate.registry().gather();
    let waiting = families
        .iter()
        .find(|f| f.name() == "countermand_gate_refusals_waiting")
        .unwrap();
    assert_eq!(
        waiting.get_metric()[0].get_gauge().get_value(),
        1.0,
        "kept to be tried again"
    );
    assert!(house.gate.flush().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_that_cannot_be_written_are_kept_and_keep_no_refusal_waiting() {
    let (house, _) = House::enforcing().await;
    let store = &house.world.app.store;
    let file = format!("sqlite://{}", store.file().unwrap().display());
    let mut db = sqlx::AnyConnection::connect(&file).await.unwrap();
    let away = "ALTER TABLE device_claim RENAME TO away";
    sqlx::query(away).execute(&mut db).await.unwrap();
    let written = store.version().await.unwrap();
    for n in 0..12 {
        house
            .dovecot(&login("carol@corp.test", &format!("d{n}")))
            .await;
    }
    assert!(house.gate.flush().await.is_err());
    let reply = house.http(&[("X-Original-URI", &uri("MADEUP")), BOB]).await;
    let reference = reply.header("x-countermand-ref").unwrap();
    assert_eq!(house.recorded(reference).await.len(), 1);
    let back = "ALTER TABLE away RENAME TO device_claim";
    sqlx::query(back).execute(&mut db).await.unwrap();
    house.gate.flush().await.unwrap();
    let carol = house.person("carol@corp.test");
    assert_eq!(
        store.claims_of_person(carol).await.unwrap().len(),
        10,
        "no more of one"
    );
    assert_eq!(
        store.version().await.unwrap(),
        written + 2,
        "all in one commit"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn made_up_phones_do_not_fill_the_record() {
    let (house, order) = House::enforcing().await;
    let mut references = std::collections::BTreeSet::new();
    for n in 0..60 {
        let reply = house.sync(&format!("MADEUP{n}")).await;
        assert_eq!(told(&reply), (403, Some("deny")));
        references.insert(reply.header("x-countermand-ref").unwrap().to_owned());
    }
    let mut recorded = 0;
    for reference in &references {
        recorded += house.recorded(reference).await.len();
    }
    assert_eq!((references.len(), recorded), (60, 50));
    assert_eq!(
        house.world.app.store.refused(order.id).await.unwrap().len(),
        0,
        "nobody is mailed for what a stranger may have made up"
    );
    let own = house.sync("DEV7F3A").await;
    let reference = own.header("x-countermand-ref").unwrap();
    let found = house.recorded(reference).await;
    assert_eq!(found.len(), 1, "her own phone is recorded all the same");
    let reply = house.http(&[("X-Original-URI", &uri("MADEUP")), BOB]).await;
    let found = house
        .recorded(reply.header("x-countermand-ref").unwrap())
        .await;
    assert_eq!(found.len(), 1, "another person is not concerned");
}
