//! The reference model: design.md and invariants.md as plain maps and loops, with no database and no
//! index. Of the product it takes only words (kinds, states, decisions), never a rule.

use std::collections::{BTreeMap, BTreeSet};

use countermand_core::fleet::DeviceKey;
use countermand_core::id::{ExemptionId, OrderId, PersonId};
use countermand_core::notice::{Key, Kind, ReceiptState, plan};
use countermand_core::order::file::UnknownPolicy;
use countermand_core::verdict::Decision;
use jiff::Timestamp;

use super::rules::{App, DAY, First, Rule, later};
use super::stops::Passed;

pub type Who = u32;

/// How long a person's word counts: `attest_for` left at its default.
const ATTEST_FOR: i64 = 30 * DAY;

#[derive(Clone, Debug)]
pub struct Person {
    pub email: String,
    pub aliases: BTreeSet<String>,
    pub groups: BTreeSet<&'static str>,
}

#[derive(Clone, Debug)]
pub struct Device {
    pub owner: Who,
    pub key: DeviceKey,
    pub is_laptop: bool,
    /// `None`: its apps can't be seen.
    pub apps: Option<BTreeSet<App>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    Published,
    Held,
    Retracted,
}

/// An order that was published.
#[derive(Clone, Debug)]
pub struct Life {
    pub id: OrderId,
    pub rule: Rule,
    pub stage: Stage,
    pub listed: BTreeSet<Who>,
    pub published_at: Timestamp,
    pub comply_by: Timestamp,
    pub resumed_at: Option<Timestamp>,
    /// Its notices stopped by themselves, and wait.
    pub stopped: Option<Timestamp>,
    pub let_pass: Option<Passed>,
    pub looks_wrong: BTreeSet<Who>,
    /// Whom a door refused because of it; true where it was certain who that was.
    pub refused: BTreeMap<Who, bool>,
    pub attested: BTreeMap<Who, Timestamp>,
    /// Since the retraction: who had a notice, or may have, at its commit.
    pub reached: BTreeSet<Who>,
    /// Notices in flight at that commit.
    pub flew: BTreeSet<Key>,
    pub answer: Option<Answer>,
}

