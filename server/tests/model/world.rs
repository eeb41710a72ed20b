//! The system under test beside the model of it: one database, two processes on it (the second sees other
//! commits only when the history lets it), senders, and a relay.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use countermand::app::App;
use countermand::clock::{CountingIds, Ids, ManualClock};
use countermand::config::Config;
use countermand::live::Live;
use countermand::store::Store;
use countermand_core::actor::{Actor, Role};
use countermand_core::change::{Change, Commit};
use countermand_core::fleet::{FormFactor, IncomingApp, IncomingReport, PersonRow, Visibility};
use countermand_core::id::OrderId;
use countermand_core::index::Mode;
use countermand_core::notice::Key;
use countermand_core::platform::Platform;
use countermand_core::verdict::{Channel, Question};
use jiff::Timestamp;
use sqlx::{AssertSqlSafe, Connection as _};

use super::dice::Dice;
use super::reference::{Device, Model, Person, Receipt, Who};
use super::relay::Relay;
use super::rules::{self, GROUPS};
use super::worker::{FROM, Worker};
use crate::support::app::{ADMIN, APPROVER, AUTHOR, RESPONDER, operator, time};

/// Friday noon.
pub const START: &str = "2020-07-10T19:00:00Z";
const SOURCE: &str = "mdm";
const NOTES: &str = "org.notes";

/// A database that many histories use, one after the other: opening one is dearer than a history.
pub struct House {
    pub store: Arc<Store>,
    pub raw: sqlx::AnyConnection,
    config: Arc<Config>,
    base: Model,
    to_base: String,
    _folder: tempfile::TempDir,
}

pub struct World<'a> {
    pub house: &'a mut House,
    pub clock: Arc<ManualClock>,
    /// The first follows every commit at once.
    pub nodes: [App; 2],
    pub model: Model,
    pub relay: Relay,
    pub workers: Vec<Worker>,
    pub made: usize,
    /// The second process hears nothing of what others commit.
    pub cut_off: bool,
    /// Something was committed since the last asking.
    pub touched: bool,
    /// Receipts as they were then.
    pub before: BTreeMap<Key, Receipt>,
    /// The time of the last asking.
    pub asked_at: Option<Timestamp>,
    /// Of each retracted order, whom doors had refused when it was last asked whom it corrects.
    pub asked_to_correct: BTreeMap<OrderId, BTreeMap<Who, bool>>,
    pub steps: usize,
    /// What happened, in words, where somebody wants to read it.
    pub log: Option<Vec<String>>,
}

/// What is forced to disk is not in question here, so it goes where that costs nothing.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir()
        && let Ok(folder) = tempfile::tempdir_in(memory)
    {
        return folder;
    }
    tempfile::tempdir().unwrap()
}

impl House {
    pub async fn new() -> House {
        let folder = folder();
        let mut config = Config {
            mode: Mode::Enforce,
            ..Config::default()
        };
        config.notices.from = FROM.to_owned();
        let clock = Arc::new(ManualClock::at(time(START)));
        let ids = Arc::new(CountingIds::default());
        let app = App::open(config, folder.path(), clock, ids).await.unwrap();
        for (email, role) in [
            (AUTHOR, Role::Author),
            (APPROVER, Role::Approver),
            (RESPONDER, Role::Responder),
            (ADMIN, Role::Admin),
        ] {
            let local = Actor::Local("test".to_owned());
            app.put_operator(&local, email, [role].into())
                .await
                .unwrap();
        }
        let url = format!(
            "sqlite://{}",
            folder.path().join("countermand.db").display()
        );
        let mut house = House {
            store: app.store.clone(),
            raw: sqlx::AnyConnection::connect(&url).await.unwrap(),
            config: app.config.clone(),
            base: Model::default(),
            to_base: String::new(),
            _folder: folder,
        };
        house.furnish().await;
        house.remember().await;
        house
    }

    /// Eight people and what they carry.
    async fn furnish(&mut self) {
        use rules::App::{Tiktok, Whatsapp};
        let mut world = World::new(self).await;
        for groups in [
            &["staff", "it"][..],
            &["staff"],
            &["staff"],
            &["staff", "sales"],
            &["staff", "it"],
        ] {
            world.join(groups.iter().copied().collect()).await;
        }
        for groups in [&["staff"][..], &["staff", "sales"], &["sales"]] {
            world.join(groups.iter().copied().collect()).await;
        }
        for (owner, apps) in [
            (0, Some(vec![Tiktok])),
            (1, Some(vec![])),
            (2, None),
            (3, Some(vec![Tiktok])),
            (3, Some(vec![Whatsapp])),
            (4, Some(vec![Tiktok, Whatsapp])),
            (5, Some(vec![Whatsapp])),
            (7, Some(vec![Tiktok])),
        ] {
            world
                .enrol(owner, apps.map(|apps| apps.into_iter().collect()), false)
                .await;
        }
        world.enrol(1, Some([Tiktok].into()), true).await;
        let base = world.model;
        self.base = base;
    }

    /// Keeps a copy of every table.
    async fn remember(&mut self) {
        let tables: Vec<String> = sqlx::query_scalar(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
        )
        .fetch_all(&mut self.raw)
        .await
        .unwrap();
        self.script("ATTACH DATABASE ':memory:' AS base".to_owned())
            .await;
        self.to_base = "BEGIN IMMEDIATE;".to_owned();
        for table in tables {
            self.script(format!(
                "CREATE TABLE base.{table} AS SELECT * FROM main.{table}"
            ))
            .await;
            self.to_base += &format!(
                "DELETE FROM main.{table}; INSERT INTO main.{table} SELECT * FROM base.{table};"
            );
        }
        self.to_base += "COMMIT";
    }

