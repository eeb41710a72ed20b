//! Reads catalogue files. A catalogue decides who is refused, so nothing doubtful passes: every
//! problem is an error that names the file and the entry.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{App, Catalogue, Confidence, Pack, PackageId, Vendor, WebDomain, nearest_of};
use crate::platform::Platform;

/// Why a catalogue was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("catalogue file {file}: {entry}: {problem}")]
pub struct CatalogueError {
    pub file: String,
    /// Which entry: "app `tiktok`", or "syntax" with the line in `problem`.
    pub entry: String,
    pub problem: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    as_of: Date,
    /// Facts cite a source by its key here, so that one source is worded once.
    #[serde(default)]
    sources: BTreeMap<String, String>,
    #[serde(default)]
    vendors: Vec<RawVendor>,
    #[serde(default)]
    apps: Vec<RawApp>,
    #[serde(default)]
    packs: Vec<RawPack>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawVendor {
    slug: String,
    name: String,
    successor_note: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawApp {
    slug: String,
    name: String,
    vendor: String,
    publisher: String,
    package_ids: Vec<RawPackageId>,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    web_domains: Vec<RawWebDomain>,
    note: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPackageId {
    platform: Platform,
    id: String,
    confidence: Confidence,
    source: String,
    note: Option<String>,
    variant: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWebDomain {
    domain: String,
    confidence: Confidence,
    source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPack {
    slug: String,
    title: String,
    source: String,
    date: Date,
    #[serde(default)]
    apps: Vec<String>,
    #[serde(default)]
    vendors: Vec<String>,
    #[serde(default)]
    names_without_ids: Vec<String>,
    note: Option<String>,
}

/// Where a problem is, to make errors from.
#[derive(Clone)]
struct Place {
    file: String,
    entry: String,
}

impl Place {
    fn error(&self, problem: impl Into<String>) -> CatalogueError {
        CatalogueError {
            file: self.file.clone(),
            entry: self.entry.clone(),
            problem: problem.into(),
        }
    }

    fn not_empty(&self, what: &str, text: &str) -> Result<(), CatalogueError> {
        if text.trim().is_empty() {
            return Err(self.error(format!("its {what} is empty; write one")));
        }
        if text.trim() != text {
            return Err(self.error(format!(
                "its {what} `{text}` begins or ends with a space; remove it"
            )));
        }
        Ok(())
    }

    fn slug(&self, slug: &str) -> Result<(), CatalogueError> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        if slug.is_empty() || !slug.chars().all(fits) {
            return Err(self.error(
                "its slug must be lower-case letters, digits, `-` and `.`, such as `my-app`",
            ));
        }
        Ok(())
    }
}

/// Entries of one kind as they are gathered: each slug once, with the place it came from.
struct Gathered<T>(BTreeMap<String, (Place, T)>);

impl<T> Gathered<T> {
    fn add(&mut self, slug: String, place: Place, entry: T) -> Result<(), CatalogueError> {
        place.slug(&slug)?;
        if let Some((first, _)) = self.0.get(&slug) {
            return Err(place.error(format!(
                "this slug is taken by an entry in {}; choose another or merge the two",
                first.file
            )));
        }
        self.0.insert(slug, (place, entry));
        Ok(())
    }

    /// That the slug is there; otherwise an error at `place` which says what is nearest.
    fn require(&self, slug: &str, kind: &str, place: &Place) -> Result<(), CatalogueError> {
        if self.0.contains_key(slug) {
            return Ok(());
        }
        let mend = match nearest_of(slug, self.0.keys().map(String::as_str)) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => format!("add the {kind} or remove the name"),
        };
        Err(place.error(format!(
            "it names the {kind} `{slug}`, which is in no file; {mend}"
        )))
    }

    /// In the order of the slugs.
    fn into_entries(self) -> Vec<T> {
        self.0.into_values().map(|(_, entry)| entry).collect()
    }
}

pub(super) fn parse(files: &[(&str, &str)]) -> Result<Catalogue, CatalogueError> {
    let mut as_of = Date::MIN;
    let mut vendors = Gathered(BTreeMap::new());
    let mut apps = Gathered(BTreeMap::new());
    let mut packs = Gathered(BTreeMap::new());

    for (name, text) in files {
        let place = |entry: String| Place {
            file: (*name).to_owned(),
            entry,
        };
        let file: File = toml::from_str(text)
            .map_err(|error| place("syntax".to_owned()).error(error.to_string().trim_end()))?;
        as_of = as_of.max(file.as_of);
        for (key, text) in &file.sources {
            place(format!("source `{key}`")).not_empty("text", text)?;
        }
        for raw in file.vendors {
            let place = place(format!("vendor `{}`", raw.slug));
            vendors.add(raw.slug.clone(), place.clone(), vendor(raw, &place)?)?;
        }
        for raw in file.apps {
            let place = place(format!("app `{}`", raw.slug));
            apps.add(
                raw.slug.clone(),
                place.clone(),
                app(raw, &file.sources, &place)?,
            )?;
        }
        for raw in file.packs {
            let place = place(format!("pack `{}`", raw.slug));
            packs.add(raw.slug.clone(), place.clone(), pack(raw, &place)?)?;
        }
    }

    check_references(&vendors, &apps, &packs)?;
    check_ids_belong_to_one_app(&apps)?;
    Ok(Catalogue {
        version: version(as_of, files),
        apps: apps.into_entries(),
        vendors: vendors.into_entries(),
        packs: packs.into_entries(),
    })
}

fn vendor(raw: RawVendor, place: &Place) -> Result<Vendor, CatalogueError> {
    place.not_empty("name", &raw.name)?;
    Ok(Vendor {
        slug: raw.slug,
        name: raw.name,
        successor_note: raw.successor_note,
    })
}

fn app(
    raw: RawApp,
    sources: &BTreeMap<String, String>,
    place: &Place,
) -> Result<App, CatalogueError> {
    place.not_empty("name", &raw.name)?;
    place.not_empty("publisher", &raw.publisher)?;
    for name in &raw.names {
        place.not_empty("other name", name)?;
    }
    if raw.package_ids.is_empty() {
        return Err(place.error(
            "it has no package id, so no order could match it; add one, or put the name under \
             `names_without_ids` of a pack",
        ));
    }
    let cite = |key: &str| {
        sources.get(key).cloned().ok_or_else(|| {
            let mend = match nearest_of(key, sources.keys().map(String::as_str)) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => "add it there".to_owned(),
            };
            place.error(format!(
                "it cites the source `{key}`, which is not under [sources] of this file; {mend}"
            ))
        })
    };
    let package_ids = raw
        .package_ids
        .into_iter()
        .map(|fact| {
            place.not_empty("package id", &fact.id)?;
            Ok(PackageId {
                platform: fact.platform,
                id: fact.id,
                confidence: fact.confidence,
                source: cite(&fact.source)?,
                note: fact.note,
                variant: fact.variant,
            })
        })
        .collect::<Result<_, _>>()?;
    let web_domains = raw
        .web_domains
        .into_iter()
        .map(|fact| {
            check_domain(&fact.domain, place)?;
            Ok(WebDomain {
                domain: fact.domain,
                confidence: fact.confidence,
                source: cite(&fact.source)?,
            })
        })
        .collect::<Result<_, _>>()?;
    Ok(App {
        slug: raw.slug,
        name: raw.name,
        vendor: raw.vendor,
        publisher: raw.publisher,
        package_ids,
        names: raw.names,
        web_domains,
        note: raw.note,
    })
}

fn pack(raw: RawPack, place: &Place) -> Result<Pack, CatalogueError> {
    place.not_empty("title", &raw.title)?;
    place.not_empty("source", &raw.source)?;
    for name in &raw.names_without_ids {
        place.not_empty("name without an id", name)?;
    }
    if raw.apps.is_empty() && raw.vendors.is_empty() {
        return Err(place.error("it names no app and no vendor that has ids; add one"));
    }
    Ok(Pack {
        slug: raw.slug,
        title: raw.title,
        source: raw.source,
        date: raw.date,
        apps: raw.apps,
        vendors: raw.vendors,
        names_without_ids: raw.names_without_ids,
        note: raw.note,
    })
}

/// Exports put domains into proxy and browser policies, where a stray slash or star would change
/// what is blocked.
fn check_domain(domain: &str, place: &Place) -> Result<(), CatalogueError> {
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    if domain.contains('.') && domain.split('.').all(label) {
        return Ok(());
    }
    Err(place.error(format!(
        "`{domain}` is no domain; write it in lower case without scheme, path or `*`, such as \
         `example.com`"
    )))
}

fn check_references(
    vendors: &Gathered<Vendor>,
    apps: &Gathered<App>,
    packs: &Gathered<Pack>,
) -> Result<(), CatalogueError> {
    for (place, app) in apps.0.values() {
        vendors.require(&app.vendor, "vendor", place)?;
    }
    let with_apps: BTreeSet<&str> = apps
        .0
        .values()
        .map(|(_, app)| app.vendor.as_str())
        .collect();
    for (slug, (place, _)) in &vendors.0 {
        // An order on such a vendor would look as if it forbade something.
        if !with_apps.contains(slug.as_str()) {
            return Err(place.error("no app is of this vendor; add one or remove the vendor"));
        }
    }
    for (place, pack) in packs.0.values() {
        for slug in &pack.apps {
            apps.require(slug, "app", place)?;
        }
        for slug in &pack.vendors {
            vendors.require(slug, "vendor", place)?;
        }
    }
    Ok(())
}

/// A verdict names the app that an id belongs to, so each id belongs to one. Folded, because
/// matching falls back to letter case folded.
fn check_ids_belong_to_one_app(apps: &Gathered<App>) -> Result<(), CatalogueError> {
    let mut owners: BTreeMap<(Platform, String), (&Place, &str)> = BTreeMap::new();
    for (place, app) in apps.0.values() {
        for package_id in &app.package_ids {
            let key = (package_id.platform, package_id.id.to_lowercase());
            if let Some((first, slug)) = owners.insert(key, (place, &app.slug)) {
                return Err(place.error(format!(
                    "its {} id `{}` also stands in app `{slug}` of {}; keep it in one of them",
                    package_id.platform, package_id.id, first.file
                )));
            }
        }
    }
    Ok(())
}

/// The date is for people; the hash tells apart what one date cannot. Lengths go into the hash so
/// that moving text from one file to the next changes it.
fn version(as_of: Date, files: &[(&str, &str)]) -> String {
    let mut hasher = Sha256::new();
    for (name, text) in files {
        for field in [name, text] {
            hasher.update((field.len() as u64).to_be_bytes());
            hasher.update(field.as_bytes());
        }
    }
    let hash = crate::hex::encode(&hasher.finalize()[..4]);
    format!("{as_of}-{hash}")
}
