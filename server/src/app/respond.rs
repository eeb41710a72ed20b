//! Hold, resume, extend: a responder's acts, each alone and at once.

use countermand_core::actor::{Act, Actor};
use countermand_core::change::Step;
use countermand_core::fleet::fold;
use countermand_core::order::Order;
use countermand_core::order::when::When;
use serde_json::json;

use super::{App, Result};

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

    pub async fn resume(&self, actor: &Actor, id: &str) -> Result<Order> {
        self.authorise(actor, Act::Respond).await?;
        self.step(actor, id, Step::Resume, json!({}), |stored, at| {
            Ok(stored.order.clone().resume(at)?)
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
}
