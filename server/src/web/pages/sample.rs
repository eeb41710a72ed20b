//! Hints about a text, and any person's notice before there is one.

use askama::Template;

use super::{Pill, Shell};

/// What an author may want to change: where, what and how.
#[derive(Debug, Clone)]
pub struct Hint {
    /// `[notice.de], line 31`
    pub place: String,
    pub what: String,
    pub mend: String,
}

/// Whose notice, and of which kind.
#[derive(Debug, Clone)]
pub struct Rehearse {
    pub person: String,
    pub kinds: Vec<Choice>,
    /// The operator's own address, where tests can be sent.
    pub test_to: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Choice {
    pub value: String,
    pub label: String,
    pub chosen: bool,
}

#[derive(Debug, Clone, Template)]
#[template(path = "sample.html")]
pub struct SamplePage {
    pub shell: Shell,
    pub id: String,
    pub title: String,
    /// Always there; an option as on the page of the preview, whose part it shares.
    pub rehearse: Option<Rehearse>,
    pub error: Option<String>,
    /// Absent until somebody is named.
    pub sampled: Option<Sampled>,
}

#[derive(Debug, Clone)]
pub struct Sampled {
    pub kind: Pill,
    pub headers: Vec<(String, String)>,
    /// Of the text, for who has it read aloud.
    pub language: String,
    /// The text part; the HTML part has the same words, and this page shows no foreign markup.
    pub text: String,
    pub remarks: Vec<String>,
}
