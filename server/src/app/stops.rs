//! Notices that stop by themselves: too many are rejected, or too many people say that the order looks
//! wrong (invariant 14). A responder's resume lets them go on.

use countermand_core::actor::Actor;
use countermand_core::change::{Change, Step};
use countermand_core::id::{OrderId, PersonId};
use countermand_core::notice::plan::should_stop;
use countermand_core::order::{Order, State};
use serde_json::json;

use super::{App, AppError, Result};
use crate::store::StoreError;

/// Each round means that another change of the same order went through.
const TRIES: u32 = 20;

impl App {
    /// Stops the order's notices, if what came back of them or what people say asks for it; true if
    /// they are stopped by this call. Whoever settles a rejection, or takes in a bounce or a report,
    /// asks; so does every sender from time to time, so that no crash in between loses a stop. Several
    /// may ask at once.
    pub async fn stop_if_needed(&self, id: OrderId) -> std::result::Result<bool, StoreError> {
        for _ in 0..TRIES {
            // Most orders have no such rule, and then nothing is asked of the database.
            if !self.live.view().order(id).is_some_and(|o| self.may_stop(o)) {
                return Ok(false);
            }
            let rejected = self.store.rejections(id).await?;
            let looks_wrong = self.store.looks_wrong(id).await?;
            // A view that lags knows of fewer people told, so its no is a no; its yes has to be seen.
            let perhaps = {
                let view = self.live.view();
                view.order(id)
                    .and_then(|o| should_stop(o, view.told_of(id), rejected, looks_wrong))
            };
            if perhaps.is_none() {
                return Ok(false);
            }
            self.live.follow().await?;
            let stored = self.store.order_called(&id.to_string()).await?;
            let told = self.live.view().told_of(id);
            let Some(words) = should_stop(&stored.order, told, rejected, looks_wrong) else {
                return Ok(false);
            };
            let at = self.now();
            let Ok(order) = stored.order.stop_notices(at, &words) else {
                return Ok(false);
            };
            let change = Change::Order {
                order: Box::new(order),
                was: Some(stored.changed),
                step: Step::Stop,
                details: json!({ "reason": words, "told": told, "rejected": rejected, "looks_wrong": looks_wrong }),
            };
            let actor = Actor::System("stages".to_owned());
            match self.commit_at(&actor, at, change).await {
                // Somebody was quicker, perhaps with this very stop: look again.
                Err(StoreError::Conflict) => {}
                Err(other) => return Err(other),
                Ok(()) => {
                    tracing::warn!(order = %id.short(), why = %words, "the order's notices stopped by themselves");
                    return Ok(true);
                }
            }
        }
        Err(StoreError::Conflict)
    }

    fn may_stop(&self, order: &Order) -> bool {
        let stages = order.revision.file.stages.as_ref();
        stages.is_some_and(|s| s.hold_at.is_some())
            && matches!(order.state, State::Published(_))
            && order.stop().is_none()
            && order.in_force(self.now()).is_some()
    }

    /// Counts a person who says that the order, or its notice, looks wrong; false if they are counted
    /// already, or if the order is over and nothing is left to stop.
    pub async fn looks_wrong(&self, order: OrderId, person: PersonId) -> Result<bool> {
        let stored = self.store.order_called(&order.to_string()).await?.order;
        if stored.published().is_none() {
            return Err(AppError::Input(format!(
                "order {} is not published, so nobody can have got it; a report is of a notice that somebody got",
                order.short()
            )));
        }
        if stored.in_force(self.now()).is_none() {
            return Ok(false);
        }
        let who = self.live.view().person(person).map(|p| p.email.clone());
        let who = who.ok_or_else(|| {
            AppError::Input(format!(
                "there is no person number {person}; a report is by somebody on the list of staff"
            ))
        })?;
        let change = Change::LooksWrong { order, person };
        match self.commit(&Actor::Person(who), change).await {
            Err(StoreError::Conflict) => return Ok(false),
            other => other?,
        }
        // The report is written down whatever comes now; a sender asks again in a moment.
        if let Err(error) = self.stop_if_needed(order).await {
            tracing::warn!(%error, "a report is counted, but whether notices stop is not decided yet");
        }
        Ok(true)
    }
}
