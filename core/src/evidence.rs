//! What is known of the apps on one device, folded from the reports of all its sources.
//!
//! Unknown is a value: a list that a source could not see is not an empty list. The fold keeps just
//! what later reports can't overrule, so its size does not grow with the number of reports.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::fleet::Visibility;
use crate::id::PackageNo;

/// An app as a source names it: by package id, by name, or both. Stored once and numbered.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Package {
    /// As the source wrote it, letter case kept; empty where the source gives only names.
    pub id: String,
    /// Kept only where there is no id: the same id under many names is one package.
    pub name: String,
}

/// An app in a report.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AppSeen {
    pub package: PackageNo,
    pub version: String,
}

/// The apps seen on one device at one time by one source.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Report {
    pub source: String,
    pub visibility: Visibility,
    pub complete: bool,
    /// When the source looked, at most the time of arrival.
    pub seen_at: Timestamp,
    pub apps: Vec<AppSeen>,
}

/// Why nothing can be said of an app on a device.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// No source has listed the device's apps.
    NoReport,
    /// The sources can't see personal apps on it.
    Invisible,
    /// The last complete list is too old.
    Stale,
}

impl Unknown {
    pub fn as_str(self) -> &'static str {
        match self {
            Unknown::NoReport => "no_report",
            Unknown::Invisible => "invisible",
            Unknown::Stale => "stale",
        }
    }
}

/// All that still counts of a device's reports.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Evidence {
    /// Reports in order of arrival, each with only those apps that no later report has overruled.
    reports: Vec<Report>,
    /// Sources that have listed apps in a complete report: only their empty list is a list.
    listed: BTreeSet<String>,
}

/// One sighting of an app that still counts.
#[derive(Clone, Copy, Debug)]
pub struct Sighting<'a> {
    pub app: &'a AppSeen,
    pub report: &'a Report,
}

impl Evidence {
    /// Takes in one more report.
    ///
    /// A sighting is overruled by a newer complete report of at least its visibility (the app is
    /// gone), or by a newer sighting of at least its visibility (which stands in its place). A
    /// partial or narrower report overrules nothing by omission, an older one nothing at all;
    /// of two that were made at the same time the later to arrive is the newer.
    pub fn fold(&mut self, mut new: Report) {
        if new.complete && new.apps.is_empty() && !self.listed.contains(&new.source) {
            return; // "no apps reported" is not "no apps installed"
        }
        if new.complete && !new.apps.is_empty() {
            self.listed.insert(new.source.clone());
        }
        let listed: BTreeSet<PackageNo> = new.apps.iter().map(|a| a.package).collect();
        for old in &mut self.reports {
            if old.seen_at <= new.seen_at && old.visibility <= new.visibility {
                let complete = new.complete;
                old.apps
                    .retain(|a| !complete && !listed.contains(&a.package));
            } else if old.seen_at > new.seen_at && old.visibility >= new.visibility {
                if old.complete {
                    new.apps.clear();
                } else {
                    new.apps
                        .retain(|a| !old.apps.iter().any(|b| b.package == a.package));
                }
            }
        }
        self.reports.push(new);
        self.drop_idle();
    }

    /// Drops reports that say nothing any more.
    fn drop_idle(&mut self) {
        let mut keep = vec![true; self.reports.len()];
        for (i, report) in self.reports.iter().enumerate() {
            let dominated = self.reports.iter().enumerate().any(|(j, other)| {
                j != i
                    && other.complete
                    && other.visibility >= report.visibility
                    && (other.seen_at, j) > (report.seen_at, i)
            });
            keep[i] = !report.apps.is_empty() || (report.complete && !dominated);
        }
        let mut keep = keep.into_iter();
        self.reports.retain(|_| keep.next().unwrap_or(true));
    }

    /// Sightings that still count, newest first.
    pub fn sightings(&self) -> Vec<Sighting<'_>> {
        let mut all: Vec<Sighting<'_>> = self.each_sighting().collect();
        all.sort_by_key(|s| std::cmp::Reverse(s.report.seen_at));
        all
    }

    /// The same, unsorted and without allocation.
    pub fn each_sighting(&self) -> impl Iterator<Item = Sighting<'_>> {
        self.reports
            .iter()
            .flat_map(|report| report.apps.iter().map(move |app| Sighting { app, report }))
    }

    /// The same of these packages alone: what is seen, absent and unknown of them stays as it is. It is for verdicts, and
    /// nothing more can be folded into it, for it forgets which sources have listed apps.
    pub fn only(&self, mut keep: impl FnMut(PackageNo) -> bool) -> Evidence {
        let reports = self.reports.iter().map(|report| Report {
            apps: report
                .apps
                .iter()
                .filter(|app| keep(app.package))
                .cloned()
                .collect(),
            ..report.clone()
        });
        Evidence {
            reports: reports.collect(),
            listed: BTreeSet::new(),
        }
    }

    /// When everything on the device was last seen, and by whom: the time since which what is not
    /// among the sightings is absent.
    pub fn complete_at(&self) -> Option<&Report> {
        self.reports
            .iter()
            .filter(|r| r.complete && r.visibility == Visibility::Full)
            .max_by_key(|r| r.seen_at)
    }

    /// Why an app that is not among the sightings can't be called absent at `at`, or `None` if it
    /// can. `visibility` is the device's.
    pub fn unknown(&self, visibility: Visibility, stale_before: Timestamp) -> Option<Unknown> {
        match self.complete_at() {
            Some(report) if report.seen_at < stale_before => Some(Unknown::Stale),
            Some(_) => None,
            None if visibility < Visibility::Full => Some(Unknown::Invisible),
            None => Some(Unknown::NoReport),
        }
    }
}
