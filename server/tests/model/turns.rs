//! The reference model's receipts: what a worker's turn, its death and a retraction may do to them.

use std::collections::{BTreeMap, BTreeSet};

use countermand::store::{Claim, Outcome, Settled, Turn, Turned};
use countermand_core::id::OrderId;
use countermand_core::notice::{Key, Kind, ReceiptState};
use jiff::Timestamp;

use super::reference::{Answer, Life, Model, Receipt, Stage};

/// What was not as the model has it.
pub type Checked = Result<(), String>;

macro_rules! ensure {
    ($holds:expr, $($words:tt)*) => {
        if !$holds {
            return Err(format!($($words)*));
        }
    };
}
pub(crate) use ensure;

impl Model {
    /// Takes in what a turn was asked to do and what it says that it did; `Err` if it may not.
    pub fn turn(&mut self, worker: &str, turn: &Turn, turned: &Turned, now: Timestamp) -> Checked {
        let mut heard = BTreeSet::new();
        for settled in &turn.settle {
            if heard.insert((settled.claim.key, settled.claim.fence)) {
                self.settle(worker, settled, now);
            }
        }
        self.begin(worker, &turn.start, &turned.started)?;
        self.claim(worker, turn, turned, now)
    }

    fn holds(&self, worker: &str, claim: &Claim, state: ReceiptState) -> bool {
        self.receipts.get(&claim.key).is_some_and(|receipt| {
            receipt.state == state
                && receipt
                    .held
                    .as_ref()
                    .is_some_and(|(by, fence)| by == worker && *fence == claim.fence)
        })
    }

    /// Only the worker that has it in flight under the same fence settles a receipt (invariants 18, 25).
    fn settle(&mut self, worker: &str, settled: &Settled, now: Timestamp) {
        let key = settled.claim.key;
        if !self.holds(worker, &settled.claim, ReceiptState::InFlight) {
            return;
        }
        let retracted = self.orders[&key.order].stage == Stage::Retracted;
        let correction = key.kind == Kind::Correction;
        let Some(receipt) = self.receipts.get_mut(&key) else {
            return;
        };
        receipt.held = None;
        let again = match settled.outcome {
            Outcome::Accepted => Err(ReceiptState::Accepted),
            Outcome::Rejected => Err(ReceiptState::Rejected),
            Outcome::Unknown { not_before } if correction => Ok(not_before),
            Outcome::Unknown { .. } => Err(ReceiptState::Unknown),
            Outcome::TooLate | Outcome::Deferred { .. } if retracted && !correction => {
                Err(ReceiptState::Cancelled)
            }
            Outcome::TooLate => {
                (receipt.perhaps, receipt.bounced) = (false, false);
                Err(ReceiptState::Cancelled)
            }
            Outcome::Deferred { not_before } => {
                (receipt.perhaps, receipt.bounced) = (false, false);
                Ok(not_before)
            }
        };
        match again {
            Ok(not_before) => {
                receipt.state = ReceiptState::Claimed;
                receipt.attempt += 1;
                receipt.not_before = not_before;
            }
            Err(state) => {
                receipt.state = state;
                receipt.settled_at = Some(now);
            }
        }
    }

    /// What is claimed becomes in flight while the order's state lets it (invariant 22); else the claim is
    /// given back.
    fn begin(&mut self, worker: &str, start: &[Claim], started: &[Claim]) -> Checked {
        let mut expected = BTreeSet::new();
        for claim in start {
            if !self.holds(worker, claim, ReceiptState::Claimed) {
                continue;
            }
            let key = claim.key;
            let lets_begin = self.orders[&key.order].lets_begin(key.kind);
            let Some(receipt) = self.receipts.get_mut(&key) else {
                continue;
            };
            if lets_begin {
                receipt.state = ReceiptState::InFlight;
                receipt.perhaps = true;
                // What came back belongs to the attempt before.
                receipt.bounced = false;
                expected.insert(key);
            } else if receipt.attempt == 0 {
                self.receipts.remove(&key);
            } else {
                receipt.held = None;
            }
        }
        let begun: BTreeSet<Key> = started.iter().map(|claim| claim.key).collect();
        ensure!(
            begun.len() == started.len(),
            "inv_18: begun twice in one turn: {started:?}"
        );
        for key in &begun {
            let why = if self.orders[&key.order].lets_begin(key.kind) {
                "inv_18: begun by a worker that does not hold it"
            } else if self.orders[&key.order].stage == Stage::Retracted {
                "inv_22: begun after the retraction"
            } else if self.orders[&key.order].stopped.is_some() {
                "inv_14: begun though the notices stopped"
            } else {
                "inv_36: begun while its order does not send"
            };
            ensure!(expected.contains(key), "{why}: {key:?}");
        }
        for key in &expected {
            ensure!(
                begun.contains(key),
                "inv_19: not begun though it was held: {key:?}"
            );
        }
        Ok(())
    }

