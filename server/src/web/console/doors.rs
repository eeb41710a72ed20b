//! The front doors of mail.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use countermand_core::actor::Act;
use countermand_core::index::Mode;

use super::facts::took;
use super::{done, page_with, shell, when, zone};
use crate::app::AppError;
use crate::web::errors::{Answer, Fault};
use crate::web::pages::{Count, Doors, GateRow, Pill, Tone};
use crate::web::session::{Posted, SignedIn};
use crate::web::{DoorFigures, Web};

/// A view older than this is worth a word; nearly always it is some milliseconds old.
const OLD: Duration = Duration::from_secs(10);

pub(in crate::web) async fn show(State(web): State<Arc<Web>>, by: SignedIn) -> Answer {
    doors(&web, &by, "", None).await
}

async fn doors(web: &Web, by: &SignedIn, reason: &str, error: Option<String>) -> Answer {
    let status = match error {
        None => StatusCode::OK,
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let zone = zone(web, by, None);
    let page = Doors {
        shell: shell(web, by).await?,
        gates: (web.doors)().into_iter().map(row).collect(),
        counted: format!("since {}", when(web.started, &zone).text),
        may_open: by.may(Act::Respond),
        may_set_mode: by.may(Act::SetMode),
        reason: reason.to_owned(),
        error,
    };
    page_with(status, page)
}

fn row(door: DoorFigures) -> GateRow {
    let state = match door.view_age {
        None => Pill::new(Tone::Quiet, "Not asked yet"),
        Some(age) if age < OLD => Pill::new(Tone::Allow, "Up to date"),
        Some(_) => Pill::new(Tone::Deny, "Old view"),
    };
    let time = |time: Option<Duration>| time.map_or_else(|| "–".to_owned(), took);
    GateRow {
        name: door.name,
        asked: Count(door.asked),
        let_in: Count(door.let_in),
        warned: Count(door.warned),
        refused: Count(door.refused),
        would_refuse: Count(door.would_refuse),
        p99: time(door.p99),
        view_age: time(door.view_age),
        state,
    }
}

pub(in crate::web) async fn open(
    State(web): State<Arc<Web>>,
    Posted { by, fields }: Posted,
) -> Answer {
    let reason = fields.text("reason");
    match web.app.open_doors(&by.actor(), reason).await {
        Ok(_) => done(
            &web,
            &by,
            "/doors",
            Tone::Warn,
            "All doors are open. Close them on this page when it is over.",
        ),
        Err(AppError::Input(_)) => {
            let error = "Opening the doors takes a few words on why: they stand in the record. Nothing has changed.";
            doors(&web, &by, reason, Some(error.to_owned())).await
        }
        Err(other) => Err(other.into()),
    }
}

pub(in crate::web) async fn close(
    State(web): State<Arc<Web>>,
    Posted { by, .. }: Posted,
) -> Answer {
    web.app.close_doors(&by.actor()).await?;
    let text = "The doors are closed: the verdicts hold again.";
    done(&web, &by, "/doors", Tone::Allow, text)
}

pub(in crate::web) async fn mode(
    State(web): State<Arc<Web>>,
    Posted { by, fields }: Posted,
) -> Answer {
    let (mode, text) = match fields.text("mode") {
        "observe" => (Mode::Observe, "Observing: verdicts are only counted."),
        "enforce" => (Mode::Enforce, "Enforcing: the doors obey the verdicts."),
        other => {
            return Err(Fault::input(format!(
                "there is no mode «{other}»; expected observe or enforce"
            )));
        }
    };
    web.app.set_mode(&by.actor(), mode).await?;
    done(&web, &by, "/doors", Tone::Allow, text)
}
