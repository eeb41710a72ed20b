//! App versions as stores print them, and ranges of them as orders write them.
//!
//! Stores agree on no grammar, so a version is only a row of numbers and words, and every two
//! versions can be compared.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One run of digits or of letters. The order of the variants is meant: a word stands after every
/// number, so `1.0b` is newer than `1.0`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum Part {
    /// Digits without leading zeros. Length before text makes the derived order numeric, and build
    /// numbers of any length fit.
    Number {
        digits: usize,
        text: String,
    },
    Word(String),
}

impl Part {
    fn is_zero(&self) -> bool {
        matches!(self, Part::Number { digits: 0, .. })
    }
}

/// A version, normalised for comparison. Missing parts count as 0: `1.2` equals `1.2.0`.
///
/// Trailing zeros are dropped when it is made. 0 is the least part of all, so the plain
/// lexicographic order of what is left is the order of the versions padded with zeros.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Version(Vec<Part>);

impl Version {
    /// `None` where the text has no digit: "unknown", "n/a" and "" say nothing about a version.
    pub fn parse(text: &str) -> Option<Version> {
        if !text.contains(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let text = text.trim();
        let text = text
            .strip_prefix(['v', 'V'])
            .filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
            .unwrap_or(text);
        let mut parts: Vec<Part> = text
            .split(|c: char| !c.is_alphanumeric())
            .flat_map(runs)
            .map(part)
            .collect();
        while parts.last().is_some_and(Part::is_zero) {
            parts.pop();
        }
        Some(Version(parts))
    }
}

/// `134beta2` is the runs `134`, `beta`, `2`.
fn runs(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let digits = text.chars().next()?.is_ascii_digit();
        let end = text
            .find(|c: char| c.is_ascii_digit() != digits)
            .unwrap_or(text.len());
        let (run, rest) = text.split_at(end);
        text = rest;
        Some(run)
    })
}

fn part(run: &str) -> Part {
    if run.starts_with(|c: char| c.is_ascii_digit()) {
        let text = run.trim_start_matches('0').to_owned();
        Part::Number {
            digits: text.len(),
            text,
        }
    } else {
        Part::Word(run.to_lowercase())
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
}

impl Comparison {
    /// Two-character signs first, so that `<=` is not read as `<`.
    const SIGNS: [(&'static str, Comparison); 5] = [
        ("<=", Comparison::LessOrEqual),
        (">=", Comparison::GreaterOrEqual),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
        ("=", Comparison::Equal),
    ];

    fn sign(self) -> &'static str {
        match self {
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
            Comparison::Equal => "=",
        }
    }

    fn holds(self, left: &Version, right: &Version) -> bool {
        match self {
            Comparison::Less => left < right,
            Comparison::LessOrEqual => left <= right,
            Comparison::Greater => left > right,
            Comparison::GreaterOrEqual => left >= right,
            Comparison::Equal => left == right,
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Bound {
    comparison: Comparison,
    /// As written, to be shown again.
    text: String,
    version: Version,
}

/// Bounds that must all hold, written `>=1.2, <1.9`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VersionRange(Vec<Bound>);

impl VersionRange {
    /// Whether a version that a source showed lies in the range; `None` where it shows no version,
    /// which is neither yes nor no.
    pub fn matches(&self, version: &str) -> Option<bool> {
        let version = Version::parse(version)?;
        Some(
            self.0
                .iter()
                .all(|bound| bound.comparison.holds(&version, &bound.version)),
        )
    }
}

/// Why a text is no range of versions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{range}` is no range of versions: {problem}; write bounds like `<2.19.134` or `>=1.2, <1.9`"
)]
pub struct BadVersionRange {
    pub range: String,
    pub problem: String,
}

impl FromStr for VersionRange {
    type Err = BadVersionRange;

    fn from_str(range: &str) -> Result<Self, Self::Err> {
        range
            .split(',')
            .map(|text| bound(text.trim()))
            .collect::<Result<_, _>>()
            .map(VersionRange)
            .map_err(|problem| BadVersionRange {
                range: range.to_owned(),
                problem,
            })
    }
}

fn bound(text: &str) -> Result<Bound, String> {
    if text.is_empty() {
        return Err("a bound is empty".to_owned());
    }
    let (comparison, rest) = Comparison::SIGNS
        .iter()
        .find_map(|&(sign, comparison)| Some((comparison, text.strip_prefix(sign)?.trim())))
        .ok_or_else(|| format!("`{text}` starts with none of < <= > >= ="))?;
    if rest.contains(['<', '>', '=']) {
        return Err(format!("`{text}` has two signs (a comma means and)"));
    }
    let version =
        Version::parse(rest).ok_or_else(|| format!("`{text}` has no number after its sign"))?;
    Ok(Bound {
        comparison,
        text: rest.to_owned(),
        version,
    })
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, bound) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{}{}", bound.comparison.sign(), bound.text)?;
        }
        Ok(())
    }
}

