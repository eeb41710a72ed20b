//! A notice as nobody in particular got it: no name in it, and a link that proves nothing.

use countermand_core::fleet::Person;
use countermand_core::id::PersonId;
use countermand_core::notice::Kind;
use countermand_core::notice::channel::colleagues;
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
    // As where it is announced: whoever reads may be one whose mail was refused, or not.
    let reader = Person {
        email: "you@example.invalid".to_owned(),
        name: "colleague".to_owned(),
        locale: locale.unwrap_or("").to_owned(),
        ..colleagues(PersonId::channel(0))
    };
    let context = Context {
        order,
        person: &reader,
        devices: Vec::new(),
        link: web.app.config.statement_link(order.id),
        was_refused: false,
        missing: None,
        still_forbidden: Vec::new(),
    };
    render(kind, &context).ok()
}

/// The locale whose text stands on the statement: none where there is a plain one, which serves everybody.
pub(super) fn first(order: &Order) -> Option<&str> {
    let mut texts = order.revision.file.notice.all();
    texts.next().and_then(|(locale, _)| locale)
}
