//! Invariants 7, 8 and 10: what an approval binds to, whose it may be, and for whom.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;

use countermand_core::catalogue::{Confidence, PackageId};
use countermand_core::evidence::Package;
use countermand_core::fleet::Person;
use countermand_core::id::{PackageNo, PersonId};
use countermand_core::index::{Fact, Index};
use countermand_core::order::{
    Approval, Audience, Order, OrderFile, Pins, Revision, State, TransitionError, approval_digest,
};
use countermand_core::platform::Platform;
use countermand_core::verdict::GatePolicy;
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::{Index as Pick, select};

use support::build::build;
use support::cases;
use support::history::{OrderPlan, plan};
use support::text::{order_text, revision};
use support::world::{apps, order_id, slot};

fn an_order() -> impl Strategy<Value = OrderPlan> {
    plan(1..2).prop_map(|plan| plan.orders[0].clone())
}

fn people() -> impl Strategy<Value = BTreeSet<u32>> {
    btree_set(0..300u32, 1..40)
}

fn digest(revision: &Revision, people: &BTreeSet<u32>) -> String {
    approval_digest(&revision.hash, &Audience(people.iter().copied().collect()))
}

fn approval(order: &Order, by: &str, people: &BTreeSet<u32>) -> Approval {
    Approval {
        by: by.to_owned(),
        at: slot(0),
        digest: digest(&order.revision, people),
        audience: Audience(people.iter().copied().collect()),
    }
}

/// A change of what an approver read.
#[derive(Clone, Copy, Debug)]
enum Edit {
    Text,
    Correction,
    AddId,
    DropId,
    OtherCase,
    Confidence,
    AddName,
    AddPerson,
    DropPerson,
}

