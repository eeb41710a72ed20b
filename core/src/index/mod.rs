//! The index: all facts in memory, arranged so that a verdict is a few look-ups and a preview a
//! few set operations.
//!
//! The interface is small, so that a faster index can take its place: [`Index::apply`] takes one
//! [`Fact`] as the store holds it, [`Index::verdict`] and [`Index::preview`] answer. Building anew
//! is applying every fact to an empty index, and gives the same answers (invariant 1).

mod audience;
mod claims;
mod gates;
mod judge;
mod preview;
mod sets;

pub use audience::Standing;
pub use gates::Concern;
pub use preview::UnknownGroups;

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

use crate::evidence::Package;
use crate::exemption::{Attestation, Exemption};
use crate::fleet::{Claim, Device, DeviceKey, Person, fold};
use crate::id::{DeviceId, ExemptionId, OrderId, PackageNo, PersonId};
use crate::order::{Match, Order, Pins};
use crate::platform::Platform;
use crate::verdict::GatePolicy;

/// Whether doors obey verdicts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    #[default]
    Observe,
    Enforce,
}

/// Somebody broke the glass: every verdict is allow.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DoorsOpen {
    pub by: String,
    pub at: Timestamp,
    pub reason: String,
}

/// What holds for the whole installation.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Settings {
    pub mode: Mode,
    pub doors_open: Option<DoorsOpen>,
}

/// One fact as the store holds it. Applying it again, or a newer one of the same thing, is safe.
#[derive(Clone, PartialEq, Debug)]
pub enum Fact {
    Package(PackageNo, Package),
    Person(Person),
    Device(Device),
    Claim(Claim),
    Order(Box<Order>),
    Exemption(Exemption),
    Attestation(Attestation),
    /// `None`: told no more (a hard bounce).
    Told {
        order: OrderId,
        person: PersonId,
        at: Option<Timestamp>,
    },
    Settings(Settings),
}

/// What an order makes of a package, for each platform: the app and how sure.
type PackageMatch = [Option<(String, Match)>; Platform::ALL.len()];

/// An order with what it made of the packages, and who was told of it.
#[derive(Debug)]
struct Rule {
    order: Order,
    matches: BTreeMap<PackageNo, PackageMatch>,
    told: BTreeMap<PersonId, Timestamp>,
}

/// All facts, arranged.
#[derive(Debug, Default)]
pub struct Index {
    policy: GatePolicy,
    settings: Settings,
    packages: BTreeMap<PackageNo, Package>,
    people: Vec<Option<Person>>,
    devices: Vec<Option<Device>>,
    /// More than one only while an address moves from one person to another.
    by_address: HashMap<String, Vec<PersonId>>,
    by_key: HashMap<String, Vec<DeviceId>>,
    /// Who came with a key before anybody else did.
    first_with: HashMap<String, PersonId>,
    /// The keys that people came with, first or not.
    claims: HashMap<PersonId, HashSet<String>>,
    devices_of: HashMap<PersonId, Vec<DeviceId>>,
    /// Members of each group.
    groups: BTreeMap<String, RoaringBitmap>,
    /// Devices on which a sighting of the package still counts.
    carriers: HashMap<PackageNo, RoaringBitmap>,
    sets: sets::Sets,
    rules: BTreeMap<OrderId, Rule>,
    exemptions: BTreeMap<ExemptionId, Exemption>,
    attestations: HashMap<(OrderId, PersonId), Attestation>,
}

impl Index {
    pub fn new(policy: GatePolicy) -> Self {
        Index {
            policy,
            ..Index::default()
        }
    }

    pub fn apply(&mut self, fact: Fact) {
        match fact {
            Fact::Package(no, package) => self.apply_package(no, package),
            Fact::Person(person) => self.apply_person(person),
            Fact::Device(device) => self.apply_device(device),
            Fact::Claim(claim) => self.apply_claim(claim),
            Fact::Order(order) => self.apply_order(*order),
            Fact::Exemption(exemption) => {
                self.exemptions.insert(exemption.id, exemption);
            }
            Fact::Attestation(attestation) => {
                self.attestations
                    .insert((attestation.order, attestation.person), attestation);
            }
            // Nobody is told by a channel.
            Fact::Told { person, .. } if person.is_channel() => {}
            Fact::Told { order, person, at } => {
                if let Some(rule) = self.rules.get_mut(&order) {
                    match at {
                        Some(at) => rule.told.insert(person, at),
                        None => rule.told.remove(&person),
                    };
                }
            }
            Fact::Settings(settings) => self.settings = settings,
        }
    }

    fn apply_package(&mut self, no: PackageNo, package: Package) {
        for rule in self.rules.values_mut() {
            if let Some(matched) = package_match(&rule.order.revision.pins, &package) {
                rule.matches.insert(no, matched);
            }
        }
        self.packages.insert(no, package);
    }

