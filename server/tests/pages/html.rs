//! As much of an HTML reader as these tests need: the tags, in order, with their attributes.
//! It reads only what the templates write; text that looks like a tag must have been escaped.

#[derive(Debug)]
pub struct Tag {
    /// Lower case; `/form` for an end.
    pub name: String,
    pub attributes: Vec<(String, String)>,
}

impl Tag {
    pub fn get(&self, name: &str) -> Option<String> {
        self.attributes
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
    }

    pub fn is(&self, name: &str, value: &str) -> bool {
        self.get(name).as_deref() == Some(value)
    }
}

pub fn tags(html: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let end = end_of_tag(rest);
        let (tag, after) = rest.split_at(end);
        rest = after;
        let name: String = tag
            .chars()
            .take_while(|c| !c.is_whitespace() && *c != '>')
            .collect();
        if name.starts_with('!') {
            continue;
        }
        let attributes = attributes(&tag[name.len()..]);
        // Style sheets contain no tags, and `>` in them ends nothing.
        if name == "style" {
            rest = rest.split_once("</style").map_or("", |(_, after)| after);
        }
        tags.push(Tag {
            name: name.trim_end_matches('/').to_ascii_lowercase(),
            attributes,
        });
    }
    tags
}

fn end_of_tag(text: &str) -> usize {
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '>' if !quoted => return at,
            _ => {}
        }
    }
    text.len()
}

fn attributes(mut text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    loop {
        text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        if text.is_empty() {
            return found;
        }
        let name: String = text
            .chars()
            .take_while(|c| !c.is_whitespace() && *c != '=' && *c != '/')
            .collect();
        text = &text[name.len()..];
        let mut value = String::new();
        if let Some(after) = text.strip_prefix("=\"") {
            let (inner, rest) = after
                .split_once('"')
                .expect("an attribute in double quotes");
            value = inner.to_owned();
            text = rest;
        } else {
            assert!(
                !text.starts_with('='),
                "an attribute without quotes: {name}"
            );
        }
        found.push((name, value));
    }
}
