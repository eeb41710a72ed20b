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
use proptest::test_runner::Config;
use roaring::RoaringBitmap;

/// So many cases, or as many as PROPTEST_CASES says.
pub fn cases(usual: u32) -> Config {
    let given = std::env::var("PROPTEST_CASES").ok();
    let cases = given.and_then(|c| c.parse().ok()).unwrap_or(usual);
    Config {
        // Histories shrink slowly, and a small one is worth the wait.
        max_shrink_iters: 20_000,
        ..Config::with_cases(cases)
    }
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
