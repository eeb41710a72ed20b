//! Who is due a notice and has no receipt yet: the sender's view of what is planned.
//!
//! It may be a moment old, and other workers claim from the same set. That does no harm: a claim is
//! the store's to give, so whatever is too old here only costs a question.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use countermand_core::id::{OrderId, PersonId};
use countermand_core::notice::channel::Lane;
use countermand_core::notice::plan::{self, Due};
use countermand_core::notice::{Key, Kind};
use jiff::{SignedDuration, Timestamp};
use roaring::RoaringBitmap;
use tokio::time::Instant;

use super::compose::Desk;
use super::throttle::{Parked, Plan};
use crate::store::{Claim, Result, Turned, Wanted};

/// Surveys while there is work at hand; without any it may look again sooner.
const BETWEEN: Duration = Duration::from_millis(500);
const AT_LEAST_BETWEEN: Duration = Duration::from_millis(100);
/// Time alone makes notices due.
const TIME_PASSED: SignedDuration = SignedDuration::from_secs(1);
/// How many people with numbers side by side are claimed for side by side.
const NEIGHBOURS: u32 = 64;
/// A door may report a refusal a moment after the retraction.
const REFUSED_AGAIN: SignedDuration = SignedDuration::from_secs(5);

#[derive(Debug)]
pub struct Survey {
    desk: Arc<Desk>,
    /// Whose notices are its business.
    lane: Lane,
    /// Channels that this server has not.
    lacks: Vec<PersonId>,
    /// Makes workers begin at different people, so that they seldom ask for the same.
    salt: u64,
    /// Most urgent first.
    tasks: Vec<Task>,
    begun: HashMap<(OrderId, Kind), Begun>,
    corrections: HashMap<OrderId, Corrections>,
    /// Of the office, and when: what the tasks show.
    taken: Option<(i64, Timestamp, Instant)>,
    /// How long that took.
    took: Duration,
    /// Something was not as the tasks had it.
    again: bool,
}

#[derive(Debug)]
struct Task {
    order: OrderId,
    kind: Kind,
    people: VecDeque<PersonId>,
    /// They wait for a limit.
    parked: Parked,
}

impl Task {
    /// Whether these are the people that it waits to claim for.
    fn is_of(&self, people: &RoaringBitmap) -> bool {
        self.people.len() as u64 == people.len()
            && self.people.iter().all(|person| people.contains(person.0))
    }
}

/// Who needs no claim any more.
#[derive(Debug)]
struct Begun {
    people: RoaringBitmap,
    /// To be read anew.
    stale: bool,
}

/// Whom a retraction is to tell: fixed at its commit, but for late reports of doors.
#[derive(Debug)]
struct Corrections {
    people: RoaringBitmap,
    read: Timestamp,
}

impl Survey {
    pub fn new(desk: Arc<Desk>, worker: &str, lane: Lane) -> Self {
        // FNV-1a: any spread will do.
        let salt = worker
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        Survey {
            desk,
            lane,
            lacks: Vec::new(),
            salt,
            tasks: Vec::new(),
            begun: HashMap::new(),
            corrections: HashMap::new(),
            taken: None,
            took: Duration::ZERO,
            again: true,
        }
    }

    /// How many people wait for a claim.
    pub fn planned(&self) -> usize {
        let parked = |task: &Task| task.parked.values().map(VecDeque::len).sum::<usize>();
        self.tasks.iter().map(|t| t.people.len() + parked(t)).sum()
    }

    /// Channels whose retries are another server's business, as of the last look.
    pub fn lacks(&self) -> &[PersonId] {
        &self.lacks
    }

    pub fn wants_corrections(&self) -> bool {
        let mut corrections = self.tasks.iter().filter(|t| t.kind == Kind::Correction);
        corrections.any(|task| !task.people.is_empty())
    }

    /// Whether there is nothing to claim, as far as the office knows now.
    pub fn is_quiet(&self) -> bool {
        self.planned() == 0 && !self.again && !self.has_changed()
    }

    fn has_changed(&self) -> bool {
        self.taken.is_none_or(|(version, at, _)| {
            let passed = self.desk.clock.now().duration_since(at).abs();
            passed >= TIME_PASSED || version != self.desk.office.version()
        })
    }

