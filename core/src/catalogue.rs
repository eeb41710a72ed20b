//! The catalogue: which ids an app has on which platform, who makes it, and which lists name it.
//!
//! Facts live in `core/data/catalogue/*.toml`, each with its source and confidence. An entry is a
//! family: regional, renamed and Lite builds of one product share it, so an order on the app hits
//! them all.

mod nearest;
mod parse;

use std::cmp::Ordering;
use std::fmt;
use std::sync::LazyLock;

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::platform::Platform;

pub use nearest::nearest_of;
pub use parse::CatalogueError;

/// How well a fact is supported.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, PartialOrd, Ord, JsonSchema,
)]
pub enum Confidence {
    /// Several independent sources agree.
    A,
    /// One table or list has it.
    B,
    /// One code base or one unverified join has it. What it matches is a weak match.
    C,
}

impl Confidence {
    pub const fn is_weak(self) -> bool {
        matches!(self, Confidence::C)
    }
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Confidence::A => "A",
            Confidence::B => "B",
            Confidence::C => "C",
        })
    }
}

/// What one platform calls an app, in the platform's own letter case.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PackageId {
    pub platform: Platform,
    pub id: String,
    pub confidence: Confidence,
    pub source: String,
    pub note: Option<String>,
    /// Which build of the family: "Lite", "Asia build". `None` for the main one.
    pub variant: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WebDomain {
    pub domain: String,
    pub confidence: Confidence,
    pub source: String,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct App {
    pub slug: String,
    pub name: String,
    /// The vendor's slug.
    pub vendor: String,
    /// Who the stores say publishes it; often a subsidiary of the vendor.
    pub publisher: String,
    pub package_ids: Vec<PackageId>,
    /// Other names that a source without package ids may show.
    pub names: Vec<String>,
    pub web_domains: Vec<WebDomain>,
    pub note: Option<String>,
}

impl App {
    pub fn package_ids_on(&self, platform: Platform) -> impl Iterator<Item = &PackageId> {
        self.package_ids
            .iter()
            .filter(move |package_id| package_id.platform == platform)
    }

    /// Every name it may be shown under, its own first.
    pub fn all_names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.name)
            .chain(&self.names)
            .map(String::as_str)
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Vendor {
    pub slug: String,
    pub name: String,
    /// What to know of companies it owns, was, or became.
    pub successor_note: Option<String>,
}

/// A named, sourced list of apps and vendors.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pack {
    pub slug: String,
    pub title: String,
    /// Where the list is published.
    pub source: String,
    /// The date of the list.
    pub date: Date,
    pub apps: Vec<String>,
    pub vendors: Vec<String>,
    /// What the source names but nobody has an id for: shown, never matched.
    pub names_without_ids: Vec<String>,
    pub note: Option<String>,
}

/// What kind of entry a name was looked up as.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    App,
    Vendor,
    Pack,
}

impl fmt::Display for EntryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            EntryKind::App => "app",
            EntryKind::Vendor => "vendor",
            EntryKind::Pack => "pack",
        })
    }
}

