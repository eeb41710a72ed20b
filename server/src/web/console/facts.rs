//! The figures of a preview.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use countermand_core::order::Order;
use countermand_core::order::file::Weak;
use countermand_core::preview::Preview;

use super::words;
use crate::app::AppError;
use crate::web::Web;
use crate::web::pages::{Count, PreviewFacts, Tally};

/// `0.4 ms`, `1.2 s`
pub(super) fn took(time: Duration) -> String {
    if time >= Duration::from_secs(60) {
        format!("{} min", time.as_secs() / 60)
    } else if time >= Duration::from_secs(1) {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{:.1} ms", time.as_secs_f64() * 1e3)
    }
}

fn tallies(counts: &BTreeMap<String, u64>, name: impl Fn(&str) -> String) -> Vec<Tally> {
    counts
        .iter()
        .map(|(key, count)| Tally {
            name: name(key),
            count: Count(*count),
        })
        .collect()
}

pub(super) fn facts(web: &Web, order: &Order) -> Result<(Preview, PreviewFacts), AppError> {
    let began = Instant::now();
    let preview = web.app.preview(order)?;
    let took = took(began.elapsed());
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters
            .next()
            .map(|first| first.to_uppercase().chain(letters).collect())
            .unwrap_or_default()
    };
    let facts = PreviewFacts {
        people: Count(preview.people),
        devices: Count(preview.devices),
        in_scope: Count(preview.in_scope),
        platforms: tallies(&preview.by_platform, |p| words::platform(p).to_owned()),
        form_factors: tallies(&preview.by_form_factor, capital),
        groups: tallies(&preview.by_group, str::to_owned),
        invisible: Count(preview.unknown.invisible),
        stale: Count(preview.unknown.stale),
        no_report: Count(preview.unknown.no_report),
        exempt: Count(preview.exempt),
        already_denied: Count(preview.already_denied),
        weak_matches: Count(preview.weak_matches),
        weak_enforced: order.revision.file.forbid.weak == Weak::Enforce,
        took,
    };
    Ok((preview, facts))
}
