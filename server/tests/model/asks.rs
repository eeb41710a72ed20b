//! What must hold after every step, each question by the number of its invariant.

use std::collections::{BTreeMap, BTreeSet};

use countermand::live::Live;
use countermand::outbox::transport::{Outgoing, PIPELINE_DEPTH};
use countermand::store::Claim;
use countermand_core::id::{OrderId, PersonId};
use countermand_core::index::{Index, Mode};
use countermand_core::notice::{Counts, Key, Kind, ReceiptState, plan};
use countermand_core::verdict::{Decision, Question, Verdict};
use jiff::Timestamp;
use roaring::RoaringBitmap;

use super::dice::Dice;
use super::reference::{Life, Receipt, Stage, Who};
use super::relay::header;
use super::rules::{DAY, HOUR, later};
use super::turns::{Checked, ensure};
use super::world::World;
use crate::support::app::{AUTHOR, operator};

/// The dearer questions are asked after each so manieth step.
const COUNTS_EVERY: usize = 16;
const REBUILT_EVERY: usize = 32;

/// A receipt's row: order, person, kind, state, worker, fence, attempt; and its times.
type Row = (
    String,
    u32,
    String,
    String,
    Option<String>,
    i64,
    u32,
    [Option<i64>; 4],
);

/// What a door answers.
struct Said {
    device: u32,
    question: Question,
    verdict: Verdict,
}

fn people(of: &RoaringBitmap) -> BTreeSet<Who> {
    of.iter().collect()
}

