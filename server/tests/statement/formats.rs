//! What every format of a statement has in common.

use countermand::store::Outcome;
use countermand_core::notice::Kind;

use super::support::house::{House, TITLE, Visitor};
use super::{MIA, link, parts, rita};

/// Every address under which an order's statement is, or stands among others.
fn formats(path: &str) -> Vec<String> {
    let mut all: Vec<String> = ["", ".json", ".cap.xml"]
        .iter()
        .map(|ending| format!("{path}{ending}"))
        .collect();
    all.push("/statements.atom".to_owned());
    all
}

#[tokio::test]
async fn inv_32_every_format_is_revalidated_and_changes_with_the_commit() {
    let house = House::build().await;
    let id = house.published(TITLE).await;
    let reader = Visitor::of(&house);
    let all = formats(&house.statement(&id).await);
    let mut tags = Vec::new();
    for path in &all {
        let got = reader.get(path).await;
        assert_eq!(
            (got.status, got.header("cache-control")),
            (200, "no-cache"),
            "{path}"
        );
        let tag = got.header("etag").to_owned();
        let same = reader.get_with(path, &[("if-none-match", &tag)]).await;
        assert_eq!((same.status, same.body.as_str()), (304, ""), "{path}");
        tags.push(tag);
    }
    house
        .app
        .retract(&rita(), &id, "Sent in error")
        .await
        .unwrap();
    for (path, tag) in all.iter().zip(&tags) {
        let got = reader.get_with(path, &[("if-none-match", tag)]).await;
        assert_eq!(got.status, 200, "{path}");
        assert!(got.body.contains("Sent in error"), "{path}");
    }
    let tag = reader.get(&all[0]).await.header("etag").to_owned();
    house
        .app
        .say_cause(&rita(), &id, "A draft was published by mistake")
        .await
        .unwrap();
    let page = reader.get_with(&all[0], &[("if-none-match", &tag)]).await;
    assert!(page.body.contains("A draft was published by mistake"));
    assert!(page.body.contains("Cause given."));
    assert!(
        reader
            .get(&all[3])
            .await
            .body
            .contains("A draft was published by mistake")
    );
}

#[tokio::test]
async fn every_format_answers_while_the_database_is_away() {
    let house = House::build().await;
    let id = house.published(TITLE).await;
    let unseen = house.published("Remove WeChat").await;
    house
        .app
        .hold(&rita(), &id, "It is being looked at")
        .await
        .unwrap();
    let reader = Visitor::of(&house);
    let (path, other) = (house.statement(&id).await, house.statement(&unseen).await);
    // Read once, as any reader of the feed does: all of them are kept.
    reader.get("/statements.atom").await;
    house.app.store.close().await;
    for path in formats(&path).iter().chain(&formats(&other)) {
        let got = reader.get(path).await;
        assert_eq!(got.status, 200, "{path}: {}", got.body);
        assert!(
            got.body.to_lowercase().contains("as of") || got.body.contains("as_of"),
            "{path}"
        );
        assert!(!got.header("x-countermand-as-of").is_empty(), "{path}");
        let tag = got.header("etag").to_owned();
        let same = reader.get_with(path, &[("if-none-match", &tag)]).await;
        assert_eq!(same.status, 304, "{path}");
    }
    let held = reader.get(&format!("{path}.cap.xml")).await;
    assert!(held.body.contains("It is being looked at"));
}

#[tokio::test]
async fn an_order_that_nobody_read_keeps_its_state_but_not_its_messages() {
    let house = House::build().await;
    let id = house.published(TITLE).await;
    let reader = Visitor::of(&house);
    let path = house.statement(&id).await;
    house.app.store.close().await;
    assert!(reader.get(&path).await.body.contains("This order holds."));
    // A number made from half a record would be a wrong one.
    let cap = reader.get(&format!("{path}.cap.xml")).await;
    assert_eq!(cap.status, 503);
}

#[tokio::test]
async fn inv_37_no_format_names_a_person_or_their_apps() {
    let house = House::build().await;
    let id = house.published(TITLE).await;
    house.sent(&id, MIA, Outcome::Accepted, "250 ok").await;
    let link = link(&house, &id, MIA, Kind::Order);
    house
        .app
        .hold(&rita(), &id, "It is being looked at")
        .await
        .unwrap();
    house
        .app
        .retract(&rita(), &id, "Sent in error")
        .await
        .unwrap();
    house.app.say_cause(&rita(), &id, "A slip").await.unwrap();
    let reader = Visitor::of(&house);
    let (path, token) = parts(&link);
    let mut all = formats(path);
    all.extend(formats(path)[..3].iter().map(|f| format!("{f}?n={token}")));
    all.extend((1..=3).map(|n| format!("{path}.cap.xml?version={n}")));
    for address in all {
        let got = reader.get(&address).await;
        assert_eq!(got.status, 200, "{address}");
        for planted in [
            "Mia",
            "Lind",
            "mia@",
            "Sam",
            "Ode",
            "sam@",
            "chess",
            "Ana",
            "ana@",
            "ben@",
            "rita",
            "P1",
            "all-staff",
        ] {
            assert!(!got.body.contains(planted), "{address} says {planted}");
        }
    }
}

#[tokio::test]
async fn a_draft_is_in_no_format() {
    let house = House::build().await;
    let ana = countermand_core::actor::Actor::Operator(super::support::house::ANA.to_owned());
    let text = super::support::house::order_file("A secret plan");
    let draft = house.app.draft(&ana, &text).await.unwrap();
    let reader = Visitor::of(&house);
    for path in &formats(&format!("/o/{}", draft.id))[..3] {
        assert_eq!(reader.get(path).await.status, 404, "{path}");
    }
    let feed = reader.get("/statements.atom").await;
    assert!(feed.status == 200 && !feed.body.contains("secret"));
}
