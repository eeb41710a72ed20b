//! Notices before there are any: one as its reader would see it, and a test to oneself.
//!
//! Nothing here can make a notice: what is sent is a [`TestMail`], which no live transport takes
//! (invariant 11).

use std::collections::BTreeSet;

use countermand_core::actor::{Act, Actor};
use countermand_core::change::Change;
use countermand_core::fleet::{Person, fold};
use countermand_core::id::PersonId;
use countermand_core::notice::Kind;
use countermand_core::notice::channel::Lane;
use countermand_core::notice::render::Rendered;
use countermand_core::order::{Approval, Audience, Order, Retraction};
use jiff::Timestamp;
use serde_json::json;

use super::notices::{Known, still_forbidden, written};
use super::{App, AppError, Result};
use crate::outbox::office::Letter;
use crate::outbox::rehearsal::{Marks, Rehearsal, TestMail};

/// Stands where a retraction's reason will.
pub const PLACEHOLDER: &str = "(here stands the reason that the retraction gives)";

/// A notice that nobody was sent.
#[derive(Clone, Debug)]
pub struct Sample {
    pub kind: Kind,
    pub from: String,
    pub to_name: String,
    pub to_address: String,
    pub mail: Rendered,
    /// What is not as it would be, or was taken as if it were.
    pub remarks: Vec<String>,
}

impl Sample {
    /// `Mia Lind <mia@corp.test>`
    pub fn to(&self) -> String {
        if self.to_name.is_empty() {
            self.to_address.clone()
        } else {
            format!("{} <{}>", self.to_name, self.to_address)
        }
    }
}

/// What became of a test.
#[derive(Clone, Debug)]
pub struct Tested {
    pub to: String,
    pub subject: String,
    /// Where it went, in words.
    pub way: String,
}

impl App {
    /// The notice as that person would read it. Sends nothing and changes nothing.
    pub async fn preview_notice(
        &self,
        actor: &Actor,
        order: &Order,
        email: &str,
        kind: Kind,
    ) -> Result<Sample> {
        self.authorise(actor, Act::Rehearse).await?;
        let person = self.live.view().person_called(&fold(email)).cloned();
        let person = person.ok_or_else(|| {
            AppError::Input(format!(
                "there is nobody called «{email}»; expected the address or an alias of somebody on the list of staff"
            ))
        })?;
        let mut sample = self.sample(order, &person, kind)?;
        // What the doors did to somebody, and which other apps they have, is for who looks people up.
        if kind == Kind::Correction {
            if self.authorise(actor, Act::LookUp).await.is_ok() {
                let was_refused = self.store.was_refused(order.id, person.id).await?;
                let now = self.now();
                let (as_if, _) = as_if(order, kind, now);
                let view = self.live.view();
                let known = Known {
                    link: self.config.statement_link(order.id),
                    was_refused,
                    missing: None,
                    still_forbidden: still_forbidden(&view, order, &person, kind, now),
                };
                sample.mail = written(&view, &as_if, &person, kind, known)?;
            } else {
                sample.remarks.push(
                    "Whether a door refused this person, and whether another order still holds for them, is left out: that takes the role helpdesk, responder or admin.".to_owned(),
                );
            }
        }
        let listed = self.live.view().audience(order)?.0.contains(person.id.0);
        if !listed {
            sample.remarks.push(
                "This person is not in the order's audience now, and would not be sent it."
                    .to_owned(),
            );
        }
        Ok(sample)
    }

    /// The same without anything that only the person's own history tells.
    pub fn sample(&self, order: &Order, person: &Person, kind: Kind) -> Result<Sample> {
        if let Kind::Reminder(n) = kind {
            let reminders = order.revision.file.deadline.remind.len();
            if n == 0 || usize::from(n) > reminders {
                return Err(AppError::Input(format!(
                    "there is no {kind}: deadline.remind of this order has {reminders}"
                )));
            }
        }
        let (order, remarks) = as_if(order, kind, self.now());
        let known = Known {
            link: self.config.statement_link(order.id),
            ..Known::default()
        };
        Ok(Sample {
            kind,
            from: self.config.notices.from.clone(),
            to_name: person.name.clone(),
            to_address: person.email.clone(),
            mail: written(&self.live.view(), &order, person, kind, known)?,
            remarks,
        })
    }

