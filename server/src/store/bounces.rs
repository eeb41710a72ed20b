//! Notices that came back, and those that the relay is asked to drop.

use countermand_core::change::{Bounce, Purge};
use countermand_core::id::{OrderId, PersonId};
use countermand_core::notice::Kind;
use countermand_core::notice::channel::Lane;
use jiff::Timestamp;
use sqlx::Row;
use std::collections::BTreeMap;

use super::follow::Touched;
use super::rows::{AT_ONCE, holdable, micros, one_of, padded};
use super::write::Write;
use super::{Result, Store};

/// Writes down those that are news, and gives them back.
///
/// Only what may have left can come back. A bounce can be here before the notice is settled, so every
/// state counts in which it was perhaps taken. Of a correction that waits for another attempt, the one that came
/// back may be the last that was made.
pub(super) async fn save(
    write: &mut Write,
    bounces: &[Bounce],
    at: Timestamp,
) -> Result<Vec<Bounce>> {
    let mut fresh = Vec::new();
    let mut told: BTreeMap<OrderId, Vec<_>> = BTreeMap::new();
    for bounce in bounces {
        let key = bounce.key;
        let done = sqlx::query("UPDATE receipt SET bounced_at = $4, bounced_words = $5 WHERE order_id = $1 AND person = $2 AND kind = $3 AND bounced_at IS NULL AND in_flight_at IS NOT NULL AND state NOT IN ('rejected', 'cancelled') AND ($6 < 0 OR attempt - CASE WHEN state = 'claimed' THEN 1 ELSE 0 END = $6)")
            .bind(key.order.to_string())
            .bind(i64::from(key.person.0))
            .bind(key.kind.to_string())
            .bind(micros(at))
            .bind(holdable(&bounce.words))
            .bind(bounce.attempt.map_or(-1, i64::from))
            .execute(write.db())
            .await?;
        if done.rows_affected() == 1 {
            told.entry(key.order).or_default().push(key.person);
            fresh.push(bounce.clone());
        }
    }
    for (order, people) in told {
        write.touch(Touched::Told { order, people });
        write.touch(Touched::Receipts(order));
    }
    Ok(fresh)
}

/// Of an attempt that certainly failed. A stale worker's word changed nothing, so it does not now.
pub(super) const FAILED: &str = "in_flight_at IS NULL";
/// Of an attempt that begins.
pub(super) const BEGUN: &str = "state = 'in_flight'";

/// A bounce belongs to the attempt that caused it: one that certainly failed caused none, and one that
/// begins has none yet.
pub(super) async fn forget(
    write: &mut Write,
    order: OrderId,
    kind: Kind,
    people: &[PersonId],
    which: &str,
) -> Result<()> {
    for chunk in people.chunks(AT_ONCE) {
        let sql = one_of(
            &format!(
                "UPDATE receipt SET bounced_at = NULL, bounced_words = NULL WHERE order_id = $1 AND kind = $2 AND bounced_at IS NOT NULL AND {which} AND person IN"
            ),
            3,
            padded(chunk.len()),
            "",
        );
        let query = sqlx::query(sql)
            .bind(order.to_string())
            .bind(kind.to_string());
        let query = chunk.iter().fold(query, |q, p| q.bind(i64::from(p.0)));
        let query = (chunk.len()..padded(chunk.len())).fold(query, |q, _| q.bind(None::<i64>));
        query.execute(write.db()).await?;
    }
    Ok(())
}

pub(super) async fn save_purge(write: &mut Write, purge: &Purge) -> Result<()> {
    sqlx::query("INSERT INTO purge (order_id, through) VALUES ($1, $2) ON CONFLICT (order_id) DO UPDATE SET through = excluded.through")
        .bind(purge.order.to_string())
        .bind(purge.through)
        .execute(write.db())
        .await?;
    Ok(())
}

/// What the relay still may have of an order's notices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purgeable {
    /// The relay's answers to them, of those not asked for before.
    pub answers: Vec<String>,
    /// Of the last of them.
    pub through: i64,
    /// Nothing is in flight any more, so there will be no others.
    pub is_all: bool,
}

impl Store {
    /// Notices of an order that the relay took after `since` and was not asked to drop yet. No
    /// corrections: those are to arrive. And of people alone: what a channel's server says is not the
    /// relay's word, and must not name a mail to it.
    pub async fn purgeable(&self, order: OrderId, since: Timestamp) -> Result<Purgeable> {
        let order = order.to_string();
        let people = i64::from(*Lane::People.numbers().end());
        // First: what is settled in between is then in the list, and the question asked once more.
        let in_flight: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM receipt WHERE order_id = $1 AND worker IS NOT NULL AND state = 'in_flight' AND kind <> 'correction' AND person <= $2")
            .bind(&order)
            .bind(people)
            .fetch_one(&self.readers)
            .await?;
        let rows = sqlx::query("SELECT detail, settled_version FROM receipt WHERE order_id = $1 AND kind <> 'correction' AND state = 'accepted' AND bounced_at IS NULL AND settled_at >= $2 AND person <= $3 AND settled_version > COALESCE((SELECT through FROM purge WHERE order_id = $1), -1) ORDER BY settled_version, person, kind")
            .bind(&order)
            .bind(micros(since))
            .bind(people)
            .fetch_all(&self.readers)
            .await?;
        let mut through = -1;
        let mut answers = Vec::with_capacity(rows.len());
        for row in &rows {
            through = through.max(row.try_get("settled_version")?);
            answers.push(row.try_get("detail")?);
        }
        Ok(Purgeable {
            answers,
            through,
            is_all: in_flight == 0,
        })
    }
}
