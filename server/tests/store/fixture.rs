//! What the cases of the contract share: a database of their own, and short words for facts.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::path::Path;

use countermand::store::{
    Claim, Outcome, Result, Settled, Store, StoredOrder, Turn, Turned, Wanted,
};
use countermand_core::actor::Actor;
use countermand_core::catalogue::Confidence;
use countermand_core::change::{Change, Commit, Refusal, Step};
use countermand_core::fleet::{
    DeviceKey, FormFactor, IncomingApp, IncomingReport, PersonRow, Visibility,
};
use countermand_core::id::{OrderId, PersonId};
use countermand_core::index::{Fact, Index};
use countermand_core::notice::{Key, Kind, ReceiptState};
use countermand_core::order::pins::Pin;
use countermand_core::order::{
    Approval, Audience, Order, OrderFile, Pins, RetractAnswer, Retraction, Revision,
};
use countermand_core::platform::Platform;
use countermand_core::verdict::GatePolicy;
use jiff::{SignedDuration, Timestamp};
use sqlx::{AnyConnection, Connection as _};
use uuid::Uuid;

use crate::support::postgres::Postgres;

/// A database of one case's own, and a store open on it.
#[derive(Debug)]
pub struct Db {
    pub store: Store,
    url: String,
    folder: tempfile::TempDir,
}

impl Deref for Db {
    type Target = Store;
    fn deref(&self) -> &Store {
        &self.store
    }
}

impl Db {
    async fn open(url: String) -> Db {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&url, folder.path()).await.unwrap();
        Db { store, url, folder }
    }

    pub async fn sqlite() -> Db {
        Db::open("sqlite:house.db".to_owned()).await
    }

    /// `None` if PostgreSQL is missing.
    pub async fn postgres() -> Option<Db> {
        let cluster =
            tokio::task::spawn_blocking(|| Postgres::shared().map(Postgres::fresh_database));
        Some(Db::open(cluster.await.unwrap()?).await)
    }

    /// A second store on the same database, as another process would have it.
    pub async fn again(&self) -> Store {
        self.try_again().await.unwrap()
    }

    pub async fn try_again(&self) -> Result<Store> {
        Store::open(&self.url, self.folder.path()).await
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Past the store, as somebody with the database's password would.
    pub async fn raw(&self, sql: &'static str) -> u64 {
        sqlx::query(sql)
            .execute(&mut self.connection().await)
            .await
            .unwrap()
            .rows_affected()
    }

    pub async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql)
            .fetch_one(&mut self.connection().await)
            .await
            .unwrap()
    }

    pub async fn connection(&self) -> AnyConnection {
        let url = match self.store.file() {
            Some(file) => format!("sqlite://{}", file.display()),
            None => self.url.clone(),
        };
        AnyConnection::connect(&url).await.unwrap()
    }

    pub async fn put(&self, change: Change) -> i64 {
        self.store.commit(&by_somebody(change, t(0))).await.unwrap()
    }

    pub async fn put_at(&self, at: Timestamp, change: Change) -> i64 {
        self.store.commit(&by_somebody(change, at)).await.unwrap()
    }

    /// An index built anew.
    pub async fn index(&self) -> Index {
        let mut index = Index::new(GatePolicy::default());
        for fact in self.store.load().await.unwrap().facts {
            index.apply(fact);
        }
        index
    }

    pub async fn stored(&self, id: OrderId) -> StoredOrder {
        self.store.order_called(&id.to_string()).await.unwrap()
    }

    /// Takes an order one step on.
    pub async fn step(&self, id: OrderId, step: Step, next: impl FnOnce(Order) -> Order) -> i64 {
        let now = self.stored(id).await;
        let change = order_change(next(now.order), Some(now.changed), step);
        self.put(change).await
    }

    pub async fn hold(&self, id: OrderId) {
        self.step(id, Step::Hold, |o| {
            o.hold("rita@corp.test", t(0), "wait").unwrap()
        })
        .await;
    }

    pub async fn resume(&self, id: OrderId) {
        self.step(id, Step::Resume, |o| o.resume(t(0)).unwrap())
            .await;
    }

    pub async fn retract(&self, id: OrderId) {
        self.step(id, Step::Retract, retracted).await;
    }

    /// What the retraction of an order did.
    pub async fn answer(&self, id: OrderId) -> RetractAnswer {
        let order = self.stored(id).await.order;
        self.count_retraction(&order).await.unwrap().unwrap()
    }

    /// A published order for `people`, new in the database.
    pub async fn publish(&self, n: u128, people: &[u32]) -> OrderId {
        let order = published(n, people);
        let id = order.id;
        self.put(order_change(order, None, Step::Publish)).await;
        id
    }

    pub async fn states(&self, order: OrderId, person: u32) -> Vec<(Kind, ReceiptState)> {
        self.store
            .receipts_of(order, PersonId(person))
            .await
            .unwrap()
    }

    /// The state of a person's one receipt.
    pub async fn state(&self, order: OrderId, person: u32) -> ReceiptState {
        match self.states(order, person).await.as_slice() {
            [(_, state)] => *state,
            other => panic!("person {person} has {other:?}"),
        }
    }

    pub async fn to_correct(&self, order: OrderId) -> Vec<u32> {
        self.store.to_correct(order).await.unwrap().iter().collect()
    }

    pub async fn told(&self, order: OrderId, person: u32) -> Option<Timestamp> {
        self.index().await.told(order, PersonId(person))
    }

    /// A worker that lives.
    pub async fn worker<'a>(&'a self, name: &'a str) -> Worker<'a> {
        self.store.renew_worker(name, t(60)).await.unwrap();
        Worker {
            store: &self.store,
            name,
        }
    }

    /// Facts as texts in a fixed order.
    pub async fn facts(&self) -> Vec<String> {
        sorted(&self.store.load().await.unwrap().facts)
    }
}

