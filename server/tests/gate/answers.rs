//! The answers in each wire format, and what a fault answers.

use countermand::gate::Gate;
use countermand::gate::wire::wbxml::{self, EasRefusal};

use crate::house::{ALICE, House, REFUSING, SIGNED_IN, bare, login, told, uri};
use crate::support::app::{Listening, SECRET};

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
async fn a_proxy_that_asks_once_is_told_what_to_show() {
    let (house, _) = House::enforcing().await;
    let ask = async |uri: &str, headers: &[(&str, &str)]| {
        let path = format!("/gate/authz{uri}");
        house.send("POST", &path, headers, "").await
    };
    let newer = [ALICE, ("MS-ASProtocolVersion", "14.1")];
    let older = [ALICE, ("MS-ASProtocolVersion", "12.1")];

    let clean = ask(&uri("DEV9C1E"), &newer).await;
    assert_eq!(told(&clean), (200, Some("allow")));
    assert_eq!(clean.header("x-countermand-show"), None);

    // 200 would let the phone in, so its document comes with 403, and what to show it with beside it.
    let phone = ask(&uri("DEV7F3A"), &newer).await;
    assert_eq!(told(&phone), (403, Some("deny")));
    assert_eq!(phone.header("x-countermand-show"), Some("200"));
    assert_eq!(phone.header("content-type"), Some(wbxml::MEDIA_TYPE));
    let document = wbxml::refusal("FolderSync", Some((14, 1)));
    assert_eq!(EasRefusal::Wbxml(phone.body), document);

    let old = ask(&uri("DEV7F3A"), &older).await;
    assert_eq!(told(&old), (403, Some("deny")));
    assert_eq!(old.header("x-countermand-show"), Some("403"));
    assert!(old.text().contains("helpdesk"), "{old:?}");

    let certificate = [SIGNED_IN, ("X-Client-Cert-Serial", "a1b")];
    let browser = ask("/SOGo/", &certificate).await;
    assert_eq!(told(&browser), (403, Some("deny")));
    assert_eq!(browser.header("x-countermand-show"), Some("403"));
    let html = Some("text/html; charset=utf-8");
    assert_eq!(browser.header("content-type"), html);
    assert!(browser.text().contains("TikTok"));

    let figures = house.gate.figures();
    let asked: u64 = figures.iter().map(|door| door.asked).sum();
    assert_eq!(asked, 4, "each is one question");
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
async fn a_fault_in_a_gate_leaves_the_door_to_its_own_configuration() {
    let (house, _) = House::enforcing().await;
    let app = &house.world.app;
    let faulty = Gate::new(
        app.live.clone(),
        app.store.clone(),
        house.world.clock.clone(),
        app.config.gate.clone(),
        "https://countermand.corp.test",
        Box::new(|_| panic!("on purpose")),
    );
    let door = Listening::start(faulty);
    let refused = uri("DEV7F3A");
    let headers = [
        ("X-Countermand-Secret", SECRET),
        ("X-Original-URI", &*refused),
        ALICE,
    ];
    for _ in 0..2 {
        let reply = bare(door.port, "GET", "/gate/web-refused", &headers, "").await;
        assert_eq!(reply.status, 503);
        let reply = bare(door.port, "GET", "/gate/http", &headers, "").await;
        assert_eq!(reply.status, 403, "others are answered as ever");
    }
}
