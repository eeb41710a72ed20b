//! The reference that a refused person sees at each door is the one that the helpdesk looks up, and it tells
//! what was known then.

use std::collections::BTreeMap;

use countermand::gate::postfix;
use countermand::listen::{Admit, Listen, Listener};
use countermand_core::order::Order;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::house::{ALICE, House, SIGNED_IN, login, uri};
use crate::support::app::{RESPONDER, operator};

/// The references in what somebody is shown.
fn references(shown: &str) -> Vec<String> {
    let starts = shown.match_indices("R-").map(|(at, _)| &shown[at..]);
    let whole = starts.filter(|text| text.len() >= 9 && text.as_bytes()[6] == b'-');
    let mut all: Vec<String> = whole.map(|text| text[..9].to_owned()).collect();
    all.dedup();
    all
}

/// What a refused person sees at each door.
async fn shown_at_each_door(house: &House) -> BTreeMap<&'static str, String> {
    let mut shown = BTreeMap::new();
    let uri = uri("DEV7F3A");
    let original = ("X-Original-URI", uri.as_str());
    let old = ("MS-ASProtocolVersion", "12.1");
    for (door, path, asked) in [
        // A proxy asks first, and then for what is shown.
        ("a phone", "/gate/eas-refused", &[original, ALICE, old][..]),
        ("a phone by authz", "/gate/authz", &[original, ALICE, old]),
        (
            "a browser",
            "/gate/web-refused",
            &[
                ("X-Original-URI", "/SOGo/"),
                SIGNED_IN,
                ("X-Client-Cert-Serial", "0A1B"),
            ],
        ),
        (
            "a browser by authz",
            "/gate/authz",
            &[
                ("X-Original-URI", "/SOGo/so"),
                ALICE,
                ("X-Client-Cert-Serial", "0A1B"),
            ],
        ),
    ] {
        house.http(asked).await;
        shown.insert(door, house.send("GET", path, asked, "").await.text());
    }
    for (door, protocol) in [("IMAP", "imap"), ("POP3", "pop3"), ("submission", "smtp")] {
        let asked = login("alice@corp.test", "dev-7f3a").replace("imap", protocol);
        let answer = house.dovecot(&asked).await;
        shown.insert(door, answer["msg"].as_str().unwrap().to_owned());
        let login = [
            ("Auth-Protocol", protocol),
            ("Auth-User", "alice@corp.test"),
            ("Auth-SSL-Verify", "SUCCESS"),
            ("Auth-SSL-Serial", "0A1B"),
        ];
        let reply = house.send("GET", "/gate/nginx-mail", &login, "").await;
        let door = match protocol {
            "imap" => "IMAP by nginx",
            "pop3" => "POP3 by nginx",
            _ => "submission by nginx",
        };
        shown.insert(
            door,
            reply.header("auth-status").unwrap_or_default().to_owned(),
        );
    }
    shown.insert("Postfix", at_postfix(house).await);
    shown
}

async fn at_postfix(house: &House) -> String {
    let folder = tempfile::tempdir().unwrap();
    let listen = Listen::parse("unix:postfix.sock", folder.path()).unwrap();
    let listener = Listener::bind(&listen, Admit::Group).await.unwrap();
    tokio::spawn(postfix::serve(house.gate.clone(), listener));
    let socket = folder.path().join("postfix.sock");
    let mut stream = tokio::net::UnixStream::connect(socket).await.unwrap();
    let asked =
        b"request=smtpd_access_policy\nsasl_username=alice@corp.test\nccert_subject=0A1B\n\n";
    stream.write_all(asked).await.unwrap();
    let mut answer = String::new();
    while !answer.ends_with("\n\n") {
        let mut buffer = [0; 1024];
        let read = stream.read(&mut buffer).await.unwrap();
        answer.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
    answer
}

async fn explained(house: &House, reference: &str) -> serde_json::Value {
    let helpdesk = operator(RESPONDER);
    let found = house.world.app.explain(&helpdesk, reference).await.unwrap();
    assert_eq!(found.len(), 1, "{reference}");
    serde_json::from_str(&found[0].known).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_02_what_each_door_shows_is_looked_up_by_its_reference() {
    let (house, order) = House::enforcing().await;
    for (door, shown) in shown_at_each_door(&house).await {
        let references = references(&shown);
        assert_eq!(references.len(), 1, "{door}: {shown}");
        for typed in [references[0].clone(), references[0].to_lowercase()] {
            let known = explained(&house, &typed).await;
            assert_eq!(known["question"]["person"], "alice@corp.test", "{door}");
            let because = &known["verdict"]["because"][0];
            assert_eq!(because["order"], order.id.to_string(), "{door}");
            assert_eq!(because["seen"]["app_name"], "TikTok", "{door}");
        }
    }
}

/// Everything that the verdict rested on is another now.
async fn all_is_different(house: &House, order: &Order) {
    let world = &house.world;
    world
        .people(&["alice.smith@corp.test,alice@corp.test,Alice Smith,board,,"])
        .await;
    world
        .iphones(&["alice@corp.test,1,eas:DEV7F3A;cert:0A1B;cred:dev-7f3a,com.example.clock@1"])
        .await;
    let responder = operator(RESPONDER);
    let id = order.id.to_string();
    world
        .app
        .retract(&responder, &id, "sent in error")
        .await
        .unwrap();
    world.go_to("2020-09-01T00:00:00Z").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_explained_as_it_was_and_not_as_it_would_be_now() {
    let (house, order) = House::enforcing().await;
    let shown = shown_at_each_door(&house).await;
    let mut then = BTreeMap::new();
    for (door, shown) in &shown {
        let reference = references(shown).remove(0);
        then.insert(door, explained(&house, &reference).await);
    }
    all_is_different(&house, &order).await;
    let again = shown_at_each_door(&house).await;
    assert!(
        again.values().all(|shown| references(shown).is_empty()),
        "{again:?}"
    );
    for (door, shown) in &shown {
        let known = explained(&house, &references(shown)[0]).await;
        assert_eq!(known, then[door], "{door}");
        let seen = &known["verdict"]["because"][0]["seen"];
        assert_eq!(seen["package_id"], "com.zhiliaoapp.musically", "{door}");
        assert_eq!(seen["version"], "16.1", "{door}");
    }
}
