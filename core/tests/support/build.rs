//! From a plan to a history: the plain one for the naive evaluator, and the facts as a store would
//! hand them to the index, one at a time.

use std::collections::{BTreeMap, BTreeSet};

use countermand_core::evidence::{AppSeen, Evidence, Report};
use countermand_core::exemption::{Attestation, Exempted, Exemption};
use countermand_core::fleet::{Claim, Device, DeviceKey, Ownership, Person};
use countermand_core::id::{DeviceId, OrderId, PackageNo, PersonId};
use countermand_core::index::{DoorsOpen, Fact, Index, Mode, Settings};
use countermand_core::order::when::When;
use countermand_core::order::{Approval, Audience, Order, approval_digest};
use jiff::{SignedDuration, Timestamp};

use super::history::{Act, Move, Plan};
use super::naive::{DeviceLife, Naive, OrderLife, Stage, are_one_key, plus};
use super::text::{retraction, revision};
use super::world::{
    GROUPS, KEYS, SOURCES, UNKNOWN_KEYS, VERSIONS, exemption_id, length, order_id, packages, slot,
};

/// A history, told in both ways.
#[derive(Clone, Debug)]
pub struct Built {
    pub naive: Naive,
    /// Every change as it happened.
    pub stream: Vec<Fact>,
    pub repeats: Vec<bool>,
    pub devices: BTreeMap<u32, Device>,
    pub orders: Vec<Order>,
    pub claims: Vec<Claim>,
}

#[derive(Clone, Debug)]
enum Step {
    Report(usize, usize),
    Draft(usize),
    Act(usize, Act),
    Told(usize, usize, bool),
    /// 0 asked, 1 approved, 2 ended.
    Exempt(usize, usize),
    Attest(usize, usize),
    Move(Move),
}

/// The whole history.
pub fn build(plan: &Plan) -> Built {
    build_part(plan, None, Timestamp::MAX)
}

/// The history in which the order `without` never was, nor anything said of it.
pub fn build_without(plan: &Plan, without: usize) -> Built {
    build_part(plan, Some(without), Timestamp::MAX)
}

/// The history as far as `until`: its stream is the beginning of the whole one's.
pub fn build_until(plan: &Plan, until: Timestamp) -> Built {
    build_part(plan, None, until)
}

fn build_part(plan: &Plan, without: Option<usize>, until: Timestamp) -> Built {
    let mut built = Built {
        naive: Naive {
            policy: plan.policy.clone(),
            packages: packages(),
            ..Naive::default()
        },
        stream: Vec::new(),
        repeats: plan.repeats.clone(),
        devices: BTreeMap::new(),
        orders: Vec::new(),
        claims: Vec::new(),
    };
    for (n, person) in plan.people.iter().enumerate() {
        built.write_person(Person {
            id: PersonId(n as u32),
            email: format!("p{n}@example.test"),
            aliases: (0..person.aliases)
                .map(|a| format!("alias{a}.p{n}@example.test"))
                .collect(),
            name: format!("Person {n}"),
            groups: group_names(&person.groups),
            locale: String::new(),
            time_zone: String::new(),
        });
    }
    for n in 0..plan.devices.len() {
        built.enrol(plan, n);
    }
    for (at, step) in steps(plan).into_iter().filter(|(at, _)| *at <= until) {
        built.take(plan, without, at, step);
    }
    built
}

