//! Which notices are due, from the facts and the time.

use jiff::Timestamp;
use roaring::RoaringBitmap;
use sha2::{Digest, Sha256};

use super::Kind;
use crate::id::{OrderId, PersonId};
use crate::index::Index;
use crate::order::file::Stages;
use crate::order::{Order, Published, State};
use crate::scope;
use crate::words::counted;

/// Who is due which kind of notice. Those who have a receipt of that kind are among them.
#[derive(Clone, Debug, PartialEq)]
pub struct Due {
    pub kind: Kind,
    pub people: RoaringBitmap,
}

/// Notices of a standing order that are due at `at`; `refused` are those whom a door refused
/// because of it. A held, stopped, retracted or expired order has none; corrections follow from
/// receipts, so the store knows them.
pub fn due(index: &Index, id: OrderId, refused: &RoaringBitmap, at: Timestamp) -> Vec<Due> {
    let Some(order) = index.order(id) else {
        return Vec::new();
    };
    let State::Published(published) = &order.state else {
        return Vec::new();
    };
    if published.stopped.is_some() {
        return Vec::new();
    }
    let mut all = waiting(index, id, refused, at);
    let order_due = all.iter_mut().find(|due| due.kind == Kind::Order);
    if let Some(stages) = &order.revision.file.stages
        && let Some(due) = order_due
        && is_pausing(index, order, published, &due.people, at)
    {
        due.people = std::mem::take(&mut due.people)
            .into_iter()
            .filter(|p| in_canary(index, stages, id, PersonId(*p)))
            .collect();
    }
    all.retain(|due| !due.people.is_empty());
    all
}

/// The same, and what waits for a resume or for the pause after the canary: what a retraction cancels.
pub fn waiting(index: &Index, id: OrderId, refused: &RoaringBitmap, at: Timestamp) -> Vec<Due> {
    let Some(order) = index.order(id).filter(|o| o.in_force(at).is_some()) else {
        return Vec::new();
    };
    let mut all = vec![Due {
        kind: Kind::Blocked,
        people: refused.clone(),
    }];
    if let Some((kind, since)) = reminder_at(order, at) {
        let told_before = |p: &u32| {
            index
                .told(id, PersonId(*p))
                .is_some_and(|told| told < since)
        };
        let people = index.to_remind(id, at).into_iter().filter(told_before);
        all.push(Due {
            kind,
            people: people.collect(),
        });
    }
    all.push(Due {
        kind: Kind::Order,
        people: index.to_tell(id, at),
    });
    all.retain(|due| !due.people.is_empty());
    all
}

/// Counted too little to judge by: so few answers are taken for this many.
const ENOUGH: u64 = 20;

/// Why the order's notices are to stop now, if they are (invariant 14): so many people are told, so
/// many notices were rejected (hard bounces among them), and so many people said that it looks wrong.
/// What a responder let pass counts no more. More told never makes a stop.
pub fn should_stop(order: &Order, told: u64, rejected: u64, looks_wrong: u64) -> Option<String> {
    let State::Published(published) = &order.state else {
        return None;
    };
    let hold_at = order.revision.file.stages.as_ref()?.hold_at.as_ref()?;
    if published.stopped.is_some() {
        return None;
    }
    let passed = published.let_pass.as_ref();
    let since = if passed.is_some() {
        " since the last resume"
    } else {
        ""
    };
    if let Some(share) = hold_at.rejected {
        let new = rejected.saturating_sub(passed.map_or(0, |p| p.rejected));
        let enough = ENOUGH.min(published.approval.audience.0.len());
        let all = told.saturating_add(rejected).max(enough);
        if new > 0 && u128::from(new) * 10_000 > u128::from(all) * u128::from(share.0) {
            return Some(format!(
                "{} rejected{since}, and {} told in all: the notices stop above {share} rejected",
                counted(new, "notice was", "notices were"),
                counted(told, "person was", "people were"),
            ));
        }
    }
    if let Some(limit) = hold_at.looks_wrong {
        let new = looks_wrong.saturating_sub(passed.map_or(0, |p| p.looks_wrong));
        if new > 0 && new >= u64::from(limit) {
            return Some(format!(
                "{} said{since} that it looks wrong: the notices stop at {limit}",
                counted(new, "person has", "people have"),
            ));
        }
    }
    None
}

