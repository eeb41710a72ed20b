//! Who acts, and what each role may.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Who made a change, as the record shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "name")]
pub enum Actor {
    /// An operator who signed in.
    Operator(String),
    /// An operator named with `--as` by whoever sat at the machine's shell, believed because
    /// `trust_shell` holds. The record shows both.
    Shell { operator: String, user: String },
    /// Somebody at the machine's own shell, by the name that the operating system knows.
    Local(String),
    /// A person who is no operator, acting for themselves.
    Person(String),
    /// The program itself: outbox, gates, timers.
    System(String),
}

impl Actor {
    /// The bare name, for tables.
    pub fn name(&self) -> &str {
        match self {
            Actor::Operator(n) | Actor::Local(n) | Actor::Person(n) | Actor::System(n) => n,
            Actor::Shell { operator, .. } => operator,
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Actor::Operator(n) | Actor::Person(n) => f.write_str(n),
            Actor::Shell { operator, user } => write!(f, "{operator} (by the shell of {user})"),
            Actor::Local(n) => write!(f, "local:{n}"),
            Actor::System(n) => write!(f, "system:{n}"),
        }
    }
}

/// What an operator is trusted with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Viewer,
    Helpdesk,
    Author,
    Approver,
    Responder,
    Admin,
}

impl Role {
    pub const ALL: [Role; 6] = [
        Role::Viewer,
        Role::Helpdesk,
        Role::Author,
        Role::Approver,
        Role::Responder,
        Role::Admin,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Helpdesk => "helpdesk",
            Role::Author => "author",
            Role::Approver => "approver",
            Role::Responder => "responder",
            Role::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A role that does not exist.
#[derive(Debug, thiserror::Error)]
#[error(
    "there is no role «{0}»; roles are viewer, helpdesk, author, approver, responder and admin"
)]
pub struct UnknownRole(pub String);

impl FromStr for Role {
    type Err = UnknownRole;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Role::ALL
            .into_iter()
            .find(|r| r.as_str().eq_ignore_ascii_case(text.trim()))
            .ok_or_else(|| UnknownRole(text.trim().to_owned()))
    }
}

/// Something that needs a role.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Act {
    /// Read orders, doors, the record.
    Read,
    /// Look up people, devices and refusals.
    LookUp,
    /// Draft, revise, submit, withdraw.
    Write,
    /// See any person's notice as they would read it, and send oneself a test.
    Rehearse,
    /// Approve or send back what others wrote.
    Approve,
    /// Publish what is approved.
    Publish,
    /// Hold, resume, retract, extend, break glass.
    Respond,
    /// Ask for an exemption, or end one.
    Exempt,
    /// Take a person's word that an app is gone.
    Attest,
    /// Have a device recognised as somebody's.
    Recognise,
    /// Operators, people, sources, catalogue.
    Administer,
    /// Whether doors obey verdicts at all.
    SetMode,
}

impl Act {
    /// The roles any one of which is enough.
    pub fn roles(self) -> &'static [Role] {
        use Role::*;
        match self {
            Act::Read => &[Viewer, Helpdesk, Author, Approver, Responder, Admin],
            Act::LookUp => &[Helpdesk, Responder, Admin],
            Act::Write => &[Author],
            // It shows which kinds of devices a person has, so no viewer may.
            Act::Rehearse => &[Helpdesk, Author, Approver, Responder, Admin],
            Act::Approve => &[Approver],
            Act::Publish => &[Author, Approver],
            Act::Respond => &[Responder],
            Act::Exempt => &[Helpdesk, Author, Approver, Responder, Admin],
            Act::Attest | Act::Recognise => &[Helpdesk, Responder, Admin],
            Act::Administer | Act::SetMode => &[Admin],
        }
    }

    /// What anybody may do at the machine's own shell, without naming an operator.
    pub fn allowed_locally(self) -> bool {
        matches!(
            self,
            Act::Read | Act::LookUp | Act::Rehearse | Act::Administer
        )
    }

    pub fn in_words(self) -> &'static str {
        match self {
            Act::Read => "read",
            Act::LookUp => "look up people, devices and refusals",
            Act::Write => "write orders",
            Act::Rehearse => "preview people's notices or test them",
            Act::Approve => "approve or send back",
            Act::Publish => "publish",
            Act::Respond => "hold, resume, retract, extend, or open the doors",
            Act::Exempt => "handle exemptions",
            Act::Attest => "take a person's word",
            Act::Recognise => "have devices recognised",
            Act::Administer => "manage operators, people and sources",
            Act::SetMode => "change the mode",
        }
    }

    pub fn allowed_to(self, roles: &BTreeSet<Role>) -> bool {
        self.roles().iter().any(|r| roles.contains(r))
    }
}

/// Someone who may log in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Operator {
    /// The folded address, which is also the operator's name.
    pub email: String,
    pub roles: BTreeSet<Role>,
}
