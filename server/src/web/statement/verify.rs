//! Whether a notice that somebody holds is genuine, and whether what it said still holds. Never to
//! whom it was sent: the link may have been passed on.

use countermand_core::notice::Kind;
use countermand_core::notice::token::Said;
use countermand_core::order::when::for_people;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::facts::{Known, PATIENCE, ended, organisation, zone};
use crate::web::Web;
use crate::web::pages::{NoticeCheck, StatementState};

/// What can be said of a notice by the token in its link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Proof {
    Forged,
    /// It bears the seal; but no such notice is known to have left.
    Unsent,
    Genuine {
        said: Said,
        /// Since when it may have left; `None` while the database is away.
        sent: Option<Timestamp>,
    },
}

impl Proof {
    pub fn is_genuine(self) -> bool {
        matches!(self, Proof::Genuine { .. })
    }
}

pub(super) async fn prove(web: &Web, known: &Known, token: &str) -> Proof {
    let Some(said) = web.app.opened(&known.order, token) else {
        return Proof::Forged;
    };
    let asked = web.app.may_have_been_sent(&known.order, &said);
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(Some(at))) => Proof::Genuine {
            said,
            sent: Some(at),
        },
        Ok(Ok(None)) => Proof::Unsent,
        // The seal is proof enough where receipts can't be asked.
        Ok(Err(_)) | Err(_) => Proof::Genuine { said, sent: None },
    }
}

fn kind_in_words(kind: Kind) -> &'static str {
    match kind {
        Kind::Order => "as the order itself",
        Kind::Reminder(_) => "as a reminder of this order",
        Kind::Blocked => "when mail was refused because of this order",
        Kind::Correction => "as the correction of this order",
    }
}

/// Whether what the notice said still holds, and why.
fn holds(known: &Known, said: &Said, now: Timestamp) -> (bool, String) {
    let order = &known.order;
    let zone = zone(order);
    let at = |at| for_people(at, &zone);
    let corrects = said.kind == Kind::Correction;
    match (known.state(now), order.retraction()) {
        (_, Some(retraction)) if corrects => (
            true,
            format!(
                "What it said holds: the order was retracted on {}. You need do nothing.",
                at(retraction.at)
            ),
        ),
        (_, Some(retraction)) => (
            false,
            format!(
                "It no longer holds: the order was retracted on {}. You need do nothing. {}",
                at(retraction.at),
                ended(&retraction.reason)
            ),
        ),
        // After a backup was put back, say.
        _ if corrects => (
            false,
            "As far as is known here the order was not retracted. Ask your helpdesk.".to_owned(),
        ),
        (StatementState::OnHold, _) => (
            false,
            format!(
                "The order has been on hold since {}: nobody is refused because of it, and you need do nothing until it is taken up again.",
                at(known.since(now))
            ),
        ),
        (StatementState::InForce, _) => {
            let deadline = order.comply_by().at();
            if deadline.as_second() == said.comply_by.as_second() {
                (true, "It still holds.".to_owned())
            } else {
                let moved = at(deadline);
                (
                    true,
                    format!("It still holds, but the deadline has since been moved to {moved}."),
                )
            }
        }
        _ => (
            false,
            format!(
                "It no longer holds: the order ended by itself on {}. You need do nothing.",
                at(known.since(now))
            ),
        ),
    }
}

/// Whether somebody who got that notice can say that it looks wrong.
pub(super) fn can_look_wrong(web: &Web, known: &Known, said: &Said) -> bool {
    let standing = matches!(
        known.state(web.app.now()),
        StatementState::InForce | StatementState::OnHold
    );
    // A channel, say, has notices too, and is nobody.
    let is_somebody = web.app.live.view().person(said.person).is_some();
    standing && is_somebody && said.kind != Kind::Correction
}

const UNSENT: &str = "It names this order and bears our mark, but it is not known to have been sent. Don't do what it says; ask your helpdesk, and show them the whole message.";
const FORGED: &str = "Don't do what it says, and follow no other link in it. Show the whole message to your helpdesk. What is true of the order stands below.";

/// The same for people.
pub(super) async fn in_words(web: &Web, known: &Known, proof: Proof, token: &str) -> NoticeCheck {
    let order = &known.order;
    let zone = zone(order);
    let now = web.app.now();
    let not = |heading: &str, words: &str| NoticeCheck {
        genuine: false,
        heading: heading.to_owned(),
        words: words.to_owned(),
        said: None,
        holds: String::new(),
        report: None,
        recognise: None,
    };
    let (said, sent) = match proof {
        Proof::Forged => return not("This is not a genuine notice of this order.", FORGED),
        Proof::Unsent => return not("This notice can't be confirmed.", UNSENT),
        Proof::Genuine { said, sent } => (said, sent),
    };
    let on = match sent {
        Some(at) => format!("on {}", for_people(at, &zone)),
        None => "(when can't be looked up just now)".to_owned(),
    };
    let words = format!(
        "It was sent by {} {on} {}.",
        organisation(web),
        kind_in_words(said.kind)
    );
    let apps = order.revision.pins.in_words();
    // Without the database nobody can be recognised either.
    let asked = web.app.may_be_own(order, &said);
    let may_be_own = matches!(tokio::time::timeout(PATIENCE, asked).await, Ok(Ok(true)));
    NoticeCheck {
        genuine: true,
        heading: "This notice is genuine.".to_owned(),
        words,
        said: Some(match said.kind {
            Kind::Order | Kind::Reminder(_) => format!(
                "“{}”: remove {apps} by {}.",
                order.title(),
                for_people(said.comply_by, &zone)
            ),
            Kind::Blocked => format!(
                "“{}”: mail was refused to a device because of {apps}.",
                order.title()
            ),
            Kind::Correction => format!("“{}” no longer holds.", order.title()),
        }),
        holds: holds(known, &said, now).1,
        report: can_look_wrong(web, known, &said).then(|| token.to_owned()),
        recognise: may_be_own.then(|| token.to_owned()),
    }
}

/// The same for programs.
pub(super) fn in_json(known: &Known, proof: Proof, now: Timestamp) -> Value {
    match proof {
        Proof::Forged => {
            json!({ "genuine": false, "why": "it bears no mark of this installation for this order" })
        }
        Proof::Unsent => json!({ "genuine": false, "why": "it is not known to have been sent" }),
        Proof::Genuine { said, sent } => {
            let (holds, why) = holds(known, &said, now);
            json!({
                "genuine": true,
                "kind": said.kind,
                "said_comply_by": said.comply_by,
                "sent_at": sent,
                "holds": holds,
                "why": why,
            })
        }
    }
}
