//! A person has a device of theirs recognised, from another that they read mail on.

use std::sync::Arc;

use countermand::gate::{Gate, page};
use countermand::store::Outcome;
use countermand_core::actor::Actor;
use countermand_core::fleet::{DeviceKey, IncomingApp, IncomingReport, Visibility};
use countermand_core::notice::{Kind, token};
use countermand_core::verdict::{Channel, Fallback, Question};
use jiff::SignedDuration;

use crate::support::house::{House, MIA, SAM, TITLE, Visitor};
use crate::{link, parts, rita};

const NEW: &str = "cred:new-one";

/// The order is enforcing for Mia, whose new device a door has refused; its notice has reached her. Her old
/// one has the app no more.
async fn refused() -> (House, Arc<Gate>, String, String) {
    let (house, gate, id, reference) = refused_with_the_app().await;
    is_cured(&house).await;
    (house, gate, id, reference)
}

/// A newer report of Mia's phone, without the app.
async fn is_cured(house: &House) {
    let report = IncomingReport {
        source: "csv".to_owned(),
        keys: vec!["mdm:csv:P1".parse().unwrap()],
        person: Some(MIA.to_owned()),
        platform: None,
        form_factor: None,
        ownership: None,
        os_version: None,
        visibility: Visibility::Full,
        complete: true,
        seen_at: house.app.now(),
        apps: vec![IncomingApp {
            package_id: "com.example.chess".to_owned(),
            ..IncomingApp::default()
        }],
    };
    let shell = Actor::Local("test".to_owned());
    let imported = house.app.import_reports(&shell, vec![report], |_| {}).await;
    imported.unwrap();
}

async fn refused_with_the_app() -> (House, Arc<Gate>, String, String) {
    let house = House::build().await;
    let app = &house.app;
    let gate = Gate::new(
        app.live.clone(),
        app.store.clone(),
        house.clock.clone(),
        app.config.gate.clone(),
        &app.config.server.public_url,
        Box::new(page::plain),
    );
    tokio::spawn(gate.clone().keep_recording());
    let id = house.published(TITLE).await;
    for person in [MIA, SAM] {
        house.sent(&id, person, Outcome::Accepted, "250 ok").await;
    }
    house.clock.advance(SignedDuration::from_hours(24));
    app.live.follow().await.unwrap();
    let reference = ask(&gate, MIA, NEW).await.expect("it is refused");
    let blocked = Kind::Blocked;
    house
        .sent_kind(&id, MIA, blocked, Outcome::Accepted, "250 ok")
        .await;
    (house, gate, id, reference)
}

/// The reference of the refusal, if it is one.
async fn ask(gate: &Gate, person: &str, key: &str) -> Option<String> {
    let question = Question {
        person: Some(person.to_owned()),
        keys: vec![key.parse().unwrap()],
        channel: Channel::Imap,
    };
    let (is_let_in, line) = gate.ask(question).await;
    let reference = line
        .rsplit_once("R-")
        .map(|(_, r)| format!("R-{}", &r[..7]));
    (!is_let_in).then(|| reference.unwrap())
}

#[tokio::test]
async fn inv_34_the_persons_own_word_takes_the_notice_and_the_reference() {
    let (house, gate, id, reference) = refused().await;
    let link = link(&house, &id, MIA, Kind::Blocked);
    let (path, token) = parts(&link);
    let mine = format!("{path}/recognise");
    let reader = Visitor::of(&house);
    let known = async || {
        let key: DeviceKey = NEW.parse().unwrap();
        let view = house.app.live.view();
        view.devices_called(&key).count()
    };
    // What follows links does nothing, and the page tells no reference and no key.
    let form = reader.get(&link).await;
    assert!(
        form.body.contains(&format!("action=\"{mine}\"")),
        "{}",
        form.body
    );
    assert!(!form.body.contains(&reference) && !form.body.contains("new-one"));
    let entries = house.entries().await;
    reader
        .get(&format!("{mine}?n={token}&reference={reference}"))
        .await;
    // A notice of another kind, of another person, or none; another reference, or none.
    let order = crate::link(&house, &id, MIA, Kind::Order);
    let others = crate::link(&house, &id, SAM, Kind::Blocked);
    for wrong in ["", "x", parts(&others).1] {
        let got = reader
            .send(&mine, &[("n", wrong), ("reference", &reference)])
            .await;
        assert_eq!(got.status, 403, "{wrong}");
    }
    let foreign = ask(&gate, SAM, "cred:sams-new-one").await.unwrap();
    for (n, shown) in [
        (parts(&order).1, reference.as_str()),
        (token, ""),
        (token, "R-0000-00"),
        (token, &foreign),
    ] {
        let got = reader.send(&mine, &[("n", n), ("reference", shown)]).await;
        assert_eq!(got.status, 422, "{shown}: {}", got.body);
    }
    assert_eq!((known().await, house.entries().await), (0, entries));

    let fields = [("n", token), ("reference", &*reference.to_lowercase())];
    let got = reader.send(&mine, &fields).await;
    assert_eq!(got.status, 200, "{}", got.body);
    assert!(got.body.contains("The device is known now"));
    assert!(!got.body.contains("mia") && !got.body.contains("Mia"));
    assert_eq!(known().await, 1);
    assert_eq!(ask(&gate, MIA, NEW).await, None, "let in, with a warning");
    let entry = house
        .app
        .store
        .audit_newest(None, 1)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(entry.number, entries + 1);
    assert_eq!(entry.actor, Actor::Person(MIA.to_owned()));
    assert!(entry.details.contains(&reference), "{}", entry.details);
    let again = reader.send(&mine, &fields).await;
    assert_eq!(again.status, 422, "known by now");
    assert_eq!(house.entries().await, entries + 1);
}