/// A name that the catalogue does not have.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub struct Unknown {
    pub what: EntryKind,
    pub given: String,
    /// The nearest name of the same kind.
    pub nearest: Option<String>,
    /// Set when the name does exist, as another kind of entry.
    pub is_a: Option<EntryKind>,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unknown { what, given, .. } = self;
        write!(f, "the catalogue has no {what} `{given}`; ")?;
        match (self.is_a, &self.nearest) {
            (Some(kind), _) => write!(f, "it is a {kind}: put it under `{kind}s`"),
            (None, Some(nearest)) => write!(f, "did you mean `{nearest}`?"),
            (None, None) => f.write_str("`countermand catalogue search` lists what there is"),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Catalogue {
    /// Newest date of its files and a hash of their text, as in `2026-08-19-1f3a9c2b`.
    version: String,
    // Each sorted by slug, which lookups and reproducible answers rely on.
    apps: Vec<App>,
    vendors: Vec<Vendor>,
    packs: Vec<Pack>,
}

impl Catalogue {
    /// The files that come with the program, by name.
    pub const EMBEDDED_FILES: &[(&str, &str)] = &[
        (
            "bytedance.toml",
            include_str!("../data/catalogue/bytedance.toml"),
        ),
        ("others.toml", include_str!("../data/catalogue/others.toml")),
        (
            "far-52.204-27.toml",
            include_str!("../data/catalogue/far-52.204-27.toml"),
        ),
        (
            "india-2020-06-29.toml",
            include_str!("../data/catalogue/india-2020-06-29.toml"),
        ),
        (
            "texas-2025-01.toml",
            include_str!("../data/catalogue/texas-2025-01.toml"),
        ),
    ];

    /// The catalogue that comes with the program.
    pub fn embedded() -> &'static Catalogue {
        #[expect(
            clippy::expect_used,
            reason = "the text is part of the program; `the_embedded_catalogue_parses` proves it"
        )]
        static EMBEDDED: LazyLock<Catalogue> = LazyLock::new(|| {
            Catalogue::parse(Catalogue::EMBEDDED_FILES).expect("the embedded catalogue parses")
        });
        &EMBEDDED
    }

    /// Reads files, as (name, text), that together make one catalogue: entries may refer to each
    /// other across files. To add to the embedded one, chain [`Catalogue::EMBEDDED_FILES`].
    pub fn parse(files: &[(&str, &str)]) -> Result<Catalogue, CatalogueError> {
        parse::parse(files)
    }

    pub fn version(&self) -> &str {
        &self.version
    }

    pub fn apps(&self) -> &[App] {
        &self.apps
    }

    pub fn vendors(&self) -> &[Vendor] {
        &self.vendors
    }

    pub fn packs(&self) -> &[Pack] {
        &self.packs
    }

    pub fn app(&self, slug: &str) -> Option<&App> {
        find(&self.apps, slug, |app| &app.slug)
    }

    pub fn vendor(&self, slug: &str) -> Option<&Vendor> {
        find(&self.vendors, slug, |vendor| &vendor.slug)
    }

    pub fn pack(&self, slug: &str) -> Option<&Pack> {
        find(&self.packs, slug, |pack| &pack.slug)
    }

    pub fn apps_of_vendor(&self, vendor: &str) -> impl Iterator<Item = &App> {
        self.apps.iter().filter(move |app| app.vendor == vendor)
    }

    /// Apps whose slug, names, maker, package ids or domains contain the text, in any letter case:
    /// exact hits first, then beginnings, then the rest, each by slug. An empty text lists all.
    pub fn search(&self, text: &str) -> Vec<&App> {
        let wanted = text.trim().to_lowercase();
        let mut hits: Vec<(Hit, &App)> = self
            .apps
            .iter()
            .filter_map(|app| Some((self.best_hit(app, &wanted)?, app)))
            .collect();
        // The sort is stable, so apps of one rank keep the order of their slugs.
        hits.sort_by_key(|(hit, _)| *hit);
        hits.into_iter().map(|(_, app)| app).collect()
    }

    fn best_hit(&self, app: &App, wanted: &str) -> Option<Hit> {
        let vendor_name = self.vendor(&app.vendor).map(|vendor| vendor.name.as_str());
        app.all_names()
            .chain([app.slug.as_str(), &app.vendor, &app.publisher])
            .chain(vendor_name)
            .chain(
                app.package_ids
                    .iter()
                    .map(|package_id| package_id.id.as_str()),
            )
            .chain(app.web_domains.iter().map(|web| web.domain.as_str()))
            .filter_map(|field| Hit::of(&field.to_lowercase(), wanted))
            .min()
    }

    /// The apps that an order's `apps`, `vendors` and `packs` come to, each once, by slug.
    pub fn resolve(
        &self,
        apps: &[String],
        vendors: &[String],
        packs: &[String],
    ) -> Result<Vec<&App>, Unknown> {
        let mut found = Vec::new();
        self.collect(apps, vendors, &mut found)?;
        for slug in packs {
            let pack = self
                .pack(slug)
                .ok_or_else(|| self.unknown(EntryKind::Pack, slug))?;
            self.collect(&pack.apps, &pack.vendors, &mut found)?;
        }
        found.sort_by(|a, b| a.slug.cmp(&b.slug));
        found.dedup_by(|a, b| a.slug == b.slug);
        Ok(found)
    }

    fn collect<'a>(
        &'a self,
        apps: &[String],
        vendors: &[String],
        found: &mut Vec<&'a App>,
    ) -> Result<(), Unknown> {
        for slug in apps {
            found.push(
                self.app(slug)
                    .ok_or_else(|| self.unknown(EntryKind::App, slug))?,
            );
        }
        for slug in vendors {
            self.vendor(slug)
                .ok_or_else(|| self.unknown(EntryKind::Vendor, slug))?;
            found.extend(self.apps.iter().filter(|app| app.vendor == *slug));
        }
        Ok(())
    }

    /// The slug of the app whose slug or name is nearest to what was written.
    pub fn nearest(&self, text: &str) -> Option<&str> {
        let by_slug = nearest_of(text, self.apps.iter().map(|app| app.slug.as_str()));
        by_slug.or_else(|| {
            let name = nearest_of(text, self.apps.iter().flat_map(App::all_names))?;
            self.apps
                .iter()
                .find(|app| app.all_names().any(|candidate| candidate == name))
                .map(|app| app.slug.as_str())
        })
    }

    fn unknown(&self, what: EntryKind, given: &str) -> Unknown {
        let nearest = match what {
            EntryKind::App => self.nearest(given),
            EntryKind::Vendor => nearest_of(given, self.vendors.iter().map(|v| v.slug.as_str())),
            EntryKind::Pack => nearest_of(given, self.packs.iter().map(|p| p.slug.as_str())),
        };
        let is_a = [
            (EntryKind::App, self.app(given).is_some()),
            (EntryKind::Vendor, self.vendor(given).is_some()),
            (EntryKind::Pack, self.pack(given).is_some()),
        ]
        .into_iter()
        .find_map(|(kind, exists)| exists.then_some(kind));
        Unknown {
            what,
            given: given.to_owned(),
            nearest: nearest.map(str::to_owned),
            is_a,
        }
    }
}

fn find<'a, T>(sorted: &'a [T], slug: &str, key: impl Fn(&T) -> &String) -> Option<&'a T> {
    sorted
        .binary_search_by(|entry| -> Ordering { key(entry).as_str().cmp(slug) })
        .ok()
        .and_then(|at| sorted.get(at))
}

/// How well a field answers a search, best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Hit {
    Exact,
    Beginning,
    Inside,
}

impl Hit {
    fn of(field: &str, wanted: &str) -> Option<Hit> {
        match field.find(wanted)? {
            0 if field.len() == wanted.len() => Some(Hit::Exact),
            0 => Some(Hit::Beginning),
            _ => Some(Hit::Inside),
        }
    }
}