    pub fn is_due(&self) -> bool {
        let Some((_, _, taken)) = self.taken else {
            return true;
        };
        let wait = if self.planned() > 0 {
            // Of very many people it takes longer, and then less often.
            BETWEEN.max(10 * self.took)
        } else {
            AT_LEAST_BETWEEN
        };
        let changed = self.has_changed();
        // No work at hand makes a correction wait (invariant 28).
        let retracted = changed && self.desk.office.retracted().len() != self.corrections.len();
        retracted || (taken.elapsed() >= wait && (self.again || changed))
    }

    pub fn is_retracted(&self, order: OrderId) -> bool {
        self.corrections.contains_key(&order)
    }

    /// Asks office and store anew. `held` are this worker's own claims.
    pub async fn take(&mut self, held: &[Claim]) -> Result<()> {
        let (desk, began) = (Arc::clone(&self.desk), Instant::now());
        let (version, now) = (desk.office.version(), desk.clock.now());
        self.lacks = desk.office.lacks();
        let mut due: Vec<(OrderId, Due)> = Vec::new();
        for order in desk.office.retracted() {
            let kind = Kind::Correction;
            let people = self.whom_to_correct(order, now).await?;
            due.push((order, Due { kind, people }));
        }
        for order in desk.office.standing(now) {
            if self.lane == Lane::Channels {
                let notice = desk.office.announcements(order, now);
                due.extend(notice.map(|due| (order, due)));
                continue;
            }
            let refused = desk.store.refused(order).await?;
            let notices = desk.office.due(order, &refused, now);
            due.extend(notices.into_iter().map(|due| (order, due)));
        }
        due.sort_by_key(|(_, due)| due.kind);
        let mut known = std::mem::take(&mut self.tasks);
        for (order, Due { kind, people }) in due {
            let people = match self.lane {
                Lane::People => people,
                Lane::Channels => {
                    people - self.lacks.iter().map(|no| no.0).collect::<RoaringBitmap>()
                }
            };
            // Retracted orders, most of which no channel ever heard of.
            if people.is_empty() {
                continue;
            }
            let missing = people - self.begun(order, kind, held).await?;
            if missing.is_empty() {
                continue;
            }
            let same = |task: &Task| task.order == order && task.kind == kind;
            let known = known.iter().position(same).map(|at| known.swap_remove(at));
            let people = match known {
                // Where nobody came or went, there is nothing to put in order.
                Some(task) if task.is_of(&missing) => task.people,
                _ => self.in_order(order, &missing),
            };
            self.tasks.push(Task {
                order,
                kind,
                people,
                parked: Parked::new(),
            });
        }
        self.taken = Some((version, now, Instant::now()));
        self.took = began.elapsed();
        self.again = false;
        Ok(())
    }

    /// In an order that favours no one, of which each worker begins elsewhere. Neighbours stay
    /// together, since their receipts lie together in the database.
    fn in_order(&self, order: OrderId, people: &RoaringBitmap) -> VecDeque<PersonId> {
        let block = |person: &u32| person / NEIGHBOURS;
        let people: Vec<u32> = people.iter().collect();
        let mut blocks: Vec<(u64, &[u32])> = people
            .chunk_by(|one, other| block(one) == block(other))
            .map(|all| {
                let first = all.first().map_or(0, block);
                (plan::rank(order, PersonId(first)) ^ self.salt, all)
            })
            .collect();
        blocks.sort_unstable_by_key(|(rank, _)| *rank);
        let sorted = blocks.into_iter().flat_map(|(_, all)| all);
        sorted.copied().map(PersonId).collect()
    }

    async fn whom_to_correct(&mut self, order: OrderId, now: Timestamp) -> Result<RoaringBitmap> {
        let store = &self.desk.store;
        match self.corrections.get_mut(&order) {
            None => {
                let people = store.to_correct_in(order, self.lane).await?;
                let kept = Corrections {
                    people: people.clone(),
                    read: now,
                };
                self.corrections.insert(order, kept);
                Ok(people)
            }
            Some(known) => {
                if now.duration_since(known.read).abs() >= REFUSED_AGAIN {
                    known.people |= self.lane.of(store.perhaps_refused(order).await?);
                    known.read = now;
                }
                Ok(known.people.clone())
            }
        }
    }

