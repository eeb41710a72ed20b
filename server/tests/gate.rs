//! The gates over HTTP, with the index and the store behind them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::Arc;

use countermand::gate::Gate;
use countermand::gate::wire::wbxml::{self, EasRefusal};
use countermand_core::index::Mode;
use countermand_core::order::Order;
use countermand_core::verdict::Decision;
use support::app::{ADMIN, DEADLINE, Listening, RESPONDER, SECRET, TIKTOK, World, operator};
use support::http::{Reply, send};

/// alice@corp.test and bob@corp.test with some password.
const ALICE: (&str, &str) = ("Authorization", "Basic YWxpY2VAY29ycC50ZXN0OnNlY3JldA==");
const BOB: (&str, &str) = ("Authorization", "Basic Ym9iQGNvcnAudGVzdDpzZWNyZXQ=");
const SIGNED_IN: (&str, &str) = ("X-Remote-User", "alice@corp.test");
const AFTER: &str = "2020-07-11T07:00:00Z";
const REFUSING: &str = "dev-7f3a";

/// Alice has two iPhones, one of them with TikTok; Bob has a clean one; Carol is no staff.
struct House {
    world: World,
    gate: Arc<Gate>,
    door: Listening,
}

impl House {
    async fn new() -> Self {
        Self::of(World::new().await).await
    }

    async fn of(world: World) -> Self {
        world
            .people(&[
                "alice@corp.test,al@corp.test,Alice,all-staff,,",
                "bob@corp.test,,Bob,all-staff,,",
                "carol@corp.test,,Carol,board,,",
            ])
            .await;
        world
            .iphones(&[
                "alice@corp.test,1,eas:DEV7F3A;cert:0A1B;cred:dev-7f3a,com.zhiliaoapp.musically@16.1",
                "alice@corp.test,2,eas:DEV9C1E;cred:dev-9c1e,com.example.clock@1",
                "bob@corp.test,3,eas:DEVB0B;cred:dev-b0b,com.example.clock@1",
            ])
            .await;
        let gate = world.gate();
        let door = Listening::start(gate.clone());
        House { world, gate, door }
    }

    /// The same past the deadline of an order that everyone was told of.
    async fn enforcing() -> (Self, Order) {
        let house = Self::new().await;
        let order = house.world.publish(TIKTOK).await;
        for person in ["alice@corp.test", "bob@corp.test"] {
            house.world.tell(&order, person).await;
        }
        house.world.go_to(AFTER).await;
        (house, order)
    }

    /// One request with the secret.
    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let secret = [("X-Countermand-Secret", SECRET)];
        let headers: Vec<_> = secret.iter().chain(headers).copied().collect();
        bare(self.door.port, method, path, &headers, body).await
    }

    async fn http(&self, headers: &[(&str, &str)]) -> Reply {
        self.send("GET", "/gate/http", headers, "").await
    }

    /// What nginx asks for a phone of Alice.
    async fn sync(&self, device: &str) -> Reply {
        self.http(&[("X-Original-URI", &uri(device)), ALICE]).await
    }

    async fn dovecot(&self, body: &str) -> serde_json::Value {
        let path = "/gate/dovecot?command=allow";
        let reply = self.send("POST", path, &[], body).await;
        assert_eq!(reply.status, 200);
        serde_json::from_slice(&reply.body).unwrap()
    }

    async fn recorded(&self, reference: &str) -> Vec<countermand::store::StoredRefusal> {
        let found = self.world.app.store.refusals_called(reference).await;
        found.unwrap()
    }
}

/// One request, on a thread where it may block.
async fn bare(port: u16, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let own = |text: &str| text.to_owned();
    let (method, path, body) = (own(method), own(path), own(body));
    let headers: Vec<_> = headers.iter().map(|(n, v)| (own(n), own(v))).collect();
    tokio::task::spawn_blocking(move || {
        let headers: Vec<_> = headers.iter().map(|(n, v)| (&**n, &**v)).collect();
        send(port, &method, &path, &headers, body.as_bytes())
    })
    .await
    .unwrap()
}

fn uri(device: &str) -> String {
    format!(
        "/Microsoft-Server-ActiveSync?Cmd=FolderSync&User=alice%40corp.test&DeviceId={device}&DeviceType=iPhone"
    )
}

