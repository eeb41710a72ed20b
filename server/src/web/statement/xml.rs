//! XML as it is written here: elements in elements, text in the last. Reading is what is hard about
//! XML, and nothing here reads it.

/// A document in the making.
#[derive(Debug)]
pub(super) struct Xml(String);

impl Xml {
    /// Begins with the root element, whose attributes are given as they are to stand.
    pub fn root(name: &str, attributes: &str) -> Xml {
        Xml(format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{name} {attributes}>\n"
        ))
    }

    /// A remark for people, before whatever comes next.
    pub fn remark(&mut self, words: &str) {
        // Two dashes end a comment.
        let words = escaped(&words.replace('-', "\u{2010}"));
        self.0.push_str(&format!("<!-- {words} -->\n"));
    }

    pub fn open(&mut self, name: &str) {
        self.0.push_str(&format!("<{name}>\n"));
    }

    pub fn close(&mut self, name: &str) {
        self.0.push_str(&format!("</{name}>\n"));
    }

    pub fn leaf(&mut self, name: &str, text: &str) {
        self.0
            .push_str(&format!("<{name}>{}</{name}>\n", escaped(text)));
    }

    /// An empty element with attributes.
    pub fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.0.push_str(&format!("<{name}"));
        for (attribute, value) in attributes {
            self.0
                .push_str(&format!(" {attribute}=\"{}\"", escaped(value)));
        }
        self.0.push_str("/>\n");
    }

    pub fn end(mut self, name: &str) -> String {
        self.close(name);
        self.0
    }
}

/// Text for an element or a quoted attribute. What XML 1.0 can't hold at all (section 2.2) becomes
/// the replacement character.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' => out.push(c),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
