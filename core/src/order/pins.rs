//! The package ids that a revision resolved to. They are fixed with the text: a newer catalogue
//! never widens an order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::catalogue::{App, Confidence};
use crate::evidence::Package;
use crate::fleet::fold;
use crate::platform::Platform;
use crate::version::VersionRange;

/// One package id that the order forbids.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pin {
    /// Slug of the app.
    pub app: String,
    pub platform: Platform,
    pub id: String,
    pub confidence: Confidence,
}

/// All that a revision's `[forbid]` resolved to.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Pins {
    /// Which catalogue was asked.
    pub catalogue: String,
    /// Slug to name, for texts.
    pub apps: BTreeMap<String, String>,
    pub ids: Vec<Pin>,
    /// Folded names that a source without package ids may show, and their app.
    pub names: BTreeMap<String, String>,
    pub versions: BTreeMap<String, VersionRange>,
}

/// How surely a sighting is the app of a pin. Stronger is less.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Match {
    /// The very id.
    Exact,
    /// The id but for letter case.
    Folded,
    /// An id that only one code base names.
    WeakSource,
    /// The id of another platform's build.
    WeakPlatform,
    /// An id that extends a listed one: re-signed, suffixed.
    WeakExtended,
    /// The name alone.
    WeakName,
    /// The app, but of a version that can't be told to be in the ordered range.
    WeakVersion,
}

impl Match {
    pub fn is_weak(self) -> bool {
        self > Match::Folded
    }

    pub fn in_words(self) -> &'static str {
        match self {
            Match::Exact => "by its package id",
            Match::Folded => "by its package id, in other letter case",
            Match::WeakSource => "by a package id that a single source names",
            Match::WeakPlatform => "by the package id of another platform",
            Match::WeakExtended => "by a package id that extends a listed one",
            Match::WeakName => "by its name alone",
            Match::WeakVersion => "but its version is not known",
        }
    }
}

impl Pins {
    pub fn resolve<'a>(
        catalogue: &str,
        apps: impl IntoIterator<Item = &'a App>,
        versions: &BTreeMap<String, VersionRange>,
    ) -> Pins {
        let mut pins = Pins {
            catalogue: catalogue.to_owned(),
            versions: versions.clone(),
            ..Pins::default()
        };
        for app in apps {
            pins.apps.insert(app.slug.clone(), app.name.clone());
            for id in &app.package_ids {
                pins.ids.push(Pin {
                    app: app.slug.clone(),
                    platform: id.platform,
                    id: id.id.clone(),
                    confidence: id.confidence,
                });
            }
            for name in std::iter::once(&app.name).chain(&app.names) {
                pins.names
                    .entry(fold(name))
                    .or_insert_with(|| app.slug.clone());
            }
        }
        pins.ids
            .sort_by(|a, b| (&a.app, a.platform, &a.id).cmp(&(&b.app, b.platform, &b.id)));
        pins
    }

    /// Which app of the order a package on a device of that platform is, version left aside.
    pub fn matches(&self, package: &Package, platform: Platform) -> Option<(&str, Match)> {
        let by_id = self
            .ids
            .iter()
            .filter_map(|pin| Some((pin.app.as_str(), strength(pin, &package.id, platform)?)))
            .min_by_key(|(_, strength)| *strength);
        by_id.or_else(|| {
            let slug = self
                .names
                .get(&fold(&package.name))
                .filter(|_| package.id.is_empty())?;
            Some((slug.as_str(), Match::WeakName))
        })
    }

    /// The match once the version seen is taken into account.
    pub fn with_version(&self, app: &str, matched: Match, version: &str) -> Option<Match> {
        match self.versions.get(app) {
            None => Some(matched),
            Some(range) => match range.matches(version) {
                Some(true) => Some(matched),
                Some(false) => None,
                None => Some(Match::WeakVersion),
            },
        }
    }

    /// Names of the apps, for texts: `TikTok`, `TikTok and WeChat`.
    pub fn in_words(&self) -> String {
        let names: Vec<&str> = self.apps.values().map(String::as_str).collect();
        match names.as_slice() {
            [] => String::new(),
            [one] => (*one).to_owned(),
            [most @ .., last] if most.len() < 6 => format!("{} and {last}", most.join(", ")),
            many => format!("{} and {} more apps", many[..5].join(", "), many.len() - 5),
        }
    }
}

fn strength(pin: &Pin, seen: &str, platform: Platform) -> Option<Match> {
    if seen.is_empty() {
        return None;
    }
    let plain = if seen == pin.id {
        Match::Exact
    } else if seen.eq_ignore_ascii_case(&pin.id) {
        Match::Folded
    } else if extends(seen, &pin.id) {
        return Some(Match::WeakExtended);
    } else {
        return None;
    };
    Some(match (pin.platform == platform, pin.confidence) {
        (false, _) => Match::WeakPlatform,
        (true, Confidence::C) => Match::WeakSource,
        (true, _) => plain,
    })
}

/// `com.example.app.resigned` extends `com.example.app`; `com.example.apple` does not.
fn extends(seen: &str, listed: &str) -> bool {
    seen.get(..listed.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(listed))
        && seen[listed.len()..].starts_with(['.', '-', '_'])
}
