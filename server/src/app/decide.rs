//! What a door would be told, and what was known at a past refusal.

use countermand_core::actor::{Act, Actor};
use countermand_core::id::{PersonId, refusal_ref};
use countermand_core::verdict::{Question, Verdict};
use jiff::Timestamp;

use super::{App, AppError, Result};
use crate::store::StoredRefusal;

/// A verdict with the names that its numbers stand for.
#[derive(Clone, Debug)]
pub struct Decided {
    pub verdict: Verdict,
    pub reference: String,
    /// The person's mail address.
    pub person: Option<String>,
    /// A key of the device.
    pub device: Option<String>,
}

impl App {
    /// As in enforce mode, whatever the mode is. It tells which apps somebody's device has, so it is
    /// for those who look people up (invariant 37).
    pub async fn decide(
        &self,
        actor: &Actor,
        question: &Question,
        at: Timestamp,
    ) -> Result<Decided> {
        self.authorise(actor, Act::LookUp).await?;
        let verdict = self.live.view().verdict(question, at);
        let whose = self.whose_are_seen(&verdict);
        self.looked(actor, "verdict", whose).await?;
        let view = self.live.view();
        let person = verdict
            .person
            .and_then(|p| view.person(p))
            .map(|p| p.email.clone());
        let device = verdict
            .device
            .and_then(|d| view.device(d))
            .and_then(|d| d.keys.first())
            .or(question.keys.first())
            .map(ToString::to_string);
        let reference = refusal_ref(verdict.fingerprint(question, true));
        Ok(Decided {
            verdict,
            reference,
            person,
            device,
        })
    }

    /// The refusals that a reference names, newest first.
    pub async fn explain(&self, actor: &Actor, reference: &str) -> Result<Vec<StoredRefusal>> {
        self.authorise(actor, Act::LookUp).await?;
        let found = self.store.refusals_called(reference).await?;
        if found.is_empty() {
            return Err(AppError::Input(format!(
                "no refusal goes by «{reference}»; a reference looks like R-7Q2M-4F and stands in what the person was shown"
            )));
        }
        let mut people = Vec::new();
        for one in &found {
            people.extend(one.person);
            let mut known: serde_json::Value = serde_json::from_str(&one.known).unwrap_or_default();
            if let Ok(verdict) = serde_json::from_value(known["verdict"].take()) {
                people.extend(self.whose_are_seen(&verdict));
            }
        }
        self.looked(actor, "refusal", people).await?;
        Ok(found)
    }

    /// Whose apps a verdict shows: a key of two people's devices those of both, whoever asks.
    fn whose_are_seen(&self, verdict: &Verdict) -> Vec<PersonId> {
        let view = self.live.view();
        let seen = verdict.because.iter().filter(|r| r.seen.is_some());
        let owner = |device| view.device(device)?.person;
        seen.filter_map(|r| r.device.and_then(owner).or(verdict.person))
            .collect()
    }
}
