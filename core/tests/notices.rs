//! Notices: what they say, and to whom they are due.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use countermand_core::catalogue::Catalogue;
use countermand_core::fleet::{IncomingApp, IncomingReport, Person, Visibility};
use countermand_core::id::{DeviceId, OrderId, PackageNo, PersonId};
use countermand_core::index::{Fact, Index};
use countermand_core::join::{blank_device, take_report};
use countermand_core::notice::render::{Context, check, render};
use countermand_core::notice::{Kind, plan};
use countermand_core::order::{Approval, Order, OrderFile, Pins, Retraction, Revision};
use countermand_core::platform::Platform;
use countermand_core::verdict::GatePolicy;
use jiff::Timestamp;
use roaring::RoaringBitmap;
use uuid::Uuid;

const EXAMPLE: &str = include_str!("../../docs/example-order.toml");
const LINK: &str = "https://mail.example.test/o/7";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn order(text: &str) -> Order {
    let file = OrderFile::parse(text).unwrap();
    let catalogue = Catalogue::embedded();
    let apps = catalogue
        .resolve(&file.forbid.apps, &file.forbid.vendors, &file.forbid.packs)
        .unwrap();
    let pins = Pins::resolve(catalogue.version(), apps, &file.forbid.versions);
    let revision = Revision::new(
        1,
        "ana@example.test",
        at("2020-07-10T18:00:00Z"),
        text,
        file,
        pins,
    );
    Order::draft(OrderId(Uuid::from_u128(7)), revision)
}

fn published(order: Order, index: &Index) -> Order {
    let audience = index.audience(&order).unwrap();
    let approval = Approval {
        by: "ben@example.test".into(),
        at: at("2020-07-10T18:41:00Z"),
        digest: String::new(),
        audience,
    };
    let order = order
        .submit("ana@example.test", at("2020-07-10T18:30:00Z"))
        .unwrap();
    let order = order.approve(approval, &BTreeSet::new()).unwrap();
    order
        .publish("ana@example.test", at("2020-07-10T19:02:00Z"))
        .unwrap()
}

fn person(id: u32, name: &str, zone: &str) -> Person {
    Person {
        id: PersonId(id),
        email: format!("p{id}@example.test"),
        aliases: BTreeSet::new(),
        name: name.into(),
        groups: BTreeSet::from(["all-staff".into()]),
        locale: "en".into(),
        time_zone: zone.into(),
    }
}

/// `people` people with a phone each, on which TikTok was seen.
fn fleet(people: u32) -> Index {
    let mut index = Index::new(GatePolicy::default());
    let mut packages: Vec<countermand_core::evidence::Package> = Vec::new();
    for id in 0..people {
        index.apply(Fact::Person(person(id, "Priya_ *Patel*", "Asia/Kolkata")));
        let report = IncomingReport {
            source: "csv".into(),
            keys: vec![format!("eas:PHONE{id}").parse().unwrap()],
            person: None,
            platform: Some(Platform::Ios),
            form_factor: None,
            ownership: None,
            os_version: None,
            visibility: Visibility::Full,
            complete: true,
            seen_at: at("2020-07-10T17:00:00Z"),
            apps: vec![IncomingApp {
                package_id: "com.zhiliaoapp.musically".into(),
                ..Default::default()
            }],
        };
        let mut device = blank_device(DeviceId(id), &report);
        take_report(
            &mut device,
            &report,
            Some(PersonId(id)),
            at("2020-07-10T17:01:00Z"),
            |p| {
                let no = packages
                    .iter()
                    .position(|known| *known == p)
                    .unwrap_or_else(|| {
                        packages.push(p);
                        packages.len() - 1
                    });
                PackageNo(no as u32)
            },
        );
        for (no, package) in packages.iter().enumerate() {
            index.apply(Fact::Package(PackageNo(no as u32), package.clone()));
        }
        index.apply(Fact::Device(device));
    }
    index.apply(Fact::Person(Person {
        groups: BTreeSet::from(["brand-social".into()]),
        ..person(people, "Bo", "UTC")
    }));
    index
}

fn due(index: &Index, order: &Order, now: &str) -> Vec<(Kind, u64)> {
    let refused = RoaringBitmap::new();
    plan::due(index, order.id, &refused, at(now))
        .into_iter()
        .map(|d| (d.kind, d.people.len()))
        .collect()
}