/// What a retraction answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    pub cancelled: u64,
    pub in_flight: u64,
    pub accepted: u64,
    pub unknown: u64,
    pub corrections: u64,
    pub restored: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exempted {
    Person(Who),
    Group(&'static str),
    Device(u32),
}

#[derive(Clone, Debug)]
pub struct Leave {
    pub order: Option<OrderId>,
    pub who: Exempted,
    pub until: Timestamp,
    pub approved_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receipt {
    pub state: ReceiptState,
    /// Who holds it, under which fence.
    pub held: Option<(String, i64)>,
    pub attempt: u32,
    /// Of what waits: not before then.
    pub not_before: Timestamp,
    pub settled_at: Option<Timestamp>,
    /// It left, or may have.
    pub perhaps: bool,
    pub bounced: bool,
}

/// What an order knows of a device.
#[derive(PartialEq, Eq)]
enum Known {
    Present,
    Absent,
    Unknown,
}

#[derive(Clone, Debug, Default)]
pub struct Model {
    pub people: BTreeMap<Who, Person>,
    pub devices: BTreeMap<u32, Device>,
    pub orders: BTreeMap<OrderId, Life>,
    pub leaves: BTreeMap<ExemptionId, Leave>,
    pub receipts: BTreeMap<Key, Receipt>,
    pub doors_open: bool,
    /// Until when each worker lives.
    pub leases: BTreeMap<String, Timestamp>,
}

impl Life {
    pub fn has_ended(&self, at: Timestamp) -> bool {
        self.rule.expires.is_some_and(|end| end <= at)
    }

    pub fn stands(&self, at: Timestamp) -> bool {
        self.stage != Stage::Retracted && self.published_at <= at && !self.has_ended(at)
    }

    /// Whether its state lets notices of that kind begin.
    pub fn lets_begin(&self, kind: Kind) -> bool {
        match kind {
            Kind::Correction => self.stage == Stage::Retracted,
            _ => self.stage == Stage::Published && self.stopped.is_none(),
        }
    }

    fn names(&self, person: &Person) -> bool {
        self.rule.groups.iter().any(|g| person.groups.contains(g))
            && self.rule.except.is_none_or(|g| !person.groups.contains(g))
    }

    fn knows(&self, device: &Device) -> Known {
        match &device.apps {
            None => Known::Unknown,
            Some(apps) if apps.is_disjoint(&self.rule.forbids) => Known::Absent,
            Some(_) => Known::Present,
        }
    }

    /// Exactly these get the correction (invariant 23).
    pub fn to_correct(&self) -> BTreeSet<Who> {
        if self.stage != Stage::Retracted {
            return BTreeSet::new();
        }
        self.reached
            .iter()
            .chain(self.refused.keys())
            .copied()
            .collect()
    }

    /// Too late for a notice of that kind: a reminder after the deadline, any notice after the end.
    pub fn is_too_late(&self, kind: Kind, at: Timestamp) -> bool {
        match kind {
            Kind::Correction => false,
            Kind::Reminder(_) => self.comply_by <= at || self.has_ended(at),
            _ => self.has_ended(at),
        }
    }
}

impl Model {
    pub fn devices_of(&self, who: Who) -> impl Iterator<Item = (u32, &Device)> {
        self.devices
            .iter()
            .filter(move |(_, d)| d.owner == who)
            .map(|(no, d)| (*no, d))
    }

    fn is_left_out(
        &self,
        order: OrderId,
        who: Option<Who>,
        device: Option<u32>,
        at: Timestamp,
    ) -> bool {
        self.leaves.values().any(|leave| {
            let is_them = match leave.who {
                Exempted::Person(person) => who == Some(person),
                Exempted::Group(group) => {
                    who.is_some_and(|w| self.people[&w].groups.contains(group))
                }
                Exempted::Device(no) => device == Some(no),
            };
            is_them
                && leave.order.is_none_or(|o| o == order)
                && leave.approved_at.is_some_and(|since| since <= at)
                && at < leave.until
                && leave.ended_at.is_none_or(|end| at < end)
        })
    }

    /// When a notice of any kind was first accepted that did not come back.
    pub fn told(&self, order: OrderId, who: Who) -> Option<Timestamp> {
        let of = self.receipts.iter().filter(|(key, receipt)| {
            key.order == order
                && key.person.0 == who
                && key.kind != Kind::Correction
                && receipt.state == ReceiptState::Accepted
                && !receipt.bounced
        });
        of.filter_map(|(_, receipt)| receipt.settled_at).min()
    }

    /// The first moment at which the order may refuse that person (invariant 35).
    pub fn refuses_from(&self, order: &Life, who: Who) -> Option<Timestamp> {
        let mut from = order.comply_by;
        match self.told(order.id, who) {
            Some(told) if order.listed.contains(&who) => {
                from = from.max(later(told, order.rule.min_notice));
            }
            Some(told) => from = from.max(later(told, order.rule.late_grace)),
            None if order.rule.enforce_untold => {}
            None => return None,
        }
        if let Some(resumed) = order.resumed_at {
            from = from.max(later(resumed, order.rule.min_notice));
        }
        Some(from)
    }

    /// What one order says of one person's device, and whether it has seen the app there.
    fn speak(&self, order: &Life, who: Who, no: u32, at: Timestamp) -> (Decision, bool) {
        let (person, device) = (&self.people[&who], &self.devices[&no]);
        if !order.stands(at)
            || !order.names(person)
            || device.is_laptop
            || self.is_left_out(order.id, Some(who), Some(no), at)
        {
            return (Decision::Allow, false);
        }
        let enforces = self.refuses_from(order, who).is_some_and(|from| from <= at);
        let word = order
            .attested
            .get(&who)
            .is_some_and(|since| at < later(*since, ATTEST_FOR));
        let known = order.knows(device);
        let decision = match (&known, enforces, order.rule.invisible) {
            (Known::Absent, ..) => Decision::Allow,
            (Known::Present, true, _) => Decision::Deny,
            (Known::Present, false, _) => Decision::Warn,
            (Known::Unknown, false, _) => Decision::Allow,
            (Known::Unknown, true, UnknownPolicy::Allow) => Decision::Allow,
            (Known::Unknown, true, UnknownPolicy::Warn) => Decision::Warn,
            (Known::Unknown, true, UnknownPolicy::Attest) if word => Decision::Allow,
            (Known::Unknown, true, _) => Decision::Deny,
        };
        let softens = order.stage == Stage::Held || order.rule.observe;
        let decision = if softens {
            decision.min(Decision::Warn)
        } else {
            decision
        };
        (decision, known == Known::Present)
    }

    /// The answer to a door where the person asks with their own device.
    pub fn decision(&self, no: u32, at: Timestamp) -> Decision {
        if self.doors_open {
            return Decision::Allow;
        }
        let who = self.devices[&no].owner;
        let said = self.orders.values().map(|o| self.speak(o, who, no, at).0);
        said.max().unwrap_or(Decision::Allow)
    }

    /// The orders that refuse there.
    pub fn refusing(&self, no: u32, at: Timestamp) -> BTreeSet<OrderId> {
        let who = self.devices[&no].owner;
        let refuses =
            |o: &&Life| !self.doors_open && self.speak(o, who, no, at).0 == Decision::Deny;
        self.orders.values().filter(refuses).map(|o| o.id).collect()
    }

    /// Other orders that forbid that person an app which they have.
    pub fn still_forbidden(&self, order: OrderId, who: Who, at: Timestamp) -> BTreeSet<OrderId> {
        let others = self.orders.values().filter(|o| o.id != order);
        let forbids = |o: &&Life| {
            self.devices_of(who)
                .any(|(no, _)| self.speak(o, who, no, at).1)
        };
        others.filter(forbids).map(|o| o.id).collect()
    }

    /// In scope, not left out, and with a device that `fits` (or everyone is told).
    fn concerned(
        &self,
        order: &Life,
        at: Timestamp,
        fits: impl Fn(Known) -> bool,
    ) -> BTreeSet<Who> {
        let is_concerned = |who: Who, person: &Person| {
            order.names(person)
                && !self.is_left_out(order.id, Some(who), None, at)
                && (order.rule.everyone
                    || self.devices_of(who).any(|(no, device)| {
                        !device.is_laptop
                            && !self.is_left_out(order.id, None, Some(no), at)
                            && fits(order.knows(device))
                    }))
        };
        let people = self
            .people
            .iter()
            .filter(|(who, person)| is_concerned(**who, person));
        people.map(|(who, _)| *who).collect()
    }

    /// Whom a notice of which kind waits for, receipts or not: those too that wait for a resume or for the
    /// canary's pause to end.
    pub fn waiting(&self, id: OrderId, at: Timestamp) -> BTreeMap<Kind, BTreeSet<Who>> {
        let order = &self.orders[&id];
        let mut all = BTreeMap::new();
        if !order.stands(at) {
            return all;
        }
        let certain = order.refused.iter().filter(|(_, certain)| **certain);
        all.insert(Kind::Blocked, certain.map(|(who, _)| *who).collect());
        all.insert(
            Kind::Order,
            self.concerned(order, at, |known| known != Known::Absent),
        );
        let hours = order.rule.remind.iter().enumerate();
        let hours = hours.map(|(no, before)| (later(order.comply_by, -before), no));
        if let Some((since, no)) = hours.filter(|(since, _)| *since <= at).max()
            && at < order.comply_by
        {
            let mut people = self.concerned(order, at, |known| known == Known::Present);
            people.retain(|who| self.told(id, *who).is_some_and(|told| told < since));
            all.insert(Kind::Reminder(no as u8 + 1), people);
        }
        all.retain(|_, people| !people.is_empty());
        all
    }

    /// The same of what is due now.
    pub fn due(&self, id: OrderId, at: Timestamp) -> BTreeMap<Kind, BTreeSet<Who>> {
        let order = &self.orders[&id];
        if order.stage != Stage::Published || order.stopped.is_some() {
            return BTreeMap::new();
        }
        let mut all = self.waiting(id, at);
        if let Some(stages) = &order.rule.stages
            && let Some(until) = order.pauses_until()
        {
            let is_canary = |who: &Who| match stages.first {
                // That it is a function of order and person is by definition (invariant 12).
                First::Share(share) => plan::rank(id, PersonId(*who)) % 10_000 < share * 100,
                First::It => self.people[who].groups.contains("it"),
                First::Nobody => true,
            };
            let was_resumed = order.resumed_at.is_some() || order.let_pass.is_some();
            let heard = |who: &Who| {
                let told = self.told(id, *who);
                told.is_some_and(|told| later(told, stages.pause) <= at)
            };
            let none_heard = !was_resumed && !self.people.keys().any(heard);
            if let Some(people) = all.get_mut(&Kind::Order)
                && (at < until || (none_heard && people.iter().any(is_canary)))
            {
                people.retain(is_canary);
            }
        }
        all.retain(|_, people| !people.is_empty());
        all
    }

    pub fn has_receipt(&self, order: OrderId, who: Who, kind: Kind) -> bool {
        let key = Key {
            order,
            person: PersonId(who),
            kind,
        };
        self.receipts.contains_key(&key)
    }

    /// Of `people`, the ones with no receipt of that kind.
    pub fn unclaimed(&self, order: OrderId, kind: Kind, people: &BTreeSet<Who>) -> u64 {
        people
            .iter()
            .filter(|who| !self.has_receipt(order, **who, kind))
            .count() as u64
    }

    /// Of what was accepted, how much came back.
    pub fn bounced(&self, order: OrderId, corrections: bool) -> u64 {
        let fits = |key: &Key, receipt: &Receipt| {
            key.order == order
                && (key.kind == Kind::Correction) == corrections
                && receipt.state == ReceiptState::Accepted
                && receipt.bounced
        };
        let all = self.receipts.iter();
        all.filter(|(key, receipt)| fits(key, receipt)).count() as u64
    }

    /// Receipts of an order's notices, or of its corrections, in a state.
    pub fn count(&self, order: OrderId, corrections: bool, state: ReceiptState) -> u64 {
        let fits = |key: &Key, receipt: &Receipt| {
            key.order == order
                && (key.kind == Kind::Correction) == corrections
                && receipt.state == state
        };
        self.receipts
            .iter()
            .filter(|(key, receipt)| fits(key, receipt))
            .count() as u64
    }
}
