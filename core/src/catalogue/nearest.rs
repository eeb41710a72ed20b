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
            let allowed = ((folded.len().max(given.len()) + 1) / 3).max(1);
            (edits <= allowed && edits < folded.len()).then_some((edits, candidate))
        })
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// How many letters are put in, taken out, replaced or swapped with their neighbour (optimal string
/// alignment), two rows of the table behind the one at work.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX - 1);
            let replaced = at(&above, j) + usize::from(from != to);
            let mut edits = replaced.min(at(&above, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(to) && b.get(j - 1) == Some(from);
            if swapped {
                edits = edits.min(at(&before, j - 1) + 1);
            }
            row.push(edits);
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied().unwrap_or_default()
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
            ("hots", "host", 1),
            ("ab", "ba", 1),
            ("prot", "port", 1),
            ("abcd", "badc", 2),
        ] {
            assert_eq!(edits(a, b), expected, "{a} to {b}");
            assert_eq!(edits(b, a), expected, "{b} to {a}");
        }
    }

    #[test]
    fn the_nearest_is_near_or_none() {
        assert_eq!(nearest_of("hots", ["port", "host"]), Some("host"));
        let names = ["groups", "except_groups", "tell"];
        assert_eq!(nearest_of("Group", names), Some("groups"));
        assert_eq!(nearest_of("exceptgroups", names), Some("except_groups"));
        assert_eq!(nearest_of("deadline", names), None);
        assert_eq!(nearest_of("", names), None);
    }
}
