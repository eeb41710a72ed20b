//! Pieces that several pages share. Each escapes what it is given.

use askama::Template;
use askama::filters::HtmlSafe;

use super::format::{Count, When};

/// What a colour stands for. Never the only sign: words stand beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Allow,
    Warn,
    Deny,
    Quiet,
}

impl Tone {
    pub fn class(&self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Allow => "allow",
            Self::Warn => "warn",
            Self::Deny => "deny",
            Self::Quiet => "quiet",
        }
    }
}

/// The state of something in a few words.
#[derive(Debug, Clone, Template)]
#[template(
    source = r#"<span class="pill {{ tone.class() }}{% if live %} live{% endif %}">{{ text }}</span>"#,
    ext = "html"
)]
pub struct Pill {
    pub tone: Tone,
    pub text: String,
    /// It is going on now: the dot beats, where the reader's system allows motion.
    pub live: bool,
}

impl HtmlSafe for Pill {}

impl Pill {
    pub fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self {
            tone,
            text: text.into(),
            live: false,
        }
    }

    pub fn live(tone: Tone, text: impl Into<String>) -> Self {
        Self {
            live: true,
            ..Self::new(tone, text)
        }
    }
}

/// HTML that this program made itself from Markdown, with raw HTML switched off. The one
/// way past escaping: nothing that came from outside may be wrapped in it as it came.
#[derive(Debug, Clone)]
pub struct SafeHtml(pub String);

impl std::fmt::Display for SafeHtml {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl HtmlSafe for SafeHtml {}

/// One event in the life of an order, on its time line.
#[derive(Debug, Clone)]
pub struct Step {
    pub name: String,
    pub when: Option<When>,
    /// `by Ana Ruiz`, `to 11,204 people`
    pub words: String,
    pub state: StepState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepState {
    Done,
    /// Where the order stands; the tone says whether that refuses anyone.
    Now(Tone),
    Ahead,
}

impl StepState {
    pub fn class(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Now(Tone::Deny) => "now deny",
            Self::Now(Tone::Warn) => "now warn",
            Self::Now(Tone::Allow) => "now allow",
            Self::Now(_) => "now",
            Self::Ahead => "ahead",
        }
    }

    pub fn spoken(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Now(_) => "now",
            Self::Ahead => "still to come",
        }
    }
}

/// The receipts of one kind of notice, by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Receipts {
    pub planned: u64,
    pub claimed: u64,
    pub in_flight: u64,
    pub accepted: u64,
    pub rejected: u64,
    pub unknown: u64,
    pub cancelled: u64,
}

impl From<countermand_core::notice::Counts> for Receipts {
    fn from(counts: countermand_core::notice::Counts) -> Self {
        Receipts {
            planned: counts.planned,
            claimed: counts.claimed,
            in_flight: counts.in_flight,
            accepted: counts.accepted,
            rejected: counts.rejected,
            unknown: counts.unknown,
            cancelled: counts.cancelled,
        }
    }
}

/// A bar of parts, drawn by the server: SVG attributes, so no style reaches the page.
#[derive(Debug, Clone, Template)]
#[template(path = "parts/bar.html")]
pub struct Bar {
    pub parts: Vec<Part>,
}

#[derive(Debug, Clone)]
pub struct Part {
    pub name: &'static str,
    pub count: Count,
    pub class: &'static str,
    /// In thousandths of the bar.
    pub x: u64,
    pub width: u64,
}

impl HtmlSafe for Bar {}

const ACCEPTED: &str = "accepted";
/// Parts that are yet to come to an end.
const UNSETTLED: [&str; 3] = ["in flight", "claimed", "planned"];
const BAR: u64 = 1000;
/// So wide is the least part that is there at all: four rejected of eleven thousand must show.
const LEAST: u64 = 8;

impl Bar {
    pub fn new(parts: &[(&'static str, &'static str, u64)]) -> Self {
        let total: u64 = parts.iter().map(|(_, _, count)| count).sum();
        let shown = parts.iter().filter(|(_, _, count)| *count > 0).count() as u64;
        // What is left after every visible part has its least width is shared by count.
        let rest = BAR.saturating_sub(shown * LEAST);
        let mut x = 0;
        let parts = parts
            .iter()
            .map(|&(name, class, count)| {
                let width = if count == 0 {
                    0
                } else {
                    // `total` is at least `count`, and so not zero here.
                    LEAST + (u128::from(count) * u128::from(rest) / u128::from(total)) as u64
                };
                let part = Part {
                    name,
                    class,
                    count: Count(count),
                    x,
                    width,
                };
                x += width;
                part
            })
            .collect();
        Self { parts }
    }

