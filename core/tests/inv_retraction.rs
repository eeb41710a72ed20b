//! Invariants 26, 30, 35 and 36: a retracted order never was, a held one refuses nobody, and nobody
//! is refused untold.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use countermand_core::index::Index;
use countermand_core::order::TransitionError;
use countermand_core::verdict::{Decision, Fallback, Question, Reason, Softened, Verdict};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use support::build::{Built, build, build_without, own_key};
use support::history::{Act, asks, plan};
use support::naive::{OrderLife, Stage, plus};
use support::text::{retraction, revision};
use support::world::{order_id, slot};
use support::{cases, set, sorted};

/// Every device asked for by its own key, and everyone by name alone, besides the questions of chance.
fn questions(built: &Built, asks: &[support::history::Ask]) -> Vec<(Question, Timestamp)> {
    let mut all: Vec<(Question, Timestamp)> = asks.iter().map(|a| built.ask(a)).collect();
    let times: Vec<Timestamp> = all.iter().map(|(_, at)| *at).collect();
    for (n, device) in built.naive.devices.values().enumerate() {
        let question = Question {
            person: built.naive.owner(device).map(|p| p.email.clone()),
            keys: vec![own_key(device.id.0 as usize).parse().unwrap()],
            channel: countermand_core::verdict::Channel::Activesync,
        };
        all.push((question.clone(), times[n % times.len()]));
        all.push((
            Question {
                keys: vec![],
                ..question
            },
            times[(n + 1) % times.len()],
        ));
    }
    all
}

/// The answer with each reason once, in a fixed order.
fn once(verdict: Verdict) -> Verdict {
    let mut because: Vec<Reason> = Vec::new();
    for reason in verdict.because {
        if !because.contains(&reason) {
            because.push(reason);
        }
    }
    sorted(Verdict { because, ..verdict })
}

/// The answer without its times, for before and after something that only moves them.
fn timeless(mut verdict: Verdict) -> Verdict {
    for reason in &mut verdict.because {
        reason.enforce_from = None;
    }
    once(verdict)
}

