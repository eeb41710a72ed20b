//! The page before an act that others feel: what will happen, in numbers.

use axum::http::StatusCode;
use countermand_core::duration::Length;
use countermand_core::order::when::When;
use countermand_core::order::{Order, State};
use countermand_core::words::thousands;

use super::{called, comply_by, page_with, shell, when, zone};
use crate::web::Web;
use crate::web::errors::{Answer, Fault};
use crate::web::pages::{Act, Confirm, Count, Effect, Tone};
use crate::web::session::{Fields, SignedIn};

/// Another half day or night is what people mostly ask for; a whole day is what is offered.
const OFFERED: Length = Length::days(1);

pub(super) fn effect(number: u64, one: &str, many: &str, tone: Tone) -> Effect {
    Effect {
        number: Count(number),
        words: if number == 1 { one } else { many }.to_owned(),
        tone,
    }
}

pub(super) async fn confirm(
    web: &Web,
    by: &SignedIn,
    order: &Order,
    act: Act,
    fields: &Fields,
    error: Option<String>,
) -> Answer {
    let status = match error {
        None => StatusCode::OK,
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let given = |name: &str| fields.text(name).to_owned();
    let to = match (act, fields.text("to")) {
        (Act::Extend, "") => {
            let now = comply_by(order);
            When::new(OFFERED.after(now.at()), now.zone()).to_string()
        }
        (_, to) => to.to_owned(),
    };
    let digest = match (&order.state, act) {
        (State::Approved(approval), Act::Publish) => approval.digest.clone(),
        _ => String::new(),
    };
    let page = Confirm {
        shell: shell(web, by).await?,
        act,
        id: called(web, order),
        title: order.title().to_owned(),
        effects: effects(web, by, order, act).await?,
        notes: notes(web, order, act),
        reason: given("reason"),
        to,
        digest,
        error,
        may_hold: act == Act::Retract && matches!(order.state, State::Published(_)),
        only_notices: order.stop().is_some() && !order.is_held(),
    };
    page_with(status, page)
}

async fn effects(web: &Web, by: &SignedIn, order: &Order, act: Act) -> Result<Vec<Effect>, Fault> {
    if act == Act::Publish {
        return publication(web, by, order);
    }
    let after = web.app.preview_retraction(order).await?;
    let standing = web.app.live.view().standing(order.id, web.app.now());
    let may_read = effect(
        after.devices_restored,
        "device may read mail again at its next request",
        "devices may read mail again at their next request",
        Tone::Allow,
    );
    let under_way = effect(
        after.in_flight,
        "notice is on its way: it can't be stopped, and counts as told",
        "notices are on their way: they can't be stopped, and count as told",
        Tone::Plain,
    );
    let goes_out = effect(
        after.cancelled,
        "notice goes out",
        "notices go out",
        Tone::Plain,
    );
    Ok(match act {
        Act::Hold => vec![
            may_read,
            effect(
                after.cancelled,
                "notice waits until you resume",
                "notices wait until you resume",
                Tone::Warn,
            ),
            under_way,
        ],
        Act::Resume if !order.is_held() => vec![
            goes_out,
            effect(
                standing.refused,
                "device is refused now, and stays so: refusals never stopped",
                "devices are refused now, and stay so: refusals never stopped",
                Tone::Plain,
            ),
        ],
        Act::Resume => vec![
            goes_out,
            effect(
                standing.with_app,
                "device still has the app, and will be refused when its time comes",
                "devices still have the app, and will be refused when their time comes",
                Tone::Deny,
            ),
        ],
        Act::Extend => vec![effect(
            after.devices_restored,
            "device may read mail until the new deadline",
            "devices may read mail until the new deadline",
            Tone::Allow,
        )],
        _ => vec![
            may_read,
            effect(
                after.cancelled,
                "notice not yet sent is cancelled",
                "notices not yet sent are cancelled",
                Tone::Plain,
            ),
            under_way,
            effect(
                after.corrections_planned,
                "person gets the correction, ahead of all other mail: told, or perhaps told, or refused",
                "people get the correction, ahead of all other mail: all who were told, or may have been, or were refused",
                Tone::Plain,
            ),
            effect(
                1,
                "statement changes to “Retracted”, with the time and your words",
                "",
                Tone::Plain,
            ),
        ],
    })
}

fn publication(web: &Web, by: &SignedIn, order: &Order) -> Result<Vec<Effect>, Fault> {
    let preview = web.app.preview(order)?;
    let zone = zone(web, by, Some(order));
    let deadline = when(comply_by(order).at(), &zone).text;
    let told = match &order.revision.file.stages {
        None => "people get the notice, at once".to_owned(),
        Some(stages) if !stages.has_canary() => "people get the notice, at once".to_owned(),
        Some(stages) => format!(
            "people get the notice: {} of them at once, the others after a pause of {} min",
            thousands(preview.canary.unwrap_or_default()),
            stages.pause.as_seconds().div_euclid(60)
        ),
    };
    let refused = if order.revision.file.observe {
        "devices have the app, and are counted: this order never refuses".to_owned()
    } else {
        format!(
            "devices have the app now, and are refused mail after {deadline} if it is still there"
        )
    };
    Ok(vec![
        effect(preview.to_tell, &told, &told, Tone::Plain),
        effect(preview.devices, &refused, &refused, Tone::Deny),
        effect(
            1,
            "statement appears, under the link that every notice carries",
            "",
            Tone::Plain,
        ),
    ])
}

fn notes(web: &Web, order: &Order, act: Act) -> Vec<String> {
    let standing = web.app.live.view().standing(order.id, web.app.now());
    let others = standing
        .refused
        .saturating_sub(standing.refused_by_this_alone);
    let mut notes = Vec::new();
    if matches!(act, Act::Retract | Act::Hold) && others > 0 {
        notes.push(format!(
            "{} refused: another order names them too.",
            Count(others).of("device stays", "devices stay")
        ));
    }
    let channels = order.revision.file.announce.channels.join(", ");
    if let Some(stop) = order.stop().filter(|_| matches!(act, Act::Resume)) {
        notes.push(format!(
            "Its notices stopped because {}. What is counted by now stops them no more; as much again does.",
            stop.why
        ));
    }
    match act {
        _ if channels.is_empty() => {}
        Act::Publish => notes.push(format!(
            "It is announced for everyone who reads there, too: {channels}."
        )),
        Act::Retract => notes.push(format!(
            "Where it was announced, or may have been, the correction is announced too: {channels}."
        )),
        _ => {}
    }
    notes
}
