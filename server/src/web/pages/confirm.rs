//! The page before an act that others feel, and the page after it.

use askama::Template;

use super::format::first_word;
use super::{Act, Count, Pill, Shell, Tone};

/// Says in numbers what will happen, before publish, hold, resume, extend or retract.
#[derive(Debug, Clone, Template)]
#[template(path = "confirm.html")]
pub struct Confirm {
    pub shell: Shell,
    pub act: Act,
    pub id: String,
    pub title: String,
    pub effects: Vec<Effect>,
    /// `Two devices stay refused: another order, “Old Android versions”, names them too.`
    pub notes: Vec<String>,
    /// The operator's words so far.
    pub reason: String,
    /// For extend: the new deadline, RFC 3339, `2020-07-11T23:59:00[America/Los_Angeles]`.
    pub to: String,
    /// For publish: what was approved.
    pub digest: String,
    /// Why the last try changed nothing.
    pub error: Option<String>,
    /// A hold is possible and would do for now.
    pub may_hold: bool,
    /// Nothing but its notices stopped: to resume changes nothing at the doors.
    pub only_notices: bool,
}

impl Confirm {
    pub fn name(&self) -> &'static str {
        match self.act {
            Act::Publish => "Publish",
            Act::Hold => "Hold",
            Act::Resume => "Resume",
            Act::Extend => "Extend the deadline",
            Act::Retract => "Retract",
            Act::Edit | Act::Submit | Act::Withdraw | Act::Review => "Go on",
        }
    }

    pub fn heading(&self) -> String {
        let verb = match self.act {
            Act::Publish => "Publish",
            Act::Hold => "Put on hold",
            Act::Resume => "Take up again",
            Act::Extend => "Give more time for",
            Act::Retract => "Take back",
            Act::Edit | Act::Submit | Act::Withdraw | Act::Review => "Go on with",
        };
        format!("{verb} “{}”", self.title)
    }

    pub fn lead(&self) -> &'static str {
        match self.act {
            Act::Publish => "Notices begin to leave when you press the button.",
            Act::Hold => {
                "You can do this alone, and undo it. It takes effect when you press the button."
            }
            Act::Resume if self.only_notices => {
                "You can do this alone. Its notices go on when you press the button."
            }
            Act::Resume => {
                "You can do this alone. Nobody is refused before the order's shortest notice has passed once more."
            }
            Act::Extend => "You can do this alone. It only loosens: nobody is refused sooner.",
            _ => {
                "You can do this alone. It takes effect when you press the button, and can't be undone: issuing again is a new order."
            }
        }
    }

    pub fn button(&self) -> &'static str {
        match self.act {
            Act::Publish => "Publish now",
            Act::Hold => "Hold now",
            Act::Resume => "Resume now",
            Act::Extend => "Extend",
            _ => "Retract now",
        }
    }

    pub fn tone(&self) -> Tone {
        match self.act {
            Act::Retract => Tone::Deny,
            Act::Hold => Tone::Warn,
            _ => Tone::Plain,
        }
    }

    /// Only what can't be undone asks for a typed word; a hold must be quick.
    pub fn asks_word(&self) -> bool {
        self.act == Act::Retract
    }

    pub fn asks_time(&self) -> bool {
        self.act == Act::Extend
    }

    /// Its words reach the statement and every correction, so they can't be left out.
    pub fn asks_reason(&self) -> bool {
        matches!(self.act, Act::Retract | Act::Hold)
    }

    pub fn first_word(&self) -> &str {
        first_word(&self.title)
    }
}

/// `1,204 devices may read mail again at their next request`
#[derive(Debug, Clone)]
pub struct Effect {
    pub number: Count,
    pub words: String,
    pub tone: Tone,
}

/// What happened.
#[derive(Debug, Clone, Template)]
#[template(path = "done.html")]
pub struct Done {
    pub shell: Shell,
    pub id: String,
    /// The whole id, by which the statement is asked for.
    pub statement: String,
    pub title: String,
    /// `Retracted on 10 July 2020 at 16:54 PDT`
    pub state: Pill,
    /// `The order no longer holds.`
    pub heading: String,
    pub effects: Vec<Effect>,
}
