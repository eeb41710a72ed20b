//! Writing an order: the file, what is wrong with it, and what it would do.

use askama::Template;

use super::{Count, Hint, PreviewFacts, Shell};

#[derive(Debug, Clone, Template)]
#[template(path = "edit.html")]
pub struct Edit {
    pub shell: Shell,
    /// None: a new order.
    pub id: Option<String>,
    pub title: Option<String>,
    /// The TOML as the author left it.
    pub text: String,
    /// Refuse submission.
    pub problems: Vec<Problem>,
    /// Refuse nothing.
    pub hints: Vec<Hint>,
    /// Absent until the text can be read.
    pub facts: Option<PreviewFacts>,
}

impl Edit {
    pub fn in_the_way(&self) -> String {
        Count(self.problems.len() as u64).of("thing stands", "things stand")
    }

    pub fn action(&self) -> String {
        self.id.as_ref().map_or_else(
            || "/orders/new".to_owned(),
            |id| format!("/orders/{id}/edit"),
        )
    }
}

/// What, where and how to mend it.
#[derive(Debug, Clone)]
pub struct Problem {
    pub line: Option<u32>,
    /// The line as it stands.
    pub source: Option<String>,
    pub what: String,
    pub mend: String,
}