    fn claim(&mut self, worker: &str, turn: &Turn, turned: &Turned, now: Timestamp) -> Checked {
        let most = turn.limit;
        ensure!(
            turned.claimed.len() <= most,
            "inv_19: {} claims of {most}",
            turned.claimed.len()
        );
        // Who could be claimed for: what waits for a retry, and whoever is wanted and may be begun for.
        let (mut urgent, mut others) = (BTreeSet::new(), BTreeSet::new());
        for (key, receipt) in &self.receipts {
            let waits = receipt.state == ReceiptState::Claimed
                && receipt.held.is_none()
                && receipt.not_before <= now;
            if waits && self.orders[&key.order].lets_begin(key.kind) {
                if key.kind == Kind::Correction {
                    urgent.insert(*key)
                } else {
                    others.insert(*key)
                };
            }
        }
        let retries: BTreeSet<Key> = urgent.union(&others).copied().collect();
        for wanted in &turn.claim {
            let order = &self.orders[&wanted.order];
            for person in &wanted.people {
                let key = Key {
                    order: wanted.order,
                    person: *person,
                    kind: wanted.kind,
                };
                let free = order.lets_begin(key.kind) && !self.receipts.contains_key(&key);
                if key.kind != Kind::Correction && free {
                    others.insert(key);
                } else if free && !self.flies(&key) {
                    urgent.insert(key);
                }
            }
        }
        for claim in &turned.claimed {
            let key = claim.key;
            let fits = urgent.contains(&key) || others.contains(&key);
            if !fits {
                return Err(self.why_not(&key));
            }
            let attempt = self.receipts.get(&key).map_or(0, |receipt| receipt.attempt);
            ensure!(
                claim.attempt == attempt,
                "inv_17: {key:?} has {attempt} attempts, not {}",
                claim.attempt
            );
            let receipt = self.receipts.entry(key).or_insert(Receipt {
                state: ReceiptState::Claimed,
                held: None,
                attempt: 0,
                not_before: Timestamp::UNIX_EPOCH,
                settled_at: None,
                perhaps: false,
                bounced: false,
            });
            ensure!(
                receipt.held.is_none(),
                "inv_18: {key:?} is held by {:?}",
                receipt.held
            );
            receipt.held = Some((worker.to_owned(), claim.fence));
        }
        let claimed: BTreeSet<Key> = turned.claimed.iter().map(|claim| claim.key).collect();
        // As long as there is room, what waits is taken, and corrections before all else.
        if turned.claimed.len() < most {
            let left: Vec<&Key> = retries.difference(&claimed).collect();
            ensure!(
                left.is_empty(),
                "inv_19: there was room, and nobody took {left:?}"
            );
        }
        if claimed.iter().any(|key| key.kind != Kind::Correction) {
            let left = retries
                .intersection(&urgent)
                .find(|key| !claimed.contains(key));
            ensure!(
                left.is_none(),
                "inv_28: claimed ahead of the correction {left:?}"
            );
        }
        Ok(())
    }

    /// Whether an earlier notice to the person is in flight (invariant 24).
    pub fn flies(&self, correction: &Key) -> bool {
        self.receipts.iter().any(|(key, receipt)| {
            key.order == correction.order
                && key.person == correction.person
                && key.kind != Kind::Correction
                && receipt.state == ReceiptState::InFlight
        })
    }

    fn why_not(&self, key: &Key) -> String {
        let why = match self.receipts.get(key) {
            Some(receipt) if receipt.state.is_settled() => "inv_17: claimed though it is settled",
            Some(_) => "inv_18: claimed though it is held, or waits",
            None if !self.orders[&key.order].lets_begin(key.kind) => {
                "inv_22: claimed though its order's state forbids it"
            }
            None if self.flies(key) => "inv_24: a correction claimed while an earlier notice flies",
            None => "inv_15: claimed and not wanted",
        };
        format!("{why}: {key:?} {:?}", self.receipts.get(key))
    }

    /// Buries whoever is past its lease, or holds something without one. Gives how many notices that makes
    /// unknown.
    pub fn bury_dead(&mut self, now: Timestamp) -> u64 {
        let lapsed = self.leases.iter().filter(|(_, until)| **until < now);
        let mut dead: BTreeSet<String> = lapsed.map(|(name, _)| name.clone()).collect();
        let holders = self
            .receipts
            .values()
            .filter_map(|receipt| receipt.held.as_ref());
        dead.extend(
            holders
                .map(|(by, _)| by.clone())
                .filter(|by| !self.leases.contains_key(by)),
        );
        dead.iter().map(|name| self.bury(name, now)).sum()
    }

