//! Looking at orders.

use countermand_core::actor::{Act, Actor};
use countermand_core::index::Standing;
use countermand_core::notice::channel::Lane;
use countermand_core::notice::{Counts, Kind};
use countermand_core::order::Order;

use super::channels::AtChannel;
use super::{App, Result};

/// An order with how it stands now.
#[derive(Clone, Debug)]
pub struct Shown {
    pub order: Order,
    pub state: &'static str,
    pub notices: Counts,
    /// Of the planned notices, those that wait for nothing.
    pub due: u64,
    pub corrections: Counts,
    /// How many people said that it looks wrong.
    pub looks_wrong: u64,
    /// Apart from the counts, which are of people.
    pub channels: Vec<AtChannel>,
    pub standing: Standing,
}

impl App {
    pub async fn show(&self, actor: &Actor, id: &str) -> Result<Shown> {
        self.authorise(actor, Act::Read).await?;
        let order = self.store.order_called(id).await?.order;
        self.shown(order).await
    }

    pub async fn list(&self, actor: &Actor) -> Result<Vec<Order>> {
        self.authorise(actor, Act::Read).await?;
        Ok(self
            .store
            .orders()
            .await?
            .into_iter()
            .map(|o| o.order)
            .collect())
    }

    /// Without asking who asks: for what is public, and for what asked already.
    pub(crate) async fn shown(&self, order: Order) -> Result<Shown> {
        let (notices, corrections, due) = self.told(&order).await?;
        let at = self.now();
        let standing = self.live.view().standing(order.id, at);
        let looks_wrong = self.store.looks_wrong(order.id).await?;
        let channels = self.at_channels(&order).await?;
        Ok(Shown {
            state: order.state_name(at),
            order,
            notices,
            due,
            corrections,
            looks_wrong,
            channels,
            standing,
        })
    }

    /// How an order's notices and corrections stand, and how many of the planned wait for nothing.
    pub(crate) async fn told(&self, order: &Order) -> Result<(Counts, Counts, u64)> {
        let (mut notices, mut corrections) = self.store.receipt_counts(order.id).await?;
        let due;
        (notices.planned, due) = self.planned(order).await?;
        if order.retraction().is_some() {
            notices.cancelled += self.answer(order).await?.unclaimed;
            let people = Lane::People.of(self.store.to_correct(order.id).await?);
            corrections.planned =
                (people - self.store.receipted(order.id, Kind::Correction).await?).len();
        }
        Ok((notices, corrections, due))
    }
}