fn steps(plan: &Plan) -> Vec<(Timestamp, Step)> {
    let mut steps = Vec::new();
    for (d, device) in plan.devices.iter().enumerate() {
        let mut order: Vec<usize> = (0..device.reports.len()).collect();
        order.sort_by_key(|r| device.reports[*r].arrived);
        for r in order {
            steps.push((slot(device.reports[r].arrived), Step::Report(d, r)));
        }
    }
    for (o, order) in plan.orders.iter().enumerate() {
        let mut now = order.start;
        steps.push((slot(now), Step::Draft(o)));
        for (act, after) in &order.acts {
            now += after;
            steps.push((slot(now), Step::Act(o, *act)));
        }
        for (person, after, bounced) in &order.told {
            steps.push((slot(order.start + after), Step::Told(o, *person, true)));
            if *bounced {
                steps.push((slot(order.start + after + 1), Step::Told(o, *person, false)));
            }
        }
    }
    for (e, exemption) in plan.exemptions.iter().enumerate() {
        steps.push((slot(-45), Step::Exempt(e, 0)));
        steps.extend(exemption.approved.map(|at| (slot(at), Step::Exempt(e, 1))));
        steps.extend(exemption.ended.map(|at| (slot(at), Step::Exempt(e, 2))));
    }
    for (order, person, at) in &plan.attestations {
        steps.push((slot(*at), Step::Attest(*order, *person)));
    }
    for (at, what) in &plan.moves {
        steps.push((slot(*at), Step::Move(what.clone())));
    }
    steps.sort_by_key(|(at, _)| *at);
    steps
}

fn group_names(chosen: &[bool]) -> BTreeSet<String> {
    let chosen = GROUPS.iter().zip(chosen).filter(|(_, c)| **c);
    chosen.map(|(g, _)| (*g).to_owned()).collect()
}

/// A key by which a test can ask for just this device, whatever else it is called.
pub fn own_key(device: usize) -> String {
    format!("udid:DEVICE-{device}")
}

fn key_texts(device: usize, keys: &[(usize, usize)]) -> Vec<String> {
    let shared = keys.iter().map(|(k, s)| KEYS[*k][*s].to_owned());
    shared.chain([own_key(device)]).collect()
}

pub fn key(which: usize, spelling: usize) -> DeviceKey {
    KEYS[which][spelling].parse().unwrap()
}

impl Built {
    pub fn write_person(&mut self, person: Person) {
        self.naive.people.insert(person.id.0, person.clone());
        self.stream.push(Fact::Person(person));
    }

    pub fn write_device(&mut self, n: usize) {
        let life = &self.naive.devices[&(n as u32)];
        let mut evidence = Evidence::default();
        for report in &life.reports {
            evidence.fold(report.clone());
        }
        let device = Device {
            id: life.id,
            person: life.person,
            keys: life.keys.iter().map(|k| k.parse().unwrap()).collect(),
            platform: life.platform,
            form_factor: life.form_factor,
            ownership: Ownership::Company,
            os_version: String::new(),
            visibility: life.visibility(),
            last_report: life.reports.iter().map(|r| r.seen_at).max(),
            evidence,
        };
        self.devices.insert(life.id.0, device.clone());
        self.stream.push(Fact::Device(device));
    }

    fn enrol(&mut self, plan: &Plan, n: usize) {
        let device = &plan.devices[n];
        let life = DeviceLife {
            id: DeviceId(n as u32),
            person: device
                .owner
                .map(|p| PersonId((p % plan.people.len()) as u32)),
            keys: key_texts(n, &device.keys),
            platform: device.platform,
            form_factor: device.form_factor,
            enrolled_as: device.enrolled_as,
            reports: Vec::new(),
        };
        self.naive.devices.insert(n as u32, life);
        self.write_device(n);
    }

    fn order_at(&self, id: OrderId) -> usize {
        self.orders.iter().position(|o| o.id == id).unwrap()
    }

    fn take(&mut self, plan: &Plan, without: Option<usize>, at: Timestamp, step: Step) {
        match step {
            Step::Report(d, r) => self.report(plan, d, r, at),
            Step::Draft(o) | Step::Act(o, _) | Step::Told(o, ..) if without == Some(o) => {}
            Step::Draft(o) => self.draft(plan, o, at),
            Step::Act(o, act) => self.act(plan, o, act, at),
            Step::Told(o, person, told) => {
                let person = PersonId((person % plan.people.len()) as u32);
                self.tell(order_id(o), person, told.then_some(at));
            }
            Step::Exempt(e, stage) => self.exempt(plan, without, e, stage),
            Step::Attest(order, person) => {
                if plan.orders.is_empty() || without == Some(order % plan.orders.len()) {
                    return;
                }
                self.attest(Attestation {
                    order: order_id(order % plan.orders.len()),
                    person: PersonId((person % plan.people.len()) as u32),
                    at,
                });
            }
            Step::Move(what) => self.move_on(plan, what, at),
        }
    }

