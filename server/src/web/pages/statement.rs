//! The page of an order that anyone with a forwarded copy can ask: does this still hold?
//! It names no person.

use askama::Template;

use super::{Pill, SafeHtml, Tone, When};

#[derive(Debug, Clone, Template)]
#[template(path = "statement.html")]
pub struct Statement {
    pub organisation: String,
    pub id: String,
    pub title: String,
    pub state: StatementState,
    pub since: When,
    /// What that means for a reader, in the organisation's own words where there are some.
    pub note: String,
    /// The notice that the reader holds, where the address names one.
    pub notice: Option<NoticeCheck>,
    /// Why it was retracted, in the responder's words.
    pub wrong: Option<String>,
    /// How it came to that; `None` is not known yet.
    pub cause: Option<String>,
    /// `10,988 people were told`
    pub told: String,
    /// Newest first.
    pub history: Vec<HistoryRow>,
    pub order: AsItWas,
    /// The database is away: what follows was true then.
    pub as_of: Option<When>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementState {
    InForce,
    OnHold,
    Retracted,
    Superseded,
    Expired,
}

impl StatementState {
    pub fn text(&self) -> &'static str {
        match self {
            Self::InForce => "In force",
            Self::OnHold => "On hold",
            Self::Retracted => "Retracted",
            Self::Superseded => "Superseded",
            Self::Expired => "Expired",
        }
    }

    pub fn bold(&self) -> &'static str {
        match self {
            Self::InForce => "This order holds.",
            Self::OnHold => "This order is on hold: nobody is refused because of it.",
            Self::Retracted | Self::Superseded | Self::Expired => "This order no longer holds.",
        }
    }

    pub fn pill(&self) -> Pill {
        Pill::new(
            match self {
                Self::InForce => Tone::Plain,
                Self::OnHold | Self::Retracted => Tone::Warn,
                Self::Superseded | Self::Expired => Tone::Quiet,
            },
            self.text(),
        )
    }

    /// Green where nothing need be done any more.
    pub fn note_class(&self) -> &'static str {
        match self {
            Self::InForce => "note plain",
            Self::OnHold => "note warn",
            Self::Retracted | Self::Superseded | Self::Expired => "note allow",
        }
    }
}

#[derive(Debug, Clone)]
pub struct HistoryRow {
    pub when: When,
    /// `Retracted.`
    pub what: String,
    pub words: String,
}

/// The text that went out, kept whatever became of it.
#[derive(Debug, Clone)]
pub struct AsItWas {
    pub subject: String,
    pub reason: String,
    pub comply_by: When,
    pub body: SafeHtml,
}

/// Whether the notice in the reader's hand is genuine, and what it said.
#[derive(Debug, Clone)]
pub struct NoticeCheck {
    pub genuine: bool,
    /// `This notice is genuine.`
    pub heading: String,
    /// How and when it was sent; or what to do.
    pub words: String,
    /// What it said, without its reader's name.
    pub said: Option<String>,
    /// `It still holds.`
    pub holds: String,
    /// The notice's token, where its reader can say that it looks wrong.
    pub report: Option<String>,
    /// The same, where its reader can have a device recognised that was refused.
    pub recognise: Option<String>,
}

/// A device is known by its person's own word.
#[derive(Debug, Clone, Template)]
#[template(path = "recognised.html")]
pub struct RecognisedPage {
    pub organisation: String,
    pub id: String,
    pub token: String,
    pub words: &'static str,
}

/// Thanks for the word that something looks wrong.
#[derive(Debug, Clone, Template)]
#[template(path = "reported.html")]
pub struct Reported {
    pub organisation: String,
    pub id: String,
    pub token: String,
    pub title: String,
    pub words: &'static str,
}
