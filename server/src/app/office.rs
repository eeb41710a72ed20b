//! What the outbox asks of orders and people, answered from the live index.

use countermand_core::id::{OrderId, PersonId};
use countermand_core::notice::channel::Channels;
use countermand_core::notice::plan::{self, Due};
use countermand_core::notice::{Key, Kind, mark};
use countermand_core::order::{Order, State};
use jiff::Timestamp;
use roaring::RoaringBitmap;

use super::App;
use crate::outbox::office::{Announcement, Asked, Brief, Letter, Mark, Office};

impl Office for App {
    fn version(&self) -> i64 {
        self.live.version()
    }

    fn standing(&self, now: Timestamp) -> Vec<OrderId> {
        let view = self.live.view();
        let sends = |o: &&Order| {
            matches!(o.state, State::Published(_))
                && o.stop().is_none()
                && o.in_force(now).is_some()
        };
        view.orders().filter(sends).map(|o| o.id).collect()
    }

    fn due(&self, order: OrderId, refused: &RoaringBitmap, now: Timestamp) -> Vec<Due> {
        plan::due(&self.live.view(), order, refused, now)
    }

    fn announcements(&self, order: OrderId, now: Timestamp) -> Option<Due> {
        plan::announcements(&self.live.view(), order, now)
    }

    fn lacks(&self) -> Vec<PersonId> {
        let view = self.live.view();
        let all: Channels = view.orders().flat_map(|o| o.channels.clone()).collect();
        let lacks = all.iter().filter(|(name, _)| !self.has_channel(name));
        lacks.map(|(_, no)| PersonId::channel(*no)).collect()
    }

    fn too_late(&self, key: &Key) -> Option<&'static str> {
        too_late(self.live.view().order(key.order)?, key.kind, self.now())
    }

    fn retracted(&self) -> Vec<OrderId> {
        self.live
            .view()
            .orders()
            .filter(|o| o.retraction().is_some())
            .map(|o| o.id)
            .collect()
    }

    fn stop_if_needed(&self, order: OrderId) -> Asked<'_> {
        Box::pin(async move { App::stop_if_needed(self, order).await.map(drop) })
    }

    fn domain(&self, person: PersonId) -> Option<String> {
        let view = self.live.view();
        let (_, domain) = view.person(person)?.email.rsplit_once('@')?;
        Some(domain.to_owned())
    }

    fn mark(&self, key: &Key, attempt: u32) -> Option<Mark> {
        let notices = &self.config.notices;
        if !notices.bounces.is_on() {
            return None;
        }
        let text = mark::write(key, attempt, &self.seal);
        Some(Mark {
            envelope_from: notices.bounces.envelope(&notices.from, &text)?,
            text,
        })
    }

    fn knows(&self, key: &Key) -> bool {
        let view = self.live.view();
        view.order(key.order).is_some_and(|order| {
            let fits = key.kind != Kind::Correction || order.retraction().is_some();
            let recipient = match key.person.is_channel() {
                true => order.channel(key.person).is_some(),
                false => view.person(key.person).is_some(),
            };
            fits && recipient
        })
    }

    fn write(&self, brief: &Brief) -> Result<Letter, String> {
        let view = self.live.view();
        let order = view
            .order(brief.key.order)
            .ok_or("the order is not known here")?;
        let person = view
            .person(brief.key.person)
            .ok_or("the person is not known here")?;
        let mail = self
            .sealed_letter(&view, order, person, brief)
            .map_err(|e| e.to_string())?;
        Ok(Letter {
            to_name: person.name.clone(),
            to_address: person.email.clone(),
            subject: mail.subject,
            text: mail.text,
            html: mail.html,
            language: mail.language,
        })
    }

    fn announce(&self, brief: &Brief) -> Result<Announcement, String> {
        self.announcement(brief)
    }
}

/// A notice that waited for a retry may have outlived what it is about.
fn too_late(order: &Order, kind: Kind, now: Timestamp) -> Option<&'static str> {
    if kind == Kind::Correction {
        return None;
    }
    match order.in_force(now) {
        None => Some("the order has ended before this could be sent"),
        Some(published) if matches!(kind, Kind::Reminder(_)) && published.comply_by.at() <= now => {
            Some("the deadline has passed before this could be sent")
        }
        Some(_) => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use countermand_core::order::{Approval, OrderFile, Pins, Revision};

    use super::*;

    const ORDER: &str = include_str!("../../../docs/example-order.toml");

    #[test]
    fn inv_31_what_waited_for_a_retry_ends_with_its_order_and_its_deadline() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let text = format!("expires = \"2020-07-20\"\n{ORDER}");
        let file = OrderFile::parse(&text).unwrap();
        let noon = at("2020-07-10T19:00:00Z");
        let revision = Revision::new(1, "ana", noon, &text, file, Pins::default());
        let approval = Approval {
            by: "ben".to_owned(),
            at: noon,
            digest: String::new(),
            audience: Default::default(),
        };
        let order = Order::draft(OrderId(uuid::Uuid::nil()), revision)
            .submit("ana", noon)
            .and_then(|o| o.approve(approval, &BTreeSet::new()))
            .and_then(|o| o.publish("ana", noon))
            .unwrap();
        let (before, after, ended) = (
            at("2020-07-11T06:58:00Z"),
            at("2020-07-11T06:59:00Z"),
            at("2020-07-20T00:00:00Z"),
        );
        let is_late = |kind, now| too_late(&order, kind, now).is_some();
        assert!(!is_late(Kind::Reminder(1), before));
        assert!(is_late(Kind::Reminder(1), after));
        assert!(!is_late(Kind::Order, after) && !is_late(Kind::Blocked, after));
        assert!(is_late(Kind::Order, ended) && is_late(Kind::Blocked, ended));
        assert!(
            !is_late(Kind::Correction, ended),
            "a correction is never too late"
        );
    }
}
