//! Invariants 1 to 3: one verdict from the facts and the time, whichever way it is reached.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;

use countermand_core::evidence::Unknown;
use countermand_core::index::{Fact, Index};
use countermand_core::order::Match;
use countermand_core::verdict::{Decision, Fallback, Softened, Verdict};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use support::build::{Built, build, build_until, index_of};
use support::history::{asks, plan};
use support::world::{order_id, slot};
use support::{cases, set, sorted};

proptest! {
    #![proptest_config(cases(800))]

    #[test]
    fn inv_01_followed_rebuilt_and_naive_give_one_verdict(plan in plan(0..5), asks in asks()) {
        let built = build(&plan);
        let (followed, rebuilt) = (built.followed(), built.rebuilt());
        for ask in &asks {
            let (question, at) = built.ask(ask);
            let naive = sorted(built.naive.verdict(&question, at));
            let verdict = followed.verdict(&question, at);
            prop_assert_eq!(&verdict, &rebuilt.verdict(&question, at), "followed, rebuilt: {:?} {}", question, at);
            prop_assert_eq!(&sorted(verdict), &naive, "engine, naive: {:?} {}", question, at);
        }
    }
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn inv_01_followed_rebuilt_and_naive_count_and_tell_alike(plan in plan(1..4), nudge in -1..=1i64) {
        let built = build(&plan);
        let (followed, rebuilt) = (built.followed(), built.rebuilt());
        for at in built.moments().into_iter().map(|at| at + jiff::SignedDuration::from_secs(nudge)) {
            for (order, life) in built.orders.iter().zip(&built.naive.orders) {
                let naive = built.naive.audience(&life.file);
                for index in [&followed, &rebuilt] {
                    let audience = index.audience(order).ok().map(|a| set(&a.0));
                    prop_assert_eq!(&audience, &naive, "audience of {}", order.title());
                    let preview = index.preview(order, at).ok();
                    prop_assert_eq!(preview, built.naive.preview(life, at), "preview of {} at {}", order.title(), at);
                    let told = set(&index.to_tell(order.id, at));
                    prop_assert_eq!(told, built.naive.to_tell(life, at), "to tell of {} at {}", order.title(), at);
                    let reminded = set(&index.to_remind(order.id, at));
                    prop_assert_eq!(reminded, built.naive.to_remind(life, at), "to remind of {} at {}", order.title(), at);
                    prop_assert_eq!(index.standing(order.id, at), built.naive.standing(life, at), "standing of {} at {}", order.title(), at);
                    prop_assert_eq!(index.refused(at), built.naive.refused(at), "refused at {}", at);
                }
            }
        }
    }

    /// It agrees with the naive reading in the middle of a history, and still at its end.
    #[test]
    fn inv_01_the_index_follows_each_change(plan in plan(1..4), asks in asks(), middle in -45..8i64) {
        let whole = build(&plan);
        let part = build_until(&plan, slot(middle));
        let mut index = part.followed();
        for built in [&part, &whole] {
            for ask in &asks {
                let (question, at) = built.ask(ask);
                let naive = sorted(built.naive.verdict(&question, at));
                prop_assert_eq!(sorted(index.verdict(&question, at)), naive, "{:?} {}", question, at);
            }
            whole.follow(&mut index, part.stream.len());
        }
    }

    /// Only what was told must come after its order.
    #[test]
    fn inv_01_facts_of_different_things_come_in_any_order(plan in plan(1..4), asks in asks()) {
        let built = build(&plan);
        let mut backwards = built.final_facts();
        let told = backwards.iter().position(|f| matches!(f, Fact::Told { .. })).unwrap_or(backwards.len());
        backwards[..told].reverse();
        let (rebuilt, backwards) = (built.rebuilt(), index_of(&built.naive, backwards));
        for ask in &asks {
            let (question, at) = built.ask(ask);
            prop_assert_eq!(backwards.verdict(&question, at), rebuilt.verdict(&question, at));
        }
    }

    #[test]
    fn inv_01_a_reference_is_a_function_of_the_answer(plan in plan(1..3), asks in asks()) {
        let built = build(&plan);
        let (followed, rebuilt) = (built.followed(), built.rebuilt());
        for ask in &asks {
            let (question, at) = built.ask(ask);
            let (one, other) = (followed.verdict(&question, at), rebuilt.verdict(&question, at));
            prop_assert_eq!(one.fingerprint(&question, true), other.fingerprint(&question, true));
        }
    }

    #[test]
    fn inv_02_every_refusal_and_warning_names_its_cause_and_every_refusal_a_remedy(plan in plan(1..5), asks in asks()) {
        let built = build(&plan);
        let index = built.rebuilt();
        for ask in &asks {
            let (question, at) = built.ask(ask);
            let verdict = index.verdict(&question, at);
            if verdict.decision > Decision::Allow {
                let deciding = verdict.because.iter().filter(|r| r.decision == verdict.decision);
                let named = deciding.clone().any(|r| r.seen.is_some() || r.fallback.is_some());
                prop_assert!(named || verdict.fallback.is_some(), "{:?}", verdict);
                for reason in &verdict.because {
                    prop_assert!(reason.seen.is_some() != reason.fallback.is_some(), "{:?}", reason);
                }
            }
            if verdict.decision == Decision::Deny {
                has_remedy(&verdict)?;
            }
        }
    }

    #[test]
    fn inv_03_the_strictest_wins_and_the_order_of_orders_is_nothing(
        plan in plan(2..5),
        asks in asks(),
        shuffle in Just((0..8usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let built = build(&plan);
        let index = built.rebuilt();
        let shuffled = shuffled(&built, &shuffle);
        for ask in &asks {
            let (question, at) = built.ask(ask);
            let verdict = index.verdict(&question, at);
            prop_assert_eq!(&verdict, &shuffled.verdict(&question, at));
            let strictest = verdict.because.iter().map(|r| r.decision).max().unwrap_or(Decision::Allow);
            prop_assert!(verdict.decision >= strictest);
            prop_assert!(verdict.decision == strictest || verdict.fallback.is_some());
            prop_assert!(verdict.because.windows(2).all(|w| w[0].decision >= w[1].decision));
        }
    }

    /// Alone, each order speaks as it does among the others, and the strictest of them decides.
    #[test]
    fn inv_03_each_order_speaks_as_if_alone(plan in plan(2..5), asks in asks()) {
        let built = build(&plan);
        let index = built.rebuilt();
        let alone: Vec<Index> = (0..plan.orders.len())
            .map(|o| {
                let others = |f: &Fact| match f {
                    Fact::Order(order) => order.id != order_id(o),
                    Fact::Told { order, .. } => *order != order_id(o),
                    _ => false,
                };
                index_of(&built.naive, built.final_facts().into_iter().filter(|f| !others(f)).collect())
            })
            .collect();
        for ask in &asks {
            let (question, at) = built.ask(ask);
            let verdict = sorted(index.verdict(&question, at));
            let parts: Vec<Verdict> = alone.iter().map(|i| i.verdict(&question, at)).collect();
            let strictest = parts.iter().map(|v| v.decision).max().unwrap();
            let because = parts.into_iter().flat_map(|v| v.because).collect();
            let together = sorted(Verdict { because, ..verdict.clone() });
            prop_assert_eq!(verdict.decision, strictest);
            prop_assert_eq!(verdict.because, together.because);
        }
    }
}

/// One line without control characters that says what to do, and of what decided.
fn has_remedy(verdict: &Verdict) -> Result<(), TestCaseError> {
    let line = verdict.line("R-7Q2M-4F");
    prop_assert!(!line.chars().any(char::is_control), "{:?}", line);
    prop_assert!(line.contains("R-7Q2M-4F"));
    let clean = |text: &str| text.replace(char::is_control, " ");
    let denying = || {
        verdict
            .because
            .iter()
            .filter(|r| r.decision == Decision::Deny)
    };
    let removable = denying()
        .filter_map(|r| r.seen.as_ref())
        .any(|seen| line.contains(&clean(&format!("Remove {}", seen.app_name))));
    let confirmable = denying().any(|r| {
        r.attest && line.contains(&format!("Confirm that the app of the order «{}»", r.title))
    });
    // An app to remove is the best remedy, and any other one would be a lie where it does not open the door.
    if denying().any(|r| r.seen.is_some()) {
        prop_assert!(removable, "{line}\n{verdict:?}");
    } else {
        prop_assert!(!line.contains("Remove "), "{line}\n{verdict:?}");
        prop_assert!(
            confirmable || line.contains("Ask the helpdesk"),
            "{line}\n{verdict:?}"
        );
    }
    Ok(())
}

/// The same facts, the orders among them applied in another order.
fn shuffled(built: &Built, shuffle: &[usize]) -> Index {
    let (orders, mut facts): (Vec<Fact>, Vec<Fact>) = built
        .final_facts()
        .into_iter()
        .partition(|f| matches!(f, Fact::Order(_)));
    let at = facts
        .iter()
        .position(|f| matches!(f, Fact::Told { .. }))
        .unwrap_or(facts.len());
    for n in shuffle.iter().filter(|n| **n < orders.len()) {
        facts.insert(at, orders[*n].clone());
    }
    index_of(&built.naive, facts)
}

/// A property that nothing reaches holds for nothing: the histories come to every kind of answer.
#[test]
fn the_histories_reach_every_kind_of_answer() {
    let mut runner = TestRunner::deterministic();
    let mut reached: BTreeSet<String> = BTreeSet::new();
    for _ in 0..400 {
        let plan = plan(1..5).new_tree(&mut runner).unwrap().current();
        let asks = asks().new_tree(&mut runner).unwrap().current();
        let built = build(&plan);
        let index = built.rebuilt();
        for ask in &asks {
            let (question, at) = built.ask(ask);
            let verdict = index.verdict(&question, at);
            reached.insert(verdict.decision.to_string());
            reached.extend(
                verdict
                    .fallback
                    .map(|f| format!("{} {f}", verdict.decision)),
            );
            for reason in &verdict.because {
                reached.extend(reason.softened.map(|s| format!("{s:?}")));
                reached.extend(reason.seen.as_ref().map(|s| format!("{:?}", s.matched)));
                reached.extend(
                    reason
                        .fallback
                        .map(|f| format!("{} {f} said", reason.decision)),
                );
            }
        }
        for order in &built.orders {
            reached.insert(order.state_name(slot(0)).to_owned());
            reached.extend(
                index
                    .preview(order, slot(0))
                    .ok()
                    .filter(|p| p.exempt > 0)
                    .map(|_| "exempt".into()),
            );
            reached.extend(
                index
                    .preview(order, slot(0))
                    .ok()
                    .filter(|p| p.already_denied > 0)
                    .map(|_| "already".into()),
            );
        }
    }
    let mut wanted: BTreeSet<String> = [
        "exempt",
        "already",
        "draft",
        "held",
        "published",
        "retracted",
        "expired",
    ]
    .map(str::to_owned)
    .into();
    wanted.extend(Decision::ALL.iter().map(|d| d.to_string()));
    wanted.extend(Fallback::ALL.iter().map(|f| match f {
        Fallback::DoorsOpen => format!("allow {f}"),
        _ => format!("deny {f}"),
    }));
    wanted.extend(
        [Softened::Held, Softened::Observe, Softened::NeverRefuse].map(|s| format!("{s:?}")),
    );
    use Match::*;
    wanted.extend(
        [
            Exact,
            Folded,
            WeakSource,
            WeakPlatform,
            WeakExtended,
            WeakName,
            WeakVersion,
        ]
        .map(|m| format!("{m:?}")),
    );
    for why in [Unknown::NoReport, Unknown::Invisible, Unknown::Stale] {
        wanted.insert(format!("deny {} said", why.as_str()));
        wanted.insert(format!("warn {} said", why.as_str()));
    }
    let missing: Vec<&String> = wanted.difference(&reached).collect();
    assert!(missing.is_empty(), "never reached: {missing:?}");
}
