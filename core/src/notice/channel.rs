//! Channels: places where an order is announced to whoever reads there, a chat or a system of the
//! house. Each is a recipient with receipts like any other, and is no person: it is in no audience,
//! nobody counts as told by it, and no door refuses it.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use roaring::RoaringBitmap;

use crate::fleet::Person;
use crate::id::PersonId;

/// The channels of an order by their names, each with its number in the database.
pub type Channels = BTreeMap<String, u16>;

/// Recipients from this number on are channels. People are numbered from 0 up, and never get here.
const FIRST: u32 = u32::MAX - u16::MAX as u32;

impl PersonId {
    /// The recipient that a channel is.
    pub fn channel(number: u16) -> PersonId {
        PersonId(u32::MAX - u32::from(number))
    }

    pub fn is_channel(self) -> bool {
        self.0 >= FIRST
    }
}

/// Two kinds of recipients, whose notices take different ways out and never wait for each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Lane {
    #[default]
    People,
    Channels,
}

impl Lane {
    /// The numbers of its recipients.
    pub fn numbers(self) -> RangeInclusive<u32> {
        match self {
            Lane::People => 0..=FIRST - 1,
            Lane::Channels => FIRST..=u32::MAX,
        }
    }

    /// Which of a few are its own.
    pub fn among(self, recipients: &[PersonId]) -> Vec<PersonId> {
        let is_own = |r: &&PersonId| self.numbers().contains(&r.0);
        recipients.iter().filter(is_own).copied().collect()
    }

    /// Those of `recipients` that are its own.
    pub fn of(self, mut recipients: RoaringBitmap) -> RoaringBitmap {
        let others = match self {
            Lane::People => Lane::Channels,
            Lane::Channels => Lane::People,
        };
        recipients.remove_range(others.numbers());
        recipients
    }
}

/// For whom an announcement is written: nobody in particular. A text that greets `person.name` greets
/// colleagues.
pub fn colleagues(channel: PersonId) -> Person {
    Person {
        id: channel,
        email: "colleagues".to_owned(),
        aliases: Default::default(),
        name: "colleagues".to_owned(),
        groups: Default::default(),
        locale: String::new(),
        time_zone: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipient_is_in_one_lane() {
        let numbers = [0, 1, FIRST - 1, FIRST, u32::MAX - 1, u32::MAX];
        let all: RoaringBitmap = numbers.into_iter().collect();
        let (people, channels) = (Lane::People.of(all.clone()), Lane::Channels.of(all.clone()));
        assert_eq!(people.iter().collect::<Vec<_>>(), &numbers[..3]);
        assert_eq!(channels.iter().collect::<Vec<_>>(), &numbers[3..]);
        assert!(channels.iter().all(|n| PersonId(n).is_channel()));
        assert!(!people.iter().any(|n| PersonId(n).is_channel()));
        assert!(PersonId::channel(0).is_channel() && PersonId::channel(u16::MAX).is_channel());
        assert_ne!(PersonId::channel(0), PersonId::channel(1));
    }
}
