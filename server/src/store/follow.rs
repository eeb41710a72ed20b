//! What each commit touched, and the loading of it: how an index is built, and how it follows.

use countermand_core::id::{DeviceId, ExemptionId, OrderId, PackageNo, PersonId};
use countermand_core::index::Fact;
use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, Row};

use super::rows::from_json;
use super::{Result, Store, devices, orders, people, receipts};

/// What a commit changed, small enough to write with it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Touched {
    People(Vec<PersonId>),
    Devices(Vec<DeviceId>),
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

/// A follower further behind than this builds anew; the log keeps a few times as much.
const KEPT: i64 = 20_000;

impl Store {
    /// Everything, as of one version.
    pub async fn load(&self) -> Result<Followed> {
        // The version is read first: what commits during the load is loaded, and then followed once
        // more, which does no harm.
        let version = self.version().await?;
        let mut db = self.readers.acquire().await?;
        let mut facts = Vec::new();
        facts.extend(
            devices::load_packages(&mut db, PackageNo(0))
                .await?
                .into_iter()
                .map(|(no, p)| Fact::Package(no, p)),
        );
        facts.extend(
            people::load(&mut db, None)
                .await?
                .into_iter()
                .map(Fact::Person),
        );
        facts.extend(
            devices::load(&mut db, None)
                .await?
                .into_iter()
                .map(Fact::Device),
        );
        facts.extend(
            orders::load(&mut db, None)
                .await?
                .into_iter()
                .map(|o| Fact::Order(Box::new(o.order))),
        );
        facts.extend(
            orders::load_exemptions(&mut db)
                .await?
                .into_iter()
                .map(Fact::Exemption),
        );
        facts.extend(
            orders::load_attestations(&mut db, None)
                .await?
                .into_iter()
                .map(Fact::Attestation),
        );
        facts.extend(receipts::load_told(&mut db, None).await?);
        facts.extend(orders::load_settings(&mut db).await?.map(Fact::Settings));
        Ok(Followed {
            version,
            anew: true,
            facts,
            touched: Vec::new(),
        })
    }

    /// What changed after version `since`; `None` if nothing did.
    pub async fn follow(&self, since: i64) -> Result<Option<Followed>> {
        let version = self.version().await?;
        if version == since {
            return Ok(None);
        }
        if version < since || version - since > KEPT {
            return self.load().await.map(Some);
        }
        let mut db = self.readers.acquire().await?;
        let rows = sqlx::query(
            "SELECT version, touched FROM change_log WHERE version > $1 ORDER BY version, part",
        )
        .bind(since)
        .fetch_all(&mut *db)
        .await?;
        let mut touched: Vec<Touched> = Vec::new();
        let mut newest = version;
        for row in &rows {
            newest = newest.max(row.try_get("version")?);
            let one: Touched = from_json(row.try_get("touched")?)?;
            if !touched.contains(&one) {
                touched.push(one);
            }
        }
        let mut facts = Vec::new();
        for one in &touched {
            self.load_touched(&mut db, one, &mut facts).await?;
        }
        // Packages before the devices that carry them, orders before what was told of them.
        facts.sort_by_key(|fact| match fact {
            Fact::Package(..) => 0,
            Fact::Person(_) => 1,
            Fact::Device(_) => 2,
            Fact::Order(_) => 3,
            _ => 4,
        });
        Ok(Some(Followed {
            version: newest,
            anew: false,
            facts,
            touched,
        }))
    }

    async fn load_touched(
        &self,
        db: &mut AnyConnection,
        touched: &Touched,
        facts: &mut Vec<Fact>,
    ) -> Result<()> {
        match touched {
            Touched::People(ids) => facts.extend(
                people::load(db, Some(ids))
                    .await?
                    .into_iter()
                    .map(Fact::Person),
            ),
            Touched::Devices(ids) => facts.extend(
                devices::load(db, Some(ids))
                    .await?
                    .into_iter()
                    .map(Fact::Device),
            ),
            Touched::Packages { from } => {
                let new = devices::load_packages(db, *from).await?;
                facts.extend(new.into_iter().map(|(no, p)| Fact::Package(no, p)));
            }
            Touched::Order(id) => {
                facts.extend(
                    orders::load(db, Some(*id))
                        .await?
                        .into_iter()
                        .map(|o| Fact::Order(Box::new(o.order))),
                );
            }
            Touched::Exemption(id) => {
                let all = orders::load_exemptions(db).await?;
                facts.extend(all.into_iter().filter(|e| e.id == *id).map(Fact::Exemption));
            }
            Touched::Attestation { order, person } => {
                let found = orders::load_attestations(db, Some((*order, *person))).await?;
                facts.extend(found.into_iter().map(Fact::Attestation));
            }
            Touched::Told { order, people } => {
                facts.extend(receipts::load_told(db, Some((*order, people))).await?)
            }
            Touched::Settings => facts.extend(orders::load_settings(db).await?.map(Fact::Settings)),
            Touched::Refused(_) | Touched::Receipts(_) => {}
        }
        Ok(())
    }
}
