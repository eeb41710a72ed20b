//! Whose a device is: what is known of a key or a person, and having a device recognised.
//!
//! A recognised device is a person's by somebody's word. It says nothing of what is on it: until a report
//! comes, `[when_unknown] no_report` of each order decides.

use countermand_core::actor::{Act, Actor};
use countermand_core::change::{Change, Forget};
use countermand_core::fleet::{
    Claim, Device, DeviceKey, FormFactor, Ownership, Recognition, Visibility, fold,
};
use countermand_core::id::PersonId;
use countermand_core::index::Index;
use countermand_core::platform::Platform;
use countermand_core::verdict::{Channel, Decision, Fallback, Question};
use jiff::Timestamp;
use serde::Serialize;

use super::{App, AppError, Result};
use crate::store::StoredRefusal;

/// What is known of a device key, or of all that are a person's. Never which apps (invariant 37).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Whose {
    pub devices: Vec<KnownDevice>,
    /// Keys that people came with to a door that vouched for them, where no report gives them to that
    /// person.
    pub claims: Vec<KnownClaim>,
    /// Of a person: what doors refused lately, for whose phone shows no reference.
    pub refused: Vec<KnownRefusal>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KnownDevice {
    pub person: Option<String>,
    pub keys: Vec<DeviceKey>,
    pub platform: Platform,
    pub form_factor: FormFactor,
    pub ownership: Ownership,
    pub visibility: Visibility,
    /// `None`: it is known by somebody's word alone.
    pub last_report: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KnownClaim {
    pub key: DeviceKey,
    pub person: String,
    pub at: Timestamp,
    /// Nobody came with it before.
    pub first: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KnownRefusal {
    #[serde(rename = "ref")]
    pub reference: String,
    pub keys: Vec<DeviceKey>,
    pub last_at: Timestamp,
    pub times: u64,
    /// Which policy spoke; `None` where an app was seen.
    pub fallback: Option<Fallback>,
    /// Whether the door stood for it that it was this person.
    pub vouched: bool,
}

/// What an operator says of a key.
#[derive(Clone, Debug)]
pub struct Word {
    pub key: DeviceKey,
    /// An address of the person.
    pub person: String,
    pub same_as: Option<DeviceKey>,
    pub platform: Option<Platform>,
    pub form_factor: Option<FormFactor>,
    pub reason: String,
}

/// What was written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Recognised {
    pub key: DeviceKey,
    pub person: String,
    pub same_as: Option<DeviceKey>,
    pub at: Timestamp,
    /// What a door says of it from now on, as in enforce mode.
    pub decision: Decision,
}

/// What was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Forgotten {
    pub key: DeviceKey,
    /// Whose the word had said that it was.
    pub person: Option<String>,
    pub at: Timestamp,
    /// What a door says of it from now on, as in enforce mode.
    pub decision: Decision,
}

impl App {
    /// What is known of a device key, or of the person at an address.
    pub async fn whose(&self, actor: &Actor, asked: &str) -> Result<Whose> {
        self.authorise(actor, Act::LookUp).await?;
        let asked = asked.trim();
        let person = self.live.view().person_called(asked).map(|p| p.id);
        if let Some(person) = person {
            let claims = self.store.claims_of_person(person).await?;
            let refusals = self.store.refusals_of(person).await?;
            self.looked(actor, "devices", [person]).await?;
            let view = self.live.view();
            return Ok(Whose {
                devices: view.devices_of(person).map(|d| known(&view, d)).collect(),
                claims: named(&view, claims),
                refused: refusals.iter().map(refused).collect(),
            });
        }
        let key: DeviceKey = asked.parse().map_err(|_| {
            AppError::Input(format!(
                "«{asked}» is nobody's address and no device key; give an address of somebody on the list of staff, or a key such as eas:DEV7F3A"
            ))
        })?;
        let claims = self.store.claims_of_key(&key).await?;
        let mut people: Vec<PersonId> = claims.iter().map(|claim| claim.person).collect();
        people.extend(
            self.live
                .view()
                .devices_called(&key)
                .filter_map(|d| d.person),
        );
        self.looked(actor, "devices", people).await?;
        let view = self.live.view();
        Ok(Whose {
            devices: view.devices_called(&key).map(|d| known(&view, d)).collect(),
            claims: named(&view, claims),
            refused: Vec::new(),
        })
    }

