//! People whose language no text is in, and what they get instead.

use std::collections::BTreeMap;

use super::source::line_of;
use super::{Crowd, Lint};
use crate::notice::Kind;
use crate::order::Order;
use crate::order::texts::language_of;
use crate::words::thousands;

/// So many are said by name.
const SAID: usize = 5;

pub(super) fn lints(order: &Order, crowd: &Crowd) -> Vec<Lint> {
    let file = &order.revision.file;
    let remind = !file.deadline.remind.is_empty();
    let kinds = [
        Kind::Order,
        Kind::Reminder(1),
        Kind::Blocked,
        Kind::Correction,
    ]
    .into_iter()
    .filter(|kind| remind || !matches!(kind, Kind::Reminder(_)));
    // Sections in which the same people get the same language are one hint.
    let mut found: BTreeMap<(String, String, bool), Vec<&str>> = BTreeMap::new();
    for kind in kinds {
        let mut served: BTreeMap<(String, bool), Vec<(&str, u64)>> = BTreeMap::new();
        for (locale, people) in &crowd.locales {
            let own = file.text(kind.text_name(), locale);
            let language = own.map_or("en", |own| own.language);
            let reads = language_of(locale);
            // A fallback that the author declared is meant.
            let declared = file
                .fallback
                .keys()
                .any(|from| from.eq_ignore_ascii_case(locale) || from.eq_ignore_ascii_case(reads));
            let same = language_of(language).eq_ignore_ascii_case(reads);
            let meant = same || (declared && own.is_some());
            if !reads.is_empty() && !meant {
                let by = (language.to_owned(), own.is_some());
                served.entry(by).or_default().push((locale, *people));
            }
        }
        for ((language, own), people) in served {
            let by = (in_words(people), language, own);
            found.entry(by).or_default().push(kind.text_name());
        }
    }
    let hint = |((who, language, own), sections): ((String, String, bool), Vec<&str>)| {
        let first = sections.first().copied().unwrap_or_default();
        let all: Vec<String> = sections.iter().map(|s| format!("[{s}]")).collect();
        let all = all.join(", ");
        let what =
            format!("no text of {all} is in the language of {who}, who get it in {language}");
        let mend = if own {
            format!(
                "add a text such as [{first}.de]; or say that they are to read it so, fallback = {{ de = \"{language}\" }}, or what language the plain text is in, language = \"…\""
            )
        } else {
            format!("add [{first}] in their language; without it the words are our own, in English")
        };
        let header = format!("[{first}]");
        Lint {
            section: first.to_owned(),
            line: line_of(order, &header),
            what,
            mend,
        }
    };
    found.into_iter().map(hint).collect()
}

/// `de (1,200) and fr (30)`, the many first.
fn in_words(mut people: Vec<(&str, u64)>) -> String {
    people.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let more = people.len().saturating_sub(SAID);
    let said = people.iter().take(SAID);
    let mut all: Vec<String> = said
        .map(|(l, n)| format!("{l} ({})", thousands(*n)))
        .collect();
    if more > 0 {
        all.push(format!("readers of {more} more locales"));
    }
    match all.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => all.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{EXAMPLE, NOON, crowd, lint_at, whats};

    const DE: &str = "[notice.de]\nsubject = \"TikTok entfernen\"\nbody = \"{{ apps }} bis {{ order.comply_by }} entfernen. Fragen? Helpdesk.\"\n[correction.de]\nsubject = \"CORRECTION: TikTok\"\nbody = \"TikTok darf bleiben.\"\n[reminder.de]\nsubject = \"TikTok entfernen\"\nbody = \"{{ apps }}\"\n[blocked.de]\nsubject = \"TikTok\"\nbody = \"{{ apps }}\"\n";

    #[test]
    fn whose_language_is_missing_is_said_with_what_serves_them() {
        let people = crowd(&[], &[("en-US", 20), ("de-AT", 1_200), ("fr", 30), ("", 4)]);
        let lints = lint_at(EXAMPLE, &people, NOON);
        assert_eq!(
            whats(&lints),
            [
                "no text of [reminder], [blocked] is in the language of de-AT (1,200) and fr (30), who get it in en",
                "no text of [notice], [correction] is in the language of de-AT (1,200) and fr (30), who get it in en",
            ]
        );
    }

    #[test]
    fn a_text_a_language_or_a_fallback_serves() {
        let text = format!("{EXAMPLE}{DE}");
        assert_eq!(
            lint_at(&text, &crowd(&[], &[("de-AT", 3), ("en", 2)]), NOON),
            []
        );
        let swiss = crowd(&[], &[("gsw", 3)]);
        assert_eq!(lint_at(&text, &swiss, NOON).len(), 2);
        let declared = format!("fallback = {{ gsw = \"de\" }}\n{text}");
        assert_eq!(lint_at(&declared, &swiss, NOON), []);
        // The plain text's language is declared.
        let german = crowd(&[], &[("de", 3)]);
        let lints = lint_at(&format!("language = \"de\"\n{EXAMPLE}"), &german, NOON);
        assert_eq!(lints.len(), 1, "only our own words are English: {lints:?}");
        assert!(
            lints[0]
                .what
                .starts_with("no text of [reminder], [blocked]")
        );
    }
}