/// Channels at which a standing order is due to be announced at `at`: when everyone is told, and by its
/// notice alone. Reminders, and what a device met at a door, are one person's business.
pub fn announcements(index: &Index, id: OrderId, at: Timestamp) -> Option<Due> {
    let order = index.order(id).filter(|o| o.in_force(at).is_some())?;
    let State::Published(published) = &order.state else {
        return None;
    };
    if published.stopped.is_some() {
        return None;
    }
    let channels = order.channels.values();
    let people: RoaringBitmap = channels.map(|n| PersonId::channel(*n).0).collect();
    if people.is_empty() {
        return None;
    }
    let is_due = !is_pausing(index, order, published, &index.to_tell(id, at), at);
    is_due.then_some(Due {
        kind: Kind::Order,
        people,
    })
}

/// The reminder whose hour it is: from its own time to that of the next, or to the deadline.
pub fn reminder_at(order: &Order, at: Timestamp) -> Option<(Kind, Timestamp)> {
    let comply_by = order.standing()?.comply_by.at();
    if at >= comply_by {
        return None;
    }
    let remind = &order.revision.file.deadline.remind;
    remind
        .iter()
        .enumerate()
        .map(|(i, before)| (i, before.before(comply_by)))
        .filter(|(_, since)| *since <= at)
        .max_by_key(|(_, since)| *since)
        .and_then(|(i, since)| Some((Kind::Reminder(u8::try_from(i + 1).ok()?), since)))
}

/// Whether only the canary of the people `to_tell` is told yet. The pause after it counts from when the
/// first of it was told: a sender that was away until then has shown nothing. So an order of whose
/// canary nobody can be reached waits for a responder, and goes on after a resume.
fn is_pausing(
    index: &Index,
    order: &Order,
    published: &Published,
    to_tell: &RoaringBitmap,
    at: Timestamp,
) -> bool {
    let stages = order.revision.file.stages.as_ref();
    let Some(stages) = stages.filter(|s| s.has_canary()) else {
        return false;
    };
    let mut since = published
        .resumed_at
        .map_or(published.at, |at| at.max(published.at));
    // What stopped in the pause begins it anew: the rest of the first part has to go well first.
    if let Some(lifted) = &published.let_pass
        && let Some(stop) = &lifted.stop
        && stop.at < stages.pause.after(since)
    {
        since = since.max(lifted.at);
    }
    if at < stages.pause.after(since) {
        return true;
    }
    let was_resumed = published.resumed_at.is_some() || published.let_pass.is_some();
    !was_resumed
        && !index.anybody_told_by(order.id, stages.pause.before(at))
        && to_tell
            .iter()
            .any(|p| in_canary(index, stages, order.id, PersonId(p)))
}

/// Whether the person is told first: a function of order and person alone, so that no pause,
/// restart or other node changes it (invariant 12).
pub fn in_canary(index: &Index, stages: &Stages, order: OrderId, person: PersonId) -> bool {
    let by_share = stages
        .canary
        .is_some_and(|share| rank(order, person) % 10_000 < u64::from(share.0));
    by_share
        || index
            .person(person)
            .is_some_and(|p| scope::in_any(p, &stages.canary_groups))
}

/// A number for each person, different for each order, that favours no one.
pub fn rank(order: OrderId, person: PersonId) -> u64 {
    let mut hash = Sha256::new();
    hash.update(order.0.as_bytes());
    hash.update(person.0.to_be_bytes());
    hash.finalize()
        .iter()
        .take(8)
        .fold(0, |n, b| (n << 8) | u64::from(*b))
}
