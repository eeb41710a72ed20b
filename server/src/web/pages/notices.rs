//! The notices of one order: how far they are, and who could not be told.

use askama::Template;

use super::{Bar, Count, Pager, Shell, When};

#[derive(Debug, Clone, Template)]
#[template(path = "notices.html")]
pub struct Notices {
    pub shell: Shell,
    pub id: String,
    pub title: String,
    pub kinds: Vec<KindRow>,
    /// Where it is announced; in none of the bars.
    pub channels: Vec<ChannelRow>,
    /// Who has to be reached by another way: rejected, unknown, or never accepted.
    pub untold: Vec<Untold>,
    /// How many there are, for an operator who may not see whom.
    pub unnamed: Option<Count>,
    pub pager: Pager,
}

#[derive(Debug, Clone)]
pub struct KindRow {
    /// order, reminder, blocked, correction
    pub name: String,
    pub bar: Bar,
}

#[derive(Debug, Clone)]
pub struct ChannelRow {
    pub name: String,
    /// `planned`, `accepted`
    pub announcement: String,
    /// The same, or a dash.
    pub correction: String,
    /// What the channel's server said last.
    pub words: String,
}

#[derive(Debug, Clone)]
pub struct Untold {
    pub person: String,
    pub kind: String,
    /// `rejected`, `unknown`, `bounced`
    pub state: String,
    pub when: When,
    /// What the mail server said.
    pub words: String,
}