fn login(person: &str, device: &str) -> String {
    format!(r#"{{"user":"{person}","protocol":"imap","passdb_device":"{device}"}}"#)
}

fn told(reply: &Reply) -> (u16, Option<&str>) {
    (reply.status, reply.header("x-countermand-decision"))
}

const ROUTES: [&str; 5] = [
    "/gate/http",
    "/gate/http/Microsoft-Server-ActiveSync?DeviceId=DEV7F3A",
    "/gate/eas-refused",
    "/gate/web-refused",
    "/gate/dovecot?command=allow",
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
    for path in ["/gate/http", "/gate/eas-refused", "/gate/web-refused"] {
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
async fn a_refusal_is_on_record_before_the_answer_and_repeats_are_only_counted() {
    let (house, order) = House::enforcing().await;
    let store = &house.world.app.store;
    let reply = house.sync("DEV7F3A").await;
    let reference = reply.header("x-countermand-ref").unwrap().to_owned();
    let written = store.version().await.unwrap();
    let alice = house
        .world
        .app
        .live
        .view()
        .person_called("alice@corp.test")
        .unwrap()
        .id;

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
async fn a_refused_phone_is_told_in_its_own_protocol_and_a_browser_by_a_page() {
    let (house, _) = House::enforcing().await;
    let refused = uri("DEV7F3A");
    let of_phone = ("X-Original-URI", &*refused);
    let version = |v| ("MS-ASProtocolVersion", v);
    let path = "/gate/eas-refused";
    let reply = house
        .send("GET", path, &[of_phone, ALICE, version("14.1")], "")
        .await;
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, Some(wbxml::MEDIA_TYPE))
    );
    assert_eq!(
        EasRefusal::Wbxml(reply.body),
        wbxml::refusal("FolderSync", Some((14, 1)))
    );
    let reply = house
        .send("GET", path, &[of_phone, ALICE, version("12.1")], "")
        .await;
    assert_eq!(told(&reply), (403, Some("deny")));
    let at_the_door = house.sync("DEV7F3A").await;
    let reference = at_the_door.header("x-countermand-ref");
    assert_eq!(reply.header("x-countermand-ref"), reference);

    let path = "/gate/web-refused";
    let reply = house.send("GET", path, &[of_phone, SIGNED_IN], "").await;
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (403, Some("text/html; charset=utf-8"))
    );
    assert!(
        reply
            .header("content-security-policy")
            .unwrap()
            .contains("default-src 'none'")
    );
    let page = reply.text();
    for text in [
        "TikTok",
        reference.unwrap(),
        "https://countermand.corp.test/o/",
        "/me",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert_eq!(
        house.gate.figures()[0].asked,
        1,
        "only questions are counted"
    );

    house
        .world
        .iphones(&["alice@corp.test,1,eas:DEV7F3A,com.example.clock@1"])
        .await;
    for path in ["/gate/eas-refused", "/gate/web-refused"] {
        let reply = house
            .send("GET", path, &[of_phone, ALICE, version("14.1")], "")
            .await;
        assert_eq!(
            (reply.status, reply.header("retry-after")),
            (503, Some("1")),
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dovecot_is_answered_in_json() {
    let (house, _) = House::enforcing().await;
    let answer = house.dovecot(&login("alice@corp.test", REFUSING)).await;
    assert_eq!(answer["status"], -1);
    let reason = answer["msg"].as_str().unwrap();
    assert!(
        reason.contains("Remove TikTok") && reason.contains("R-") && reason.is_ascii(),
        "{reason}"
    );
    assert_eq!(
        house.dovecot(&login("alice@corp.test", "dev-9c1e")).await["status"],
        0
    );
    let unnamed = r#"{"user":"alice@corp.test","protocol":"pop3"}"#;
    let answer = house.dovecot(unnamed).await;
    assert_eq!(answer["status"], -1, "the strictest of her devices");
    let sieve = r#"{"user":"alice@corp.test","protocol":"sieve","passdb_device":"dev-7f3a"}"#;
    assert_eq!(house.dovecot(sieve).await["status"], 0, "no way to mail");
    let unsaid = r#"{"user":"alice@corp.test","passdb_device":"dev-7f3a"}"#;
    assert_eq!(
        house.dovecot(unsaid).await["status"],
        -1,
        "an unnamed protocol opens no door"
    );
    let answer = house.dovecot(&login("bob@corp.test", REFUSING)).await;
    assert!(
        answer["status"] == -1 && !answer["msg"].as_str().unwrap().contains("TikTok"),
        "{answer}"
    );

    let body = login("alice@corp.test", REFUSING);
    let with_query = house
        .send("POST", "/gate/dovecot?node=1&command=allow", &[], &body)
        .await;
    assert!(with_query.text().contains(r#""status":-1"#));
    let asked: u64 = house.gate.figures().iter().map(|f| f.asked).sum();
    for path in [
        "/gate/dovecot?command=report",
        "/gate/dovecot?node=1&command=report",
    ] {
        let reply = house.send("POST", path, &[], &body).await;
        assert_eq!((reply.status, &*reply.text()), (200, r#"{"status":0}"#));
    }
    assert_eq!(
        house.gate.figures().iter().map(|f| f.asked).sum::<u64>(),
        asked
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
