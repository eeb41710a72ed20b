//! Whose a device key is: who a report or an operator says, or else the first who came with it.
//!
//! A key is what a phone says of itself, and a phone can call itself anything. A claim of a key that is
//! somebody else's opens nothing; it can only add a stricter reading (invariant 5).

use std::collections::BTreeSet;

use super::Index;
use crate::fleet::{Claim, DeviceKey, Person};
use crate::id::PersonId;
use crate::verdict::Question;

/// Claims of one person that are kept. Who makes up more names gains nothing by it: each is an unknown
/// device all the same.
const MOST_CLAIMS: usize = 50;

impl Index {
    pub(super) fn apply_claim(&mut self, claim: Claim) {
        if claim.first {
            self.first_with
                .insert(claim.key.canonical().to_owned(), claim.person);
        }
        let of = self.claims.entry(claim.person).or_default();
        of.insert(claim.key.canonical().to_owned());
    }

    /// Who was first seen with the key, unless the devices that go by it are known to be somebody's.
    pub fn first_with(&self, key: &DeviceKey) -> Option<&Person> {
        let first = self.first_with.get(key.canonical())?;
        let mut called = self.devices_called(key).peekable();
        let is_owned = called.peek().is_some() && called.all(|d| d.person.is_some());
        self.person(*first).filter(|_| !is_owned)
    }

    /// Whether a device of another person goes by one of the keys, or another was first seen with it.
    pub fn is_anothers(&self, question: &Question, person: PersonId) -> bool {
        question.keys.iter().any(|key| {
            let owners = self.devices_called(key).filter_map(|d| d.person);
            let mut all = owners.chain(self.first_with(key).map(|p| p.id));
            all.any(|holder| holder != person)
        })
    }

    /// Every name by which a device of the person may come: those of their devices, and their claims.
    pub fn keys_of(&self, person: PersonId) -> BTreeSet<DeviceKey> {
        let devices = self.devices_of(person);
        let known = devices.flat_map(|device| device.keys.iter().cloned());
        let claims = self.claims.get(&person).into_iter().flatten();
        let claimed = claims.filter_map(|key| key.parse().ok());
        known.chain(claimed).collect()
    }

    /// Keys of a question that its person is not known to have: to be kept as that person's claims, if a
    /// door vouches for who asks. Of several names in one certificate the first stands for all, since
    /// a subject may be that of many.
    pub fn new_claims(&self, question: &Question) -> Option<(PersonId, Vec<DeviceKey>)> {
        let person = self.person_called(question.person.as_deref()?)?;
        let known = self.claims.get(&person.id);
        let mut room = MOST_CLAIMS.saturating_sub(known.map_or(0, |all| all.len()));
        let mut kinds = Vec::new();
        let mut fresh = Vec::new();
        for key in &question.keys {
            let is_first_of_kind = !kinds.contains(&key.kind());
            kinds.push(key.kind());
            let is_known = known.is_some_and(|all| all.contains(key.canonical()))
                || self
                    .devices_called(key)
                    .any(|d| d.person == Some(person.id));
            if is_first_of_kind && !is_known && room > 0 {
                room -= 1;
                fresh.push(key.clone());
            }
        }
        (!fresh.is_empty()).then_some((person.id, fresh))
    }
}
