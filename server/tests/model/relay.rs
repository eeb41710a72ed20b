//! The relay, and its truth: which messages its recipients may read, whatever anybody heard of it.

use std::collections::BTreeMap;

use countermand::outbox::transport::Outgoing;
use countermand_core::notice::Key;

use super::dice::Dice;

/// What becomes of a message whose dot was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Says {
    Accepted,
    /// Taken, and the answer is lost.
    AcceptedUnheard,
    /// Neither taken nor answered.
    LostUnheard,
    /// 4xx.
    NotNow,
    /// 5xx.
    Never,
}

impl Says {
    pub fn draw(dice: &mut Dice) -> Says {
        match dice.below(20) {
            0..=8 => Says::Accepted,
            9 | 10 => Says::AcceptedUnheard,
            11 | 12 => Says::LostUnheard,
            13..=17 => Says::NotNow,
            _ => Says::Never,
        }
    }
}

#[derive(Debug, Default)]
pub struct Relay {
    /// Messages that recipients may read.
    pub in_hand: BTreeMap<Key, u32>,
    /// Messages put into DATA, but for those that the relay refused in words.
    pub perhaps: BTreeMap<Key, u32>,
    ids: BTreeMap<String, Key>,
}

impl Relay {
    /// The first byte of DATA. `Err` if the Message-ID is not the notice's own, always the same.
    pub fn begin(&mut self, key: Key, mail: &Outgoing) -> Result<(), String> {
        let id = header(mail, "Message-ID").ok_or("inv_16: no Message-ID")?;
        let whose = *self.ids.entry(id.clone()).or_insert(key);
        let known = self
            .ids
            .iter()
            .find(|(_, k)| **k == key)
            .map(|(id, _)| id.as_str());
        if whose != key || known != Some(id.as_str()) {
            return Err(format!(
                "inv_16: {key:?} goes by {id}, which was {whose:?}; before by {known:?}"
            ));
        }
        *self.perhaps.entry(key).or_default() += 1;
        Ok(())
    }

    pub fn end(&mut self, key: Key, says: Says) {
        match says {
            Says::Accepted | Says::AcceptedUnheard => *self.in_hand.entry(key).or_default() += 1,
            Says::LostUnheard => {}
            Says::NotNow | Says::Never => *self.perhaps.entry(key).or_default() -= 1,
        }
    }

    pub fn has(&self, key: &Key) -> bool {
        self.in_hand.contains_key(key)
    }
}

/// A header's value, unfolded.
pub fn header(mail: &Outgoing, name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(mail.bytes());
    let head = text.split("\r\n\r\n").next()?.replace("\r\n ", " ");
    head.split("\r\n").find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found
            .eq_ignore_ascii_case(name)
            .then(|| value.trim().to_owned())
    })
}
