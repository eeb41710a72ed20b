//! Statements in every format, and what a notice's link proves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "statement/cap.rs"]
mod cap;
#[path = "statement/devices.rs"]
mod devices;
#[path = "statement/feed.rs"]
mod feed;
#[path = "statement/formats.rs"]
mod formats;
mod support;
#[path = "statement/verify.rs"]
mod verify;
#[path = "statement/xml.rs"]
mod xml;

use countermand::outbox::office::{Brief, Office as _};
use countermand_core::actor::Actor;
use countermand_core::notice::{Key, Kind};
use support::house::{House, RITA};

const MIA: &str = "mia@corp.test";
const SAM: &str = "sam@corp.test";

fn rita() -> Actor {
    Actor::Operator(RITA.to_owned())
}

/// Where the statement is under which the notice to that person, as it would leave now, sends them.
fn link(house: &House, order: &str, email: &str, kind: Kind) -> String {
    let view = house.app.live.view();
    let person = view.person_called(email).unwrap().id;
    let order = view.orders().find(|o| o.id.is_called(order)).unwrap().id;
    drop(view);
    let key = Key {
        order,
        person,
        kind,
    };
    let brief = Brief {
        key,
        was_refused: false,
        missing: None,
    };
    let letter = house.app.write(&brief).unwrap();
    let (_, rest) = letter.text.split_once("http://127.0.0.1:8420").unwrap();
    let end = rest.find(|c: char| c == '>' || c.is_whitespace()).unwrap();
    rest[..end].to_owned()
}

/// The path without what is asked for besides, and the token.
fn parts(link: &str) -> (&str, &str) {
    link.split_once("?n=").unwrap()
}

/// Another text of the same form.
fn forged(token: &str) -> String {
    let last = if token.ends_with('0') { '1' } else { '0' };
    format!("{}{last}", &token[..token.len() - 1])
}
