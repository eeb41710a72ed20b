//! What a sender that ends by itself leaves for later: notices that a responder, or time, lets go on.

use countermand_core::duration::Length;
use countermand_core::order::Order;

use super::{App, Result};

/// Notices of one order that nothing sends now.
#[derive(Clone, Debug)]
pub struct Waits {
    pub order: Order,
    pub why: Why,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Why {
    /// So many wait for the resume of a hold.
    Held(u64),
    /// They stopped by themselves.
    Stopped(u64),
    /// For the pause after the canary.
    Pause(u64, Length),
    /// Announcements, or their corrections, at channels that this server has not.
    NoChannel(Vec<String>),
}

impl App {
    /// Retries of a held order among them: its sender is idle all the same.
    pub async fn waits(&self) -> Result<Vec<Waits>> {
        let published = |order: &&Order| order.published().is_some();
        let orders: Vec<Order> = {
            let view = self.live.view();
            view.orders().filter(published).cloned().collect()
        };
        let mut all = Vec::new();
        for order in orders {
            let mut say = |why| {
                let order = order.clone();
                all.push(Waits { order, why });
            };
            if order.in_force(self.now()).is_some() {
                let (planned, due) = self.planned(&order).await?;
                let waiting = planned.saturating_sub(due);
                let stages = order.revision.file.stages.as_ref();
                if order.is_held() || order.stop().is_some() {
                    let retries = self.store.receipt_counts(order.id).await?.0.claimed;
                    match waiting + retries {
                        0 => {}
                        some if order.is_held() => say(Why::Held(some)),
                        some => say(Why::Stopped(some)),
                    }
                } else if let Some(stages) = stages.filter(|_| waiting > 0) {
                    say(Why::Pause(waiting, stages.pause));
                }
            }
            let at = self.at_channels(&order).await?;
            let left = at.into_iter().filter(|at| {
                // As it has not, what waits for a retry waits for another server, too.
                matches!(
                    at.correction.unwrap_or(at.announcement),
                    "planned" | "claimed"
                ) && !self.has_channel(&at.name)
            });
            let names: Vec<String> = left.map(|at| at.name).collect();
            if !names.is_empty() {
                say(Why::NoChannel(names));
            }
        }
        Ok(all)
    }
}
