//! Channels: when an order is announced there, and what a reader who may be anyone is told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use countermand_core::catalogue::Catalogue;
use countermand_core::fleet::Person;
use countermand_core::id::{OrderId, PersonId};
use countermand_core::index::{Fact, Index};
use countermand_core::notice::channel::colleagues;
use countermand_core::notice::render::{Context, Rendered, render};
use countermand_core::notice::{Kind, plan};
use countermand_core::order::{Approval, Order, OrderFile, Pins, Retraction, Revision};
use countermand_core::verdict::GatePolicy;
use jiff::Timestamp;
use roaring::RoaringBitmap;
use uuid::Uuid;

const ORDER: &str = r#"
title = "Remove TikTok"
reason = "Security risks"
expires = "2020-08-01T00:00:00Z"
[forbid]
apps = ["tiktok"]
[audience]
groups = ["all-staff"]
tell = "everyone"
[deadline]
comply_by = "2020-07-10T23:59:00Z"
remind = ["PT1H"]
[stages]
canary = "1%"
pause = "PT15M"
[announce]
channels = ["ops", "staff"]
[notice]
subject = "Remove TikTok by tonight"
body = "Dear {{ person.name }},\n\nremove it from {{ devices }}."
[correction]
subject = "CORRECTION: keep it"
body = "Dear {{ person.name }}, the order was sent in error."
"#;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn channels() -> RoaringBitmap {
    [PersonId::channel(0).0, PersonId::channel(4).0]
        .into_iter()
        .collect()
}

/// Published at 19:00, to one person who is not of the canary.
fn published() -> (Index, Order) {
    let file = OrderFile::parse(ORDER).unwrap();
    let catalogue = Catalogue::embedded();
    let apps = catalogue.resolve(&file.forbid.apps, &[], &[]).unwrap();
    let pins = Pins::resolve(catalogue.version(), apps, &file.forbid.versions);
    let revision = Revision::new(
        1,
        "ana@x.test",
        at("2020-07-10T18:00:00Z"),
        ORDER,
        file,
        pins,
    );
    let mut index = Index::new(GatePolicy::default());
    let order = Order::draft(OrderId(Uuid::from_u128(7)), revision);
    let stages = order.revision.file.stages.clone().unwrap();
    let id = (0..).find(|id| !plan::in_canary(&index, &stages, order.id, PersonId(*id)));
    index.apply(Fact::Person(Person {
        id: PersonId(id.unwrap()),
        email: "mia@x.test".into(),
        aliases: BTreeSet::new(),
        name: "Mia Lind".into(),
        groups: BTreeSet::from(["all-staff".into()]),
        locale: "en".into(),
        time_zone: String::new(),
    }));
    let approval = Approval {
        by: "ben@x.test".into(),
        at: at("2020-07-10T18:40:00Z"),
        digest: String::new(),
        audience: index.audience(&order).unwrap(),
    };
    let mut order = order
        .submit("ana@x.test", at("2020-07-10T18:30:00Z"))
        .and_then(|o| o.approve(approval, &BTreeSet::new()))
        .and_then(|o| o.publish("ana@x.test", at("2020-07-10T19:00:00Z")))
        .unwrap();
    order.channels = [("ops".to_owned(), 0), ("staff".to_owned(), 4)].into();
    (index, order)
}

/// The channels that are due to hear of it then, and how many people.
fn due(index: &mut Index, order: &Order, now: &str) -> (RoaringBitmap, u64) {
    index.apply(Fact::Order(Box::new(order.clone())));
    let people = plan::due(index, order.id, &RoaringBitmap::new(), at(now));
    let notice = people.iter().filter(|due| due.kind == Kind::Order);
    let told = notice.map(|due| due.people.len()).sum();
    let channels = plan::announcements(index, order.id, at(now));
    if let Some(due) = &channels {
        assert_eq!(due.kind, Kind::Order);
    }
    (channels.map(|due| due.people).unwrap_or_default(), told)
}

fn none() -> RoaringBitmap {
    RoaringBitmap::new()
}

#[test]
fn channels_hear_of_an_order_when_everyone_does() {
    let (mut index, order) = published();
    assert_eq!(
        due(&mut index, &order, "2020-07-10T19:14:00Z"),
        (none(), 0),
        "canary"
    );
    assert_eq!(
        due(&mut index, &order, "2020-07-10T19:15:00Z"),
        (channels(), 1)
    );
    assert_eq!(
        due(&mut index, &order, "2020-07-10T23:30:00Z"),
        (channels(), 1),
        "no reminder"
    );
    assert_eq!(
        due(&mut index, &order, "2020-08-01T00:00:00Z"),
        (none(), 0),
        "expired"
    );
}

