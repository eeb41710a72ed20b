//! The mailbox that takes the place of a mail server while one tries things out.

use askama::Template;

use super::{Pager, Pill, Shell, When};

#[derive(Debug, Clone, Template)]
#[template(path = "mailbox.html")]
pub struct Mailbox {
    pub shell: Shell,
    /// Newest first.
    pub rows: Vec<MailRow>,
    pub pager: Pager,
    /// What was looked for: part of an address or subject.
    pub search: String,
}

#[derive(Debug, Clone)]
pub struct MailRow {
    pub id: String,
    pub when: When,
    pub to: String,
    pub subject: String,
    /// order, reminder, blocked, correction
    pub kind: Pill,
}

#[derive(Debug, Clone, Template)]
#[template(path = "mail.html")]
pub struct Mail {
    pub shell: Shell,
    pub subject: String,
    pub kind: Pill,
    pub when: When,
    /// In the order of the message.
    pub headers: Vec<(String, String)>,
    pub text: String,
    /// It has an HTML part too, which this page does not show: a page of the console runs no
    /// foreign markup.
    pub has_html: bool,
    pub order: Option<String>,
}
