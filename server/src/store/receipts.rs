//! Receipts: the memory of what was sent. Written by workers in [`super::turns`], read here.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use countermand_core::id::{OrderId, PersonId};
use countermand_core::index::Fact;
use countermand_core::notice::channel::Lane;
use countermand_core::notice::{Counts, Key, Kind, ReceiptState};
use jiff::Timestamp;
use roaring::RoaringBitmap;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::rows::{AT_ONCE, micros, one_of, parse, time};
use super::turns::Turn;
use super::write::Write;
use super::{Result, Store};

impl Store {
    /// Receipts of an order's people by state: of its notices, and of its corrections. `planned` is left at 0.
    pub async fn receipt_counts(&self, order: OrderId) -> Result<(Counts, Counts)> {
        counts(&mut *self.readers.acquire().await?, order).await
    }

    /// Who has a receipt of that kind, whatever its state.
    pub async fn receipted(&self, order: OrderId, kind: Kind) -> Result<RoaringBitmap> {
        receipted(&mut *self.readers.acquire().await?, order, kind).await
    }

    /// The same without bare claims, which a hold or a worker's end undoes: who is in this set stays
    /// in it.
    pub async fn receipted_for_good(
        &self,
        order: OrderId,
        kind: Kind,
        lane: Lane,
    ) -> Result<RoaringBitmap> {
        let people: Option<String> = sqlx::query_scalar("SELECT string_agg(CAST(person AS TEXT), ' ') FROM receipt WHERE order_id = $1 AND kind = $2 AND (state <> 'claimed' OR attempt > 0) AND person BETWEEN $3 AND $4")
            .bind(order.to_string())
            .bind(kind.to_string())
            .bind(i64::from(*lane.numbers().start()))
            .bind(i64::from(*lane.numbers().end()))
            .fetch_one(&self.readers)
            .await?;
        whom(people)
    }

    /// When the first of a lane's receipts that wait for a retry may be claimed, but for `lacks`.
    pub async fn next_retry(&self, lane: Lane, lacks: &[PersonId]) -> Result<Option<Timestamp>> {
        let lacks = lane.among(lacks);
        let query = sqlx::query_scalar(but(NEXT_RETRY, 3, &lacks, ""))
            .bind(i64::from(*lane.numbers().start()))
            .bind(i64::from(*lane.numbers().end()));
        let query = lacks.iter().fold(query, |q, no| q.bind(i64::from(no.0)));
        let at: Option<i64> = query.fetch_one(&self.readers).await?;
        Ok(at.map(time))
    }

    /// Who is to get the correction of a retracted order (invariant 23): everyone to whom any notice
    /// of it was accepted, may have been, or was in flight when the retraction committed, and
    /// everyone refused at a door because of it.
    pub async fn to_correct(&self, order: OrderId) -> Result<RoaringBitmap> {
        to_correct(&mut *self.readers.acquire().await?, order, 0..=u32::MAX).await
    }

    /// Those of them that are of one lane.
    pub async fn to_correct_in(&self, order: OrderId, lane: Lane) -> Result<RoaringBitmap> {
        to_correct(&mut *self.readers.acquire().await?, order, lane.numbers()).await
    }

