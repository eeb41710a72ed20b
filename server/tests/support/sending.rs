//! An organisation for tests of the outbox: people who are numbers, orders straight from the database.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use countermand::clock::{Clock, SystemClock};
use countermand::outbox::office::{Brief, Letter, Office};
use countermand::outbox::smtp::SmtpConfig;
use countermand::outbox::transport::Transport;
use countermand::outbox::worker::{Progress, Sender, Setup};
use countermand::store::{Store, StoredOrder};
use countermand_core::actor::Actor;
use countermand_core::change::{Change, Commit, Step};
use countermand_core::id::{OrderId, PersonId};
use countermand_core::notice::plan::Due;
use countermand_core::notice::{Key, Kind};
use countermand_core::order::{
    Approval, Audience, Order, OrderFile, Pins, Retraction, Revision, State,
};
use jiff::{SignedDuration, Timestamp};
use roaring::RoaringBitmap;
use sqlx::Row as _;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::smtp_record::{Fault, Recorder, Setup as Relay};
use super::story_clock::StoryClock;

pub const FROM: &str = "IT Security <it-security@corp.test>";
pub const NOON: &str = "2020-07-10T19:00:00Z";

pub fn noon() -> Timestamp {
    NOON.parse().unwrap()
}

pub fn order_id(number: u128) -> OrderId {
    OrderId(Uuid::from_u128(number))
}

pub fn address(person: u32) -> String {
    format!("p{person}@corp.test")
}

/// The person behind an address of [`address`].
pub fn person_at(address: &str) -> u32 {
    let number = address.strip_prefix('p').and_then(|a| a.split_once('@'));
    number.unwrap().0.parse().unwrap()
}

pub fn message_id(order: OrderId, person: u32, kind: Kind) -> String {
    let person = PersonId(person);
    let key = Key {
        order,
        person,
        kind,
    };
    format!("<{}>", key.message_id("corp.test"))
}

/// Orders as the database had them last.
#[derive(Default)]
pub struct TestOffice {
    orders: Mutex<(i64, Vec<Order>)>,
    /// Everybody is due the first reminder, too.
    pub reminds: AtomicBool,
    /// Whose mail is at which domain; absent: nobody's is known.
    pub domains: std::sync::OnceLock<fn(u32) -> &'static str>,
}

impl TestOffice {
    pub async fn refresh(&self, store: &Store) {
        let version = store.version().await.unwrap();
        let orders = store.orders().await.unwrap();
        *self.orders.lock().unwrap() = (
            version,
            orders.into_iter().map(|stored| stored.order).collect(),
        );
    }

    fn those(&self, of: impl Fn(&State) -> bool) -> Vec<OrderId> {
        let orders = self.orders.lock().unwrap();
        orders
            .1
            .iter()
            .filter(|o| of(&o.state))
            .map(|o| o.id)
            .collect()
    }
}

impl Office for TestOffice {
    fn version(&self) -> i64 {
        self.orders.lock().unwrap().0
    }

    fn standing(&self, _: Timestamp) -> Vec<OrderId> {
        self.those(|state| matches!(state, State::Published(_)))
    }

    fn retracted(&self) -> Vec<OrderId> {
        self.those(|state| matches!(state, State::Retracted { .. }))
    }

    fn due(&self, id: OrderId, refused: &RoaringBitmap, _: Timestamp) -> Vec<Due> {
        let orders = self.orders.lock().unwrap();
        let order = orders.1.iter().find(|o| o.id == id).unwrap();
        let everyone = &order.published().unwrap().approval.audience.0;
        let mut kinds = vec![
            (Kind::Blocked, refused.clone()),
            (Kind::Order, everyone.clone()),
        ];
        if self.reminds.load(Ordering::SeqCst) {
            kinds.push((Kind::Reminder(1), everyone.clone()));
        }
        kinds
            .into_iter()
            .map(|(kind, people)| Due { kind, people })
            .collect()
    }

    fn domain(&self, person: PersonId) -> Option<String> {
        let of = self.domains.get()?;
        Some(of(person.0).to_owned())
    }

    fn write(&self, brief: &Brief) -> Result<Letter, String> {
        let Key { person, kind, .. } = brief.key;
        if person.0 == NOBODY {
            return Err("there is no such person".into());
        }
        let text = format!("Refused: {}\n", brief.was_refused);
        Ok(Letter {
            to_name: format!("Person {person}"),
            to_address: address(person.0),
            subject: format!("{kind} for {person}"),
            html: format!("<pre>{text}</pre>"),
            text,
            language: "en".to_owned(),
        })
    }
}

/// In an audience and not on the list of staff.
pub const NOBODY: u32 = 999_999;

