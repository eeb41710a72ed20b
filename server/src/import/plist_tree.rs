//! Property lists as a tree of bounded size.
//!
//! A binary property list may name one object in many places, so a small file can unfold without
//! end, and a deep one would overflow the stack of whoever walks it. Both are cut off here.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::ImportError;
use super::text::{decode, shown};

/// Hundreds of times the list of a full phone.
const MAX_BYTES: usize = 32 * 1024 * 1024;
const MAX_DEPTH: usize = 16;
/// What the unfolded tree may weigh: its texts, and so much for each value.
const MAX_WEIGHT: usize = 128 * 1024 * 1024;
const WEIGHT_OF_VALUE: usize = 64;

/// A value, as far as imports need it apart.
#[derive(Debug, PartialEq)]
pub(super) enum Node {
    Text(String),
    Flag(bool),
    List(Vec<Node>),
    Map(BTreeMap<String, Node>),
    /// A number, a date, bytes.
    Other,
}

impl Node {
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        match self {
            Node::Map(map) => map.get(key),
            _ => None,
        }
    }

    /// The text under a key, without outer blanks; empty where there is none.
    pub(super) fn text(&self, key: &str) -> &str {
        match self.get(key) {
            Some(Node::Text(text)) => text.trim(),
            _ => "",
        }
    }

    pub(super) fn is_set(&self, key: &str) -> bool {
        self.get(key) == Some(&Node::Flag(true))
    }
}

pub(super) fn is_binary(bytes: &[u8]) -> bool {
    bytes.starts_with(b"bplist00")
}

/// Reads a property list, XML or binary.
pub(super) fn read(bytes: &[u8]) -> Result<Node, ImportError> {
    let fail = |problem: String| {
        ImportError::new(
            "the property list",
            problem,
            "give the device's answer as it came, one answer a file",
        )
    };
    if bytes.len() > MAX_BYTES {
        return Err(fail(format!(
            "it has {} bytes where {MAX_BYTES} is the most",
            bytes.len()
        )));
    }
    let tree: Result<Tree, plist::Error> = if is_binary(bytes) {
        plist::from_bytes(bytes)
    } else {
        let text = decode(bytes)?;
        let text = text.trim_start();
        if !text.starts_with('<') || !text.contains("<plist") {
            return Err(fail(
                "it is neither a binary property list nor XML with <plist> in it".to_owned(),
            ));
        }
        plist::from_reader_xml(text.as_bytes())
    };
    tree.map(|tree| tree.0)
        .map_err(|e| fail(format!("it can't be read: {}", shown(&e.to_string()))))
}

struct Tree(Node);

impl<'de> serde::Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let left = Cell::new(MAX_WEIGHT);
        Seed {
            depth: 0,
            left: &left,
        }
        .deserialize(deserializer)
        .map(Tree)
    }
}

#[derive(Clone, Copy)]
struct Seed<'a> {
    depth: usize,
    left: &'a Cell<usize>,
}

impl Seed<'_> {
    fn charge<E: Error>(&self, weight: usize) -> Result<(), E> {
        let left = self.left.get().checked_sub(weight + WEIGHT_OF_VALUE);
        self.left
            .set(left.ok_or_else(|| E::custom("it unfolds to more than any device has"))?);
        Ok(())
    }

    fn inner<E: Error>(&self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom("it is nested deeper than any answer of a device"));
        }
        Ok(Seed {
            depth: self.depth + 1,
            left: self.left,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of a property list")
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Node, E> {
        self.charge(0).map(|()| Node::Flag(flag))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Node, E> {
        self.charge(0).map(|()| Node::Other)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Node, E> {
        self.charge(0).map(|()| Node::Other)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Node, E> {
        self.charge(0).map(|()| Node::Other)
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Node, E> {
        self.charge(bytes.len()).map(|()| Node::Other)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node, E> {
        self.charge(text.len())
            .map(|()| Node::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        self.charge(0)?;
        let inner = self.inner()?;
        let mut list = Vec::new();
        while let Some(node) = seq.next_element_seed(inner)? {
            list.push(node);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        self.charge(0)?;
        let inner = self.inner()?;
        let mut map = BTreeMap::new();
        while let Some(key) = entries.next_key::<String>()? {
            self.charge(key.len())?;
            map.insert(key, entries.next_value_seed(inner)?);
        }
        Ok(Node::Map(map))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn problem(bytes: &[u8]) -> String {
        read(bytes).unwrap_err().to_string()
    }

    #[test]
    fn xml_and_binary_read_alike() {
        let xml = "<?xml version=\"1.0\"?><plist version=\"1.0\"><dict><key>a</key><string> x &amp; y</string>\
            <key>b</key><true/><key>c</key><array><integer>1</integer><data>AAAA</data></array></dict></plist>";
        let tree = read(xml.as_bytes()).unwrap();
        assert_eq!(tree.text("a"), "x & y");
        assert!(tree.is_set("b") && !tree.is_set("c") && !tree.is_set("d"));
        assert_eq!(
            tree.get("c"),
            Some(&Node::List(vec![Node::Other, Node::Other]))
        );
        let value: plist::Value = plist::from_bytes(xml.as_bytes()).unwrap();
        let mut binary = Vec::new();
        value.to_writer_binary(&mut binary).unwrap();
        assert_eq!(read(&binary).unwrap(), tree);
        let wide: Vec<u8> = format!("\u{FEFF}{xml}")
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(read(&wide).unwrap(), tree);
    }

    #[test]
    fn what_is_no_property_list_or_two_is_refused() {
        for bytes in [
            &b""[..],
            b"{a=1;}",
            b"<html/>",
            b"<plist><dict>",
            b"<plist></plist>",
            b"bplist00",
        ] {
            assert!(problem(bytes).contains("one answer a file"));
        }
        let one = "<plist><dict></dict></plist>";
        assert!(read(one.as_bytes()).is_ok());
        assert!(read(format!("{one}{one}").as_bytes()).is_err());
    }

    #[test]
    fn deep_nesting_is_refused_before_the_stack_ends() {
        let deep = format!("<plist>{}", "<array>".repeat(1_000_000));
        assert!(problem(deep.as_bytes()).contains("nested deeper"));
    }

    /// An array of 15 references to an array of 15 references to …: 15¹² values in 200 bytes.
    #[test]
    fn a_small_list_that_unfolds_without_end_is_refused() {
        const LEVELS: u8 = 12;
        let mut bytes = b"bplist00".to_vec();
        let mut offsets = Vec::new();
        for level in 0..LEVELS {
            offsets.push(u8::try_from(bytes.len()).unwrap());
            bytes.push(0xAE);
            bytes.extend([level + 1; 14]);
        }
        offsets.push(u8::try_from(bytes.len()).unwrap());
        bytes.push(0x09);
        let table = u8::try_from(bytes.len()).unwrap();
        bytes.extend(&offsets);
        bytes.extend([0, 0, 0, 0, 0, 0, 1, 1]);
        bytes.extend([0, 0, 0, 0, 0, 0, 0, LEVELS + 1]);
        bytes.extend([0; 8]);
        bytes.extend([0, 0, 0, 0, 0, 0, 0, table]);
        assert!(problem(&bytes).contains("unfolds to more"));
    }
}
