//! People, devices, exemptions and attestations change, and people come to doors.

use std::collections::BTreeSet;

use countermand_core::actor::Actor;
use countermand_core::change::{Change, Refusal};
use countermand_core::exemption::{self, Attestation, Exemption};
use countermand_core::id::{DeviceId, ExemptionId, OrderId, PersonId};
use countermand_core::verdict::Decision;
use uuid::Uuid;

use super::dice::Dice;
use super::reference::{Exempted, Leave};
use super::rules::{App, DAY, GROUPS, HOUR, MINUTE, later};
use super::turns::{Checked, ensure};
use super::world::{START, World};
use crate::support::app::{APPROVER, AUTHOR, operator, time};

impl World<'_> {
    pub fn some_apps(&self, dice: &mut Dice) -> Option<BTreeSet<App>> {
        (!dice.one_in(5)).then(|| App::ALL.into_iter().filter(|_| dice.one_in(2)).collect())
    }

    /// As a process sees it: one that is cut off goes on refusing for an order that was taken back.
    pub fn refused_devices(&self, node: usize) -> Vec<u32> {
        let (view, now) = (self.nodes[node].live.view(), self.now());
        let denies = |no: &&u32| {
            let question = self.question(**no, &mut Dice(0));
            view.verdict(&question, now).decision == Decision::Deny
        };
        self.model.devices.keys().filter(denies).copied().collect()
    }

    /// To the first moment from which somebody may be refused.
    pub fn leap_to_refusals(&mut self) {
        let (now, end) = (self.now(), later(time(START), 10 * DAY));
        let mut first = None;
        for order in self.model.orders.values().filter(|order| order.stands(now)) {
            let people = self.model.people.keys();
            let from = people.filter_map(|who| self.model.refuses_from(order, *who));
            first = from.chain(first).filter(|at| now < *at && *at < end).min();
        }
        if let Some(at) = first {
            self.clock.set(at);
        }
    }

    /// Somebody comes to a door, of either process.
    pub async fn door(&mut self, dice: &mut Dice) -> Checked {
        let node = usize::from(dice.one_in(2));
        let mut refused = self.refused_devices(node);
        if refused.is_empty() && dice.one_in(2) {
            self.leap_to_refusals();
            refused = self.refused_devices(node);
        }
        let now = self.now();
        let any = dice.below(self.model.devices.len()) as u32;
        let no = dice
            .any(&refused)
            .filter(|_| !dice.one_in(4))
            .unwrap_or(any);
        let (question, certain) = (self.question(no, dice), dice.one_in(2));
        let verdict = self.nodes[node].live.view().verdict(&question, now);
        let refuses = verdict
            .because
            .iter()
            .filter(|r| r.decision == Decision::Deny);
        let orders: BTreeSet<OrderId> = refuses.map(|r| r.order).collect();
        if node == 0 {
            let expected = self.model.refusing(no, now);
            ensure!(
                orders == expected,
                "inv_03: refused by {orders:?}, not {expected:?}"
            );
        }
        if orders.is_empty() {
            return Ok(());
        }
        let who = self.model.devices[&no].owner;
        self.say(|| format!("{who} is refused by {orders:?} (certain {certain}, node {node})"));
        let refusal = Refusal {
            fingerprint: verdict.fingerprint(&question, certain),
            at: now,
            person: verdict.person,
            certain,
            missing: None,
            orders: orders.clone(),
            known: "{}".to_owned(),
        };
        self.commit(
            Actor::System("gate".to_owned()),
            Change::Refusals(vec![refusal]),
        )
        .await;
        for id in orders {
            *self.model.order_mut(id).refused.entry(who).or_default() |= certain;
        }
        Ok(())
    }

    /// A new address; the old ones go on to name the same person.
    pub async fn rename(&mut self, dice: &mut Dice) {
        let who = dice.below(self.model.people.len()) as u32;
        let mut person = self.model.people[&who].clone();
        let known = person.email.clone();
        self.made += 1;
        let fresh = format!("p{who}.{}@corp.test", self.made);
        let aliases: Vec<String> = person.aliases.iter().cloned().collect();
        person.email = match dice.any(&aliases) {
            Some(alias) if dice.one_in(2) => alias,
            _ => fresh,
        };
        person.aliases.insert(known.clone());
        person.aliases.remove(&person.email);
        let mut row = person.clone();
        // The list names one of the old addresses, not all.
        row.aliases = [known].into();
        self.list(&row).await;
        self.model.people.insert(who, person);
    }

    pub async fn attest(&mut self, dice: &mut Dice) {
        let Some(order) = self.an_order(dice) else {
            return;
        };
        let (who, at) = (dice.below(self.model.people.len()) as u32, self.now());
        let attestation = Attestation {
            order,
            person: PersonId(who),
            at,
        };
        self.commit(
            Actor::Person("self".to_owned()),
            Change::Attestation(attestation),
        )
        .await;
        self.model.order_mut(order).attested.insert(who, at);
    }

    pub async fn exempt(&mut self, dice: &mut Dice) {
        let now = self.now();
        let open: Vec<ExemptionId> = self
            .model
            .leaves
            .iter()
            .filter(|(_, leave)| leave.ended_at.is_none())
            .map(|(id, _)| *id)
            .collect();
        if let Some(id) = dice.any(&open)
            && dice.one_in(2)
        {
            let was = self
                .app()
                .live
                .view()
                .exemptions()
                .find(|e| e.id == id)
                .cloned()
                .unwrap();
            let (mut next, by) = (was.clone(), (APPROVER.to_owned(), now));
            let leave = self.model.leaves.get_mut(&id).unwrap();
            if was.approved.is_none() {
                (next.approved, leave.approved_at) = (Some(by), Some(now));
            } else {
                (next.ended, leave.ended_at) = (Some(by), Some(now));
            }
            self.put_exemption(Some(was), next).await;
            return;
        }
        self.made += 1;
        let id = ExemptionId(Uuid::from_u128(0x0298 << 64 | self.made as u128));
        let leave = Leave {
            order: self.an_order(dice).filter(|_| !dice.one_in(3)),
            who: match dice.below(3) {
                0 => Exempted::Person(dice.below(self.model.people.len()) as u32),
                1 => Exempted::Group(dice.pick(&GROUPS)),
                _ => Exempted::Device(dice.below(self.model.devices.len()) as u32),
            },
            until: later(now, dice.pick(&[10 * MINUTE, 6 * HOUR, 2 * DAY])),
            approved_at: (!dice.one_in(3)).then_some(now),
            ended_at: None,
        };
        let exemption = Exemption {
            id,
            order: leave.order,
            who: match leave.who {
                Exempted::Person(who) => exemption::Exempted::Person(PersonId(who)),
                Exempted::Group(group) => exemption::Exempted::Group(group.to_owned()),
                Exempted::Device(no) => exemption::Exempted::Device(DeviceId(no)),
            },
            reason: "r".to_owned(),
            until: leave.until,
            asked_by: AUTHOR.to_owned(),
            asked_at: now,
            approved: leave.approved_at.map(|at| (APPROVER.to_owned(), at)),
            ended: None,
        };
        self.put_exemption(None, exemption).await;
        self.model.leaves.insert(id, leave);
    }

    pub async fn put_exemption(&mut self, was: Option<Exemption>, exemption: Exemption) {
        let change = Change::Exemption {
            was: was.map(Box::new),
            exemption,
            step: "put",
        };
        self.commit(operator(APPROVER), change).await;
    }
}
