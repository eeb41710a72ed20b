//! What an order would do, and the mails it would send: the page that an approval looks at.

use askama::Template;

use super::{Act, Count, Hint, Pill, Rehearse, Rule, Shell};

#[derive(Debug, Clone, Template)]
#[template(path = "preview.html")]
pub struct Preview {
    pub shell: Shell,
    pub id: String,
    pub revision: u32,
    pub title: String,
    pub state: Pill,
    pub facts: PreviewFacts,
    pub rule: Rule,
    pub hints: Vec<Hint>,
    /// Any person's notice, for who may see it.
    pub rehearse: Option<Rehearse>,
    /// Notice, reminder, blocked, correction; each locale in use.
    pub letters: Vec<Letter>,
    /// Present for who may approve or send back this revision.
    pub decision: Option<Decision>,
    /// Said instead of a decision: `You wrote this revision: another person must approve it.`
    pub why_not: Option<String>,
    pub acts: Vec<Act>,
}

/// What the approval binds to. It travels in the form, so an edit in between voids it.
#[derive(Debug, Clone)]
pub struct Decision {
    pub digest: String,
    /// What stands after sending back was refused for want of words.
    pub words: String,
    pub error: Option<String>,
}

#[derive(Debug, Clone)]
pub struct PreviewFacts {
    pub people: Count,
    pub devices: Count,
    pub in_scope: Count,
    pub platforms: Vec<Tally>,
    pub form_factors: Vec<Tally>,
    pub groups: Vec<Tally>,
    pub invisible: Count,
    pub stale: Count,
    pub no_report: Count,
    pub exempt: Count,
    pub already_denied: Count,
    pub weak_matches: Count,
    /// `weak = "enforce"`: they are among the devices.
    pub weak_enforced: bool,
    /// `0.4 ms`
    pub took: String,
}

impl PreviewFacts {
    /// Where the devices with the app are, three ways.
    pub fn tables(&self) -> [(&'static str, &[Tally]); 3] {
        [
            ("Platform", &self.platforms),
            ("Form factor", &self.form_factors),
            ("Group", &self.groups),
        ]
    }
}

/// Devices with the app, of one platform, form factor or group.
#[derive(Debug, Clone)]
pub struct Tally {
    pub name: String,
    pub count: Count,
}

/// A mail as its reader would get it, for one sample person.
#[derive(Debug, Clone)]
pub struct Letter {
    /// Stable: `notice-en`
    pub id: String,
    /// `The notice`, `The correction`, `The notice, in German`
    pub name: String,
    pub is_correction: bool,
    pub from: String,
    pub to: String,
    pub subject: String,
    pub language: String,
    /// The plain text part.
    pub text: String,
}
