//! Whether whoever is told can ask somebody.

use super::Lint;
use super::source::Source;

/// Words by which a text tells where to ask, in the languages that notices are mostly in.
const WORDS: [&str; 26] = [
    "helpdesk",
    "help desk",
    "service desk",
    "servicedesk",
    "support",
    "question",
    "contact",
    "ask ",
    "call ",
    "phone us",
    "reply",
    "answer this",
    "get in touch",
    "write to us",
    "talk to",
    "hotline",
    "frage",
    "kontakt",
    "melden sie",
    "antworten sie",
    "contactez",
    "assistance",
    "répond",
    "pregunta",
    "soporte",
    "ayuda",
];

/// Fewer digits are no phone number.
const DIGITS: usize = 7;

pub(super) fn lints(sources: &[Source<'_>]) -> Vec<Lint> {
    let dumb = |source: &&Source<'_>| source.kind == "notice" && !says_where(&source.words);
    sources
        .iter()
        .filter(dumb)
        .map(|source| Lint {
            section: source.section(),
            line: source.head(),
            what: "the text says nowhere whom to ask".to_owned(),
            mend: "add an address, a phone number, or who answers questions; the link to the order's state, which every notice has, is no such place".to_owned(),
        })
        .collect()
}

fn says_where(words: &str) -> bool {
    let folded = words.to_lowercase();
    let link = ["@", "http://", "https://", "www."]
        .iter()
        .any(|sign| folded.contains(sign));
    link || WORDS.iter().any(|word| folded.contains(word)) || has_phone_number(&folded)
}

/// Digits with nothing but what stands in phone numbers between them. A date or a time is shorter,
/// or has other marks in it.
fn has_phone_number(text: &str) -> bool {
    let mut digits = 0;
    for c in text.chars() {
        match c {
            '0'..='9' => digits += 1,
            ' ' | '(' | ')' | '+' | '/' | '\u{a0}' if digits > 0 => {}
            // `2020-07-10` would be one too.
            '-' if digits > 0 && digits != 4 => {}
            _ => digits = 0,
        }
        if digits >= DIGITS {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::tests::{lint_body, whats};
    use super::*;

    #[test]
    fn a_notice_without_a_place_to_ask_is_hinted_at() {
        let lints = lint_body(
            "Remove {{ apps }} by {{ order.comply_by }}: <{{ order.link }}>, {{ person.email }}\n",
        );
        assert_eq!(whats(&lints), ["the text says nowhere whom to ask"]);
        assert_eq!(lints[0].place(), "[notice], line 30");
    }

    #[test]
    fn any_place_to_ask_will_do() {
        for text in [
            "Questions? Answer this mail.",
            "Call the Helpdesk.",
            "Write to it@corp.test",
            "See https://corp.test/why",
            "+49 (30) 1234-567",
            "Ext. 555 0199 22",
            "Fragen beantwortet die IT.",
        ] {
            assert!(says_where(text), "{text}");
        }
        for text in [
            "by 2020-07-10, 23:59",
            "10.07.2020 11:59",
            "Remove it.",
            "10 July 2020",
        ] {
            assert!(!says_where(text), "{text}");
        }
    }
}