    async fn script(&mut self, sql: String) {
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut self.raw)
            .await
            .unwrap();
    }

    /// As it was at first.
    pub async fn fresh(&mut self) -> World<'_> {
        let to_base = self.to_base.clone();
        self.script(to_base).await;
        World::new(self).await
    }
}

async fn live(store: &Arc<Store>, clock: &Arc<ManualClock>) -> Arc<Live> {
    let config = Config::default();
    Live::open(
        store.clone(),
        clock.clone(),
        config.gate.policy(),
        Mode::Enforce,
    )
    .await
    .unwrap()
}

impl<'a> World<'a> {
    async fn new(house: &'a mut House) -> World<'a> {
        let clock = Arc::new(ManualClock::at(time(START)));
        let ids: Arc<dyn Ids> = Arc::new(CountingIds::default());
        let node = async || {
            let (store, config) = (house.store.clone(), house.config.clone());
            let live = live(&store, &clock).await;
            let node = App::over(store, live, clock.clone(), ids.clone(), config);
            node.await.unwrap()
        };
        let nodes = [node().await, node().await];
        World {
            model: house.base.clone(),
            clock,
            nodes,
            relay: Relay::default(),
            workers: Vec::new(),
            made: 0,
            cut_off: false,
            touched: true,
            before: BTreeMap::new(),
            asked_at: None,
            asked_to_correct: BTreeMap::new(),
            steps: 0,
            log: None,
            house,
        }
    }

    pub fn now(&self) -> Timestamp {
        self.nodes[0].now()
    }

    /// The process where operators work.
    pub fn app(&self) -> &App {
        &self.nodes[0]
    }

    pub fn say(&mut self, what: impl FnOnce() -> String) {
        let now = self.now();
        if let Some(log) = &mut self.log {
            log.push(format!("{now}  {}", what()));
        }
    }

    pub async fn commit(&mut self, actor: Actor, change: Change) {
        let commit = Commit {
            actor,
            at: self.now(),
            change,
        };
        self.house.store.commit(&commit).await.unwrap();
        self.nodes[0].live.follow().await.unwrap();
        self.touched = true;
    }

    /// A process ends and begins anew; its senders are gone with it.
    pub async fn restart(&mut self, node: usize) {
        self.workers.retain(|worker| worker.node != node);
        self.nodes[node].live = live(&self.house.store, &self.clock).await;
        self.touched = true;
    }

    pub fn spawn(&mut self, node: usize) {
        self.made += 1;
        let name = format!("w{}-{node}", self.made);
        self.workers
            .push(Worker::new(name, node, &self.nodes[node]));
    }

    /// A row of the list of staff.
    pub async fn list(&mut self, person: &Person) {
        let row = PersonRow {
            email: person.email.clone(),
            aliases: person.aliases.clone(),
            name: person.email.to_uppercase(),
            groups: person.groups.iter().map(|g| (*g).to_owned()).collect(),
            time_zone: "UTC".to_owned(),
            ..PersonRow::default()
        };
        self.commit(operator(ADMIN), Change::People(vec![row]))
            .await;
    }

    pub async fn join(&mut self, groups: BTreeSet<&'static str>) -> Who {
        let who = self.model.people.len() as Who;
        let email = format!("p{who}@corp.test");
        let person = Person {
            email,
            aliases: BTreeSet::new(),
            groups,
        };
        self.list(&person).await;
        self.model.people.insert(who, person);
        who
    }

    pub async fn enrol(&mut self, owner: Who, apps: Option<BTreeSet<rules::App>>, is_laptop: bool) {
        let no = self.model.devices.len() as u32;
        let key = format!("eas:DEV{no}X").parse().unwrap();
        self.model.devices.insert(
            no,
            Device {
                owner,
                key,
                is_laptop,
                apps,
            },
        );
        self.report(no).await;
    }

    /// What the device manager says of a device, as the model has it.
    pub async fn report(&mut self, no: u32) {
        let device = &self.model.devices[&no];
        let seen = device
            .apps
            .iter()
            .flatten()
            .map(|app| app.on_ios())
            .chain([NOTES]);
        let apps = seen.map(|id| IncomingApp {
            package_id: id.to_owned(),
            ..IncomingApp::default()
        });
        let report = IncomingReport {
            source: SOURCE.to_owned(),
            keys: vec![
                device.key.clone(),
                format!("mdm:{SOURCE}:{no}").parse().unwrap(),
            ],
            person: Some(self.model.people[&device.owner].email.clone()),
            platform: Some(Platform::Ios),
            form_factor: Some(if device.is_laptop {
                FormFactor::Laptop
            } else {
                FormFactor::Phone
            }),
            ownership: None,
            os_version: None,
            visibility: match device.apps {
                Some(_) => Visibility::Full,
                None => Visibility::ManagedOnly,
            },
            complete: true,
            seen_at: self.now(),
            apps: apps.collect(),
        };
        self.commit(operator(ADMIN), Change::Reports(vec![report]))
            .await;
    }

    /// What a door asks where a person comes with their own device, by any of their names.
    pub fn question(&self, no: u32, dice: &mut Dice) -> Question {
        let device = &self.model.devices[&no];
        let person = &self.model.people[&device.owner];
        let names: Vec<&String> = [&person.email].into_iter().chain(&person.aliases).collect();
        Question {
            person: Some(dice.pick(&names).clone()),
            keys: vec![device.key.clone()],
            channel: Channel::ALL[0],
        }
    }

    pub fn some_groups(dice: &mut Dice) -> BTreeSet<&'static str> {
        GROUPS.into_iter().filter(|_| dice.one_in(2)).collect()
    }
}
