//! What each notice says, and how the sending stands.

use countermand_core::fleet::Device;
use countermand_core::id::PersonId;
use countermand_core::notice::Kind;
use countermand_core::notice::render::{Context, Rendered, render};
use countermand_core::order::Order;

use super::{App, AppError, Result};

impl App {
    /// The notice of that kind to that person, to be looked at: its link proves nothing.
    pub fn letter(
        &self,
        order: &Order,
        person: PersonId,
        kind: Kind,
        was_refused: bool,
    ) -> Result<Rendered> {
        let link = self.config.statement_link(order.id);
        self.written(order, person, kind, was_refused, link)
    }

    /// The same to be sent: its link proves that it is genuine, to whoever asks the statement.
    pub(super) fn sealed_letter(
        &self,
        order: &Order,
        person: PersonId,
        kind: Kind,
        was_refused: bool,
    ) -> Result<Rendered> {
        let link = self.sealed_link(order, person, kind);
        self.written(order, person, kind, was_refused, link)
    }

    fn written(
        &self,
        order: &Order,
        person: PersonId,
        kind: Kind,
        was_refused: bool,
        link: String,
    ) -> Result<Rendered> {
        let view = self.live.view();
        let person = view
            .person(person)
            .ok_or_else(|| AppError::Input(format!("there is no person number {person}")))?;
        let devices: Vec<&Device> = view
            .devices_of(person.id)
            .filter(|d| countermand_core::scope::names(&order.revision.file, d))
            .collect();
        let still_forbidden = match kind {
            Kind::Correction => view
                .still_forbidden(order.id, person.id, self.now())
                .into_iter()
                .filter_map(|o| view.order(o))
                .map(|o| o.title().to_owned())
                .collect(),
            _ => Vec::new(),
        };
        let context = Context {
            order,
            person,
            devices,
            link,
            was_refused,
            still_forbidden,
        };
        render(kind, &context).map_err(|e| AppError::Failed(e.to_string()))
    }
}
