//! Retraction: one act of one responder, waiting for nothing and nobody.

use countermand_core::actor::{Act, Actor};
use countermand_core::change::Change;
use countermand_core::fleet::fold;
use countermand_core::notice::channel::Lane;
use countermand_core::notice::plan::{self, Due};
use countermand_core::order::{Order, RetractAnswer, Retraction};
use jiff::Timestamp;

use super::{App, AppError, Result};
use crate::failpoint::{self, Moment};
use crate::store::StoreError;

impl App {
    /// Takes an order back. Retracting again changes nothing and answers the same (invariant 30).
    pub async fn retract(&self, actor: &Actor, id: &str, reason: &str) -> Result<RetractAnswer> {
        self.retract_knowing(actor, id, reason, "").await
    }

    /// The same where it is known already how it came to the mistake; an empty cause is not known yet.
    pub async fn retract_knowing(
        &self,
        actor: &Actor,
        id: &str,
        reason: &str,
        cause: &str,
    ) -> Result<RetractAnswer> {
        self.authorise(actor, Act::Respond).await?;
        if reason.trim().is_empty() {
            return Err(AppError::Input(
                "a retraction needs a reason; it stands in every correction and on the statement"
                    .into(),
            ));
        }
        loop {
            let stored = self.store.order_called(id).await?;
            if stored.order.retraction().is_some() {
                return self.answer(&stored.order).await;
            }
            let at = self.now();
            let planned = self.waiting(&stored.order, at).await?;
            let restored = self.live.view().refused_by_alone(stored.order.id, at);
            let retraction = Retraction {
                by: fold(actor.name()),
                at,
                reason: reason.trim().to_owned(),
                cause: Some(cause.trim())
                    .filter(|c| !c.is_empty())
                    .map(str::to_owned),
                answer: RetractAnswer {
                    devices_restored: restored,
                    ..RetractAnswer::default()
                },
            };
            let order = stored.order.clone().retract(retraction)?;
            let change = Change::Retract {
                order: Box::new(order),
                was: stored.changed,
                planned: planned.into_iter().map(|d| (d.kind, d.people)).collect(),
            };
            match self.commit_at(actor, at, change).await {
                // Somebody was quicker: look again. Each round means that another change went through.
                Err(StoreError::Conflict) => {}
                Err(other) => return Err(other.into()),
                // Now it is done. The next round counts what it did.
                Ok(()) => {}
            }
        }
    }

    /// What a retraction did. It is counted once, by who asks first.
    pub async fn answer(&self, order: &Order) -> Result<RetractAnswer> {
        if let Some(answer) = self.store.count_retraction(order).await? {
            failpoint::pass(Moment::AnswerCounted);
            let change = Change::Counted {
                order: order.id,
                answer,
            };
            let counter = Actor::System("count".to_owned());
            match self.commit(&counter, change).await {
                Ok(()) => failpoint::pass(Moment::AnswerCommitted),
                Err(StoreError::Conflict) => {}
                Err(other) => return Err(other.into()),
            }
        }
        // Read last: somebody else may have counted it since `order` was read.
        let order = self.store.order_called(&order.id.to_string()).await?.order;
        let answer = order.retraction().map(|r| r.answer.clone());
        Ok(answer.unwrap_or_default())
    }

    /// Which notices of a standing order are yet to be sent, those among them that wait for a resume
    /// or a pause. Who has a receipt of that kind may be in the sets.
    async fn waiting(&self, order: &Order, at: Timestamp) -> Result<Vec<Due>> {
        let refused = self.store.refused(order.id).await?;
        Ok(plan::waiting(&self.live.view(), order.id, &refused, at))
    }

    /// How many notices are yet to be sent, and how many of them are due now.
    pub(super) async fn planned(&self, order: &Order) -> Result<(u64, u64)> {
        let at = self.now();
        let waiting = self.waiting(order, at).await?;
        let refused = self.store.refused(order.id).await?;
        let due = plan::due(&self.live.view(), order.id, &refused, at);
        let mut counts = [0, 0];
        for (count, all) in counts.iter_mut().zip([waiting, due]) {
            for one in all {
                *count += (one.people - self.store.receipted(order.id, one.kind).await?).len();
            }
        }
        Ok(counts.into())
    }

    /// What the retraction of an order would do now, for the page that asks for the confirmation.
    pub async fn preview_retraction(&self, order: &Order) -> Result<RetractAnswer> {
        let at = self.now();
        let (unclaimed, _) = self.planned(order).await?;
        let restored = self.live.view().refused_by_alone(order.id, at);
        let (notices, _) = self.store.receipt_counts(order.id).await?;
        let to_correct = self.store.would_correct(order.id).await?;
        Ok(RetractAnswer {
            cancelled: unclaimed + notices.claimed,
            unclaimed,
            in_flight: notices.in_flight,
            accepted: notices.accepted,
            unknown: notices.unknown,
            channels: App::channels_in(order, &to_correct),
            corrections_planned: Lane::People.of(to_correct).len(),
            devices_restored: restored,
            exports_outstanding: Vec::new(),
        })
    }
}
