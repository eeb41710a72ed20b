//! A company in which an order is enforcing, and its Countermand: each question is judged, and those asked here are
//! let in.

use std::sync::Arc;

use countermand::config::Config;
use countermand::gate::{self, Gate, postfix};
use countermand::listen::{Admit, Listen, Listener};
use countermand::serve;
use countermand_core::actor::Actor;
use countermand_core::fleet::{FormFactor, IncomingApp, IncomingReport, Ownership, Visibility};
use countermand_core::index::Mode;
use countermand_core::platform::Platform;
use jiff::Timestamp;
use tokio::net::TcpListener;

use crate::stage::{Stage, address, order};
use crate::tools::free_port;

pub const SECRET: &str = "bench";
pub const DOVEADM_KEY: &str = "bench-doveadm";
const PEOPLE: usize = 5_000;
const TIKTOK: &str = "com.zhiliaoapp.musically";
const CLOCK: &str = "com.example.clock";

/// Whose phones have not what is forbidden.
pub fn is_clean(person: usize) -> bool {
    !person.is_multiple_of(20)
}

/// Who asks.
pub const ASKING: usize = 7;

pub struct Company {
    pub stage: Stage,
    /// Where proxies and Dovecot ask.
    pub port: u16,
    pub postfix_port: u16,
    /// Where Dovecot's doveadm is to be, and where nginx passes a login on to.
    pub doveadm_port: u16,
    pub imap_port: u16,
    _folder: tempfile::TempDir,
}

impl Company {
    pub async fn new() -> anyhow::Result<Company> {
        let folder = tempfile::tempdir()?;
        let (doveadm_port, imap_port) = (free_port()?, free_port()?);
        let mut config = Config {
            mode: Mode::Enforce,
            ..Config::default()
        };
        config.gate.secret = SECRET.to_owned();
        config.gate.nginx_mail.imap = Some(([127, 0, 0, 1], imap_port).into());
        config.gate.doveadm.address = Some(format!("127.0.0.1:{doveadm_port}"));
        config.gate.doveadm.api_key = DOVEADM_KEY.to_owned();
        let stage = Stage::of(config, PEOPLE, folder.path()).await?;
        let gate = serve::gates(&stage.app);
        let mut company = Company {
            stage,
            port: listen(gate.clone()).await?,
            postfix_port: free_port()?,
            doveadm_port,
            imap_port,
            _folder: folder,
        };
        let place = Listen::Tcp(([127, 0, 0, 1], company.postfix_port).into());
        let listener = Listener::bind(&place, Admit::Group).await?;
        tokio::spawn(postfix::serve(gate.clone(), listener));
        tokio::spawn(gate.clone().keep_recording());
        tokio::spawn(gate.keep_kicking());
        tokio::spawn(company.stage.app.live.clone().keep_following());
        company.begin().await?;
        Ok(company)
    }

    /// Reports of all phones, and an order whose time has come.
    async fn begin(&mut self) -> anyhow::Result<()> {
        let now = self.stage.app.now();
        let reports = (0..PEOPLE)
            .map(|person| phone(person, if is_clean(person) { CLOCK } else { TIKTOK }, now))
            .collect::<anyhow::Result<Vec<_>>>()?;
        self.import(reports).await?;
        let past = "2020-07-10T23:59:00-07:00[America/Los_Angeles]";
        let text = order("affected", past, 500);
        let text = text.replace("[notice]", "enforce_untold = true\n[notice]");
        self.stage.publish(&text).await?;
        Ok(())
    }

    async fn import(&self, reports: Vec<IncomingReport>) -> anyhow::Result<()> {
        let actor = Actor::System("bench".to_owned());
        self.stage
            .app
            .import_reports(&actor, reports, |_| {})
            .await?;
        Ok(())
    }

    /// From now on that person's phone has what is forbidden, or has it no more.
    pub async fn installs(&self, person: usize, forbidden: bool) -> anyhow::Result<()> {
        let app = if forbidden { TIKTOK } else { CLOCK };
        self.import(vec![phone(person, app, self.stage.app.now())?])
            .await
    }
}

async fn listen(gate: Arc<Gate>) -> anyhow::Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    let listener = axum::serve::ListenerExt::tap_io(listener, |tcp| {
        let _ = tcp.set_nodelay(true);
    });
    tokio::spawn(axum::serve(listener, gate::router(gate)).into_future());
    Ok(port)
}

fn phone(person: usize, app: &str, now: Timestamp) -> anyhow::Result<IncomingReport> {
    Ok(IncomingReport {
        source: "bench".to_owned(),
        keys: vec![
            format!("mdm:bench:{person}").parse()?,
            format!("eas:PHONE{person:06}").parse()?,
            format!("cred:phone-{person}").parse()?,
        ],
        person: Some(address(person)),
        platform: Some(Platform::Ios),
        form_factor: Some(FormFactor::Phone),
        ownership: Some(Ownership::Company),
        os_version: Some("17.1".to_owned()),
        visibility: Visibility::Full,
        complete: true,
        seen_at: now,
        apps: vec![IncomingApp {
            package_id: app.to_owned(),
            name: "app".to_owned(),
            version: "1".to_owned(),
        }],
    })
}
