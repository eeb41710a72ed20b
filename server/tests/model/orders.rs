//! What authors, approvers and responders do, by the use cases; and what a stray hand tries.

use std::collections::{BTreeMap, BTreeSet};

use countermand_core::catalogue::Catalogue;
use countermand_core::change::{Change, Step as OrderStep};
use countermand_core::id::OrderId;
use countermand_core::order::when::When;
use countermand_core::order::{Approval, Order, OrderFile, Pins, Revision, approval_digest};
use uuid::Uuid;

use super::dice::Dice;
use super::reference::{Life, Stage};
use super::rules::{DAY, HOUR, MINUTE, Rule, later};
use super::turns::{Checked, ensure};
use super::world::World;
use crate::support::app::{APPROVER, AUTHOR, RESPONDER, operator};

use super::steps::What;
use super::stops::Passed;

impl World<'_> {
    pub async fn publish(&mut self, dice: &mut Dice) -> Checked {
        let now = self.now();
        let rule = Rule::draw(dice, now);
        let number = self.model.orders.len() + 1;
        let text = rule.text(&format!("Order {number}"));
        let order = if dice.one_in(6) {
            self.publish_step_by_step(&text).await
        } else {
            self.publish_at_once(&text, number).await
        };
        let names = |groups: &BTreeSet<&str>| {
            rule.groups.iter().any(|g| groups.contains(g))
                && rule.except.is_none_or(|g| !groups.contains(g))
        };
        let people = self
            .model
            .people
            .iter()
            .filter(|(_, person)| names(&person.groups));
        let listed: BTreeSet<u32> = people.map(|(who, _)| *who).collect();
        let is: BTreeSet<u32> = order
            .published()
            .unwrap()
            .approval
            .audience
            .0
            .iter()
            .collect();
        ensure!(is == listed, "inv_10: the list is {is:?}, not {listed:?}");
        self.say(|| format!("order {number} is {}: {rule:?}", order.id));
        let life = Life {
            id: order.id,
            comply_by: rule.comply_by,
            rule,
            stage: Stage::Published,
            listed,
            published_at: now,
            resumed_at: None,
            stopped: None,
            let_pass: None,
            looks_wrong: BTreeSet::new(),
            refused: BTreeMap::new(),
            attested: BTreeMap::new(),
            reached: BTreeSet::new(),
            flew: BTreeSet::new(),
            answer: None,
        };
        self.model.orders.insert(order.id, life);
        Ok(())
    }

    /// As console and command line do it.
    pub async fn publish_step_by_step(&mut self, text: &str) -> Order {
        let (app, author, approver) = (self.app(), operator(AUTHOR), operator(APPROVER));
        let order = app.draft(&author, text).await.unwrap();
        let id = order.id.to_string();
        app.submit(&author, &id).await.unwrap();
        app.approve(&approver, &id, None).await.unwrap();
        let order = app.publish(&author, &id).await.unwrap();
        self.touched = true;
        order
    }

    /// The same order in one commit: reading and rendering are not in question here.
    pub async fn publish_at_once(&mut self, text: &str, number: usize) -> Order {
        let now = self.now();
        let file = OrderFile::parse(text).unwrap();
        let catalogue = Catalogue::embedded();
        let apps = catalogue.resolve(&file.forbid.apps, &[], &[]).unwrap();
        let pins = Pins::resolve(catalogue.version(), apps, &file.forbid.versions);
        let revision = Revision::new(1, AUTHOR, now, text, file, pins);
        let order = Order::draft(
            OrderId(Uuid::from_u128(0x0197 << 64 | number as u128)),
            revision,
        );
        let audience = self.app().live.view().audience(&order).unwrap();
        let digest = approval_digest(&order.revision.hash, &audience);
        let approval = Approval {
            by: APPROVER.to_owned(),
            at: now,
            digest,
            audience,
        };
        let order = order
            .submit(AUTHOR, now)
            .and_then(|order| order.approve(approval, &BTreeSet::new()))
            .and_then(|order| order.publish(AUTHOR, now))
            .unwrap();
        let change = Change::Order {
            order: Box::new(order.clone()),
            was: None,
            step: OrderStep::Publish,
            details: serde_json::json!({}),
        };
        self.commit(operator(AUTHOR), change).await;
        order
    }

    /// An order that comes to nothing: nobody may hear of it.
    pub async fn wander(&mut self, dice: &mut Dice) -> Checked {
        let text = Rule::draw(dice, self.now()).text("Never published");
        let (app, author, approver) = (self.app(), operator(AUTHOR), operator(APPROVER));
        let id = app.draft(&author, &text).await.unwrap().id.to_string();
        ensure!(
            app.publish(&author, &id).await.is_err(),
            "inv_08: published without approval"
        );
        app.submit(&author, &id).await.unwrap();
        ensure!(
            app.approve(&author, &id, None).await.is_err(),
            "inv_08: approved by its author"
        );
        if dice.one_in(2) {
            app.approve(&approver, &id, None).await.unwrap();
            app.withdraw(&author, &id).await.unwrap();
            if dice.one_in(2) {
                app.revise(&author, &id, &text.replace("may keep", "can keep"))
                    .await
                    .unwrap();
            }
            app.submit(&author, &id).await.unwrap();
            ensure!(
                app.publish(&author, &id).await.is_err(),
                "inv_07: a withdrawn approval holds"
            );
        }
        ensure!(
            app.retract(&operator(RESPONDER), &id, "r").await.is_err(),
            "inv_30: retracted unpublished"
        );
        self.touched = true;
        Ok(())
    }

    pub fn an_order(&self, dice: &mut Dice) -> Option<OrderId> {
        let all: Vec<OrderId> = self.model.orders.keys().copied().collect();
        dice.any(&all)
    }

    pub async fn respond(&mut self, what: What, dice: &mut Dice) -> Checked {
        // What was tried before and is claimed again is the rarest to meet a hold.
        let again = self.model.receipts.iter().filter(|(key, receipt)| {
            receipt.attempt > 0
                && receipt.held.is_some()
                && self.model.orders[&key.order].stage == Stage::Published
        });
        let again: Vec<OrderId> = again.map(|(key, _)| key.order).collect();
        // Of what a resume lifts, a stop is the rarest.
        let stopped = self.model.orders.values().filter(|order| {
            what == What::Resume && order.stopped.is_some() && order.stage != Stage::Retracted
        });
        let stopped: Vec<OrderId> = stopped.map(|order| order.id).collect();
        let likely = if stopped.is_empty() { again } else { stopped };
        let Some(id) = dice.any(&likely).or_else(|| self.an_order(dice)) else {
            return Ok(());
        };
        let (now, by, text) = (self.now(), operator(RESPONDER), id.to_string());
        let (rejected, looks_wrong) = self.model.against(id);
        let app = &self.nodes[usize::from(dice.one_in(4))];
        let order = self.model.order_mut(id);
        let stood = order.stage;
        self.touched = true;
        let (done, may) = match what {
            What::Hold => {
                let done = app.hold(&by, &text, "wait").await;
                (done, stood == Stage::Published)
            }
            What::Resume => {
                let stopped = stood == Stage::Published && order.stopped.is_some();
                let done = app.resume(&by, &text).await;
                (done, stood == Stage::Held || stopped)
            }
            _ => {
                let to = later(
                    order.comply_by,
                    dice.pick(&[-HOUR, 0, MINUTE, 2 * HOUR, DAY]),
                );
                let done = app.extend(&by, &text, &When::new(to, None)).await;
                let may = stood != Stage::Retracted && to > order.comply_by;
                if may {
                    order.comply_by = to;
                }
                (done, may)
            }
        };
        ensure!(
            done.is_ok() == may,
            "inv_36: {what:?} of {stood:?}: {:?}",
            done.err()
        );
        if may && what == What::Hold {
            order.stage = Stage::Held;
        } else if may && what == What::Resume {
            let passed = Passed {
                at: now,
                rejected,
                looks_wrong,
                stopped: order.stopped.take(),
            };
            order.let_pass = Some(passed);
            // Its refusals never stopped where only its notices did.
            if stood == Stage::Held {
                order.resumed_at = Some(now);
            }
            order.stage = Stage::Published;
        }
        Ok(())
    }

    pub async fn retract(&mut self, dice: &mut Dice) -> Checked {
        let Some(id) = self.an_order(dice) else {
            return Ok(());
        };
        let (now, by) = (self.now(), operator(RESPONDER));
        let node = usize::from(dice.one_in(4));
        let version = self.house.store.version().await.unwrap();
        let done = self.nodes[node]
            .retract(&by, &id.to_string(), "sent in error")
            .await;
        self.touched = true;
        let is = done.map_err(|error| format!("inv_21: {error}"))?;
        if let Some(answer) = self.model.orders[&id].answer {
            let same = version == self.house.store.version().await.unwrap();
            ensure!(same, "inv_30: retracted twice, committed twice");
            ensure!(
                is.corrections_planned == answer.corrections && is.in_flight == answer.in_flight,
                "inv_30: the second time it answers {is:?}, not {answer:?}"
            );
            return Ok(());
        }
        let expected = self.model.retract(id, now);
        self.say(|| format!("retraction of {id}: {is:?}"));
        let certain = (
            is.in_flight,
            is.accepted,
            is.unknown,
            is.corrections_planned,
        );
        let counted = (
            expected.in_flight,
            expected.accepted,
            expected.unknown,
            expected.corrections,
        );
        ensure!(
            certain == counted,
            "inv_22: the answer is {is:?}, not {expected:?}"
        );
        if node == 0 {
            // From a view that is behind, these two are only as good as the view.
            let certain = (is.cancelled, is.devices_restored);
            ensure!(
                certain == (expected.cancelled, expected.restored),
                "inv_22: the answer is {is:?}, not {expected:?}"
            );
        }
        Ok(())
    }

    pub async fn stray(&mut self) -> Checked {
        let version = self.house.store.version().await.unwrap();
        let (app, by) = (self.app(), operator(RESPONDER));
        for id in [
            Uuid::from_u128(99).to_string(),
            "QQQQ".to_owned(),
            String::new(),
        ] {
            ensure!(
                app.retract(&by, &id, "r").await.is_err(),
                "inv_30: «{id}» was retracted"
            );
        }
        if let Some(id) = self.model.orders.keys().next() {
            let done = app.retract(&operator(AUTHOR), &id.to_string(), "r").await;
            ensure!(done.is_err(), "inv_21: an author retracted");
        }
        let same = version == self.house.store.version().await.unwrap();
        ensure!(same, "inv_30: an id that fits nothing changed something");
        Ok(())
    }
}