    /// Sends an operator, mostly oneself, a test of a notice: marked as one, by a way of its own.
    pub async fn test_notice(
        &self,
        actor: &Actor,
        order: &Order,
        to: Option<&str>,
        kind: Kind,
        rehearsal: &Rehearsal,
    ) -> Result<Tested> {
        self.authorise(actor, Act::Rehearse).await?;
        let (Actor::Operator(own) | Actor::Shell { operator: own, .. }) = actor else {
            return Err(AppError::Policy(
                "a test goes to an operator; say who acts with --as EMAIL".to_owned(),
            ));
        };
        let to = to.map_or_else(|| fold(own), fold);
        if self.store.operator(&to).await?.is_none() {
            return Err(AppError::Policy(format!(
                "{to} is no operator; a test goes to operators only, by default to oneself"
            )));
        }
        let person = self.live.view().person_called(&to).cloned();
        let person = person.unwrap_or_else(|| imagined(&to));
        let sample = self.sample(order, &person, kind)?;
        let letter = Letter {
            to_name: sample.to_name,
            // Not where the list of staff says that they read their mail: where they sign in.
            to_address: to.clone(),
            subject: sample.mail.subject,
            text: sample.mail.text,
            html: sample.mail.html,
            language: sample.mail.language,
        };
        let marks = Marks {
            from: &self.config.notices.from,
            by: own,
            id: self.ids.uuid(),
            at: self.now(),
        };
        let mail = TestMail::mark(letter, &marks).map_err(|e| AppError::Input(e.to_string()))?;
        let subject = mail.subject().to_owned();
        let known = self.live.view().order(order.id).is_some();
        let details = json!({
            "to": to,
            "kind": kind,
            "title": order.title(),
            "revision": order.revision.number,
            "hash": order.revision.hash,
        });
        let change = Change::NoticeTested {
            order: known.then_some(order.id),
            details,
        };
        // On record before it leaves.
        self.commit(actor, change).await?;
        let sent = rehearsal.send(mail).await;
        let way = sent.map_err(|e| AppError::Failed(format!("the test was not sent: {e}")))?;
        Ok(Tested { to, subject, way })
    }
}

/// An operator who is not on the list of staff.
fn imagined(email: &str) -> Person {
    Person {
        // People are numbered from 0, and never get here; what comes after it is channels.
        id: PersonId(*Lane::People.numbers().end()),
        email: email.to_owned(),
        aliases: BTreeSet::new(),
        name: String::new(),
        groups: BTreeSet::new(),
        locale: String::new(),
        time_zone: String::new(),
    }
}

/// The order as it will be when such a notice is sent, and what was imagined for it.
fn as_if(order: &Order, kind: Kind, now: Timestamp) -> (Order, Vec<String>) {
    let mut remarks = Vec::new();
    let mut order = order.clone();
    if order.published().is_none() {
        remarks.push("As if it were published now.".to_owned());
        let approval = Approval {
            by: String::new(),
            at: now,
            digest: String::new(),
            audience: Audience::default(),
        };
        let published = Order::draft(order.id, order.revision.clone())
            .submit("", now)
            .and_then(|o| o.approve(approval, &BTreeSet::new()))
            .and_then(|o| o.publish("", now));
        order = published.unwrap_or(order);
    }
    if kind == Kind::Correction && order.retraction().is_none() {
        remarks
            .push("As if it were retracted now, for a reason that is yet to be given.".to_owned());
        let retraction = Retraction {
            by: String::new(),
            at: now,
            cause: None,
            reason: PLACEHOLDER.to_owned(),
            answer: Default::default(),
        };
        order = order.clone().retract(retraction).unwrap_or(order);
    }
    (order, remarks)
}