    /// Before the sender goes: whether a door refused somebody since it last looked.
    pub(super) async fn finds_late_refusals(&mut self) -> Result<bool> {
        let now = self.desk.clock.now();
        for (order, known) in &mut self.corrections {
            let refused = self.desk.store.perhaps_refused(*order).await?;
            let people = self.lane.of(refused);
            known.read = now;
            self.again |= !people.is_subset(&known.people);
            known.people |= people;
        }
        Ok(self.again)
    }

    async fn begun(
        &mut self,
        order: OrderId,
        kind: Kind,
        held: &[Claim],
    ) -> Result<&RoaringBitmap> {
        let begun = self.begun.entry((order, kind)).or_insert(Begun {
            people: RoaringBitmap::new(),
            stale: true,
        });
        if begun.stale {
            // Bare claims of other workers are left out: they may be undone without our hearing.
            let mut people = self
                .desk
                .store
                .receipted_for_good(order, kind, self.lane)
                .await?;
            let own = held
                .iter()
                .filter(|c| c.key.order == order && c.key.kind == kind);
            people.extend(own.map(|claim| claim.key.person.0));
            *begun = Begun {
                people,
                stale: false,
            };
        }
        Ok(&begun.people)
    }

    /// The next `room` people to claim for.
    pub fn offer(&mut self, room: usize) -> Vec<Wanted> {
        self.offer_by(room, None)
    }

    /// The same, of those whom `plan` lets go.
    pub(super) fn offer_by(&mut self, room: usize, mut plan: Option<Plan<'_>>) -> Vec<Wanted> {
        let mut offer = Vec::new();
        let mut left = room;
        for task in &mut self.tasks {
            let may = match &mut plan {
                // No limit makes a correction wait (invariant 28).
                Some(plan) if task.kind != Kind::Correction => {
                    plan.bring_forward(&mut task.people, &mut task.parked, left)
                }
                _ => left,
            };
            let people: Vec<PersonId> = task.people.iter().take(may).copied().collect();
            left -= people.len();
            if !people.is_empty() {
                offer.push(Wanted {
                    order: task.order,
                    kind: task.kind,
                    people,
                });
            }
        }
        offer
    }

    /// What became of an offer with room for `limit` claims.
    pub fn heard(&mut self, offer: &[Wanted], turned: &Turned, limit: usize) {
        let claimed: BTreeSet<Key> = turned.claimed.iter().map(|claim| claim.key).collect();
        let taken: BTreeSet<Key> = turned.taken.iter().copied().collect();
        // Where room was left, everybody was asked for.
        let all_asked = turned.claimed.len() < limit;
        for wanted in offer {
            let (order, kind) = (wanted.order, wanted.kind);
            let tasks = &mut self.tasks;
            let task = tasks
                .iter_mut()
                .find(|t| t.order == order && t.kind == kind);
            let (Some(task), Some(begun)) = (task, self.begun.get_mut(&(order, kind))) else {
                continue;
            };
            task.people
                .drain(..wanted.people.len().min(task.people.len()));
            let (mut answered, mut unasked) = (false, Vec::new());
            for person in &wanted.people {
                let key = Key {
                    order,
                    person: *person,
                    kind,
                };
                if claimed.contains(&key) {
                    begun.people.insert(person.0);
                    answered = true;
                } else if taken.contains(&key) || all_asked {
                    answered |= taken.contains(&key);
                    begun.stale = true;
                    self.again = true;
                } else {
                    unasked.push(*person);
                }
            }
            unasked
                .into_iter()
                .rev()
                .for_each(|person| task.people.push_front(person));
            // The order's state allows it no more: the office will say so in a moment. A correction
            // may only have to wait for an earlier notice to the same person.
            if all_asked && !answered && kind != Kind::Correction {
                task.people.clear();
                task.parked.clear();
            }
        }
    }

    /// A claim was not begun, or given back: the person is planned again.
    pub fn gave_back(&mut self, key: &Key) {
        if let Some(begun) = self.begun.get_mut(&(key.order, key.kind)) {
            begun.people.remove(key.person.0);
            begun.stale = true;
        }
        self.again = true;
    }
}
