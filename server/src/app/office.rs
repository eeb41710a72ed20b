//! What the outbox asks of orders and people, answered from the live index.

use countermand_core::id::OrderId;
use countermand_core::notice::plan::{self, Due};
use countermand_core::order::State;
use jiff::Timestamp;
use roaring::RoaringBitmap;

use super::App;
use crate::outbox::office::{Brief, Letter, Office};

impl Office for App {
    fn version(&self) -> i64 {
        self.live.version()
    }

    fn standing(&self, now: Timestamp) -> Vec<OrderId> {
        let view = self.live.view();
        let sends = |o: &&countermand_core::order::Order| {
            matches!(o.state, State::Published(_)) && o.in_force(now).is_some()
        };
        view.orders().filter(sends).map(|o| o.id).collect()
    }

    fn due(&self, order: OrderId, refused: &RoaringBitmap, now: Timestamp) -> Vec<Due> {
        plan::due(&self.live.view(), order, refused, now)
    }

    fn retracted(&self) -> Vec<OrderId> {
        self.live
            .view()
            .orders()
            .filter(|o| o.retraction().is_some())
            .map(|o| o.id)
            .collect()
    }

    fn write(&self, brief: &Brief) -> Result<Letter, String> {
        let (order, to_name, to_address) = {
            let view = self.live.view();
            let order = view
                .order(brief.key.order)
                .ok_or("the order is not known here")?
                .clone();
            let person = view
                .person(brief.key.person)
                .ok_or("the person is not known here")?;
            (order, person.name.clone(), person.email.clone())
        };
        let mail = self
            .letter(&order, brief.key.person, brief.key.kind, brief.was_refused)
            .map_err(|e| e.to_string())?;
        Ok(Letter {
            to_name,
            to_address,
            subject: mail.subject,
            text: mail.text,
            html: mail.html,
        })
    }
}
