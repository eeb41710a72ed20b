//! What author and approver should know of an order's texts before anybody is told. Hints: they keep
//! nobody from submitting, so each is to be right nearly always rather than complete.

mod apps;
mod ask;
mod canary;
mod channels;
mod locales;
mod night;
mod phrases;
mod source;
mod times;

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::catalogue::Catalogue;
use crate::order::Order;
use source::Source;

/// Whom an order speaks to, counted: all that hints need to know of people.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Crowd {
    /// By the zone that they read times in.
    pub zones: BTreeMap<String, u64>,
    /// By locale; the empty one is of people without.
    pub locales: BTreeMap<String, u64>,
    /// Who is told first, and who is told at all, where the order has such a stage.
    pub canary: Option<(u64, u64)>,
}

/// Something that an author may want to change: where, what, and how to mend it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Lint {
    /// A section of the order file, such as `notice.de`.
    pub section: String,
    /// In the order file, from 1.
    pub line: Option<usize>,
    pub what: String,
    pub mend: String,
}

impl Lint {
    /// `[notice.de], line 31`
    pub fn place(&self) -> String {
        let line = self.line.map(|l| format!(", line {l}")).unwrap_or_default();
        format!("[{}]{line}", self.section)
    }
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place(), self.what, self.mend)
    }
}

impl Serialize for Lint {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shape<'a> {
            r#where: String,
            section: &'a str,
            line: Option<usize>,
            what: &'a str,
            mend: &'a str,
        }
        let shape = Shape {
            r#where: self.place(),
            section: &self.section,
            line: self.line,
            what: &self.what,
            mend: &self.mend,
        };
        shape.serialize(s)
    }
}

/// All hints, in the order of the file.
pub fn lints(order: &Order, catalogue: &Catalogue, crowd: &Crowd, now: Timestamp) -> Vec<Lint> {
    let sources = Source::all(order);
    let mut lints = apps::lints(order, catalogue, &sources);
    lints.extend(times::lints(order, &sources, crowd, now));
    lints.extend(ask::lints(&sources));
    lints.extend(channels::lints(order, &sources));
    lints.extend(night::lints(order, crowd, now));
    lints.extend(locales::lints(order, crowd));
    lints.extend(canary::lint(order, crowd));
    lints.sort_by_key(|lint| lint.line);
    lints.dedup();
    lints
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::id::OrderId;
    use crate::order::{OrderFile, Pins, Revision};

    pub const EXAMPLE: &str = include_str!("../../../../docs/example-order.toml");
    pub const NOON: &str = "2020-07-10T19:00:00Z";

    pub fn order(text: &str) -> Order {
        let file = OrderFile::parse(text).unwrap_or_else(|e| panic!("{e:?}"));
        let catalogue = Catalogue::embedded();
        let apps = catalogue
            .resolve(&file.forbid.apps, &file.forbid.vendors, &file.forbid.packs)
            .unwrap();
        let pins = Pins::resolve(catalogue.version(), apps, &file.forbid.versions);
        let at = NOON.parse().unwrap();
        Order::draft(
            OrderId(Uuid::nil()),
            Revision::new(1, "ana", at, text, file, pins),
        )
    }

    pub fn crowd(zones: &[(&str, u64)], locales: &[(&str, u64)]) -> Crowd {
        let counted =
            |all: &[(&str, u64)]| all.iter().map(|(k, n)| ((*k).to_owned(), *n)).collect();
        Crowd {
            zones: counted(zones),
            locales: counted(locales),
            canary: None,
        }
    }

    pub fn lint_at(text: &str, crowd: &Crowd, now: &str) -> Vec<Lint> {
        lints(
            &order(text),
            Catalogue::embedded(),
            crowd,
            now.parse().unwrap(),
        )
    }

    /// The example with its notice's body replaced, for people of California who read English.
    pub fn lint_body(body: &str) -> Vec<Lint> {
        let (head, rest) = EXAMPLE.split_once("body = \"\"\"\n").unwrap();
        let (_, tail) = rest.split_once("\"\"\"").unwrap();
        let text = format!("{head}body = \"\"\"\n{body}\"\"\"{tail}");
        let crowd = crowd(&[("America/Los_Angeles", 9)], &[("en", 9)]);
        lint_at(&text, &crowd, NOON)
    }

    pub fn whats(lints: &[Lint]) -> Vec<&str> {
        lints.iter().map(|lint| lint.what.as_str()).collect()
    }

    #[test]
    fn the_order_of_the_story_has_nothing_to_hint_at() {
        let zones = [
            ("America/Los_Angeles", 20),
            ("America/New_York", 4),
            ("Asia/Kolkata", 3),
            ("Asia/Singapore", 1),
            ("Europe/London", 2),
        ];
        let locales = [("en", 27), ("en-GB", 2), ("", 1)];
        assert_eq!(lint_at(EXAMPLE, &crowd(&zones, &locales), NOON), []);
        let years_later = lint_at(EXAMPLE, &Crowd::default(), "2026-11-26T12:00:00Z");
        assert_eq!(
            whats(&years_later),
            [
                "the deadline 10 Jul 2020, 23:59 PDT is past: people would be refused PT1H after they are told"
            ]
        );
    }

    #[test]
    fn a_hint_says_where_what_and_how_to_mend() {
        let body = "Dear all,\nremove {{ apps }} by 11 July 2020.\nQuestions? Call the helpdesk.\n";
        let lints = lint_body(body);
        assert_eq!(lints.len(), 1, "{lints:?}");
        let document = serde_json::to_value(&lints[0]).unwrap();
        assert_eq!(document["where"], "[notice], line 34");
        assert_eq!(document["line"], 34);
        assert_eq!(
            document["what"],
            "the text says «11 July 2020», and the deadline is 10 Jul 2020, 23:59 PDT"
        );
        assert!(
            document["mend"]
                .as_str()
                .unwrap()
                .contains("{{ order.comply_by }}")
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn no_text_makes_a_hint_panic(subject in "[^\r\n\"\\\\]{1,80}", body in "(?s).{1,400}", now in -4_000_000_000i64..9_000_000_000) {
            let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
            let text = EXAMPLE
                .replace("\"Remove TikTok by tonight to keep mail on your phone\"", &quoted(&format!("x{subject}")))
                .replace("for security reasons", &body.replace(['\\', '"'], " ").replace(|c: char| c.is_control() && c != '\n', " "));
            let now = Timestamp::from_second(now).unwrap();
            let Ok(file) = OrderFile::parse(&text) else { return Ok(()) };
            let at = NOON.parse().unwrap();
            let order = Order::draft(OrderId(Uuid::nil()), Revision::new(1, "ana", at, &text, file, Pins::default()));
            let crowd = crowd(&[("Asia/Kolkata", 1), ("Nowhere/At_all", 2), ("", 3)], &[("de", 1), ("", 2), ("-", 3)]);
            lints(&order, Catalogue::embedded(), &crowd, now);
        }

        /// Words that mean something to a hint, in any order.
        #[test]
        fn no_words_about_time_make_a_hint_panic(words in proptest::collection::vec("(by|until|tonight|end|of|the|day|may|10|31|2020|july|11:59|99:99|pm|p\\.m\\.|friday|2020-13-40|31\\.02\\.2020|1/2/2020|12h|24:00|noon|\n\n|[.!?,]|\\{\\{|\\}\\}|tiktok|whatsapp)", 0..60)) {
            lint_body(&format!("x {}\n", words.join(" ")).replace("{{", "{ {"));
        }
    }
}
