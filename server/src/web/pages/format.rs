//! How numbers and times are written on every page.

use std::fmt;

use askama::Template;
use askama::filters::HtmlSafe;
use countermand_core::words;

/// A time as people read it, with its zone, and as machines do.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(
    source = r#"<time datetime="{{ iso }}">{{ text }}</time>"#,
    ext = "html"
)]
pub struct When {
    /// `10 Jul 2020, 23:59 PDT`
    pub text: String,
    /// RFC 3339, `2020-07-10T23:59:00-07:00`
    pub iso: String,
}

// Its own template has escaped both parts.
impl HtmlSafe for When {}

impl When {
    pub fn new(text: impl Into<String>, iso: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            iso: iso.into(),
        }
    }
}

/// A number of people or things, shown with thousands separators: `12,310`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Count(pub u64);

impl HtmlSafe for Count {}

impl From<u64> for Count {
    fn from(n: u64) -> Self {
        Self(n)
    }
}

impl Count {
    /// `1 device`, `12,310 devices`
    pub fn of(&self, one: &str, many: &str) -> String {
        words::counted(self.0, one, many)
    }

    pub fn is_zero(&self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&words::thousands(self.0))
    }
}

/// `61 %`; what is more than nothing never reads as `0 %`, nor what is less than all as `100 %`.
pub fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    let percent = (u128::from(part) * 200 + u128::from(whole)) / (u128::from(whole) * 2);
    match percent {
        0 if part > 0 => "< 1 %".to_owned(),
        100 if part < whole => "> 99 %".to_owned(),
        _ => format!("{percent} %"),
    }
}

/// The word to type before an order is taken back: the title's first, without punctuation
/// around it. Matched without regard to letter case by [`is_first_word`].
pub fn first_word(title: &str) -> &str {
    let bare = |word: &'_ str| !word.trim_matches(|c: char| !c.is_alphanumeric()).is_empty();
    title
        .split_whitespace()
        .find(|word| bare(word))
        .map_or("retract", |word| {
            word.trim_matches(|c: char| !c.is_alphanumeric())
        })
}

pub fn is_first_word(typed: &str, title: &str) -> bool {
    typed.trim().to_lowercase() == first_word(title).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_thousands_separators() {
        for (n, text) in [
            (0, "0"),
            (7, "7"),
            (999, "999"),
            (1_000, "1,000"),
            (12_310, "12,310"),
            (250_000, "250,000"),
            (1_234_567, "1,234,567"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(Count(n).to_string(), text);
        }
    }

    #[test]
    fn one_is_singular_and_nothing_is_plural() {
        assert_eq!(Count(0).of("device", "devices"), "0 devices");
        assert_eq!(Count(1).of("device", "devices"), "1 device");
        assert_eq!(Count(1_204).of("device", "devices"), "1,204 devices");
    }

    #[test]
    fn a_share_is_never_rounded_to_nothing_or_all() {
        assert_eq!(share(0, 10), "0 %");
        assert_eq!(share(1, 10_000), "< 1 %");
        assert_eq!(share(61, 100), "61 %");
        assert_eq!(share(9_999, 10_000), "> 99 %");
        assert_eq!(share(10, 10), "100 %");
        assert_eq!(share(0, 0), "–");
        assert_eq!(share(u64::MAX, u64::MAX), "100 %");
    }

    #[test]
    fn the_first_word_is_bare() {
        assert_eq!(first_word("Remove TikTok from phones"), "Remove");
        assert_eq!(first_word("  “TikTok”: remove it"), "TikTok");
        assert_eq!(first_word("— Entfernen"), "Entfernen");
        assert_eq!(first_word("!!"), "retract");
        assert!(is_first_word(" remove ", "Remove TikTok"));
        assert!(!is_first_word("", "Remove TikTok"));
    }

    #[test]
    fn a_time_is_escaped() {
        let when = When::new("<b>now</b>", "\"x");
        assert!(!when.to_string().contains("<b>"));
    }
}
