//! What each commit touched, and the loading of it: how an index is built, and how it follows.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use countermand_core::id::{DeviceId, ExemptionId, OrderId, PackageNo, PersonId};
use countermand_core::index::Fact;
use serde::{Deserialize, Serialize};
use sqlx::{Any, AnyConnection, Connection as _, Row, Transaction};

use super::rows::from_json;
use super::{Backend, Result, Store, claims, devices, orders, people, receipts};

/// What a commit changed, small enough to write with it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Touched {
    People(Vec<PersonId>),
    Devices(Vec<DeviceId>),
    /// Claims of these keys, canonical.
    Claims(Vec<String>),
    /// New packages, from this number on.
    Packages {
        from: PackageNo,
    },
    Order(OrderId),
    Exemption(ExemptionId),
    Attestation {
        order: OrderId,
        person: PersonId,
    },
    /// Told times of these people changed.
    Told {
        order: OrderId,
        people: Vec<PersonId>,
    },
    Settings,
    /// Somebody was refused because of the order for the first time.
    Refused(OrderId),
    /// Receipts of the order changed: figures only.
    Receipts(OrderId),
}

/// What a follower gets.
#[derive(Debug)]
pub struct Followed {
    pub version: i64,
    /// True where the facts are all facts, for an index built anew.
    pub anew: bool,
    pub facts: Vec<Fact>,
    pub touched: Vec<Touched>,
}

/// A follower further behind than this builds anew; the log keeps twice as much.
pub(super) const KEPT: i64 = 20_000;

impl Store {
    /// Everything, as of one version.
    pub async fn load(&self) -> Result<Followed> {
        let mut reader = self.readers.acquire().await?;
        let mut view = self.view(&mut reader).await?;
        let followed = load(&mut view).await?;
        view.commit().await?;
        Ok(followed)
    }

    /// What changed after version `since`; `None` if nothing did.
    pub async fn follow(&self, since: i64) -> Result<Option<Followed>> {
        let mut reader = self.readers.acquire().await?;
        if version(&mut reader).await? == since {
            return Ok(None);
        }
        let mut view = self.view(&mut reader).await?;
        let version = version(&mut view).await?;
        let followed = if version < since || version - since > KEPT {
            load(&mut view).await?
        } else {
            changes(&mut view, since, version).await?
        };
        view.commit().await?;
        Ok(Some(followed))
    }

    /// A transaction to which the database stands still: an order is never seen without those told
    /// of it, nor a device without the packages on it.
    async fn view<'c>(&self, reader: &'c mut AnyConnection) -> Result<Transaction<'c, Any>> {
        Ok(match self.backend {
            Backend::Sqlite => reader.begin().await?,
            Backend::Postgres => {
                let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                reader.begin_with(begin).await?
            }
        })
    }
}

async fn version(db: &mut AnyConnection) -> Result<i64> {
    Ok(
        sqlx::query_scalar("SELECT number FROM version WHERE one = 1")
            .fetch_one(db)
            .await?,
    )
}

async fn load(db: &mut AnyConnection) -> Result<Followed> {
    let version = version(db).await?;
    let mut facts = Vec::new();
    facts.extend(packages(devices::load_packages(db, PackageNo(0)).await?));
    facts.extend(people::load(db, None).await?.into_iter().map(Fact::Person));
    facts.extend(devices::load(db, None).await?.into_iter().map(Fact::Device));
    facts.extend(claims::load(db, None).await?.into_iter().map(Fact::Claim));
    facts.extend(orders::load(db, None).await?.into_iter().map(order));
    let exemptions = orders::load_exemptions(db).await?;
    facts.extend(exemptions.into_iter().map(Fact::Exemption));
    let attestations = orders::load_attestations(db, None).await?;
    facts.extend(attestations.into_iter().map(Fact::Attestation));
    facts.extend(receipts::load_told(db, None).await?);
    facts.extend(orders::load_settings(db).await?.map(Fact::Settings));
    Ok(Followed {
        version,
        anew: true,
        facts,
        touched: Vec::new(),
    })
}

async fn changes(db: &mut AnyConnection, since: i64, version: i64) -> Result<Followed> {
    let touched = touched_since(db, since).await?;
    let facts = Sum::of(&touched).load(db).await?;
    Ok(Followed {
        version,
        anew: false,
        facts,
        touched,
    })
}

