//! The feed of all statements (RFC 4287).

use super::rita;
use super::support::house::{House, TITLE, Visitor};
use super::xml::{check, text, texts};

#[tokio::test]
async fn the_feed_has_every_statement_newest_change_first_under_ids_that_stay() {
    let house = House::build().await;
    let reader = Visitor::of(&house);
    let empty = reader.get("/statements.atom").await;
    assert_eq!(
        empty.header("content-type"),
        "application/atom+xml; charset=utf-8"
    );
    assert!(texts(&empty.body, "entry").is_empty());
    check(&[empty.body], None);

    let step = || house.clock.advance(jiff::SignedDuration::from_mins(7));
    let first = house.published(TITLE).await;
    step();
    let second = house.published("Remove WeChat").await;
    let ids = |feed: &str| -> Vec<String> {
        texts(feed, "entry")
            .iter()
            .map(|e| text(e, "id").to_owned())
            .collect()
    };
    let feed = reader.get("/statements.atom").await.body;
    let before = ids(&feed);
    assert_eq!(before.len(), 2);
    assert!(texts(&feed, "entry")[0].contains("In force: Remove WeChat"));
    step();
    house
        .app
        .retract(&rita(), &first, "Sent in error")
        .await
        .unwrap();
    let feed = reader.get("/statements.atom").await.body;
    let after = ids(&feed);
    assert_eq!(after, [before[1].clone(), before[0].clone()]);
    let entry = texts(&feed, "entry")[0];
    assert_eq!(text(entry, "title"), format!("Retracted: {TITLE}"));
    assert_eq!(text(entry, "updated"), "2020-07-10T19:14:00Z");
    assert_eq!(text(entry, "published"), "2020-07-10T19:00:00Z");
    assert!(entry.contains(&format!(
        "href=\"http://127.0.0.1:8420{}\"",
        house.statement(&first).await
    )));
    assert!(feed.starts_with("<?xml") && feed.contains("<updated>2020-07-10T19:14:00Z</updated>"));
    assert!(entry.contains("Cause: not yet known"));
    step();
    house
        .app
        .say_cause(&rita(), &first, "A slip")
        .await
        .unwrap();
    let feed = reader.get("/statements.atom").await.body;
    assert!(texts(&feed, "entry")[0].contains("Cause: A slip"));
    assert!(
        reader
            .get(&house.statement(&second).await)
            .await
            .body
            .contains("href=\"/statements.atom\"")
    );
    check(&[feed], None);
}

#[tokio::test]
async fn the_feed_tells_of_the_fifty_orders_to_which_something_happened_last() {
    let house = House::build().await;
    let reader = Visitor::of(&house);
    let first = house.published("Order 0").await;
    house.app.retract(&rita(), &first, "Sent").await.unwrap();
    for n in 1..=50 {
        house.clock.advance(jiff::SignedDuration::from_mins(1));
        house.published(&format!("Order {n}")).await;
    }
    let titles = async || -> Vec<String> {
        let feed = reader.get("/statements.atom").await.body;
        let entries = texts(&feed, "entry");
        entries
            .iter()
            .map(|e| text(e, "title").to_owned())
            .collect()
    };
    let before = titles().await;
    assert_eq!(before.len(), 50);
    assert_eq!(before[0], "In force: Order 50");
    assert_eq!(before[49], "In force: Order 1");
    house.clock.advance(jiff::SignedDuration::from_mins(1));
    house
        .app
        .say_cause(&rita(), &first, "A slip")
        .await
        .unwrap();
    let after = titles().await;
    assert_eq!((after.len(), after[0].as_str()), (50, "Retracted: Order 0"));
    assert_eq!(after[49], "In force: Order 2");
    house.app.store.close().await;
    assert_eq!(titles().await, after);
}
