//! After a retraction: what the relay still has of the order's notices is not to be delivered.

use std::collections::BTreeSet;
use std::time::Duration;

use countermand_core::actor::Actor;
use countermand_core::change::{Change, Purge};
use countermand_core::id::OrderId;
use countermand_core::words::thousands;
use jiff::SignedDuration;

use super::{App, Result};
use crate::outbox::purge;

/// Longer than this no Postfix keeps a mail, unless its `maximal_queue_lifetime` says otherwise.
const QUEUED_AT_MOST: SignedDuration = SignedDuration::from_hours(5 * 24);
/// What was in flight at the retraction settles within seconds.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
const AFTER_FAILURE: Duration = Duration::from_secs(5);

impl App {
    /// Asks for what has to be asked for after each retraction, whoever retracted, for ever. It holds up
    /// neither retractions nor corrections: those happen whether or not this runs.
    pub async fn keep_purging(self) {
        if self.config.notices.smtp.purge.is_empty() {
            return;
        }
        let mut changed = self.live.subscribe();
        let mut finished = BTreeSet::new();
        loop {
            let mut again = None;
            for order in self.lately_retracted() {
                if finished.contains(&order) {
                    continue;
                }
                match self.purge(order).await {
                    Ok(true) => {
                        finished.insert(order);
                    }
                    Ok(false) => again = again.max(Some(AGAIN_AFTER)),
                    Err(error) => {
                        again = Some(AFTER_FAILURE);
                        tracing::warn!(%order, "queued notices are not purged yet: {error}");
                    }
                }
            }
            if let Some(wait) = again {
                tokio::time::sleep(wait).await;
            } else if changed.changed().await.is_err() {
                return;
            }
        }
    }

    fn lately_retracted(&self) -> Vec<OrderId> {
        let now = self.now();
        let view = self.live.view();
        let lately = |at| now.duration_since(at) <= QUEUED_AT_MOST;
        let of = view
            .orders()
            .filter(|o| o.retraction().is_some_and(|r| lately(r.at)));
        of.map(|o| o.id).collect()
    }

    /// Asks for each mail of the order's notices that the relay took in the last days, and writes down
    /// how that ended. Whether there can be no more. A crash in between repeats the question, which does
    /// no harm: a mail that is gone is not found.
    pub async fn purge(&self, order: OrderId) -> Result<bool> {
        let command = &self.config.notices.smtp.purge;
        let since = self.now().checked_sub(QUEUED_AT_MOST).unwrap_or_default();
        let found = self.store.purgeable(order, since).await?;
        let ids: Vec<&str> = found
            .answers
            .iter()
            .filter_map(|a| purge::queue_id(a))
            .collect();
        if command.is_empty() || ids.is_empty() {
            return Ok(found.is_all);
        }
        let ended = purge::run(command, &ids).await;
        let asked = ids.len() as u64;
        let how = match ended.status {
            Some(0) => "done".to_owned(),
            Some(status) => format!("it ended with status {status}"),
            None => "it failed".to_owned(),
        };
        if ended.status != Some(0) {
            tracing::warn!(%order, asked, status = ended.status, "purging queued notices: {how}: {}", ended.words);
        }
        let mut words = format!(
            "the relay was asked to drop {} of its queued mails: {how}",
            thousands(asked)
        );
        if !ended.words.is_empty() {
            words.push_str(&format!(" ({})", ended.words));
        }
        let purge = Purge {
            order,
            asked,
            through: found.through,
            status: ended.status,
            words,
        };
        let actor = Actor::System("outbox".to_owned());
        self.commit(&actor, Change::Purge(purge)).await?;
        Ok(found.is_all)
    }
}