const EDITS: [Edit; 9] = [
    Edit::Text,
    Edit::Correction,
    Edit::AddId,
    Edit::DropId,
    Edit::OtherCase,
    Edit::Confidence,
    Edit::AddName,
    Edit::AddPerson,
    Edit::DropPerson,
];

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn inv_07_any_edit_changes_the_digest(plan in an_order(), people in people(), edit in select(&EDITS[..]), place in any::<Pick>()) {
        let before = revision(0, &plan, 1, "author@example.test", slot(0));
        let (mut text, mut pins, mut after_people) = (before.text.clone(), before.pins.clone(), people.clone());
        let n = place.index(pins.ids.len());
        match edit {
            Edit::Text => text.insert(place.index(text.len() + 1), ' '),
            Edit::Correction => text = text.replace("keep it", "keep it, all of you"),
            Edit::AddId => {
                let mut more = pins.ids[n].clone();
                more.id.push('x');
                pins.ids.push(more);
            }
            Edit::DropId => drop(pins.ids.remove(n)),
            Edit::OtherCase => pins.ids[n].id = pins.ids[n].id.to_uppercase(),
            Edit::Confidence => {
                pins.ids[n].confidence = match pins.ids[n].confidence {
                    Confidence::C => Confidence::A,
                    _ => Confidence::C,
                };
            }
            Edit::AddName => drop(pins.names.insert("another name".to_owned(), pins.ids[n].app.clone())),
            Edit::AddPerson => drop(after_people.insert(1000)),
            Edit::DropPerson => drop(after_people.pop_first()),
        }
        let after = Revision::new(1, "author@example.test", slot(0), &text, before.file.clone(), pins);
        prop_assert_ne!(digest(&before, &people), digest(&after, &after_people));
        let same = Revision::new(2, "second@example.test", slot(1), &before.text, before.file.clone(), before.pins.clone());
        prop_assert_eq!(digest(&before, &people), digest(&same, &people), "author and number are no part of it");
    }

    /// No way leads from an edited order to a published one but through a new approval.
    #[test]
    fn inv_07_any_edit_voids_the_approval(
        plan in an_order(),
        people in people(),
        detour in vec(0..4usize, 0..6),
    ) {
        let by = "author@example.test";
        let order = Order::draft(order_id(0), revision(0, &plan, 1, by, slot(0)));
        let order = order.submit(by, slot(0)).unwrap();
        let signed = approval(&order, "approver@example.test", &people);
        let order = order.approve(signed, &BTreeSet::new()).unwrap();
        prop_assert!(order.clone().publish(by, slot(1)).is_ok());
        let edited = order.clone().revise(revision(0, &plan, 2, by, slot(1))).unwrap();
        let mut ways = vec![edited, order.withdraw().unwrap()];
        for step in detour {
            for order in &mut ways {
                let next = match step {
                    0 => order.clone().submit(by, slot(1)),
                    1 => order.clone().withdraw(),
                    2 => order.clone().send_back("approver@example.test", slot(1), "no"),
                    _ => order.clone().revise(revision(0, &plan, 3, by, slot(1))),
                };
                *order = next.unwrap_or(order.clone());
                let unapproved = matches!(order.state, State::Draft { .. } | State::InReview { .. });
                prop_assert!(unapproved);
                prop_assert!(order.clone().publish(by, slot(1)).is_err());
            }
        }
    }

    /// A newer catalogue knows more ids; what was published goes on with its own.
    #[test]
    fn inv_07_a_newer_catalogue_changes_nothing_published(plan in plan(1..3)) {
        let built = build(&plan);
        let mut index = built.rebuilt();
        let mut newer = apps();
        for app in &mut newer {
            app.package_ids.push(PackageId {
                platform: Platform::Android,
                id: "com.newer.build".to_owned(),
                confidence: Confidence::A,
                source: "test".to_owned(),
                note: None,
                variant: None,
            });
        }
        index.apply(Fact::Package(PackageNo(50), Package { id: "com.newer.build".into(), name: String::new() }));
        for order in &built.orders {
            let old = &order.revision.pins;
            let package = index.package(PackageNo(50)).unwrap();
            prop_assert_eq!(old.matches(package, Platform::Android), None);
            let slugs: Vec<&str> = old.apps.keys().map(String::as_str).collect();
            let pins = Pins::resolve("newer", newer.iter().filter(|a| slugs.contains(&a.slug.as_str())), &old.versions);
            let proposed = Revision::new(9, "author@example.test", slot(0), &order.revision.text, order.revision.file.clone(), pins);
            prop_assert!(proposed.pins.matches(package, Platform::Android).is_some());
            prop_assert_ne!(&proposed.hash, &order.revision.hash);
            if order.published().is_some() {
                prop_assert!(order.clone().revise(proposed).is_err());
            }
        }
    }

    /// What the store writes down is read back whole, so no newer program reads it otherwise.
    #[test]
    fn inv_07_an_order_survives_the_store(plan in plan(1..3)) {
        for order in build(&plan).orders {
            let text = serde_json::to_string(&order).unwrap();
            let read: Order = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(read, order);
        }
    }

    #[test]
    fn inv_08_nobody_approves_what_they_wrote(
        plan in an_order(),
        writers in vec((0..6usize, any::<bool>()), 1..5),
        approver in 0..6usize,
        spelling in any::<bool>(),
        aliases in btree_set(0..6usize, 0..3),
        people in people(),
        detours in vec(any::<bool>(), 5),
    ) {
        let name = |n: usize| format!("operator{n}@example.test");
        let spelt = |n: usize, upper: bool| if upper { name(n).to_uppercase() } else { name(n) };
        let (first, upper) = writers[0];
        let mut order = Order::draft(order_id(0), revision(0, &plan, 1, &spelt(first, upper), slot(0)));
        for (n, (writer, upper)) in writers.iter().enumerate().skip(1) {
            if detours[n] {
                order = order.submit(&name(0), slot(0)).unwrap();
            }
            order = order.revise(revision(0, &plan, n as u32 + 1, &spelt(*writer, *upper), slot(0))).unwrap();
        }
        order = order.submit(&name(first), slot(0)).unwrap();
        if detours[0] {
            order = order.withdraw().unwrap().submit(&name(approver), slot(0)).unwrap();
        }
        let same_person: BTreeSet<String> = aliases.iter().map(|a| name(*a)).collect();
        let own = writers.iter().any(|(w, _)| *w == approver || aliases.contains(w));
        let signed = approval(&order, &spelt(approver, spelling), &people);
        match order.approve(signed, &same_person) {
            Ok(order) => prop_assert!(!own, "{:?} approved by {}", order.authors, name(approver)),
            Err(TransitionError::OwnApproval { .. }) => prop_assert!(own),
            Err(other) => prop_assert!(false, "{other}"),
        }
    }

    #[test]
    fn inv_10_an_empty_or_unknown_group_is_an_error_that_names_it(plan in plan(1..2), wrong in select(vec!["", "stafff", "everyone", "*", "Staff"]), except in any::<bool>()) {
        let built = build(&plan);
        let index = built.rebuilt();
        let mut order = built.orders[0].clone();
        let rule = &mut order.revision.file.audience;
        if except { rule.except_groups.push(wrong.to_owned()) } else { rule.groups.push(wrong.to_owned()) }
        let error = index.audience(&order).unwrap_err().to_string();
        prop_assert!(error.contains(&format!("«{wrong}»")), "{}", error);
        prop_assert!(index.preview(&order, slot(0)).is_err());
    }

    #[test]
    fn inv_10_no_group_at_all_is_an_error(plan in plan(1..2), except in any::<bool>()) {
        let built = build(&plan);
        let index = built.rebuilt();
        let mut order = built.orders[0].clone();
        let rule = &mut order.revision.file.audience;
        if except { rule.except_groups = rule.groups.clone() } else { rule.groups.clear() }
        prop_assert!(index.audience(&order).is_err());
        let text = order_text(0, &plan.orders[0], 1);
        let line = text.lines().find(|l| l.starts_with("groups")).unwrap();
        for wrong in ["groups = []", "groups = [\"\"]", "groups = [\" \"]", ""] {
            prop_assert!(OrderFile::parse(&text.replace(line, wrong)).is_err(), "{}", wrong);
        }
    }

    /// Once approved, the list is what the approver saw, whoever comes and goes.
    #[test]
    fn inv_10_the_approved_list_is_frozen_and_drift_asks_again(
        was in btree_set(0..1500u32, 1..1500),
        left in 0..40usize,
        came in 0..40usize,
    ) {
        let plan = plan(1..2).new_tree_once();
        let order = Order::draft(order_id(0), revision(0, &plan, 1, "author@example.test", slot(0)));
        let order = order.submit("author@example.test", slot(0)).unwrap();
        let signed = approval(&order, "approver@example.test", &was);
        let order = order.approve(signed, &BTreeSet::new()).unwrap();
        let mut now: BTreeSet<u32> = was.iter().copied().skip(left).collect();
        now.extend(2000..2000 + came as u32);
        let mut index = Index::new(GatePolicy::default());
        for id in &now {
            index.apply(Fact::Person(Person {
                id: PersonId(*id),
                email: format!("p{id}@example.test"),
                aliases: BTreeSet::new(),
                name: String::new(),
                groups: order.revision.file.audience.groups.iter().cloned().collect(),
                locale: String::new(),
                time_zone: String::new(),
            }));
        }
        index.apply(Fact::Order(Box::new(order.clone())));
        let drift = left.min(was.len()) + came;
        let too_far = drift > 25 && drift as f64 > 0.02 * was.len() as f64;
        prop_assert_eq!(index.has_drifted(order.id).is_some(), too_far, "{} of {}", drift, was.len());
        let published = order.publish("author@example.test", slot(1)).unwrap();
        let kept: BTreeSet<u32> = published.published().unwrap().approval.audience.0.iter().collect();
        prop_assert_eq!(kept, was);
    }
}

/// A plan for where chance has nothing to add.
trait Once {
    fn new_tree_once(self) -> OrderPlan;
}

impl<S: Strategy<Value = support::history::Plan>> Once for S {
    fn new_tree_once(self) -> OrderPlan {
        use proptest::strategy::ValueTree;
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let mut order = self
            .new_tree(&mut runner)
            .unwrap()
            .current()
            .orders
            .remove(0);
        order.rule.except_groups.clear();
        order
    }
}

#[test]
fn inv_13_an_approval_expires_after_a_week() {
    let plan = plan(1..2).new_tree_once();
    let order = Order::draft(
        order_id(0),
        revision(0, &plan, 1, "a@example.test", slot(0)),
    );
    let order = order.submit("a@example.test", slot(0)).unwrap();
    let signed = approval(&order, "b@example.test", &BTreeSet::from([1]));
    let order = order.approve(signed, &BTreeSet::new()).unwrap();
    let week = slot(7 * 4);
    assert!(order.clone().publish("a@example.test", week).is_ok());
    let late = order.publish("a@example.test", week + jiff::SignedDuration::from_secs(1));
    assert!(matches!(late, Err(TransitionError::ApprovalExpired { .. })));
}
