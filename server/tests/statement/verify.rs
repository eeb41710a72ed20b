//! A notice in somebody's hand: is it genuine, and does it still hold?

use countermand::config::{Config, Statements};
use countermand::store::Outcome;
use countermand_core::notice::Kind;
use serde_json::{Value, json};

use super::support::house::{House, RITA, TITLE, Visitor};
use super::{MIA, SAM, forged, link, parts, rita};

async fn json(reader: &Visitor, link: &str) -> Value {
    let (path, token) = parts(link);
    let got = reader.get(&format!("{path}.json?n={token}")).await;
    assert_eq!(got.status, 200, "{}", got.body);
    serde_json::from_str::<Value>(&got.body).unwrap()["notice"].clone()
}

#[tokio::test]
async fn a_notice_proves_itself_and_follows_its_order() {
    let house = House::build().await;
    let id = house.published(TITLE).await;
    let reader = Visitor::of(&house);
    let link = link(&house, &id, MIA, Kind::Order);

    // It bears the seal; but nothing was sent yet.
    let page = reader.get(&link).await;
    assert!(
        page.body.contains("can&#39;t be confirmed"),
        "{}",
        page.body
    );
    assert_eq!(json(&reader, &link).await["genuine"], json!(false));

    house.sent(&id, MIA, Outcome::Accepted, "250 ok").await;
    let page = reader.get(&link).await;
    for words in [
        "This notice is genuine.",
        "IT Security on 10 Jul 2020, 12:00 PDT as the order itself",
        "remove TikTok by 10 Jul 2020, 23:59 PDT",
        "It still holds.",
        "This looks wrong",
        "This order holds.",
        "name=\"robots\" content=\"noindex\"",
    ] {
        assert!(page.body.contains(words), "{words}: {}", page.body);
    }
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    assert_eq!(page.header("cache-control"), "private, no-cache");
    assert_eq!(page.header("x-robots-tag"), "noindex");
    let notice = json(&reader, &link).await;
    assert_eq!(notice["genuine"], json!(true));
    assert_eq!(notice["kind"], json!("order"));
    assert_eq!(notice["said_comply_by"], json!("2020-07-11T06:59:00Z"));
    assert_eq!(notice["holds"], json!(true));

    // The tag is of what this link shows, and of nothing else.
    let tag = page.header("etag").to_owned();
    let same = reader.get_with(&link, &[("if-none-match", &tag)]).await;
    assert_eq!(same.status, 304);
    let plain = parts(&link).0;
    let other = reader.get_with(plain, &[("if-none-match", &tag)]).await;
    assert_eq!(other.status, 200);
    assert!(!other.body.contains("genuine"));
    assert_eq!(other.header("cache-control"), "no-cache");

    let to = "2020-07-12T12:00:00-07:00[America/Los_Angeles]"
        .parse()
        .unwrap();
    house.app.extend(&rita(), &id, &to).await.unwrap();
    let page = reader.get(&link).await;
    assert!(
        page.body
            .contains("the deadline has since been moved to 12 Jul 2020, 12:00 PDT"),
        "{}",
        page.body
    );
    house.app.hold(&rita(), &id, "Is it right?").await.unwrap();
    let page = reader.get(&link).await;
    assert!(
        page.body.contains("has been on hold since"),
        "{}",
        page.body
    );
    house
        .app
        .retract(&rita(), &id, "Sent in error")
        .await
        .unwrap();
    let page = reader.get(&link).await;
    assert!(page.body.contains("This notice is genuine."));
    assert!(
        page.body
            .contains("It no longer holds: the order was retracted on 10 Jul 2020")
    );
    assert!(!page.body.contains("looks-wrong"));
    assert_eq!(json(&reader, &link).await["holds"], json!(false));
}