#[test]
fn a_notice_speaks_to_its_person_and_carries_the_link() {
    let index = fleet(1);
    let order = published(order(EXAMPLE), &index);
    let priya = index.person(PersonId(0)).unwrap();
    let context = Context {
        order: &order,
        person: priya,
        devices: index.devices_of(priya.id).collect(),
        link: LINK.into(),
        was_refused: false,
        missing: None,
        still_forbidden: Vec::new(),
    };
    let mut all = String::new();
    for kind in [Kind::Order, Kind::Reminder(1), Kind::Blocked] {
        let mail = render(kind, &context).unwrap();
        assert!(
            mail.text.contains(LINK) && mail.html.contains(LINK),
            "{kind}"
        );
        all.push_str(&format!(
            "=== {kind}\nSubject: {}\n\n{}\n--- as HTML\n{}\n",
            mail.subject, mail.text, mail.html
        ));
    }
    insta::assert_snapshot!("notices", all);
}

#[test]
fn inv_29_a_correction_stands_alone() {
    let index = fleet(1);
    let order = published(order(EXAMPLE), &index);
    let retraction = Retraction {
        by: "rita@example.test".into(),
        at: at("2020-07-11T00:00:00Z"),
        reason: "The mail was meant for nobody".into(),
        cause: None,
        answer: Default::default(),
    };
    let order = order.retract(retraction).unwrap();
    let priya = index.person(PersonId(0)).unwrap();
    let context = |was_refused, still_forbidden| Context {
        order: &order,
        person: priya,
        devices: Vec::new(),
        link: LINK.into(),
        was_refused,
        missing: None,
        still_forbidden,
    };
    let open = render(Kind::Correction, &context(false, Vec::new())).unwrap();
    let cut = render(Kind::Correction, &context(true, vec!["No games".into()])).unwrap();
    assert!(open.subject.starts_with("CORRECTION"));
    for mail in [&open, &cut] {
        assert!(mail.text.contains("you need do nothing"));
        assert!(
            mail.text
                .contains("«Remove TikTok from phones that read company mail»")
        );
        assert!(
            mail.text
                .contains("> The order said: Remove TikTok by tonight")
        );
    }
    assert!(open.text.contains("Mail was not refused to you"));
    assert!(cut.text.contains("Mail was refused to a device of yours"));
    assert!(
        cut.text
            .contains("another order still holds for you: «No games»")
    );
    insta::assert_snapshot!(
        "correction",
        format!(
            "Subject: {}\n\n{}\n--- as HTML\n{}",
            cut.subject, cut.text, cut.html
        )
    );
}

#[test]
fn a_correction_is_labelled_even_if_its_author_forgot() {
    let index = fleet(1);
    let text = EXAMPLE.replace("CORRECTION: you may keep TikTok", "You may keep TikTok");
    let order = published(order(&text), &index);
    let priya = index.person(PersonId(0)).unwrap();
    let context = Context {
        order: &order,
        person: priya,
        devices: Vec::new(),
        link: LINK.into(),
        was_refused: false,
        missing: None,
        still_forbidden: Vec::new(),
    };
    assert_eq!(
        render(Kind::Correction, &context).unwrap().subject,
        "CORRECTION: You may keep TikTok"
    );
}

#[test]
fn inv_09_a_text_that_would_not_render_is_found_before_anyone_is_told() {
    for (bad, expected) in [
        ("{{ person.nmae }}", "there is no name «person.nmae»"),
        (
            "{% for i in range(10000000) %}x{% endfor %}",
            "[correction]",
        ),
        ("{{ person.name", "[correction]"),
    ] {
        let text = EXAMPLE.replace("We are sorry for the confusion.", bad);
        let problems = check(&order(&text), ["de", "pt-BR"]);
        assert!(
            problems
                .iter()
                .any(|p| p.what.contains(expected) && p.what.contains("correction")),
            "{bad}: {problems:?}"
        );
    }
    // A correction in German only leaves everyone else without one.
    let text = EXAMPLE.replace("[correction]", "[correction.de]");
    let problems = check(&order(&text), ["en"]);
    assert!(
        problems
            .iter()
            .any(|p| p.what.contains("[correction] has no text")),
        "{problems:?}"
    );
    assert_eq!(check(&order(EXAMPLE), ["de"]), []);
}

