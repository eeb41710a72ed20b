//! The end of a history: whoever was frozen is dead, the relay is well, and two new senders finish what is
//! left. Then everybody must have what they are due, and nobody may be left believing what was retracted.

use countermand_core::id::PersonId;
use countermand_core::notice::{Key, Kind, ReceiptState};

use super::dice::Dice;
use super::reference::Stage;
use super::rules::later;
use super::turns::{Checked, ensure};
use super::worker::WELL;
use super::world::World;

/// Each moves the clock on; retries and leases need only some.
const ROUNDS: usize = 40;

impl World<'_> {
    pub async fn drain(&mut self, dice: &mut Dice) -> Checked {
        // Senders that live on must forget nobody either.
        if dice.one_in(2) {
            while !self.workers.is_empty() {
                self.kill(0, dice);
            }
        }
        // Whatever the dead held is given up.
        self.clock.set(later(self.now(), 60));
        for node in &self.nodes {
            node.live.follow().await.unwrap();
        }
        if self.workers.is_empty() {
            self.spawn(dice.below(2));
        }
        for _ in 0..ROUNDS {
            for at in 0..self.workers.len() {
                self.turn(at, WELL).await?;
                self.ask().await?;
                self.land(at).await?;
            }
            // A node where nobody sends any more need not hear of it.
            if self.workers.iter().any(|worker| worker.node == 1) {
                self.nodes[1].live.follow().await.unwrap();
            }
            self.clock.set(later(self.now(), 3));
            let idle = self.workers.iter().all(|worker| worker.is_idle());
            if idle && self.nothing_is_left().await {
                break;
            }
        }
        self.ask().await?;
        self.inv_19_everybody_has_what_they_are_due().await?;
        self.inv_23_nobody_is_left_believing_it()?;
        self.inv_14_what_ought_to_stop_has_stopped()?;
        self.inv_28_who_was_not_reached_is_listed().await?;
        self.inv_20_finished_is_when_nothing_is_unsettled().await?;
        self.inv_01_an_index_built_anew_agrees().await?;
        if dice.one_in(8) {
            let verified = self.house.store.audit_verify().await.unwrap();
            ensure!(verified.ok, "inv_33: {verified:?}");
        }
        Ok(())
    }

    async fn nothing_is_left(&self) -> bool {
        self.house.store.unsettled(&[]).await.unwrap() == 0 && self.due_and_unclaimed().is_empty()
    }

    fn due_and_unclaimed(&self) -> Vec<Key> {
        let mut left = Vec::new();
        for order in self.model.orders.values() {
            let mut due = self.model.due(order.id, self.now());
            due.insert(Kind::Correction, order.to_correct());
            for (kind, people) in due {
                let keys = people.into_iter().map(|who| Key {
                    order: order.id,
                    person: PersonId(who),
                    kind,
                });
                left.extend(keys.filter(|key| !self.model.receipts.contains_key(key)));
            }
        }
        left
    }

    async fn inv_19_everybody_has_what_they_are_due(&self) -> Checked {
        let left = self.due_and_unclaimed();
        ensure!(left.is_empty(), "inv_19: forgotten: {left:?}");
        let unsettled = self.house.store.unsettled(&[]).await.unwrap();
        ensure!(
            unsettled == 0,
            "inv_20: {unsettled} receipts are never settled"
        );
        for (key, receipt) in &self.model.receipts {
            let order = &self.model.orders[&key.order];
            let waits = order.stage == Stage::Held || order.stopped.is_some();
            let done = receipt.state.is_settled() || (waits && receipt.held.is_none());
            ensure!(done, "inv_20: {key:?} is never settled: {receipt:?}");
        }
        Ok(())
    }

    /// By the relay's own truth, whatever the receipts say.
    fn inv_23_nobody_is_left_believing_it(&self) -> Checked {
        for (key, times) in &self.relay.in_hand {
            let correction = Key {
                kind: Kind::Correction,
                ..*key
            };
            if key.kind == Kind::Correction {
                ensure!(
                    self.model.orders[&key.order].stage == Stage::Retracted,
                    "inv_23: {key:?} corrects what stands"
                );
                continue;
            }
            ensure!(*times == 1, "inv_18: {key:?} arrived {times} times");
            let state = self
                .model
                .receipts
                .get(&correction)
                .map(|receipt| receipt.state);
            if self.model.orders[&key.order].stage == Stage::Retracted {
                ensure!(
                    self.relay.has(&correction) || state == Some(ReceiptState::Rejected),
                    "inv_23: {key:?} arrived, and its correction is {state:?}"
                );
            }
        }
        Ok(())
    }
}