impl TryFrom<String> for VersionRange {
    type Error = BadVersionRange;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<VersionRange> for String {
    fn from(range: VersionRange) -> String {
        range.to_string()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::cmp::Ordering;

    use proptest::prelude::*;

    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    fn range(text: &str) -> VersionRange {
        text.parse().unwrap()
    }

    #[test]
    fn numbers_compare_as_numbers_and_letters_after_them() {
        let ascending = [
            "0",
            "1",
            "1.0.1",
            "1.1",
            "1.9",
            "1.10",
            "1.10a",
            "1.10b",
            "1.11",
            "2.19.133",
            "2.19.134",
            "2.19.134.1",
            "2.19.134b",
            "3",
            "20200710",
            "99999999999999999999999",
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(version(a).cmp(&version(b)), i.cmp(&j), "{a} and {b}");
            }
        }
    }

    #[test]
    fn different_writings_of_one_version_are_equal() {
        for (a, b) in [
            ("1.2", "1.2.0.0"),
            ("1.02", "1.2"),
            ("v3.1", "3.1"),
            ("1.0B2", "1.0b2"),
            ("1_2-3", "1.2.3"),
            ("17.4 (1704)", "17.4.1704"),
        ] {
            assert_eq!(version(a), version(b), "{a} and {b}");
        }
    }

    #[test]
    fn ranges_match_what_they_say() {
        for (text, inside, outside) in [
            ("<2.19.134", "2.19.133", "2.19.134"),
            ("<=2.19.134", "2.19.134.0", "2.19.134.1"),
            (">1.9", "1.10", "1.9.0"),
            (">=1.2, <1.9", "1.2", "1.9"),
            (">=1.2,<1.9", "1.8.99", "1.10"),
            ("=3.0", "3", "3.0.1"),
        ] {
            assert_eq!(
                range(text).matches(inside),
                Some(true),
                "{inside} in {text}"
            );
            assert_eq!(
                range(text).matches(outside),
                Some(false),
                "{outside} in {text}"
            );
        }
    }

    #[test]
    fn a_missing_version_is_neither_in_nor_out() {
        for text in ["", "  ", "unknown", "n/a"] {
            assert_eq!(range("<2").matches(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_bad_range_says_what_is_wrong_and_how_to_mend_it() {
        for (text, problem) in [
            ("", "a bound is empty"),
            (">=1.2,", "a bound is empty"),
            ("2.19", "`2.19` starts with none of < <= > >= ="),
            ("<latest", "`<latest` has no number after its sign"),
            (">=1 <2", "`>=1 <2` has two signs (a comma means and)"),
            ("==3", "`==3` has two signs (a comma means and)"),
        ] {
            let error = text.parse::<VersionRange>().unwrap_err();
            assert_eq!(error.problem, problem);
            assert!(error.to_string().contains("write bounds like"), "{error}");
        }
    }

    #[test]
    fn a_range_is_text_in_files_and_json() {
        let range: VersionRange = serde_json::from_str("\">= 1.2 ,<1.9\"").unwrap();
        assert_eq!(range.to_string(), ">=1.2, <1.9");
        assert_eq!(serde_json::to_string(&range).unwrap(), "\">=1.2, <1.9\"");
        assert!(serde_json::from_str::<VersionRange>("\"1.2\"").is_err());
    }

    proptest! {
        #[test]
        fn comparison_is_a_total_order(
            a in "[0-9]{1,3}([.-]?[0-9a-c]{1,2}){0,3}",
            b in "[0-9]{1,3}([.-]?[0-9a-c]{1,2}){0,3}",
            c in "[0-9]{1,3}([.-]?[0-9a-c]{1,2}){0,3}",
        ) {
            let (a, b, c) = (version(&a), version(&b), version(&c));
            prop_assert_eq!(a.cmp(&a), Ordering::Equal);
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            prop_assert_eq!(a.cmp(&b) == Ordering::Equal, a == b);
            if a <= b && b <= c {
                prop_assert!(a <= c);
            }
        }

        /// The derived order of the normalised parts is the one defined: pad with zeros, then
        /// compare part by part.
        #[test]
        fn comparison_is_that_of_numbers_padded_with_zeros(
            a in prop::collection::vec(0u32..30, 1..6),
            b in prop::collection::vec(0u32..30, 1..6),
        ) {
            let text = |parts: &[u32]| parts.iter().map(u32::to_string).collect::<Vec<_>>().join(".");
            let padded = |parts: &[u32]| { let mut p = parts.to_vec(); p.resize(6, 0); p };
            prop_assert_eq!(version(&text(&a)).cmp(&version(&text(&b))), padded(&a).cmp(&padded(&b)));
        }

        #[test]
        fn any_text_at_all_is_read_without_panic(text in "\\PC{0,20}") {
            let _ = Version::parse(&text);
            if let Ok(range) = text.parse::<VersionRange>() {
                prop_assert_eq!(range.to_string().parse::<VersionRange>().unwrap(), range);
            }
        }
    }
}