    pub fn of_receipts(r: &Receipts) -> Self {
        Self::new(&[
            (ACCEPTED, "allow", r.accepted),
            ("in flight", "accent", r.in_flight),
            ("claimed", "accent-soft", r.claimed),
            ("unknown", "warn", r.unknown),
            ("rejected", "deny", r.rejected),
            ("cancelled", "soft", r.cancelled),
            ("planned", "line", r.planned),
        ])
    }

    pub fn total(&self) -> Count {
        Count(self.parts.iter().map(|part| part.count.0).sum())
    }

    pub fn present(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(|part| !part.count.is_zero())
    }

    /// Of the whole, for machines: a bar of nothing is empty, not full.
    pub fn most(&self) -> u64 {
        self.total().0.max(1)
    }

    /// How many have come to their end, whichever it was.
    pub fn settled(&self) -> u64 {
        let open = |part: &&Part| !UNSETTLED.contains(&part.name);
        self.parts
            .iter()
            .filter(open)
            .map(|part| part.count.0)
            .sum()
    }

    /// `10,982 of 11,212 accepted`
    pub fn accepted(&self) -> String {
        let accepted = self
            .present()
            .find(|part| part.name == ACCEPTED)
            .map_or(Count(0), |part| part.count);
        format!("{accepted} of {} accepted", self.total())
    }

    /// `10,982 accepted, 31 rejected`, for who cannot see the bar.
    pub fn spoken(&self) -> String {
        let parts: Vec<String> = self
            .present()
            .map(|part| format!("{} {}", part.count, part.name))
            .collect();
        if parts.is_empty() {
            "none".to_owned()
        } else {
            parts.join(", ")
        }
    }
}

/// Where one is in a long list.
#[derive(Debug, Clone, Template)]
#[template(path = "parts/pager.html")]
pub struct Pager {
    /// `1–50 of 11,204`
    pub words: String,
    pub newer: Option<String>,
    pub older: Option<String>,
}

impl HtmlSafe for Pager {}

impl Pager {
    /// The page `page` (from 1) of a list of `total`, `size` a page, newest first, under
    /// `path`, which may already carry a query.
    pub fn new(path: &str, page: u64, size: u64, total: u64) -> Self {
        let page = page.max(1);
        let before = (page - 1).saturating_mul(size);
        let after = before.saturating_add(size).min(total);
        let join = if path.contains('?') { '&' } else { '?' };
        let link = |page: u64| format!("{path}{join}page={page}");
        Self {
            words: if before >= total {
                format!("none of {}", Count(total))
            } else {
                format!("{}–{} of {}", Count(before + 1), Count(after), Count(total))
            },
            newer: (page > 1).then(|| link(page - 1)),
            older: (after < total).then(|| link(page + 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_part_of_a_bar_shows_and_the_bar_never_overflows() {
        let bar = Bar::of_receipts(&Receipts {
            accepted: 10_982,
            rejected: 1,
            unknown: 1,
            ..Receipts::default()
        });
        assert!(bar.present().all(|part| part.width >= LEAST));
        let end = bar.parts.iter().map(|part| part.x + part.width).max();
        assert!(end <= Some(BAR));
        assert_eq!(bar.spoken(), "10,982 accepted, 1 unknown, 1 rejected");
        let bar = Bar::of_receipts(&Receipts {
            planned: 5,
            in_flight: 1,
            accepted: 3,
            cancelled: 2,
            ..Receipts::default()
        });
        assert_eq!((bar.settled(), bar.most()), (5, 11));
    }

    #[test]
    fn an_empty_bar_says_none() {
        let bar = Bar::of_receipts(&Receipts::default());
        assert_eq!(bar.spoken(), "none");
        assert!(bar.total().is_zero());
        assert_eq!((bar.settled(), bar.most()), (0, 1));
    }

    #[test]
    fn a_pager_links_only_to_pages_there_are() {
        let first = Pager::new("/mailbox", 1, 50, 11_204);
        assert_eq!(first.words, "1–50 of 11,204");
        assert_eq!(
            (first.newer, first.older.as_deref()),
            (None, Some("/mailbox?page=2"))
        );
        let last = Pager::new("/audit?order=7Q2M", 3, 50, 120);
        assert_eq!(last.words, "101–120 of 120");
        assert_eq!(
            (last.newer.as_deref(), last.older),
            (Some("/audit?order=7Q2M&page=2"), None)
        );
        assert_eq!(Pager::new("/mailbox", 1, 50, 0).words, "none of 0");
        assert_eq!(Pager::new("/mailbox", 9, 50, 10).words, "none of 10");
    }
}
