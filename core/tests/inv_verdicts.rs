//! Invariants 1 to 3: one verdict from the facts and the time, whichever way it is reached.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;

use countermand_core::index::{Fact, Index};
use countermand_core::order::Order;
use countermand_core::verdict::{Decision, Reason, Verdict};
use proptest::prelude::*;

use support::build::{Built, build, index_of};
use support::history::{asks, plan};

/// The reasons of a verdict have an order for the eye only.
fn sorted(mut verdict: Verdict) -> Verdict {
    let key = |r: &Reason| (std::cmp::Reverse(r.decision), r.order, r.device, format!("{r:?}"));
    verdict.because.sort_by_key(key);
    verdict
}

fn config(cases: u32) -> ProptestConfig {
    let given = std::env::var("PROPTEST_CASES").ok().and_then(|c| c.parse().ok());
    ProptestConfig::with_cases(given.unwrap_or(cases))
}

proptest! {
    #![proptest_config(config(600))]

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
