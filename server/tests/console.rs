//! The console by its forms: a real server on a loopback port, a real database, no browser.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "console/devices.rs"]
mod devices;
#[path = "console/rehearse.rs"]
mod rehearse;
#[path = "console/stops.rs"]
mod stops;
#[path = "console/strangers.rs"]
mod strangers;
mod support;

use std::sync::Arc;

use countermand::store::Outcome;
use countermand_core::actor::{Actor, Role};
use countermand_core::change::{Change, Commit};
use countermand_core::exemption::Attestation;
use countermand_core::id::PersonId;
use countermand_core::verdict::{Channel, Question};
use support::house::{ADA, ANA, BEN, House, RITA, TITLE, Visitor, order_file};

fn order_in(location: &str) -> String {
    location.strip_prefix("/orders/").unwrap().to_owned()
}

#[tokio::test]
async fn the_story_by_its_forms() {
    let house = House::build().await;
    let ana = Visitor::signed_in(&house, ANA).await;
    let text = order_file(TITLE).replace('\n', "\r\n");

    let page = ana.get("/orders/new").await;
    assert_eq!(page.status, 200);
    let before = house.entries().await;
    let looked = ana
        .post("/orders/new", &[("text", &text), ("do", "preview")])
        .await;
    assert_eq!(looked.status, 200, "{}", looked.body);
    assert!(looked.body.contains("devices with the app"));
    assert_eq!(house.entries().await, before, "a preview changes nothing");

    let got = ana
        .post("/orders/new", &[("text", &text), ("do", "submit")])
        .await;
    assert_eq!(got.status, 303, "{}", got.body);
    let id = order_in(got.header("location"));
    let page = ana.get(&format!("/orders/{id}")).await;
    assert!(page.body.contains("Submitted."), "the act is said once");
    assert!(page.body.contains("In review"));
    assert!(
        !ana.get(&format!("/orders/{id}"))
            .await
            .body
            .contains("Submitted. Another")
    );
    let stored = house.app.store.order_called(&id).await.unwrap().order;
    assert_eq!(
        stored.revision.text,
        order_file(TITLE),
        "line ends are the author's"
    );

    // Its author approves nothing, by whatever way.
    let digest = house.app.preview(&stored).unwrap().digest;
    let approve = format!("/orders/{id}/approve");
    let refused = ana.post(&approve, &[("digest", &digest)]).await;
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("You may not do this"));

    let ben = Visitor::signed_in(&house, BEN).await;
    let preview = ben.get(&format!("/orders/{id}/preview")).await;
    assert_eq!(preview.field("digest").unwrap(), digest);
    assert!(preview.body.contains("CORRECTION: you may keep TikTok"));
    assert_eq!(
        ben.post(&approve, &[("digest", "another")]).await.status,
        403
    );
    assert_eq!(ben.post(&approve, &[]).await.status, 403);
    assert_eq!(ben.post(&approve, &[("digest", &digest)]).await.status, 303);

    let statement = house.statement(&id).await;
    assert_eq!(
        ben.get(&statement).await.status,
        404,
        "not before it is published"
    );
    let page = ben.get(&format!("/orders/{id}/publish")).await;
    let digest = page.field("digest").unwrap();
    let publish = format!("/orders/{id}/publish");
    assert_eq!(
        ben.post(&publish, &[("digest", "another")]).await.status,
        403
    );
    assert_eq!(ben.post(&publish, &[("digest", &digest)]).await.status, 303);
    assert_eq!(ben.get(&statement).await.status, 200);

    let rita = Visitor::signed_in(&house, RITA).await;
    let hold = format!("/orders/{id}/hold");
    assert!(rita.get(&hold).await.body.contains("Hold now"));
    assert_eq!(
        rita.post(&hold, &[("reason", "Looks wrong")]).await.status,
        303
    );
    assert!(rita.get(&statement).await.body.contains("On hold"));
    assert_eq!(
        rita.post(&format!("/orders/{id}/resume"), &[]).await.status,
        303
    );
    let extend = format!("/orders/{id}/extend");
    let sooner = [("to", "2020-07-10T20:00:00[America/Los_Angeles]")];
    assert_eq!(rita.post(&extend, &sooner).await.status, 422);
    assert_eq!(rita.post(&extend, &[("to", "tonight")]).await.status, 422);
    let later = [("to", "2020-07-11T23:59:00[America/Los_Angeles]")];
    assert_eq!(rita.post(&extend, &later).await.status, 303);

    let retract = format!("/orders/{id}/retract");
    let before = house.entries().await;
    for (word, reason) in [("Remov", "Sent in error"), ("remove", "  ")] {
        let got = rita
            .post(&retract, &[("word", word), ("reason", reason)])
            .await;
        assert_eq!(got.status, 422);
        assert!(got.body.contains("othing has changed"));
    }
    assert_eq!(house.entries().await, before);
    assert_eq!(
        ana.post(&retract, &[("word", "Remove"), ("reason", "x")])
            .await
            .status,
        403
    );
    let got = rita
        .post(&retract, &[("word", "remove"), ("reason", "Sent in error")])
        .await;
    assert_eq!(
        (got.status, got.header("location")),
        (303, retract.as_str())
    );
    let done = rita.get(&retract).await;
    assert!(done.body.contains("The order no longer holds"));
    assert_eq!(house.entries().await, before + 1);

    // Twice is once (invariant 30).
    let got = rita
        .post(&retract, &[("word", "remove"), ("reason", "Again")])
        .await;
    assert_eq!(got.status, 303);
    assert_eq!(house.entries().await, before + 1);
    assert!(
        rita.get(&statement)
            .await
            .body
            .contains("This order no longer holds.")
    );
}

