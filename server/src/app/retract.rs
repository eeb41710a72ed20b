//! Retraction: one act of one responder, waiting for nothing and nobody.

use countermand_core::actor::{Act, Actor};
use countermand_core::change::Change;
use countermand_core::fleet::fold;
use countermand_core::notice::Kind;
use countermand_core::notice::plan;
use countermand_core::order::{Order, RetractAnswer, Retraction};
use jiff::Timestamp;
use roaring::RoaringBitmap;

use super::{App, AppError, Result};
use crate::store::StoreError;

impl App {
    /// Takes an order back. Retracting again changes nothing and answers the same (invariant 30).
    pub async fn retract(&self, actor: &Actor, id: &str, reason: &str) -> Result<RetractAnswer> {
        self.authorise(actor, Act::Respond).await?;
        if reason.trim().is_empty() {
            return Err(AppError::Input(
                "a retraction needs a reason; it stands in every correction and on the statement"
                    .into(),
            ));
        }
        loop {
            let stored = self.store.order_called(id).await?;
            if let Some(retraction) = stored.order.retraction() {
                return Ok(retraction.answer.clone());
            }
            let at = self.now();
            let (planned, restored) = self.before_retraction(&stored.order, at);
            let retraction = Retraction {
                by: fold(actor.name()),
                at,
                reason: reason.trim().to_owned(),
                answer: RetractAnswer {
                    devices_restored: restored,
                    ..RetractAnswer::default()
                },
            };
            let order = stored.order.clone().retract(retraction)?;
            let change = Change::Retract {
                order: Box::new(order),
                was: stored.changed,
                planned,
            };
            match self.commit_at(actor, at, change).await {
                // Somebody was quicker: look again. Each round means that another change went through.
                Err(StoreError::Conflict) => {}
                Err(other) => return Err(other.into()),
                Ok(()) => {
                    let stored = self
                        .store
                        .order_called(&stored.order.id.to_string())
                        .await?;
                    return Ok(stored
                        .order
                        .retraction()
                        .map(|r| r.answer.clone())
                        .unwrap_or_default());
                }
            }
        }
    }

    /// Who was yet to get the order's notice, and how many devices only this order refuses.
    pub(super) fn before_retraction(&self, order: &Order, at: Timestamp) -> (RoaringBitmap, u64) {
        let view = self.live.view();
        // Held or not, paused or not: these notices were planned and will never be sent.
        let planned = if order.standing().is_some() && !order.has_expired(at) {
            view.to_tell(order.id, at)
        } else {
            RoaringBitmap::new()
        };
        (planned, view.standing(order.id, at).refused_by_this_alone)
    }

    /// What the retraction of an order would do now, for the page that asks for the confirmation.
    pub async fn preview_retraction(&self, order: &Order) -> Result<RetractAnswer> {
        let (planned, restored) = self.before_retraction(order, self.now());
        let (notices, _) = self.store.receipt_counts(order.id).await?;
        let told = self.store.receipted(order.id, Kind::Order).await?;
        let unclaimed = (planned - told).len();
        Ok(RetractAnswer {
            cancelled: unclaimed + notices.claimed,
            unclaimed,
            in_flight: notices.in_flight,
            accepted: notices.accepted,
            unknown: notices.unknown,
            corrections_planned: self.store.would_correct(order.id).await?.len(),
            devices_restored: restored,
            exports_outstanding: Vec::new(),
        })
    }

    /// Notices of a standing order that are due now and have no receipt yet.
    pub(super) async fn planned(&self, order: &Order) -> Result<u64> {
        let refused = self.store.refused(order.id).await?;
        let due = plan::due(&self.live.view(), order.id, &refused, self.now());
        let mut planned = 0;
        for one in due {
            planned += (one.people - self.store.receipted(order.id, one.kind).await?).len();
        }
        Ok(planned)
    }
}
