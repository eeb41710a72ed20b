//! Who may not come in, and that whoever does is recorded.

use countermand::web::routes::{Kind, TABLE};
use countermand_core::actor::Actor;

use super::order_in;
use super::support::house::{ADA, ANA, BEN, House, PASSWORD, RITA, TITLE, Visitor, order_file};

/// Every route that changes anything, with `{…}` filled: the order's id, and its whole one.
fn mutating(id: &str, whole: &str) -> Vec<(String, Kind)> {
    let fill = |path: &str| path.replace("{id}", id).replace("{name}", whole);
    TABLE
        .iter()
        .filter(|route| route.method == "post")
        .map(|route| (fill(route.path), route.kind))
        .collect()
}

#[tokio::test]
async fn inv_34_every_mutating_route_refuses_strangers_and_forged_forms() {
    let house = House::build().await;
    let id = house.published(TITLE).await;
    let whole = house.app.store.order_called(&id).await.unwrap().order.id;
    let whole = whole.to_string();
    let text = order_file(TITLE);
    // What each route would take if it were asked rightly.
    let fields = [
        ("text", text.as_str()),
        ("do", "submit"),
        ("reason", "x"),
        ("word", "Remove"),
        ("to", "2020-08-10T23:59:00Z"),
        ("mode", "observe"),
        ("digest", "x"),
        ("email", ANA),
        ("password", PASSWORD),
        ("cause", "x"),
        ("key", "eas:NEW"),
        ("person", ANA),
        ("reference", "R-7Q2M-4F"),
        // The form of a notice's token, sealed by nobody.
        ("n", "R0M0000000000FGW35P0TZ7H3S8KD2B4C9QX1N6V5J8A2E7G"),
    ];
    let entries = house.entries().await;
    let version = house.app.store.version().await.unwrap();
    let stranger = Visitor::of(&house);
    for (path, kind) in mutating(&id, &whole) {
        let got = stranger.send(&path, &fields).await;
        let expected: &[u16] = match kind {
            Kind::Entry => &[403, 404],
            Kind::Notice => &[403],
            _ => &[401],
        };
        assert!(
            expected.contains(&got.status),
            "{path} answered {}",
            got.status
        );
    }
    assert_eq!(
        house.app.store.version().await.unwrap(),
        version,
        "something was written"
    );

    let mut operators = Vec::new();
    for email in [ANA, BEN, RITA, ADA] {
        operators.push(Visitor::signed_in(&house, email).await);
    }
    let version = house.app.store.version().await.unwrap();
    for (path, kind) in mutating(&id, &whole) {
        for operator in &operators {
            for csrf in ["", "0000"] {
                let mut forged = fields.to_vec();
                forged.push(("csrf", csrf));
                let got = operator.send(&path, &forged).await;
                let expected: &[u16] = match kind {
                    Kind::Entry => &[403, 404],
                    _ => &[403],
                };
                assert!(
                    expected.contains(&got.status),
                    "{path} answered {}",
                    got.status
                );
            }
        }
    }
    assert_eq!(
        house.app.store.version().await.unwrap(),
        version,
        "something was written"
    );
    assert_eq!(house.entries().await, entries);
}

