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