const FILE: &str = r#"
title = "Remove TikTok"
reason = "Security risks"
[forbid]
apps = ["tiktok"]
[audience]
groups = ["all-staff"]
[deadline]
comply_by = "2020-07-10T23:59:00-07:00[America/Los_Angeles]"
[notice]
subject = "Remove it"
body = "Remove it."
[correction]
subject = "Keep it"
body = "Keep it."
"#;

fn published(id: OrderId, people: RoaringBitmap) -> Order {
    let file = OrderFile::parse(FILE).unwrap();
    let revision = Revision::new(1, "author@corp.test", noon(), FILE, file, Pins::default());
    let approval = Approval {
        by: "approver@corp.test".into(),
        at: noon(),
        digest: String::new(),
        audience: Audience(people),
    };
    Order::draft(id, revision)
        .submit("author@corp.test", noon())
        .and_then(|o| o.approve(approval, &BTreeSet::new()))
        .and_then(|o| o.publish("author@corp.test", noon()))
        .unwrap()
}

async fn write(store: &Store, order: Order, was: Option<i64>, step: Step) {
    let order = Box::new(order);
    let change = match (step, was) {
        (Step::Retract, Some(was)) => Change::Retract {
            order,
            was,
            planned: Vec::new(),
        },
        _ => Change::Order {
            order,
            was,
            step,
            details: serde_json::json!({}),
        },
    };
    let commit = Commit {
        actor: Actor::Operator("responder@corp.test".into()),
        at: noon(),
        change,
    };
    store.commit(&commit).await.unwrap();
}

pub async fn publish(store: &Store, id: OrderId, people: impl IntoIterator<Item = u32>) {
    write(
        store,
        published(id, people.into_iter().collect()),
        None,
        Step::Publish,
    )
    .await;
}

async fn next_state(store: &Store, id: OrderId, step: Step, next: impl Fn(Order) -> Order) {
    let StoredOrder { order, changed } = store.order_called(&id.to_string()).await.unwrap();
    write(store, next(order), Some(changed), step).await;
}

pub async fn hold(store: &Store, id: OrderId) {
    next_state(store, id, Step::Hold, |o| {
        o.hold("r", noon(), "wait").unwrap()
    })
    .await;
}

pub async fn resume(store: &Store, id: OrderId) {
    next_state(store, id, Step::Resume, |o| o.resume(noon()).unwrap()).await;
}

pub async fn retract(store: &Store, id: OrderId) {
    let retraction = || Retraction {
        by: "responder@corp.test".into(),
        at: noon(),
        reason: "sent in error".into(),
        cause: None,
        answer: Default::default(),
    };
    next_state(store, id, Step::Retract, |o| {
        o.retract(retraction()).unwrap()
    })
    .await;
}

/// A database with an office that follows it.
pub struct World {
    pub store: Arc<Store>,
    pub office: Arc<TestOffice>,
    pub clock: Arc<dyn Clock>,
    /// Long, so that a busy machine makes nothing unknown.
    pub final_dot_timeout: SignedDuration,
    raw: sqlx::AnyPool,
    folder: Option<tempfile::TempDir>,
    following: tokio::task::JoinHandle<()>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.following.abort();
    }
}

