//! Turns: the rules of who may send what.
//!
//! A worker works in turns. A turn is one transaction that settles what came back, moves claimed
//! receipts to `in flight` (if their order still allows it: invariant 22), and claims more. So the
//! state on disk is always ahead of the wire, at one commit a batch. What a turn does alike to many
//! receipts is one statement.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};

use countermand_core::id::{OrderId, PersonId};
use countermand_core::notice::channel::Lane;
use countermand_core::notice::{Key, Kind};
use jiff::Timestamp;

use super::claiming::{claim_new, claim_retries, claiming};
use super::receipts::waiting;
use super::rows::{AT_ONCE, micros, one_of, padded, values};
use super::settle::{expected, heard_settled, settling};
use super::together::{Statement, Together};
use super::write::Write;
use super::{Result, Store, bounces};
use crate::failpoint::{self, Moment};

/// A receipt that a worker holds. The fence is the version of the commit that gave it: whoever holds
/// an older one writes nothing (invariant 18).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claim {
    pub key: Key,
    pub fence: i64,
    /// How many attempts certainly or possibly failed before.
    pub attempt: u32,
}

/// What became of a message that was in flight.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    Accepted,
    /// For good.
    Rejected,
    /// It outlived what it is about and never left: nobody refused it.
    TooLate,
    /// Certainly not delivered; to be tried again from then on.
    Deferred {
        not_before: Timestamp,
    },
    /// Perhaps delivered. A correction is sent again from then on, nothing else is (invariant 17).
    Unknown {
        not_before: Timestamp,
    },
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settled {
    pub claim: Claim,
    pub outcome: Outcome,
    /// The relay's own words.
    pub detail: String,
}

/// People wanted for claims of one kind, in the order in which they are to be told.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub order: OrderId,
    pub kind: Kind,
    pub people: Vec<PersonId>,
}

/// One turn of a worker.
#[derive(Clone, Debug, Default)]
pub struct Turn {
    pub settle: Vec<Settled>,
    pub start: Vec<Claim>,
    pub claim: Vec<Wanted>,
    /// Claims at most this many.
    pub limit: usize,
    /// Whose retries it claims along with what is wanted.
    pub lane: Lane,
    /// But those of these channels, which this server has not: another's sender claims them.
    pub lacks: Vec<PersonId>,
    /// It has looked a moment ago, and no retry was due.
    pub no_retries: bool,
}

/// What a turn did.
#[derive(Clone, Debug, Default)]
pub struct Turned {
    /// Now in flight on disk: these, and no others, may be sent.
    pub started: Vec<Claim>,
    pub claimed: Vec<Claim>,
    /// Wanted people who have a receipt of that kind already.
    pub taken: Vec<Key>,
}

impl Store {
    pub async fn turn(&self, worker: &str, turn: &Turn, now: Timestamp) -> Result<Turned> {
        let mut write = self.begin_unraised().await?;
        let (mut turned, mut states) = (Turned::default(), States::default());
        let settling = settling(&mut write, &turn.settle, &mut states).await?;
        let starting = starting(&turn.start);
        let (claiming, wanted) = claiming(turn);
        // All that waits for no answer is one call, which the answers then confirm: each call wakes another thread.
        let mut together = Together::default();
        for part in &settling {
            together.add(part.statement(worker, now));
        }
        for part in &starting {
            together.add(part.statement(worker, now));
        }
        for part in &claiming {
            together.add(part.statement(worker));
        }
        let expected = expected(&turn.settle, &settling);
        if !expected.is_empty() {
            together.add(write.foretell(expected)?);
        }
        let mut counts = write.run(together).await?.into_iter();
        write.raise().await?;
        failpoint::pass(Moment::TurnHalf);
        let settled = settling.iter().zip(&mut counts);
        heard_settled(&mut write, &turn.settle, settled).await?;
        let started = starting.iter().zip(&mut counts);
        turned.started =
            heard_started(&mut write, worker, &turn.start, started, &mut states).await?;
        for (part, count) in claiming.iter().zip(&mut counts) {
            part.heard(&mut write, worker, count, &mut states, &mut turned)
                .await?;
        }
        // Corrections first (invariant 28); and what was tried before ahead of what is new, so that
        // a long list keeps no retry waiting.
        let most = if turn.no_retries { 0 } else { turn.limit };
        let waiting = waiting(&mut write, now, turn, most).await?;
        for corrections in [true, false] {
            let room = turn.limit.saturating_sub(turned.claimed.len());
            let retries = waiting
                .iter()
                .filter(|(key, _)| (key.kind == Kind::Correction) == corrections)
                .take(room);
            claim_retries(&mut write, worker, retries, &mut turned).await?;
            for wanted in &wanted {
                let room = turn.limit.saturating_sub(turned.claimed.len());
                if room > 0
                    && !wanted.people.is_empty()
                    && (wanted.kind == Kind::Correction) == corrections
                    && states
                        .may_begin(&mut write, wanted.order, wanted.kind)
                        .await?
                {
                    claim_new(&mut write, worker, wanted, room, &mut states, &mut turned).await?;
                }
            }
        }
        let (settles, starts, claims) = (
            !turn.settle.is_empty(),
            !turned.started.is_empty(),
            !turned.claimed.is_empty(),
        );
        let pass = |does: bool, moment| {
            if does {
                failpoint::pass(moment);
            }
        };
        pass(settles, Moment::SettleBeforeCommit);
        pass(starts, Moment::StartBeforeCommit);
        pass(claims, Moment::ClaimBeforeCommit);
        write.finish().await?;
        pass(settles, Moment::SettleCommitted);
        pass(starts, Moment::StartCommitted);
        pass(claims, Moment::ClaimCommitted);
        Ok(turned)
    }
}

