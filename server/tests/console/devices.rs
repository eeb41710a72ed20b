//! The helpdesk's page: whose a device is, and having one recognised.

use countermand_core::actor::{Actor, Role};

use super::support::house::{ANA, House, MIA, RITA, Visitor};

#[tokio::test]
async fn the_helpdesk_looks_a_device_up_and_has_it_recognised() {
    let house = House::build().await;
    let (ana, rita) = (
        Visitor::signed_in(&house, ANA).await,
        Visitor::signed_in(&house, RITA).await,
    );
    assert_eq!(ana.get("/devices").await.status, 403);
    assert!(!ana.get("/").await.body.contains("href=\"/devices\""));
    assert!(rita.get("/").await.body.contains("href=\"/devices\""));
    let word = [("key", "eas:NEW"), ("person", MIA), ("reason", "Showed it")];
    let version = house.app.store.version().await.unwrap();
    assert_eq!(ana.post("/devices/recognise", &word).await.status, 403);
    for wrong in [
        [("key", "NEW"), ("person", MIA), ("reason", "x")],
        [
            ("key", "eas:NEW"),
            ("person", "zoe@corp.test"),
            ("reason", "x"),
        ],
        [("key", "eas:NEW"), ("person", MIA), ("reason", " ")],
    ] {
        let got = rita.post("/devices/recognise", &wrong).await;
        assert_eq!(got.status, 422, "{wrong:?}");
        assert_eq!(
            got.field("key").as_deref(),
            Some(wrong[0].1),
            "what was typed stays"
        );
    }
    assert_eq!(house.app.store.version().await.unwrap(), version);

    let page = rita.get("/devices?q=eas%3ANEW").await;
    assert!(
        page.body.contains("Nothing is known of eas:NEW"),
        "{}",
        page.body
    );
    assert_eq!(page.field("key").as_deref(), Some("eas:NEW"));
    let got = rita.post("/devices/recognise", &word).await;
    assert_eq!(
        (got.status, got.header("location")),
        (303, "/devices?q=eas%3ANEW")
    );
    let page = rita.get("/devices?q=eas%3ANEW").await;
    for words in ["is a device of mia@corp.test", "known by somebody", MIA] {
        assert!(page.body.contains(words), "{words}: {}", page.body);
    }
    let of_mia = rita.get("/devices?q=mia%40corp.test").await.body;
    assert!(
        of_mia.contains("eas:NEW") && !of_mia.contains("musically"),
        "{of_mia}"
    );
    let look = house
        .app
        .store
        .audit_newest(None, 1)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(look.action, "person.look");
    assert_eq!(look.actor, Actor::Operator(RITA.to_owned()));
    assert_eq!(rita.get("/devices?q=R-0000-00").await.status, 422);
    let audit = rita.get("/audit").await.body;
    assert!(
        audit.contains("A device recognised: “Showed it”"),
        "{audit}"
    );

    // The word is taken back, by who may give one.
    let back = [("key", "eas:NEW"), ("reason", "It was another’s")];
    assert_eq!(ana.post("/devices/forget", &back).await.status, 403);
    for wrong in [
        [("key", "eas:NEW"), ("reason", " ")],
        [("key", "eas:P1"), ("reason", "x")],
        [("key", "NEW"), ("reason", "x")],
    ] {
        let got = rita.post("/devices/forget", &wrong).await;
        assert_eq!(got.status, 422, "{wrong:?}");
    }
    let got = rita.post("/devices/forget", &back).await;
    assert_eq!(
        (got.status, got.header("location")),
        (303, "/devices?q=eas%3ANEW")
    );
    let page = rita.get("/devices?q=eas%3ANEW").await.body;
    assert!(page.contains("Nothing is known of eas:NEW"), "{page}");
    assert!(
        rita.get("/audit")
            .await
            .body
            .contains("A word for a device taken back")
    );
    rita.post("/devices/recognise", &word).await;

    let desk = "desk@corp.test";
    let shell = Actor::Local("test".to_owned());
    house
        .app
        .put_operator(&shell, desk, [Role::Helpdesk].into())
        .await
        .unwrap();
    let word = countermand::app::devices::Word {
        key: "eas:OTHER".parse().unwrap(),
        person: MIA.to_owned(),
        same_as: Some("eas:NEW".parse().unwrap()),
        platform: None,
        form_factor: None,
        reason: "restored".to_owned(),
    };
    let by = Actor::Operator(desk.to_owned());
    house.app.recognise(&by, &word).await.unwrap();
}