#[test]
fn inv_12_the_canary_is_a_function_of_order_and_person() {
    let mut index = fleet(3_000);
    let order = published(order(EXAMPLE), &index);
    index.apply(Fact::Order(Box::new(order.clone())));
    let stages = order.revision.file.stages.clone().unwrap();
    let first: Vec<u32> = (0..3_000)
        .filter(|p| plan::in_canary(&index, &stages, order.id, PersonId(*p)))
        .collect();
    assert!(
        (10..70).contains(&first.len()),
        "one in a hundred of 3,000 is {}",
        first.len()
    );
    // Before the pause ends only the canary is due, then everyone.
    let only_first = [(Kind::Order, first.len() as u64)];
    assert_eq!(due(&index, &order, "2020-07-10T19:30:00Z"), only_first);
    index.apply(Fact::Told {
        order: order.id,
        person: PersonId(first[0]),
        at: Some(at("2020-07-10T19:30:00Z")),
    });
    assert_eq!(due(&index, &order, "2020-07-10T19:44:59Z"), only_first);
    assert_eq!(
        due(&index, &order, "2020-07-10T19:45:00Z"),
        [(Kind::Order, 3_000)]
    );
    // Another index of the same facts, and the order after a hold, have the same canary.
    let held = order
        .clone()
        .hold("rita@example.test", at("2020-07-10T19:05:00Z"), "wait")
        .unwrap();
    index.apply(Fact::Order(Box::new(held.clone())));
    assert_eq!(due(&index, &held, "2020-07-10T20:00:00Z"), []);
    let resumed = held.resume(at("2020-07-10T19:30:00Z")).unwrap();
    let mut anew = fleet(3_000);
    anew.apply(Fact::Order(Box::new(resumed.clone())));
    assert_eq!(
        due(&anew, &resumed, "2020-07-10T19:31:00Z"),
        [(Kind::Order, first.len() as u64)]
    );
    let again: Vec<u32> = (0..3_000)
        .filter(|p| plan::in_canary(&anew, &stages, order.id, PersonId(*p)))
        .collect();
    assert_eq!(first, again);
}

#[test]
fn a_reminder_is_due_in_its_hour_to_those_told_before_who_still_have_the_app() {
    let mut index = fleet(3);
    let order = published(order(EXAMPLE), &index);
    index.apply(Fact::Order(Box::new(order.clone())));
    // The deadline is 06:59 UTC; reminders six hours and one hour before.
    index.apply(Fact::Told {
        order: order.id,
        person: PersonId(0),
        at: Some(at("2020-07-10T19:20:00Z")),
    });
    index.apply(Fact::Told {
        order: order.id,
        person: PersonId(1),
        at: Some(at("2020-07-11T02:00:00Z")),
    });
    assert_eq!(
        due(&index, &order, "2020-07-11T00:58:59Z"),
        [(Kind::Order, 3)]
    );
    assert_eq!(
        due(&index, &order, "2020-07-11T00:59:00Z"),
        [(Kind::Reminder(1), 1), (Kind::Order, 3)]
    );
    assert_eq!(
        due(&index, &order, "2020-07-11T05:59:00Z"),
        [(Kind::Reminder(2), 2), (Kind::Order, 3)]
    );
    assert_eq!(
        due(&index, &order, "2020-07-11T06:59:00Z"),
        [(Kind::Order, 3)]
    );
    // Reminders follow a moved deadline.
    let moved = order
        .clone()
        .extend("2020-07-12T06:59:00Z".parse().unwrap())
        .unwrap();
    index.apply(Fact::Order(Box::new(moved.clone())));
    assert_eq!(
        due(&index, &moved, "2020-07-11T05:59:00Z"),
        [(Kind::Order, 3)]
    );
    assert_eq!(
        due(&index, &moved, "2020-07-12T00:59:00Z"),
        [(Kind::Reminder(1), 2), (Kind::Order, 3)]
    );
}

