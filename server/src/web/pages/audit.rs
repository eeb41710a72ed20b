//! The record.

use askama::Template;

use super::{Count, Pager, Shell, When};

#[derive(Debug, Clone, Template)]
#[template(path = "audit.html")]
pub struct Audit {
    pub shell: Shell,
    pub verified: Verified,
    /// Only the entries of this order: its id and title.
    pub order: Option<(String, String)>,
    /// Newest first.
    pub rows: Vec<AuditRow>,
    pub pager: Pager,
}

#[derive(Debug, Clone)]
pub struct Verified {
    pub entries: Count,
    /// The hash of the last entry.
    pub head: String,
    pub first_bad: Option<Count>,
    pub when: When,
}

#[derive(Debug, Clone)]
pub struct AuditRow {
    pub number: Count,
    pub when: When,
    pub actor: String,
    /// Believed from the shell (`--as`), not signed in.
    pub by_shell: bool,
    pub what: String,
    /// Id and title.
    pub order: Option<(String, String)>,
}
