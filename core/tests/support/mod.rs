//! What the property tests of the core share: a naive evaluator and random histories.
//!
//! Every test binary compiles this for itself and uses a part of it.
#![allow(dead_code)]

pub mod build;
pub mod history;
pub mod naive;
mod naive_counts;
mod naive_verdict;
mod questions;
pub mod text;
pub mod world;

use std::cmp::Reverse;
use std::collections::BTreeSet;

use countermand_core::verdict::{Reason, Verdict};
use proptest::test_runner::{Config, RngSeed};
use roaring::RoaringBitmap;

/// So many cases, the same ones at each run; or as many as PROPTEST_CASES says, new ones each time.
pub fn cases(usual: u32) -> Config {
    let given = |name: &str| std::env::var(name).ok();
    let mut config = Config::with_cases(usual);
    match given("PROPTEST_CASES").and_then(|c| c.parse().ok()) {
        Some(cases) => config.cases = cases,
        None if given("PROPTEST_RNG_SEED").is_none() => {
            config.rng_seed = RngSeed::Fixed(20_200_710)
        }
        None => {}
    }
    // Histories shrink slowly, and a small one is worth the wait.
    if given("PROPTEST_MAX_SHRINK_ITERS").is_none() {
        config.max_shrink_iters = 20_000;
    }
    config
}

/// The verdict with its reasons in one fixed order; theirs is for the eye only.
pub fn sorted(mut verdict: Verdict) -> Verdict {
    let key = |r: &Reason| (Reverse(r.decision), r.order, r.device, format!("{r:?}"));
    verdict.because.sort_by_key(key);
    verdict
}

pub fn set(people: &RoaringBitmap) -> BTreeSet<u32> {
    people.iter().collect()
}
