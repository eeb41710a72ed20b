//! Verdicts and previews, in process.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hint::black_box;
use std::time::Instant;

use anyhow::Context as _;
use countermand::demo::company::{Company, Dice};
use countermand_core::catalogue::Catalogue;
use countermand_core::evidence::Package;
use countermand_core::fleet::DeviceKey;
use countermand_core::id::{DeviceId, OrderId, PackageNo, PersonId};
use countermand_core::index::{Fact, Index};
use countermand_core::join::{blank_device, take_report, take_row};
use countermand_core::order::{Approval, Order, OrderFile, Pins, Revision};
use countermand_core::verdict::{Channel, GatePolicy, Question};
use jiff::Timestamp;
use uuid::Uuid;

use crate::rows::{Figure, Row};

const ORDER: &str = include_str!("../../docs/example-order.toml");

/// The demo's company in an index, with its order in force and past its deadline.
#[derive(Debug)]
pub struct Fleet {
    index: Index,
    order: Order,
    questions: Vec<Question>,
    /// The peer: person and key to an answer.
    map: HashMap<(String, String), bool>,
    at: Timestamp,
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap_or_default()
}

impl Fleet {
    pub fn made_up() -> Fleet {
        let now = at("2020-07-10T18:00:00Z");
        let company = Company::made_up(now);
        let mut index = Index::new(GatePolicy::default());
        let mut numbers: HashMap<Package, PackageNo> = HashMap::new();
        let mut people = HashMap::new();
        for (id, row) in company.people.iter().enumerate() {
            let id = PersonId(id as u32);
            people.insert(row.email.clone(), id);
            index.apply(Fact::Person(take_row(None, id, row)));
        }
        let (mut questions, mut map) = (Vec::new(), HashMap::new());
        for (id, gadget) in company.gadgets.iter().enumerate() {
            let report = &gadget.report;
            let mut device = blank_device(DeviceId(id as u32), report);
            let person = report.person.as_ref().and_then(|p| people.get(p)).copied();
            let mut fresh = Vec::new();
            take_report(&mut device, report, person, now, |package| {
                let next = PackageNo(numbers.len() as u32);
                *numbers.entry(package).or_insert_with_key(|p| {
                    fresh.push((next, p.clone()));
                    next
                })
            });
            fresh
                .into_iter()
                .for_each(|(no, p)| index.apply(Fact::Package(no, p)));
            index.apply(Fact::Device(device));
            if let Some((person, key)) = gadget.at_the_door() {
                map.insert(
                    (person.to_owned(), key.canonical().to_owned()),
                    gadget.tiktok.is_some(),
                );
                let keys: Vec<DeviceKey> = vec![key.clone()];
                questions.push(Question {
                    person: Some(person.to_owned()),
                    keys,
                    channel: Channel::Activesync,
                });
            }
        }
        let order = publish(&index);
        index.apply(Fact::Order(Box::new(order.clone())));
        for person in people.values() {
            index.apply(Fact::Told {
                order: order.id,
                person: *person,
                at: Some(at("2020-07-10T19:20:00Z")),
            });
        }
        // In no order that a cache would like.
        let mut dice = Dice::new(1);
        for i in (1..questions.len()).rev() {
            questions.swap(i, dice.roll(i as u64 + 1) as usize);
        }
        Fleet {
            index,
            order,
            questions,
            map,
            at: at("2020-07-11T08:00:00Z"),
        }
    }

    pub fn devices(&self) -> usize {
        self.index.devices().count()
    }
}

#[expect(
    clippy::expect_used,
    reason = "the example order is checked by the tests"
)]
fn publish(index: &Index) -> Order {
    let file = OrderFile::parse(ORDER).expect("the example order reads");
    let catalogue = Catalogue::embedded();
    let apps = catalogue
        .resolve(&file.forbid.apps, &file.forbid.vendors, &file.forbid.packs)
        .expect("its apps are known");
    let pins = Pins::resolve(catalogue.version(), apps, &file.forbid.versions);
    let revision = Revision::new(
        1,
        "ana@example.test",
        at("2020-07-10T18:08:00Z"),
        ORDER,
        file,
        pins,
    );
    let order = Order::draft(OrderId(Uuid::from_u128(7)), revision);
    let audience = index.audience(&order).expect("its groups are known");
    let approval = Approval {
        by: "ben@example.test".to_owned(),
        at: at("2020-07-10T18:41:00Z"),
        digest: String::new(),
        audience,
    };
    order
        .submit("ana@example.test", at("2020-07-10T18:30:00Z"))
        .and_then(|o| o.approve(approval, &BTreeSet::new()))
        .and_then(|o| o.publish("ana@example.test", at("2020-07-10T19:02:00Z")))
        .expect("the order goes its way")
}

/// One verdict with its reasons, random keys; a plain map look-up of the same questions.
pub fn verdict(fleet: &Fleet) -> Row {
    let each = |ask: &dyn Fn(&Question) -> usize| {
        let runs = (0..9)
            .map(|_| {
                let start = Instant::now();
                let sum: usize = fleet.questions.iter().map(ask).sum();
                black_box(sum);
                start.elapsed().as_secs_f64() * 1e6 / fleet.questions.len() as f64
            })
            .collect();
        Figure::of(runs)
    };
    let ours = each(&|q| fleet.index.verdict(q, fleet.at).because.len());
    let map = each(&|q| {
        let key = (
            q.person.clone().unwrap_or_default(),
            q.keys
                .first()
                .map(|k| k.canonical().to_owned())
                .unwrap_or_default(),
        );
        usize::from(fleet.map.get(&key).copied().unwrap_or_default())
    });
    Row {
        work: "verdict-1",
        unit: "µs",
        more_is_better: false,
        ours,
        peers: BTreeMap::from([("hash map", map)]),
        bars: Vec::new(),
    }
}

/// The whole preview of the example order over the company's devices.
pub fn preview(fleet: &Fleet) -> anyhow::Result<Row> {
    let mut runs = Vec::new();
    for _ in 0..25 {
        let start = Instant::now();
        black_box(
            fleet
                .index
                .preview(&fleet.order, fleet.at)
                .context("the preview")?,
        );
        runs.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(Row {
        work: "preview-broad",
        unit: "ms",
        more_is_better: false,
        ours: Figure::of(runs),
        peers: BTreeMap::new(),
        bars: Vec::new(),
    })
}
