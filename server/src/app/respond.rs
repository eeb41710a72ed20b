//! Hold, resume, extend: a responder's acts, each alone and at once.

use countermand_core::actor::{Act, Actor};
use countermand_core::change::{Change, Step};
use countermand_core::fleet::fold;
use countermand_core::order::when::When;
use countermand_core::order::{Order, State};
use serde_json::json;

use super::{App, AppError, Result};

impl App {
    /// Stops notices and turns the order's refusals into warnings.
    pub async fn hold(&self, actor: &Actor, id: &str, reason: &str) -> Result<Order> {
        self.authorise(actor, Act::Respond).await?;
        self.step(
            actor,
            id,
            Step::Hold,
            json!({ "reason": reason }),
            |stored, at| Ok(stored.order.clone().hold(&fold(actor.name()), at, reason)?),
        )
        .await
    }

    /// Lifts a hold, a stop of the notices, or both. What is rejected and reported by now stops them no
    /// more: whoever resumes lets it pass.
    pub async fn resume(&self, actor: &Actor, id: &str) -> Result<Order> {
        self.authorise(actor, Act::Respond).await?;
        let order = self.store.order_called(id).await?.order.id;
        let rejected = self.store.rejections(order).await?;
        let looks_wrong = self.store.looks_wrong(order).await?;
        self.step(actor, id, Step::Resume, json!({}), |stored, at| {
            Ok(stored
                .order
                .clone()
                .resume_past(at, rejected, looks_wrong)?)
        })
        .await
    }

    /// Moves the deadline, later only.
    pub async fn extend(&self, actor: &Actor, id: &str, to: &When) -> Result<Order> {
        self.authorise(actor, Act::Respond).await?;
        self.step(
            actor,
            id,
            Step::Extend,
            json!({ "to": to.to_string() }),
            |stored, _| Ok(stored.order.clone().extend(to.clone())?),
        )
        .await
    }

    /// Says how a retracted order came to be wrong; it stands on the statement from then on.
    pub async fn say_cause(&self, actor: &Actor, id: &str, cause: &str) -> Result<Order> {
        self.authorise(actor, Act::Respond).await?;
        let cause = cause.trim();
        if cause.is_empty() {
            return Err(AppError::Input(
                "a cause is a few words on how the order came to be wrong; it stands on the statement"
                    .to_owned(),
            ));
        }
        self.step(
            actor,
            id,
            Step::Cause,
            json!({ "cause": cause }),
            |stored, _| Ok(stored.order.clone().say_cause(cause)?),
        )
        .await
    }

    /// Writes down that a backup took the database's place, and holds every order that stands in it:
    /// it may have been retracted since, and nobody is to be told, or refused, by a memory.
    pub async fn after_restore(&self, actor: &Actor, from: &str) -> Result<Vec<Order>> {
        const WHY: &str =
            "restored from a backup: whether it still holds is not known; resume or retract it";
        let change = Change::Restored {
            from: from.to_owned(),
        };
        self.commit(actor, change).await?;
        let mut held = Vec::new();
        for stored in self.store.orders().await? {
            if matches!(stored.order.state, State::Published(_)) {
                let id = stored.order.id.to_string();
                let details = json!({ "reason": WHY });
                let step = self.step(actor, &id, Step::Hold, details, |stored, at| {
                    Ok(stored.order.clone().hold(&fold(actor.name()), at, WHY)?)
                });
                held.push(step.await?);
            }
        }
        Ok(held)
    }
}