/// What the commits after a version touched, each thing once.
pub(super) async fn touched_since(db: &mut AnyConnection, since: i64) -> Result<Vec<Touched>> {
    let rows =
        sqlx::query("SELECT touched FROM change_log WHERE version > $1 ORDER BY version, part")
            .bind(since)
            .fetch_all(&mut *db)
            .await?;
    let (mut touched, mut seen) = (Vec::new(), HashSet::new());
    for row in &rows {
        let one: Touched = from_json(row.try_get("touched")?)?;
        if seen.insert(one.clone()) {
            touched.push(one);
        }
    }
    Ok(touched)
}

/// All that many commits touched, each thing once.
#[derive(Default)]
struct Sum {
    packages: Option<PackageNo>,
    people: BTreeSet<PersonId>,
    devices: BTreeSet<DeviceId>,
    claims: BTreeSet<String>,
    orders: BTreeSet<OrderId>,
    exemptions: BTreeSet<ExemptionId>,
    attestations: BTreeSet<(OrderId, PersonId)>,
    told: BTreeMap<OrderId, BTreeSet<PersonId>>,
    settings: bool,
}

impl Sum {
    fn of(touched: &[Touched]) -> Sum {
        let mut sum = Sum::default();
        for one in touched {
            match one {
                Touched::People(ids) => sum.people.extend(ids),
                Touched::Devices(ids) => sum.devices.extend(ids),
                Touched::Claims(keys) => sum.claims.extend(keys.iter().cloned()),
                Touched::Packages { from } => {
                    sum.packages = Some(sum.packages.map_or(*from, |p| p.min(*from)));
                }
                Touched::Order(id) => {
                    sum.orders.insert(*id);
                }
                Touched::Exemption(id) => {
                    sum.exemptions.insert(*id);
                }
                Touched::Attestation { order, person } => {
                    sum.attestations.insert((*order, *person));
                }
                Touched::Told { order, people } => {
                    sum.told.entry(*order).or_default().extend(people);
                }
                Touched::Settings => sum.settings = true,
                Touched::Refused(_) | Touched::Receipts(_) => {}
            }
        }
        sum
    }

    /// Packages before the devices that carry them, orders before what was told of them.
    async fn load(self, db: &mut AnyConnection) -> Result<Vec<Fact>> {
        let mut facts = Vec::new();
        if let Some(from) = self.packages {
            facts.extend(packages(devices::load_packages(db, from).await?));
        }
        let ids: Vec<PersonId> = self.people.into_iter().collect();
        let people = people::load(db, Some(&ids)).await?;
        facts.extend(people.into_iter().map(Fact::Person));
        let ids: Vec<DeviceId> = self.devices.into_iter().collect();
        let devices = devices::load(db, Some(&ids)).await?;
        facts.extend(devices.into_iter().map(Fact::Device));
        let keys: Vec<String> = self.claims.into_iter().collect();
        let claims = claims::load(db, Some(&keys)).await?;
        facts.extend(claims.into_iter().map(Fact::Claim));
        for id in self.orders {
            facts.extend(orders::load(db, Some(id)).await?.into_iter().map(order));
        }
        if !self.exemptions.is_empty() {
            let all = orders::load_exemptions(db).await?.into_iter();
            facts.extend(
                all.filter(|e| self.exemptions.contains(&e.id))
                    .map(Fact::Exemption),
            );
        }
        for of in self.attestations {
            let found = orders::load_attestations(db, Some(of)).await?;
            facts.extend(found.into_iter().map(Fact::Attestation));
        }
        for (order, people) in self.told {
            let people: Vec<PersonId> = people.into_iter().collect();
            facts.extend(receipts::load_told(db, Some((order, &people))).await?);
        }
        if self.settings {
            facts.extend(orders::load_settings(db).await?.map(Fact::Settings));
        }
        Ok(facts)
    }
}

fn order(stored: orders::StoredOrder) -> Fact {
    Fact::Order(Box::new(stored.order))
}

fn packages(
    all: Vec<(PackageNo, countermand_core::evidence::Package)>,
) -> impl Iterator<Item = Fact> {
    all.into_iter().map(|(no, p)| Fact::Package(no, p))
}