#[test]
fn inv_36_a_held_order_is_announced_nowhere_until_it_is_resumed() {
    let (mut index, order) = published();
    let held = order
        .hold("rita@x.test", at("2020-07-10T19:01:00Z"), "wait")
        .unwrap();
    assert_eq!(due(&mut index, &held, "2020-07-10T20:00:00Z"), (none(), 0));
    let resumed = held.resume(at("2020-07-10T20:00:00Z")).unwrap();
    assert_eq!(
        due(&mut index, &resumed, "2020-07-10T20:10:00Z"),
        (none(), 0),
        "canary again"
    );
    assert_eq!(
        due(&mut index, &resumed, "2020-07-10T20:15:00Z"),
        (channels(), 1)
    );
}

#[test]
fn inv_31_a_retracted_order_is_announced_no_more() {
    let (mut index, order) = published();
    let order = retracted(order);
    assert_eq!(due(&mut index, &order, "2020-07-10T20:00:00Z"), (none(), 0));
}

#[test]
fn inv_35_nobody_is_told_by_a_channel() {
    let (mut index, order) = published();
    let id = order.id;
    index.apply(Fact::Order(Box::new(order)));
    let told = |person, at| Fact::Told {
        order: id,
        person,
        at,
    };
    let now = at("2020-07-10T19:20:00Z");
    index.apply(told(PersonId::channel(0), Some(now)));
    assert_eq!(
        (index.told_of(id), index.told(id, PersonId::channel(0))),
        (0, None)
    );
    index.apply(told(PersonId(0), Some(now)));
    assert_eq!(index.told_of(id), 1);
}

fn retracted(order: Order) -> Order {
    let retraction = Retraction {
        cause: None,
        by: "rita@x.test".into(),
        at: at("2020-07-10T19:30:00Z"),
        reason: "It was meant for nobody".into(),
        answer: Default::default(),
    };
    order.retract(retraction).unwrap()
}

fn words(order: &Order, kind: Kind, still_forbidden: &[&str]) -> Rendered {
    let context = Context {
        order,
        person: &colleagues(PersonId::channel(0)),
        devices: Vec::new(),
        link: "https://x.test/o/7".into(),
        was_refused: false,
        missing: None,
        still_forbidden: still_forbidden.iter().map(|t| (*t).to_owned()).collect(),
    };
    render(kind, &context).unwrap()
}

#[test]
fn an_announcement_is_to_nobody_in_particular() {
    let (_, order) = published();
    let words = words(&order, Kind::Order, &[]);
    assert_eq!(
        words.text,
        "Dear colleagues,\n\nremove it from your devices.\n\nThe present state of this order: <https://x.test/o/7>\n"
    );
}

#[test]
fn inv_29_a_correction_to_a_channel_stands_alone_and_says_nothing_of_one_person() {
    let (_, order) = published();
    let order = retracted(order);
    let alone = words(&order, Kind::Correction, &[]).text;
    for part in [
        "Dear colleagues, the order was sent in error.",
        "This corrects the order «Remove TikTok»",
        "**It no longer holds, and you need do nothing.** Mail that was refused because of it alone is open again.",
        "Why it was taken back: It was meant for nobody",
        "> The order said: Remove TikTok by tonight",
        "<https://x.test/o/7>",
    ] {
        assert!(alone.contains(part), "{part}: {alone}");
    }
    assert!(
        !alone.contains("to you") && !alone.contains("another order"),
        "{alone}"
    );
    let other = words(&order, Kind::Correction, &["No games"]).text;
    assert!(
        other.contains("another order still holds: «No games»."),
        "{other}"
    );
}

#[test]
fn an_order_file_names_a_channel_once() {
    let twice = ORDER.replace("\"staff\"]", "\"ops\"]");
    let problems = OrderFile::parse(&twice).unwrap_err();
    assert_eq!(
        problems[0].to_string(),
        "line 17: announce.channels names «ops» twice; once is enough"
    );
    let misspelt = ORDER.replace("channels =", "chanels =");
    let problems = OrderFile::parse(&misspelt).unwrap_err();
    assert!(
        problems[0].what.contains("did you mean «channels»?"),
        "{problems:?}"
    );
    let without = ORDER.replace("[announce]\nchannels = [\"ops\", \"staff\"]\n", "");
    assert!(
        OrderFile::parse(&without)
            .unwrap()
            .announce
            .channels
            .is_empty()
    );
}
