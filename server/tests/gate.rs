//! The gates over HTTP, with the index and the store behind them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "gate/answers.rs"]
mod answers;
#[path = "gate/devices.rs"]
mod devices;
#[path = "gate/house.rs"]
mod house;
#[path = "gate/postfix.rs"]
mod postfix;
#[path = "gate/probe.rs"]
mod probe;
#[path = "gate/record.rs"]
mod record;
#[path = "gate/references.rs"]
mod references;
#[path = "gate/sessions.rs"]
mod sessions;
mod support;

use countermand_core::index::Mode;
use countermand_core::verdict::Decision;
use house::{AFTER, ALICE, BOB, House, REFUSING, SIGNED_IN, bare, login, told, uri};
use support::app::{ADMIN, DEADLINE, Listening, RESPONDER, SECRET, TIKTOK, World, operator};

const ROUTES: [&str; 8] = [
    "/gate/http",
    "/gate/http/Microsoft-Server-ActiveSync?DeviceId=DEV7F3A",
    "/gate/authz",
    "/gate/authz/Microsoft-Server-ActiveSync?DeviceId=DEV7F3A",
    "/gate/eas-refused",
    "/gate/web-refused",
    "/gate/dovecot?command=allow",
    "/gate/nginx-mail",
];

#[tokio::test(flavor = "multi_thread")]
async fn nobody_asks_without_the_secret() {
    let (house, _) = House::enforcing().await;
    let uri = uri("DEV7F3A");
    let wrong = SECRET.to_uppercase();
    for path in ROUTES {
        for shown in [
            None,
            Some(""),
            Some("guessed"),
            Some(&wrong[1..]),
            Some(&*wrong),
        ] {
            let shown = shown.map(|secret| ("X-Countermand-Secret", secret));
            let headers: Vec<_> = shown
                .into_iter()
                .chain([("X-Original-URI", &*uri), ALICE])
                .collect();
            let reply = bare(house.door.port, "GET", path, &headers, "").await;
            assert_eq!(reply.status, 401, "{path} {shown:?}");
            assert_eq!(told(&reply).1, None);
            assert!(!reply.text().contains("TikTok"));
        }
    }
    assert!(house.gate.figures().is_empty(), "strangers are no door");

    let closed = World::with(|config| config.gate.secret.clear()).await;
    let door = Listening::start(closed.gate());
    for path in ROUTES {
        for headers in [vec![], vec![("X-Countermand-Secret", "")]] {
            assert_eq!(
                bare(door.port, "GET", path, &headers, "").await.status,
                401,
                "{path}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_of_the_question_gets_the_same_answer() {
    let (house, _) = House::enforcing().await;
    let base64 = "/Microsoft-Server-ActiveSync?jQkJBAdERVY3RjNBBAAAAAAGaVBob25l";
    let plain = &uri("DEV7F3A");
    let hex = &uri("44455637463341");
    for uri in [plain, hex, base64] {
        for person in [ALICE, SIGNED_IN, ("X-Remote-User", "AL@corp.test")] {
            for place in ["X-Original-URI", "X-Forwarded-Uri"] {
                let reply = house.http(&[(place, uri), person]).await;
                assert_eq!(
                    told(&reply),
                    (403, Some("deny")),
                    "{uri} {person:?} {place}"
                );
            }
            for method in ["GET", "POST", "HEAD", "PROPFIND"] {
                let path = format!("/gate/http{uri}");
                let reply = house.send(method, &path, &[person], "").await;
                assert_eq!(told(&reply), (403, Some("deny")), "{path} {method}");
            }
        }
    }
    let certificate = [
        ("X-Original-URI", "/SOGo/"),
        ALICE,
        ("X-Client-Cert-Serial", "0a:1b"),
    ];
    assert_eq!(told(&house.http(&certificate).await), (403, Some("deny")));

    let clean = house.sync("DEV9C1E").await;
    assert_eq!(told(&clean), (204, Some("allow")));
    assert_eq!(clean.header("x-countermand-view-age"), Some("0.0"));
    assert_eq!(clean.header("x-countermand-ref"), None);
    assert_eq!(
        told(&house.http(&[("X-Original-URI", "/SOGo/"), ALICE]).await).0,
        204
    );
    assert_eq!(
        told(&house.http(&[("X-Original-URI", &uri("DEVB0B")), BOB]).await).0,
        204
    );
    // A phone that nobody knows, of a person to whom an order applies.
    assert_eq!(told(&house.sync("NEW").await), (403, Some("deny")));
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_06_inv_26_doors_open_at_the_next_request_after_a_cure_or_a_retraction() {
    let (house, order) = House::enforcing().await;
    assert_eq!(told(&house.sync("DEV7F3A").await).0, 403);
    let row = |apps| format!("alice@corp.test,1,eas:DEV7F3A,{apps}");
    house.world.iphones(&[&row("com.example.clock@1")]).await;
    assert_eq!(told(&house.sync("DEV7F3A").await), (204, Some("allow")));
    house.world.go_to("2020-07-11T08:00:00Z").await;
    house
        .world
        .iphones(&[&row("com.zhiliaoapp.musically@16.1")])
        .await;
    assert_eq!(told(&house.sync("DEV7F3A").await).0, 403);
    let responder = operator(RESPONDER);
    let id = order.id.to_string();
    house
        .world
        .app
        .retract(&responder, &id, "sent in error")
        .await
        .unwrap();
    assert_eq!(told(&house.sync("DEV7F3A").await), (204, Some("allow")));
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_35_before_the_deadline_a_door_warns_and_lets_in() {
    let house = House::new().await;
    assert_eq!(told(&house.sync("DEV7F3A").await), (204, Some("allow")));
    let order = house.world.publish(TIKTOK).await;
    assert_eq!(told(&house.sync("DEV7F3A").await), (204, Some("warn")));
    house.world.go_to(AFTER).await;
    assert_eq!(
        told(&house.sync("DEV7F3A").await),
        (204, Some("warn")),
        "untold"
    );
    house.world.tell(&order, "alice@corp.test").await;
    assert_eq!(
        told(&house.sync("DEV7F3A").await),
        (204, Some("warn")),
        "told just now"
    );
    house.world.go_to("2020-07-11T08:01:00Z").await;
    assert_eq!(told(&house.sync("DEV7F3A").await), (403, Some("deny")));
    assert!(DEADLINE < AFTER);
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_37_only_a_person_who_was_vouched_for_is_told_which_app() {
    let (house, _) = House::enforcing().await;
    let refused = uri("DEV7F3A");
    let ask = async |path: &str, headers: &[(&str, &str)]| {
        let reply = house.send("GET", path, headers, "").await;
        let lines: Vec<String> = reply.headers.iter().map(|(_, v)| v.clone()).collect();
        let all = format!("{}\n{}", lines.join("\n"), reply.text());
        let reference = reply
            .header("x-countermand-ref")
            .unwrap_or("none")
            .to_owned();
        assert_eq!(reply.status, 403, "{path}");
        assert!(
            all.contains("helpdesk") || all.contains("Remove"),
            "says what to do: {all}"
        );
        assert!(all.contains(&reference));
        all.contains("TikTok")
    };
    let certificate = ("X-Client-Cert-Serial", "0A1B");
    for path in [
        "/gate/http",
        "/gate/authz",
        "/gate/eas-refused",
        "/gate/web-refused",
    ] {
        let of_phone = ("X-Original-URI", &*refused);
        assert!(ask(path, &[of_phone, SIGNED_IN]).await, "{path}");
        assert!(
            !ask(path, &[of_phone, ALICE]).await,
            "{path}: Basic is a claim here"
        );
        assert!(!ask(path, &[of_phone]).await, "{path}: nobody asks");
        assert!(
            ask(
                path,
                &[("X-Original-URI", "/SOGo/"), certificate, SIGNED_IN]
            )
            .await
        );
        assert!(!ask(path, &[("X-Original-URI", "/SOGo/"), certificate, ALICE]).await);
        let bob = ("X-Remote-User", "bob@corp.test");
        assert!(
            !ask(path, &[of_phone, bob]).await,
            "{path}: Bob with Alice's phone"
        );
    }
    let text = {
        use prometheus::Encoder as _;
        let mut text = Vec::new();
        let families = house.gate.registry().gather();
        prometheus::TextEncoder::new()
            .encode(&families, &mut text)
            .unwrap();
        String::from_utf8(text).unwrap()
    };
    assert!(text.contains(r#"channel="activesync""#), "{text}");
    for name in ["alice", "TikTok", "tiktok", "DEV7F3A", "dev-7f3a"] {
        assert!(!text.contains(name), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_36_in_observe_mode_every_door_lets_in_and_counts() {
    let (house, _) = House::enforcing().await;
    let admin = operator(ADMIN);
    house
        .world
        .app
        .set_mode(&admin, Mode::Observe)
        .await
        .unwrap();
    let before = house.world.app.store.version().await.unwrap();
    let reply = house
        .http(&[("X-Original-URI", &uri("DEV7F3A")), SIGNED_IN])
        .await;
    assert_eq!(told(&reply), (204, Some("allow")));
    assert!(
        !reply
            .header("x-countermand-reason")
            .unwrap()
            .contains("TikTok")
    );
    assert_eq!(
        house.dovecot(&login("alice@corp.test", REFUSING)).await["status"],
        0
    );
    let figures = house.gate.figures();
    assert_eq!(figures.len(), 2);
    for door in figures {
        assert_eq!(
            (door.asked, door.let_in, door.refused, door.would_refuse),
            (1, 1, 0, 1)
        );
    }
    house.gate.flush().await.unwrap();
    assert_eq!(
        house.world.app.store.version().await.unwrap(),
        before,
        "nobody was refused"
    );
    house
        .world
        .app
        .set_mode(&admin, Mode::Enforce)
        .await
        .unwrap();
    assert_eq!(told(&house.sync("DEV7F3A").await), (403, Some("deny")));
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_36_a_hold_and_open_doors_let_in_at_the_next_request() {
    let (house, order) = House::enforcing().await;
    let (app, responder, id) = (&house.world.app, operator(RESPONDER), order.id.to_string());
    app.hold(&responder, &id, "a doubt").await.unwrap();
    assert_eq!(told(&house.sync("DEV7F3A").await), (204, Some("warn")));
    app.resume(&responder, &id).await.unwrap();
    assert_eq!(
        told(&house.sync("DEV7F3A").await),
        (204, Some("warn")),
        "min_notice after a resume"
    );
    house.world.go_to("2020-07-11T08:01:00Z").await;
    assert_eq!(told(&house.sync("DEV7F3A").await), (403, Some("deny")));
    app.open_doors(&responder, "the board is in a hurry")
        .await
        .unwrap();
    assert_eq!(told(&house.sync("DEV7F3A").await), (204, Some("allow")));
    assert_eq!(
        house.dovecot(&login("alice@corp.test", REFUSING)).await["status"],
        0
    );
    app.close_doors(&responder).await.unwrap();
    assert_eq!(told(&house.sync("DEV7F3A").await), (403, Some("deny")));
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_04_what_cannot_be_read_opens_no_door_and_closes_none_without_an_order() {
    let twice = "/Microsoft-Server-ActiveSync?Cmd=Sync&DeviceId=DEV9C1E&deviceid=DEV7F3A";
    let long = format!("CN={}", "x".repeat(600));
    let garbage: [Vec<(&str, &str)>; 8] = [
        vec![("X-Original-URI", twice), ALICE],
        vec![("X-Original-URI", twice)],
        vec![
            ("X-Original-URI", "/Microsoft-Server-ActiveSync?foo=bar"),
            ALICE,
        ],
        vec![
            ("X-Original-URI", "/SOGo/"),
            ("X-Forwarded-Uri", "/"),
            ALICE,
        ],
        vec![("X-Original-URI", "/SOGo/"), ALICE, BOB],
        vec![("X-Original-URI", "/SOGo/"), ("Authorization", "Basic !!!")],
        vec![
            ("X-Original-URI", "/SOGo/"),
            ("X-Client-Cert-Subject", &long),
            ALICE,
        ],
        vec![],
    ];
    let (house, order) = House::enforcing().await;
    for headers in &garbage {
        assert_eq!(
            told(&house.http(headers).await),
            (403, Some("deny")),
            "{headers:?}"
        );
    }
    for body in ["", "[]", "{\"user\":", &"x".repeat(100_000)] {
        assert_eq!(house.dovecot(body).await["status"], -1, "{}", body.len());
    }
    // Carol is no staff, so no order refuses her anything.
    let carol = ("X-Remote-User", "carol@corp.test");
    assert_eq!(
        told(&house.http(&[("X-Original-URI", twice), carol]).await).0,
        204
    );

    let (app, responder) = (&house.world.app, operator(RESPONDER));
    app.hold(&responder, &order.id.to_string(), "a doubt")
        .await
        .unwrap();
    for headers in &garbage {
        assert_eq!(
            told(&house.http(headers).await),
            (204, Some("warn")),
            "{headers:?}"
        );
    }
    app.retract(&responder, &order.id.to_string(), "an error")
        .await
        .unwrap();
    for headers in &garbage {
        assert_eq!(
            told(&house.http(headers).await),
            (204, Some("allow")),
            "{headers:?}"
        );
    }
    assert_eq!(house.dovecot("[]").await["status"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_may_ask_what_the_server_can_do_before_it_says_its_name() {
    let (house, _) = House::enforcing().await;
    let bare = ("X-Original-URI", "/Microsoft-Server-ActiveSync");
    let options = ("X-Original-Method", "OPTIONS");
    assert_eq!(
        told(&house.http(&[bare, ALICE]).await),
        (403, Some("deny")),
        "any other method"
    );
    assert_eq!(
        told(&house.http(&[bare, ALICE, options]).await),
        (204, Some("allow"))
    );
    let refused = ("X-Original-URI", &*uri("DEV7F3A"));
    assert_eq!(told(&house.http(&[refused, ALICE, options]).await).0, 403);
    // Where the call is the original request, its method counts and no header.
    let path = "/gate/http/Microsoft-Server-ActiveSync";
    assert_eq!(
        told(&house.send("OPTIONS", path, &[ALICE], "").await).0,
        204
    );
    assert_eq!(
        told(&house.send("POST", path, &[ALICE, options], "").await).0,
        403
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_27_a_view_too_old_leaves_the_door_to_its_own_configuration() {
    let (house, order) = House::enforcing().await;
    let later = |minutes| {
        house
            .world
            .clock
            .advance(jiff::SignedDuration::from_mins(minutes))
    };
    later(9);
    let reply = house.sync("DEV7F3A").await;
    assert_eq!(told(&reply), (403, Some("deny")));
    assert_eq!(reply.header("x-countermand-view-age"), Some("540.0"));
    later(2);
    for device in ["DEV7F3A", "DEV9C1E"] {
        let reply = house.sync(device).await;
        assert_eq!(told(&reply), (503, None));
        assert_eq!(reply.header("x-countermand-view-age"), Some("660.0"));
    }
    let body = login("alice@corp.test", "dev-9c1e");
    let reply = house
        .send("POST", "/gate/dovecot?command=allow", &[], &body)
        .await;
    assert_eq!(reply.status, 503);
    assert_eq!(
        house
            .gate
            .figures()
            .iter()
            .map(|f| f.without_verdict)
            .sum::<u64>(),
        3
    );

    house.world.app.live.follow().await.unwrap();
    assert_eq!(told(&house.sync("DEV9C1E").await), (204, Some("allow")));
    let responder = operator(RESPONDER);
    let id = order.id.to_string();
    // A held order refuses nobody, so an old view of it closes no door (invariant 36).
    let app = &house.world.app;
    app.hold(&responder, &id, "a doubt").await.unwrap();
    later(60);
    assert_eq!(told(&house.sync("DEV7F3A").await).0, 204);
    app.live.follow().await.unwrap();
    house
        .world
        .app
        .retract(&responder, &id, "an error")
        .await
        .unwrap();
    later(60);
    assert_eq!(
        told(&house.sync("DEV7F3A").await),
        (204, Some("allow")),
        "no order, no closed door"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_person_gets_the_fallback_of_the_configuration() {
    let world = World::with(|config| config.gate.unknown_person = Decision::Deny).await;
    let house = House::of(world).await;
    let stranger = [
        ("X-Original-URI", "/SOGo/"),
        ("X-Remote-User", "mallory@else.test"),
    ];
    assert_eq!(
        told(&house.http(&stranger).await),
        (204, Some("allow")),
        "no order"
    );
    let order = house.world.publish(TIKTOK).await;
    house.world.tell(&order, "alice@corp.test").await;
    house.world.go_to(AFTER).await;
    let reply = house.http(&stranger).await;
    assert_eq!(told(&reply), (403, Some("deny")));
    house.gate.flush().await.unwrap();
    let found = house
        .recorded(reply.header("x-countermand-ref").unwrap())
        .await;
    assert_eq!((found.len(), found[0].person), (1, None));
}