pub fn sorted(facts: &[Fact]) -> Vec<String> {
    let mut all: Vec<String> = facts.iter().map(|f| format!("{f:?}")).collect();
    all.sort();
    all
}

/// A sender that takes turns, one step at a time.
#[derive(Clone, Copy, Debug)]
pub struct Worker<'a> {
    pub store: &'a Store,
    pub name: &'a str,
}

impl Worker<'_> {
    pub async fn turn(&self, turn: Turn, at: Timestamp) -> Turned {
        self.store.turn(self.name, &turn, at).await.unwrap()
    }

    pub async fn claim(&self, order: OrderId, kind: Kind, people: &[u32]) -> Turned {
        let claim = vec![wanted(order, kind, people)];
        self.turn(
            Turn {
                claim,
                limit: 100,
                ..Turn::default()
            },
            t(0),
        )
        .await
    }

    pub async fn claim_one(&self, order: OrderId, kind: Kind, person: u32) -> Claim {
        let turned = self.claim(order, kind, &[person]).await;
        assert_eq!(turned.claimed.len(), 1, "{turned:?}");
        turned.claimed[0]
    }

    /// What waits for a retry and is due.
    pub async fn retries(&self, at: Timestamp) -> Vec<Claim> {
        self.turn(
            Turn {
                limit: 100,
                ..Turn::default()
            },
            at,
        )
        .await
        .claimed
    }

    pub async fn start(&self, claims: &[Claim]) -> Vec<Claim> {
        let start = claims.to_vec();
        self.turn(
            Turn {
                start,
                ..Turn::default()
            },
            t(1),
        )
        .await
        .started
    }

    pub async fn settle(&self, claim: Claim, outcome: Outcome) {
        self.settle_at(claim, outcome, t(2)).await;
    }

    pub async fn settle_at(&self, claim: Claim, outcome: Outcome, at: Timestamp) {
        let settle = vec![Settled {
            claim,
            outcome,
            detail: "250 ok".to_owned(),
        }];
        self.turn(
            Turn {
                settle,
                ..Turn::default()
            },
            at,
        )
        .await;
    }

    /// Claims and starts.
    pub async fn fly(&self, order: OrderId, kind: Kind, person: u32) -> Claim {
        let claim = self.claim_one(order, kind, person).await;
        assert_eq!(self.start(&[claim]).await, [claim]);
        claim
    }

    /// Claims, starts and settles.
    pub async fn send(&self, order: OrderId, kind: Kind, person: u32, outcome: Outcome) -> Claim {
        let claim = self.fly(order, kind, person).await;
        self.settle(claim, outcome).await;
        claim
    }
}

pub fn wanted(order: OrderId, kind: Kind, people: &[u32]) -> Wanted {
    let people = people.iter().map(|p| PersonId(*p)).collect();
    Wanted {
        order,
        kind,
        people,
    }
}

pub fn key(order: OrderId, kind: Kind, person: u32) -> Key {
    Key {
        order,
        person: PersonId(person),
        kind,
    }
}

/// Seconds after the story's morning.
pub fn t(seconds: i64) -> Timestamp {
    let morning: Timestamp = "2020-07-10T08:00:00Z".parse().unwrap();
    morning + SignedDuration::from_secs(seconds)
}

pub fn by_somebody(change: Change, at: Timestamp) -> Commit {
    Commit {
        actor: Actor::Operator("ada@corp.test".to_owned()),
        at,
        change,
    }
}

