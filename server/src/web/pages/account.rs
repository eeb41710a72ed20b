//! Signing in, the first password, and what went wrong.

use askama::Template;

#[derive(Debug, Clone, Template)]
#[template(path = "sign_in.html")]
pub struct SignIn {
    pub csrf: String,
    pub email: String,
    /// Where to go afterwards; a path of this console, checked by who fills it.
    pub next: Option<String>,
    pub error: Option<String>,
    /// Who signs in with one click; nobody outside the demo.
    pub demo: Vec<DemoOperator>,
}

/// One of the demo's made-up operators.
#[derive(Debug, Clone)]
pub struct DemoOperator {
    pub email: String,
    /// `Ana (author)`
    pub label: String,
}

/// The page behind a one-time link: an operator sets the first password.
#[derive(Debug, Clone, Template)]
#[template(path = "set_up.html")]
pub struct SetUp {
    pub csrf: String,
    /// The one-time token of the link.
    pub token: String,
    pub email: String,
    pub least_length: usize,
    pub error: Option<String>,
}

/// What went wrong, how to mend it, and a reference that finds it in the log.
#[derive(Debug, Clone, Template)]
#[template(path = "error.html")]
pub struct ErrorPage {
    pub status: u16,
    pub what: String,
    pub mend: String,
    pub reference: String,
}

impl ErrorPage {
    pub fn heading(&self) -> &'static str {
        match self.status {
            401 => "Sign in first",
            403 => "You may not do this",
            404 => "There is nothing here",
            409 => "This has changed meanwhile",
            400 | 422 => "This can't be done as it stands",
            429 => "Too many tries",
            503 => "Not ready just now",
            _ => "Something went wrong here",
        }
    }
}
