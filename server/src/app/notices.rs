//! What each notice says.

use countermand_core::fleet::{Device, Person};
use countermand_core::index::Index;
use countermand_core::notice::Kind;
use countermand_core::notice::render::{Context, Rendered, render};
use countermand_core::order::Order;
use countermand_core::verdict::Fallback;
use jiff::Timestamp;

use super::{App, AppError, Result};
use crate::outbox::office::Brief;

/// What a notice says beyond order and person.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// Where the order's state stands.
    pub link: String,
    pub was_refused: bool,
    pub missing: Option<Fallback>,
    /// Titles of other orders that still forbid an app to the person.
    pub still_forbidden: Vec<String>,
}

impl App {
    /// The notice of that kind to that person, to be sent: its link proves that it is genuine, to
    /// whoever asks the statement.
    pub(super) fn sealed_letter(
        &self,
        view: &Index,
        order: &Order,
        person: &Person,
        brief: &Brief,
    ) -> Result<Rendered> {
        let kind = brief.key.kind;
        let known = Known {
            link: self.sealed_link(order, person.id, kind),
            was_refused: brief.was_refused,
            missing: brief.missing,
            still_forbidden: still_forbidden(view, order, person, kind, self.now()),
        };
        written(view, order, person, kind, known)
    }
}

// These take the view that their caller holds: to ask for a second one beside it would wait for a
// writer who waits for the first.

/// Titles of other orders that still forbid an app to that person: what a correction says.
pub(super) fn still_forbidden(
    view: &Index,
    order: &Order,
    person: &Person,
    kind: Kind,
    now: Timestamp,
) -> Vec<String> {
    if kind != Kind::Correction {
        return Vec::new();
    }
    view.still_forbidden(order.id, person.id, now)
        .into_iter()
        .filter_map(|o| view.order(o))
        .map(|o| o.title().to_owned())
        .collect()
}

pub(super) fn written(
    view: &Index,
    order: &Order,
    person: &Person,
    kind: Kind,
    known: Known,
) -> Result<Rendered> {
    let devices: Vec<&Device> = view
        .devices_of(person.id)
        .filter(|d| countermand_core::scope::names(&order.revision.file, d))
        .collect();
    let context = Context {
        order,
        person,
        devices,
        link: known.link,
        was_refused: known.was_refused,
        missing: known.missing,
        still_forbidden: known.still_forbidden,
    };
    render(kind, &context).map_err(|e| AppError::Failed(e.to_string()))
}
