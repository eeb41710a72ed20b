//! Taking a person's word that the apps of an order are gone.

use countermand_core::actor::{Act, Actor};
use countermand_core::change::Change;
use countermand_core::exemption::Attestation;
use countermand_core::order::file::UnknownPolicy;
use jiff::Timestamp;

use super::{App, AppError, Result};

/// What was written down.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Attested {
    pub person: String,
    pub order: String,
    pub at: Timestamp,
    pub until: Timestamp,
}

impl App {
    pub async fn attest(&self, actor: &Actor, person: &str, order: &str) -> Result<Attested> {
        self.authorise(actor, Act::Attest).await?;
        let order = self.store.order_called(order).await?.order;
        let unknown = &order.revision.file.when_unknown;
        if ![unknown.no_report, unknown.invisible, unknown.stale].contains(&UnknownPolicy::Attest) {
            return Err(AppError::Input(format!(
                "the order «{}» takes nobody's word: no key of [when_unknown] says \"attest\"",
                order.title()
            )));
        }
        let (id, email) = {
            let view = self.live.view();
            let person = view
                .person_called(person)
                .ok_or_else(|| AppError::Input(format!("there is no person «{person}»; give a mail address that `countermand people import` brought in")))?;
            (person.id, person.email.clone())
        };
        let at = self.now();
        let until = unknown.attest_for.after(at);
        self.commit(
            actor,
            Change::Attestation(Attestation {
                order: order.id,
                person: id,
                at,
            }),
        )
        .await?;
        Ok(Attested {
            person: email,
            order: order.id.to_string(),
            at,
            until,
        })
    }
}
