//! Notices that stop by themselves, and notices that come back: what the model has of it, and the steps.

use std::collections::BTreeSet;

use countermand::outbox::office::Office as _;
use countermand_core::actor::Actor;
use countermand_core::change::{Bounce, Change};
use countermand_core::id::{OrderId, PersonId};
use countermand_core::index::Index;
use countermand_core::notice::{Key, Kind, ReceiptState};
use jiff::Timestamp;

use super::dice::Dice;
use super::reference::{Life, Model, Stage, Who};
use super::rules::{First, HoldAt, later};
use super::turns::{Checked, ensure};
use super::world::World;

/// What a resume let pass: it stops nothing again.
#[derive(Clone, Copy, Debug)]
pub struct Passed {
    pub at: Timestamp,
    pub rejected: u64,
    pub looks_wrong: u64,
    /// Of the stop that it lifted.
    pub stopped: Option<Timestamp>,
}

impl Life {
    fn hold_at(&self) -> Option<HoldAt> {
        self.rule.stages.as_ref()?.hold_at
    }

    /// When everybody's turn comes after those who are told first.
    pub fn pauses_until(&self) -> Option<Timestamp> {
        let stages = self.rule.stages.as_ref()?;
        if stages.first == First::Nobody {
            return None;
        }
        let since = self.resumed_at.unwrap_or(self.published_at);
        let until = later(since, stages.pause);
        // What stopped in the pause begins it anew.
        let passed = self
            .let_pass
            .filter(|p| p.stopped.is_some_and(|at| at < until));
        Some(passed.map_or(until, |p| until.max(later(p.at, stages.pause))))
    }
}

impl Model {
    /// Notices that were rejected or came back, and people who say that the order looks wrong.
    pub fn against(&self, id: OrderId) -> (u64, u64) {
        let back = self.receipts.iter().filter(|(key, receipt)| {
            key.order == id
                && key.kind != Kind::Correction
                && (receipt.state == ReceiptState::Rejected || receipt.bounced)
        });
        (
            back.count() as u64,
            self.orders[&id].looks_wrong.len() as u64,
        )
    }

    /// Invariant 14.
    pub fn should_stop(&self, id: OrderId, at: Timestamp) -> bool {
        let order = &self.orders[&id];
        let Some(hold_at) = order.hold_at() else {
            return false;
        };
        if order.stage != Stage::Published || order.stopped.is_some() || !order.stands(at) {
            return false;
        }
        let (rejected, looks_wrong) = self.against(id);
        let (passed, heard) = order
            .let_pass
            .map_or((0, 0), |p| (p.rejected, p.looks_wrong));
        let told = |who: &&Who| self.told(id, **who).is_some();
        let told = self.people.keys().filter(told).count() as u64;
        let of = (told + rejected).max(order.listed.len().min(20) as u64);
        let new = rejected.saturating_sub(passed);
        hold_at
            .rejected
            .is_some_and(|share| new > 0 && new * 100 > of * share)
            || hold_at
                .looks_wrong
                .is_some_and(|limit| looks_wrong - heard >= limit)
    }
}