    fn report(&mut self, plan: &Plan, d: usize, r: usize, at: Timestamp) {
        let planned = &plan.devices[d].reports[r];
        let all = packages();
        for (no, _) in &planned.apps {
            self.stream
                .push(Fact::Package(PackageNo(*no), all[*no as usize].clone()));
        }
        let report = Report {
            source: SOURCES[planned.source].to_owned(),
            visibility: planned.visibility,
            complete: planned.complete,
            // A report dated in the future counts from its arrival (invariant 6).
            seen_at: slot(planned.seen).min(at),
            apps: planned
                .apps
                .iter()
                .map(|(no, version)| AppSeen {
                    package: PackageNo(*no),
                    version: VERSIONS[*version].to_owned(),
                })
                .collect(),
        };
        self.add_report(d, report);
    }

    /// One more report of the device arrives.
    pub fn add_report(&mut self, d: usize, report: Report) {
        if let Some(life) = self.naive.devices.get_mut(&(d as u32)) {
            life.reports.push(report);
        }
        self.write_device(d);
    }

    fn draft(&mut self, plan: &Plan, o: usize, at: Timestamp) {
        let revision = revision(o, &plan.orders[o], 1, "author@example.test", at);
        self.naive.orders.push(OrderLife {
            id: order_id(o),
            file: revision.file.clone(),
            pins: revision.pins.clone(),
            hash: revision.hash.clone(),
            stage: Stage::Draft,
            approved_at: None,
            audience: BTreeSet::new(),
            published_at: None,
            comply_by: revision.file.deadline.comply_by.at(),
            resumed_at: None,
            told: BTreeMap::new(),
        });
        let order = Order::draft(order_id(o), revision);
        self.orders.push(order.clone());
        self.stream.push(Fact::Order(Box::new(order)));
    }

    fn act(&mut self, plan: &Plan, o: usize, act: Act, at: Timestamp) {
        if act == Act::Revise {
            let n = self.order_at(order_id(o));
            let version = self.orders[n].revision.number + 1;
            let revision = revision(o, &plan.orders[o], version, "second@example.test", at);
            if matches!(
                self.naive.orders[n].stage,
                Stage::Draft | Stage::InReview | Stage::Approved
            ) {
                self.naive.orders[n].hash = revision.hash.clone();
                self.naive.orders[n].stage = Stage::Draft;
            }
            self.settle(n, |order| order.revise(revision));
        } else {
            self.perform(order_id(o), act, at);
        }
    }

    /// Takes a step in both tellings, which must agree on whether it is allowed.
    pub fn perform(&mut self, id: OrderId, act: Act, at: Timestamp) -> bool {
        let n = self.order_at(id);
        let audience = self.naive.audience(&self.naive.orders[n].file);
        if act == Act::Approve && audience.is_none() {
            return false;
        }
        let before = self.naive.orders[n].comply_by;
        let to = match act {
            Act::Extend(slots) => before + SignedDuration::from_hours(6 * slots),
            _ => before,
        };
        let life = &mut self.naive.orders[n];
        let next = match (act, life.stage) {
            (Act::Submit, Stage::Draft) => Some(Stage::InReview),
            (Act::Withdraw, Stage::InReview | Stage::Approved) => Some(Stage::Draft),
            (Act::SendBack, Stage::InReview) => Some(Stage::Draft),
            (Act::Approve, Stage::InReview) => Some(Stage::Approved),
            (Act::Publish, Stage::Approved) => Some(Stage::Published).filter(|_| {
                life.approved_at
                    .is_some_and(|t| at <= plus(t, length("P7D")))
            }),
            (Act::Hold, Stage::Published) => Some(Stage::Held),
            (Act::Resume, Stage::Held) => Some(Stage::Published),
            (Act::Extend(_), Stage::Published | Stage::Held) => {
                Some(life.stage).filter(|_| to > before)
            }
            (Act::Retract, Stage::Published | Stage::Held) => Some(Stage::Retracted),
            _ => None,
        };
        if let Some(next) = next {
            life.stage = next;
            match act {
                Act::Approve => {
                    life.approved_at = Some(at);
                    life.audience = audience.clone().unwrap_or_default();
                }
                Act::Publish => life.published_at = Some(at),
                Act::Resume => life.resumed_at = Some(at),
                Act::Extend(_) => life.comply_by = to,
                _ => {}
            }
        }
        let done = self.settle(n, |order| match act {
            Act::Submit => order.submit("author@example.test", at),
            Act::Withdraw => order.withdraw(),
            Act::SendBack => order.send_back("approver@example.test", at, "no"),
            Act::Approve => {
                let audience = Audience(audience.into_iter().flatten().collect());
                let approval = Approval {
                    by: "approver@example.test".to_owned(),
                    at,
                    digest: approval_digest(&order.revision.hash, &audience),
                    audience,
                };
                order.approve(approval, &BTreeSet::new())
            }
            Act::Publish => order.publish("author@example.test", at),
            Act::Hold => order.hold("responder@example.test", at, "checking"),
            Act::Resume => order.resume(at),
            Act::Extend(_) => order.extend(When::new(to, None)),
            Act::Retract => order.retract(retraction(at)),
            Act::Revise => unreachable!("has a text of its own"),
        });
        assert_eq!(done, next.is_some(), "{act:?} at {at}");
        done
    }