#[tokio::test]
async fn inv_05_the_own_word_ends_with_its_time_its_order_and_where_another_came_first() {
    let (house, gate, id, reference) = refused().await;
    let link = link(&house, &id, MIA, Kind::Blocked);
    let (path, token) = parts(&link);
    let mine = format!("{path}/recognise");
    let reader = Visitor::of(&house);
    let say = async |shown: &str| {
        let got = reader
            .send(&mine, &[("n", token), ("reference", shown)])
            .await;
        got.status
    };
    // Sam came with a device before Mia did: it is not hers to say.
    ask(&gate, SAM, "cred:sams").await.unwrap();
    gate.flush().await.unwrap();
    house.app.live.follow().await.unwrap();
    let sams = ask(&gate, MIA, "cred:sams").await.unwrap();
    assert_eq!(say(&sams).await, 403);
    let time = house.app.now();
    house.clock.advance(SignedDuration::from_hours(7 * 24));
    assert_eq!(say(&reference).await, 422, "too late");
    house.clock.set(time);
    house
        .app
        .retract(&rita(), &id, "Sent in error")
        .await
        .unwrap();
    assert_eq!(
        say(&reference).await,
        422,
        "there is nothing to be let in to"
    );
    let page = reader.get(&link).await;
    assert!(!page.body.contains("recognise"), "{}", page.body);
}

#[tokio::test]
async fn inv_05_the_own_word_whitewashes_nothing_and_counts_once() {
    let (house, gate, id, reference) = refused_with_the_app().await;
    let link = link(&house, &id, MIA, Kind::Blocked);
    let (path, token) = parts(&link);
    let mine = format!("{path}/recognise");
    let reader = Visitor::of(&house);
    let say = async |shown: &str| {
        let fields = [("n", token), ("reference", shown)];
        reader.send(&mine, &fields).await
    };
    // Her phone had the app when it was last seen, and this may be that very phone by another name.
    let entries = house.entries().await;
    let got = say(&reference).await;
    assert_eq!(got.status, 403, "{}", got.body);
    assert!(got.body.contains("ask the helpdesk"), "{}", got.body);
    assert!(
        !got.body.contains("TikTok"),
        "which app is nobody's business"
    );
    assert_eq!(house.entries().await, entries);
    is_cured(&house).await;
    let other = ask(&gate, MIA, "cred:second").await.unwrap();
    let page = reader.get(&link).await;
    assert!(page.body.contains(&mine), "{}", page.body);
    // Two at once, at two servers: one wins.
    let second = house.another_app().await;
    let (order, said) = {
        let seal = house.app.store.seal_key(|| unreachable!()).await.unwrap();
        let view = house.app.live.view();
        let order = view.orders().find(|o| o.id.is_called(&id)).unwrap().clone();
        let said = token::open(&seal, &order, token).unwrap();
        (order, said)
    };
    let words = tokio::join!(
        house.app.recognise_own(&order, &said, &reference),
        second.recognise_own(&order, &said, &other),
    );
    assert!(words.0.is_ok() != words.1.is_ok(), "{words:?}");
    house.app.live.follow().await.unwrap();
    let view = house.app.live.view();
    let known = ["cred:new-one", "cred:second"].map(|key| {
        let key: DeviceKey = key.parse().unwrap();
        view.devices_called(&key).count()
    });
    drop(view);
    assert_eq!(known.iter().sum::<usize>(), 1);
    let left = if known[0] == 1 { &other } else { &reference };
    let got = say(left).await;
    assert_eq!(got.status, 422, "{}", got.body);
    assert!(got.body.contains("counts once"), "{}", got.body);
    let page = reader.get(&link).await;
    assert!(!page.body.contains(&mine), "{}", page.body);
}

#[tokio::test]
async fn the_notice_tells_every_way_and_no_reference() {
    let (house, _gate, id, reference) = refused().await;
    let view = house.app.live.view();
    let person = view.person_called(MIA).unwrap().id;
    let order = view.orders().find(|o| o.id.is_called(&id)).unwrap().id;
    drop(view);
    let unknown = house.app.store.was_unknown_device(order, person).await;
    assert!(unknown.unwrap());
    let key = countermand_core::notice::Key {
        order,
        person,
        kind: Kind::Blocked,
    };
    let letter = |missing| {
        use countermand::outbox::office::{Brief, Office as _};
        let was_refused = true;
        house
            .app
            .write(&Brief {
                key,
                was_refused,
                missing,
            })
            .unwrap()
    };
    let mail = letter(Some(Fallback::UnknownDevice));
    for words in [
        "Enrol it",
        "give the reference",
        "helpdesk",
        "?n=",
        "knows your password",
    ] {
        assert!(mail.text.contains(words), "{words}: {}", mail.text);
    }
    assert!(!mail.text.contains(&reference) && !mail.text.contains("new-one"));
    assert!(!mail.text.contains("Remove the app"), "{}", mail.text);
    assert!(letter(None).text.contains("Remove the app"));
    // Each says what is the matter, and whom to ask.
    for (missing, words) in [
        (Fallback::NoDeviceKey, "did not say which one it is"),
        (
            Fallback::AmbiguousKey,
            "More than one device goes by its name",
        ),
        (Fallback::Stale, "What is on the device is not known"),
    ] {
        let mail = letter(Some(missing));
        assert!(mail.text.contains(words), "{}", mail.text);
        assert!(mail.text.contains("ask the helpdesk"), "{}", mail.text);
        assert!(!mail.text.contains("Remove the app from"), "{}", mail.text);
    }
}
