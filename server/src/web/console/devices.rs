//! Whose a device is, and having one recognised: for the helpdesk.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use countermand_core::actor::Act;
use countermand_core::fleet::DeviceKey;
use countermand_core::verdict::Fallback;
use serde::Deserialize;

use super::{done, page_with, shell, when, zone};
use crate::app::AppError;
use crate::app::devices::{KnownRefusal, Whose, Word, refused};
use crate::web::Web;
use crate::web::errors::{Answer, Fault};
use crate::web::pages::{ClaimRow, Count, DeviceRow, Devices, Found, RefusalRow, Tone, WordFields};
use crate::web::session::{Posted, SignedIn};

#[derive(Debug, Default, Deserialize)]
pub(in crate::web) struct Asked {
    #[serde(default)]
    q: String,
}

pub(in crate::web) async fn show(
    State(web): State<Arc<Web>>,
    Query(asked): Query<Asked>,
    by: SignedIn,
) -> Answer {
    if !by.may(Act::LookUp) {
        return Err(Fault::policy(format!(
            "{} may not look up people and devices; that takes the role helpdesk, responder or admin",
            by.operator.email
        )));
    }
    page(&web, &by, asked.q.trim(), WordFields::default(), None).await
}

/// The page, with what was found of `asked` where something was asked.
async fn page(
    web: &Web,
    by: &SignedIn,
    asked: &str,
    word: WordFields,
    error: Option<String>,
) -> Answer {
    let (mut found, mut word, mut error) = (None, word, error);
    if !asked.is_empty() {
        match look(web, by, asked, &mut word).await {
            Ok(all) => found = Some(all),
            Err(AppError::Input(what)) => error = error.or(Some(what)),
            Err(other) => return Err(other.into()),
        }
    }
    let status = match error {
        None => StatusCode::OK,
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let page = Devices {
        shell: shell(web, by).await?,
        asked: asked.to_owned(),
        error,
        found,
        word,
    };
    page_with(status, page)
}

/// What goes by that reference, key or address. The form gets what it can take from it.
async fn look(
    web: &Web,
    by: &SignedIn,
    asked: &str,
    word: &mut WordFields,
) -> Result<Found, AppError> {
    let zone = zone(web, by, None);
    let actor = by.actor();
    let is_reference = asked.len() < 16 && asked.to_uppercase().starts_with("R-");
    if is_reference {
        let refusals = web.app.explain(&actor, asked).await?;
        let named = |id| web.app.live.view().person(id).map(|p| p.email.clone());
        let mut rows = Vec::new();
        let mut whose = Whose::default();
        for one in &refusals {
            let person = one.person.and_then(named);
            let known = refused(one);
            if let Some(key) = known.keys.first().filter(|_| rows.is_empty()) {
                whose = web.app.whose(&actor, key.as_str()).await?;
                word.key = key.to_string();
                word.person = person.clone().unwrap_or_default();
            }
            rows.push(refusal(person, known, &zone));
        }
        return Ok(found(rows, whose, &zone));
    }
    let whose = web.app.whose(&actor, asked).await?;
    if word.key.is_empty() && word.person.is_empty() {
        match asked.parse::<DeviceKey>() {
            Ok(key) => word.key = key.to_string(),
            Err(_) => word.person = asked.to_owned(),
        }
    }
    let of = Some(asked.to_owned());
    let mut whose = whose;
    let refused = std::mem::take(&mut whose.refused);
    let rows = refused
        .into_iter()
        .map(|one| refusal(of.clone(), one, &zone));
    Ok(found(rows.collect(), whose, &zone))
}

fn found(refusals: Vec<RefusalRow>, whose: Whose, zone: &str) -> Found {
    let devices = whose.devices.into_iter().map(|device| DeviceRow {
        what: format!("{} ({})", device.form_factor, device.platform),
        keys: joined(&device.keys),
        last_report: device.last_report.map(|at| when(at, zone)),
        person: device.person.unwrap_or_else(|| "nobody’s".to_owned()),
    });
    let claims = whose.claims.into_iter().map(|claim| ClaimRow {
        key: claim.key.to_string(),
        person: claim.person,
        when: when(claim.at, zone),
        first: claim.first,
    });
    Found {
        refusals,
        devices: devices.collect(),
        claims: claims.collect(),
    }
}

fn refusal(person: Option<String>, refusal: KnownRefusal, zone: &str) -> RefusalRow {
    let why = match refusal.fallback {
        Some(Fallback::UnknownDevice) => "the device is not known",
        Some(Fallback::UnknownPerson) => "the login is not known",
        Some(Fallback::AmbiguousKey) => "more than one device goes by this name",
        Some(Fallback::NoDeviceKey) => "it did not say which device it is",
        Some(_) => "what is on the device is not known",
        None => "an app; `countermand explain` tells which",
    };
    let doubt = if refusal.vouched {
        ""
    } else {
        "; the door does not vouch for who it was"
    };
    RefusalRow {
        reference: refusal.reference,
        person: person.unwrap_or_else(|| "an unknown login".to_owned()),
        keys: joined(&refusal.keys),
        last: when(refusal.last_at, zone),
        times: Count(refusal.times).of("time", "times"),
        why: format!("{why}{doubt}"),
    }
}

fn joined(keys: &[DeviceKey]) -> String {
    let keys: Vec<&str> = keys.iter().map(DeviceKey::as_str).collect();
    keys.join(", ")
}

pub(in crate::web) async fn recognise(
    State(web): State<Arc<Web>>,
    Posted { by, fields }: Posted,
) -> Answer {
    let given = WordFields {
        key: fields.text("key").trim().to_owned(),
        person: fields.text("person").trim().to_owned(),
        same_as: fields.text("same_as").trim().to_owned(),
        reason: fields.text("reason").trim().to_owned(),
    };
    match word(&web, &by, &given).await {
        Ok(text) => {
            let to = format!("/devices?q={}", crate::web::session::encode(&given.key));
            done(&web, &by, &to, Tone::Allow, text)
        }
        Err(AppError::Input(what)) => page(&web, &by, "", given, Some(what)).await,
        Err(other) => Err(other.into()),
    }
}

pub(in crate::web) async fn forget(
    State(web): State<Arc<Web>>,
    Posted { by, fields }: Posted,
) -> Answer {
    let (key, reason) = (fields.text("key").trim(), fields.text("reason"));
    let done = match key.parse::<DeviceKey>() {
        Ok(key) => web.app.forget(&by.actor(), &key, reason).await,
        Err(error) => Err(AppError::Input(error.to_string())),
    };
    match done {
        Ok(gone) => {
            let to = format!("/devices?q={}", crate::web::session::encode(key));
            let text = format!("The word for {} is taken back.", gone.key);
            super::done(&web, &by, &to, Tone::Allow, text)
        }
        Err(AppError::Input(what)) => {
            let given = WordFields {
                key: key.to_owned(),
                reason: reason.trim().to_owned(),
                ..WordFields::default()
            };
            page(&web, &by, "", given, Some(what)).await
        }
        Err(other) => Err(other.into()),
    }
}

async fn word(web: &Web, by: &SignedIn, given: &WordFields) -> Result<String, AppError> {
    let key = |text: &str| -> Result<DeviceKey, AppError> {
        text.parse()
            .map_err(|e: countermand_core::fleet::DeviceKeyError| AppError::Input(e.to_string()))
    };
    let same_as = Some(given.same_as.as_str()).filter(|text| !text.is_empty());
    let word = Word {
        key: key(&given.key)?,
        person: given.person.clone(),
        same_as: same_as.map(key).transpose()?,
        platform: None,
        form_factor: None,
        reason: given.reason.clone(),
    };
    let done = web.app.recognise(&by.actor(), &word).await?;
    Ok(format!(
        "{} is a device of {} from now on.",
        done.key, done.person
    ))
}