#[tokio::test]
async fn a_wrong_cut_or_foreign_token_is_no_genuine_notice() {
    let house = House::build().await;
    let id = house.published(TITLE).await;
    let other = house.published("Remove WeChat").await;
    house.sent(&id, MIA, Outcome::Accepted, "250 ok").await;
    house.sent(&other, MIA, Outcome::Accepted, "250 ok").await;
    house.sent(&id, SAM, Outcome::Rejected, "550 no").await;
    let reader = Visitor::of(&house);
    let good = link(&house, &id, MIA, Kind::Order);
    let (path, token) = parts(&good);
    let foreign = link(&house, &other, MIA, Kind::Order);
    for wrong in [
        String::new(),
        "x".to_owned(),
        forged(token),
        token[..40].to_owned(),
        parts(&foreign).1.to_owned(),
    ] {
        let page = reader.get(&format!("{path}?n={wrong}")).await;
        assert_eq!(page.status, 200);
        assert!(
            page.body
                .contains("This is not a genuine notice of this order."),
            "{wrong}"
        );
        assert!(page.body.contains("helpdesk"));
        // What is true of the order is shown all the same.
        assert!(page.body.contains("This order holds."));
        assert!(!page.body.contains("looks-wrong"));
        let got = json(&reader, &format!("{path}?n={wrong}")).await;
        assert_eq!(got["genuine"], json!(false));
    }
    // What the relay refused was never sent.
    let rejected = link(&house, &id, SAM, Kind::Order);
    assert_eq!(json(&reader, &rejected).await["genuine"], json!(false));
    // Nor does an order that is not there lend its name to anything.
    let nowhere = format!("/o/00000000-0000-7000-8000-0000000000ff?n={token}");
    let page = reader.get(&nowhere).await;
    assert_eq!(page.status, 404);
    assert!(page.body.contains("not genuine"));
}

#[tokio::test]
async fn a_correction_and_a_retry_that_may_have_arrived_are_genuine() {
    let house = House::build().await;
    let id = house.published(TITLE).await;
    house
        .sent(
            &id,
            MIA,
            Outcome::Unknown {
                not_before: house.app.now(),
            },
            "lost after the dot",
        )
        .await;
    let reader = Visitor::of(&house);
    let order = link(&house, &id, MIA, Kind::Order);
    assert_eq!(json(&reader, &order).await["genuine"], json!(true));
    house
        .app
        .retract(&rita(), &id, "Sent in error")
        .await
        .unwrap();
    let correction = link(&house, &id, MIA, Kind::Correction);
    assert_eq!(json(&reader, &correction).await["genuine"], json!(false));
    house
        .sent_kind(&id, MIA, Kind::Correction, Outcome::Accepted, "250 ok")
        .await;
    let notice = json(&reader, &correction).await;
    assert_eq!(notice["genuine"], json!(true));
    assert_eq!(notice["holds"], json!(true));
    let page = reader.get(&correction).await;
    assert!(page.body.contains("as the correction of this order"));
    assert!(page.body.contains("What it said holds"));
}

#[tokio::test]
async fn a_preview_proves_nothing() {
    let house = House::build().await;
    let id = house.published(TITLE).await;
    house.sent(&id, MIA, Outcome::Accepted, "250 ok").await;
    let order = house.app.store.order_called(&id).await.unwrap().order;
    let mia = (house.app.live.view().person_called(MIA).cloned()).unwrap();
    let shown = house.app.sample(&order, &mia, Kind::Order).unwrap().mail;
    assert!(shown.text.contains(&format!("/o/{}>", order.id)));
    assert!(!shown.text.contains("?n="));
    // The link that leaves survives both parts of the mail.
    let link = link(&house, &id, MIA, Kind::Order);
    assert!(link.starts_with(&format!("/o/{}?n=", order.id)));
}

#[tokio::test]
async fn an_internal_statement_opens_to_operators_and_to_genuine_notices() {
    let house = House::configured(|config: &mut Config| {
        config.server.statements = Statements::Internal;
    })
    .await;
    let id = house.published(TITLE).await;
    house.sent(&id, MIA, Outcome::Accepted, "250 ok").await;
    let link = link(&house, &id, MIA, Kind::Order);
    let (path, token) = parts(&link);
    let stranger = Visitor::of(&house);
    let led = stranger.get(path).await;
    assert_eq!(led.status, 303);
    assert!(led.header("location").starts_with("/sign-in"));
    for closed in [
        format!("{path}.json"),
        format!("{path}.cap.xml"),
        "/statements.atom".to_owned(),
    ] {
        let got = stranger
            .get_with(&closed, &[("accept", "application/json")])
            .await;
        assert_eq!(got.status, 401, "{closed}");
        assert!(!got.body.contains("TikTok"));
    }
    let wrong = stranger.get(&format!("{path}?n={}", forged(token))).await;
    assert_eq!(wrong.status, 403);
    assert!(wrong.body.contains("not a genuine notice") && !wrong.body.contains("TikTok"));
    let open = stranger.get(&link).await;
    assert_eq!(open.status, 200);
    assert!(open.body.contains("This notice is genuine."));
    let cap = stranger.get(&format!("{path}.cap.xml?n={token}")).await;
    assert!(
        cap.body.contains("<scope>Restricted</scope>"),
        "{}",
        cap.body
    );
    let operator = Visitor::signed_in(&house, RITA).await;
    for open in [path, "/statements.atom"] {
        let got = operator.get(open).await;
        assert_eq!(
            (got.status, got.header("cache-control")),
            (200, "private, no-cache")
        );
    }
}

