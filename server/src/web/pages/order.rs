//! One order: where it stands, whom it touches, and what can be done about it.

use askama::Template;

use super::{Act, Bar, Count, Pill, Shell, Step};

#[derive(Debug, Clone, Template)]
#[template(path = "order.html")]
pub struct Order {
    pub shell: Shell,
    pub id: String,
    pub revision: u32,
    pub title: String,
    pub reason: String,
    pub state: Pill,
    /// `published 12:02 by Ana Ruiz, approved by Ben Okafor`
    pub by_line: String,
    /// The order itself only counts, whatever the installation does.
    pub only_counts: bool,
    /// The operator's, by [`super::fitting`].
    pub acts: Vec<Act>,
    /// The whole id, by which the statement is asked for; there is one from publication on.
    pub statement: Option<String>,
    /// What asks for attention: notices held by themselves, people who could not be told.
    pub warnings: Vec<String>,
    pub timeline: Vec<Step>,
    pub figures: Vec<Figure>,
    pub notices: Bar,
    /// Absent until it is retracted.
    pub corrections: Option<Bar>,
    /// `last hour`
    pub refused_when: String,
    pub refused: Vec<RefusedAt>,
    /// `All four doors have the present view (0.2 s old).`
    pub doors_view: String,
    pub rule: Rule,
    /// Of a retracted order.
    pub wrong: Option<Wrong>,
}

/// What was wrong with a retracted order, and how that came.
#[derive(Debug, Clone)]
pub struct Wrong {
    pub reason: String,
    /// Empty: not known yet.
    pub cause: String,
    pub may_say: bool,
}

#[derive(Debug, Clone)]
pub struct Figure {
    /// Stable, for the live update: `with-app`, `unseen`, `refused`.
    pub id: &'static str,
    pub name: String,
    pub number: Count,
    pub words: String,
}

#[derive(Debug, Clone)]
pub struct RefusedAt {
    /// `ActiveSync · nginx`
    pub door: String,
    pub refused: Count,
    /// `0.4 ms`
    pub p99: String,
}

/// The rule as sentences, and the package ids that the approval bound it to.
#[derive(Debug, Clone)]
pub struct Rule {
    pub sentences: Vec<String>,
    pub pinned: Vec<Pinned>,
    /// `catalogue of 9 July 2020`
    pub catalogue: String,
}

#[derive(Debug, Clone)]
pub struct Pinned {
    pub app: String,
    pub platform: String,
    pub package_id: String,
    /// A, B or C.
    pub confidence: String,
}

impl Rule {
    pub fn count(&self) -> Count {
        Count(self.pinned.len() as u64)
    }
}
