//! Receipts: the memory of what was sent, and the rules of who may send what.
//!
//! A worker works in turns. A turn is one transaction that settles what came back, moves claimed
//! receipts to `in flight` (if their order still allows it: invariant 22), and claims more. So the
//! state on disk is always ahead of the wire, at one commit a batch.

use std::collections::BTreeMap;

use countermand_core::id::{OrderId, PersonId};
use countermand_core::index::Fact;
use countermand_core::notice::{Counts, Key, Kind, ReceiptState};
use jiff::Timestamp;
use roaring::RoaringBitmap;
use sqlx::{AnyConnection, Row};

use super::follow::Touched;
use super::rows::{AT_ONCE, micros, one_of, parse, time, values};
use super::write::Write;
use super::{Result, Store};

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
    /// Says that the worker lives until `lease_until`.
    pub async fn renew_worker(&self, worker: &str, lease_until: Timestamp) -> Result<()> {
        let mut write = self.begin().await?;
        sqlx::query("INSERT INTO worker (name, lease_until) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET lease_until = excluded.lease_until")
            .bind(worker)
            .bind(micros(lease_until))
            .execute(write.db())
            .await?;
        write.finish().await?;
        Ok(())
    }

    /// Gives up what dead workers held: what was in flight is unknown (a correction waits to be sent
    /// again), what was only claimed is anyone's. Gives back how many were in flight.
    pub async fn bury_workers(&self, now: Timestamp) -> Result<u64> {
        let mut write = self.begin().await?;
        let dead: Vec<String> =
            // A worker that was buried alive may claim once more before it says that it lives.
            sqlx::query_scalar("SELECT name FROM worker WHERE lease_until < $1 UNION SELECT worker FROM receipt WHERE state IN ('claimed', 'in_flight') AND worker IS NOT NULL AND worker NOT IN (SELECT name FROM worker)")
                .bind(micros(now))
                .fetch_all(write.db())
                .await?;
        let mut unknown = 0;
        for name in dead {
            unknown += self.bury(&mut write, &name, now).await?;
        }
        write.finish().await?;
        Ok(unknown)
    }

    /// The same for one worker, which ends in peace: its lease need not run out.
    pub async fn retire_worker(&self, worker: &str, now: Timestamp) -> Result<()> {
        let mut write = self.begin().await?;
        self.bury(&mut write, worker, now).await?;
        write.finish().await?;
        Ok(())
    }

    async fn bury(&self, write: &mut Write, worker: &str, now: Timestamp) -> Result<u64> {
        let (version, now) = (write.version, micros(now));
        let orders: Vec<String> = sqlx::query_scalar(
            "SELECT DISTINCT order_id FROM receipt WHERE worker = $1 AND state = 'in_flight'",
        )
        .bind(worker)
        .fetch_all(write.db())
        .await?;
        let settled = sqlx::query("UPDATE receipt SET state = 'unknown', worker = NULL, fence = $2, settled_at = $3, settled_version = $2, detail = 'the sender ended before the relay answered' WHERE worker = $1 AND state = 'in_flight' AND kind <> 'correction'")
            .bind(worker)
            .bind(version)
            .bind(now)
            .execute(write.db())
            .await?;
        sqlx::query("UPDATE receipt SET state = 'claimed', worker = NULL, fence = $2, attempt = attempt + 1, not_before = $3 WHERE worker = $1 AND state = 'in_flight'")
            .bind(worker)
            .bind(version)
            .bind(now)
            .execute(write.db())
            .await?;
        // What was claimed and never begun is planned again.
        sqlx::query("DELETE FROM receipt WHERE worker = $1 AND state = 'claimed' AND attempt = 0")
            .bind(worker)
            .execute(write.db())
            .await?;
        sqlx::query(
            "UPDATE receipt SET worker = NULL, fence = $2 WHERE worker = $1 AND state = 'claimed'",
        )
        .bind(worker)
        .bind(version)
        .execute(write.db())
        .await?;
        sqlx::query("DELETE FROM worker WHERE name = $1")
            .bind(worker)
            .execute(write.db())
            .await?;
        for order in orders {
            write.touch(Touched::Receipts(parse(&order)?));
        }
        Ok(settled.rows_affected())
    }

    pub async fn turn(&self, worker: &str, turn: &Turn, now: Timestamp) -> Result<Turned> {
        let mut write = self.begin().await?;
        let mut turned = Turned::default();
        self.settle(&mut write, worker, &turn.settle, now).await?;
        let mut states = BTreeMap::new();
        for claim in &turn.start {
            if start(&mut write, worker, claim, now, &mut states).await? {
                turned.started.push(*claim);
            }
        }
        // Corrections ahead of all else (invariant 28); in each half, retries before what is new, so
        // that no long batch makes them late.
        for corrections in [true, false] {
            let room = turn.limit.saturating_sub(turned.claimed.len());
            if room > 0 {
                claim_retries(&mut write, worker, now, corrections, room, &mut turned).await?;
            }
            let of_half = |w: &&Wanted| (w.kind == Kind::Correction) == corrections;
            for wanted in turn.claim.iter().filter(of_half) {
                let room = turn.limit.saturating_sub(turned.claimed.len());
                if room > 0
                    && !wanted.people.is_empty()
                    && may_begin(&mut write, wanted.order, wanted.kind, &mut states).await?
                {
                    claim_new(&mut write, worker, wanted, room, &mut turned).await?;
                }
            }
        }
        write.finish().await?;
        Ok(turned)
    }

    async fn settle(
        &self,
        write: &mut Write,
        worker: &str,
        settled: &[Settled],
        now: Timestamp,
    ) -> Result<()> {
        let mut told: BTreeMap<OrderId, Vec<PersonId>> = BTreeMap::new();
        for one in settled {
            let key = one.claim.key;
            let correction = key.kind == Kind::Correction;
            let (state, not_before) = match &one.outcome {
                Outcome::Accepted => (ReceiptState::Accepted, None),
                Outcome::Rejected => (ReceiptState::Rejected, None),
                Outcome::Unknown { not_before } if correction => {
                    (ReceiptState::Claimed, Some(*not_before))
                }
                Outcome::Unknown { .. } => (ReceiptState::Unknown, None),
                Outcome::Deferred { not_before } => {
                    // An attempt that failed after its order was retracted is not repeated; it was
                    // in flight at that commit, so its person is corrected all the same.
                    let retracted = !correction
                        && state_of(write.db(), key.order).await?.as_deref() == Some("retracted");
                    if retracted {
                        (ReceiptState::Cancelled, None)
                    } else {
                        (ReceiptState::Claimed, Some(*not_before))
                    }
                }
            };
            let version = write.version;
            let waits = state == ReceiptState::Claimed;
            let forget_flight = waits && !matches!(one.outcome, Outcome::Unknown { .. });
            let done = sqlx::query("UPDATE receipt SET state = $6, worker = NULL, detail = $7, settled_at = $8, settled_version = $9, not_before = $10, attempt = attempt + $11, in_flight_at = CASE WHEN $12 = 1 THEN NULL ELSE in_flight_at END WHERE order_id = $1 AND person = $2 AND kind = $3 AND fence = $4 AND worker = $5 AND state = 'in_flight'")
                .bind(key.order.to_string())
                .bind(i64::from(key.person.0))
                .bind(key.kind.to_string())
                .bind(one.claim.fence)
                .bind(worker)
                .bind(state.as_str())
                .bind(&one.detail)
                .bind((!waits).then(|| micros(now)))
                .bind((!waits).then_some(version))
                .bind(not_before.map_or(0, micros))
                .bind(i64::from(waits))
                .bind(i64::from(forget_flight))
                .execute(write.db())
                .await?;
            if done.rows_affected() == 1 && state == ReceiptState::Accepted && !correction {
                told.entry(key.order).or_default().push(key.person);
            }
        }
        for (order, people) in told {
            write.touch(Touched::Told { order, people });
        }
        let orders: std::collections::BTreeSet<OrderId> =
            settled.iter().map(|s| s.claim.key.order).collect();
        for order in orders {
            write.touch(Touched::Receipts(order));
        }
        Ok(())
    }

    /// Receipts of an order by state: of its notices, and of its corrections. `planned` is left at 0.
    pub async fn receipt_counts(&self, order: OrderId) -> Result<(Counts, Counts)> {
        counts(&mut *self.readers.acquire().await?, order).await
    }

    /// Who has a receipt of that kind, whatever its state.
    pub async fn receipted(&self, order: OrderId, kind: Kind) -> Result<RoaringBitmap> {
        let people: Vec<i64> =
            sqlx::query_scalar("SELECT person FROM receipt WHERE order_id = $1 AND kind = $2")
                .bind(order.to_string())
                .bind(kind.to_string())
                .fetch_all(&self.readers)
                .await?;
        Ok(people.into_iter().map(|p| p as u32).collect())
    }

    /// The same without bare claims, which a hold or a worker's end undoes: who is in this set stays
    /// in it.
    pub async fn receipted_for_good(&self, order: OrderId, kind: Kind) -> Result<RoaringBitmap> {
        let people: Vec<i64> = sqlx::query_scalar("SELECT person FROM receipt WHERE order_id = $1 AND kind = $2 AND (state <> 'claimed' OR attempt > 0)")
            .bind(order.to_string())
            .bind(kind.to_string())
            .fetch_all(&self.readers)
            .await?;
        Ok(people.into_iter().map(|p| p as u32).collect())
    }

    /// When the first of the receipts that wait for a retry may be claimed.
    pub async fn next_retry(&self) -> Result<Option<Timestamp>> {
        let at: Option<i64> = sqlx::query_scalar("SELECT CAST(MIN(r.not_before) AS BIGINT) FROM receipt r JOIN orders o ON o.id = r.order_id WHERE r.state = 'claimed' AND r.worker IS NULL AND o.state = CASE WHEN r.kind = 'correction' THEN 'retracted' ELSE 'published' END")
            .fetch_one(&self.readers)
            .await?;
        Ok(at.map(time))
    }

    /// Who is to get the correction of a retracted order (invariant 23): everyone to whom any notice
    /// of it was accepted, may have been, or was in flight when the retraction committed, and
    /// everyone refused at a door because of it.
    pub async fn to_correct(&self, order: OrderId) -> Result<RoaringBitmap> {
        to_correct(&mut *self.readers.acquire().await?, order).await
    }

    /// Who would get a correction if the order were retracted now.
    pub async fn would_correct(&self, order: OrderId) -> Result<RoaringBitmap> {
        let people: Vec<i64> = sqlx::query_scalar("SELECT person FROM receipt WHERE order_id = $1 AND kind <> 'correction' AND state IN ('accepted', 'unknown', 'in_flight') UNION SELECT person FROM refused WHERE order_id = $1")
            .bind(order.to_string())
            .fetch_all(&self.readers)
            .await?;
        Ok(people.into_iter().map(|p| p as u32).collect())
    }

    /// Every receipt of one person about one order, oldest kind first.
    pub async fn receipts_of(
        &self,
        order: OrderId,
        person: PersonId,
    ) -> Result<Vec<(Kind, ReceiptState)>> {
        let rows = sqlx::query("SELECT kind, state FROM receipt WHERE order_id = $1 AND person = $2 ORDER BY in_flight_at")
            .bind(order.to_string())
            .bind(i64::from(person.0))
            .fetch_all(&self.readers)
            .await?;
        rows.iter()
            .map(|row| Ok((parse(row.try_get("kind")?)?, state(row.try_get("state")?)?)))
            .collect()
    }

    /// Claimed, in flight or waiting for a retry: what keeps a sender from being idle.
    pub async fn unsettled(&self) -> Result<u64> {
        // A held order's retries wait for its resume, not for the sender.
        let n: i64 = sqlx::query_scalar("SELECT CAST(COUNT(*) AS BIGINT) FROM receipt r JOIN orders o ON o.id = r.order_id WHERE r.state IN ('claimed', 'in_flight') AND (r.state = 'in_flight' OR r.worker IS NOT NULL OR o.state <> 'held')")
            .fetch_one(&self.readers)
            .await?;
        Ok(n as u64)
    }
}

