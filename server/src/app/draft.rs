//! Checking, drafting and revising orders.

use std::collections::BTreeSet;

use countermand_core::actor::{Act, Actor};
use countermand_core::catalogue::Catalogue;
use countermand_core::change::{Change, Step};
use countermand_core::fleet::fold;
use countermand_core::id::OrderId;
use countermand_core::notice::render;
use countermand_core::order::{Order, OrderFile, Pins, Problem, Revision};
use countermand_core::preview::Preview;

use super::{App, AppError, Result};

impl App {
    /// Reads an order file and resolves it against the catalogue and the fleet. Gives an order that
    /// is nobody's yet, or everything that is wrong with it.
    pub fn read_order(&self, text: &str, id: OrderId, number: u32, by: &str) -> Result<Order> {
        let file = OrderFile::parse(text).map_err(AppError::Problems)?;
        let catalogue = Catalogue::embedded();
        let apps = catalogue
            .resolve(&file.forbid.apps, &file.forbid.vendors, &file.forbid.packs)
            .map_err(|e| problem(text, &e.given, format!("forbid: {e}")))?;
        for slug in file.forbid.versions.keys() {
            if !apps.iter().any(|a| a.slug == *slug) {
                return Err(problem(
                    text,
                    slug,
                    format!("forbid.versions names «{slug}», which forbid does not name"),
                ));
            }
        }
        let pins = Pins::resolve(catalogue.version(), apps, &file.forbid.versions);
        if pins.ids.is_empty() {
            return Err(AppError::Input("forbid: no package id is known for any of these apps, so nothing could be found; `countermand catalogue show` tells what is known".into()));
        }
        let revision = Revision::new(number, &fold(by), self.now(), text, file, pins);
        let order = Order::draft(id, revision);
        self.live.view().audience(&order)?;
        let problems = self.text_problems(&order);
        if problems.is_empty() {
            Ok(order)
        } else {
            Err(AppError::Problems(problems))
        }
    }

    /// What would keep a text from rendering for somebody (invariant 9).
    pub(super) fn text_problems(&self, order: &Order) -> Vec<Problem> {
        let locales: BTreeSet<String> = {
            let view = self.live.view();
            let Ok(audience) = view.audience(order) else {
                return Vec::new();
            };
            view.people()
                .filter(|p| audience.0.contains(p.id.0))
                .map(|p| p.locale.clone())
                .collect()
        };
        // Announcements are in nobody's locale.
        let announced = !order.revision.file.announce.channels.is_empty();
        let nobodys = announced.then_some("");
        let mut problems = render::check(order, locales.iter().map(String::as_str).chain(nobodys));
        problems.extend(self.channel_problems(order));
        problems
    }

    pub fn check_order(&self, text: &str) -> Result<Order> {
        self.read_order(text, OrderId(uuid::Uuid::nil()), 0, "nobody")
    }

    /// What a file, or an order, would do now.
    pub fn preview(&self, order: &Order) -> Result<Preview> {
        Ok(self.live.view().preview(order, self.now())?)
    }

    pub async fn draft(&self, actor: &Actor, text: &str) -> Result<Order> {
        self.authorise(actor, Act::Write).await?;
        let order = self.read_order(text, OrderId(self.ids.uuid()), 1, actor.name())?;
        let change = Change::Order {
            order: Box::new(order.clone()),
            was: None,
            step: Step::Draft,
            details: serde_json::json!({}),
        };
        self.commit_at(actor, order.created_at, change).await?;
        Ok(order)
    }

    pub async fn revise(&self, actor: &Actor, id: &str, text: &str) -> Result<Order> {
        self.authorise(actor, Act::Write).await?;
        self.step(
            actor,
            id,
            Step::Revise,
            serde_json::json!({}),
            |stored, _| {
                let number = stored.order.revision.number + 1;
                let fresh = self.read_order(text, stored.order.id, number, actor.name())?;
                Ok(stored.order.clone().revise(fresh.revision)?)
            },
        )
        .await
    }
}

fn problem(text: &str, word: &str, what: String) -> AppError {
    let line = text.lines().position(|l| l.contains(word)).map(|i| i + 1);
    AppError::Problems(vec![Problem { line, what }])
}
