//! Publishing: from here on people are told.

use countermand_core::actor::{Act, Actor};
use countermand_core::change::Step;
use countermand_core::fleet::fold;
use countermand_core::order::{Order, State, approval_digest};
use serde_json::json;

use super::{App, AppError, Result};

impl App {
    pub async fn publish(&self, actor: &Actor, id: &str) -> Result<Order> {
        self.authorise(actor, Act::Publish).await?;
        self.step(actor, id, Step::Publish, json!({}), |stored, at| {
            if let State::Approved(approval) = &stored.order.state {
                // The approval binds to exactly this text and this list (invariant 7).
                if approval_digest(&stored.order.revision.hash, &approval.audience) != approval.digest {
                    return Err(AppError::Policy("what was approved is not this text and audience; submit it again".into()));
                }
                if let Some((drift, size)) = self.live.view().has_drifted(stored.order.id) {
                    return Err(AppError::Policy(format!(
                        "since the approval {drift} people came into or left the audience of {size}; submit the order again and have it approved"
                    )));
                }
            }
            self.need_channels(&stored.order)?;
            Ok(stored.order.clone().publish(&fold(actor.name()), at)?)
        })
        .await
    }
}