#[test]
fn a_text_is_in_the_language_that_its_author_declared() {
    let german = "[notice.de]\nsubject = \"TikTok entfernen\"\nbody = \"Bitte {{ apps }} entfernen.\"\n[correction.de]\nsubject = \"CORRECTION: TikTok\"\nbody = \"Es war ein Irrtum.\"\n";
    let render_for = |text: &str, locale: &str, kind| {
        let mut order = order(text);
        if kind == Kind::Correction {
            let index = fleet(1);
            let retraction = Retraction {
                by: "rita".into(),
                at: at("2020-07-10T23:54:00Z"),
                cause: None,
                reason: "Sent in error".into(),
                answer: Default::default(),
            };
            order = published(order, &index).retract(retraction).unwrap();
        }
        let person = Person {
            locale: locale.into(),
            ..person(1, "Mia", "UTC")
        };
        let context = Context {
            order: &order,
            person: &person,
            devices: vec![],
            link: LINK.into(),
            was_refused: false,
            missing: None,
            still_forbidden: vec![],
        };
        render(kind, &context).unwrap()
    };
    let text = format!("fallback = {{ gsw = \"de\", \"fr-CH\" = \"de\" }}\n{EXAMPLE}{german}");
    for (locale, language) in [
        ("", "en"),
        ("en-GB", "en"),
        ("fr", "en"),
        ("de", "de"),
        ("DE-at", "de"),
        ("gsw", "de"),
        ("gsw-CH", "de"),
        ("fr-CH", "de"),
    ] {
        let mail = render_for(&text, locale, Kind::Order);
        assert_eq!(mail.language, language, "{locale}");
        assert!(
            mail.html.contains(&format!("<html lang=\"{language}\">")),
            "{locale}: {}",
            mail.html
        );
        // There is no reminder in it: the words are ours.
        assert_eq!(render_for(&text, locale, Kind::Reminder(1)).language, "en");
    }
    let plain = render_for(
        &format!("language = \"pt-BR\"\n{EXAMPLE}"),
        "fr",
        Kind::Order,
    );
    assert_eq!(plain.language, "pt-BR");
    // Our own words within a text in another language are said in theirs.
    let correction = render_for(&text, "de", Kind::Correction);
    let (own, ours) = correction.html.split_once("<div lang=\"en\">").unwrap();
    assert!(own.contains("Irrtum") && ours.contains("you need do nothing"));
    assert!(
        !render_for(&text, "en", Kind::Correction)
            .html
            .contains("<div")
    );
}

#[test]
fn a_fallback_leads_to_a_text_that_is_there() {
    for (head, what) in [
        ("language = \"english\"", "language «english» is no locale"),
        ("fallback = { gsw = \"de\" }", "fallback «gsw» = «de»"),
        ("fallback = { x = \"en\" }", "fallback «x» = «en»"),
    ] {
        let problems = OrderFile::parse(&format!("{head}\n{EXAMPLE}")).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].what.starts_with(what), "{problems:?}");
        assert_eq!(problems[0].line, Some(1));
    }
    let fine = format!("fallback = {{ fr = \"en\" }}\nlanguage = \"en-US\"\n{EXAMPLE}");
    assert!(OrderFile::parse(&fine).is_ok());
}

#[test]
fn inv_09_a_name_that_does_not_exist_is_found_in_every_branch() {
    let with = |body: &str| EXAMPLE.replace("We are sorry for the confusion.", body);
    for body in [
        "{% if person.name == 'Mia' %}{{ nope }}{% endif %}",
        "{% if false %}{{ order.nope }}{% endif %}",
    ] {
        let problems = check(&order(&with(body)), [""]);
        let said = problems.iter().any(|p| p.what.contains("nope"));
        assert!(said, "{body}: {problems:?}");
    }
    let own = "{% for n in range(2) %}{% set a = n %}{{ a }} {{ loop.index }}{% endfor %}";
    assert_eq!(check(&order(&with(own)), [""]), []);
}

#[test]
fn inv_28_a_correction_goes_out_whatever_its_author_wrote() {
    let text = EXAMPLE.replace(
        "We are sorry for the confusion.",
        "{% if person.name == 'Mia' %}{% for i in range(100000) %}{{ i }}{% endfor %}{% endif %}",
    );
    assert_ne!(text, EXAMPLE);
    let index = fleet(1);
    let retraction = Retraction {
        by: "rita".into(),
        at: at("2020-07-10T23:54:00Z"),
        reason: "Sent in error".into(),
        cause: None,
        answer: Default::default(),
    };
    let order = published(order(&text), &index).retract(retraction).unwrap();
    let mia = person(1, "Mia", "UTC");
    let context = Context {
        order: &order,
        person: &mia,
        devices: Vec::new(),
        link: LINK.into(),
        was_refused: true,
        missing: None,
        still_forbidden: Vec::new(),
    };
    let mail = render(Kind::Correction, &context).unwrap();
    for words in ["you need do nothing", "Sent in error", "it is open again"] {
        assert!(mail.text.contains(words), "{}", mail.text);
    }
}
