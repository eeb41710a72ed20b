//! `catalogue`: which apps there are, and what each platform calls them. It comes with the program,
//! so it needs no data directory.

use clap::{Args, Subcommand};
use countermand_core::catalogue::{App, Catalogue as Entries, Pack, Vendor, nearest_of};
use countermand_core::words::thousands;
use serde::Serialize;

use super::{Exit, Failure, Place, Result, print};

/// Which apps there are, and what each platform calls them
#[derive(Debug, Subcommand)]
#[command(after_help = "Example: countermand catalogue search bytedance")]
pub enum Catalogue {
    Search(Search),
    Show(Show),
}

/// List apps whose name, maker, package id or web domain has the text in it
#[derive(Debug, Args)]
#[command(after_help = "Example: countermand catalogue search com.zhiliaoapp")]
pub struct Search {
    /// Text to look for; without it all apps are listed
    #[arg(value_name = "TEXT", default_value = "", hide_default_value = true)]
    text: String,
}

/// Show an app, a vendor or a pack with all that is known of it
#[derive(Debug, Args)]
#[command(after_help = "Example: countermand catalogue show tiktok")]
pub struct Show {
    /// Its name in order files, such as tiktok, bytedance or far-52.204-27
    #[arg(value_name = "SLUG")]
    slug: String,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Entry<'a> {
    App(&'a App),
    Vendor {
        #[serde(flatten)]
        vendor: &'a Vendor,
        apps: Vec<&'a str>,
    },
    Pack(&'a Pack),
}

impl Catalogue {
    pub fn run(self, place: &Place) -> Result<Exit> {
        let entries = Entries::embedded();
        match self {
            Catalogue::Search(Search { text }) => {
                let found = entries.search(&text);
                place.print.answer(&found, || {
                    if found.is_empty() {
                        let near = entries
                            .nearest(&text)
                            .map(|n| format!(" Did you mean {n}?"));
                        return format!("Nothing has «{text}» in it.{}", near.unwrap_or_default());
                    }
                    list(&found)
                })?;
            }
            Catalogue::Show(Show { slug }) => {
                let slug = countermand_core::fleet::fold(&slug);
                let entry = find(entries, &slug)?;
                place.print.answer(&entry, || match &entry {
                    Entry::App(app) => app_words(app, place),
                    Entry::Vendor { vendor, apps } => {
                        let note = vendor.successor_note.as_deref().map(|n| format!("\n{n}"));
                        let apps = apps.join(", ");
                        format!(
                            "{} ({}), a vendor.{}\nApps: {apps}",
                            place.print.bold(&vendor.name),
                            vendor.slug,
                            note.unwrap_or_default()
                        )
                    }
                    Entry::Pack(pack) => pack_words(pack, place),
                })?;
            }
        }
        Ok(Exit::Done)
    }
}

fn find<'a>(entries: &'a Entries, slug: &str) -> Result<Entry<'a>> {
    if let Some(app) = entries.app(slug) {
        return Ok(Entry::App(app));
    }
    if let Some(vendor) = entries.vendor(slug) {
        let apps = entries
            .apps_of_vendor(slug)
            .map(|a| a.slug.as_str())
            .collect();
        return Ok(Entry::Vendor { vendor, apps });
    }
    if let Some(pack) = entries.pack(slug) {
        return Ok(Entry::Pack(pack));
    }
    let slugs = (entries.vendors().iter().map(|v| v.slug.as_str()))
        .chain(entries.packs().iter().map(|p| p.slug.as_str()));
    let near = entries.nearest(slug).or_else(|| nearest_of(slug, slugs));
    Err(Failure::usage(match near {
        Some(near) => format!("the catalogue has no «{slug}»; did you mean {near}?"),
        None => {
            format!("the catalogue has no «{slug}»; `countermand catalogue search` lists all apps")
        }
    }))
}

fn list(found: &[&App]) -> String {
    let rows = found.iter().map(|app| {
        vec![
            app.slug.clone(),
            app.name.clone(),
            app.vendor.clone(),
            thousands(app.package_ids.len() as u64),
        ]
    });
    print::table(&["app", "name", "vendor", "package ids"], &[3], rows)
}

fn app_words(app: &App, place: &Place) -> String {
    let mut text = format!(
        "{} ({}), an app of {}, published by {}\n",
        place.print.bold(&app.name),
        app.slug,
        app.vendor,
        app.publisher
    );
    if let Some(note) = &app.note {
        text += &format!("{note}\n");
    }
    let rows = app.package_ids.iter().map(|p| {
        vec![
            p.platform.to_string(),
            p.id.clone(),
            p.variant.clone().unwrap_or_default(),
            p.confidence.to_string(),
            p.source.clone(),
        ]
    });
    let header = ["platform", "package id", "variant", "confidence", "source"];
    text += &format!("\n{}\n", print::table(&header, &[], rows));
    if !app.web_domains.is_empty() {
        let domains: Vec<&str> = app.web_domains.iter().map(|w| w.domain.as_str()).collect();
        text += &format!("\nOn the web: {}\n", domains.join(", "));
    }
    text + "\nConfidence: A several sources agree, B one table has it, C one code base has it (a weak match)."
}

fn pack_words(pack: &Pack, place: &Place) -> String {
    let mut text = format!(
        "{} ({}), a list of {} from {}\n",
        place.print.bold(&pack.title),
        pack.slug,
        pack.date,
        pack.source
    );
    for (what, names) in [
        ("Apps", &pack.apps),
        ("Vendors", &pack.vendors),
        (
            "Named there, but no package id is known",
            &pack.names_without_ids,
        ),
    ] {
        if !names.is_empty() {
            text += &format!("{what}: {}\n", names.join(", "));
        }
    }
    text + pack.note.as_deref().unwrap_or_default()
}
