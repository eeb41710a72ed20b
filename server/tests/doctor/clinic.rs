//! A whole installation that serves on loopback, with a relay, and whoever examines it.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use countermand::app::bounces::Bounces;
use countermand::config::{Config, TransportKind};
use countermand::doctor::{self, At, Report, Status, Visit};
use countermand::gate::{Gate, postfix};
use countermand::listen::{Admit, Listen, Listener};
use countermand::outbox::bounces::lmtp;
use countermand::serve::{self, Options};
use countermand_core::actor::{Actor, Role};
use countermand_core::index::Mode;

use crate::support::app::World;
use crate::support::free_port;
use crate::support::smtp_record::Recorder;

/// As long as `init` makes them.
pub const SECRET: &str = "0123456789abcdef-of-the-clinic";

pub struct Clinic {
    pub world: World,
    pub gate: Arc<Gate>,
    pub port: u16,
    /// What the doctor reads.
    pub config: Config,
    pub relay: Recorder,
    pub folder: tempfile::TempDir,
    runtime: Option<tokio::runtime::Runtime>,
    doors: tokio::runtime::Runtime,
}

impl Clinic {
    pub fn new() -> Clinic {
        Clinic::with(|_| {})
    }

    /// `change` is made before anything starts.
    pub fn with(change: impl FnOnce(&mut Config)) -> Clinic {
        let (port, relay) = (free_port(), Recorder::start());
        let folder = tempfile::tempdir().unwrap();
        let doors = runtime();
        let runtime = runtime();
        let world = runtime.block_on(World::with(|config| {
            let file = folder.path().join("countermand.db");
            config.database.url = format!("sqlite:{}", file.display());
            config.server.listen = format!("127.0.0.1:{port}");
            config.server.public_url = format!("http://127.0.0.1:{port}");
            config.gate.secret = SECRET.to_owned();
            config.gate.postfix_listen = format!("127.0.0.1:{}", free_port());
            config.notices.transport = TransportKind::Smtp;
            config.notices.smtp.port = relay.port();
            config.notices.bounces.lmtp_listen = Some(format!("127.0.0.1:{}", free_port()));
            change(config);
        }));
        let mut config = (*world.app.config).clone();
        config.mode = Mode::Enforce;
        let gate = runtime.block_on(async {
            let second = [Role::Approver].into();
            let by = Actor::Local("test".to_owned());
            world
                .app
                .put_operator(&by, "second@corp.test", second)
                .await
                .unwrap();
            world
                .people(&["alice@corp.test,,Alice,all-staff,,Europe/Berlin"])
                .await;
            world.app.live.follow().await.unwrap();
            world.gate()
        });
        let clinic = Clinic {
            world,
            gate,
            port,
            config,
            relay,
            folder,
            runtime: Some(runtime),
            doors,
        };
        clinic.serve();
        clinic
    }

    /// What `serve` opens, on a runtime that `kill` ends.
    fn serve(&self) {
        let data = self.folder.path();
        let (_, stopping) = tokio::sync::watch::channel(false);
        let router = serve::router(
            &self.world.app,
            &self.gate,
            data,
            Options::default(),
            stopping,
        );
        self.doors.block_on(async {
            let listener = tokio::net::TcpListener::bind(("127.0.0.1", self.port))
                .await
                .unwrap();
            let router = router.into_make_service_with_connect_info::<std::net::SocketAddr>();
            tokio::spawn(async move { axum::serve(listener, router).await });
            if let Some(listen) = self.config.gate.postfix(data).unwrap() {
                let listener = Listener::bind(&listen, Admit::Group).await.unwrap();
                tokio::spawn(postfix::serve(self.gate.clone(), listener));
            }
            if let Some(listen) = self.config.notices.bounces.listen(data).unwrap() {
                let listener = Listener::bind(&listen, Admit::Everyone).await.unwrap();
                let intake = Arc::new(Bounces::new(self.world.app.clone()));
                tokio::spawn(lmtp::serve(listener, intake));
            }
        });
    }

    /// Countermand is gone.
    pub fn kill(&mut self) {
        std::mem::replace(&mut self.doors, runtime()).shutdown_background();
    }

    pub fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.as_ref().unwrap().block_on(work)
    }

    pub fn visit(&self) -> Visit {
        Visit {
            config: self.config.clone(),
            data: self.folder.path().to_owned(),
            clock: self.world.clock.clone(),
            at: At::Main,
            app: Ok(self.world.app.clone()),
        }
    }

    pub fn examine(&self) -> Report {
        self.run(doctor::examine(&self.visit()))
    }

    /// What is not ok, but for this: on one machine the address in notices is always a local one.
    pub fn findings(&self) -> Vec<(&'static str, Status)> {
        found(&self.examine())
    }
}

impl Drop for Clinic {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

pub fn found(report: &Report) -> Vec<(&'static str, Status)> {
    let bad = |c: &&doctor::Check| c.status != Status::Ok && c.id != "public_url.local";
    report
        .0
        .iter()
        .filter(bad)
        .map(|c| (c.id, c.status))
        .collect()
}

/// The ids of what is well.
pub fn well(report: &Report) -> Vec<&'static str> {
    let good = report.0.iter().filter(|c| c.status == Status::Ok);
    good.map(|c| c.id).collect()
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().unwrap()
}

/// A server that greets everybody and says no more.
pub fn greeting(line: &'static str) -> u16 {
    use std::io::Write as _;
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    // Ends with the test's process.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = (&stream).write_all(line.as_bytes());
        }
    });
    port
}

pub fn tcp(port: u16) -> Listen {
    Listen::parse(&format!("127.0.0.1:{port}"), Path::new("")).unwrap()
}