    fn settle<E>(&mut self, n: usize, step: impl FnOnce(Order) -> Result<Order, E>) -> bool {
        let Ok(order) = step(self.orders[n].clone()) else {
            return false;
        };
        self.orders[n] = order.clone();
        self.stream.push(Fact::Order(Box::new(order)));
        true
    }

    /// First told counts; `None` takes it back.
    pub fn tell(&mut self, id: OrderId, person: PersonId, at: Option<Timestamp>) {
        let n = self.order_at(id);
        let told = &mut self.naive.orders[n].told;
        match at {
            Some(at) if !told.contains_key(&person.0) => {
                told.insert(person.0, at);
            }
            Some(_) => return,
            None => {
                told.remove(&person.0);
            }
        }
        self.stream.push(Fact::Told {
            order: id,
            person,
            at,
        });
    }

    fn exempt(&mut self, plan: &Plan, without: Option<usize>, e: usize, stage: usize) {
        let planned = &plan.exemptions[e];
        let order = planned.order.map(|o| o % plan.orders.len().max(1));
        if order.is_some() && order == without {
            return;
        }
        let by = |at: i64| ("approver@example.test".to_owned(), slot(at));
        let approved = planned
            .approved
            .filter(|_| stage == 1 || (stage == 2 && planned.approved <= planned.ended));
        let ended = planned
            .ended
            .filter(|_| stage == 2 || (stage == 1 && planned.ended <= planned.approved));
        let exemption = Exemption {
            id: exemption_id(e),
            order: order.map(order_id),
            who: match planned.kind {
                0 => Exempted::Person(PersonId((planned.of % plan.people.len()) as u32)),
                1 => Exempted::Group(GROUPS[planned.of % GROUPS.len()].to_owned()),
                _ => Exempted::Device(DeviceId(planned.of as u32)),
            },
            reason: "needs it".to_owned(),
            until: slot(planned.until),
            asked_by: "helpdesk@example.test".to_owned(),
            asked_at: slot(-45),
            approved: approved.map(by),
            ended: ended.map(by),
        };
        self.naive.exemptions.retain(|old| old.id != exemption.id);
        self.naive.exemptions.push(exemption.clone());
        self.stream.push(Fact::Exemption(exemption));
    }

    pub fn attest(&mut self, word: Attestation) {
        self.naive
            .attestations
            .retain(|a| (a.order, a.person) != (word.order, word.person));
        self.naive.attestations.push(word);
        self.stream.push(Fact::Attestation(word));
    }

    pub fn set_doors(&mut self, open: bool, at: Timestamp) {
        self.naive.settings = Settings {
            mode: Mode::Enforce,
            doors_open: open.then(|| DoorsOpen {
                by: "responder@example.test".to_owned(),
                at,
                reason: "glass".to_owned(),
            }),
        };
        self.stream
            .push(Fact::Settings(self.naive.settings.clone()));
    }