    /// Takes an operator's word that a key is one of a device of that person's.
    pub async fn recognise(&self, actor: &Actor, word: &Word) -> Result<Recognised> {
        self.authorise(actor, Act::Recognise).await?;
        if word.reason.trim().is_empty() {
            return Err(AppError::Input(
                "having a device recognised takes a few words on how you know whose it is: they stand in the record".into(),
            ));
        }
        let person = self
            .live
            .view()
            .person_called(&fold(&word.person))
            .map(|p| p.id);
        let person = person.ok_or_else(|| {
            AppError::Input(format!(
                "there is no person «{}»; give a mail address that `countermand people import` brought in",
                word.person.trim()
            ))
        })?;
        let recognition = Recognition {
            key: word.key.clone(),
            person,
            same_as: word.same_as.clone(),
            platform: word.platform,
            form_factor: word.form_factor,
            reason: word.reason.trim().to_owned(),
        };
        let at = self.now();
        let change = Change::Recognise(recognition.clone());
        self.commit_at(actor, at, change).await?;
        Ok(self.recognised(recognition, at))
    }

    /// Takes back the word by which a device was recognised. What a report says stands.
    pub async fn forget(&self, actor: &Actor, key: &DeviceKey, reason: &str) -> Result<Forgotten> {
        self.authorise(actor, Act::Recognise).await?;
        if reason.trim().is_empty() {
            return Err(AppError::Input(
                "taking a word back takes a few words on why: they stand in the record".into(),
            ));
        }
        let email = {
            let view = self.live.view();
            let person = view.devices_called(key).find_map(|d| d.person);
            person.and_then(|p| address(&view, p))
        };
        let at = self.now();
        let change = Change::Forget(Forget {
            key: key.clone(),
            person: None,
            reason: reason.trim().to_owned(),
        });
        self.commit_at(actor, at, change).await?;
        let question = Question {
            person: email.clone(),
            keys: vec![key.clone()],
            channel: Channel::Activesync,
        };
        Ok(Forgotten {
            key: key.clone(),
            person: email,
            at,
            decision: self.live.view().verdict(&question, at).decision,
        })
    }

    /// What follows from a word that was taken.
    pub(super) fn recognised(&self, recognition: Recognition, at: Timestamp) -> Recognised {
        let view = self.live.view();
        let person = address(&view, recognition.person).unwrap_or_default();
        let key = recognition.key;
        let question = Question {
            person: Some(person.clone()),
            keys: vec![key.clone()],
            channel: Channel::Activesync,
        };
        Recognised {
            key,
            same_as: recognition.same_as,
            at,
            decision: view.verdict(&question, at).decision,
            person,
        }
    }
}

pub(super) fn address(view: &Index, person: PersonId) -> Option<String> {
    view.person(person).map(|p| p.email.clone())
}

fn known(view: &Index, device: &Device) -> KnownDevice {
    KnownDevice {
        person: device.person.and_then(|p| address(view, p)),
        keys: device.keys.iter().cloned().collect(),
        platform: device.platform,
        form_factor: device.form_factor,
        ownership: device.ownership,
        visibility: device.visibility,
        last_report: device.last_report,
    }
}

fn named(view: &Index, claims: Vec<Claim>) -> Vec<KnownClaim> {
    let named = |claim: Claim| KnownClaim {
        person: address(view, claim.person).unwrap_or_default(),
        key: claim.key,
        at: claim.at,
        first: claim.first,
    };
    claims.into_iter().map(named).collect()
}

/// A refusal without what was found on the device.
pub fn refused(refusal: &StoredRefusal) -> KnownRefusal {
    let known: serde_json::Value = serde_json::from_str(&refusal.known).unwrap_or_default();
    let question = &known["question"];
    let keys = question["keys"].as_array().into_iter().flatten();
    let seen = known["verdict"]["because"].as_array().into_iter().flatten();
    let is_app = |reason: &serde_json::Value| {
        reason["decision"] == Decision::Deny.as_str() && reason["seen"].is_object()
    };
    let fallback = known["verdict"]["fallback"].as_str();
    KnownRefusal {
        reference: refusal.reference.clone(),
        keys: keys.filter_map(|k| k.as_str()?.parse().ok()).collect(),
        last_at: refusal.last_at,
        times: refusal.times,
        fallback: match seen.into_iter().any(is_app) {
            true => None,
            false => fallback.and_then(|word| word.parse().ok()),
        },
        vouched: question["vouched"] == true && question["readable"] == true,
    }
}
