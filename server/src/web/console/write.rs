//! Writing an order.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use countermand_core::actor::Act;
use countermand_core::order::Order;

use super::facts::facts;
use super::letter::hints;
use super::{called, done, find, page_with, see, shell};
use crate::app::AppError;
use crate::web::Web;
use crate::web::errors::{Answer, Fault};
use crate::web::pages::{Edit, Problem, Tone};
use crate::web::session::{Posted, SignedIn};

/// Where a new order begins: everything that must be there, to be filled.
const STARTER: &str = include_str!("../../../templates/starter.toml");

fn may_write(by: &SignedIn) -> Result<(), Fault> {
    if by.may(Act::Write) {
        Ok(())
    } else {
        Err(Fault::policy(format!(
            "{} may not write orders; that needs the role author",
            by.operator.email
        )))
    }
}

pub(in crate::web) async fn new_page(State(web): State<Arc<Web>>, by: SignedIn) -> Answer {
    may_write(&by)?;
    editor(&web, &by, None, STARTER, None).await
}

pub(in crate::web) async fn edit_page(
    State(web): State<Arc<Web>>,
    Path(id): Path<String>,
    by: SignedIn,
) -> Answer {
    let order = find(&web, &id).await?.order;
    may_write(&by)?;
    if order.published().is_some() {
        return Ok(see(&format!("/orders/{}", called(&web, &order))));
    }
    editor(&web, &by, Some(&order), &order.revision.text, None).await
}

pub(in crate::web) async fn new(State(web): State<Arc<Web>>, posted: Posted) -> Answer {
    act(&web, &posted, None).await
}

pub(in crate::web) async fn edit(
    State(web): State<Arc<Web>>,
    Path(id): Path<String>,
    posted: Posted,
) -> Answer {
    let order = find(&web, &id).await?.order;
    act(&web, &posted, Some(&order)).await
}

async fn act(web: &Web, posted: &Posted, was: Option<&Order>) -> Answer {
    let by = &posted.by;
    may_write(by)?;
    // Browsers send every line end as CR LF; the file has the author's.
    let text = posted.fields.text("text").replace("\r\n", "\n");
    let submits = match posted.fields.text("do") {
        "preview" => {
            let read = web.app.check_order(&text);
            return match read {
                Ok(order) => editor(web, by, was, &text, Some(&order)).await,
                Err(error) => faulty(web, by, was, &text, error).await,
            };
        }
        "save" => false,
        "submit" => true,
        other => {
            return Err(Fault::input(format!(
                "there is nothing called «{other}» to do here; expected preview, save or submit"
            )));
        }
    };
    let saved = match was {
        None => web.app.draft(&by.actor(), &text).await,
        Some(order) if order.revision.text == text => Ok(order.clone()),
        Some(order) => {
            let id = order.id.to_string();
            web.app.revise(&by.actor(), &id, &text).await
        }
    };
    let order = match saved {
        Ok(order) => order,
        Err(error) => return faulty(web, by, was, &text, error).await,
    };
    let to = format!("/orders/{}", called(web, &order));
    if !submits {
        let text = format!("Saved as revision {}.", order.revision.number);
        return done(web, by, &to, Tone::Allow, text);
    }
    // The text is saved already: what the submission lacks is said on the order's own editor.
    match web.app.submit(&by.actor(), &order.id.to_string()).await {
        Ok(_) => done(
            web,
            by,
            &to,
            Tone::Allow,
            "Submitted. Another person must approve it before it can be published.",
        ),
        Err(error) => faulty(web, by, Some(&order), &text, error).await,
    }
}

async fn editor(
    web: &Web,
    by: &SignedIn,
    was: Option<&Order>,
    text: &str,
    looked_at: Option<&Order>,
) -> Answer {
    let edit = edit_struct(web, by, was, text, Vec::new(), looked_at).await?;
    page_with(StatusCode::OK, edit)
}

/// The text again, with what is wrong. Only bad input comes back here.
async fn faulty(
    web: &Web,
    by: &SignedIn,
    was: Option<&Order>,
    text: &str,
    error: AppError,
) -> Result<Response, Fault> {
    let problems = match error {
        AppError::Problems(problems) => problems
            .into_iter()
            .map(|problem| Problem {
                line: problem.line.map(|line| line as u32),
                source: problem
                    .line
                    .and_then(|line| text.lines().nth(line.saturating_sub(1)))
                    .map(|line| line.trim().to_owned()),
                what: sentence(&problem.what),
                mend: String::new(),
            })
            .collect(),
        AppError::Input(what) => vec![Problem {
            line: None,
            source: None,
            what: sentence(&what),
            mend: String::new(),
        }],
        other => return Err(other.into()),
    };
    let edit = edit_struct(web, by, was, text, problems, None).await?;
    page_with(StatusCode::UNPROCESSABLE_ENTITY, edit)
}

async fn edit_struct(
    web: &Web,
    by: &SignedIn,
    was: Option<&Order>,
    text: &str,
    problems: Vec<Problem>,
    looked_at: Option<&Order>,
) -> Result<Edit, Fault> {
    let (facts, hints) = match looked_at {
        Some(order) => (Some(facts(web, order)?.1), hints(&web.app.lints(order))),
        None => (None, Vec::new()),
    };
    Ok(Edit {
        shell: shell(web, by).await?,
        id: was.map(|order| called(web, order)),
        title: was.map(|order| order.title().to_owned()),
        text: text.to_owned(),
        problems,
        hints,
        facts,
    })
}

/// Messages of the core begin small and end open, for a terminal; on a page they are sentences.
pub(super) fn sentence(what: &str) -> String {
    let mut letters = what.chars();
    let mut text: String = match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => return String::new(),
    };
    if !text.ends_with(['.', '?', '!', '…']) {
        text.push('.');
    }
    text
}