    /// Who would get a correction if the order were retracted now.
    pub async fn would_correct(&self, order: OrderId) -> Result<RoaringBitmap> {
        let people: Option<String> = sqlx::query_scalar("SELECT string_agg(CAST(person AS TEXT), ' ') FROM (SELECT person FROM receipt WHERE order_id = $1 AND kind <> 'correction' AND state IN ('accepted', 'unknown', 'in_flight') UNION ALL SELECT person FROM refused WHERE order_id = $1) whom")
            .bind(order.to_string())
            .fetch_one(&self.readers)
            .await?;
        whom(people)
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

    /// Claimed, in flight or waiting for a retry: what keeps a sender from being idle. A retry at one of
    /// `lacks` waits for another server's sender.
    pub async fn unsettled(&self, lacks: &[PersonId]) -> Result<u64> {
        // Retries of an order that is held or stopped wait for its resume, not for the sender.
        const SQL: &str = "SELECT CAST((SELECT COUNT(*) FROM receipt WHERE worker IS NOT NULL) + (SELECT COUNT(*) FROM orders o CROSS JOIN receipt r WHERE o.state NOT IN ('held', 'stopped') AND r.order_id = o.id AND r.state = 'claimed' AND r.worker IS NULL";
        let query = sqlx::query_scalar(but(SQL, 1, lacks, ") AS BIGINT)"));
        let query = lacks.iter().fold(query, |q, no| q.bind(i64::from(no.0)));
        let n: i64 = query.fetch_one(&self.readers).await?;
        Ok(n as u64)
    }
}

pub(super) async fn to_correct(
    db: &mut AnyConnection,
    order: OrderId,
    numbers: RangeInclusive<u32>,
) -> Result<RoaringBitmap> {
    let people: Option<String> = sqlx::query_scalar("SELECT string_agg(CAST(person AS TEXT), ' ') FROM (SELECT r.person FROM orders o CROSS JOIN receipt r WHERE o.id = $1 AND r.order_id = o.id AND o.state = 'retracted' AND r.person BETWEEN $2 AND $3 AND r.kind <> 'correction' AND r.in_flight_at IS NOT NULL AND NOT (r.state = 'rejected' AND r.settled_version < o.changed) UNION ALL SELECT f.person FROM orders p CROSS JOIN refused f WHERE p.id = $1 AND f.order_id = p.id AND f.person BETWEEN $2 AND $3 AND p.state = 'retracted') whom")
        .bind(order.to_string())
        .bind(i64::from(*numbers.start()))
        .bind(i64::from(*numbers.end()))
        .fetch_one(db)
        .await?;
    whom(people)
}

pub(super) async fn receipted(
    db: &mut AnyConnection,
    order: OrderId,
    kind: Kind,
) -> Result<RoaringBitmap> {
    let people: Option<String> = sqlx::query_scalar("SELECT string_agg(CAST(person AS TEXT), ' ') FROM receipt WHERE order_id = $1 AND kind = $2")
        .bind(order.to_string())
        .bind(kind.to_string())
        .fetch_one(db)
        .await?;
    whom(people)
}

/// People out of one text. Of a million receipts a row each would take seconds, since each wakes the
/// thread that reads it.
fn whom(people: Option<String>) -> Result<RoaringBitmap> {
    let people = people.unwrap_or_default();
    people.split_whitespace().map(parse::<u32>).collect()
}

/// CROSS JOIN keeps SQLite at the few orders first, and the sign lets it take the index of what waits:
/// by the person it would look at every receipt.
const NEXT_RETRY: &str = "SELECT CAST(MIN(r.not_before) AS BIGINT) FROM orders o CROSS JOIN receipt r WHERE o.state IN ('published', 'retracted') AND r.order_id = o.id AND r.state = 'claimed' AND r.worker IS NULL AND +r.person BETWEEN $1 AND $2 AND o.state = CASE WHEN r.kind = 'correction' THEN 'retracted' ELSE 'published' END";

/// `before` for receipts of any but these recipients, then `after`.
fn but(before: &str, first: usize, lacks: &[PersonId], after: &str) -> AssertSqlSafe<String> {
    match lacks {
        [] => AssertSqlSafe(format!("{before} {after}")),
        some => one_of(
            &format!("{before} AND +r.person NOT IN"),
            first,
            some.len(),
            after,
        ),
    }
}

/// See [`NEXT_RETRY`]. A held order's retries are not even looked at.
const WAITING: &str = "SELECT r.order_id, r.person, r.kind, r.attempt FROM orders o CROSS JOIN receipt r WHERE o.state IN ('published', 'retracted') AND r.order_id = o.id AND r.state = 'claimed' AND r.worker IS NULL AND r.not_before <= $1 AND +r.person BETWEEN $3 AND $4 AND o.state = CASE WHEN r.kind = 'correction' THEN 'retracted' ELSE 'published' END";
const MOST_URGENT: &str = "ORDER BY CASE WHEN r.kind = 'correction' THEN 0 ELSE 1 END, r.not_before, r.order_id, r.person, r.kind LIMIT $2";

/// Receipts that wait for a retry, of orders whose state allows it, and how often each was tried.
pub(super) async fn waiting(
    write: &mut Write,
    now: Timestamp,
    turn: &Turn,
    most: usize,
) -> Result<Vec<(Key, u32)>> {
    if most == 0 {
        return Ok(Vec::new());
    }
    let (lane, lacks) = (turn.lane, turn.lane.among(&turn.lacks));
    let query = sqlx::query(but(WAITING, 5, &lacks, MOST_URGENT))
        .bind(micros(now))
        .bind(most as i64)
        .bind(i64::from(*lane.numbers().start()))
        .bind(i64::from(*lane.numbers().end()));
    let query = lacks.iter().fold(query, |q, no| q.bind(i64::from(no.0)));
    let rows = query.fetch_all(write.db()).await?;
    rows.iter()
        .map(|row| {
            let key = Key {
                order: parse(row.try_get("order_id")?)?,
                person: PersonId(row.try_get::<i64, _>("person")? as u32),
                kind: parse(row.try_get("kind")?)?,
            };
            Ok((key, row.try_get::<i64, _>("attempt")? as u32))
        })
        .collect()
}

pub(super) async fn counts(db: &mut AnyConnection, order: OrderId) -> Result<(Counts, Counts)> {
    let rows = sqlx::query("SELECT CASE WHEN kind = 'correction' THEN 1 ELSE 0 END AS correction, state, CAST(COUNT(*) AS BIGINT) AS n, CAST(COUNT(bounced_at) AS BIGINT) AS bounced FROM receipt WHERE order_id = $1 AND person <= $2 GROUP BY 1, 2")
        .bind(order.to_string())
        .bind(i64::from(*Lane::People.numbers().end()))
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
        let state = state(row.try_get("state")?)?;
        counts.add(state, n as u64);
        if state == ReceiptState::Accepted {
            counts.bounced = row.try_get::<i64, _>("bounced")? as u64;
        }
    }
    Ok((notices, corrections))
}