impl World<'_> {
    pub async fn ask(&mut self) -> Checked {
        self.steps += 1;
        let now = self.now();
        let said_already = !self.touched && self.asked_at == Some(now);
        if self.touched {
            self.app().live.follow().await.unwrap();
            let rows = self.receipts().await?;
            self.inv_15_receipts_are_as_the_model_has_them(&rows)?;
            self.inv_19_nobody_holds_more_than_it_may(&rows)?;
            self.inv_22_nothing_begins_after_the_retraction(&rows)?;
            self.inv_24_corrections_wait_for_what_flies(&rows)?;
            self.inv_25_what_is_settled_stays(&rows)?;
            self.inv_23_corrections_go_to_exactly_the_set(&rows).await?;
            self.before = rows;
            self.touched = false;
        }
        if !said_already {
            self.ask_of_the_view(now)?;
            self.asked_at = Some(now);
        }
        if self.steps.is_multiple_of(COUNTS_EVERY) {
            self.inv_20_finished_is_when_nothing_is_unsettled().await?;
        }
        if self.steps.is_multiple_of(REBUILT_EVERY) {
            self.inv_01_an_index_built_anew_agrees().await?;
        }
        Ok(())
    }

    fn ask_of_the_view(&self, now: Timestamp) -> Checked {
        let view = self.app().live.view();
        let said = self.verdicts(&view, now);
        self.inv_14_what_stopped_waits_for_a_responder(&view)?;
        self.inv_26_verdicts_are_those_of_the_model(&said, now)?;
        self.inv_35_nobody_is_refused_before_their_time(&view, &said, now)?;
        self.inv_10_who_is_due_is_who_is_concerned(&view, now)
    }

    /// What each device is answered, where its person comes with it.
    fn verdicts(&self, view: &Index, at: Timestamp) -> Vec<Said> {
        let mut dice = Dice(self.steps as u64);
        let said = self.model.devices.keys().map(|no| {
            let question = self.question(*no, &mut dice);
            let verdict = view.verdict(&question, at);
            Said {
                device: *no,
                question,
                verdict,
            }
        });
        said.collect()
    }

    /// As one text: a row by itself would wake this thread for itself.
    async fn receipts(&mut self) -> Result<BTreeMap<Key, Receipt>, String> {
        let at = |micros| Timestamp::from_microsecond(micros).unwrap();
        let text: String = sqlx::query_scalar("SELECT json_group_array(json_array(order_id, person, kind, state, worker, fence, attempt, json_array(not_before, settled_at, in_flight_at, bounced_at))) FROM receipt")
            .fetch_one(&mut self.house.raw)
            .await
            .unwrap();
        let rows: Vec<Row> = serde_json::from_str(&text).unwrap();
        let mut found = BTreeMap::new();
        for row in rows {
            let (order, person, kind, state, worker, fence, attempt, times) = row;
            let [not_before, settled_at, in_flight_at, bounced_at] = times;
            let key = Key {
                order: order.parse().unwrap(),
                person: PersonId(person),
                kind: kind.parse().unwrap(),
            };
            let receipt = Receipt {
                state: ReceiptState::ALL
                    .into_iter()
                    .find(|s| s.as_str() == state)
                    .unwrap(),
                held: worker.map(|by| (by, fence)),
                attempt,
                not_before: not_before.map(at).unwrap(),
                settled_at: settled_at.map(at),
                perhaps: in_flight_at.is_some(),
                bounced: bounced_at.is_some(),
            };
            ensure!(
                found.insert(key, receipt).is_none(),
                "inv_15: two receipts for {key:?}"
            );
        }
        Ok(found)
    }

    fn inv_15_receipts_are_as_the_model_has_them(&self, rows: &BTreeMap<Key, Receipt>) -> Checked {
        let seen = |receipt: &Receipt| {
            let waits = receipt.state == ReceiptState::Claimed && receipt.held.is_none();
            let not_before = waits.then_some(receipt.not_before);
            (
                receipt.state,
                receipt.held.clone(),
                receipt.attempt,
                not_before,
                receipt.settled_at,
                (receipt.perhaps, receipt.bounced),
            )
        };
        let keys: BTreeSet<&Key> = rows.keys().chain(self.model.receipts.keys()).collect();
        for key in keys {
            let (is, expected) = (rows.get(key), self.model.receipts.get(key));
            ensure!(
                is.map(seen) == expected.map(seen),
                "inv_15: the receipt of {key:?} is {is:?}, not {expected:?}"
            );
            ensure!(
                self.model.people.contains_key(&key.person.0),
                "inv_15: of nobody: {key:?}"
            );
        }
        Ok(())
    }

    fn inv_19_nobody_holds_more_than_it_may(&self, rows: &BTreeMap<Key, Receipt>) -> Checked {
        let mut held: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for receipt in rows.values() {
            if let Some((by, _)) = &receipt.held {
                let (all, flying) = held.entry(by).or_default();
                *all += 1;
                *flying += usize::from(receipt.state == ReceiptState::InFlight);
            } else {
                let flies = receipt.state == ReceiptState::InFlight;
                ensure!(!flies, "inv_18: in flight, and nobody's");
            }
        }
        for (by, (all, flying)) in held {
            ensure!(
                flying <= PIPELINE_DEPTH,
                "inv_19: {by} has {flying} in flight"
            );
            ensure!(all <= 2 * PIPELINE_DEPTH, "inv_19: {by} holds {all}");
        }
        Ok(())
    }

    fn inv_22_nothing_begins_after_the_retraction(&self, rows: &BTreeMap<Key, Receipt>) -> Checked {
        for (key, receipt) in rows {
            let order = &self.model.orders[&key.order];
            if order.stage != Stage::Retracted || key.kind == Kind::Correction {
                continue;
            }
            let flies = receipt.state == ReceiptState::InFlight;
            ensure!(
                !flies || order.flew.contains(key),
                "inv_22: {key:?} flies since the retraction"
            );
            let claimed = receipt.state == ReceiptState::Claimed;
            ensure!(!claimed, "inv_22: {key:?} is claimed after the retraction");
        }
        Ok(())
    }

    /// Asked of an order as soon as it is retracted, and whenever something of it changed since.
    async fn inv_23_corrections_go_to_exactly_the_set(
        &mut self,
        rows: &BTreeMap<Key, Receipt>,
    ) -> Checked {
        let orders = self.model.orders.values();
        for order in orders.filter(|o| o.stage == Stage::Retracted) {
            let is_of = |(key, _): &(&Key, &Receipt)| key.order == order.id;
            let same = rows
                .iter()
                .filter(is_of)
                .eq(self.before.iter().filter(is_of));
            if same && self.asked_to_correct.get(&order.id) == Some(&order.refused) {
                continue;
            }
            self.asked_to_correct
                .insert(order.id, order.refused.clone());
            let is = people(&self.house.store.to_correct(order.id).await.unwrap());
            let expected = order.to_correct();
            ensure!(
                is == expected,
                "inv_23: to be corrected are {is:?}, not {expected:?}"
            );
        }
        Ok(())
    }

    fn inv_24_corrections_wait_for_what_flies(&self, rows: &BTreeMap<Key, Receipt>) -> Checked {
        let begun = rows.keys().filter(|key| key.kind == Kind::Correction);
        for key in begun {
            ensure!(
                !self.model.flies(key),
                "inv_24: {key:?} has begun, and an earlier notice flies"
            );
        }
        Ok(())
    }

    fn inv_25_what_is_settled_stays(&self, rows: &BTreeMap<Key, Receipt>) -> Checked {
        for (key, was) in self
            .before
            .iter()
            .filter(|(_, receipt)| receipt.state.is_settled())
        {
            let is = rows.get(key).map(|receipt| receipt.state);
            ensure!(
                is == Some(was.state),
                "inv_25: {key:?} was {:?} and is {is:?}",
                was.state
            );
        }
        Ok(())
    }

    /// Of retracted orders the model's verdicts know nothing: they are as if these had never been.
    fn inv_26_verdicts_are_those_of_the_model(&self, said: &[Said], at: Timestamp) -> Checked {
        for one in said {
            let (question, verdict) = (&one.question, &one.verdict);
            let expected = self.model.decision(one.device, at);
            ensure!(
                verdict.decision == expected,
                "inv_26: {question:?} gets {:?}, not {expected:?}: {:?}",
                verdict.decision,
                verdict.because
            );
        }
        Ok(())
    }

    fn inv_35_nobody_is_refused_before_their_time(
        &self,
        view: &Index,
        said: &[Said],
        at: Timestamp,
    ) -> Checked {
        for order in self.model.orders.values() {
            for who in self.model.people.keys() {
                let (told, expected) = (
                    view.told(order.id, PersonId(*who)),
                    self.model.told(order.id, *who),
                );
                ensure!(
                    told == expected,
                    "inv_35: {who} was told {told:?}, not {expected:?}"
                );
            }
        }
        for one in said {
            let device = &self.model.devices[&one.device];
            let reasons = one.verdict.because.iter();
            for reason in reasons.filter(|r| r.decision == Decision::Deny) {
                let order = &self.model.orders[&reason.order];
                let from = self.model.refuses_from(order, device.owner);
                ensure!(
                    from.is_some_and(|from| from <= at),
                    "inv_35: {reason:?} before {from:?}"
                );
                ensure!(
                    order.stage == Stage::Published,
                    "inv_36: {reason:?} of an order that is not in force"
                );
            }
        }
        Ok(())
    }

    fn inv_10_who_is_due_is_who_is_concerned(&self, view: &Index, at: Timestamp) -> Checked {
        for order in self.model.orders.values() {
            let certain = order.refused.iter().filter(|(_, certain)| **certain);
            let refused: RoaringBitmap = certain.map(|(who, _)| *who).collect();
            let due = plan::due(view, order.id, &refused, at);
            let is: BTreeMap<Kind, BTreeSet<Who>> = due
                .into_iter()
                .map(|due| (due.kind, people(&due.people)))
                .collect();
            let expected = self.model.due(order.id, at);
            let number = match order.stage {
                Stage::Published if order.stopped.is_some() => 14,
                Stage::Published if order.rule.stages.is_some() => 12,
                Stage::Published => 10,
                Stage::Held => 36,
                Stage::Retracted => 31,
            };
            ensure!(
                is == expected,
                "inv_{number}: due are {is:?}, not {expected:?}"
            );
        }
        Ok(())
    }

    pub async fn inv_20_finished_is_when_nothing_is_unsettled(&self) -> Checked {
        let now = self.now();
        let model = &self.model;
        let counts = |order: &Life, corrections, planned| {
            let mut counts = Counts {
                planned,
                ..Counts::default()
            };
            for state in ReceiptState::ALL {
                counts.add(state, model.count(order.id, corrections, state));
            }
            counts.bounced = model.bounced(order.id, corrections);
            counts
        };
        for order in model.orders.values() {
            let shown = self
                .app()
                .show(&operator(AUTHOR), &order.id.to_string())
                .await
                .unwrap();
            let waiting = model.waiting(order.id, now);
            let planned = waiting
                .iter()
                .map(|(kind, who)| model.unclaimed(order.id, *kind, who))
                .sum();
            let mut notices = counts(order, false, planned);
            if let Some(retraction) = shown.order.retraction() {
                notices.cancelled += retraction.answer.unclaimed;
            }
            let to_correct = order.to_correct();
            let planned = model.unclaimed(order.id, Kind::Correction, &to_correct);
            let corrections = counts(order, true, planned);
            ensure!(
                shown.notices == notices,
                "inv_20: shown are {:?}, not {notices:?}",
                shown.notices
            );
            ensure!(
                shown.corrections == corrections,
                "inv_20: shown are corrections {:?}, not {corrections:?}",
                shown.corrections
            );
            let unsettled = corrections.planned + corrections.claimed + corrections.in_flight;
            ensure!(
                shown.corrections.is_finished() == (unsettled == 0),
                "inv_20: finished with {unsettled} corrections unsettled"
            );
        }
        Ok(())
    }

    pub async fn inv_01_an_index_built_anew_agrees(&self) -> Checked {
        let policy = Default::default();
        let clock = self.clock.clone();
        let anew = Live::open(self.house.store.clone(), clock, policy, Mode::Enforce)
            .await
            .unwrap();
        let (anew, view, now) = (anew.view(), self.app().live.view(), self.now());
        for at in [now, later(now, HOUR), later(now, DAY)] {
            let said = self.verdicts(&anew, at);
            for (a, b) in said.iter().zip(self.verdicts(&view, at)) {
                let (a, b) = (&a.verdict, &b.verdict);
                ensure!(a == b, "inv_01: built anew {a:?}, followed {b:?}");
            }
            for id in self.model.orders.keys() {
                ensure!(
                    anew.to_tell(*id, at) == view.to_tell(*id, at)
                        && anew.to_remind(*id, at) == view.to_remind(*id, at)
                        && anew.standing(*id, at) == view.standing(*id, at)
                        && anew.order(*id) == view.order(*id),
                    "inv_01: order {id} is not the same built anew"
                );
            }
            self.inv_26_verdicts_are_those_of_the_model(&said, at)?;
            self.inv_35_nobody_is_refused_before_their_time(&anew, &said, at)?;
        }
        let (people, devices) = (
            anew.people().eq(view.people()),
            anew.devices().eq(view.devices()),
        );
        ensure!(
            people && devices,
            "inv_01: people or devices are not the same built anew"
        );
        Ok(())
    }

    /// Asked as the first byte of a message leaves.
    pub fn on_the_wire(
        &self,
        worker: &str,
        node: usize,
        claim: &Claim,
        mail: &Outgoing,
    ) -> Checked {
        let (key, now) = (claim.key, self.now());
        let order = &self.model.orders[&key.order];
        let who = key.person.0;
        let is_held = |r: &Receipt| r.held == Some((worker.to_owned(), claim.fence));
        let receipt = self.before.get(&key);
        ensure!(
            receipt.is_some_and(|r| r.state == ReceiptState::InFlight && is_held(r)),
            "inv_16: {key:?} leaves, and on disk it is {receipt:?}"
        );
        let correction = key.kind == Kind::Correction;
        if !correction {
            let times = self.relay.perhaps.get(&key).copied().unwrap_or_default();
            ensure!(
                times == 0,
                "inv_18: {key:?} was in DATA already, and perhaps taken"
            );
            ensure!(
                order.stage != Stage::Retracted || order.flew.contains(&key),
                "inv_22: {key:?} leaves after the retraction"
            );
            ensure!(
                !order.is_too_late(key.kind, now),
                "inv_31: {key:?} leaves too late"
            );
        } else {
            ensure!(
                order.to_correct().contains(&who),
                "inv_23: {key:?} corrects who needs none"
            );
            ensure!(
                !self.model.flies(&key),
                "inv_24: {key:?} leaves while an earlier notice flies"
            );
            let view = self.nodes[node].live.view();
            let knows = view
                .order(key.order)
                .is_some_and(|o| o.retraction().is_some());
            ensure!(
                knows,
                "inv_29: {key:?} is written by who has not heard of the retraction"
            );
            drop(view);
            let view = self.app().live.view();
            let is: BTreeSet<OrderId> = view
                .still_forbidden(key.order, key.person, now)
                .into_iter()
                .collect();
            let expected = self.model.still_forbidden(key.order, who, now);
            ensure!(
                is == expected,
                "inv_23: still forbidden by {is:?}, not {expected:?}"
            );
        }
        // Whom a stale view names is who it was a moment ago.
        if node == 0 {
            let person = &self.model.people[&who];
            ensure!(
                mail.to() == person.email,
                "inv_15: {key:?} goes to {}, not {}",
                mail.to(),
                person.email
            );
        }
        let answers = header(mail, "In-Reply-To");
        let expected = match key.kind {
            Kind::Order => BTreeSet::new(),
            _ => self.model.answerable(&key),
        };
        match answers {
            None => ensure!(
                expected.is_empty(),
                "inv_29: {key:?} answers none of {expected:?}"
            ),
            Some(id) => {
                let mut ids = expected
                    .iter()
                    .map(|kind| Key { kind: *kind, ..key }.message_id("corp.test"));
                ensure!(
                    ids.any(|known| id == format!("<{known}>")),
                    "inv_29: {key:?} answers {id}"
                );
            }
        }
        Ok(())
    }
}