/// Receipts that one statement can change: of one order and kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group {
    pub order: OrderId,
    pub kind: Kind,
}

impl Group {
    pub fn of(claim: &Claim) -> Self {
        Group {
            order: claim.key.order,
            kind: claim.key.kind,
        }
    }

    /// The state in which the order has to be for its notices of that kind to be begun.
    pub fn needed(self) -> &'static str {
        match self.kind {
            Kind::Correction => "retracted",
            _ => "published",
        }
    }
}

/// Whose receipt, and the fence under which it is held.
pub(super) type Held = (PersonId, i64);

/// Which of the people's receipts this very turn has marked. Nearly always the number tells: to have
/// every row returned wakes this thread once for each.
pub(super) async fn marked(
    write: &mut Write,
    group: Group,
    people: &[PersonId],
    (mark, value): (&str, &str),
) -> Result<Vec<Held>> {
    let sql = one_of(
        &format!(
            "SELECT person, fence FROM receipt WHERE order_id = $1 AND kind = $2 AND {mark} AND person IN"
        ),
        5,
        padded(people.len()),
        "",
    );
    let query = sqlx::query_as(sql)
        .bind(group.order.to_string())
        .bind(group.kind.to_string())
        .bind(write.version)
        .bind(value);
    let query = people.iter().fold(query, |q, p| q.bind(i64::from(p.0)));
    let query = (people.len()..padded(people.len())).fold(query, |q, _| q.bind(None::<i64>));
    let found: Vec<(i64, i64)> = query.fetch_all(write.db()).await?;
    let held = |(person, fence)| (PersonId(person as u32), fence);
    Ok(found.into_iter().map(held).collect())
}

/// The states of the orders that a turn meets, each asked for once.
#[derive(Default)]
pub(super) struct States(BTreeMap<OrderId, String>);

impl States {
    pub async fn of(&mut self, write: &mut Write, order: OrderId) -> Result<&str> {
        write.raise().await?;
        Ok(match self.0.entry(order) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let state: Option<String> =
                    sqlx::query_scalar("SELECT state FROM orders WHERE id = $1")
                        .bind(order.to_string())
                        .fetch_optional(write.db())
                        .await?;
                unknown.insert(state.unwrap_or_default())
            }
        })
    }

    /// Whether a notice of that kind may be begun: the order's while it is published and not stopped
    /// (see [`countermand_core::order::Order::row_state`]), its correction once it is retracted.
    pub async fn may_begin(
        &mut self,
        write: &mut Write,
        order: OrderId,
        kind: Kind,
    ) -> Result<bool> {
        Ok(self.of(write, order).await? == Group { order, kind }.needed())
    }

    /// What a statement found that needed it.
    pub fn found(&mut self, group: Group) {
        self.0.insert(group.order, group.needed().to_owned());
    }
}

/// People whose notices of one order and kind are begun, in one statement.
struct Starting {
    group: Group,
    people: Vec<Held>,
}

