//! What a gate without a database is given of the facts: as much as its verdicts need, and no more. On the
//! machine beside the mail server there are no texts of orders, no names and reasons, and of what is on
//! people's phones only what an order forbids.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{DoorsOpen, Fact, Index, Settings};
use crate::evidence::Package;
use crate::exemption::Exemption;
use crate::fleet::{Device, Person};
use crate::id::{DeviceId, PackageNo};
use crate::order::file::{Allow, Announce};
use crate::order::texts::Texts;
use crate::order::{Approval, Audience, Order, Published, Revision, State};

/// What an index knows that facts alone do not tell: what of them concerns verdicts.
#[derive(Debug)]
pub struct Concern {
    /// Packages that an order forbids which stands.
    packages: HashMap<PackageNo, Package>,
    /// Devices that carry what the orders among the facts forbid. Until now, that was nobody's business.
    carriers: BTreeMap<DeviceId, Device>,
}

impl Index {
    /// The index must be of the facts' version, or of a newer one.
    pub fn concern(&self, facts: &[Fact]) -> Concern {
        let standing = self.rules.values().filter(|r| r.order.standing().is_some());
        let packages = standing
            .flat_map(|rule| rule.matches.keys())
            .filter_map(|no| Some((*no, self.package(*no)?.clone())))
            .collect();
        let orders = facts.iter().filter_map(|fact| match fact {
            Fact::Order(order) if order.standing().is_some() => self.rules.get(&order.id),
            _ => None,
        });
        let carriers = orders
            .flat_map(|rule| rule.matches.keys())
            .filter_map(|no| self.carriers.get(no))
            .flatten()
            .filter_map(|id| self.device(DeviceId(id)).cloned())
            .map(|device| (device.id, device))
            .collect();
        Concern { packages, carriers }
    }
}

impl Concern {
    /// The facts, less what no verdict needs. Whoever has applied all such facts of all versions so far gives the
    /// same verdicts as an index of the whole facts.
    pub fn for_gates(mut self, facts: Vec<Fact>) -> Vec<Fact> {
        let mut lean = Vec::with_capacity(facts.len());
        let mut carried = HashSet::new();
        for fact in facts {
            lean.push(match fact {
                // They come along with the devices that carry them.
                Fact::Package(..) => continue,
                Fact::Device(device) => {
                    self.carriers.remove(&device.id);
                    Fact::Device(self.of_device(device, &mut carried))
                }
                Fact::Person(person) => Fact::Person(of_person(person)),
                Fact::Order(order) if order.published().is_none() => continue,
                Fact::Order(order) => Fact::Order(Box::new(of_order(*order))),
                Fact::Exemption(exemption) => Fact::Exemption(of_exemption(exemption)),
                Fact::Settings(settings) => Fact::Settings(of_settings(settings)),
                fact @ (Fact::Claim(_) | Fact::Attestation(_) | Fact::Told { .. }) => fact,
            });
        }
        for device in std::mem::take(&mut self.carriers).into_values() {
            lean.push(Fact::Device(self.of_device(device, &mut carried)));
        }
        let package = |no: &PackageNo| Some(Fact::Package(*no, self.packages.get(no)?.clone()));
        let packages: Vec<Fact> = carried.iter().filter_map(package).collect();
        lean.splice(0..0, packages);
        lean
    }

    fn of_device(&self, device: Device, carried: &mut HashSet<PackageNo>) -> Device {
        let evidence = device.evidence.only(|no| {
            let concerns = self.packages.contains_key(&no);
            if concerns {
                carried.insert(no);
            }
            concerns
        });
        Device {
            os_version: String::new(),
            last_report: None,
            evidence,
            ..device
        }
    }
}

fn of_person(person: Person) -> Person {
    Person {
        name: String::new(),
        locale: String::new(),
        time_zone: String::new(),
        ..person
    }
}

fn of_exemption(exemption: Exemption) -> Exemption {
    let when = |(_, at)| (String::new(), at);
    Exemption {
        reason: String::new(),
        asked_by: String::new(),
        approved: exemption.approved.map(when),
        ended: exemption.ended.map(when),
        ..exemption
    }
}

fn of_settings(settings: Settings) -> Settings {
    let open = |open: DoorsOpen| DoorsOpen {
        by: String::new(),
        reason: String::new(),
        ..open
    };
    Settings {
        doors_open: settings.doors_open.map(open),
        ..settings
    }
}

/// Its rule, its title and its state. Of one that was retracted only that it is.
fn of_order(mut order: Order) -> Order {
    let is_over = order.retraction().is_some();
    let file = &mut order.revision.file;
    file.reason = String::new();
    file.stages = None;
    file.allow = Allow::default();
    file.announce = Announce::default();
    file.notice = Texts::default();
    file.reminder = None;
    file.blocked = None;
    file.correction = Texts::default();
    order.authors.clear();
    order.channels.clear();
    order.revision = Revision {
        by: String::new(),
        text: String::new(),
        hash: String::new(),
        ..order.revision
    };
    if is_over {
        order.revision.pins = Default::default();
    }
    let nobody = String::new;
    let of_published = |published: Published| Published {
        approval: Approval {
            by: nobody(),
            digest: String::new(),
            audience: match is_over {
                true => Audience::default(),
                false => published.approval.audience,
            },
            ..published.approval
        },
        by: nobody(),
        stopped: None,
        let_pass: None,
        ..published
    };
    order.state = match order.state {
        State::Published(published) => State::Published(of_published(published)),
        State::Held {
            published,
            mut hold,
        } => {
            (hold.by, hold.reason) = (nobody(), String::new());
            State::Held {
                published: of_published(published),
                hold,
            }
        }
        State::Retracted {
            published,
            mut retraction,
            ..
        } => {
            (retraction.by, retraction.reason) = (nobody(), String::new());
            (retraction.cause, retraction.answer) = (None, Default::default());
            State::Retracted {
                published: of_published(published),
                hold: None,
                retraction,
            }
        }
        other => other,
    };
    order
}
