//! A small company with its operators, its database and its web server, for tests of the pages.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use countermand::app::App;
use countermand::clock::{CountingIds, ManualClock, RandomIds};
use countermand::config::Config;
use countermand::outbox::rehearsal::Rehearsal;
use countermand::store::{Outcome, Settled, Turn, Wanted};
use countermand::web::{Web, router};
use countermand_core::actor::{Actor, Role};
use countermand_core::fleet::{
    FormFactor, IncomingApp, IncomingReport, Ownership, PersonRow, Visibility,
};
use countermand_core::index::Mode;
use countermand_core::notice::Kind;
use countermand_core::platform::Platform;
use jiff::Timestamp;
use tokio::sync::watch;

pub const NOON: &str = "2020-07-10T19:00:00Z";
pub const ANA: &str = "ana@corp.test";
pub const BEN: &str = "ben@corp.test";
pub const RITA: &str = "rita@corp.test";
pub const ADA: &str = "ada@corp.test";
/// Has TikTok on a phone; and who has not.
pub const MIA: &str = "mia@corp.test";
pub const SAM: &str = "sam@corp.test";
pub const PASSWORD: &str = "correct horse battery";
pub const TITLE: &str = "Remove TikTok from phones that read company mail";

/// An order as its author would write it.
pub fn order_file(title: &str) -> String {
    format!(
        r#"title  = "{title}"
reason = "Security risks"
[forbid]
apps = ["tiktok"]
[allow]
web_on = ["laptop"]
[audience]
groups = ["all-staff"]
[deadline]
comply_by = "2020-07-10T23:59:00-07:00[America/Los_Angeles]"
[notice]
subject = "Remove TikTok by tonight to keep mail on your phone"
body = """
Dear {{{{ person.name }}}},

**{{{{ apps }}}}** is no longer permitted. Remove it by {{{{ order.comply_by }}}}.
"""
[correction]
subject = "CORRECTION: you may keep TikTok"
body = "Our mail was wrong."
"#
    )
}

pub struct House {
    pub app: App,
    pub clock: Arc<ManualClock>,
    pub address: SocketAddr,
    pub stop: watch::Sender<bool>,
    pub data: Arc<tempfile::TempDir>,
}

fn config() -> Config {
    Config {
        mode: Mode::Enforce,
        ..Config::default()
    }
}

impl House {
    pub async fn build() -> House {
        House::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Web)) -> House {
        House::made(config(), change).await
    }

    pub async fn configured(change: impl FnOnce(&mut Config)) -> House {
        let mut config = config();
        change(&mut config);
        House::made(config, |_| {}).await
    }

    async fn made(config: Config, change: impl FnOnce(&mut Web)) -> House {
        let data = Arc::new(tempfile::tempdir().unwrap());
        let clock = Arc::new(ManualClock::at(NOON.parse().unwrap()));
        let ids = Arc::new(CountingIds::default());
        let app = App::open(config, data.path(), clock.clone(), ids)
            .await
            .unwrap();
        fill(&app).await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopping) = watch::channel(false);
        let mailbox = data.path().join("mailbox");
        countermand::outbox::maildir::create(&mailbox).unwrap();
        let mut web = Web {
            stopping: stopping.clone(),
            mailbox: Some(mailbox),
            rehearsal: Some(Rehearsal::new(&app.config.notices.test, data.path())),
            ..Web::new(app.clone())
        };
        change(&mut web);
        tokio::spawn(app.live.clone().keep_following());
        let service = router(Arc::new(web)).into_make_service_with_connect_info::<SocketAddr>();
        let mut stopped = stopping;
        tokio::spawn(async move {
            axum::serve(listener, service)
                .with_graceful_shutdown(async move {
                    let _ = stopped.wait_for(|stop| *stop).await;
                })
                .await
        });
        House {
            app,
            clock,
            address,
            stop,
            data,
        }
    }

    /// As another process on the same database would have it.
    pub async fn another_app(&self) -> App {
        let (data, clock) = (self.data.path(), self.clock.clone());
        App::open(config(), data, clock, Arc::new(RandomIds))
            .await
            .unwrap()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The record's last number: it grows with every change.
    pub async fn entries(&self) -> u64 {
        let newest = self.app.store.audit_newest(None, 1).await.unwrap();
        newest.first().map_or(0, |entry| entry.number)
    }

    /// Where anybody reads the statement of the order that `id` calls.
    pub async fn statement(&self, id: &str) -> String {
        let order = self.app.store.order_called(id).await.unwrap().order;
        format!("/o/{}", order.id)
    }

    /// An order in force, without going through the pages. Its short id.
    pub async fn published(&self, title: &str) -> String {
        let of = |email: &str| Actor::Operator(email.to_owned());
        let order = self.app.draft(&of(ANA), &order_file(title)).await.unwrap();
        let id = order.id.to_string();
        self.app.submit(&of(ANA), &id).await.unwrap();
        self.app.approve(&of(BEN), &id, None).await.unwrap();
        self.app.publish(&of(BEN), &id).await.unwrap();
        order.id.short()
    }
}

impl House {
    /// The order's notice to that person, as a worker would have brought it to that end.
    pub async fn sent(&self, order: &str, email: &str, outcome: Outcome, detail: &str) {
        let kind = Kind::Order;
        self.sent_kind(order, email, kind, outcome, detail).await;
    }

