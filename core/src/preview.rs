//! What an order would do, before anyone is told.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Counts of devices, but for `people`. `devices` and `people` are those the order would act on:
/// with present evidence, neither exempt nor shown-only.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Preview {
    /// What an approval would sign: text, package ids and list of people.
    pub digest: String,
    pub people: u64,
    pub devices: u64,
    /// Devices in scope, whatever is on them.
    pub in_scope: u64,
    /// People in scope, who would be the audience.
    pub audience: u64,
    /// People who would be sent the notice.
    pub to_tell: u64,
    /// Of those, who would be told first; null without such a stage. Of a file that is no order yet it
    /// is the share alone: who is in it follows from the order's id.
    pub canary: Option<u64>,
    pub by_platform: BTreeMap<String, u64>,
    pub by_form_factor: BTreeMap<String, u64>,
    /// For every group that the people are in, those of the audience rule among them.
    pub by_group: BTreeMap<String, u64>,
    pub unknown: UnknownCounts,
    /// Devices with the app that an exemption leaves out.
    pub exempt: u64,
    /// Devices of `devices` that another order refuses already.
    pub already_denied: u64,
    /// Devices with nothing but weak matches, while the order only shows those.
    pub weak_matches: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct UnknownCounts {
    pub invisible: u64,
    pub stale: u64,
    pub no_report: u64,
}