pub(super) async fn to_correct(db: &mut AnyConnection, order: OrderId) -> Result<RoaringBitmap> {
    let people: Vec<i64> = sqlx::query_scalar("SELECT r.person FROM receipt r JOIN orders o ON o.id = r.order_id WHERE r.order_id = $1 AND o.state = 'retracted' AND r.kind <> 'correction' AND r.in_flight_at IS NOT NULL AND NOT (r.state = 'rejected' AND r.settled_version < o.changed) UNION SELECT f.person FROM refused f JOIN orders p ON p.id = f.order_id WHERE f.order_id = $1 AND p.state = 'retracted'")
        .bind(order.to_string())
        .fetch_all(db)
        .await?;
    Ok(people.into_iter().map(|p| p as u32).collect())
}

pub(super) async fn counts(db: &mut AnyConnection, order: OrderId) -> Result<(Counts, Counts)> {
    let rows = sqlx::query("SELECT CASE WHEN kind = 'correction' THEN 1 ELSE 0 END AS correction, state, CAST(COUNT(*) AS BIGINT) AS n FROM receipt WHERE order_id = $1 GROUP BY 1, 2")
        .bind(order.to_string())
        .fetch_all(db)
        .await?;
    let (mut notices, mut corrections) = (Counts::default(), Counts::default());
    for row in &rows {
        let n: i64 = row.try_get("n")?;
        let correction = row
            .try_get::<i64, _>("correction")
            .or_else(|_| row.try_get::<i32, _>("correction").map(i64::from))?;
        let counts = if correction == 1 {
            &mut corrections
        } else {
            &mut notices
        };
        counts.add(state(row.try_get("state")?)?, n as u64);
    }
    Ok((notices, corrections))
}

