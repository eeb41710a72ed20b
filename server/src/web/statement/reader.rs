//! A notice as nobody in particular got it: no name in it, and a link that proves nothing.

use countermand_core::fleet::Person;
use countermand_core::id::PersonId;
use countermand_core::notice::Kind;
use countermand_core::notice::render::{Context, Rendered, render};
use countermand_core::order::Order;

use crate::web::Web;

/// `None` where the text does not render; submission has tried it, so that is none of our time.
pub(super) fn letter(
    web: &Web,
    order: &Order,
    kind: Kind,
    locale: Option<&str>,
) -> Option<Rendered> {
    let reader = Person {
        id: PersonId(0),
        email: "you@example.invalid".to_owned(),
        aliases: Default::default(),
        name: "colleague".to_owned(),
        groups: Default::default(),
        locale: locale.unwrap_or("").to_owned(),
        time_zone: String::new(),
    };
    let context = Context {
        order,
        person: &reader,
        devices: Vec::new(),
        link: web.app.config.statement_link(order.id),
        was_refused: false,
        unknown_device: false,
        still_forbidden: Vec::new(),
    };
    render(kind, &context).ok()
}
