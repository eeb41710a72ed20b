//! All orders: the first page after signing in.

use askama::Template;

use super::{Bar, Count, Pill, Shell, When};

#[derive(Debug, Clone, Template)]
#[template(path = "orders.html")]
pub struct Orders {
    pub shell: Shell,
    /// Newest first.
    pub rows: Vec<OrderRow>,
    pub may_draft: bool,
    /// Facts of the installation: people and devices known, refused now.
    pub people: Count,
    pub devices: Count,
    pub refused_now: Count,
}

#[derive(Debug, Clone)]
pub struct OrderRow {
    pub id: String,
    pub title: String,
    pub state: Pill,
    pub deadline: When,
    /// Whom and what it reaches now; absent once it has ended.
    pub reach: Option<(Count, Count)>,
    /// Absent before publication.
    pub notices: Option<Bar>,
}
