//! Submitting, withdrawing, sending back, approving.

use countermand_core::actor::{Act, Actor};
use countermand_core::change::Step;
use countermand_core::fleet::fold;
use countermand_core::order::{Approval, Order, approval_digest};
use serde_json::json;

use super::{App, AppError, Result};

impl App {
    /// Nothing is submitted whose texts, correction included, would not render (invariant 9).
    pub async fn submit(&self, actor: &Actor, id: &str) -> Result<Order> {
        self.authorise(actor, Act::Write).await?;
        self.step(actor, id, Step::Submit, json!({}), |stored, at| {
            self.live.view().audience(&stored.order)?;
            let problems = self.text_problems(&stored.order);
            if !problems.is_empty() {
                return Err(AppError::Problems(problems));
            }
            Ok(stored.order.clone().submit(&fold(actor.name()), at)?)
        })
        .await
    }

    pub async fn withdraw(&self, actor: &Actor, id: &str) -> Result<Order> {
        self.authorise(actor, Act::Write).await?;
        self.step(actor, id, Step::Withdraw, json!({}), |stored, _| {
            Ok(stored.order.clone().withdraw()?)
        })
        .await
    }

    pub async fn send_back(&self, actor: &Actor, id: &str, remark: &str) -> Result<Order> {
        self.authorise(actor, Act::Approve).await?;
        self.step(
            actor,
            id,
            Step::SendBack,
            json!({ "remark": remark }),
            |stored, at| {
                Ok(stored
                    .order
                    .clone()
                    .send_back(&fold(actor.name()), at, remark)?)
            },
        )
        .await
    }

    /// Signs the text, the package ids and the list of people as they are now. Where `digest` is
    /// given, it must be that of what the approver saw.
    pub async fn approve(&self, actor: &Actor, id: &str, digest: Option<&str>) -> Result<Order> {
        self.authorise(actor, Act::Approve).await?;
        let by = fold(actor.name());
        let same_person = self.same_person(&by).await?;
        self.step(actor, id, Step::Approve, json!({}), |stored, at| {
            let audience = self.live.view().audience(&stored.order)?;
            let now_digest = approval_digest(&stored.order.revision.hash, &audience);
            if digest.is_some_and(|seen| seen != now_digest) {
                return Err(AppError::Policy(
                    "the text or the audience has changed since you looked; look at the preview again, then approve".into(),
                ));
            }
            let approval = Approval { by: by.clone(), at, digest: now_digest, audience };
            Ok(stored.order.clone().approve(approval, &same_person)?)
        })
        .await
    }
}
