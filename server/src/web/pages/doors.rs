//! The front doors of mail: the mode, the glass to break, and how each door fares.

use askama::Template;

use super::{Count, Pill, Shell};

#[derive(Debug, Clone, Template)]
#[template(path = "doors.html")]
pub struct Doors {
    /// Mode and opened doors stand there already.
    pub shell: Shell,
    pub gates: Vec<GateRow>,
    /// `since the start at 08:00 PDT`
    pub counted: String,
    /// A responder.
    pub may_open: bool,
    /// An admin.
    pub may_set_mode: bool,
    pub reason: String,
    pub error: Option<String>,
}

#[derive(Debug, Clone)]
pub struct GateRow {
    /// `ActiveSync · nginx`
    pub name: String,
    pub asked: Count,
    pub let_in: Count,
    pub warned: Count,
    pub refused: Count,
    /// Let in by the observe mode alone.
    pub would_refuse: Count,
    pub p99: String,
    /// `0.2 s`
    pub view_age: String,
    pub state: Pill,
}
