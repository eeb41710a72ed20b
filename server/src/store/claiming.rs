//! The part of a turn that claims receipts.

use std::collections::BTreeMap;

use countermand_core::id::PersonId;
use countermand_core::notice::{Key, Kind};
use roaring::RoaringBitmap;
use sqlx::AnyConnection;

use super::Result;
use super::rows::{AT_ONCE, one_of, padded, values};
use super::together::{Statement, Together};
use super::turns::{Claim, Group, States, Turn, Turned, Wanted, marked};
use super::write::Write;

/// People who have no receipt of that kind yet, as far as known, and are claimed for in one statement.
pub(super) struct Claiming {
    group: Group,
    people: Vec<PersonId>,
}

/// What can be claimed without asking first, and what is wanted besides. A correction waits for what is in flight, and
/// retries go ahead of what is new.
pub(super) fn claiming(turn: &Turn) -> (Vec<Claiming>, Vec<Wanted>) {
    let mut wanted = turn.claim.clone();
    let mut all = Vec::new();
    if !turn.no_retries || wanted.iter().any(|one| one.kind == Kind::Correction) {
        return (all, wanted);
    }
    let mut room = turn.limit;
    for one in &mut wanted {
        let later = one.people.split_off(room.min(one.people.len()));
        room -= one.people.len();
        all.extend(Claiming::of(one, RoaringBitmap::new(), usize::MAX));
        one.people = later;
    }
    (all, wanted)
}

impl Claiming {
    fn of(wanted: &Wanted, mut passed: RoaringBitmap, room: usize) -> Vec<Claiming> {
        let group = Group {
            order: wanted.order,
            kind: wanted.kind,
        };
        let people = wanted.people.iter().copied();
        let people: Vec<PersonId> = people.filter(|p| passed.insert(p.0)).take(room).collect();
        let claiming = |people: &[PersonId]| Claiming {
            group,
            people: people.to_vec(),
        };
        people.chunks(AT_ONCE).map(claiming).collect()
    }

    pub fn statement(&self, worker: &str) -> Statement {
        let sql = values(
            "WITH wanted (whom) AS (",
            5,
            padded(self.people.len()),
            1,
            // Without a WHERE, SQLite would take ON for the condition of a join.
            &format!(
                ") INSERT INTO receipt (order_id, kind, state, fence, worker, attempt, not_before, detail, person) SELECT $1, $2, 'claimed', $3, $4, 0, 0, '', whom FROM wanted WHERE whom IS NOT NULL AND EXISTS (SELECT 1 FROM orders WHERE id = $1 AND state = '{}') ON CONFLICT (order_id, person, kind) DO NOTHING",
                self.group.needed()
            ),
        );
        let mut claim = Statement::new(sql)
            .text(self.group.order.to_string())
            .text(self.group.kind.to_string())
            .version()
            .text(worker);
        for person in &self.people {
            claim.row(i64::from(person.0));
        }
        for _ in self.people.len()..padded(self.people.len()) {
            claim.row(None);
        }
        claim
    }

    /// Whose receipts it claimed, of `count`, and who has one.
    pub async fn heard(
        &self,
        write: &mut Write,
        worker: &str,
        count: u64,
        states: &mut States,
        turned: &mut Turned,
    ) -> Result<()> {
        let (group, people) = (self.group, &self.people);
        let got: RoaringBitmap = if count == people.len() as u64 {
            states.found(group);
            people.iter().map(|p| p.0).collect()
        } else if states.may_begin(write, group.order, group.kind).await? {
            // A retry that this turn claims has the same fence, and was tried before.
            let mark = ("fence = $3 AND worker = $4 AND attempt = 0", worker);
            let got = marked(write, group, people, mark).await?;
            got.into_iter().map(|(person, _)| person.0).collect()
        } else {
            return Ok(());
        };
        for person in people {
            let key = Key {
                order: group.order,
                person: *person,
                kind: group.kind,
            };
            if got.contains(person.0) {
                turned.claimed.push(Claim {
                    key,
                    fence: write.version,
                    attempt: 0,
                });
            } else {
                turned.taken.push(key);
            }
        }
        Ok(())
    }
}

/// Claims for people who have no receipt of that kind yet.
pub(super) async fn claim_new(
    write: &mut Write,
    worker: &str,
    wanted: &Wanted,
    room: usize,
    states: &mut States,
    turned: &mut Turned,
) -> Result<()> {
    // A correction starts only when every earlier attempt to that person is settled (invariant 24).
    let passed = match wanted.kind {
        Kind::Correction => in_flight(write.db(), &wanted.order.to_string()).await?,
        _ => RoaringBitmap::new(),
    };
    for part in Claiming::of(wanted, passed, room) {
        let mut one = Together::default();
        one.add(part.statement(worker));
        let count = write.run(one).await?.iter().sum();
        part.heard(write, worker, count, states, turned).await?;
    }
    Ok(())
}

/// Who has a notice of the order in flight. What is in flight has a worker, and an index by it.
async fn in_flight(db: &mut AnyConnection, order: &str) -> Result<RoaringBitmap> {
    let people: Vec<i64> = sqlx::query_scalar("SELECT person FROM receipt WHERE order_id = $1 AND worker IS NOT NULL AND state = 'in_flight' AND kind <> 'correction'")
        .bind(order)
        .fetch_all(db)
        .await?;
    Ok(people.into_iter().map(|p| p as u32).collect())
}

/// Takes up receipts that wait for another attempt.
pub(super) async fn claim_retries(
    write: &mut Write,
    worker: &str,
    retries: impl Iterator<Item = &(Key, u32)>,
    turned: &mut Turned,
) -> Result<()> {
    let fence = write.version;
    let mut groups: BTreeMap<Group, Vec<PersonId>> = BTreeMap::new();
    for (key, attempt) in retries {
        let claim = Claim {
            key: *key,
            fence,
            attempt: *attempt,
        };
        turned.claimed.push(claim);
        groups
            .entry(Group::of(&claim))
            .or_default()
            .push(key.person);
    }
    for (group, people) in groups {
        for chunk in people.chunks(AT_ONCE) {
            let sql = one_of(
                "UPDATE receipt SET worker = $3, fence = $4 WHERE order_id = $1 AND kind = $2 AND state = 'claimed' AND worker IS NULL AND person IN",
                5,
                chunk.len(),
                "",
            );
            let query = sqlx::query(sql)
                .bind(group.order.to_string())
                .bind(group.kind.to_string())
                .bind(worker)
                .bind(fence);
            let query = chunk.iter().fold(query, |q, p| q.bind(i64::from(p.0)));
            query.execute(write.db()).await?;
        }
    }
    Ok(())
}