#[tokio::test]
async fn while_the_database_is_away_the_seal_alone_speaks() {
    let house = House::build().await;
    let id = house.published(TITLE).await;
    house.sent(&id, MIA, Outcome::Accepted, "250 ok").await;
    let link = link(&house, &id, MIA, Kind::Order);
    let (path, token) = parts(&link);
    let reader = Visitor::of(&house);
    house.app.store.close().await;
    let page = reader.get(&link).await;
    assert_eq!(page.status, 200);
    for words in [
        "This notice is genuine.",
        "looked up just now",
        "It still holds.",
        "As of",
    ] {
        assert!(page.body.contains(words), "{words}");
    }
    let page = reader.get(&format!("{path}?n={}", forged(token))).await;
    assert!(page.body.contains("This is not a genuine notice"));
}

#[tokio::test]
async fn inv_14_who_got_a_notice_says_that_it_looks_wrong_once_and_by_a_form_alone() {
    let house = House::build().await;
    let id = house.published(TITLE).await;
    house.sent(&id, MIA, Outcome::Accepted, "250 ok").await;
    let order = house.app.store.order_called(&id).await.unwrap().order.id;
    let link = link(&house, &id, MIA, Kind::Order);
    let (path, token) = parts(&link);
    let report = format!("{path}/looks-wrong");
    let reader = Visitor::of(&house);
    let counted = async || house.app.store.looks_wrong(order).await.unwrap();

    // A scanner follows every link, with and without the token, and changes nothing.
    let entries = house.entries().await;
    for address in [link.clone(), format!("{report}?n={token}"), report.clone()] {
        reader.get(&address).await;
    }
    let unsent = super::link(&house, &id, SAM, Kind::Order);
    let other = house.published("Remove WeChat").await;
    let entries_now = house.entries().await;
    house.sent(&other, MIA, Outcome::Accepted, "250 ok").await;
    let foreign = super::link(&house, &other, MIA, Kind::Order);
    for wrong in ["", "x", &forged(token), parts(&unsent).1, parts(&foreign).1] {
        let got = reader.send(&report, &[("n", wrong)]).await;
        assert_eq!(got.status, 403, "{wrong}");
    }
    // Its place is the form, not the address.
    let got = reader.send(&format!("{report}?n={token}"), &[]).await;
    assert_eq!(got.status, 403);
    assert_eq!(counted().await, 0);
    assert_eq!(house.entries().await, entries_now);
    assert!(entries <= entries_now);

    let form = reader.get(&link).await;
    assert!(form.body.contains(&format!("action=\"{report}\"")));
    assert_eq!(form.field("n").as_deref(), Some(token));
    let got = reader.send(&report, &[("n", token)]).await;
    assert_eq!(got.status, 200);
    assert!(
        got.body.contains("It is counted, once a person."),
        "{}",
        got.body
    );
    assert!(!got.body.contains("mia") && !got.body.contains("Mia"));
    assert_eq!(counted().await, 1);
    let entry = &house.app.store.audit_newest(None, 1).await.unwrap()[0];
    assert_eq!(entry.number, entries_now + 1);
    assert_eq!(entry.order, Some(order));

    let again = reader.send(&report, &[("n", token)]).await;
    assert!(
        again.body.contains("You had said so before"),
        "{}",
        again.body
    );
    assert_eq!(counted().await, 1);
    assert_eq!(house.entries().await, entries_now + 1);

    house
        .app
        .retract(&rita(), &id, "Sent in error")
        .await
        .unwrap();
    let late = reader.send(&report, &[("n", token)]).await;
    assert!(late.body.contains("nothing left to count"), "{}", late.body);
    assert_eq!(counted().await, 1);
}
