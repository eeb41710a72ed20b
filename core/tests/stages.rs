//! Stages: who is told first, what stops the notices by itself, and what a moved deadline and late
//! joiners make of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use countermand_core::fleet::Person;
use countermand_core::id::{OrderId, PersonId};
use countermand_core::index::{Fact, Index};
use countermand_core::notice::{Kind, plan};
use countermand_core::order::{Approval, Order, OrderFile, Pins, Retraction, Revision};
use countermand_core::verdict::GatePolicy;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use roaring::RoaringBitmap;
use uuid::Uuid;

fn t(minutes: i64) -> Timestamp {
    let noon: Timestamp = "2020-07-10T12:00:00Z".parse().unwrap();
    noon + SignedDuration::from_mins(minutes)
}

/// The deadline is ten hours after noon.
const DEADLINE: i64 = 600;

fn file(stages: &str) -> String {
    format!(
        r#"
title = "Remove TikTok"
reason = "Security"
{stages}
[forbid]
apps = ["tiktok"]
[audience]
groups = ["staff"]
tell = "everyone"
[deadline]
comply_by = "2020-07-10T22:00:00Z"
remind = ["PT6H", "PT1H"]
[notice]
subject = "s"
body = "b"
[correction]
subject = "CORRECTION: s"
body = "b"
"#
    )
}

fn stages(stages: &str) -> String {
    file(&format!("[stages]\n{stages}"))
}

/// Published at noon to so many.
fn published(text: &str, people: u32) -> Order {
    let file = OrderFile::parse(text).unwrap();
    let revision = Revision::new(1, "ana", t(-30), text, file, Pins::default());
    let approval = Approval {
        by: "ben".into(),
        at: t(-10),
        digest: String::new(),
        audience: countermand_core::order::Audience((0..people).collect()),
    };
    Order::draft(OrderId(Uuid::from_u128(7)), revision)
        .submit("ana", t(-20))
        .and_then(|o| o.approve(approval, &BTreeSet::new()))
        .and_then(|o| o.publish("ana", t(0)))
        .unwrap()
}

fn join(index: &mut Index, person: u32, groups: &[&str]) {
    index.apply(Fact::Person(Person {
        id: PersonId(person),
        email: format!("p{person}@corp.test"),
        aliases: BTreeSet::new(),
        name: String::new(),
        groups: groups.iter().map(|g| (*g).to_owned()).collect(),
        locale: String::new(),
        time_zone: String::new(),
    }));
}

/// An index of that order and so many people; every tenth is in `it`.
fn index(order: &Order, people: u32) -> Index {
    let mut index = Index::new(GatePolicy::default());
    for person in 0..people {
        let groups: &[&str] = if person % 10 == 0 {
            &["staff", "it"]
        } else {
            &["staff"]
        };
        join(&mut index, person, groups);
    }
    index.apply(Fact::Order(Box::new(order.clone())));
    index
}

fn due(index: &Index, order: &Order, minutes: i64) -> Vec<(Kind, Vec<u32>)> {
    plan::due(index, order.id, &RoaringBitmap::new(), t(minutes))
        .into_iter()
        .map(|due| (due.kind, due.people.into_iter().collect()))
        .collect()
}

fn told(index: &mut Index, order: &Order, person: u32, minutes: i64) {
    index.apply(Fact::Told {
        order: order.id,
        person: PersonId(person),
        at: Some(t(minutes)),
    });
}

fn put(index: &mut Index, order: &Order) {
    index.apply(Fact::Order(Box::new(order.clone())));
}