    fn apply_person(&mut self, person: Person) {
        let id = person.id;
        if let Some(old) = slot(&mut self.people, id.0).take() {
            for address in old.addresses() {
                if let Some(fits) = self.by_address.get_mut(address) {
                    fits.retain(|p| *p != id);
                }
            }
            for group in &old.groups {
                if let Some(members) = self.groups.get_mut(group) {
                    members.remove(id.0);
                    // As if it had never been: an index built anew does not know it either.
                    if members.is_empty() {
                        self.groups.remove(group);
                    }
                }
            }
        }
        for address in person.addresses() {
            let fits = self.by_address.entry(address.to_owned()).or_default();
            if !fits.contains(&id) {
                fits.push(id);
            }
        }
        for group in &person.groups {
            self.groups.entry(group.clone()).or_default().insert(id.0);
        }
        *slot(&mut self.people, id.0) = Some(person);
    }

    fn apply_device(&mut self, device: Device) {
        let id = device.id;
        if let Some(old) = slot(&mut self.devices, id.0).take() {
            self.sets.remove(&old);
            for key in &old.keys {
                if let Some(fits) = self.by_key.get_mut(key.canonical()) {
                    fits.retain(|d| *d != id);
                }
            }
            if let Some(person) = old.person
                && let Some(of) = self.devices_of.get_mut(&person)
            {
                of.retain(|d| *d != id);
            }
            for sighting in old.evidence.each_sighting() {
                if let Some(on) = self.carriers.get_mut(&sighting.app.package) {
                    on.remove(id.0);
                }
            }
        }
        for key in &device.keys {
            self.by_key
                .entry(key.canonical().to_owned())
                .or_default()
                .push(id);
        }
        if let Some(person) = device.person {
            self.devices_of.entry(person).or_default().push(id);
        }
        for sighting in device.evidence.each_sighting() {
            self.carriers
                .entry(sighting.app.package)
                .or_default()
                .insert(id.0);
        }
        self.sets.insert(&device);
        *slot(&mut self.devices, id.0) = Some(device);
    }

    fn apply_order(&mut self, order: Order) {
        let told = self
            .rules
            .remove(&order.id)
            .map(|r| r.told)
            .unwrap_or_default();
        let matches = self.matches(&order.revision.pins);
        self.rules.insert(
            order.id,
            Rule {
                order,
                matches,
                told,
            },
        );
    }

    fn matches(&self, pins: &Pins) -> BTreeMap<PackageNo, PackageMatch> {
        self.packages
            .iter()
            .filter_map(|(no, p)| Some((*no, package_match(pins, p)?)))
            .collect()
    }

    /// What decides where a fact is missing.
    pub fn policy(&self) -> &GatePolicy {
        &self.policy
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub fn person(&self, id: PersonId) -> Option<&Person> {
        self.people.get(id.0 as usize)?.as_ref()
    }

    pub fn person_called(&self, address: &str) -> Option<&Person> {
        self.person(*self.by_address.get(&fold(address))?.iter().min()?)
    }

    pub fn people(&self) -> impl Iterator<Item = &Person> {
        self.people.iter().flatten()
    }

    pub fn device(&self, id: DeviceId) -> Option<&Device> {
        self.devices.get(id.0 as usize)?.as_ref()
    }

    pub fn devices(&self) -> impl Iterator<Item = &Device> {
        self.devices.iter().flatten()
    }

    pub fn devices_of(&self, person: PersonId) -> impl Iterator<Item = &Device> {
        self.devices_of
            .get(&person)
            .into_iter()
            .flatten()
            .filter_map(|d| self.device(*d))
    }

    pub fn devices_called(&self, key: &DeviceKey) -> impl Iterator<Item = &Device> {
        self.by_key
            .get(key.canonical())
            .into_iter()
            .flatten()
            .filter_map(|d| self.device(*d))
    }

    pub fn orders(&self) -> impl Iterator<Item = &Order> {
        self.rules.values().map(|r| &r.order)
    }

    pub fn order(&self, id: OrderId) -> Option<&Order> {
        self.rules.get(&id).map(|r| &r.order)
    }

    pub fn exemptions(&self) -> impl Iterator<Item = &Exemption> {
        self.exemptions.values()
    }

    pub fn package(&self, no: PackageNo) -> Option<&Package> {
        self.packages.get(&no)
    }

    /// Names of all groups that have members, and how many.
    pub fn groups(&self) -> impl Iterator<Item = (&str, u64)> {
        self.groups
            .iter()
            .map(|(name, members)| (name.as_str(), members.len()))
    }

    pub fn knows_group(&self, name: &str) -> bool {
        self.groups.contains_key(name)
    }

    /// When the person was first told of the order.
    pub fn told(&self, order: OrderId, person: PersonId) -> Option<Timestamp> {
        self.rules.get(&order)?.told.get(&person).copied()
    }
}

fn package_match(pins: &Pins, package: &Package) -> Option<PackageMatch> {
    let matched: PackageMatch = Platform::ALL.map(|p| {
        pins.matches(package, p)
            .map(|(app, how)| (app.to_owned(), how))
    });
    matched.iter().any(Option::is_some).then_some(matched)
}

fn slot<T>(all: &mut Vec<Option<T>>, at: u32) -> &mut Option<T> {
    let at = at as usize;
    if all.len() <= at {
        all.resize_with(at + 1, || None);
    }
    &mut all[at]
}