/// A row for each time, with its people in one text: each row costs a wake of the thread that reads it,
/// and those of one commit were told at one time.
const TOLD: &str = "SELECT order_id, at, string_agg(CAST(person AS TEXT), ' ') AS people FROM (SELECT order_id, person, CAST(MIN(settled_at) AS BIGINT) AS at FROM receipt WHERE state = 'accepted' AND bounced_at IS NULL AND kind <> 'correction'";
const AT_ONE_TIME: &str = "GROUP BY order_id, person) told GROUP BY order_id, at";

pub(super) async fn load_told(
    db: &mut AnyConnection,
    of: Option<(OrderId, &[PersonId])>,
) -> Result<Vec<Fact>> {
    let mut rows = Vec::new();
    match of {
        None => {
            let sql = sqlx::AssertSqlSafe(format!("{TOLD} {AT_ONE_TIME}"));
            rows = sqlx::query(sql).fetch_all(&mut *db).await?;
        }
        Some((order, people)) => {
            for chunk in people.chunks(AT_ONCE) {
                let sql = one_of(
                    &format!("{TOLD} AND order_id = $1 AND person IN"),
                    2,
                    chunk.len(),
                    AT_ONE_TIME,
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
    let mut facts = BTreeMap::new();
    // Whoever was told once and no longer is must be heard of too.
    if let Some((order, people)) = of {
        facts.extend(people.iter().map(|person| ((order, *person), None)));
    }
    for row in &rows {
        let order = parse(row.try_get("order_id")?)?;
        let at = row.try_get::<Option<i64>, _>("at")?.map(time);
        for person in row.try_get::<&str, _>("people")?.split(' ') {
            facts.insert((order, PersonId(parse(person)?)), at);
        }
    }
    Ok(facts
        .into_iter()
        .map(|((order, person), at)| Fact::Told { order, person, at })
        .collect())
}

pub(super) fn state(text: &str) -> Result<ReceiptState> {
    ReceiptState::ALL
        .into_iter()
        .find(|s| s.as_str() == text)
        .ok_or_else(|| super::StoreError::Unreadable(format!("a receipt is «{text}»")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Asked again and again while notices go out: it must not look at every receipt there is.
    #[tokio::test]
    async fn what_waits_is_found_by_its_own_index() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open("sqlite:plans.db", folder.path()).await.unwrap();
        let lacks = [PersonId::channel(0), PersonId::channel(1)];
        for (sql, values, lacks, after) in [
            (NEXT_RETRY, 2, &lacks[..0], ""),
            (NEXT_RETRY, 2, &lacks[..], ""),
            (WAITING, 4, &lacks[..0], MOST_URGENT),
            (WAITING, 4, &lacks[..], MOST_URGENT),
        ] {
            let sql = format!("EXPLAIN QUERY PLAN {sql}");
            let sql = but(&sql, values + 1, lacks, after);
            let values = values + lacks.len();
            let query = (0..values).fold(sqlx::query(sql), |q, _| q.bind(1_i64));
            let plan = query.fetch_all(&store.readers).await.unwrap();
            let steps = plan.iter().map(|step| step.get::<String, _>("detail"));
            let steps: Vec<String> = steps.collect();
            assert!(
                steps.iter().any(|step| step.contains("receipt_waiting")),
                "{steps:?}"
            );
        }
    }
}
