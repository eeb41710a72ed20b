//! Who asks the main server for the view without being one of its gates, or hands over what makes no sense.

use axum::body::Body;
use axum::http::Response;
use countermand::live::part::Part;
use serde_json::json;

use crate::house::{FOLLOW, House, SECRET, metric};
use crate::support::gate::FakeGate;
use crate::support::http::{Reply, send};

const PATHS: [(&str, &str); 2] = [("GET", "/api/v1/view"), ("POST", "/api/v1/refusals")];

fn call(house: &House, (method, path): (&str, &str), token: &str, body: &[u8]) -> Reply {
    let token = format!("Bearer {token}");
    let headers = [
        ("Authorization", &*token),
        ("Content-Type", "application/json"),
    ];
    send(house.main_port, method, path, &headers, body)
}

#[test]
fn the_view_is_for_nobody_who_does_not_show_the_secret() {
    let house = House::new();
    let main = house.main(&[]);
    for way in PATHS {
        let mut replies = vec![send(
            house.main_port,
            way.0,
            way.1,
            &[("X-Countermand-Secret", FOLLOW)],
            b"{}",
        )];
        for token in ["", "guessed", SECRET, &FOLLOW[1..], &FOLLOW.to_uppercase()] {
            replies.push(call(&house, way, token, b"{}"));
        }
        for reply in replies {
            assert_eq!(reply.status, 401, "{way:?}");
            assert_eq!(
                reply.header("content-type"),
                Some("application/problem+json")
            );
            let problem: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
            assert_eq!(problem["status"], 401);
            assert!(!reply.text().contains("alice"));
        }
    }
    let shown = call(&house, PATHS[0], FOLLOW, b"");
    assert_eq!(shown.status, 200);
    let log = main.log();
    assert!(
        !log.contains(FOLLOW) && !log.contains("guessed") && !log.contains("alice"),
        "{log}"
    );
}

#[test]
fn without_a_secret_there_is_no_view() {
    let house = House::new();
    let _main = house.main(&[("FOLLOW__SECRET", "")]);
    for way in PATHS {
        for token in ["", FOLLOW, SECRET] {
            let reply = call(&house, way, token, b"{}");
            assert!(
                [404, 405].contains(&reply.status),
                "{way:?}: {}",
                reply.status
            );
        }
    }
    let gate = house.gate(&[]);
    gate.await_that("say what is wrong", || {
        gate.log().contains("set [follow] secret in its config")
    });
    assert_eq!(house.asks("alice@corp.test", "DEV7F3A").status, 503);
}

#[test]
fn a_gate_with_a_wrong_secret_says_so() {
    let house = House::new();
    let _main = house.main(&[]);
    let gate = house.gate(&[("FOLLOW__SECRET", "another0123456789abcdef012345")]);
    gate.await_that("say what is wrong", || {
        gate.log().contains("it does not know our secret")
    });
    assert!(!gate.log().contains("another0123456789"), "{}", gate.log());
}

/// As a proxy before it may, which has an answer for everything.
#[test]
fn an_answer_that_says_no_age_makes_no_view_current_and_none_old() {
    let house = House::new();
    let main = house.main(&[]);
    let gate = house.gate(&[]);
    house.follows(&gate);
    drop((gate, main));
    let somebody =
        FakeGate::start(|_| Response::builder().status(204).body(Body::empty()).unwrap());
    let url = format!("http://127.0.0.1:{}", somebody.port);
    let gate = house.gate(&[("FOLLOW__URL", &url)]);
    gate.await_that("say what is wrong", || {
        gate.log().contains("what answers there is no countermand")
    });
    assert_eq!(
        metric(house.gate_port, "countermand_gate_main_reachable"),
        0.0
    );
    let age = metric(house.gate_port, "countermand_gate_view_age_seconds");
    assert!(age < 600.0, "as old as it is: {age}");
}

#[test]
fn what_makes_no_sense_is_not_taken() {
    let house = House::new();
    let _main = house.main(&[]);
    let view = call(&house, PATHS[0], FOLLOW, b"");
    let view = Part::decode(&view.body).unwrap();
    let ours = |what: serde_json::Value| {
        let mut batch = json!({ "installation": view.installation });
        batch
            .as_object_mut()
            .unwrap()
            .extend(what.as_object().unwrap().clone());
        batch.to_string()
    };
    let refusal = |person: u32, known: &str| {
        json!({ "refusals": [{
            "fingerprint": 1, "at": "2999-01-01T00:00:00Z", "person": person, "certain": true,
            "unknown_device": false, "orders": [], "known": known,
        }] })
    };
    let post = |body: &str| call(&house, PATHS[1], FOLLOW, body.as_bytes());
    let order = "00000000-0000-7000-8000-000000000000";
    let too_many: Vec<_> = (0..1001)
        .map(|_| json!({ "person": 0, "orders": [] }))
        .collect();
    for (body, status) in [
        (String::new(), 400),
        ("[1]".to_owned(), 400),
        (ours(json!({ "unheard": [] })), 400),
        (json!({ "installation": "another's" }).to_string(), 409),
        (ours(refusal(4_000, "{}")), 422),
        (ours(refusal(0, "no JSON")), 422),
        (
            ours(json!({ "kicked": [{ "person": 0, "orders": [order] }] })),
            422,
        ),
        (ours(json!({ "kicked": too_many })), 422),
    ] {
        let reply = post(&body);
        assert_eq!(reply.status, status, "{body}: {}", reply.text());
        let media_type = reply.header("content-type");
        assert_eq!(media_type, Some("application/problem+json"));
    }
    let ended = || {
        let entries = house.answers(&["--as", "root@corp.test", "audit", "log", "--last", "50"]);
        entries.to_string().matches("sessions.end").count()
    };
    assert_eq!(ended(), 0, "nothing of it was put on record");

    let sound = ours(json!({ "kicked": [{ "person": 0, "orders": [] }] }));
    assert_eq!(post(&sound).status, 204);
    assert_eq!(ended(), 1);
    assert_eq!(post(&ours(refusal(0, "{}"))).status, 204);
    let reference = countermand_core::id::refusal_ref(1);
    let found = house.explain(&reference).unwrap();
    assert!(
        !found.to_string().contains("\"2999-"),
        "no clock but ours: {found}"
    );
}
