//! Changes: the one way in which anything becomes different. The store commits a change, its audit
//! entry and what followers must know in one transaction.

use std::collections::BTreeSet;

use jiff::Timestamp;
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::actor::{Actor, Operator};
use crate::audit::Statement;
use crate::exemption::{Attestation, Exemption};
use crate::fleet::{Claim, DeviceKey, IncomingReport, PersonRow, Recognition};
use crate::id::{OrderId, PersonId};
use crate::index::Settings;
use crate::notice::{Key, Kind};
use crate::order::{Order, RetractAnswer};
use crate::verdict::Fallback;

/// A change, by whom and when.
#[derive(Clone, Debug)]
pub struct Commit {
    pub actor: Actor,
    pub at: Timestamp,
    pub change: Change,
}

/// A step in an order's life, as the record names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    Draft,
    Revise,
    Submit,
    Withdraw,
    SendBack,
    Approve,
    Publish,
    Hold,
    /// Of the notices, by themselves.
    Stop,
    Resume,
    Extend,
    Retract,
    /// How a retracted order came to be wrong.
    Cause,
}

impl Step {
    pub fn as_str(self) -> &'static str {
        match self {
            Step::Draft => "draft",
            Step::Revise => "revise",
            Step::Submit => "submit",
            Step::Withdraw => "withdraw",
            Step::SendBack => "send_back",
            Step::Approve => "approve",
            Step::Publish => "publish",
            Step::Hold => "hold",
            Step::Stop => "stop_notices",
            Step::Resume => "resume",
            Step::Extend => "extend",
            Step::Retract => "retract",
            Step::Cause => "cause",
        }
    }
}

/// Somebody was refused at a door.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    /// See [`crate::verdict::Verdict::fingerprint`].
    pub fingerprint: u64,
    pub at: Timestamp,
    pub person: Option<PersonId>,
    /// Whether it is sure that this was the person: what is not earns them no notice of it.
    pub certain: bool,
    /// What was missing, where that decided: then an app is not, or not for certain, what has to go.
    pub missing: Option<Fallback>,
    /// Orders that refused, for corrections.
    pub orders: BTreeSet<OrderId>,
    /// Question and verdict as JSON: what was known then.
    pub known: String,
}

/// Somebody whose refusal is on record was refused again for the same cause, so many times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedAgain {
    pub fingerprint: u64,
    pub times: u64,
    pub last_at: Timestamp,
}

/// A person's mail sessions were ended, because their verdict turned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kick {
    pub person: Option<PersonId>,
    /// Orders that refuse; none where a fallback does.
    pub orders: BTreeSet<OrderId>,
    /// When, for it may be written down later; a gate of an earlier version does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// A notice that a relay had taken came back: its person did not get it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounce {
    pub key: Key,
    /// How many attempts came before the one that came back, where the bounce tells: that of another says
    /// nothing of the last.
    pub attempt: Option<u32>,
    /// What the mail server said.
    pub words: String,
}

/// The relay was asked to drop what it still had of a retracted order's notices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purge {
    pub order: OrderId,
    /// How many mails it was asked to drop.
    pub asked: u64,
    /// Everything accepted up to this version was asked for.
    pub through: i64,
    /// The command's exit status; `None` if it could not run to its end.
    pub status: Option<i32>,
    pub words: String,
}

/// A person's own word for a device of theirs.
#[derive(Clone, Debug)]
pub struct OwnWord {
    pub recognition: Recognition,
    /// Whose notice of a refusal proves that they may speak. It does once.
    pub order: OrderId,
    /// The version of the facts by which nothing spoke against it. Others since then are a conflict.
    pub as_of: i64,
}

/// A word by which a device was recognised is taken back.
#[derive(Clone, Debug)]
pub struct Forget {
    pub key: DeviceKey,
    /// Whose it was by that. Found out in the transaction.
    pub person: Option<PersonId>,
    pub reason: String,
}