impl World {
    pub async fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let mut world = World::at("sqlite:test.db", folder.path(), SignedDuration::ZERO).await;
        world.folder = Some(folder);
        world
    }

    /// On a database that others may use too, `later` than noon.
    pub async fn at(url: &str, data: &Path, later: SignedDuration) -> World {
        let store = Arc::new(Store::open(url, data).await.unwrap());
        let office = Arc::new(TestOffice::default());
        office.refresh(&store).await;
        let (followed, by) = (Arc::clone(&store), Arc::clone(&office));
        let following = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let version = followed.version().await.unwrap_or_default();
                if version != by.version() && version != 0 {
                    by.refresh(&followed).await;
                }
            }
        });
        let raw = match url.strip_prefix("sqlite:") {
            Some(file) => format!("sqlite://{}", data.join(file).display()),
            None => url.to_owned(),
        };
        World {
            raw: sqlx::AnyPool::connect(&raw).await.unwrap(),
            store,
            office,
            clock: Arc::new(StoryClock::new(Arc::new(SystemClock), noon() + later, 1)),
            final_dot_timeout: SignedDuration::from_mins(1),
            folder: None,
            following,
        }
    }

    pub fn folder(&self) -> &Path {
        self.folder.as_ref().unwrap().path()
    }

    /// Hours pass as minutes: for retries.
    pub fn hasten(&mut self) {
        self.clock = Arc::new(StoryClock::new(Arc::new(SystemClock), noon(), 60));
    }

    pub fn sender(&self, name: &str, port: u16) -> Sender {
        let smtp = SmtpConfig {
            port,
            final_dot_timeout: self.final_dot_timeout,
            ..SmtpConfig::default()
        };
        self.sender_by(name, Transport::Smtp(smtp))
    }

    pub fn sender_by(&self, name: &str, transport: Transport) -> Sender {
        self.sender_of(8, name, transport)
    }

    pub fn sender_of(&self, sessions: usize, name: &str, transport: Transport) -> Sender {
        let setup = Setup {
            store: Arc::clone(&self.store),
            office: self.office.clone(),
            clock: Arc::clone(&self.clock),
            transport,
            from: FROM.into(),
            sessions,
            name: name.into(),
        };
        Sender::new(setup).unwrap()
    }

    pub async fn send(&self, name: &str, port: u16) -> Progress {
        self.office.refresh(&self.store).await;
        let sender = self.sender(name, port);
        sender.run_until_idle(std::future::pending()).await.unwrap()
    }

    /// Straight to the database, as no part of the program does.
    pub async fn tamper(&self, sql: &'static str) {
        sqlx::query(sql).execute(&self.raw).await.unwrap();
    }

    /// All receipts of one kind by person: the state, and whether it may have left.
    pub async fn receipts(&self, order: OrderId, kind: Kind) -> BTreeMap<u32, (String, bool)> {
        let rows = sqlx::query("SELECT person, state, CASE WHEN in_flight_at IS NULL THEN 0 ELSE 1 END AS flew FROM receipt WHERE order_id = $1 AND kind = $2")
            .bind(order.to_string())
            .bind(kind.to_string())
            .fetch_all(&self.raw)
            .await
            .unwrap();
        let flew = |row: &sqlx::any::AnyRow| {
            row.try_get::<i64, _>("flew")
                .or_else(|_| row.try_get::<i32, _>("flew").map(i64::from))
        };
        rows.iter()
            .map(|row| {
                let person: i64 = row.get("person");
                (person as u32, (row.get("state"), flew(row).unwrap() == 1))
            })
            .collect()
    }

    pub async fn in_state(&self, order: OrderId, kind: Kind, state: &str) -> BTreeSet<u32> {
        let receipts = self.receipts(order, kind).await;
        receipts
            .into_iter()
            .filter(|(_, (s, _))| s == state)
            .map(|(person, _)| person)
            .collect()
    }

    /// Whom invariant 23 names, read at once after a retraction: a receipt that settles in between
    /// stays in the set.
    pub async fn perhaps_told(&self, order: OrderId, kinds: &[Kind]) -> BTreeSet<u32> {
        let mut told = BTreeSet::new();
        for kind in kinds {
            // In one query: a receipt that settles between two would be in neither answer.
            let receipts = self.receipts(order, *kind).await.into_iter();
            let perhaps = |state: &str| ["accepted", "unknown", "in_flight"].contains(&state);
            told.extend(
                receipts
                    .filter(|(_, (s, _))| perhaps(s))
                    .map(|(person, _)| person),
            );
        }
        told
    }
}

/// How often each notice of a kind was received whole, by person.
pub fn received(recorder: &Recorder, order: OrderId, kind: Kind) -> BTreeMap<u32, usize> {
    let mut times = BTreeMap::new();
    for message in recorder.messages() {
        let person = person_at(&message.to[0]);
        if message.message_id == message_id(order, person, kind) {
            *times.entry(person).or_default() += 1;
        }
    }
    times
}

/// A header of a received message.
pub fn header(bytes: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(bytes).replace("\r\n ", " ");
    text.split("\r\n")
        .take_while(|line| !line.is_empty())
        .find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
}

pub fn set(people: impl IntoIterator<Item = u32>) -> BTreeSet<u32> {
    people.into_iter().collect()
}

pub fn once_each(people: impl IntoIterator<Item = u32>) -> BTreeMap<u32, usize> {
    people.into_iter().map(|person| (person, 1)).collect()
}

/// Stops the relay at one message until the test has done something: the script blocks at `at`, which is
/// the how-manieth RCPT, `reached` hears of it, and `go_on` lets it continue.
pub struct Pause {
    pub reached: oneshot::Receiver<()>,
    pub go_on: mpsc::Sender<()>,
}

pub fn pausing(at: usize) -> (Relay, Pause) {
    let (say, reached) = oneshot::channel();
    let (go_on, wait) = mpsc::channel();
    let (say, wait, count) = (Mutex::new(Some(say)), Mutex::new(wait), AtomicUsize::new(0));
    let setup = Relay::new().script(move |offer| {
        if !offer.to.is_empty() && count.fetch_add(1, Ordering::SeqCst) + 1 == at {
            let say = say.lock().unwrap().take().unwrap();
            say.send(()).unwrap();
            wait.lock().unwrap().recv().unwrap();
        }
        Fault::Accept
    });
    (setup, Pause { reached, go_on })
}
