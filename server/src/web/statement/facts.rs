//! What is known of an order as far as it is everybody's business: from the database, or from memory.

use std::time::Duration;

use countermand_core::audit::Entry;
use countermand_core::id::OrderId;
use countermand_core::order::Order;
use jiff::Timestamp;

use super::history::{Event, What, history};
use crate::web::Web;
use crate::web::console::order_zone;
use crate::web::errors::Fault;
use crate::web::pages::{Count, StatementState};

/// A reader in doubt waits no longer for the database than this.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// An order as far as it is everybody's business.
pub(super) struct Known {
    pub order: Order,
    pub told: u64,
    /// Oldest first.
    pub history: Vec<Event>,
    /// Every step of its life was read, so that the history has no gap.
    pub whole: bool,
    /// When this was true, where the database does not answer.
    pub as_of: Option<Timestamp>,
}

/// An order with its record as far as it was read, and whether that is all.
struct Read {
    order: Order,
    entries: Vec<Entry>,
    whole: bool,
}

/// What the database says; while it is away, what it said last, and when.
pub(super) async fn know(web: &Web, id: OrderId) -> Result<Known, Fault> {
    let store = &web.app.store;
    let asked = async {
        let order = store.order_called(&id.to_string()).await?.order;
        read(web, order).await
    };
    let (read, as_of) = match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(read)) => (read, None),
        Ok(Err(crate::store::StoreError::NotFound(_))) => return Err(unknown()),
        Ok(Err(error)) => remembered(web, id, &error.to_string())?,
        Err(_) => remembered(web, id, "the database did not answer in time")?,
    };
    known(web, read, as_of).ok_or_else(unknown)
}

/// The feed tells of so many orders: those to which something happened last.
pub(super) const NEWEST: usize = 50;

/// The same of the published orders to which something happened last, newest change first.
pub(super) async fn know_newest(web: &Web) -> Vec<Known> {
    let asked = async {
        let mut all = Vec::new();
        for stored in web.app.store.newest_published(NEWEST).await? {
            all.push(read(web, stored.order).await?);
        }
        Ok::<_, crate::store::StoreError>(all)
    };
    let failed = match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(all)) => {
            let known = all.into_iter().filter_map(|read| known(web, read, None));
            return newest_first(known.collect());
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the database did not answer in time".to_owned(),
    };
    let ids: Vec<OrderId> = web.app.live.view().orders().map(|o| o.id).collect();
    let all = ids
        .into_iter()
        .filter_map(|id| remembered(web, id, &failed).ok())
        .filter_map(|(read, as_of)| known(web, read, as_of));
    newest_first(all.collect())
}

fn newest_first(mut all: Vec<Known>) -> Vec<Known> {
    all.sort_by_key(|known| (std::cmp::Reverse(known.changed()), known.order.id));
    all.truncate(NEWEST);
    all
}

/// With its record; that of an order which stands as it stood when it was read last is not read again.
async fn read(web: &Web, order: Order) -> Result<Read, crate::store::StoreError> {
    let entries = match web.memory.history(&order) {
        Some((entries, true)) => entries,
        _ => web.app.store.life_of(order.id).await?,
    };
    if order.published().is_some() {
        web.memory.keep_history(&order, &entries);
    }
    Ok(Read {
        order,
        entries,
        whole: true,
    })
}

fn remembered(web: &Web, id: OrderId, why: &str) -> Result<(Read, Option<Timestamp>), Fault> {
    tracing::warn!(why, "a statement is answered from memory");
    let live = &web.app.live;
    let order = live.view().order(id).cloned().ok_or_else(unknown)?;
    let (entries, whole) = web.memory.history(&order).unwrap_or_default();
    let now = web.app.now();
    let age = jiff::SignedDuration::try_from(live.age(now)).unwrap_or_default();
    let read = Read {
        order,
        entries,
        whole,
    };
    Ok((read, Some(now.checked_sub(age).unwrap_or(now))))
}

/// A draft is nobody's business yet.
fn known(web: &Web, read: Read, as_of: Option<Timestamp>) -> Option<Known> {
    read.order.published()?;
    Some(Known {
        told: web.app.live.view().told_of(read.order.id),
        history: history(&read.order, &read.entries, web.app.now()),
        whole: read.whole,
        as_of,
        order: read.order,
    })
}

pub(super) fn unknown() -> Fault {
    Fault::new(
        axum::http::StatusCode::NOT_FOUND,
        "There is no statement at this address.",
        "Check the address. If a notice led you here, it is not genuine: don't follow it, and show it to your helpdesk.",
    )
}

pub(super) fn zone(order: &Order) -> String {
    order_zone(order).unwrap_or_else(|| "UTC".to_owned())
}

/// The name before the sender's address; it is what readers know the mails by.
pub(super) fn organisation(web: &Web) -> String {
    let from = &web.app.config.notices.from;
    let name = from
        .split('<')
        .next()
        .unwrap_or("")
        .trim()
        .trim_matches('"');
    if name.is_empty() { from } else { name }.to_owned()
}

/// Another's sentence, closed.
pub(super) fn ended(words: &str) -> String {
    let words = words.trim();
    if words.ends_with(['.', '!', '?']) {
        words.to_owned()
    } else {
        format!("{words}.")
    }
}

impl Known {
    pub fn state(&self, now: Timestamp) -> StatementState {
        if self.order.retraction().is_some() {
            StatementState::Retracted
        } else if self.order.has_expired(now) {
            StatementState::Expired
        } else if self.order.is_held() {
            StatementState::OnHold
        } else {
            StatementState::InForce
        }
    }

    /// Since when it stands as it stands.
    pub fn since(&self, now: Timestamp) -> Timestamp {
        let began: &[What] = match self.state(now) {
            StatementState::Retracted => &[What::Retracted],
            StatementState::Expired | StatementState::Superseded => &[What::Expired],
            StatementState::OnHold => &[What::Held],
            StatementState::InForce => &[What::Published, What::Resumed],
        };
        let mut events = self.history.iter().rev();
        let last = events.find(|event| began.contains(&event.what));
        last.map_or(self.order.created_at, |event| event.at)
    }

    pub fn changed(&self) -> Timestamp {
        self.history
            .last()
            .map_or(self.order.created_at, |event| event.at)
    }

    /// `10,988 people were told`
    pub fn told_in_words(&self) -> String {
        match self.told {
            0 => "Nobody is known to have got the order by mail".to_owned(),
            told => format!("{} told", Count(told).of("person was", "people were")),
        }
    }
}