fn starting(claims: &[Claim]) -> Vec<Starting> {
    let mut groups: BTreeMap<Group, BTreeSet<Held>> = BTreeMap::new();
    for claim in claims {
        groups
            .entry(Group::of(claim))
            .or_default()
            .insert((claim.key.person, claim.fence));
    }
    let mut all = Vec::new();
    for (group, people) in groups {
        let people: Vec<Held> = people.into_iter().collect();
        all.extend(people.chunks(AT_ONCE).map(|people| Starting {
            group,
            people: people.to_vec(),
        }));
    }
    all
}

impl Starting {
    /// The version marks what this turn began, until it is settled in another.
    fn statement(&self, worker: &str, now: Timestamp) -> Statement {
        let begin = format!(
            "UPDATE receipt SET state = 'in_flight', in_flight_at = $4, settled_version = $5 WHERE EXISTS (SELECT 1 FROM orders WHERE id = $1 AND state = '{}') AND",
            self.group.needed()
        );
        let own = |statement: Statement| statement.number(micros(now)).version();
        held(worker, self.group, &self.people, &begin, (2, own))
    }

    /// Whose notices have begun, of `count`.
    async fn begun(
        &self,
        write: &mut Write,
        worker: &str,
        count: u64,
        states: &mut States,
    ) -> Result<Vec<Held>> {
        let (group, people) = (self.group, &self.people);
        if count == people.len() as u64 {
            // So the order's state need not be asked for by itself.
            states.found(group);
            return Ok(people.clone());
        }
        if states.may_begin(write, group.order, group.kind).await? {
            let whose: Vec<PersonId> = people.iter().map(|(person, _)| *person).collect();
            let mark = "settled_version = $3 AND state = 'in_flight' AND worker = $4";
            return marked(write, group, &whose, (mark, worker)).await;
        }
        // A hold or a stop gives the claim back: planned again, or waiting as before.
        let mut back = Together::default();
        let unseen = "DELETE FROM receipt WHERE attempt = 0 AND";
        back.add(held(worker, group, people, unseen, (0, |s| s)));
        let waiting = "UPDATE receipt SET worker = NULL WHERE";
        back.add(held(worker, group, people, waiting, (0, |s| s)));
        write.run(back).await?;
        Ok(Vec::new())
    }
}

async fn heard_started(
    write: &mut Write,
    worker: &str,
    claims: &[Claim],
    counts: impl Iterator<Item = (&Starting, u64)>,
    states: &mut States,
) -> Result<Vec<Claim>> {
    let mut started: BTreeSet<(Group, Held)> = BTreeSet::new();
    for (part, count) in counts {
        let began = part.begun(write, worker, count, states).await?;
        started.extend(began.into_iter().map(|held| (part.group, held)));
    }
    let begun = |c: &&Claim| started.remove(&(Group::of(c), (c.key.person, c.fence)));
    let begun: Vec<Claim> = claims.iter().filter(begun).copied().collect();
    // Nothing else is tried again after an attempt that may have arrived.
    let again = |c: &&Claim| c.key.kind == Kind::Correction && c.attempt > 0;
    let mut corrected: BTreeMap<OrderId, Vec<PersonId>> = BTreeMap::new();
    for Claim { key, .. } in begun.iter().filter(again) {
        corrected.entry(key.order).or_default().push(key.person);
    }
    for (order, people) in corrected {
        let (kind, which) = (Kind::Correction, bounces::BEGUN);
        bounces::forget(write, order, kind, &people, which).await?;
    }
    Ok(begun)
}

/// `sql` for those of the people's receipts that the worker holds under their fence and has not begun. It may have
/// values of its own, from `$4` on.
fn held(
    worker: &str,
    group: Group,
    people: &[Held],
    sql: &str,
    (count, own): (usize, impl Fn(Statement) -> Statement),
) -> Statement {
    let sql = values(
        &format!(
            "{sql} order_id = $1 AND kind = $2 AND worker = $3 AND state = 'claimed' AND (person, fence) IN ("
        ),
        4 + count,
        padded(people.len()),
        2,
        ")",
    );
    let statement = Statement::new(sql)
        .text(group.order.to_string())
        .text(group.kind.to_string())
        .text(worker);
    let mut statement = own(statement);
    for (person, fence) in people {
        statement.row(i64::from(person.0)).row(*fence);
    }
    for _ in people.len()..padded(people.len()) {
        statement.row(None).row(None);
    }
    statement
}