/// The naive reading of invariant 35, in its own words.
fn may_refuse(order: &OrderLife, person: u32, at: Timestamp) -> bool {
    let rule = &order.file.deadline;
    let notice = if order.audience.contains(&person) {
        rule.min_notice
    } else {
        rule.late_grace
    };
    let told_long_enough = match order.told.get(&person) {
        Some(told) => plus(*told, notice) <= at,
        None => rule.enforce_untold,
    };
    order.stage == Stage::Published
        && !order.file.observe
        && order.comply_by <= at
        && told_long_enough
        && order
            .resumed_at
            .is_none_or(|resumed| plus(resumed, rule.min_notice) <= at)
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn inv_26_after_retraction_it_is_as_if_the_order_had_never_been(plan in plan(1..4), asks in asks(), which in 0..3usize, held in any::<bool>()) {
        let gone = which % plan.orders.len();
        let mut with = build(&plan);
        if held {
            with.perform(order_id(gone), Act::Hold, slot(9));
        }
        with.perform(order_id(gone), Act::Retract, slot(9));
        let without = build_without(&plan, gone);
        let (retracted, never) = (with.followed(), without.rebuilt());
        for (question, at) in questions(&with, &asks) {
            prop_assert_eq!(retracted.verdict(&question, at), never.verdict(&question, at), "{:?} {}", question, at);
            for order in &without.orders {
                prop_assert_eq!(retracted.preview(order, at), never.preview(order, at));
                prop_assert_eq!(set(&retracted.to_tell(order.id, at)), set(&never.to_tell(order.id, at)));
                prop_assert_eq!(retracted.standing(order.id, at), never.standing(order.id, at));
            }
        }
    }

    #[test]
    fn inv_30_retracting_twice_is_retracting_once(plan in plan(1..3), asks in asks()) {
        let mut built = build(&plan);
        for o in 0..plan.orders.len() {
            built.perform(order_id(o), Act::Retract, slot(9));
        }
        let before = built.rebuilt();
        for (n, order) in built.orders.clone().iter().enumerate() {
            if order.retraction().is_none() {
                continue;
            }
            let again = order.clone().retract(retraction(slot(10)));
            let refused = matches!(&again, Err(TransitionError::WrongState { state: "retracted", .. }));
            prop_assert!(refused);
            // No other step leads out of it either: issuing again is a new order.
            for act in [Act::Submit, Act::Withdraw, Act::SendBack, Act::Approve, Act::Publish, Act::Hold, Act::Resume, Act::Extend(9), Act::Retract] {
                prop_assert!(!built.perform(order.id, act, slot(10)));
            }
            let text = revision(n, &plan.orders[n], 9, "author@example.test", slot(10));
            prop_assert!(order.clone().revise(text).is_err());
            prop_assert_eq!(&built.orders[n], order);
        }
        let after = built.followed();
        for (question, at) in questions(&built, &asks) {
            prop_assert_eq!(after.verdict(&question, at), before.verdict(&question, at));
        }
    }

    #[test]
    fn inv_35_nobody_is_refused_before_deadline_notice_and_resume(plan in plan(1..5), asks in asks()) {
        let built = build(&plan);
        let index = built.followed();
        for (question, at) in questions(&built, &asks) {
            let verdict = index.verdict(&question, at);
            if verdict.decision < Decision::Deny {
                continue;
            }
            let asker = question.person.as_deref().and_then(|p| built.naive.person_called(p));
            let owners = built.naive.fitting(&question).into_iter().filter_map(|d| built.naive.owner(d));
            let firsts = question.keys.iter().filter_map(|k| built.naive.first_with(k.as_str()));
            let mut judged: Vec<u32> = owners.chain(asker).chain(firsts).map(|p| p.id.0).collect();
            for reason in verdict.because.iter().filter(|r| r.decision == Decision::Deny) {
                let order = built.naive.order(reason.order).unwrap();
                prop_assert!(judged.iter().any(|p| may_refuse(order, *p, at)), "{:?} {}", reason, at);
                prop_assert!(reason.enforce_from.is_some_and(|from| from <= at));
            }
            if verdict.fallback == Some(Fallback::UnknownPerson) {
                judged.extend(built.naive.people.keys());
            }
            let someone = judged.iter().any(|p| built.naive.orders.iter().any(|o| may_refuse(o, *p, at)));
            prop_assert!(someone, "{:?} {}", verdict, at);
        }
    }

    /// Who is untold is warned; so is who was told by a notice that bounced.
    #[test]
    fn inv_35_the_untold_are_warned_not_refused(plan in plan(1..4), asks in asks()) {
        let mut plan = plan;
        for order in &mut plan.orders {
            order.deadline.enforce_untold = false;
        }
        let mut built = build(&plan);
        let warned_or_refused = |index: &Index, question: &Question, at| {
            let because = index.verdict(question, at).because;
            let mut seen: Vec<_> = because.into_iter().filter(|r| r.seen.is_some()).map(|r| (r.order, r.device)).collect();
            seen.sort();
            seen.dedup();
            seen
        };
        let before = built.followed();
        for order in built.naive.orders.clone() {
            for person in built.naive.people.clone().into_values() {
                built.tell(order.id, person.id, None);
            }
        }
        let after = built.followed();
        for (question, at) in questions(&built, &asks) {
            let verdict = after.verdict(&question, at);
            prop_assert!(verdict.decision < Decision::Deny, "{:?} {}", verdict, at);
            prop_assert!(verdict.because.iter().all(|r| r.enforce_from.is_none()));
            // Warned of just what was seen before.
            prop_assert_eq!(warned_or_refused(&after, &question, at), warned_or_refused(&before, &question, at));
        }
    }

    #[test]
    fn inv_36_a_hold_makes_warnings_of_denials_and_resume_restores_them(plan in plan(1..4), asks in asks(), which in 0..3usize) {
        let mut built = build(&plan);
        let id = order_id(which % plan.orders.len());
        let at = |q: &(Question, Timestamp)| q.1 + SignedDuration::from_hours(24 * 20);
        let questions = questions(&built, &asks);
        let before = built.followed();
        prop_assume!(built.perform(id, Act::Hold, slot(15)));
        let held = built.followed();
        for question in &questions {
            for at in [question.1, at(question)] {
                let was = before.verdict(&question.0, at);
                let now = held.verdict(&question.0, at);
                let mut expected = was.because.clone();
                let refuses = |r: &Reason| r.decision == Decision::Deny || r.softened.is_some();
                for reason in expected.iter_mut().filter(|r| r.order == id && refuses(r)) {
                    reason.decision = Decision::Warn;
                    reason.softened = Some(Softened::Held);
                }
                let expected = once(Verdict { because: expected, ..now.clone() });
                prop_assert_eq!(&sorted(now.clone()).because, &expected.because);
                let others = now.because.iter().filter(|r| r.order != id).map(|r| r.decision).max();
                prop_assert!(now.decision <= was.decision);
                prop_assert!(now.decision >= others.unwrap_or(Decision::Allow));
                prop_assert!(now.because.iter().all(|r| r.order != id || r.decision < Decision::Deny));
            }
        }
        let resumed_at = slot(16);
        prop_assert!(built.perform(id, Act::Resume, resumed_at));
        let resumed = built.followed();
        let notice = built.naive.order(id).unwrap().file.deadline.min_notice;
        for question in &questions {
            // Restored, once everyone has had the notice that a resume owes.
            let late = at(question).max(plus(resumed_at, notice));
            prop_assert_eq!(timeless(resumed.verdict(&question.0, late)), timeless(before.verdict(&question.0, late)));
            let early = plus(resumed_at, notice) - SignedDuration::from_secs(1);
            for reason in resumed.verdict(&question.0, early).because {
                prop_assert!(reason.order != id || reason.decision < Decision::Deny);
            }
        }
    }

    #[test]
    fn inv_36_open_doors_let_everyone_in_until_closed(plan in plan(1..4), asks in asks()) {
        let mut built = build(&plan);
        built.set_doors(false, slot(9));
        let questions = questions(&built, &asks);
        let before = built.followed();
        built.set_doors(true, slot(10));
        let open = built.followed();
        built.set_doors(false, slot(11));
        let closed = built.followed();
        for (question, at) in questions {
            let verdict = open.verdict(&question, at);
            prop_assert_eq!(verdict.decision, Decision::Allow);
            prop_assert_eq!(verdict.fallback, Some(Fallback::DoorsOpen));
            prop_assert_eq!(verdict.because, vec![]);
            prop_assert_eq!(closed.verdict(&question, at), before.verdict(&question, at));
        }
    }

    /// An order that only observes refuses nobody, whatever else it would do.
    #[test]
    fn inv_36_an_observing_order_refuses_nobody(plan in plan(1..4), asks in asks()) {
        let mut plan = plan;
        for order in &mut plan.orders {
            order.rule.observe = true;
        }
        let built = build(&plan);
        let index = built.followed();
        for (question, at) in questions(&built, &asks) {
            prop_assert!(index.verdict(&question, at).decision < Decision::Deny);
        }
    }
}