impl World<'_> {
    /// A sender's process asks of each whether its notices are to stop: of all that stand, or of those of
    /// which it just heard something bad.
    pub async fn suspect(&mut self, node: usize, orders: BTreeSet<OrderId>) -> Checked {
        for id in orders {
            self.stop_if_needed(node, id).await?;
        }
        Ok(())
    }

    pub fn standing(&self, node: usize) -> Vec<OrderId> {
        self.nodes[node].standing(self.now())
    }

    async fn stop_if_needed(&mut self, node: usize, id: OrderId) -> Checked {
        if self.model.orders[&id].hold_at().is_none() {
            return Ok(());
        }
        if node == 0 {
            self.nodes[0].live.follow().await.unwrap();
        }
        let version = self.house.store.version().await.unwrap();
        let is_current = self.nodes[node].live.version() == version;
        let now = self.now();
        let should = self.model.should_stop(id, now);
        let stopped = self.nodes[node].stop_if_needed(id).await.unwrap();
        ensure!(
            should || !stopped,
            "inv_14: the notices of {id} have stopped for no reason"
        );
        ensure!(
            stopped || !should || !is_current,
            "inv_14: the notices of {id} ought to stop"
        );
        if stopped {
            self.stopped(id);
        }
        Ok(())
    }

    fn stopped(&mut self, id: OrderId) {
        let now = self.now();
        self.model.order_mut(id).stopped = Some(now);
        self.touched = true;
        self.say(|| format!("the notices of {id} stop"));
    }

    /// Somebody says that the order looks wrong.
    pub async fn looks_wrong(&mut self, dice: &mut Dice) -> Checked {
        let wary = self.model.orders.values().filter(|o| {
            o.hold_at()
                .is_some_and(|hold_at| hold_at.looks_wrong.is_some())
        });
        let wary: Vec<OrderId> = wary.map(|o| o.id).collect();
        let Some(id) = dice.any(&wary).or_else(|| self.an_order(dice)) else {
            return Ok(());
        };
        let (who, now) = (dice.below(self.model.people.len()) as Who, self.now());
        let counts = self.app().looks_wrong(id, PersonId(who)).await.unwrap();
        let order = self.model.order_mut(id);
        let expected = order.stands(now) && order.looks_wrong.insert(who);
        self.say(|| format!("{who} says that {id} looks wrong: {counts}"));
        ensure!(
            counts == expected,
            "inv_14: that {who} says it counts: {counts}, not {expected}"
        );
        self.touched = true;
        if counts && self.model.should_stop(id, now) {
            self.stopped(id);
        }
        Ok(())
    }

    /// Notices come back that the relay took, and now and then one that never left.
    pub async fn bounce(&mut self, dice: &mut Dice) -> Checked {
        if self.relay.in_hand.is_empty() {
            self.deliver(dice).await?;
        }
        let arrived: Vec<Key> = self.relay.in_hand.keys().copied().collect();
        let mut keys: BTreeSet<Key> = (0..=dice.below(2))
            .filter_map(|_| dice.any(&arrived))
            .collect();
        if dice.one_in(5) {
            let all: Vec<Key> = self.model.receipts.keys().copied().collect();
            keys.extend(dice.any(&all));
        }
        if keys.is_empty() {
            return self.work(dice).await;
        }
        self.say(|| format!("comes back: {keys:?}"));
        let bounces = keys.iter().map(|key| Bounce {
            key: *key,
            attempt: None,
            words: "5.1.1".to_owned(),
        });
        let by = Actor::System("bounces".to_owned());
        self.commit(by, Change::Bounces(bounces.collect())).await;
        for key in &keys {
            if let Some(receipt) = self.model.receipts.get_mut(key) {
                let failed = [ReceiptState::Rejected, ReceiptState::Cancelled];
                receipt.bounced |= receipt.perhaps && !failed.contains(&receipt.state);
            }
        }
        // Or whoever took them in dies before it asks.
        if dice.one_in(3) {
            return Ok(());
        }
        let orders = keys.iter().map(|key| key.order).collect();
        self.suspect(0, orders).await
    }

    pub fn inv_14_what_stopped_waits_for_a_responder(&self, view: &Index) -> Checked {
        let standing = self.model.orders.values();
        for order in standing.filter(|order| order.stage != Stage::Retracted) {
            let is = view
                .order(order.id)
                .and_then(|o| o.stop())
                .map(|stop| stop.at);
            ensure!(
                is == order.stopped,
                "inv_14: stopped {is:?}, not {:?}",
                order.stopped
            );
        }
        Ok(())
    }

    pub fn inv_14_what_ought_to_stop_has_stopped(&self) -> Checked {
        for id in self.model.orders.keys() {
            ensure!(
                !self.model.should_stop(*id, self.now()),
                "inv_14: {id} goes on sending"
            );
        }
        Ok(())
    }

    /// Whoever was not reached is listed for another way.
    pub async fn inv_28_who_was_not_reached_is_listed(&self) -> Checked {
        for id in self.model.orders.keys() {
            let (count, listed) = self.house.store.unreached(*id, 0, 1_000).await.unwrap();
            let is: BTreeSet<(Kind, Who)> =
                listed.iter().map(|one| (one.kind, one.person.0)).collect();
            let failed = [ReceiptState::Rejected, ReceiptState::Unknown];
            let of = self.model.receipts.iter().filter(|(key, receipt)| {
                key.order == *id && (receipt.bounced || failed.contains(&receipt.state))
            });
            let expected: BTreeSet<(Kind, Who)> =
                of.map(|(key, _)| (key.kind, key.person.0)).collect();
            ensure!(
                is == expected && count == expected.len() as u64,
                "inv_28: not reached are {is:?}, not {expected:?}"
            );
        }
        Ok(())
    }
}
