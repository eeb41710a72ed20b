//! Any person's notice as they would read it, and a test of it to oneself.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use countermand_core::actor::Act;
use countermand_core::notice::Kind;
use countermand_core::notice::lint::Lint;
use countermand_core::order::Order;
use serde::Deserialize;

use super::mailbox::kind_of;
use super::{called, done, find, page_with, shell};
use crate::app::AppError;
use crate::app::rehearse::Sample;
use crate::web::Web;
use crate::web::errors::{Answer, Fault};
use crate::web::pages::{Choice, Hint, Rehearse, SamplePage, Sampled, Tone};
use crate::web::session::{Posted, SignedIn};

#[derive(Debug, Default, Deserialize)]
pub(in crate::web) struct Asked {
    person: Option<String>,
    kind: Option<String>,
}

fn kind(text: &str) -> Result<Kind, Fault> {
    match text {
        "" => Ok(Kind::Order),
        text => text
            .parse()
            .map_err(|e: countermand_core::notice::UnknownKind| Fault::input(e.to_string())),
    }
}

/// The form, for who may use it.
pub(super) fn form(
    web: &Web,
    by: &SignedIn,
    order: &Order,
    person: &str,
    chosen: Kind,
) -> Option<Rehearse> {
    if !by.may(Act::Rehearse) {
        return None;
    }
    let reminders = order.revision.file.deadline.remind.len();
    let reminders = (1..=reminders).filter_map(|n| u8::try_from(n).ok());
    let kinds = std::iter::once(Kind::Order)
        .chain(reminders.map(Kind::Reminder))
        .chain([Kind::Blocked, Kind::Correction])
        .map(|kind| Choice {
            value: kind.to_string(),
            label: match kind {
                Kind::Order => "The notice".to_owned(),
                Kind::Reminder(n) => format!("Reminder {n}"),
                Kind::Blocked => "What a refused person gets".to_owned(),
                Kind::Correction => "The correction".to_owned(),
            },
            chosen: kind == chosen,
        })
        .collect();
    Some(Rehearse {
        person: person.to_owned(),
        kinds,
        test_to: web.rehearsal.is_some().then(|| by.operator.email.clone()),
    })
}

pub(super) fn hints(lints: &[Lint]) -> Vec<Hint> {
    lints
        .iter()
        .map(|lint| Hint {
            place: lint.place(),
            what: super::write::sentence(&lint.what),
            mend: super::write::sentence(&lint.mend),
        })
        .collect()
}

pub(in crate::web) async fn show(
    State(web): State<Arc<Web>>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
    by: SignedIn,
) -> Answer {
    let order = find(&web, &id).await?.order;
    let kind = kind(asked.kind.as_deref().unwrap_or(""))?;
    let person = asked.person.unwrap_or_default();
    let sampled = match person.trim() {
        "" => Ok(None),
        email => {
            let actor = by.actor();
            let sample = web.app.preview_notice(&actor, &order, email, kind);
            sample.await.map(Some)
        }
    };
    let (status, error, sampled) = match sampled {
        Ok(sampled) => (StatusCode::OK, None, sampled),
        Err(AppError::Input(what)) => {
            let error = Some(super::write::sentence(&what));
            (StatusCode::UNPROCESSABLE_ENTITY, error, None)
        }
        Err(other) => return Err(other.into()),
    };
    let Some(form) = form(&web, &by, &order, &person, kind) else {
        return Err(Fault::policy(format!(
            "{} may not {}",
            by.operator.email,
            Act::Rehearse.in_words()
        )));
    };
    let page = SamplePage {
        shell: shell(&web, &by).await?,
        id: called(&web, &order),
        title: order.title().to_owned(),
        rehearse: Some(form),
        error,
        sampled: sampled.map(sampled_page),
    };
    page_with(status, page)
}

fn sampled_page(sample: Sample) -> Sampled {
    let headers = [
        ("From", sample.from.clone()),
        ("To", sample.to()),
        ("Subject", sample.mail.subject),
        ("Content-Language", sample.mail.language.clone()),
    ];
    Sampled {
        kind: kind_of(&sample.kind.to_string()),
        headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
        language: sample.mail.language,
        text: sample.mail.text,
        remarks: sample.remarks,
    }
}

pub(in crate::web) async fn test(
    State(web): State<Arc<Web>>,
    Path(id): Path<String>,
    Posted { by, fields }: Posted,
) -> Answer {
    let order = find(&web, &id).await?.order;
    let kind = kind(fields.text("kind"))?;
    let rehearsal = web
        .rehearsal
        .as_ref()
        .ok_or_else(|| Fault::nothing_here("Tests of notices are not set up here."))?;
    let actor = by.actor();
    let tested = web.app.test_notice(&actor, &order, None, kind, rehearsal);
    let tested = tested.await?;
    let to = format!("/orders/{}/preview", called(&web, &order));
    let text = format!(
        "“{}” for {} went to {}.",
        tested.subject, tested.to, tested.way
    );
    done(&web, &by, &to, Tone::Allow, text)
}
