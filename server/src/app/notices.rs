//! What each notice says, and how the sending stands.

use countermand_core::fleet::{Device, Person};
use countermand_core::id::PersonId;
use countermand_core::index::Index;
use countermand_core::notice::Kind;
use countermand_core::notice::render::{Context, Rendered, render};
use countermand_core::order::Order;

use super::{App, AppError, Result};

impl App {
    /// The notice of that kind to that person.
    pub fn letter(
        &self,
        order: &Order,
        person: PersonId,
        kind: Kind,
        was_refused: bool,
    ) -> Result<Rendered> {
        let view = self.live.view();
        let person = view
            .person(person)
            .ok_or_else(|| AppError::Input(format!("there is no person number {person}")))?;
        self.letter_in(&view, order, person, kind, was_refused)
    }

    /// The same, for who looks at the index already: a second look may wait for who writes, and who
    /// writes waits for the first.
    pub(super) fn letter_in(
        &self,
        view: &Index,
        order: &Order,
        person: &Person,
        kind: Kind,
        was_refused: bool,
    ) -> Result<Rendered> {
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
            link: self.config.statement_link(order.id),
            was_refused,
            still_forbidden,
        };
        render(kind, &context).map_err(|e| AppError::Failed(e.to_string()))
    }
}