#[tokio::test]
async fn inv_34_the_table_lists_every_route_and_every_change_is_recorded() {
    // The router is made from the table alone; what changes is a POST, and a POST says which kind.
    for route in TABLE {
        let changes = matches!(
            route.kind,
            Kind::Changes | Kind::Notice | Kind::Entry | Kind::Session
        );
        assert_eq!(route.method == "post", changes, "{route:?}");
    }
    let mut seen = std::collections::BTreeSet::new();
    assert!(
        TABLE
            .iter()
            .all(|route| seen.insert((route.method, route.path)))
    );
    let house = House::build().await;
    let (ana, ben) = (
        Visitor::signed_in(&house, ANA).await,
        Visitor::signed_in(&house, BEN).await,
    );
    let (rita, ada) = (
        Visitor::signed_in(&house, RITA).await,
        Visitor::signed_in(&house, ADA).await,
    );
    let text = order_file(TITLE);
    let edited = format!("{text}\n# a second thought\n");
    let got = ana
        .post("/orders/new", &[("text", &text), ("do", "save")])
        .await;
    let id = order_in(got.header("location"));
    let path = |act: &str| format!("/orders/{id}/{act}");
    let digest = |house: &House| {
        let app = house.app.clone();
        let id = id.clone();
        async move {
            let order = app.store.order_called(&id).await.unwrap().order;
            app.preview(&order).unwrap().digest
        }
    };
    let mut done = std::collections::BTreeSet::from(["/orders/new".to_owned()]);
    let mut act = async |who: &Visitor, email: &str, path: &str, fields: &[(&str, &str)]| {
        let before = house.entries().await;
        let got = who.post(path, fields).await;
        assert_eq!(got.status, 303, "{path}: {}", got.body);
        let newest = house.app.store.audit_newest(None, 1).await.unwrap();
        assert_eq!(
            newest[0].number,
            before + 1,
            "{path} wrote no entry, or too many"
        );
        assert_eq!(newest[0].actor, Actor::Operator(email.to_owned()), "{path}");
        done.insert(path.replace(&id, "{id}"));
    };
    act(
        &ana,
        ANA,
        &path("edit"),
        &[("text", &edited), ("do", "save")],
    )
    .await;
    act(&ana, ANA, &path("test"), &[("kind", "correction")]).await;
    act(&ana, ANA, &path("submit"), &[]).await;
    act(&ana, ANA, &path("withdraw"), &[]).await;
    act(&ana, ANA, &path("submit"), &[]).await;
    act(&ben, BEN, &path("send-back"), &[("reason", "Say why")]).await;
    act(&ana, ANA, &path("submit"), &[]).await;
    let approved = digest(&house).await;
    act(&ben, BEN, &path("approve"), &[("digest", &approved)]).await;
    act(&ben, BEN, &path("publish"), &[("digest", &approved)]).await;
    act(&rita, RITA, &path("hold"), &[]).await;
    act(&rita, RITA, &path("resume"), &[]).await;
    act(
        &rita,
        RITA,
        &path("extend"),
        &[("to", "2020-07-12T00:00:00Z")],
    )
    .await;
    act(
        &rita,
        RITA,
        &path("retract"),
        &[("word", "Remove"), ("reason", "Sent in error")],
    )
    .await;
    act(&rita, RITA, &path("cause"), &[("cause", "A slip")]).await;
    act(&rita, RITA, "/doors/open", &[("reason", "Trial")]).await;
    act(&rita, RITA, "/doors/close", &[]).await;
    act(&ada, ADA, "/doors/mode", &[("mode", "observe")]).await;
    let word = [("key", "eas:NEW"), ("person", ANA), ("reason", "Showed it")];
    act(&rita, RITA, "/devices/recognise", &word).await;
    let back = [("key", "eas:NEW"), ("reason", "In error")];
    act(&rita, RITA, "/devices/forget", &back).await;
    // What needs a notice's token instead of an operator is exercised where notices are sent:
    // `inv_14_who_got_a_notice_says_that_it_looks_wrong_once_and_by_a_form_alone` and
    // `inv_34_the_persons_own_word_takes_the_notice_and_the_reference`.
    let by_notice: Vec<&str> = TABLE
        .iter()
        .filter(|route| route.kind == Kind::Notice)
        .map(|route| route.path)
        .collect();
    assert_eq!(by_notice, ["/o/{name}/looks-wrong", "/o/{name}/recognise"]);
    for route in TABLE.iter().filter(|route| route.kind == Kind::Changes) {
        assert!(done.contains(route.path), "{route:?} is not exercised here");
    }
    let page = rita.get("/audit").await;
    assert!(page.body.contains("The chain holds."));
    assert!(page.body.contains("Retracted: “Sent in error”"));
}

#[tokio::test]
async fn inv_30_an_unknown_id_changes_nothing() {
    let house = House::build().await;
    house.published(TITLE).await;
    let rita = Visitor::signed_in(&house, RITA).await;
    let version = house.app.store.version().await.unwrap();
    for (path, kind) in mutating("ZZZZ", "ZZZZ") {
        if kind == Kind::Changes && path.contains("ZZZZ") {
            let got = rita
                .post(&path, &[("word", "Remove"), ("reason", "x")])
                .await;
            assert_eq!(got.status, 404, "{path}");
        }
    }
    assert_eq!(house.app.store.version().await.unwrap(), version);
}

