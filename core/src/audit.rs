//! The record: a chain of entries, each bound to all before it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::actor::Actor;
use crate::id::OrderId;

/// What an entry says, before it has its place in the chain.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Statement {
    /// `order.publish`, `people.import` …
    pub action: String,
    pub order: Option<OrderId>,
    pub details: serde_json::Value,
}

/// One entry of the record.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// From 1, without gaps.
    pub number: u64,
    pub at: Timestamp,
    pub actor: Actor,
    pub action: String,
    pub order: Option<OrderId>,
    /// JSON, kept as the very text that was hashed.
    pub details: String,
    pub previous: String,
    pub hash: String,
}

/// The hash before the first entry.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

impl Entry {
    pub fn next(
        number: u64,
        previous: &str,
        at: Timestamp,
        actor: &Actor,
        statement: &Statement,
    ) -> Entry {
        let mut entry = Entry {
            number,
            at,
            actor: actor.clone(),
            action: statement.action.clone(),
            order: statement.order,
            details: statement.details.to_string(),
            previous: previous.to_owned(),
            hash: String::new(),
        };
        entry.hash = entry.computed_hash();
        entry
    }

    fn computed_hash(&self) -> String {
        let mut hash = Sha256::new();
        let order = self.order.map(|o| o.to_string()).unwrap_or_default();
        let fields = [
            self.previous.as_str(),
            &self.number.to_string(),
            &self.at.as_microsecond().to_string(),
            &self.actor.to_string(),
            &self.action,
            &order,
            &self.details,
        ];
        // Each field with its length, so that no two entries share a spelling.
        for field in fields {
            hash.update((field.len() as u64).to_be_bytes());
            hash.update(field);
        }
        crate::hex::encode(&hash.finalize())
    }
}

/// What a walk along the chain found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Verified {
    pub entries: u64,
    /// Hash of the last entry.
    pub head: String,
    pub ok: bool,
    /// Number of the first entry that does not fit.
    pub first_bad: Option<u64>,
}

/// Walks along a chain, entry by entry.
#[derive(Debug)]
pub struct Verifier {
    entries: u64,
    head: String,
    first_bad: Option<u64>,
}

impl Default for Verifier {
    fn default() -> Self {
        Verifier {
            entries: 0,
            head: GENESIS.to_owned(),
            first_bad: None,
        }
    }
}

impl Verifier {
    pub fn take(&mut self, entry: &Entry) {
        self.entries += 1;
        let fits = entry.number == self.entries
            && entry.previous == self.head
            && entry.hash == entry.computed_hash();
        if !fits && self.first_bad.is_none() {
            self.first_bad = Some(self.entries);
        }
        self.head.clone_from(&entry.hash);
    }

    /// `expected` are the number of entries and the head that stand elsewhere: they show a cut tail.
    pub fn finish(self, expected: Option<(u64, &str)>) -> Verified {
        let mut first_bad = self.first_bad;
        if let Some((entries, head)) = expected
            && (entries != self.entries || head != self.head)
            && first_bad.is_none()
        {
            first_bad = Some(self.entries.min(entries) + 1);
        }
        Verified {
            entries: self.entries,
            head: self.head,
            ok: first_bad.is_none(),
            first_bad,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(n: u64) -> Vec<Entry> {
        let mut all: Vec<Entry> = Vec::new();
        for i in 1..=n {
            let previous = all.last().map_or(GENESIS, |e| &e.hash).to_owned();
            let statement = Statement {
                action: format!("test.{i}"),
                order: None,
                details: serde_json::json!({ "i": i }),
            };
            let at = Timestamp::from_second(i as i64).unwrap();
            all.push(Entry::next(
                i,
                &previous,
                at,
                &Actor::System("test".into()),
                &statement,
            ));
        }
        all
    }

    fn verify(chain: &[Entry], expected: Option<(u64, &str)>) -> Verified {
        let mut v = Verifier::default();
        chain.iter().for_each(|e| v.take(e));
        v.finish(expected)
    }

    #[test]
    fn inv_33_changing_removing_reordering_or_cutting_entries_shows() {
        let whole = chain(5);
        let head = whole[4].hash.clone();
        let expected = Some((5, head.as_str()));
        assert!(verify(&whole, expected).ok);
        let mut changed = whole.clone();
        changed[2].details = r#"{"i":9}"#.into();
        assert_eq!(verify(&changed, expected).first_bad, Some(3));
        let mut removed = whole.clone();
        removed.remove(1);
        assert_eq!(verify(&removed, expected).first_bad, Some(2));
        let mut swapped = whole.clone();
        swapped.swap(3, 4);
        assert_eq!(verify(&swapped, expected).first_bad, Some(4));
        assert_eq!(verify(&whole[..3], expected).first_bad, Some(4));
        assert_eq!(verify(&[], expected).first_bad, Some(1));
        assert!(!verify(&chain(6), expected).ok);
    }
}