/// Somebody looked at what is known of people's devices, or of what is on them.
#[derive(Clone, Debug)]
pub struct Look {
    /// `devices`, `refusal` or `verdict`.
    pub what: &'static str,
    pub people: BTreeSet<PersonId>,
}

#[derive(Clone, Debug)]
pub enum Change {
    /// Adds an operator or gives one other roles.
    Operator(Operator),
    /// A one-time link by which an operator sets a password; `invitation` is the hash of its token,
    /// which is worth nothing from `until` on.
    Invite {
        email: String,
        invitation: String,
        until: Timestamp,
    },
    /// A new password, hashed; it uses up the invitation and ends the operator's sessions. Where it
    /// is set by an invitation, it needs that very one to be there still.
    Password {
        email: String,
        hash: String,
        invitation: Option<String>,
    },
    /// `was` are the settings that these were made from; others in the database mean that somebody
    /// was quicker.
    Settings {
        was: Option<Settings>,
        settings: Settings,
        action: &'static str,
        why: String,
    },
    /// One chunk of a list of staff.
    People(Vec<PersonRow>),
    /// One chunk of reports of one source.
    Reports(Vec<IncomingReport>),
    /// Who came with which device key. Whether it was the first time is found out in the transaction.
    Claims(Vec<Claim>),
    Recognise(Recognition),
    OwnWord(OwnWord),
    Forget(Forget),
    /// It changes nothing but the record.
    Looked(Look),
    /// An order's next state. `was` is the row version that it was made from (`None`: a new order);
    /// another version in the database means that somebody was quicker.
    Order {
        order: Box<Order>,
        was: Option<i64>,
        step: Step,
        details: serde_json::Value,
    },
    /// The retraction of an order. `planned` are the people whose notices were due and not claimed,
    /// as far as known.
    Retract {
        order: Box<Order>,
        was: i64,
        planned: Vec<(Kind, RoaringBitmap)>,
    },
    /// The figures of a retraction's answer. They follow from its commit and are counted after it:
    /// receipts may be very many, and stopping waits for nothing.
    Counted {
        order: OrderId,
        answer: RetractAnswer,
    },
    /// `was`: likewise.
    Exemption {
        was: Option<Box<Exemption>>,
        exemption: Exemption,
        step: &'static str,
    },
    /// A backup took the database's place. What happened after it was made is not known here.
    Restored {
        from: String,
    },
    Attestation(Attestation),
    /// The person says that the order, or its notice, looks wrong. Who said so before is a conflict.
    LooksWrong {
        order: OrderId,
        person: PersonId,
    },
    /// Somebody sends themselves a test of a notice. It changes nothing but the record.
    NoticeTested {
        /// Absent for a file that is no order yet.
        order: Option<OrderId>,
        details: serde_json::Value,
    },
    Refusals(Vec<Refusal>),
    RefusedAgain(Vec<RefusedAgain>),
    /// Those of them that are news take told back; the others change nothing.
    Bounces(Vec<Bounce>),
    Purge(Purge),
    Kicked(Vec<Kick>),
}