pub(super) async fn load_told(
    db: &mut AnyConnection,
    of: Option<(OrderId, &Vec<PersonId>)>,
) -> Result<Vec<Fact>> {
    const TOLD: &str = "SELECT order_id, person, CAST(MIN(settled_at) AS BIGINT) AS at FROM receipt WHERE state = 'accepted' AND kind <> 'correction'";
    let mut rows = Vec::new();
    match of {
        None => {
            let sql = sqlx::AssertSqlSafe(format!("{TOLD} GROUP BY order_id, person"));
            rows = sqlx::query(sql).fetch_all(&mut *db).await?;
        }
        Some((order, people)) => {
            for chunk in people.chunks(AT_ONCE) {
                let sql = one_of(
                    &format!("{TOLD} AND order_id = $1 AND person IN"),
                    2,
                    chunk.len(),
                    "GROUP BY order_id, person",
                );
                let query = chunk
                    .iter()
                    .fold(sqlx::query(sql).bind(order.to_string()), |q, p| {
                        q.bind(i64::from(p.0))
                    });
                rows.extend(query.fetch_all(&mut *db).await?);
            }
        }
    }
    rows.iter()
        .map(|row| {
            Ok(Fact::Told {
                order: parse(row.try_get("order_id")?)?,
                person: PersonId(row.try_get::<i64, _>("person")? as u32),
                at: row.try_get::<Option<i64>, _>("at")?.map(time),
            })
        })
        .collect()
}

