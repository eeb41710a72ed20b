//! The doctor's probe at each door: refused whatever stands, by who has the secret alone, and without a trace.

use countermand::gate::probe::{Probe, Wish};
use countermand_core::index::Mode;
use countermand_core::verdict::Decision;

use super::house::{ALICE, BOB, House, SIGNED_IN, login, uri};
use crate::support::app::{ADMIN, RESPONDER, SECRET, World, operator};

/// What each door answers to a probe: status, and the text in which the proof is looked for.
async fn each_door(house: &House, probe: &Probe) -> Vec<(u16, String)> {
    let asked = uri(probe.device());
    let original = [("X-Original-URI", asked.as_str())];
    let mut answers = Vec::new();
    for path in [
        "/gate/http",
        "/gate/authz",
        "/gate/eas-refused",
        "/gate/web-refused",
    ] {
        let reply = house.send("GET", path, &original, "").await;
        answers.push((reply.status, reply.text()));
    }
    let person = probe.person();
    let signed_in = [
        ("X-Original-URI", "/SOGo/"),
        ("X-Remote-User", person.as_str()),
    ];
    let reply = house.send("GET", "/gate/http", &signed_in, "").await;
    answers.push((reply.status, reply.text()));
    let login = format!(r#"{{"user":"{person}","protocol":"imap","passdb_device":"made-up"}}"#);
    let reply = house
        .send("POST", "/gate/dovecot?command=allow", &[], &login)
        .await;
    answers.push((reply.status, reply.text()));
    let login = [("Auth-Protocol", "imap"), ("Auth-User", person.as_str())];
    let reply = house.send("GET", "/gate/nginx-mail", &login, "").await;
    let said = reply.header("auth-status").unwrap_or_default().to_owned();
    answers.push((reply.status, said));
    answers
}

fn probe(house: &House, wish: Wish) -> Probe {
    Probe::new(SECRET, wish, house.world.app.now())
}

async fn is_refused_without_a_trace(house: &House) {
    let store = &house.world.app.store;
    let (before, figures) = (store.version().await.unwrap(), house.gate.figures());
    let probe = probe(house, Wish::Refuse);
    for (status, said) in each_door(house, &probe).await {
        let told = probe.told(SECRET, &said);
        let told = told.unwrap_or_else(|| panic!("{status} {said}"));
        assert_eq!(told.at, house.world.app.now().as_second());
        assert_eq!((told.view, told.age_seconds), (before, 0));
        assert!(told.forged.is_empty());
        assert_eq!(probe.told("another", &said), None);
    }
    house.gate.flush().await.unwrap();
    assert_eq!(store.version().await.unwrap(), before);
    assert_eq!(house.gate.figures(), figures);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_is_refused_whatever_stands_and_leaves_no_trace() {
    let world = World::with(|config| {
        config.gate.unknown_person = Decision::Deny;
        config.gate.unknown_device = Decision::Deny;
    });
    let house = House::of(world.await).await;
    is_refused_without_a_trace(&house).await;
    let order = house.world.publish(crate::support::app::TIKTOK).await;
    house.world.tell(&order, "alice@corp.test").await;
    house.world.go_to("2020-07-11T07:00:00Z").await;
    is_refused_without_a_trace(&house).await;
    let app = &house.world.app;
    app.open_doors(&operator(RESPONDER), "the board cannot read mail")
        .await
        .unwrap();
    is_refused_without_a_trace(&house).await;
    app.set_mode(&operator(ADMIN), Mode::Observe).await.unwrap();
    is_refused_without_a_trace(&house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_may_ask_for_no_verdict_and_only_for_two_minutes() {
    let (house, _) = House::enforcing().await;
    let (silent, unknown) = (probe(&house, Wish::NoVerdict), probe(&house, Wish::Unknown));
    for (status, _) in each_door(&house, &silent).await {
        assert_eq!(status, 503);
    }
    let statuses: Vec<u16> = each_door(&house, &unknown)
        .await
        .iter()
        .map(|(s, _)| *s)
        .collect();
    assert_eq!(statuses, [401, 401, 401, 401, 401, 503, 401]);
    // Copied from a log, neither opens a door that is open without a verdict.
    house
        .world
        .clock
        .advance(jiff::SignedDuration::from_mins(3));
    house.world.app.live.follow().await.unwrap();
    for old in [silent, unknown] {
        for (status, said) in each_door(&house, &old).await {
            assert!(old.told(SECRET, &said).is_some(), "{status} {said}");
        }
    }
}

/// Somebody who can sign in adds the name of a probe to their own question, or takes it for their device's: where
/// the door is open without a verdict, they would be in.
#[tokio::test(flavor = "multi_thread")]
async fn a_probe_in_somebody_s_own_question_gets_nothing_but_a_refusal() {
    let (house, _) = House::enforcing().await;
    for wish in [Wish::NoVerdict, Wish::Unknown] {
        let probe = probe(&house, wish);
        let (name, person) = (probe.device(), probe.person());
        let own = uri("DEV7F3A");
        let (added, as_user) = (
            format!("{own}&x={name}"),
            own.replace("alice%40corp.test", name),
        );
        let (as_device, page) = (uri(name), format!("/SOGo/?doctor={name}"));
        let http: [&[(&str, &str)]; 9] = [
            &[("X-Original-URI", &added)],
            &[("X-Original-URI", &added), ALICE],
            &[("X-Original-URI", &as_user), ALICE],
            &[("X-Original-URI", &as_device), ALICE],
            &[("X-Original-URI", &as_device), SIGNED_IN],
            &[
                ("X-Original-URI", &as_device),
                ("X-Client-Cert-Serial", "0A1B"),
            ],
            &[
                ("X-Original-URI", &as_device),
                ("Authorization", "Bearer token"),
            ],
            &[("X-Original-URI", &page)],
            &[("X-Original-URI", &own), BOB, ("Auth-User", &person)],
        ];
        let mut answers = Vec::new();
        for headers in http {
            for path in ["/gate/http", "/gate/authz"] {
                let reply = house.send("GET", path, headers, "").await;
                answers.push((reply.status, reply.text(), format!("{path} {headers:?}")));
            }
        }
        for path in [format!("/gate/http{added}"), format!("/gate/authz{page}")] {
            let reply = house.send("GET", &path, &[ALICE], "").await;
            answers.push((reply.status, reply.text(), path));
        }
        let plus = format!("alice+{name}@corp.test");
        let reply = house.dovecot(&login(&plus, "dev-7f3a")).await;
        answers.push((200, reply["msg"].to_string(), plus.clone()));
        for more in [
            &[("Auth-User", plus.as_str())][..],
            &[
                ("Auth-User", &person),
                ("Auth-SSL-Verify", "SUCCESS"),
                ("Auth-SSL-Serial", "0A1B"),
            ],
        ] {
            let asked = [&[("Auth-Protocol", "imap")], more].concat();
            let reply = house.send("GET", "/gate/nginx-mail", &asked, "").await;
            let said = reply.header("auth-status").unwrap_or_default().to_owned();
            answers.push((reply.status, said, format!("{asked:?}")));
        }
        for (status, said, asked) in answers {
            assert!(
                probe.told(SECRET, &said).is_some(),
                "{asked}: {status} {said}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_not_the_secret_can_make_no_probe() {
    let (house, _) = House::enforcing().await;
    let asked = house
        .gate
        .figures()
        .iter()
        .map(|door| door.asked)
        .sum::<u64>();
    let forged = Probe::new("guess", Wish::NoVerdict, house.world.app.now());
    for (status, said) in each_door(&house, &forged).await {
        assert!(forged.told(SECRET, &said).is_none(), "{status} {said}");
    }
    let now = house
        .gate
        .figures()
        .iter()
        .map(|door| door.asked)
        .sum::<u64>();
    assert!(now > asked, "it is a device like any other");
}
