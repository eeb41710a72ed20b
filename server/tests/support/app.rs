//! The use cases on a database of their own, at a time that stands: whatever a test needs to have happened.

use std::sync::Arc;
use std::time::Duration;

use countermand::app::App;
use countermand::clock::{CountingIds, ManualClock};
use countermand::config::Config;
use countermand::gate::{self, Gate};
use countermand::import::{self, Format};
use countermand::store::{Outcome, Settled, Turn, Wanted};
use countermand_core::actor::{Actor, Role};
use countermand_core::index::Mode;
use countermand_core::notice::Kind;
use countermand_core::order::Order;
use jiff::Timestamp;

use super::free_port;

/// What every test's gate must be shown.
pub const SECRET: &str = "s3cret-of-the-gate";

/// At this time the world begins.
pub const START: &str = "2020-07-10T19:00:00Z";

/// The deadline of [`TIKTOK`].
pub const DEADLINE: &str = "2020-07-11T06:59:00Z";

/// An order with nothing but what must be there.
pub const TIKTOK: &str = r#"
title = "Remove TikTok from phones that read company mail"
reason = "Security risks"
[forbid]
apps = ["tiktok"]
[audience]
groups = ["all-staff"]
[deadline]
comply_by = "2020-07-10T23:59:00-07:00[America/Los_Angeles]"
[notice]
subject = "Remove TikTok by tonight"
body = "Remove TikTok to keep mail on your phone."
[correction]
subject = "CORRECTION: you may keep TikTok"
body = "The order was sent in error. Nothing need be done."
"#;

/// What TikTok is called on iOS.
pub const TIKTOK_IOS: &str = "com.zhiliaoapp.musically";

/// Each may what the name says.
pub const AUTHOR: &str = "author@corp.test";
pub const APPROVER: &str = "approver@corp.test";
pub const RESPONDER: &str = "responder@corp.test";
pub const ADMIN: &str = "admin@corp.test";

pub fn operator(email: &str) -> Actor {
    Actor::Operator(email.to_owned())
}

pub fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[derive(Debug)]
pub struct World {
    pub app: App,
    pub clock: Arc<ManualClock>,
    folder: tempfile::TempDir,
}

impl World {
    /// In enforce mode, with the four operators.
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(time(START)));
        let mut config = Config {
            mode: Mode::Enforce,
            ..Config::default()
        };
        config.gate.secret = SECRET.to_owned();
        config.server.public_url = "https://countermand.corp.test".to_owned();
        change(&mut config);
        let ids = Arc::new(CountingIds::default());
        let app = App::open(config, folder.path(), clock.clone(), ids)
            .await
            .unwrap();
        for (email, role) in [
            (AUTHOR, Role::Author),
            (APPROVER, Role::Approver),
            (RESPONDER, Role::Responder),
            (ADMIN, Role::Admin),
        ] {
            let roles = [role].into();
            app.put_operator(&local(), email, roles).await.unwrap();
        }
        World { app, clock, folder }
    }

    /// Rows of `email,aliases,name,groups,locale,time_zone`.
    pub async fn people(&self, rows: &[&str]) {
        let table = format!(
            "email,aliases,name,groups,locale,time_zone\n{}\n",
            rows.join("\n")
        );
        let read = import::people(table.as_bytes()).unwrap();
        assert!(read.rejects.is_empty(), "{:?}", read.rejects);
        self.app
            .import_people(&local(), read.good, |_| {})
            .await
            .unwrap();
    }

    /// Complete reports of this moment: rows of `person,device,keys,apps`, all iPhones that are seen in full.
    pub async fn iphones(&self, rows: &[&str]) {
        let now = self.app.now();
        let rows: Vec<String> = rows
            .iter()
            .map(|row| format!("{row},ios,phone,{now}\n"))
            .collect();
        self.reports(&format!(
            "person,device,keys,apps,platform,form_factor,seen_at\n{}",
            rows.concat()
        ))
        .await;
    }

    /// A table of devices, in our own format.
    pub async fn reports(&self, table: &str) {
        let read = import::reports(Format::Csv, table.as_bytes(), self.app.now()).unwrap();
        assert!(read.rejects.is_empty(), "{:?}", read.rejects);
        self.app
            .import_reports(&local(), read.good, |_| {})
            .await
            .unwrap();
    }

    /// An order from its text to its publication. Nobody is told yet.
    pub async fn publish(&self, text: &str) -> Order {
        let (author, approver) = (operator(AUTHOR), operator(APPROVER));
        let order = self.app.draft(&author, text).await.unwrap();
        let id = order.id.to_string();
        self.app.submit(&author, &id).await.unwrap();
        self.app.approve(&approver, &id, None).await.unwrap();
        self.app.publish(&author, &id).await.unwrap()
    }

    /// The order's notice to the person is sent and accepted now.
    pub async fn tell(&self, order: &Order, person: &str) {
        const WORKER: &str = "the test's own worker";
        let (store, now) = (&self.app.store, self.app.now());
        let person = self.app.live.view().person_called(person).unwrap().id;
        let turn = Turn {
            claim: vec![Wanted {
                order: order.id,
                kind: Kind::Order,
                people: vec![person],
            }],
            limit: 1,
            ..Turn::default()
        };
        let claimed = store.turn(WORKER, &turn, now).await.unwrap().claimed;
        assert_eq!(claimed.len(), 1, "told once only");
        let turn = Turn {
            start: claimed.clone(),
            ..Turn::default()
        };
        let started = store.turn(WORKER, &turn, now).await.unwrap().started;
        let turn = Turn {
            settle: started
                .into_iter()
                .map(|claim| Settled {
                    claim,
                    outcome: Outcome::Accepted,
                    detail: "250 2.0.0 ok".to_owned(),
                })
                .collect(),
            ..Turn::default()
        };
        store.turn(WORKER, &turn, now).await.unwrap();
        self.app.live.follow().await.unwrap();
    }

    /// Moves the time; the view is current then.
    pub async fn go_to(&self, at: &str) {
        self.clock.set(time(at));
        self.app.live.follow().await.unwrap();
    }

    /// The gates of this installation, with somebody who records.
    pub fn gate(&self) -> Arc<Gate> {
        let gate = Gate::new(
            self.app.live.clone(),
            self.app.store.clone(),
            self.clock.clone(),
            self.app.config.gate.clone(),
            &self.app.config.server.public_url,
            Box::new(gate::page::plain),
        );
        tokio::spawn(gate.clone().keep_recording());
        gate
    }
}

/// Somebody at the machine's own shell.
fn local() -> Actor {
    Actor::Local("test".to_owned())
}

/// A gate that listens, on a runtime of its own.
#[derive(Debug)]
pub struct Listening {
    pub port: u16,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Listening {
    pub fn start(gate: Arc<Gate>) -> Self {
        Self::start_at(gate, free_port())
    }

    /// At that port, as soon as whoever had it has let it go.
    pub fn start_at(gate: Arc<Gate>, port: u16) -> Self {
        let listener = loop {
            match std::net::TcpListener::bind(("127.0.0.1", port)) {
                Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
                bound => break bound.unwrap(),
            }
        };
        listener.set_nonblocking(true).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, gate::router(gate)).await
        });
        Listening {
            port,
            runtime: Some(runtime),
        }
    }

    /// What killing Countermand is to a door: nobody listens any more, and all connections have ended. Not within a
    /// runtime of the test's.
    pub fn kill(mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(30));
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