    pub async fn sent_kind(
        &self,
        order: &str,
        email: &str,
        kind: Kind,
        outcome: Outcome,
        detail: &str,
    ) {
        let order = self.app.store.order_called(order).await.unwrap().order.id;
        let person = self.app.live.view().person_called(email).unwrap().id;
        let (store, now) = (&self.app.store, self.app.now());
        let lease = now + jiff::SignedDuration::from_mins(1);
        store.renew_worker("w", lease).await.unwrap();
        let wanted = Wanted {
            order,
            kind,
            people: vec![person],
        };
        let turn = Turn {
            claim: vec![wanted],
            limit: 1,
            ..Turn::default()
        };
        let claim = store.turn("w", &turn, now).await.unwrap().claimed[0];
        let turn = Turn {
            start: vec![claim],
            ..Turn::default()
        };
        let started = store.turn("w", &turn, now).await.unwrap().started;
        assert_eq!(started, [claim]);
        let turn = Turn {
            settle: vec![Settled {
                claim,
                outcome,
                detail: detail.to_owned(),
            }],
            ..Turn::default()
        };
        store.turn("w", &turn, now).await.unwrap();
        self.app.live.follow().await.unwrap();
    }
}

async fn fill(app: &App) {
    let shell = Actor::Local("test".to_owned());
    for (email, role) in [
        (ANA, Role::Author),
        (BEN, Role::Approver),
        (RITA, Role::Responder),
        (ADA, Role::Admin),
    ] {
        let roles = BTreeSet::from([role]);
        app.put_operator(&shell, email, roles).await.unwrap();
        let link = app.invite(&shell, email).await.unwrap();
        let token = link.rsplit_once("token=").unwrap().1.to_owned();
        app.set_password(email, &token, PASSWORD).await.unwrap();
    }
    let row = |email: &str, name: &str| PersonRow {
        email: email.to_owned(),
        aliases: Default::default(),
        name: name.to_owned(),
        groups: BTreeSet::from(["all-staff".to_owned()]),
        locale: "en".to_owned(),
        time_zone: "America/Los_Angeles".to_owned(),
        ..PersonRow::default()
    };
    let people = vec![
        row(ANA, "Ana Ruiz"),
        row("mia@corp.test", "Mia Lind"),
        row("sam@corp.test", "Sam Ode"),
    ];
    app.import_people(&shell, people, |_| {}).await.unwrap();
    let seen_at: Timestamp = "2020-07-10T18:00:00Z".parse().unwrap();
    let report = |device: &str, person: &str, ids: &[&str]| IncomingReport {
        source: "csv".to_owned(),
        keys: vec![
            format!("mdm:csv:{device}").parse().unwrap(),
            format!("eas:{device}").parse().unwrap(),
        ],
        person: Some(person.to_owned()),
        platform: Some(Platform::Ios),
        form_factor: Some(FormFactor::Phone),
        ownership: Some(Ownership::Company),
        os_version: Some("13.5".to_owned()),
        visibility: Visibility::Full,
        complete: true,
        seen_at,
        apps: ids
            .iter()
            .map(|id| IncomingApp {
                package_id: (*id).to_owned(),
                name: "app".to_owned(),
                version: "1".to_owned(),
            })
            .collect(),
    };
    let reports = vec![
        report("P1", "mia@corp.test", &["com.zhiliaoapp.musically"]),
        report("P2", "sam@corp.test", &["com.example.chess"]),
    ];
    app.import_reports(&shell, reports, |_| {}).await.unwrap();
}

/// A browser of one person, as far as forms go.
pub struct Visitor {
    client: reqwest::Client,
    root: String,
}

/// What came back.
#[derive(Debug)]
pub struct Got {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: String,
}

impl Got {
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The value of the first field of that name.
    pub fn field(&self, name: &str) -> Option<String> {
        let (_, rest) = self.body.split_once(&format!("name=\"{name}\" value=\""))?;
        Some(rest.split_once('"')?.0.to_owned())
    }
}

impl Visitor {
    pub fn of(house: &House) -> Visitor {
        Visitor {
            client: reqwest::Client::builder()
                .cookie_store(true)
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .build()
                .unwrap(),
            root: house.url(""),
        }
    }

    pub async fn signed_in(house: &House, email: &str) -> Visitor {
        let visitor = Visitor::of(house);
        let page = visitor.get("/sign-in").await;
        let csrf = page.field("csrf").unwrap();
        let fields = [
            ("csrf", csrf.as_str()),
            ("email", email),
            ("password", PASSWORD),
        ];
        let got = visitor.send("/sign-in", &fields).await;
        assert_eq!(
            (got.status, got.header("location")),
            (303, "/"),
            "{}",
            got.body
        );
        visitor
    }

    async fn take(request: reqwest::RequestBuilder) -> Got {
        let response = request.send().await.unwrap();
        Got {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.text().await.unwrap(),
        }
    }

    pub async fn get(&self, path: &str) -> Got {
        self.get_with(path, &[]).await
    }

    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Got {
        let mut request = self.client.get(format!("{}{path}", self.root));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Visitor::take(request).await
    }

    /// Exactly these fields.
    pub async fn send(&self, path: &str, fields: &[(&str, &str)]) -> Got {
        self.send_with(path, fields, &[]).await
    }

    pub async fn send_with(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Got {
        let mut request = self.client.post(format!("{}{path}", self.root));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Visitor::take(request.form(fields)).await
    }

    /// As from a page of this session: with its token.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Got {
        let csrf = self.get("/").await.field("csrf").expect("signed in");
        let mut all = vec![("csrf", csrf.as_str())];
        all.extend_from_slice(fields);
        self.send(path, &all).await
    }

    /// An endless answer, to be read piece by piece.
    pub async fn stream(&self, path: &str) -> reqwest::Response {
        let request = self.client.get(format!("{}{path}", self.root));
        let request = request.header("accept", "text/event-stream");
        request.send().await.unwrap()
    }
}