/// For two hundred people; it stops above 5 % or at ten reports.
fn wary() -> Order {
    published(
        &stages(r#"hold_at = { rejected = "5%", looks_wrong = 10 }"#),
        200,
    )
}

#[test]
fn inv_14_notices_stop_above_the_share_and_at_the_number_of_reports() {
    let order = wary();
    let stops = |told, rejected, wrong| plan::should_stop(&order, told, rejected, wrong).is_some();
    // Of the first few, twenty are the measure.
    assert!(!stops(0, 0, 0) && !stops(0, 1, 0) && stops(0, 2, 0) && stops(18, 2, 0));
    assert!(!stops(95, 5, 0) && stops(94, 5, 0) && stops(0, 200, 0));
    assert!(!stops(200, 0, 9) && stops(200, 0, 10) && stops(0, 0, 11));
    assert_eq!(
        plan::should_stop(&order, 1_200, 80, 0).unwrap(),
        "80 notices were rejected, and 1,200 people were told in all: the notices stop above 5% rejected"
    );
    assert_eq!(
        plan::should_stop(&order, 1, 0, 10).unwrap(),
        "10 people have said that it looks wrong: the notices stop at 10"
    );
    // One in a list of three is a third of it.
    let few = published(&stages(r#"hold_at = { rejected = "40%" }"#), 3);
    assert!(
        plan::should_stop(&few, 0, 1, 99).is_none() && plan::should_stop(&few, 1, 2, 0).is_some()
    );
    // Where the author asked for nothing, nothing stops by itself.
    for quiet in [file(""), stages(r#"canary = "1%""#)] {
        assert!(plan::should_stop(&published(&quiet, 200), 0, 200, 200).is_none());
    }
    // Nor does what stopped already, is held or is over.
    let stopped = wary().stop_notices(t(1), "why").unwrap();
    let held = wary().hold("rita", t(1), "wait").unwrap();
    let gone = wary().retract(retraction()).unwrap();
    for order in [stopped, held, gone] {
        assert!(plan::should_stop(&order, 0, 200, 200).is_none());
    }
}

fn retraction() -> Retraction {
    Retraction {
        by: "rita".into(),
        at: t(90),
        reason: "in error".into(),
        cause: None,
        answer: Default::default(),
    }
}

#[test]
fn inv_14_a_stop_is_no_hold_and_one_resume_lifts_both() {
    let order = wary();
    let stopped = order.clone().stop_notices(t(5), "too many").unwrap();
    assert_eq!(
        (stopped.row_state(), stopped.state.name()),
        ("stopped", "published")
    );
    assert_eq!(stopped.stop().unwrap().at, t(5));
    assert!(stopped.clone().stop_notices(t(6), "again").is_err());
    // It goes on refusing whom it would have refused.
    let enforces = |o: &Order| o.enforces_from(true, Some(t(1)));
    assert!(enforces(&stopped).is_some() && enforces(&stopped) == enforces(&order));
    assert!(!stopped.is_held() && stopped.in_force(t(9)).is_some());
    // Nothing is due; what waits is still known, so that a retraction counts it.
    let index = index(&stopped, 200);
    assert_eq!(due(&index, &stopped, 10), []);
    let waiting = plan::waiting(&index, order.id, &RoaringBitmap::new(), t(10));
    assert_eq!(waiting[0].people.len(), 200);

    let resumed = stopped.clone().resume_past(t(20), 9, 2).unwrap();
    let published = resumed.published().unwrap();
    assert_eq!((published.resumed_at, resumed.stop()), (None, None));
    assert_eq!(
        enforces(&resumed),
        enforces(&order),
        "refusals never stopped"
    );
    let let_pass = published.let_pass.clone().unwrap();
    assert_eq!((let_pass.rejected, let_pass.looks_wrong), (9, 2));
    assert_eq!(let_pass.stop.unwrap().why, "too many");
    assert!(resumed.resume(t(21)).is_err(), "nothing is left to resume");

    let held = stopped.hold("rita", t(6), "wait").unwrap();
    assert_eq!((held.row_state(), held.stop().unwrap().at), ("held", t(5)));
    let resumed = held.clone().resume(t(30)).unwrap();
    let published = resumed.published().unwrap();
    assert_eq!((published.resumed_at, resumed.stop()), (Some(t(30)), None));
    assert!(held.retract(retraction()).is_ok());
}

proptest! {
    #[test]
    fn inv_14_what_a_responder_let_pass_stops_nothing_again(
        share in 0u32..=10_000, limit in 1u32..50, told in 0u64..1_000, rejected in 0u64..1_000, wrong in 0u64..60,
        more_told in 0u64..1_000, more_rejected in 0u64..200, more_wrong in 0u64..60, listed in 1u32..60,
    ) {
        let share = format!("{}%", f64::from(share) / 100.0);
        let text = stages(&format!(r#"hold_at = {{ rejected = "{share}", looks_wrong = {limit} }}"#));
        let order = published(&text, listed);
        let stops = |order: &Order, told, rejected, wrong| plan::should_stop(order, told, rejected, wrong).is_some();
        // By the rule as the order file's schema has it, in other arithmetic.
        let percent: f64 = share.trim_end_matches('%').parse().unwrap();
        let by_rule = |new_rejected: u64, all: u64, new_wrong: u64| {
            let of = all.max(u64::from(listed.min(20)));
            new_rejected > 0 && (new_rejected as f64) * 100.0 >= percent * (of as f64) - 1e-9 || new_wrong >= u64::from(limit)
        };
        prop_assert_eq!(stops(&order, told, rejected, wrong), by_rule(rejected, told + rejected, wrong));
        // More told never makes a stop, more rejected or reported never unmakes one.
        if stops(&order, told + more_told, rejected, wrong) {
            prop_assert!(stops(&order, told, rejected, wrong));
        }
        if stops(&order, told, rejected, wrong) {
            prop_assert!(stops(&order, told, rejected + more_rejected, wrong + more_wrong));
        }
        let resumed = order.stop_notices(t(1), "why").unwrap().resume_past(t(2), rejected, wrong).unwrap();
        prop_assert!(!stops(&resumed, told + more_told, rejected, wrong));
        prop_assert_eq!(
            stops(&resumed, told + more_told, rejected + more_rejected, wrong + more_wrong),
            by_rule(more_rejected, told + more_told + rejected + more_rejected, more_wrong)
        );
    }
}

#[test]
fn inv_12_named_groups_go_first_and_the_others_after_the_pause() {
    let order = published(&stages("canary_groups = [\"it\"]\npause = \"PT30M\""), 40);
    let mut index = index(&order, 40);
    let first = vec![(Kind::Order, vec![0, 10, 20, 30])];
    assert_eq!(due(&index, &order, 0), first);
    // However long nobody sent: the pause begins when the first of them is told.
    assert_eq!(due(&index, &order, 300), first);
    told(&mut index, &order, 10, 5);
    assert_eq!(due(&index, &order, 34), first);
    assert_eq!(due(&index, &order, 35)[0].1.len(), 40);
    // A canary that is nobody's keeps nobody waiting.
    let nobody = published(
        &stages("canary_groups = [\"board\"]\npause = \"PT30M\""),
        40,
    );
    let empty = self::index(&nobody, 40);
    assert_eq!(due(&empty, &nobody, 29), []);
    assert_eq!(due(&empty, &nobody, 30)[0].1.len(), 40);
    // A stop in the pause begins it anew at the resume; one after it does not.
    let early = order.clone().stop_notices(t(10), "why").unwrap();
    let early = early.resume(t(60)).unwrap();
    put(&mut index, &early);
    assert_eq!(due(&index, &early, 89), first);
    assert_eq!(due(&index, &early, 90)[0].1.len(), 40);
    let late = order.stop_notices(t(30), "why").unwrap();
    let late = late.resume(t(60)).unwrap();
    put(&mut index, &late);
    assert_eq!(due(&index, &late, 60)[0].1.len(), 40);
    // Without a first part there is no pause.
    let order = wary();
    let index = self::index(&order, 40);
    assert_eq!(due(&index, &order, 0)[0].1.len(), 40);
}

#[test]
fn who_comes_into_scope_later_is_told_from_then_on_and_reminded_like_the_others() {
    let order = published(&file(""), 2);
    let mut index = index(&order, 2);
    assert_eq!(due(&index, &order, 5), [(Kind::Order, vec![0, 1])]);
    told(&mut index, &order, 0, 6);
    join(&mut index, 2, &["staff"]);
    join(&mut index, 3, &["visitors"]);
    assert_eq!(due(&index, &order, 7), [(Kind::Order, vec![0, 1, 2])]);
    told(&mut index, &order, 2, 8);
    let at = DEADLINE - 360;
    assert_eq!(
        due(&index, &order, at),
        [
            (Kind::Reminder(1), vec![0, 2]),
            (Kind::Order, vec![0, 1, 2])
        ]
    );
    // Who leaves is neither told nor reminded.
    join(&mut index, 2, &["visitors"]);
    assert_eq!(due(&index, &order, at)[0], (Kind::Reminder(1), vec![0]));
}

/// One receipt for each order, person and kind (invariant 15): so the reminders move with the
/// deadline, and who had the first for the old one is due the same kind again, which their receipt
/// answers, and the second.
#[test]
fn inv_15_reminders_follow_a_moved_deadline_under_their_own_numbers() {
    let order = published(&file(""), 1);
    let mut index = index(&order, 1);
    told(&mut index, &order, 0, 1);
    let reminders = |index: &Index, order: &Order, minutes| -> Vec<Kind> {
        let kinds = due(index, order, minutes).into_iter().map(|(kind, _)| kind);
        kinds.filter(|kind| *kind != Kind::Order).collect()
    };
    let (first, second) = (DEADLINE - 360, DEADLINE - 60);
    assert_eq!(reminders(&index, &order, first), [Kind::Reminder(1)]);
    let later = t(DEADLINE + 1_440).to_string().parse().unwrap();
    let moved = order.extend(later).unwrap();
    put(&mut index, &moved);
    for minutes in [first, second, DEADLINE, first + 1_439] {
        assert_eq!(reminders(&index, &moved, minutes), [], "{minutes}");
    }
    assert_eq!(
        reminders(&index, &moved, first + 1_440),
        [Kind::Reminder(1)]
    );
    assert_eq!(
        reminders(&index, &moved, second + 1_440),
        [Kind::Reminder(2)]
    );
    assert_eq!(reminders(&index, &moved, DEADLINE + 1_440), []);
}

#[test]
fn stages_that_could_do_nothing_or_harm_are_refused_with_their_remedy() {
    for (given, expected) in [
        (r#"pause = "PT1H""#, "does nothing without"),
        ("canary = \"1%\"\ncanary_groups = [\"it\"]", "and not both"),
        (r#"canary = "0%""#, "nobody would be told first"),
        ("hold_at = {}", "hold_at is empty"),
        (
            "hold_at = { looks_wrong = 0 }",
            "nothing could ever be sent",
        ),
        (
            r#"hold_at = { rejected = "5" }"#,
            "write it like 1% or 0.5%",
        ),
    ] {
        let problems = OrderFile::parse(&stages(given)).unwrap_err();
        assert!(problems[0].what.contains(expected), "{given}: {problems:?}");
        assert!(problems[0].line.is_some(), "{given}: {problems:?}");
    }
    for fine in [
        "hold_at = { looks_wrong = 1 }",
        "canary_groups = [\"it\"]\nhold_at = { rejected = \"0.5%\" }",
    ] {
        OrderFile::parse(&stages(fine)).unwrap();
    }
}
