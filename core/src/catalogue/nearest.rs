//! "Did you mean": the nearest of some names by edit distance.

/// The candidate with the fewest edits from what was given, letter case aside; the first of equals.
/// `None` where even that one would need more edits than a third of its letters: a far guess
/// misleads more than none.
pub fn nearest_of<'a>(
    given: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let given: Vec<char> = given.trim().to_lowercase().chars().collect();
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let folded: Vec<char> = candidate.to_lowercase().chars().collect();
            let edits = distance(&given, &folded);
            // Two letters that changed places are two edits, and the commonest slip.
            let allowed = ((folded.len().max(given.len()) + 1) / 3).max(1);
            (edits <= allowed && edits < folded.len()).then_some((edits, candidate))
        })
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance, one row at a time.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (above, to) in row.iter_mut().skip(1).zip(b) {
            let replaced = diagonal + usize::from(from != to);
            diagonal = *above;
            left = replaced.min(left + 1).min(*above + 1);
            *above = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edits(a: &str, b: &str) -> usize {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        distance(&chars(a), &chars(b))
    }

    #[test]
    fn distance_counts_edits() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("tiktok", "tiktok", 0),
            ("tiktoc", "tiktok", 1),
            ("kitten", "sitting", 3),
            ("flaw", "lawn", 2),
        ] {
            assert_eq!(edits(a, b), expected, "{a} to {b}");
            assert_eq!(edits(b, a), expected, "{b} to {a}");
        }
    }

    #[test]
    fn the_nearest_is_near_or_none() {
        let names = ["groups", "except_groups", "tell"];
        assert_eq!(nearest_of("Group", names), Some("groups"));
        assert_eq!(nearest_of("exceptgroups", names), Some("except_groups"));
        assert_eq!(nearest_of("deadline", names), None);
        assert_eq!(nearest_of("", names), None);
    }
}