pub fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|w| (*w).to_owned()).collect()
}

pub fn person(email: &str, aliases: &[&str], groups: &[&str]) -> PersonRow {
    PersonRow {
        email: email.to_owned(),
        aliases: set(aliases),
        name: email.split('@').next().unwrap_or_default().to_owned(),
        groups: set(groups),
        locale: "en".to_owned(),
        time_zone: "America/Los_Angeles".to_owned(),
        ..PersonRow::default()
    }
}

pub fn keys(texts: &[&str]) -> Vec<DeviceKey> {
    texts.iter().map(|k| k.parse().unwrap()).collect()
}

pub fn app(package_id: &str) -> IncomingApp {
    IncomingApp {
        package_id: package_id.to_owned(),
        name: "TikTok".to_owned(),
        version: "16.6.5".to_owned(),
    }
}

/// A complete report of full visibility of an Android phone.
pub fn report(source: &str, of: &[&str], owner: Option<&str>, apps: &[&str]) -> IncomingReport {
    IncomingReport {
        source: source.to_owned(),
        keys: keys(of),
        person: owner.map(str::to_owned),
        platform: Some(Platform::Android),
        form_factor: Some(FormFactor::Phone),
        ownership: None,
        os_version: Some("10".to_owned()),
        visibility: Visibility::Full,
        complete: true,
        seen_at: t(-3600),
        apps: apps.iter().map(|a| app(a)).collect(),
    }
}

const ORDER: &str = r#"
title = "Remove TikTok"
reason = "Security"
[forbid]
apps = ["tiktok"]
[audience]
groups = ["staff"]
[deadline]
comply_by = "2020-07-10T23:59:00Z"
[notice]
subject = "Remove TikTok"
body = "Please."
[correction]
subject = "CORRECTION: keep it"
body = "Sorry."
"#;

pub fn order_id(n: u128) -> OrderId {
    OrderId(Uuid::from_u128(n))
}

pub fn draft(n: u128) -> Order {
    let pins = Pins {
        catalogue: "test".to_owned(),
        apps: [("tiktok".to_owned(), "TikTok".to_owned())].into(),
        ids: vec![Pin {
            app: "tiktok".to_owned(),
            platform: Platform::Android,
            id: "com.zhiliaoapp.musically".to_owned(),
            confidence: Confidence::A,
        }],
        names: [("tiktok".to_owned(), "tiktok".to_owned())].into(),
        ..Pins::default()
    };
    let file = OrderFile::parse(ORDER).unwrap();
    let revision = Revision::new(1, "ada@corp.test", t(0), ORDER, file, pins);
    Order::draft(order_id(n), revision)
}

pub fn published(n: u128, people: &[u32]) -> Order {
    let approval = Approval {
        by: "ben@corp.test".to_owned(),
        at: t(0),
        digest: "d".to_owned(),
        audience: Audience(people.iter().collect()),
    };
    let order = draft(n).submit("ada@corp.test", t(0)).unwrap();
    let order = order.approve(approval, &BTreeSet::new()).unwrap();
    order.publish("ada@corp.test", t(0)).unwrap()
}

pub fn retracted(order: Order) -> Order {
    let retraction = Retraction {
        by: "rita@corp.test".to_owned(),
        at: t(0),
        reason: "sent in error".to_owned(),
        cause: None,
        answer: RetractAnswer::default(),
    };
    order.retract(retraction).unwrap()
}

pub fn order_change(order: Order, was: Option<i64>, step: Step) -> Change {
    if let (Some(_), Some(was)) = (order.retraction(), was) {
        let (order, planned) = (Box::new(order), Vec::new());
        return Change::Retract {
            order,
            was,
            planned,
        };
    }
    let details = serde_json::json!({});
    Change::Order {
        order: Box::new(order),
        was,
        step,
        details,
    }
}

pub fn refusal(
    fingerprint: u64,
    person: Option<u32>,
    orders: &[OrderId],
    at: Timestamp,
) -> Refusal {
    Refusal {
        fingerprint,
        at,
        person: person.map(PersonId),
        certain: true,
        missing: None,
        orders: orders.iter().copied().collect(),
        known: r#"{"decision":"deny"}"#.to_owned(),
    }
}

/// Runs a case on a database of each kind. Without PostgreSQL its half says that it is skipped.
macro_rules! on_both {
    ($($case:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $case() {
                super::$case(&crate::fixture::Db::sqlite().await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test]
            async fn $case() {
                if let Some(db) = crate::fixture::Db::postgres().await {
                    super::$case(&db).await;
                }
            })+
        }
    };
}