#[tokio::test]
async fn a_stranger_is_led_to_the_sign_in_page_and_back() {
    let house = House::build().await;
    let visitor = Visitor::of(&house);
    for route in TABLE {
        if matches!(route.kind, Kind::Reads) {
            let path = route.path.replace("{id}", "0000");
            let got = visitor.get(&path).await;
            assert_eq!(got.status, 303, "{path}");
            assert!(got.header("location").starts_with("/sign-in"), "{path}");
            let json = visitor
                .get_with(&path, &[("accept", "application/json")])
                .await;
            assert_eq!(json.status, 401, "{path}");
            assert_eq!(json.header("content-type"), "application/problem+json");
        }
    }
    assert_eq!(visitor.stream("/events").await.status(), 401);
    let page = visitor.get("/sign-in?next=%2Fdoors").await;
    assert_eq!(page.field("next").as_deref(), Some("/doors"));
    let away = visitor.get("/sign-in?next=%2F%2Fevil.test").await;
    assert_eq!(away.field("next"), None);
    let csrf = page.field("csrf").unwrap();
    let mut fields = vec![
        ("csrf", csrf.as_str()),
        ("email", RITA),
        ("password", "wrong"),
    ];
    let wrong = visitor.send("/sign-in", &fields).await;
    assert_eq!(wrong.status, 401);
    assert!(
        wrong.body.contains("don&#39;t fit together"),
        "{}",
        wrong.body
    );
    fields[2].1 = PASSWORD;
    fields.push(("next", "/doors"));
    let right = visitor.send("/sign-in", &fields).await;
    assert_eq!((right.status, right.header("location")), (303, "/doors"));
    let cookies: Vec<&str> = right
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|c| c.to_str().unwrap())
        .collect();
    assert!(cookies.iter().any(|c| c.starts_with("countermand_session=")
        && c.contains("HttpOnly")
        && c.contains("SameSite=Lax")
        && c.contains("Path=/")));
    assert_eq!(visitor.get("/doors").await.status, 200);
    assert_eq!(visitor.post("/sign-out", &[]).await.status, 303);
    assert_eq!(visitor.get("/doors").await.status, 303);
}

#[tokio::test]
async fn guessing_grows_slow_and_the_right_password_gets_in() {
    let house = House::build().await;
    let visitor = Visitor::of(&house);
    let csrf = visitor.get("/sign-in").await.field("csrf").unwrap();
    let mut fields = [
        ("csrf", csrf.as_str()),
        ("email", RITA),
        ("password", "wrong"),
    ];
    // The eleventh waits for a moment; how long is tested where it is counted.
    for _ in 0..11 {
        assert_eq!(visitor.send("/sign-in", &fields).await.status, 401);
    }
    let long = format!("{}@corp.test", "x".repeat(250));
    fields[1].1 = &long;
    assert_eq!(visitor.send("/sign-in", &fields).await.status, 422);
    Visitor::signed_in(&house, RITA).await;
}

#[tokio::test]
async fn a_link_sets_the_first_password_once() {
    let house = House::build().await;
    let shell = Actor::Local("test".to_owned());
    let link = house.app.invite(&shell, RITA).await.unwrap();
    let path = link.split_once("8420").unwrap().1.to_owned();
    let token = link.rsplit_once("token=").unwrap().1.to_owned();
    let visitor = Visitor::of(&house);
    let page = visitor.get(&path).await;
    assert!(page.body.contains("Set your password"));
    let csrf = page.field("csrf").unwrap();
    let send = async |password: &str, again: &str| {
        let fields = [
            ("csrf", csrf.as_str()),
            ("token", token.as_str()),
            ("email", RITA),
            ("password", password),
            ("again", again),
        ];
        visitor.send("/set-up", &fields).await
    };
    assert_eq!(send("short", "short").await.status, 422);
    assert_eq!(send("long enough a", "long enough b").await.status, 422);
    assert_eq!(send("long enough a", "long enough a").await.status, 303);
    assert_eq!(visitor.get("/").await.status, 200);
    assert_eq!(visitor.get(&path).await.status, 403);
    assert_eq!(send("long enough a", "long enough a").await.status, 403);

    let link = house.app.invite(&shell, RITA).await.unwrap();
    let path = link.split_once("8420").unwrap().1;
    assert_eq!(visitor.get(path).await.status, 200);
    house
        .clock
        .advance(jiff::SignedDuration::from_hours(7 * 24));
    assert_eq!(visitor.get(path).await.status, 403, "seven days are over");
}

