//! A responder's acts: hold, resume, extend, retract, each alone and at once.

use std::sync::Arc;

use axum::extract::{Path, State};
use countermand_core::order::when::When;
use countermand_core::order::{Order, State as Life};

use super::confirm::{confirm, effect};
use super::{back, called, done, find, order_zone, page, see, shell, when, words, zone};
use crate::app::AppError;
use crate::web::Web;
use crate::web::errors::Answer;
use crate::web::pages::format::{first_word, is_first_word};
use crate::web::pages::{Act, Done, Tone};
use crate::web::session::{Fields, Posted, SignedIn};

fn home(web: &Web, order: &Order) -> String {
    format!("/orders/{}", called(web, order))
}

/// The page before an act, where the order's state allows the act at all.
async fn before(web: &Web, by: &SignedIn, id: &str, act: Act) -> Answer {
    let order = find(web, id).await?.order;
    let fits = match act {
        Act::Hold => matches!(order.state, Life::Published(_)),
        Act::Resume => order.is_held() || order.stop().is_some(),
        _ => order.standing().is_some(),
    };
    if fits {
        confirm(web, by, &order, act, &Fields::default(), None).await
    } else {
        Ok(see(&home(web, &order)))
    }
}

pub(in crate::web) async fn hold_page(
    State(web): State<Arc<Web>>,
    Path(id): Path<String>,
    by: SignedIn,
) -> Answer {
    before(&web, &by, &id, Act::Hold).await
}

/// Quick before all: the words may come later, so none are asked for.
pub(in crate::web) async fn hold(
    State(web): State<Arc<Web>>,
    Path(id): Path<String>,
    Posted { by, fields }: Posted,
) -> Answer {
    let order = find(&web, &id).await?.order;
    let reason = fields.text("reason").trim();
    let order = web
        .app
        .hold(&by.actor(), &order.id.to_string(), reason)
        .await?;
    let text = "On hold: its notices wait, and its refusals are warnings.";
    done(&web, &by, &home(&web, &order), Tone::Warn, text)
}

pub(in crate::web) async fn resume_page(
    State(web): State<Arc<Web>>,
    Path(id): Path<String>,
    by: SignedIn,
) -> Answer {
    before(&web, &by, &id, Act::Resume).await
}

pub(in crate::web) async fn resume(
    State(web): State<Arc<Web>>,
    Path(id): Path<String>,
    Posted { by, .. }: Posted,
) -> Answer {
    let order = find(&web, &id).await?.order;
    let order = web.app.resume(&by.actor(), &order.id.to_string()).await?;
    let let_pass = order.published().and_then(|p| p.let_pass.as_ref());
    let text = match let_pass.is_some_and(|l| l.hold) {
        true => {
            "Resumed: its notices go on, and it refuses again once its shortest notice has passed."
        }
        false => "Resumed: its notices go on. What came back by now stops them no more.",
    };
    done(&web, &by, &home(&web, &order), Tone::Plain, text)
}

pub(in crate::web) async fn extend_page(
    State(web): State<Arc<Web>>,
    Path(id): Path<String>,
    by: SignedIn,
) -> Answer {
    before(&web, &by, &id, Act::Extend).await
}

pub(in crate::web) async fn extend(
    State(web): State<Arc<Web>>,
    Path(id): Path<String>,
    Posted { by, fields }: Posted,
) -> Answer {
    let order = find(&web, &id).await?.order;
    let to: When = match fields.text("to").parse() {
        Ok(to) => to,
        Err(error) => {
            let error = format!("{error}. Nothing has changed.");
            return confirm(&web, &by, &order, Act::Extend, &fields, Some(error)).await;
        }
    };
    let done_by = web
        .app
        .extend(&by.actor(), &order.id.to_string(), &to)
        .await;
    match done_by {
        Ok(order) => {
            let zone = order_zone(&order).unwrap_or_else(|| "UTC".to_owned());
            let text = format!("The deadline is now {}.", when(to.at(), &zone).text);
            done(&web, &by, &home(&web, &order), Tone::Allow, text)
        }
        Err(AppError::Input(what)) if order.standing().is_some() => {
            confirm(&web, &by, &order, Act::Extend, &fields, Some(what)).await
        }
        Err(other) => Err(other.into()),
    }
}

/// Once the order is retracted this is the page that says what that did.
pub(in crate::web) async fn retract_page(
    State(web): State<Arc<Web>>,
    Path(id): Path<String>,
    by: SignedIn,
) -> Answer {
    let order = find(&web, &id).await?.order;
    match order.retraction() {
        Some(_) => retracted(&web, &by, &order).await,
        None => before(&web, &by, &id, Act::Retract).await,
    }
}

pub(in crate::web) async fn retract(
    State(web): State<Arc<Web>>,
    Path(id): Path<String>,
    Posted { by, fields }: Posted,
) -> Answer {
    let order = find(&web, &id).await?.order;
    let (word, reason) = (fields.text("word"), fields.text("reason").trim());
    let wrong = if order.retraction().is_some() {
        // Retracting twice is retracting once (invariant 30): nothing is left to confirm.
        None
    } else if !is_first_word(word, order.title()) {
        Some(format!(
            "The word typed was “{}”. Type “{}”; nothing has changed yet.",
            word.trim(),
            first_word(order.title())
        ))
    } else if reason.is_empty() {
        Some(
            "The correction and the statement need a few words on why. Nothing has changed yet."
                .to_owned(),
        )
    } else {
        None
    };
    // Who may not is told so, rather than how to do it right.
    web.app
        .authorise(&by.actor(), countermand_core::actor::Act::Respond)
        .await?;
    if let Some(error) = wrong
        && order.standing().is_some()
    {
        return confirm(&web, &by, &order, Act::Retract, &fields, Some(error)).await;
    }
    let reason = order.retraction().map_or(reason, |r| r.reason.as_str());
    web.app
        .retract(&by.actor(), &order.id.to_string(), reason)
        .await?;
    Ok(see(&format!("{}/retract", home(&web, &order))))
}

/// How it came to the mistake, said later or said better.
pub(in crate::web) async fn cause(
    State(web): State<Arc<Web>>,
    Path(id): Path<String>,
    Posted { by, fields }: Posted,
) -> Answer {
    let order = find(&web, &id).await?.order;
    let cause = fields.text("cause");
    let order = web
        .app
        .say_cause(&by.actor(), &order.id.to_string(), cause)
        .await?;
    let text = "The cause stands on the statement now, and in the record.";
    back(&web, &by, &order, Tone::Allow, text)
}

async fn retracted(web: &Web, by: &SignedIn, order: &Order) -> Answer {
    let answer = web.app.answer(order).await?;
    let zone = zone(web, by, Some(order));
    page(Done {
        shell: shell(web, by).await?,
        id: called(web, order),
        statement: order.id.to_string(),
        title: order.title().to_owned(),
        state: words::pill(order, web.app.now(), &zone),
        heading: "The order no longer holds".to_owned(),
        effects: vec![
            effect(
                answer.devices_restored,
                "device may read mail again",
                "devices may read mail again",
                Tone::Allow,
            ),
            effect(
                answer.cancelled,
                "notice was cancelled",
                "notices were cancelled",
                Tone::Plain,
            ),
            effect(
                answer.in_flight,
                "notice was on its way and counts as told",
                "notices were on their way and count as told",
                Tone::Plain,
            ),
            effect(
                answer.corrections_planned,
                "person gets the correction, ahead of all other mail",
                "people get the correction, ahead of all other mail",
                Tone::Plain,
            ),
        ],
    })
}
