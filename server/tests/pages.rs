//! Every page, rendered from samples: what it looks like (snapshots), and what every page
//! must be, whatever it shows.
//!
//! `COUNTERMAND_WRITE_PAGES=DIR` also writes the samples there with their assets, to be
//! looked at in a browser.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "pages/html.rs"]
mod html;
#[path = "pages/samples/mod.rs"]
mod samples;

use countermand::web::assets::{asset, asset_url};
use html::Tag;
use samples::{Sample, samples};

/// Assets change their name with their content; the pages don't change by that.
fn steady(html: &str) -> String {
    ["style.css", "live.js", "icon.svg"]
        .iter()
        .fold(html.to_owned(), |html, name| {
            let (stem, ending) = name.split_once('.').unwrap();
            html.replace(&asset_url(name), &format!("/assets/{stem}.HASH.{ending}"))
        })
}

/// Runs `check` on every page, and names the page that fails.
fn on_each(check: impl Fn(&Sample, &[Tag]) -> Result<(), String>) {
    let faults: Vec<String> = samples()
        .iter()
        .filter_map(|sample| {
            check(sample, &html::tags(&sample.html))
                .err()
                .map(|fault| format!("{}: {fault}", sample.name))
        })
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn ensure(holds: bool, otherwise: impl Into<String>) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise.into()) }
}

#[test]
fn pages_look_as_they_did() {
    for sample in samples() {
        insta::assert_snapshot!(sample.name, steady(&sample.html));
    }
}

#[test]
fn samples_are_written_where_asked() {
    let Some(dir) = std::env::var_os("COUNTERMAND_WRITE_PAGES") else {
        return;
    };
    let dir = std::path::PathBuf::from(dir);
    std::fs::create_dir_all(dir.join("assets")).unwrap();
    for name in ["style.css", "live.js", "icon.svg"] {
        let url = asset_url(name);
        let (_, bytes) = asset(url.strip_prefix("/assets/").unwrap()).unwrap();
        std::fs::write(dir.join(url.strip_prefix('/').unwrap()), bytes).unwrap();
    }
    for sample in samples() {
        let html = sample.html.replace("\"/assets/", "\"assets/");
        std::fs::write(dir.join(sample.name).with_extension("html"), html).unwrap();
    }
}

#[test]
fn every_page_has_language_title_viewport_and_one_heading() {
    on_each(|sample, tags| {
        ensure(
            tags.iter()
                .any(|tag| tag.name == "html" && tag.is("lang", "en")),
            "no language",
        )?;
        ensure(
            tags.iter()
                .any(|tag| tag.name == "meta" && tag.is("name", "viewport")),
            "no viewport",
        )?;
        ensure(
            tags.iter().filter(|tag| tag.name == "h1").count() == 1,
            "not exactly one h1",
        )?;
        ensure(
            tags.iter().filter(|tag| tag.name == "main").count() == 1,
            "not exactly one main",
        )?;
        let title = sample
            .html
            .split_once("<title>")
            .and_then(|(_, rest)| rest.split_once("</title>"));
        ensure(
            title.is_some_and(|(title, _)| !title.trim().is_empty() && !title.contains('\n')),
            "no title in one line",
        )
    });
}

#[test]
fn headings_come_in_order() {
    on_each(|_, tags| {
        let mut last = 0;
        for tag in tags {
            let Some(level) = tag
                .name
                .strip_prefix('h')
                .and_then(|level| level.parse::<u8>().ok())
            else {
                continue;
            };
            ensure(level <= last + 1, format!("h{level} after h{last}"))?;
            last = level;
        }
        Ok(())
    });
}

#[test]
fn nothing_needs_more_than_the_strict_policy() {
    on_each(|sample, tags| {
        for tag in tags {
            ensure(
                tag.get("style").is_none(),
                format!("style attribute on {}", tag.name),
            )?;
            ensure(
                tag.attributes
                    .iter()
                    .all(|(name, _)| !name.starts_with("on")),
                format!("handler on {}", tag.name),
            )?;
            ensure(tag.name != "style" || sample.carries_style, "style element")?;
            if tag.name == "script" {
                ensure(
                    tag.get("src")
                        .is_some_and(|src| src.starts_with("/assets/")),
                    "inline or foreign script",
                )?;
            }
            for name in ["src", "action", "formaction"] {
                ensure(
                    tag.get(name)
                        .is_none_or(|url| url.starts_with('/') && !url.starts_with("//")),
                    format!("foreign {name}"),
                )?;
            }
            if tag.name == "link" {
                ensure(
                    tag.get("href").is_some_and(|url| url.starts_with('/')),
                    "foreign link",
                )?;
            }
        }
        Ok(())
    });
}

#[test]
fn every_form_that_changes_anything_carries_the_token() {
    on_each(|sample, tags| {
        let mut forms = 0;
        for (at, tag) in tags
            .iter()
            .enumerate()
            .filter(|(_, tag)| tag.name == "form")
        {
            let end = tags[at..]
                .iter()
                .position(|tag| tag.name == "/form")
                .ok_or("a form does not end")?;
            let carries = tags[at..at + end]
                .iter()
                .any(|tag| tag.is("name", "csrf") && tag.is("value", samples::CSRF));
            // Who got a notice has no session; the notice's own token is what nobody else has.
            let by_notice = tag.get("action").is_some_and(|to| {
                to.ends_with("/looks-wrong") || to.ends_with("/recognise") && to.starts_with("/o/")
            }) && tags[at..at + end].iter().any(|tag| tag.is("name", "n"));
            match tag.get("method").as_deref() {
                Some("post") => ensure(carries || by_notice, "a form without csrf")?,
                // What only looks must not put the token into an address.
                Some("get") => ensure(!carries, "the token in an address")?,
                _ => return Err("a form without method".to_owned()),
            }
            forms += 1;
        }
        ensure(
            forms == sample.html.matches("<form").count(),
            "forms not understood",
        )
    });
}

