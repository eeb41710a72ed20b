//! A text as its author sees it, with what only the renderer reads taken out.

use crate::order::Order;

/// One subject and body of an order file.
pub(super) struct Source<'a> {
    /// `notice`, `reminder`, `blocked`, `correction`.
    pub kind: &'static str,
    /// Absent: the plain text.
    pub locale: Option<&'a str>,
    /// Subject and body, line by line, with every tag of the template blanked.
    pub words: String,
    /// What stands within the tags.
    tags: String,
    file: &'a str,
    /// The whole text, line by line like `words`.
    raw: String,
}

impl<'a> Source<'a> {
    pub fn all(order: &'a Order) -> Vec<Source<'a>> {
        let revision = &order.revision;
        let texts = revision.file.all_texts();
        let each = texts.flat_map(|(kind, texts)| texts.all().map(move |(l, t)| (kind, l, t)));
        each.map(|(kind, locale, text)| {
            let raw = format!("{}\n{}", text.subject, text.body);
            let (words, tags) = split(&raw);
            Source {
                kind,
                locale,
                words,
                tags,
                file: &revision.text,
                raw,
            }
        })
        .collect()
    }

    /// `notice.de`
    pub fn section(&self) -> String {
        match self.locale {
            Some(locale) => format!("{}.{locale}", self.kind),
            None => self.kind.to_owned(),
        }
    }

    /// Whether a tag speaks of that name, such as `comply_by`.
    pub fn names(&self, name: &str) -> bool {
        let part_of_a_word = |c: char| c.is_alphanumeric() || c == '_';
        self.tags.split(|c| !part_of_a_word(c)).any(|w| w == name)
    }

    /// The line of the order file where this text's section begins.
    pub fn head(&self) -> Option<usize> {
        let header = format!("[{}]", self.section());
        let is_header = |line: &str| line.trim_start().starts_with(&header);
        self.file.lines().position(is_header).map(|at| at + 1)
    }

    /// The line of the order file on which the text's line `at` (from 0) stands. The file may write
    /// it in another way (escapes): then that of the section.
    pub fn line(&self, at: usize) -> Option<usize> {
        let head = self.head();
        let wanted = self.raw.lines().nth(at).unwrap_or("").trim();
        let skipped = head.unwrap_or(0);
        let mut lines = self.file.lines().skip(skipped);
        let found = lines.position(|line| !wanted.is_empty() && line.contains(wanted));
        found.map(|below| skipped + below + 1).or(head)
    }
}

/// The first line of the order file that begins so, from 1.
pub(super) fn line_of(order: &Order, begin: &str) -> Option<usize> {
    let mut lines = order.revision.text.lines();
    let found = lines.position(|line| line.trim_start().starts_with(begin));
    found.map(|at| at + 1)
}

/// The words, with tags as blanks of the same length and lines, and what stood in the tags.
fn split(raw: &str) -> (String, String) {
    let (mut words, mut tags) = (String::new(), String::new());
    let mut rest = raw;
    let begin = |text: &str| ["{{", "{%", "{#"].iter().filter_map(|b| text.find(b)).min();
    while let Some(at) = begin(rest) {
        words.push_str(&rest[..at]);
        let end = match rest.get(at..at + 2) {
            Some("{%") => "%}",
            Some("{#") => "#}",
            _ => "}}",
        };
        let length = rest[at..].find(end).map_or(rest.len() - at, |n| n + 2);
        let tag = &rest[at..at + length];
        words.extend(tag.chars().map(|c| if c == '\n' { c } else { ' ' }));
        tags.push_str(tag);
        rest = &rest[at + length..];
    }
    words.push_str(rest);
    (words, tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_blanked_and_lines_kept() {
        let (words, tags) = split("a {{ x }}b\n{# c\nd #}e {{ open");
        assert_eq!(words, "a        b\n    \n    e        ");
        assert_eq!(tags, "{{ x }}{# c\nd #}{{ open");
    }
}
