//! What an order would do, and the mails it would send: the page that an approval looks at.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use countermand_core::actor::Role;
use countermand_core::fleet::Person;
use countermand_core::notice::Kind;
use countermand_core::order::{Order, State as Life};

use super::facts::facts;
use super::letter::{form, hints};
use super::order::acts;
use super::{called, find, page_with, shell, words, zone};
use crate::web::Web;
use crate::web::errors::{Answer, Fault};
use crate::web::pages::{Act, Decision, Letter, Preview};
use crate::web::session::SignedIn;

/// Samples in more locales than this help nobody to judge the text.
const LOCALES: usize = 4;

pub(in crate::web) async fn show(
    State(web): State<Arc<Web>>,
    Path(id): Path<String>,
    by: SignedIn,
) -> Answer {
    let order = find(&web, &id).await?.order;
    preview(&web, &by, &order, StatusCode::OK, "", None).await
}

pub(super) async fn preview(
    web: &Web,
    by: &SignedIn,
    order: &Order,
    status: StatusCode,
    remark: &str,
    error: Option<String>,
) -> Answer {
    let (counted, facts) = facts(web, order)?;
    let zone = zone(web, by, Some(order));
    let now = web.app.now();
    let in_review = matches!(order.state, Life::InReview { .. });
    let own = {
        let names = web.app.same_person(&by.operator.email).await?;
        order.authors.iter().any(|author| names.contains(author))
    };
    let may_decide = in_review && by.is(Role::Approver);
    let acts = acts(by, order, now)
        .into_iter()
        // This is the page where a review happens.
        .filter(|act| *act != Act::Review)
        .collect();
    page_with(
        status,
        Preview {
            shell: shell(web, by).await?,
            id: called(web, order),
            revision: order.revision.number,
            title: order.title().to_owned(),
            state: words::pill(order, now, &zone),
            facts,
            rule: words::rule(order, &zone),
            hints: hints(&web.app.lints(order)),
            letters: letters(web, order)?,
            rehearse: form(web, by, order, "", Kind::Order),
            decision: (may_decide && !own).then(|| Decision {
                digest: counted.digest,
                words: remark.to_owned(),
                error,
            }),
            why_not: (may_decide && own).then(|| {
                "You wrote a revision of this order: another person must approve it.".to_owned()
            }),
            acts,
        },
    )
}

/// One sample of each letter and locale, to a person of the audience.
fn letters(web: &Web, order: &Order) -> Result<Vec<Letter>, Fault> {
    let samples: Vec<(String, Person)> = {
        let view = web.app.live.view();
        let audience = view.audience(order).map_err(crate::app::AppError::from)?;
        let mut samples: Vec<(String, Person)> = Vec::new();
        for person in view.people().filter(|p| audience.0.contains(p.id.0)) {
            if samples.len() == LOCALES {
                break;
            }
            if !samples.iter().any(|(locale, ..)| *locale == person.locale) {
                samples.push((person.locale.clone(), person.clone()));
            }
        }
        samples
    };
    let remind = !order.revision.file.deadline.remind.is_empty();
    let kinds = [
        (Kind::Order, "notice", "The notice"),
        (Kind::Reminder(1), "reminder", "The reminder"),
        (Kind::Blocked, "blocked", "What a refused person gets"),
        (Kind::Correction, "correction", "The correction"),
    ];
    let mut letters = Vec::new();
    for (locale, person) in &samples {
        for (kind, id, name) in &kinds {
            if matches!(kind, Kind::Reminder(_)) && !remind {
                continue;
            }
            let sample = web.app.sample(order, person, *kind)?;
            let (suffix, named) = if samples.len() == 1 || locale.is_empty() {
                (String::new(), String::new())
            } else {
                (
                    format!("-{}", locale.to_lowercase()),
                    format!(", in the locale {locale}"),
                )
            };
            letters.push(Letter {
                id: format!("{id}{suffix}"),
                name: format!("{name}{named}"),
                is_correction: *kind == Kind::Correction,
                to: format!("{} (a sample)", sample.to()),
                from: sample.from,
                language: sample.mail.language,
                subject: sample.mail.subject,
                text: sample.mail.text,
            });
        }
    }
    Ok(letters)
}
