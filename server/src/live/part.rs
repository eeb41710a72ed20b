//! A part of a view as bytes: all facts of one version, or those that changed after an earlier one. So a view
//! travels to a gate without a database, and so it stands on that one's disk.

use countermand_core::evidence::Package;
use countermand_core::exemption::{Attestation, Exemption};
use countermand_core::fleet::{Claim, Device, Person};
use countermand_core::id::{OrderId, PackageNo, PersonId};
use countermand_core::index::{Fact, Settings};
use countermand_core::order::Order;
use countermand_core::verdict::GatePolicy;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Another number means that neither side can read the other.
pub const FORMAT: u32 = 1;

#[derive(Clone, PartialEq, Debug)]
pub struct Part {
    /// The version that it goes on from; `None`: it is everything.
    pub since: Option<i64>,
    pub version: i64,
    /// Whose facts these are. Numbers of people and devices mean nothing to another.
    pub installation: String,
    /// What the doors do where a fact is missing: as much a part of a verdict as the facts.
    pub policy: GatePolicy,
    pub facts: Vec<Fact>,
}

#[derive(Debug, thiserror::Error)]
#[error("what came is no view, or that of another version of countermand ({0})")]
pub struct PartError(String);

/// Two policies with the same name are the same.
pub fn name_of(policy: &GatePolicy) -> String {
    let text = serde_json::to_string(policy).unwrap_or_default();
    countermand_core::hex::encode(&Sha256::digest(text)[..8])
}

#[derive(Serialize, Deserialize)]
struct Wire {
    since: Option<i64>,
    version: i64,
    installation: String,
    policy: String,
    facts: Vec<WireFact>,
}

#[derive(Serialize, Deserialize)]
enum WireFact {
    Package(PackageNo, Package),
    Person(Person),
    Device(Device),
    Claim(Claim),
    Told(OrderId, PersonId, Option<Timestamp>),
    /// The few facts whose shape only a format with names can hold.
    Named(String),
}

#[derive(Serialize, Deserialize)]
enum Named {
    Order(Box<Order>),
    Exemption(Exemption),
    Attestation(Attestation),
    Settings(Settings),
}

impl Part {
    pub fn encode(self) -> Result<Vec<u8>, PartError> {
        let facts: Result<Vec<_>, _> = self.facts.into_iter().map(wire).collect();
        let wire = Wire {
            since: self.since,
            version: self.version,
            installation: self.installation,
            policy: serde_json::to_string(&self.policy).map_err(fail)?,
            facts: facts?,
        };
        postcard::to_stdvec(&wire).map_err(fail)
    }

    pub fn decode(bytes: &[u8]) -> Result<Part, PartError> {
        let (wire, rest): (Wire, _) = postcard::take_from_bytes(bytes).map_err(fail)?;
        if !rest.is_empty() {
            return Err(PartError(format!("{} bytes too many", rest.len())));
        }
        let facts: Result<Vec<_>, _> = wire.facts.into_iter().map(fact).collect();
        Ok(Part {
            since: wire.since,
            version: wire.version,
            installation: wire.installation,
            policy: serde_json::from_str(&wire.policy).map_err(fail)?,
            facts: facts?,
        })
    }

    /// Without its facts: enough to know what goes on from it.
    pub fn head(&self) -> Part {
        Part {
            facts: Vec::new(),
            installation: self.installation.clone(),
            policy: self.policy.clone(),
            ..*self
        }
    }

    /// Whether it goes on from what has come so far.
    pub fn follows(&self, before: &Part) -> bool {
        self.since == Some(before.version)
            && self.installation == before.installation
            && self.policy == before.policy
    }
}

fn fail(error: impl std::fmt::Display) -> PartError {
    PartError(error.to_string())
}

fn wire(fact: Fact) -> Result<WireFact, PartError> {
    let named = |named: Named| {
        Ok(WireFact::Named(
            serde_json::to_string(&named).map_err(fail)?,
        ))
    };
    match fact {
        Fact::Package(no, package) => Ok(WireFact::Package(no, package)),
        Fact::Person(person) => Ok(WireFact::Person(person)),
        Fact::Device(device) => Ok(WireFact::Device(device)),
        Fact::Claim(claim) => Ok(WireFact::Claim(claim)),
        Fact::Told { order, person, at } => Ok(WireFact::Told(order, person, at)),
        Fact::Order(order) => named(Named::Order(order)),
        Fact::Exemption(exemption) => named(Named::Exemption(exemption)),
        Fact::Attestation(attestation) => named(Named::Attestation(attestation)),
        Fact::Settings(settings) => named(Named::Settings(settings)),
    }
}

fn fact(wire: WireFact) -> Result<Fact, PartError> {
    Ok(match wire {
        WireFact::Package(no, package) => Fact::Package(no, package),
        WireFact::Person(person) => Fact::Person(person),
        WireFact::Device(device) => Fact::Device(device),
        WireFact::Claim(claim) => Fact::Claim(claim),
        WireFact::Told(order, person, at) => Fact::Told { order, person, at },
        WireFact::Named(text) => match serde_json::from_str(&text).map_err(fail)? {
            Named::Order(order) => Fact::Order(order),
            Named::Exemption(exemption) => Fact::Exemption(exemption),
            Named::Attestation(attestation) => Fact::Attestation(attestation),
            Named::Settings(settings) => Fact::Settings(settings),
        },
    })
}