#[tokio::test]
async fn inv_32_the_statement_changes_with_the_commit_and_keeps_its_history() {
    let house = House::build().await;
    let id = house.published(TITLE).await;
    let reader = Visitor::of(&house);
    let path = house.statement(&id).await;
    let first = reader.get(&path).await;
    assert_eq!(
        (first.status, first.header("cache-control")),
        (200, "no-cache")
    );
    assert!(first.body.contains("This order holds."));
    let tag = first.header("etag").to_owned();
    let same = reader.get_with(&path, &[("if-none-match", &tag)]).await;
    assert_eq!((same.status, same.body.as_str()), (304, ""));

    let rita = Actor::Operator(RITA.to_owned());
    house
        .app
        .hold(&rita, &id, "It is being looked at")
        .await
        .unwrap();
    house
        .app
        .retract(&rita, &id, "Sent in error")
        .await
        .unwrap();
    let second = reader.get_with(&path, &[("if-none-match", &tag)]).await;
    assert_eq!(second.status, 200);
    assert_ne!(second.header("etag"), tag);
    for words in [
        "Retracted.",
        "On hold.",
        "Published.",
        "Sent in error",
        "It is being looked at",
    ] {
        assert!(second.body.contains(words), "{words}");
    }
    for name in ["rita", "Rita", "ana@", "Ana", "ben@"] {
        assert!(!second.body.contains(name), "the statement names {name}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&reader.get(&format!("{path}.json")).await.body).unwrap();
    assert_eq!(json["state"], "retracted");
    assert_eq!(json["reason"], "Security risks");
    assert_eq!(json["retraction"]["reason"], "Sent in error");
    let body = json["text"]["body"].as_str().unwrap();
    assert!(body.contains("TikTok") && !body.contains("{{"), "{body}");
    assert_eq!(json["history"].as_array().unwrap().len(), 3);
    assert_eq!(
        json["text"]["subject"],
        "Remove TikTok by tonight to keep mail on your phone"
    );
    assert_eq!(reader.get("/o/nothing").await.status, 404);
    // The short form is for those inside: there are only a million.
    assert_eq!(reader.get(&format!("/o/{id}")).await.status, 404);
    let missing = reader.get("/o/nothing.json").await;
    assert_eq!(missing.header("content-type"), "application/problem+json");
}

#[tokio::test]
async fn inv_32_the_statement_keeps_its_history_among_many_attestations() {
    let house = House::build().await;
    let id = house.published(TITLE).await;
    let order = house.app.store.order_called(&id).await.unwrap().order.id;
    for person in 0..510 {
        let commit = Commit {
            actor: Actor::System("test".to_owned()),
            at: house.app.now(),
            change: Change::Attestation(Attestation {
                order,
                person: PersonId(person),
                at: house.app.now(),
            }),
        };
        house.app.store.commit(&commit).await.unwrap();
    }
    let rita = Actor::Operator(RITA.to_owned());
    house.app.hold(&rita, &id, "Looks wrong").await.unwrap();
    house.app.resume(&rita, &id).await.unwrap();
    let path = format!("{}.json", house.statement(&id).await);
    let json: serde_json::Value =
        serde_json::from_str(&Visitor::of(&house).get(&path).await.body).unwrap();
    let history: Vec<&str> = json["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["what"].as_str().unwrap())
        .collect();
    assert_eq!(history, ["Resumed", "On hold", "Published"]);
    let page = Visitor::signed_in(&house, RITA).await;
    let page = page.get(&format!("/orders/{id}")).await.body;
    for step in ["Drafted", "Approved", "Published", "Resumed"] {
        assert!(page.contains(step), "{step}");
    }
}

#[tokio::test]
async fn the_statement_answers_while_the_database_is_away() {
    let house = House::build().await;
    let id = house.published(TITLE).await;
    let rita = Actor::Operator(RITA.to_owned());
    house
        .app
        .hold(&rita, &id, "It is being looked at")
        .await
        .unwrap();
    let reader = Visitor::of(&house);
    let path = house.statement(&id).await;
    assert!(!reader.get(&path).await.body.contains("As of"));
    house.app.store.close().await;
    let cached = reader.get(&path).await;
    assert_eq!(cached.status, 200);
    assert!(cached.body.contains("As of"));
    assert!(cached.body.contains("It is being looked at"));
    assert_eq!(reader.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn another_processs_commit_reaches_the_page() {
    let house = House::build().await;
    let id = house.published(TITLE).await;
    let rita = Visitor::signed_in(&house, RITA).await;
    let mut stream = rita.stream("/events").await;
    assert_eq!(stream.status(), 200);
    let other = house.another_app().await;
    let by = Actor::Operator(RITA.to_owned());
    other.retract(&by, &id, "Sent in error").await.unwrap();
    let committed = other.store.version().await.unwrap();
    let mut read = String::new();
    loop {
        let piece = stream.chunk().await.unwrap().expect("the stream goes on");
        read.push_str(std::str::from_utf8(&piece).unwrap());
        let told = read
            .lines()
            .filter_map(|line| line.strip_prefix("data: ")?.parse::<i64>().ok())
            .any(|version| version >= committed);
        if told {
            break;
        }
    }
    assert!(read.contains("event: changed"));
    let path = format!("/orders/{id}");
    let page = rita.get_with(&path, &[("x-fragment", "1")]).await;
    assert!(page.body.contains("<h1>") && page.body.contains("Retracted"));

    // A server that stops ends its streams.
    house.stop.send(true).unwrap();
    while let Ok(Some(_)) = stream.chunk().await {}
}

#[tokio::test]
async fn the_pages_tell_who_was_told_who_is_refused_and_who_was_not_reached() {
    let house = House::build().await;
    let id = house.published(TITLE).await;
    let (mia, sam) = ("mia@corp.test", "sam@corp.test");
    house.sent(&id, mia, Outcome::Accepted, "250 ok").await;
    house
        .sent(&id, sam, Outcome::Rejected, "550 5.1.1 no such mailbox")
        .await;
    // Past the deadline Mia, who was told and has the app, is refused.
    house.clock.set("2020-07-11T12:00:00Z".parse().unwrap());
    let rita = Visitor::signed_in(&house, RITA).await;
    let orders = rita.get("/").await;
    assert!(orders.body.contains("1 device is refused mail now"));
    assert!(orders.body.contains(r#"data-name="Devices">1<"#));
    let page = rita.get(&format!("/orders/{id}")).await;
    assert!(page.body.contains("Enforcing"));
    assert!(page.body.contains("1 notice was rejected"));
    let notices = rita.get(&format!("/orders/{id}/notices")).await;
    assert!(notices.body.contains("550 5.1.1 no such mailbox"));
    assert!(notices.body.contains(sam) && !notices.body.contains(mia));
    let before = rita.get(&format!("/orders/{id}/retract")).await;
    assert!(
        before
            .body
            .contains("device may read mail again at its next request")
    );
    assert!(before.body.contains("person gets the correction"));
    let fields = [("word", "Remove"), ("reason", "Sent in error")];
    let retract = format!("/orders/{id}/retract");
    assert_eq!(rita.post(&retract, &fields).await.status, 303);
    let done = rita.get(&retract).await;
    assert!(done.body.contains("device may read mail again"));
    let orders = rita.get("/").await.body;
    assert!(
        orders.contains(r#"data-name="Devices"><span class="soft">–"#),
        "an order that has ended reaches nobody: {orders}"
    );
    assert!(
        rita.get("/")
            .await
            .body
            .contains("0 devices are refused mail now")
    );
    let statement = rita
        .get(&format!("{}.json", house.statement(&id).await))
        .await;
    let statement: serde_json::Value = serde_json::from_str(&statement.body).unwrap();
    assert_eq!(statement["told"], 1);
}

#[tokio::test]
async fn inv_37_whom_an_order_concerns_is_for_those_who_look_people_up() {
    let house = House::build().await;
    let id = house.published(TITLE).await;
    let sam = "sam@corp.test";
    house.sent(&id, sam, Outcome::Rejected, "550 5.1.1").await;
    let shell = Actor::Local("test".to_owned());
    let vera = "vera@corp.test";
    let viewer = [Role::Viewer].into();
    house.app.put_operator(&shell, vera, viewer).await.unwrap();
    let question = Question {
        person: Some("mia@corp.test".to_owned()),
        keys: Vec::new(),
        channel: Channel::Web,
    };
    let now = house.app.now();
    for (email, looks_up, exempts) in [
        (vera, false, false),
        (ANA, false, true),
        (BEN, false, true),
        (RITA, true, true),
        (ADA, true, true),
    ] {
        let actor = Actor::Operator(email.to_owned());
        let decided = house.app.decide(&actor, &question, now).await;
        assert_eq!(decided.is_ok(), looks_up, "{email}: {decided:?}");
        let listed = house.app.exemptions(&actor).await;
        assert_eq!(listed.is_ok(), exempts, "{email}: {listed:?}");
    }
    house.app.decide(&shell, &question, now).await.unwrap();
    house.app.exemptions(&shell).await.unwrap();

    let path = format!("/orders/{id}/notices");
    for (email, looks_up) in [(ANA, false), (BEN, false), (RITA, true)] {
        let visitor = Visitor::signed_in(&house, email).await;
        let page = visitor.get(&path).await.body;
        assert_eq!(page.contains(sam), looks_up, "{email}");
        assert_eq!(page.contains("550 5.1.1"), looks_up, "{email}");
        assert_eq!(page.contains("1 notice was"), !looks_up, "{email}");
        assert_eq!(page.contains("href=\"/mailbox\""), looks_up, "{email}");
        let expected = if looks_up { 200 } else { 403 };
        assert_eq!(visitor.get("/mailbox").await.status, expected, "{email}");
        let mail = visitor
            .get("/mailbox/00112233445566778899aabbccddeeff")
            .await;
        assert_eq!(mail.status == 403, !looks_up, "{email}");
    }
    // The demo's people are made up.
    let house = House::with(|web| web.demo = true).await;
    let ana = Visitor::signed_in(&house, ANA).await;
    assert_eq!(ana.get("/mailbox").await.status, 200);
}

#[tokio::test]
async fn behind_tls_a_cookie_never_leaves_it() {
    let house = House::with(|web| {
        let mut config = (*web.app.config).clone();
        config.server.public_url = "https://countermand.corp.test".to_owned();
        web.app.config = Arc::new(config);
    })
    .await;
    let page = Visitor::of(&house).get("/sign-in").await;
    assert!(page.header("set-cookie").ends_with("; Secure"));
}

#[tokio::test]
async fn what_is_said_once_waits_for_who_looks() {
    let house = House::build().await;
    let id = house.published(TITLE).await;
    let rita = Visitor::signed_in(&house, RITA).await;
    rita.post(&format!("/orders/{id}/hold"), &[]).await;
    let path = format!("/orders/{id}");
    let words = "its notices wait";
    assert!(
        !rita
            .get_with(&path, &[("x-fragment", "1")])
            .await
            .body
            .contains(words)
    );
    assert!(rita.get(&path).await.body.contains(words));
    assert!(!rita.get(&path).await.body.contains(words));
}

#[tokio::test]
async fn a_hostile_title_is_only_text() {
    let house = House::build().await;
    let title = "<script>alert(1)</script><img src=x>";
    let id = house.published(title).await;
    let rita = Visitor::signed_in(&house, RITA).await;
    for path in [
        "/".to_owned(),
        format!("/orders/{id}"),
        format!("/orders/{id}/preview"),
        format!("/orders/{id}/notices"),
        format!("/orders/{id}/retract"),
        format!("/audit?order={id}"),
        "/audit".to_owned(),
        "/doors".to_owned(),
        "/mailbox?q=%3Cscript%3Ealert".to_owned(),
        house.statement(&id).await,
    ] {
        let page = rita.get(&path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.body);
        assert!(!page.body.contains("<script>alert"), "{path}");
        assert!(!page.body.contains("<img src"), "{path}");
    }
}

#[tokio::test]
async fn the_mailbox_shows_what_was_sent() {
    let house = House::build().await;
    let id = "00112233445566778899aabbccddeeff";
    let mail = "From: IT <it@corp.test>\r\nTo: mia@corp.test\r\nSubject: CORRECTION: you may keep it\r\nDate: Fri, 10 Jul 2020 16:54:00 -0700\r\nX-Countermand-Kind: correction\r\n\r\nHello <b>Mia</b>\r\n";
    let folder = house.data.path().join("mailbox/new");
    std::fs::write(folder.join(id), mail).unwrap();
    let rita = Visitor::signed_in(&house, RITA).await;
    let list = rita.get("/mailbox").await;
    assert!(
        list.body.contains("CORRECTION: you may keep it"),
        "{}",
        list.body
    );
    assert!(
        !rita
            .get("/mailbox?q=nobody")
            .await
            .body
            .contains("you may keep it")
    );
    let page = rita.get(&format!("/mailbox/{id}")).await;
    assert!(page.body.contains("Hello &#60;b&#62;Mia"), "{}", page.body);
    assert!(page.body.contains("10 Jul 2020, 23:54 UTC"));
    assert_eq!(
        rita.get("/mailbox/..%2F..%2Fcountermand.db").await.status,
        404
    );
}
