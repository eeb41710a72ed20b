//! Device keys are claims: whose a key is, and how a device comes to be known.

use countermand::app::devices::Word;
use countermand_core::actor::Role;
use countermand_core::fleet::DeviceKey;
use countermand_core::notice::Kind;
use countermand_core::notice::plan;
use countermand_core::verdict::Fallback;

use crate::house::{AFTER, House, REFUSING, SIGNED_IN, login, told, uri};
use crate::support::app::{ADMIN, RESPONDER, TIKTOK, operator};
use crate::support::http::Reply;

const BOB_SIGNED_IN: (&str, &str) = ("X-Remote-User", "bob@corp.test");
const CAROL_SIGNED_IN: (&str, &str) = ("X-Remote-User", "carol@corp.test");

impl House {
    /// A phone at a proxy that vouches for who asks.
    async fn sync_as(&self, who: (&str, &str), device: &str) -> Reply {
        let path = uri(device);
        self.http(&[("X-Original-URI", &path), who]).await
    }

    /// What was noted is written, and everyone has heard of it.
    async fn settle(&self) {
        self.gate.flush().await.unwrap();
        self.world.app.live.follow().await.unwrap();
    }

    async fn version(&self) -> i64 {
        self.world.app.store.version().await.unwrap()
    }

    async fn recognise(&self, key: &str, person: &str) {
        let word = Word {
            key: key.parse().unwrap(),
            person: person.to_owned(),
            same_as: None,
            platform: None,
            form_factor: None,
            reason: "showed it at the desk".to_owned(),
        };
        let done = self.world.app.recognise(&operator(RESPONDER), &word).await;
        done.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_05_a_key_belongs_to_whom_it_came_with_first() {
    let house = House::new().await;
    let (alice, bob) = (SIGNED_IN, BOB_SIGNED_IN);
    assert_eq!(told(&house.sync_as(alice, "NEW").await).0, 204);
    house.settle().await;
    assert_eq!(told(&house.sync_as(bob, "4E4557").await).0, 204);
    house.settle().await;
    let key: DeviceKey = "eas:NEW".parse().unwrap();
    let claims = house.world.app.store.claims_of_key(&key).await.unwrap();
    assert_eq!(
        claims.iter().map(|c| c.first).collect::<Vec<_>>(),
        [true, false]
    );
    let written = house.version().await;
    for who in [alice, bob] {
        house.sync_as(who, "NEW").await;
        house.sync_as(who, "new").await;
    }
    house.settle().await;
    assert_eq!(house.version().await, written, "each is written once");

    // An order that is enforcing for Alice alone: Bob with her phone is read as her unknown phone too.
    let order = house.world.publish(TIKTOK).await;
    house.world.tell(&order, "alice@corp.test").await;
    house.world.go_to(AFTER).await;
    assert_eq!(told(&house.sync_as(bob, "DEVB0B").await).0, 204);
    assert_eq!(told(&house.sync_as(bob, "OTHER").await).0, 204, "Bob's own");
    let refused = house.sync_as(bob, "NEW").await;
    assert_eq!(told(&refused), (403, Some("deny")));
    let line = refused.header("x-countermand-reason").unwrap();
    assert!(
        !line.contains("TikTok") && line.contains("helpdesk"),
        "{line}"
    );
    let reference = refused.header("x-countermand-ref").unwrap();
    let known = house.recorded(reference).await.remove(0).known;
    let known: serde_json::Value = serde_json::from_str(&known).unwrap();
    assert_eq!(known["verdict"]["fallback"], "unknown_device");
    assert_eq!(known["claims"][0]["key"], "eas:NEW");
    assert_eq!(known["claims"][0]["first_with"], "alice@corp.test");

    // A report that shows whose it is outweighs who came first.
    let row = "bob@corp.test,4,eas:NEW,com.example.clock@1";
    house.world.iphones(&[row]).await;
    assert_eq!(told(&house.sync_as(bob, "NEW").await), (204, Some("allow")));
    assert_eq!(
        told(&house.sync_as(alice, "NEW").await),
        (403, Some("deny"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_05_a_phone_that_takes_the_name_of_a_device_of_nobodys_gains_nothing() {
    let (house, _) = House::enforcing().await;
    house
        .world
        .iphones(&[",9,eas:POOL,com.example.clock@1"])
        .await;
    assert_eq!(told(&house.sync_as(BOB_SIGNED_IN, "POOL").await).0, 204);
    house.settle().await;
    assert_eq!(told(&house.sync_as(BOB_SIGNED_IN, "POOL").await).0, 204);
    let renamed = house.sync_as(SIGNED_IN, "POOL").await;
    assert_eq!(
        told(&renamed),
        (403, Some("deny")),
        "Bob's since he came with it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_a_door_vouches_for_is_kept_and_only_so_much() {
    let (house, _) = House::enforcing().await;
    let written = house.version().await;
    // Carol is concerned by no order, so nothing of hers is on record otherwise.
    let basic = ("Authorization", "Basic Y2Fyb2xAY29ycC50ZXN0OnNlY3JldA==");
    house.sync_as(basic, "MADEUP").await;
    for known in ["DEVB0B", "B0B"] {
        house.dovecot(&login("carol@corp.test", known)).await;
    }
    house.dovecot(&login("nobody@corp.test", "dev-x")).await;
    house.dovecot(&login("alice@corp.test", "dev-9c1e")).await;
    house.settle().await;
    assert_eq!(
        house.version().await,
        written + 1,
        "Carol's two logins, in one"
    );
    for round in 0..8 {
        for n in 0..20 {
            let device = format!("MADEUP{round}N{n}");
            assert_eq!(told(&house.sync_as(CAROL_SIGNED_IN, &device).await).0, 204);
        }
        house.settle().await;
    }
    let carol = house.person("carol@corp.test");
    let kept = house.world.app.store.claims_of_person(carol).await.unwrap();
    // What waits to be written is not counted yet.
    assert!((50..60).contains(&kept.len()), "{}", kept.len());
    assert_eq!(told(&house.sync_as(BOB_SIGNED_IN, "OWN").await).0, 403);
    house.settle().await;
    let key = "eas:OWN".parse().unwrap();
    let of_bob = house.world.app.store.claims_of_key(&key).await.unwrap();
    assert_eq!(of_bob.len(), 1, "another person is not concerned");
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_04_an_unknown_device_is_refused_while_an_order_is_enforcing_and_told_once() {
    let house = House::new().await;
    let imap = async |device: &str| house.dovecot(&login("alice@corp.test", device)).await;
    assert_eq!(imap("new-one").await["status"], 0, "no order");
    let order = house.world.publish(TIKTOK).await;
    house.world.tell(&order, "alice@corp.test").await;
    assert_eq!(imap("new-one").await["status"], 0, "before the deadline");
    house.world.go_to(AFTER).await;
    let refused = imap("new-one").await;
    assert_eq!(refused["status"], -1);
    let line = refused["msg"].as_str().unwrap();
    for words in [
        "not known",
        "Enrol it",
        "a mail about it",
        "helpdesk",
        "Reference R-",
    ] {
        assert!(line.contains(words), "{words}: {line}");
    }
    imap("another-one").await;
    house.settle().await;
    let app = &house.world.app;
    let alice = app.live.view().person_called("alice@corp.test").unwrap().id;
    let refused = app.store.refused(order.id).await.unwrap();
    let due = plan::due(&app.live.view(), order.id, &refused, app.now());
    let blocked: Vec<_> = due.iter().filter(|d| d.kind == Kind::Blocked).collect();
    assert_eq!(blocked.len(), 1);
    assert_eq!(
        blocked[0].people.iter().collect::<Vec<_>>(),
        [alice.0],
        "one notice"
    );
    assert!(app.store.was_unknown_device(order.id, alice).await.unwrap());

    // It is corrected as any other, and the door is open.
    app.retract(&operator(RESPONDER), &order.id.to_string(), "sent in error")
        .await
        .unwrap();
    assert_eq!(imap("new-one").await["status"], 0);
    assert!(
        app.store
            .to_correct(order.id)
            .await
            .unwrap()
            .contains(alice.0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_known_by_a_report_that_shows_its_key() {
    let (house, _) = House::enforcing().await;
    let imap = login("alice@corp.test", "new-one");
    assert_eq!(house.dovecot(&imap).await["status"], -1);
    house.settle().await;
    let row = |app: &str| format!("alice@corp.test,8,cred:new-one,{app}");
    house.world.iphones(&[&row("com.example.clock@1")]).await;
    assert_eq!(house.dovecot(&imap).await["status"], 0);
    house.world.go_to("2020-07-11T08:00:00Z").await;
    house
        .world
        .iphones(&[&row("com.zhiliaoapp.musically@16.1")])
        .await;
    let refused = house.dovecot(&imap).await;
    let line = refused["msg"].as_str().unwrap();
    assert!(line.contains("Remove TikTok"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_34_a_device_is_known_by_the_helpdesks_word_which_is_on_record() {
    let (house, _) = House::enforcing().await;
    let app = &house.world.app;
    let imap = login("alice@corp.test", "new-one");
    assert_eq!(house.dovecot(&imap).await["status"], -1);
    let word = |key: &str, person: &str, reason: &str| Word {
        key: key.parse().unwrap(),
        person: person.to_owned(),
        same_as: None,
        platform: None,
        form_factor: None,
        reason: reason.to_owned(),
    };
    let written = house.version().await;
    let good = word("cred:new-one", "alice@corp.test", "showed it");
    let viewer = "viewer@corp.test";
    app.put_operator(
        &operator(ADMIN),
        viewer,
        [Role::Viewer, Role::Author].into(),
    )
    .await
    .unwrap();
    for who in [viewer, "nobody@corp.test"] {
        let refused = app.recognise(&operator(who), &good).await.unwrap_err();
        assert!(refused.to_string().contains(who), "{refused}");
    }
    for (wrong, why) in [
        (word("cred:new-one", "alice@corp.test", " "), "a few words"),
        (word("cred:new-one", "zoe@corp.test", "x"), "no person"),
        (
            word("cred:dev-b0b", "alice@corp.test", "x"),
            "another person's",
        ),
    ] {
        let refused = app.recognise(&operator(RESPONDER), &wrong).await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
    }
    assert_eq!(
        house.version().await,
        written + 1,
        "only the viewer was made"
    );
    house.recognise("cred:new-one", "al@corp.test").await;
    assert_eq!(house.dovecot(&imap).await["status"], 0);
    let entry = app.store.audit_newest(None, 1).await.unwrap().remove(0);
    assert_eq!(entry.action, "device.recognise");
    assert_eq!(entry.actor.name(), RESPONDER);
    assert!(entry.details.contains("cred:new-one"), "{}", entry.details);
    // Nothing is known of what is on it: that it is hers says no more.
    let question = countermand_core::verdict::Question {
        person: Some("alice@corp.test".to_owned()),
        keys: vec!["cred:new-one".parse().unwrap()],
        channel: countermand_core::verdict::Channel::Imap,
    };
    let decided = app
        .decide(&operator(RESPONDER), &question, app.now())
        .await
        .unwrap();
    let fallback = decided.verdict.fallback.unwrap();
    assert_eq!(
        (decided.verdict.decision.as_str(), fallback.as_str()),
        ("warn", "no_report")
    );
    let shown = app
        .whose(&operator(RESPONDER), "cred:new-one")
        .await
        .unwrap();
    assert_eq!(shown.devices[0].person.as_deref(), Some("alice@corp.test"));
    assert_eq!(shown.devices[0].last_report, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_05_two_devices_by_one_key_are_noted_and_the_strictest_decides() {
    let (house, _) = House::enforcing().await;
    assert_eq!(told(&house.sync_as(SIGNED_IN, "DEV9C1E").await).0, 204);
    let table = format!(
        "person,device,keys,apps,platform,form_factor,seen_at\nbob@corp.test,4,eas:DEV9C1E,com.zhiliaoapp.musically@1,ios,phone,{}\n",
        house.world.app.now()
    );
    let read = countermand::import::reports(
        countermand::import::Format::Csv,
        table.as_bytes(),
        house.world.app.now(),
    )
    .unwrap();
    let admin = operator(ADMIN);
    let shared = house
        .world
        .app
        .import_reports(&admin, read.good, |_| {})
        .await
        .unwrap();
    let notes: Vec<String> = shared.in_words().collect();
    assert_eq!(notes.len(), 1);
    assert!(
        notes[0].starts_with("2 devices go by eas:DEV9C1E (of alice@corp.test, bob@corp.test)"),
        "{notes:?}"
    );
    for who in [SIGNED_IN, BOB_SIGNED_IN] {
        let refused = house.sync_as(who, "DEV9C1E").await;
        assert_eq!(told(&refused), (403, Some("deny")), "{who:?}");
        let line = refused.header("x-countermand-reason").unwrap();
        assert!(!line.contains("TikTok"), "it may be the other's: {line}");
    }
    assert_eq!(
        house.dovecot(&login("alice@corp.test", "dev-9c1e")).await["status"],
        0
    );
    assert_eq!(
        house.dovecot(&login("alice@corp.test", REFUSING)).await["status"],
        -1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_23_a_refusal_that_nobody_vouched_for_first_is_recorded_when_somebody_does() {
    let (house, order) = House::enforcing().await;
    let store = &house.world.app.store;
    let certain = async || store.refused(order.id).await.unwrap().len();
    // Made up by the hundred under her name, the phone that is hers among them.
    let mut named = house.sync("NEW").await;
    for n in 0..60 {
        house.sync(&format!("MADEUP{n}")).await;
    }
    house.settle().await;
    assert_eq!(certain().await, 0);
    let reference = |reply: &Reply| reply.header("x-countermand-ref").unwrap().to_owned();
    let first = reference(&named);
    named = house.sync_as(SIGNED_IN, "NEW").await;
    let second = reference(&named);
    assert_ne!(first, second);
    assert_eq!(certain().await, 1, "she is told, and corrected");
    let alice = house.person("al@corp.test");
    assert!(store.was_unknown_device(order.id, alice).await.unwrap());
    for (reference, vouched) in [(first, false), (second, true)] {
        let known = house.recorded(&reference).await.remove(0).known;
        let known: serde_json::Value = serde_json::from_str(&known).unwrap();
        assert_eq!(known["question"]["vouched"], vouched);
    }
}

/// Behind Basic authentication nobody vouches for who asks, and a phone shows no reference: the helpdesk
/// finds it by the person.
#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_shows_no_reference_is_found_by_its_person() {
    let (house, order) = House::enforcing().await;
    assert_eq!(told(&house.sync("ROTATED").await), (403, Some("deny")));
    house.settle().await;
    let app = &house.world.app;
    let of_alice = app.whose(&operator(RESPONDER), "al@corp.test").await;
    let of_alice = of_alice.unwrap();
    assert!(of_alice.claims.is_empty(), "anybody could have said so");
    assert_eq!(of_alice.devices.len(), 2);
    let refused = &of_alice.refused[0];
    assert_eq!(refused.keys, ["eas:ROTATED".parse().unwrap()]);
    assert_eq!(refused.fallback, Some(Fallback::UnknownDevice));
    assert!(!refused.vouched);
    let told_of = app.store.refused(order.id).await.unwrap();
    assert!(told_of.is_empty(), "nor is anybody mailed");
    house.recognise("eas:ROTATED", "alice@corp.test").await;
    assert_eq!(told(&house.sync("ROTATED").await), (204, Some("warn")));
}