    /// A worker is dead, or retires: what it had in flight is unknown, what it had claimed is anyone's.
    pub fn bury(&mut self, worker: &str, now: Timestamp) -> u64 {
        self.leases.remove(worker);
        let mut unknown = 0;
        let theirs = |receipt: &Receipt| receipt.held.as_ref().is_some_and(|(by, _)| by == worker);
        self.receipts.retain(|_, receipt| {
            !(theirs(receipt) && receipt.state == ReceiptState::Claimed && receipt.attempt == 0)
        });
        for (key, receipt) in &mut self.receipts {
            if !theirs(receipt) {
                continue;
            }
            receipt.held = None;
            if receipt.state != ReceiptState::InFlight {
                continue;
            }
            if key.kind == Kind::Correction {
                receipt.state = ReceiptState::Claimed;
                receipt.attempt += 1;
                receipt.not_before = now;
            } else {
                receipt.state = ReceiptState::Unknown;
                receipt.settled_at = Some(now);
                unknown += 1;
            }
        }
        unknown
    }

    /// When the first of what waits for a retry may be claimed.
    pub fn next_retry(&self) -> Option<Timestamp> {
        let waits = self.receipts.iter().filter(|(key, receipt)| {
            receipt.state == ReceiptState::Claimed
                && receipt.held.is_none()
                && self.orders[&key.order].lets_begin(key.kind)
        });
        waits.map(|(_, receipt)| receipt.not_before).min()
    }

    /// Takes an order back: what it answers, and whom it will correct.
    pub fn retract(&mut self, id: OrderId, at: Timestamp) -> Answer {
        let planned: u64 = self
            .waiting(id, at)
            .iter()
            .map(|(kind, people)| self.unclaimed(id, *kind, people))
            .sum();
        let alone = BTreeSet::from([id]);
        let restored = self
            .devices
            .keys()
            .filter(|no| self.refusing(**no, at) == alone)
            .count();
        let mut answer = Answer {
            cancelled: planned + self.count(id, false, ReceiptState::Claimed),
            in_flight: self.count(id, false, ReceiptState::InFlight),
            accepted: self.count(id, false, ReceiptState::Accepted),
            unknown: self.count(id, false, ReceiptState::Unknown),
            corrections: 0,
            restored: restored as u64,
        };
        let (mut reached, mut flew) = (BTreeSet::new(), BTreeSet::new());
        for (key, receipt) in &mut self.receipts {
            if key.order != id || key.kind == Kind::Correction {
                continue;
            }
            match receipt.state {
                ReceiptState::Accepted | ReceiptState::Unknown => {
                    reached.insert(key.person.0);
                }
                ReceiptState::InFlight => {
                    reached.insert(key.person.0);
                    flew.insert(*key);
                }
                ReceiptState::Claimed => {
                    receipt.state = ReceiptState::Cancelled;
                    receipt.held = None;
                }
                ReceiptState::Rejected | ReceiptState::Cancelled => {}
            }
        }
        if let Some(order) = self.orders.get_mut(&id) {
            order.stage = Stage::Retracted;
            order.reached = reached;
            order.flew = flew;
            answer.corrections = order.to_correct().len() as u64;
            order.answer = Some(answer);
        }
        answer
    }

    /// Which of several notices a correction, reminder or block answers (invariant 29): the first that the
    /// person got, or else one that may have reached them. The order itself, where it is one of them.
    pub fn answerable(&self, key: &Key) -> BTreeSet<Kind> {
        let mut by_state: BTreeMap<ReceiptState, BTreeSet<Kind>> = BTreeMap::new();
        for (other, receipt) in &self.receipts {
            if other.order == key.order
                && other.person == key.person
                && other.kind != key.kind
                && other.kind != Kind::Correction
            {
                by_state
                    .entry(receipt.state)
                    .or_default()
                    .insert(other.kind);
            }
        }
        let states = [
            ReceiptState::Accepted,
            ReceiptState::Unknown,
            ReceiptState::InFlight,
        ];
        let found = states
            .iter()
            .find_map(|state| by_state.remove(state))
            .unwrap_or_default();
        if found.contains(&Kind::Order) {
            BTreeSet::from([Kind::Order])
        } else {
            found
        }
    }

    pub fn order_mut(&mut self, id: OrderId) -> &mut Life {
        self.orders.get_mut(&id).unwrap()
    }
}
