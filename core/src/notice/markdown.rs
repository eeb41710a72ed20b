//! Markdown to HTML. Most of a letter is plain prose, which is HTML already but for its `<p>`; only the
//! rest takes the parser, which costs more than all else that is done to write a letter.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd, html};

/// Raw HTML in a text is shown, not obeyed.
pub(super) fn markdown(text: &str) -> String {
    let mut body = String::with_capacity(text.len() + text.len() / 8 + 64);
    if reaches_far(text) {
        parse(text, &mut body);
        return body;
    }
    // What is no prose stays together: a list goes on after an empty line.
    let (mut at, mut rest) = (0, 0);
    while at < text.len() {
        let end = end_of_paragraph(text, at);
        let paragraph = &text[at..end];
        let next = (end + 2).min(text.len());
        if is_prose(paragraph) {
            parse(&text[rest..at], &mut body);
            body.extend(["<p>", paragraph, "</p>\n"]);
            rest = next;
        }
        at = next;
    }
    parse(&text[rest..], &mut body);
    body
}

/// An empty line ends it.
fn end_of_paragraph(text: &str, from: usize) -> usize {
    let mut ends = text[from..].match_indices('\n').map(|(at, _)| from + at);
    let empty = ends.find(|end| text.as_bytes().get(end + 1) == Some(&b'\n'));
    empty.unwrap_or(text.len())
}

fn parse(text: &str, body: &mut String) {
    if text.is_empty() {
        return;
    }
    let events = Parser::new_ext(text, Options::empty()).map(|event| match event {
        Event::Html(raw) | Event::InlineHtml(raw) => Event::Text(raw),
        // A link that runs something, or goes nowhere that people read.
        Event::Start(Tag::Link {
            link_type,
            dest_url,
            title,
            id,
        }) if !leads_somewhere(&dest_url) => {
            let dest_url = "".into();
            Event::Start(Tag::Link {
                link_type,
                dest_url,
                title,
                id,
            })
        }
        // What it shows is fetched when the mail is read, and tells somebody so: its words stay.
        Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => Event::Text("".into()),
        other => other,
    });
    html::push_html(body, events);
}

fn leads_somewhere(address: &str) -> bool {
    let folded = address.trim().to_ascii_lowercase();
    ["https://", "http://", "mailto:", "tel:"]
        .iter()
        .any(|scheme| folded.starts_with(scheme))
}

/// Whether there may be something that an empty line does not end, or that another paragraph may refer
/// to: code between fences, raw HTML, the definition of a link.
fn reaches_far(text: &str) -> bool {
    let raw = |(at, _)| !text[at..].starts_with("<http");
    let defines = |(at, _)| text[at..].starts_with("]:");
    // One letter at a time is found many times faster than two together.
    text.contains('`')
        || text.contains('~')
        || text.match_indices(']').any(defines)
        || text.match_indices('<').any(raw)
}

/// Lines that begin with a letter, and have nothing in them that means anything to Markdown or HTML.
fn is_prose(paragraph: &str) -> bool {
    let is_plain = |line: &str| {
        line.starts_with(|c: char| c.is_ascii_alphabetic())
            && !line.ends_with(' ')
            && line
                .bytes()
                .fold(true, |all, b| all & PLAIN[usize::from(b)])
    };
    paragraph.split('\n').all(is_plain)
}

const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        plain[byte] = matches!(byte as u8, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | 0x80..=0xff)
            || matches!(
                byte as u8,
                b' ' | b'.'
                    | b','
                    | b';'
                    | b':'
                    | b'?'
                    | b'\''
                    | b'('
                    | b')'
                    | b'/'
                    | b'-'
                    | b'%'
                    | b'@'
            );
        byte += 1;
    }
    plain
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> String {
        let mut body = String::new();
        parse(text, &mut body);
        body
    }

    #[test]
    fn prose_is_left_alone_and_the_rest_is_parsed() {
        let text = "Dear Ann,\n\nplease remove it\nby **tonight**.\n\n- one\n\n- two\n\nIt stays (in part)\non your laptop.";
        assert_eq!(
            markdown(text),
            "<p>Dear Ann,</p>\n<p>please remove it\nby <strong>tonight</strong>.</p>\n<ul>\n<li>\n<p>one</p>\n</li>\n<li>\n<p>two</p>\n</li>\n</ul>\n<p>It stays (in part)\non your laptop.</p>\n"
        );
        assert!(is_prose("It stays (in part)\non your laptop."));
        assert!(!is_prose("by **tonight**.") && !is_prose("a\n") && !is_prose("a \nb"));
    }

    /// What means something to Markdown somewhere, and plain words.
    const PIECES: &str = "\n¦\n\n¦\n\n\n¦ ¦    ¦\t¦a¦Dear Ann,¦word word¦- ¦* ¦1. ¦2) ¦> ¦# ¦===¦---¦***¦**¦*¦_¦`¦```¦~~~¦[¦]¦[a]¦[a]: b¦(c)¦!¦<¦>¦<b>¦<!--¦-->¦<https://a.test/o?n=A1>¦&amp;¦&¦\\¦|¦\"¦'¦\r\n¦\r¦ä¦«¦…¦\u{a0}¦\u{2028}¦\u{feff}¦\0¦a\nb¦Why: it is so\nand so";

    fn piece() -> impl Strategy<Value = String> {
        let known: Vec<&str> = PIECES.split('¦').collect();
        prop_oneof![
            4 => proptest::sample::select(known).prop_map(str::to_owned),
            1 => "\\PC{0,4}",
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn it_is_as_if_all_had_been_parsed(pieces in proptest::collection::vec(piece(), 0..24)) {
            let text = pieces.concat();
            prop_assert_eq!(markdown(&text), parsed(&text), "{:?}", text);
        }

        /// With more paragraphs than the other makes.
        #[test]
        fn paragraphs_do_not_touch_each_other(pieces in proptest::collection::vec((piece(), piece(), piece()), 0..8)) {
            let paragraphs: Vec<String> = pieces.into_iter().map(|(a, b, c)| a + &b + &c).collect();
            for between in ["\n\n", "\n\nprose it is\n\n"] {
                let text = paragraphs.join(between);
                prop_assert_eq!(markdown(&text), parsed(&text), "{:?}", text);
            }
        }
    }
}