    fn move_on(&mut self, plan: &Plan, what: Move, at: Timestamp) {
        let people = plan.people.len();
        match what {
            Move::Regroup(p, groups) => {
                let mut person = self.naive.people[&((p % people) as u32)].clone();
                person.groups = group_names(&groups);
                self.write_person(person);
            }
            Move::PassAlias(from, to, new_first) => {
                let mut from = self.naive.people[&((from % people) as u32)].clone();
                let mut to = self.naive.people[&((to % people) as u32)].clone();
                if from.id == to.id {
                    return;
                }
                let Some(alias) = from.aliases.pop_last() else {
                    return;
                };
                to.aliases.insert(alias);
                let mut both = [from, to];
                if new_first {
                    both.reverse();
                }
                both.into_iter().for_each(|p| self.write_person(p));
            }
            Move::Rekey(d, _) | Move::Reown(d, _) if d >= plan.devices.len() => {}
            Move::Rekey(d, keys) => {
                let life = self.naive.devices.get_mut(&(d as u32)).unwrap();
                life.keys = key_texts(d, &keys);
                self.write_device(d);
            }
            Move::Reown(d, owner) => {
                let life = self.naive.devices.get_mut(&(d as u32)).unwrap();
                life.person = owner.map(|p| PersonId((p % people) as u32));
                self.write_device(d);
            }
            Move::Claim(p, key) => self.claim(PersonId((p % people) as u32), key, at),
            Move::Doors(open) => self.set_doors(open, at),
        }
    }

    pub fn claim(&mut self, person: PersonId, (which, spelling): (usize, usize), at: Timestamp) {
        let text = match KEYS.get(which) {
            Some(spellings) => spellings[spelling],
            None => UNKNOWN_KEYS[spelling],
        };
        let claim = Claim {
            key: text.parse().unwrap(),
            person,
            at,
            first: !self.naive.claims.iter().any(|(_, k)| are_one_key(k, text)),
        };
        self.naive.claims.push((person, text.to_owned()));
        self.claims.push(claim.clone());
        self.stream.push(Fact::Claim(claim));
    }

    /// The index that followed each change; some of them came twice.
    pub fn followed(&self) -> Index {
        let mut index = Index::new(self.naive.policy.clone());
        self.follow(&mut index, 0);
        index
    }

    /// Has an index that followed the first `from` changes follow the rest.
    pub fn follow(&self, index: &mut Index, from: usize) {
        for (n, fact) in self.stream.iter().enumerate().skip(from) {
            index.apply(fact.clone());
            if self.repeats.get(n % self.repeats.len().max(1)) == Some(&true) {
                index.apply(fact.clone());
            }
        }
    }

    /// What the store holds in the end, kind by kind.
    pub fn final_facts(&self) -> Vec<Fact> {
        let naive = &self.naive;
        let mut facts = vec![Fact::Settings(naive.settings.clone())];
        for (no, package) in naive.packages.iter().enumerate() {
            facts.push(Fact::Package(PackageNo(no as u32), package.clone()));
        }
        facts.extend(naive.people.values().cloned().map(Fact::Person));
        facts.extend(self.devices.values().cloned().map(Fact::Device));
        facts.extend(self.claims.iter().cloned().map(Fact::Claim));
        facts.extend(self.orders.iter().map(|o| Fact::Order(Box::new(o.clone()))));
        facts.extend(naive.exemptions.iter().cloned().map(Fact::Exemption));
        facts.extend(naive.attestations.iter().copied().map(Fact::Attestation));
        for order in &naive.orders {
            for (person, at) in &order.told {
                facts.push(Fact::Told {
                    order: order.id,
                    person: PersonId(*person),
                    at: Some(*at),
                });
            }
        }
        facts
    }

    /// The index built anew.
    pub fn rebuilt(&self) -> Index {
        index_of(&self.naive, self.final_facts())
    }
}

pub fn index_of(naive: &Naive, facts: Vec<Fact>) -> Index {
    let mut index = Index::new(naive.policy.clone());
    for fact in facts {
        index.apply(fact);
    }
    index
}
