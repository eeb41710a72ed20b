//! Markdown as text that reads well where Markdown means nothing, and cut to what a platform takes.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// The words of a notice without marks: lists keep their points, links their addresses.
pub(super) fn plain(markdown: &str) -> String {
    let mut out = String::new();
    let mut links: Vec<(usize, String)> = Vec::new();
    // Of each open list: the next number, if it has numbers.
    let mut lists: Vec<Option<u64>> = Vec::new();
    for event in Parser::new_ext(markdown, Options::empty()) {
        match event {
            Event::Text(text) | Event::Code(text) | Event::Html(text) | Event::InlineHtml(text) => {
                out.push_str(&text)
            }
            Event::SoftBreak | Event::HardBreak => out.push('\n'),
            Event::Rule => paragraph(&mut out, "———"),
            Event::Start(Tag::Link { dest_url, .. }) => {
                links.push((out.len(), dest_url.into_string()));
            }
            Event::End(TagEnd::Link) => {
                if let Some((from, url)) = links.pop()
                    && out.get(from..) != Some(url.as_str())
                {
                    out.push_str(&format!(" ({url})"));
                }
            }
            Event::Start(Tag::List(first)) => {
                if lists.is_empty() {
                    paragraph(&mut out, "");
                }
                lists.push(first);
            }
            Event::End(TagEnd::List(_)) => {
                lists.pop();
            }
            Event::Start(Tag::Item) => {
                if !out.is_empty() && !out.ends_with('\n') {
                    out.push('\n');
                }
                match lists.last_mut() {
                    Some(Some(number)) => {
                        out.push_str(&format!("{number}. "));
                        *number += 1;
                    }
                    _ => out.push_str("• "),
                }
            }
            Event::Start(Tag::BlockQuote(_)) => paragraph(&mut out, "> "),
            Event::Start(Tag::Paragraph | Tag::Heading { .. } | Tag::CodeBlock(_)) => {
                // Not right after a mark that begins it.
                match lists.is_empty() {
                    _ if out.ends_with("> ") || out.ends_with("• ") || out.ends_with(". ") => {}
                    true => paragraph(&mut out, ""),
                    false => out.push('\n'),
                }
            }
            _ => {}
        }
    }
    out.trim().to_owned()
}

fn paragraph(out: &mut String, begin: &str) {
    let end = out.trim_end().len();
    out.truncate(end);
    if !out.is_empty() {
        out.push_str("\n\n");
    }
    out.push_str(begin);
}

const GAP: &str = "\n\n[…]\n\n";

/// `text` in at most `most` of what `measure` counts. What goes is in the middle: a correction says at
/// its end what holds, and so does every notice where to look.
pub(super) fn shorten(text: &str, most: usize, measure: fn(char) -> usize) -> String {
    let length = |text: &str| text.chars().map(measure).sum::<usize>();
    if length(text) <= most {
        return text.to_owned();
    }
    let room = most.saturating_sub(length(GAP)) / 2;
    let fitting = |chars: &mut dyn Iterator<Item = char>| {
        let mut left = room;
        let mut bytes = 0;
        for c in chars {
            let Some(rest) = left.checked_sub(measure(c)) else {
                break;
            };
            left = rest;
            bytes += c.len_utf8();
        }
        bytes
    };
    let head = fitting(&mut text.chars());
    let tail = text.len() - fitting(&mut text.chars().rev());
    format!("{}{GAP}{}", &text[..head], &text[tail..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_becomes_text_that_reads_well() {
        let text = plain(
            "Dear *colleagues*,\n\nremove **TikTok** & co:\n\n- from phones\n- from tablets\n\nAsk [the desk](https://desk.test/x).\n\n---\n\n1. one\n\n   more\n2. two\n\n> The order said: <now>\n\nThe state: <https://cm.test/o/1>",
        );
        assert_eq!(
            text,
            "Dear colleagues,\n\nremove TikTok & co:\n\n• from phones\n• from tablets\n\nAsk the desk (https://desk.test/x).\n\n———\n\n1. one\nmore\n2. two\n\n> The order said: <now>\n\nThe state: https://cm.test/o/1"
        );
    }

    #[test]
    fn what_is_too_long_keeps_its_head_and_its_end() {
        let long = format!("begin {} end", "ü𝄞".repeat(5000));
        for measure in [char::len_utf16, char::len_utf8] {
            let short = shorten(&long, 4000, measure);
            assert!(short.chars().map(measure).sum::<usize>() <= 4000);
            assert!(short.starts_with("begin ") && short.ends_with(" end") && short.contains(GAP));
        }
        assert_eq!(shorten("short", 5, char::len_utf8), "short");
    }
}
