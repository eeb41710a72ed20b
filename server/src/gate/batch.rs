//! What a gate-only server hands to the main one: whom it refused, with which keys people came, whose sessions
//! it ended.

use countermand_core::change::{Change, Kick, Refusal, RefusedAgain};
use countermand_core::fleet::Claim;
use countermand_core::index::Index;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Of one request, all kinds together.
const MOST: usize = 1_000;
/// What was known at one refusal, in bytes.
const LONGEST: usize = 64 * 1024;

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Batch {
    /// Whose people these are.
    pub installation: String,
    pub refusals: Vec<Refusal>,
    pub again: Vec<RefusedAgain>,
    pub claims: Vec<Claim>,
    pub kicked: Vec<Kick>,
}

impl Batch {
    pub(super) fn len(&self) -> usize {
        self.refusals.len() + self.again.len() + self.claims.len() + self.kicked.len()
    }

    pub fn add(&mut self, other: Batch) {
        self.refusals.extend(other.refusals);
        self.again.extend(other.again);
        self.claims.extend(other.claims);
        self.kicked.extend(other.kicked);
    }

    /// Each of its entries alone.
    pub fn entries(&self) -> Vec<Batch> {
        let alone = || Batch {
            installation: self.installation.clone(),
            ..Batch::default()
        };
        let mut entries = Vec::with_capacity(self.len());
        entries.extend(self.refusals.iter().map(|refusal| Batch {
            refusals: vec![refusal.clone()],
            ..alone()
        }));
        entries.extend(self.again.iter().map(|again| Batch {
            again: vec![*again],
            ..alone()
        }));
        entries.extend(self.claims.iter().map(|claim| Batch {
            claims: vec![claim.clone()],
            ..alone()
        }));
        entries.extend(self.kicked.iter().map(|kick| Batch {
            kicked: vec![kick.clone()],
            ..alone()
        }));
        entries
    }

    /// What is wrong with it, as far as the facts tell.
    pub fn check(&self, view: &Index) -> Result<(), String> {
        if self.len() > MOST {
            return Err(format!("{} entries; expected {MOST} at most", self.len()));
        }
        let refused = self.refusals.iter().filter_map(|r| r.person);
        let kicked = self.kicked.iter().filter_map(|k| k.person);
        let mut people = refused
            .chain(kicked)
            .chain(self.claims.iter().map(|c| c.person));
        if let Some(nobody) = people.find(|id| view.person(*id).is_none()) {
            return Err(format!("nobody has the number {nobody}"));
        }
        let refusing = self.refusals.iter().flat_map(|r| &r.orders);
        let mut orders = refusing.chain(self.kicked.iter().flat_map(|k| &k.orders));
        if let Some(unknown) = orders.find(|id| view.order(**id).is_none()) {
            return Err(format!("there is no order {unknown}"));
        }
        let is_known = |known: &str| {
            known.len() <= LONGEST && serde_json::from_str::<serde_json::Map<_, _>>(known).is_ok()
        };
        match self.refusals.iter().all(|r| is_known(&r.known)) {
            true => Ok(()),
            false => Err("what was known at a refusal is no JSON object".to_owned()),
        }
    }

    /// What is to be committed. Another machine's clock puts nothing into the future.
    pub fn changes(mut self, now: Timestamp) -> Vec<Change> {
        for refusal in &mut self.refusals {
            refusal.at = refusal.at.min(now);
        }
        for again in &mut self.again {
            again.last_at = again.last_at.min(now);
        }
        for claim in &mut self.claims {
            claim.at = claim.at.min(now);
        }
        for kick in &mut self.kicked {
            kick.at = kick.at.map(|at| at.min(now));
        }
        let mut changes = Vec::new();
        // No write lasts longer than some tens of milliseconds.
        let refusals = self.refusals.chunks(100);
        changes.extend(refusals.map(|chunk| Change::Refusals(chunk.to_vec())));
        let again = self.again.chunks(100);
        changes.extend(again.map(|chunk| Change::RefusedAgain(chunk.to_vec())));
        let claims = self.claims.chunks(100);
        changes.extend(claims.map(|chunk| Change::Claims(chunk.to_vec())));
        if !self.kicked.is_empty() {
            changes.push(Change::Kicked(self.kicked));
        }
        changes
    }
}