fn state(text: &str) -> Result<ReceiptState> {
    ReceiptState::ALL
        .into_iter()
        .find(|s| s.as_str() == text)
        .ok_or_else(|| super::StoreError::Unreadable(format!("a receipt is «{text}»")))
}

async fn state_of(db: &mut AnyConnection, order: OrderId) -> Result<Option<String>> {
    Ok(sqlx::query_scalar("SELECT state FROM orders WHERE id = $1")
        .bind(order.to_string())
        .fetch_optional(db)
        .await?)
}

/// Whether a notice of that kind may be begun: the order's while it is published, its correction once
/// it is retracted.
async fn may_begin(
    write: &mut Write,
    order: OrderId,
    kind: Kind,
    states: &mut BTreeMap<OrderId, String>,
) -> Result<bool> {
    if !states.contains_key(&order) {
        let state = state_of(write.db(), order).await?.unwrap_or_default();
        states.insert(order, state);
    }
    let needed = if kind == Kind::Correction {
        "retracted"
    } else {
        "published"
    };
    Ok(states.get(&order).is_some_and(|s| s == needed))
}

async fn start(
    write: &mut Write,
    worker: &str,
    claim: &Claim,
    now: Timestamp,
    states: &mut BTreeMap<OrderId, String>,
) -> Result<bool> {
    let key = claim.key;
    if !may_begin(write, key.order, key.kind, states).await? {
        // A hold gives the claim back: planned again, or waiting as before.
        sqlx::query("DELETE FROM receipt WHERE order_id = $1 AND person = $2 AND kind = $3 AND fence = $4 AND worker = $5 AND state = 'claimed' AND attempt = 0")
            .bind(key.order.to_string())
            .bind(i64::from(key.person.0))
            .bind(key.kind.to_string())
            .bind(claim.fence)
            .bind(worker)
            .execute(write.db())
            .await?;
        sqlx::query("UPDATE receipt SET worker = NULL WHERE order_id = $1 AND person = $2 AND kind = $3 AND fence = $4 AND worker = $5 AND state = 'claimed'")
            .bind(key.order.to_string())
            .bind(i64::from(key.person.0))
            .bind(key.kind.to_string())
            .bind(claim.fence)
            .bind(worker)
            .execute(write.db())
            .await?;
        return Ok(false);
    }
    let done = sqlx::query("UPDATE receipt SET state = 'in_flight', in_flight_at = $6 WHERE order_id = $1 AND person = $2 AND kind = $3 AND fence = $4 AND worker = $5 AND state = 'claimed'")
        .bind(key.order.to_string())
        .bind(i64::from(key.person.0))
        .bind(key.kind.to_string())
        .bind(claim.fence)
        .bind(worker)
        .bind(micros(now))
        .execute(write.db())
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Claims for people who have no receipt of that kind yet.
async fn claim_new(
    write: &mut Write,
    worker: &str,
    wanted: &Wanted,
    room: usize,
    turned: &mut Turned,
) -> Result<()> {
    let order = wanted.order.to_string();
    let version = write.version;
    let mut people: &[PersonId] = &wanted.people[..wanted.people.len().min(room)];
    let settled: Vec<PersonId>;
    if wanted.kind == Kind::Correction {
        // Starts only when every earlier attempt to that person is settled (invariant 24).
        let flying: Vec<i64> = sqlx::query_scalar("SELECT person FROM receipt WHERE order_id = $1 AND state = 'in_flight' AND kind <> 'correction'")
            .bind(&order)
            .fetch_all(write.db())
            .await?;
        settled = people
            .iter()
            .copied()
            .filter(|p| !flying.contains(&i64::from(p.0)))
            .collect();
        people = &settled;
    }
    for chunk in people.chunks(AT_ONCE) {
        let sql = values(
            "INSERT INTO receipt (order_id, person, kind, state, fence, worker, attempt, not_before, detail)",
            chunk.len(),
            9,
            "ON CONFLICT (order_id, person, kind) DO NOTHING RETURNING person",
        );
        let mut query = sqlx::query(sql);
        for person in chunk {
            query = query
                .bind(&order)
                .bind(i64::from(person.0))
                .bind(wanted.kind.to_string())
                .bind(ReceiptState::Claimed.as_str())
                .bind(version)
                .bind(worker)
                .bind(0_i64)
                .bind(0_i64)
                .bind("");
        }
        let mut got = RoaringBitmap::new();
        for row in query.fetch_all(write.db()).await? {
            got.insert(row.try_get::<i64, _>("person")? as u32);
        }
        for person in chunk {
            let key = Key {
                order: wanted.order,
                person: *person,
                kind: wanted.kind,
            };
            if got.contains(person.0) {
                turned.claimed.push(Claim {
                    key,
                    fence: version,
                    attempt: 0,
                });
            } else {
                turned.taken.push(key);
            }
        }
    }
    Ok(())
}

/// Claims receipts that wait for a retry, of orders whose state allows it.
async fn claim_retries(
    write: &mut Write,
    worker: &str,
    now: Timestamp,
    corrections: bool,
    room: usize,
    turned: &mut Turned,
) -> Result<()> {
    let version = write.version;
    let rows = sqlx::query("SELECT r.order_id, r.person, r.kind, r.attempt FROM receipt r JOIN orders o ON o.id = r.order_id WHERE r.state = 'claimed' AND r.worker IS NULL AND r.not_before <= $1 AND CASE WHEN r.kind = 'correction' THEN 1 ELSE 0 END = $2 AND o.state = $3 ORDER BY r.not_before LIMIT $4")
        .bind(micros(now))
        .bind(i64::from(corrections))
        .bind(if corrections { "retracted" } else { "published" })
        .bind(room as i64)
        .fetch_all(write.db())
        .await?;
    for row in &rows {
        let key = Key {
            order: parse(row.try_get("order_id")?)?,
            person: PersonId(row.try_get::<i64, _>("person")? as u32),
            kind: parse(row.try_get("kind")?)?,
        };
        sqlx::query("UPDATE receipt SET worker = $4, fence = $5 WHERE order_id = $1 AND person = $2 AND kind = $3 AND state = 'claimed' AND worker IS NULL")
            .bind(key.order.to_string())
            .bind(i64::from(key.person.0))
            .bind(key.kind.to_string())
            .bind(worker)
            .bind(version)
            .execute(write.db())
            .await?;
        turned.claimed.push(Claim {
            key,
            fence: version,
            attempt: row.try_get::<i64, _>("attempt")? as u32,
        });
    }
    Ok(())
}