impl Change {
    /// What the record says of it. Refusals and claims have none: each is a record of its own. Nor has what was
    /// counted of a retraction: its entry stands.
    pub fn statement(&self) -> Option<Statement> {
        let say = |action: String, order: Option<OrderId>, details| {
            Some(Statement {
                action,
                order,
                details,
            })
        };
        match self {
            Change::Operator(o) => say(
                "operator.put".into(),
                None,
                json!({ "email": o.email, "roles": o.roles }),
            ),
            Change::Invite { email, .. } => {
                say("operator.invite".into(), None, json!({ "email": email }))
            }
            Change::Password { email, .. } => {
                say("operator.password".into(), None, json!({ "email": email }))
            }
            Change::Settings {
                settings,
                action,
                why,
                ..
            } => say(
                (*action).into(),
                None,
                json!({ "settings": settings, "why": why }),
            ),
            Change::People(rows) => {
                say("people.import".into(), None, json!({ "rows": rows.len() }))
            }
            Change::Reports(reports) => {
                let source = reports
                    .first()
                    .map(|r| r.source.as_str())
                    .unwrap_or_default();
                say(
                    "reports.import".into(),
                    None,
                    json!({ "source": source, "reports": reports.len() }),
                )
            }
            Change::Recognise(r) => say("device.recognise".into(), None, recognised(r)),
            Change::Forget(f) => say(
                "device.forget".into(),
                None,
                json!({ "key": f.key, "person": f.person, "reason": f.reason }),
            ),
            Change::Looked(look) => say(
                "person.look".into(),
                None,
                json!({ "what": look.what, "people": look.people }),
            ),
            Change::OwnWord(word) => say(
                "device.recognise".into(),
                Some(word.order),
                recognised(&word.recognition),
            ),
            Change::Order {
                order,
                step,
                details,
                ..
            } => {
                let mut details = details.clone();
                if let Some(map) = details.as_object_mut() {
                    map.insert("title".into(), json!(order.title()));
                    map.insert("revision".into(), json!(order.revision.number));
                    map.insert("hash".into(), json!(order.revision.hash));
                    map.insert("state".into(), json!(order.state.name()));
                    if *step == Step::Resume {
                        let let_pass = order.published().and_then(|p| p.let_pass.as_ref());
                        map.insert("let_pass".into(), json!(let_pass));
                    }
                    let channels = &order.revision.file.announce.channels;
                    if *step == Step::Publish && !channels.is_empty() {
                        map.insert("channels".into(), json!(channels));
                    }
                }
                say(format!("order.{}", step.as_str()), Some(order.id), details)
            }
            Change::Retract { order, .. } => {
                let retraction = order.retraction();
                let reason = retraction.map(|r| r.reason.as_str()).unwrap_or_default();
                let mut details = json!({ "title": order.title(), "reason": reason, "hash": order.revision.hash });
                if let Some(cause) = retraction.and_then(|r| r.cause.as_deref()) {
                    details["cause"] = json!(cause);
                }
                say(
                    format!("order.{}", Step::Retract.as_str()),
                    Some(order.id),
                    details,
                )
            }
            Change::Exemption {
                exemption, step, ..
            } => say(
                format!("exemption.{step}"),
                exemption.order,
                json!({ "exemption": exemption }),
            ),
            Change::Restored { from } => {
                say("database.restore".into(), None, json!({ "from": from }))
            }
            Change::Attestation(a) => say(
                "attest".into(),
                Some(a.order),
                json!({ "person": a.person }),
            ),
            // No step of the order's life: there may be as many as people.
            Change::LooksWrong { order, person } => say(
                "looks_wrong".into(),
                Some(*order),
                json!({ "person": person }),
            ),
            Change::NoticeTested { order, details } => {
                say("notice.test".into(), *order, details.clone())
            }
            Change::Bounces(bounces) => {
                let order = bounces.first()?.key.order;
                let one = bounces.iter().all(|b| b.key.order == order);
                let keys: Vec<Key> = bounces.iter().map(|b| b.key).collect();
                say(
                    "notices.bounce".into(),
                    one.then_some(order),
                    json!({ "receipts": keys }),
                )
            }
            Change::Purge(purge) => say(
                "order.purge".into(),
                Some(purge.order),
                json!({ "asked": purge.asked, "status": purge.status, "remark": purge.words }),
            ),
            Change::Kicked(kicks) => say("sessions.end".into(), None, json!({ "ended": kicks })),
            Change::Refusals(_)
            | Change::RefusedAgain(_)
            | Change::Claims(_)
            | Change::Counted { .. } => None,
        }
    }
}

fn recognised(r: &Recognition) -> serde_json::Value {
    json!({ "key": r.key, "person": r.person, "same_as": r.same_as, "reason": r.reason })
}