#[test]
fn every_field_has_a_label_and_every_id_is_one() {
    on_each(|_, tags| {
        let mut in_label = 0usize;
        let mut ids = std::collections::BTreeSet::new();
        for tag in tags {
            if let Some(id) = tag.get("id") {
                ensure(ids.insert(id.clone()), format!("id {id} twice"))?;
            }
            match tag.name.as_str() {
                "label" => in_label += 1,
                "/label" => in_label -= 1,
                "input" | "textarea" | "select" if !tag.is("type", "hidden") => {
                    let labelled = tag.get("id").is_some_and(|id| {
                        tags.iter()
                            .any(|label| label.name == "label" && label.is("for", &id))
                    });
                    ensure(
                        in_label > 0 || labelled,
                        format!("no label: {:?}", tag.attributes),
                    )?;
                }
                _ => {}
            }
        }
        for tag in tags {
            for name in ["aria-describedby", "for"] {
                if let Some(id) = tag.get(name) {
                    ensure(ids.contains(&id), format!("{name} names no id: {id}"))?;
                }
            }
        }
        Ok(())
    });
}

#[test]
fn every_drawing_is_named_or_out_of_the_way() {
    on_each(|_, tags| {
        tags.iter()
            .filter(|tag| tag.name == "svg")
            .try_for_each(|tag| {
                let named = tag.is("role", "img")
                    && tag.get("aria-label").is_some_and(|label| !label.is_empty());
                ensure(named || tag.is("aria-hidden", "true"), "a nameless drawing")
            })
    });
}

#[test]
fn every_time_is_written_for_machines_too() {
    on_each(|_, tags| {
        tags.iter()
            .filter(|tag| tag.name == "time")
            .try_for_each(|tag| {
                ensure(
                    tag.get("datetime").is_some_and(|at| at.contains('T')),
                    "a time without datetime",
                )
            })
    });
}

#[test]
fn hostile_text_is_only_text() {
    for page in samples::hostile() {
        assert!(
            !page.html.contains("<script>alert"),
            "{} lets a script through",
            page.name
        );
        assert!(
            !page.html.contains("\"><img"),
            "{} lets an attribute end",
            page.name
        );
        assert!(
            page.html.contains("&#60;script&#62;alert"),
            "{} does not show the text at all",
            page.name
        );
    }
}

#[test]
fn a_live_page_marks_what_changes() {
    on_each(|_, tags| {
        let live = tags
            .iter()
            .any(|tag| tag.name == "main" && tag.get("data-live").is_some());
        let ready = tags.iter().any(|tag| tag.is("id", "live"))
            && tags
                .iter()
                .any(|tag| tag.name == "main" && tag.is("id", "main"));
        ensure(!live || ready, "nowhere to say that the connection is lost")
    });
}

/// The tokens of the stylesheet, for one of the two schemes.
fn tokens(dark: bool) -> std::collections::BTreeMap<String, [f64; 3]> {
    let url = asset_url("style.css");
    let css = String::from_utf8(
        asset(url.strip_prefix("/assets/").unwrap())
            .unwrap()
            .1
            .to_vec(),
    )
    .unwrap();
    css.lines()
        .filter_map(|line| {
            let (name, pair) = line
                .trim()
                .strip_prefix("--")?
                .split_once(": light-dark(#")?;
            let (light, rest) = pair.split_once(", #")?;
            let hex = if dark { rest.split_once(')')?.0 } else { light };
            let channel = |at: usize| {
                u8::from_str_radix(&hex[at..at + 2], 16)
                    .map(|value| f64::from(value) / 255.0)
                    .ok()
            };
            Some((name.to_owned(), [channel(0)?, channel(2)?, channel(4)?]))
        })
        .collect()
}

/// The contrast ratio as WCAG 2 defines it.
fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
    let luminance = |colour: [f64; 3]| {
        let [r, g, b] = colour.map(|c| {
            if c <= 0.04045 {
                c / 12.92
            } else {
                ((c + 0.055) / 1.055).powf(2.4)
            }
        });
        0.2126 * r + 0.7152 * g + 0.0722 * b
    };
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn colours_that_meet_can_be_told_apart() {
    let text = [
        (
            "ink",
            &[
                "ground",
                "surface",
                "raised",
                "allow-soft",
                "warn-soft",
                "deny-soft",
                "accent-soft",
                "quiet-soft",
            ][..],
        ),
        ("soft", &["ground", "surface", "raised", "quiet-soft"]),
        (
            "accent",
            &[
                "ground",
                "surface",
                "raised",
                "accent-soft",
                "warn-soft",
                "deny-soft",
            ],
        ),
        ("accent-ink", &["accent"]),
        ("deny-ink", &["deny"]),
        ("allow", &["surface", "raised", "allow-soft"]),
        ("warn", &["surface", "raised", "warn-soft"]),
        ("deny", &["surface", "raised", "deny-soft"]),
    ];
    let edges = [("edge", &["ground", "surface", "raised"][..])];
    for dark in [false, true] {
        let tokens = tokens(dark);
        for (pairs, least) in [(&text[..], 4.5), (&edges[..], 3.0)] {
            for (front, backs) in pairs {
                for back in *backs {
                    let ratio = contrast(tokens[*front], tokens[*back]);
                    assert!(
                        ratio >= least,
                        "{front} on {back}, dark: {dark}: {ratio:.2} is less than {least}"
                    );
                }
            }
        }
    }
}
