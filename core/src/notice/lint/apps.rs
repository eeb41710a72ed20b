//! Apps that a text names and the order does not hit, and those that it hits and no text names.

use std::collections::BTreeSet;

use super::Lint;
use super::source::Source;
use crate::catalogue::{App, Catalogue};
use crate::order::Order;

/// A name this short, all of letters, may be a word of some language (Lark, Whee): only its own
/// spelling counts.
const SHORT: usize = 5;

/// So many are said by name.
const SAID: usize = 3;

pub(super) fn lints(order: &Order, catalogue: &Catalogue, sources: &[Source<'_>]) -> Vec<Lint> {
    let mut lints: Vec<Lint> = sources
        .iter()
        .flat_map(|source| strangers(order, catalogue, source))
        .collect();
    let notices = sources.iter().filter(|source| source.kind == "notice");
    lints.extend(notices.filter_map(|source| left_out(order, catalogue, source)));
    lints
}

/// Apps out of scope that the text names.
fn strangers(order: &Order, catalogue: &Catalogue, source: &Source<'_>) -> Vec<Lint> {
    let mut words = Words::of(&source.words);
    // What belongs to the order is no stranger's name, even where one stands within it.
    for name in own_names(order, catalogue) {
        words.take_out(&name);
    }
    let pins = &order.revision.pins;
    let mut names: Vec<(&str, &App)> = catalogue
        .apps()
        .iter()
        .filter(|app| !pins.apps.contains_key(&app.slug))
        .flat_map(|app| names_of(app).map(move |n| (n, app)))
        .collect();
    // «WhatsApp Business» before «WhatsApp».
    names.sort_by_key(|(name, app)| (std::cmp::Reverse(name.chars().count()), &app.slug));
    let mut said = BTreeSet::new();
    let mut lints = Vec::new();
    for (name, app) in names {
        let Some(line) = words.take_out(name) else {
            continue;
        };
        if said.insert(&app.slug) {
            lints.push(Lint {
                section: source.section(),
                line: source.line(line),
                what: format!(
                    "the text names {}, which this order does not forbid",
                    app.name
                ),
                mend: format!("take the name out, or add \"{}\" to forbid.apps", app.slug),
            });
        }
    }
    lints
}

/// What a text may call an app. A slug that is its name in small letters says nothing new.
fn names_of(app: &App) -> impl Iterator<Item = &str> {
    let slug = Some(app.slug.as_str()).filter(|slug| *slug != app.name.to_lowercase());
    app.all_names().chain(slug)
}

/// Names of the order's apps, and of the vendors and packs that it names.
fn own_names(order: &Order, catalogue: &Catalogue) -> Vec<String> {
    let pins = &order.revision.pins;
    let mut names: Vec<String> = Vec::new();
    for (slug, name) in &pins.apps {
        names.extend([slug.clone(), name.clone()]);
        let others = catalogue.app(slug).into_iter().flat_map(App::all_names);
        names.extend(others.map(str::to_owned));
    }
    let forbid = &order.revision.file.forbid;
    let vendors = forbid.vendors.iter().filter_map(|v| catalogue.vendor(v));
    names.extend(vendors.map(|vendor| vendor.name.clone()));
    let packs = forbid.packs.iter().filter_map(|p| catalogue.pack(p));
    names.extend(packs.flat_map(|pack| [pack.slug.clone(), pack.title.clone()]));
    names.sort_by_key(|name| std::cmp::Reverse(name.chars().count()));
    names
}

/// Apps in scope that the notice, which tells people what to remove, does not name.
fn left_out(order: &Order, catalogue: &Catalogue, source: &Source<'_>) -> Option<Lint> {
    if source.names("apps") {
        return None;
    }
    let file = &order.revision.file;
    let mut said = source.words.clone();
    for (tag, text) in [("title", &file.title), ("reason", &file.reason)] {
        if source.names(tag) {
            said = format!("{said}\n{text}");
        }
    }
    let words = Words::of(&said);
    let vendor_said = |app: &App| {
        file.forbid.vendors.contains(&app.vendor)
            && catalogue
                .vendor(&app.vendor)
                .is_some_and(|v| words.find(&v.name).is_some() || words.find(&v.slug).is_some())
    };
    let pack_said = |app: &App| {
        let packs = file.forbid.packs.iter().filter_map(|p| catalogue.pack(p));
        packs
            .filter(|p| p.apps.contains(&app.slug) || p.vendors.contains(&app.vendor))
            .any(|p| words.find(&p.title).is_some() || words.find(&p.slug).is_some())
    };
    let is_said = |slug: &str, name: &str| {
        let by_name = [slug, name].iter().any(|n| words.find(n).is_some());
        by_name
            || catalogue.app(slug).is_some_and(|app| {
                app.all_names().any(|n| words.find(n).is_some())
                    || vendor_said(app)
                    || pack_said(app)
            })
    };
    let missing: Vec<&str> = order
        .revision
        .pins
        .apps
        .iter()
        .filter(|(slug, name)| !is_said(slug, name))
        .map(|(_, name)| name.as_str())
        .collect();
    if missing.is_empty() {
        return None;
    }
    let mut what = missing[..missing.len().min(SAID)].join(", ");
    if missing.len() > SAID {
        what += &format!(" and {} more", missing.len() - SAID);
    }
    Some(Lint {
        section: source.section(),
        line: source.head(),
        what: format!("the order forbids {what}, and this text does not say so"),
        mend: "name what is to be removed; {{ apps }} names all of them".to_owned(),
    })
}

/// A text to look for whole words in.
struct Words {
    written: Vec<char>,
    folded: Vec<char>,
}

/// One letter for one, so that places stay the same.
fn fold_letter(c: char) -> char {
    if c.is_whitespace() {
        ' '
    } else {
        c.to_lowercase().next().unwrap_or(c)
    }
}

impl Words {
    fn of(text: &str) -> Words {
        let written: Vec<char> = text.chars().collect();
        let folded = written.iter().map(|c| fold_letter(*c)).collect();
        Words { written, folded }
    }

    /// Where the name stands first.
    fn find(&self, name: &str) -> Option<usize> {
        let wanted: Vec<char> = name.chars().map(fold_letter).collect();
        self.places(name, &wanted).next()
    }

    /// Blanks the name wherever it stands; the line (from 0) of its first place.
    fn take_out(&mut self, name: &str) -> Option<usize> {
        let wanted: Vec<char> = name.chars().map(fold_letter).collect();
        let places: Vec<usize> = self.places(name, &wanted).collect();
        for place in &places {
            self.folded[*place..place + wanted.len()].fill('\u{0}');
        }
        let first = places.first()?;
        Some(
            self.written[..*first]
                .iter()
                .filter(|c| **c == '\n')
                .count(),
        )
    }

    fn places<'a>(&'a self, name: &'a str, wanted: &'a [char]) -> impl Iterator<Item = usize> + 'a {
        let as_written = wanted.len() <= SHORT && name.chars().all(char::is_alphabetic);
        let fits = move |at: &usize| {
            let at = *at;
            self.folded[at..].starts_with(wanted)
                && self.stands_alone(at, wanted)
                && (!as_written
                    || self.written[at..]
                        .iter()
                        .copied()
                        .zip(name.chars())
                        .all(|(a, b)| a == b))
        };
        let last = (self.folded.len() + 1).saturating_sub(wanted.len().max(1));
        (0..last).filter(|_| !wanted.is_empty()).filter(fits)
    }

    /// As a word, and not as part of an address or a link.
    fn stands_alone(&self, at: usize, wanted: &[char]) -> bool {
        let end = at + wanted.len();
        let letter = |c: char| c.is_alphanumeric();
        // Scripts without spaces between words have no edges to look for.
        let has_edges = |c: Option<&char>| c.is_some_and(char::is_ascii);
        let before = at.checked_sub(1).map(|b| self.folded[b]);
        let after = self.folded.get(end).copied();
        let joined = |c: Option<char>| c.is_some_and(|c| letter(c) || matches!(c, '@' | '_'));
        let in_link = before.is_some_and(|c| matches!(c, '.' | '/' | '#'))
            || (after == Some('.') && self.folded.get(end + 1).copied().is_some_and(letter));
        !(has_edges(wanted.first()) && joined(before)
            || has_edges(wanted.last()) && joined(after)
            || in_link)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{EXAMPLE, NOON, crowd, lint_at, lint_body, whats};

    const ASK: &str = "Remove {{ apps }} by {{ order.comply_by }}. Questions? The helpdesk.";

    #[test]
    fn an_app_that_is_not_forbidden_is_hinted_at_where_it_stands() {
        for (text, name) in [
            ("Remove WhatsApp too.", "WhatsApp"),
            ("WECHAT is no better.", "WeChat"),
            (
                "It is like *WhatsApp Business*, they say.",
                "WhatsApp Business",
            ),
            ("And Weixin's cousin.", "WeChat"),
            ("Lark is also gone.", "Lark"),
            ("您也不得使用微信。", "WeChat"),
        ] {
            let lints = lint_body(&format!("{ASK}\n{text}\n"));
            let expected = format!("the text names {name}, which this order does not forbid");
            assert_eq!(whats(&lints), [expected], "{text}");
            assert_eq!(lints[0].line, Some(34), "{text}");
        }
    }

    #[test]
    fn an_order_may_say_its_own_names_and_ordinary_words() {
        for text in [
            "TikTok, tiktok and TikTok Lite are one app.",
            "Up with the lark: whee!",
            "See https://www.whatsapp.com/security or write to whatsapp@corp.test.",
            "TikToks and WhatsAppish words are none.",
            "Douyin is the same house.",
        ] {
            let lints = lint_body(&format!("{ASK}\n{text}\n"));
            let own = text.contains("Douyin") && lints.len() == 1;
            assert!(lints.is_empty() || own, "{text}: {lints:?}");
        }
    }

    #[test]
    fn an_app_that_no_word_names_is_left_out() {
        let ask = "Remove it by {{ order.comply_by }}. Questions? The helpdesk.\n";
        let subject = "Remove TikTok by tonight to keep mail on your phone";
        let crowd = crowd(&[], &[]);
        let with = |subject_now: &str, body: &str, forbid: &str| {
            let (head, rest) = EXAMPLE.split_once("body = \"\"\"\n").unwrap();
            let (_, tail) = rest.split_once("\"\"\"").unwrap();
            let text = format!("{head}body = \"\"\"\n{body}\"\"\"{tail}")
                .replace(subject, subject_now)
                .replace("apps = [\"tiktok\"]", forbid);
            lint_at(&text, &crowd, NOON)
        };
        let forbid = "apps = [\"tiktok\", \"capcut\"]";
        assert_eq!(
            whats(&with(subject, ask, forbid)),
            ["the order forbids CapCut, and this text does not say so"]
        );
        assert!(with(subject, &ask.replace("it", "{{ apps }}"), forbid).is_empty());
        assert!(with(subject, &ask.replace("it", "TIKTOK and capcut"), forbid).is_empty());
        // The title names it.
        assert!(with("{{ order.title }}", ask, "apps = [\"tiktok\"]").is_empty());
        // The vendor's name says all of its apps.
        let vendor = "vendors = [\"bytedance\"]";
        assert!(with("All apps of ByteDance", ask, vendor).is_empty());
        let many = with("Some apps", ask, vendor);
        assert_eq!(many.len(), 1);
        assert!(many[0].what.contains(" more, and this text"), "{many:?}");
        let pack = "packs = [\"india-2020-06-29\"]";
        assert!(with("The apps of india-2020-06-29", ask, pack).is_empty());
    }
}
