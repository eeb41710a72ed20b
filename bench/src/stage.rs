//! A company whose notices go into a sink.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use countermand::app::App;
use countermand::clock::{RandomIds, SystemClock};
use countermand::config::{Config, TransportKind};
use countermand::outbox::smtp::Tls;
use countermand_core::actor::{Actor, Role};
use countermand_core::fleet::PersonRow;

/// Everyone is in the group `all`.
#[derive(Debug)]
pub struct Stage {
    pub app: App,
    author: Actor,
    approver: Actor,
    pub responder: Actor,
}

impl Stage {
    pub async fn with(
        port: u16,
        sessions: usize,
        people: usize,
        data: &Path,
    ) -> anyhow::Result<Stage> {
        let mut config = Config::default();
        config.notices.transport = TransportKind::Smtp;
        config.notices.smtp.port = port;
        config.notices.smtp.tls = Tls::None;
        config.notices.smtp.sessions = sessions;
        Stage::of(config, people, data).await
    }

    pub async fn of(config: Config, people: usize, data: &Path) -> anyhow::Result<Stage> {
        let app = App::open(config, data, Arc::new(SystemClock), Arc::new(RandomIds)).await?;
        let system = Actor::System("bench".to_owned());
        let rows = (0..people).map(|i| PersonRow {
            email: address(i),
            name: format!("User {i}"),
            groups: BTreeSet::from(["all".to_owned()]),
            ..PersonRow::default()
        });
        app.import_people(&system, rows.collect(), |_| {}).await?;
        let mut actors = Vec::new();
        for (email, role) in [
            ("ana@example.test", Role::Author),
            ("ben@example.test", Role::Approver),
            ("dee@example.test", Role::Responder),
        ] {
            app.put_operator(&system, email, BTreeSet::from([role]))
                .await?;
            actors.push(Actor::Operator(email.to_owned()));
        }
        let [author, approver, responder] =
            <[Actor; 3]>::try_from(actors).map_err(|_| anyhow::anyhow!("three operators play"))?;
        Ok(Stage {
            app,
            author,
            approver,
            responder,
        })
    }

    /// Takes an order to publication, and gives its id.
    pub async fn publish(&self, text: &str) -> anyhow::Result<String> {
        let id = self.app.draft(&self.author, text).await?.id.to_string();
        self.app.submit(&self.author, &id).await?;
        self.app.approve(&self.approver, &id, None).await?;
        self.app.publish(&self.author, &id).await?;
        Ok(id)
    }
}

pub fn address(person: usize) -> String {
    format!("user{person}@example.test")
}

/// An order with a notice of about `body` bytes.
pub fn order(tell: &str, comply_by: &str, body: usize) -> String {
    let line = "Your device has an app that the company does not allow. Remove it to read mail.\n";
    let text = line.repeat(body / line.len() + 1);
    format!(
        "title = \"Bench\"\nreason = \"To measure\"\n[forbid]\napps = [\"tiktok\"]\n[audience]\ngroups = [\"all\"]\ntell = \"{tell}\"\n[deadline]\ncomply_by = \"{comply_by}\"\nmin_notice = \"PT0S\"\n[notice]\nsubject = \"Bench\"\nbody = '''\n{text}'''\n[correction]\nsubject = \"CORRECTION: bench\"\nbody = \"Never mind.\"\n"
    )
}