#[tokio::test]
async fn a_stream_ends_with_its_session_and_there_are_not_too_many() {
    let house = House::build().await;
    house.published(TITLE).await;
    let rita = Visitor::signed_in(&house, RITA).await;
    let mut stream = rita.stream("/events").await;
    rita.post("/sign-out", &[]).await;
    house.clock.advance(jiff::SignedDuration::from_mins(2));
    house.published("Another").await;
    while let Ok(Some(_)) = stream.chunk().await {}

    let rita = Visitor::signed_in(&house, RITA).await;
    let mut open = Vec::new();
    for _ in 0..200 {
        let stream = rita.stream("/events").await;
        assert_eq!(stream.status(), 200);
        open.push(stream);
    }
    assert_eq!(rita.stream("/events").await.status(), 503);
    assert_eq!(rita.get("/").await.status, 200);
}

#[tokio::test]
async fn one_click_signs_in_only_in_the_demo() {
    let house = House::with(|web| web.demo = true).await;
    let visitor = Visitor::of(&house);
    let page = visitor.get("/sign-in").await;
    assert!(
        page.body.contains("Sign in as Ana (author)"),
        "{}",
        page.body
    );
    let csrf = page.field("csrf").unwrap();
    let fields = [("csrf", csrf.as_str()), ("email", RITA)];
    let foreign = visitor
        .send_with("/sign-in/demo", &fields, &[("host", "evil.test:8420")])
        .await;
    assert_eq!(foreign.status, 404);
    assert_eq!(visitor.send("/sign-in/demo", &fields).await.status, 303);
    assert!(visitor.get("/").await.body.contains("responder"));

    let house = House::build().await;
    let visitor = Visitor::of(&house);
    let page = visitor.get("/sign-in").await;
    assert!(!page.body.contains("Sign in as"));
    let csrf = page.field("csrf").unwrap();
    let fields = [("csrf", csrf.as_str()), ("email", RITA)];
    assert_eq!(visitor.send("/sign-in/demo", &fields).await.status, 404);
}

#[tokio::test]
async fn every_answer_is_secured_and_only_assets_are_kept() {
    let house = House::build().await;
    let visitor = Visitor::of(&house);
    let page = visitor.get("/sign-in").await;
    let (_, rest) = page.body.split_once("href=\"/assets/style.").unwrap();
    let style = format!("/assets/style.{}", rest.split_once('"').unwrap().0);
    for (path, cache) in [
        ("/sign-in", "no-store"),
        ("/healthz", "no-store"),
        ("/readyz", "no-store"),
        ("/nowhere", "no-store"),
        (style.as_str(), "public, max-age=31536000, immutable"),
    ] {
        let got = visitor.get(path).await;
        assert_eq!(got.header("cache-control"), cache, "{path}");
        assert!(
            got.header("content-security-policy")
                .contains("default-src 'none'")
        );
        assert!(
            got.header("content-security-policy")
                .contains("frame-ancestors 'none'")
        );
        assert_eq!(got.header("x-content-type-options"), "nosniff");
        assert_eq!(got.header("referrer-policy"), "no-referrer");
    }
    assert_eq!(visitor.get("/nowhere").await.status, 404);
    assert_eq!(visitor.get("/readyz").await.status, 200);
    let big = "x".repeat(16 * 1024 + 1);
    for path in ["/sign-in", "/sign-in/demo", "/set-up"] {
        assert_eq!(visitor.send(path, &[("email", &big)]).await.status, 413);
    }
}
