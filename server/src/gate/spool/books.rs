//! What is in the spool's files, so that nobody has to read them for it.

use std::collections::{BTreeMap, HashSet, VecDeque};

use countermand_core::change::RefusedAgain;
use countermand_core::fleet::Claim;
use countermand_core::id::PersonId;

use crate::gate::batch::Batch;

/// Causes whose repeats are counted here.
const MOST_REPEATS: usize = 200_000;

#[derive(Debug, Default)]
pub(super) struct Books {
    pub next: u64,
    pub files: VecDeque<Filed>,
    /// What is in the files.
    pub items: usize,
    pub bytes: u64,
    /// Only here: how often somebody was refused again is lost with the process.
    pub repeats: BTreeMap<u64, RefusedAgain>,
    /// Claims that are in files, so that none is written at each login.
    claims: HashSet<(PersonId, String)>,
}

#[derive(Clone, Debug)]
pub(super) struct Filed {
    pub number: u64,
    pub items: usize,
    pub bytes: u64,
}

impl Books {
    pub fn enter(&mut self, number: u64, batch: &Batch, bytes: u64) {
        let claims = batch.claims.iter();
        self.claims.extend(claims.map(name_of));
        self.bytes += bytes;
        self.items += batch.len();
        self.files.push_back(Filed {
            number,
            items: batch.len(),
            bytes,
        });
    }

    pub fn forget(&mut self, files: &[Filed], batch: &Batch) {
        let numbers: HashSet<u64> = files.iter().map(|filed| filed.number).collect();
        self.files.retain(|filed| !numbers.contains(&filed.number));
        for filed in files {
            self.bytes = self.bytes.saturating_sub(filed.bytes);
            self.items = self.items.saturating_sub(filed.items);
        }
        for claim in &batch.claims {
            self.claims.remove(&name_of(claim));
        }
        for one in &batch.again {
            if let Some(repeat) = self.repeats.get_mut(&one.fingerprint) {
                repeat.times = repeat.times.saturating_sub(one.times);
                if repeat.times == 0 {
                    self.repeats.remove(&one.fingerprint);
                }
            }
        }
    }

    pub fn fresh(&self, claims: Vec<Claim>) -> Vec<Claim> {
        let mut fresh = claims;
        fresh.retain(|claim| !self.claims.contains(&name_of(claim)));
        fresh
    }

    pub fn repeat(&mut self, again: &[RefusedAgain]) {
        for one in again {
            if self.repeats.len() >= MOST_REPEATS && !self.repeats.contains_key(&one.fingerprint) {
                continue;
            }
            let repeat = self
                .repeats
                .entry(one.fingerprint)
                .or_insert(RefusedAgain { times: 0, ..*one });
            repeat.times += one.times;
            repeat.last_at = repeat.last_at.max(one.last_at);
        }
    }
}

fn name_of(claim: &Claim) -> (PersonId, String) {
    (claim.person, claim.key.canonical().to_owned())
}
