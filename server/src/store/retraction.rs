//! Retractions: the commit after which nothing more begins, and the count of what it stopped.
//!
//! The commit writes the same few rows however many receipts there are. What it stopped is counted
//! after it, from receipts that tell for ever how they stood at it. Until then the people whose
//! notices it found planned are kept beside the order; whoever asks for the answer first, counts it.

use countermand_core::id::{OrderId, PersonId};
use countermand_core::notice::channel::Lane;
use countermand_core::notice::{Kind, ReceiptState};
use countermand_core::order::{Audience, Order, RetractAnswer, State};
use roaring::RoaringBitmap;
use sqlx::Row as _;

use super::follow::Touched;
use super::rows::{from_json, to_json};
use super::write::Write;
use super::{Result, Store, StoreError, orders};
use crate::failpoint::{self, Moment};

/// Under which name the planned people wait to be counted.
fn uncounted(order: OrderId) -> String {
    format!("uncounted {order}")
}

/// Takes the order back and cancels every claim, in the one transaction after which nothing of the
/// order is begun (invariant 22).
pub(super) async fn retract(
    write: &mut Write,
    order: &Order,
    was: i64,
    planned: &[(Kind, RoaringBitmap)],
) -> Result<()> {
    // First, so that whoever comes second hears of a conflict and looks again.
    orders::save(write, order, Some(was)).await?;
    let version = write.version;
    // Two statements, since there is an index for each: the order's receipts may be very many.
    for which in ["worker IS NOT NULL", "worker IS NULL"] {
        let sql = format!(
            "UPDATE receipt SET state = $3, worker = NULL, settled_version = $2 WHERE order_id = $1 AND {which} AND state = 'claimed' AND kind <> 'correction'"
        );
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(order.id.to_string())
            .bind(version)
            .bind(ReceiptState::Cancelled.as_str())
            .execute(write.db())
            .await?;
    }
    failpoint::pass(Moment::RetractCancelled);
    let planned: Vec<(Kind, Audience)> = planned
        .iter()
        .map(|(kind, people)| {
            let mut people = people.clone();
            people.optimize();
            (*kind, Audience(people))
        })
        .collect();
    sqlx::query("INSERT INTO setting (name, value) VALUES ($1, $2)")
        .bind(uncounted(order.id))
        .bind(to_json(&planned)?)
        .execute(write.db())
        .await?;
    Ok(())
}

/// Completes the answer, unless somebody was quicker.
pub(super) async fn save_answer(
    write: &mut Write,
    id: OrderId,
    answer: &RetractAnswer,
) -> Result<()> {
    let waited = sqlx::query("DELETE FROM setting WHERE name = $1")
        .bind(uncounted(id))
        .execute(write.db())
        .await?;
    failpoint::pass(Moment::AnswerHalf);
    let stored = orders::load(write.db(), Some(id)).await?.pop();
    let (Some(mut stored), 1) = (stored, waited.rows_affected()) else {
        return Err(StoreError::Conflict);
    };
    if let State::Retracted { retraction, .. } = &mut stored.order.state {
        retraction.answer = answer.clone();
    }
    // Not a change of the order: `changed` stays the version of the retraction.
    sqlx::query("UPDATE orders SET body = $2 WHERE id = $1")
        .bind(id.to_string())
        .bind(to_json(&stored.order)?)
        .execute(write.db())
        .await?;
    write.touch(Touched::Order(id));
    Ok(())
}

impl Store {
    /// The figures of a retraction whose answer nobody has counted yet.
    pub async fn count_retraction(&self, order: &Order) -> Result<Option<RetractAnswer>> {
        let Some(retraction) = order.retraction() else {
            return Ok(None);
        };
        let planned: Option<String> =
            sqlx::query_scalar("SELECT value FROM setting WHERE name = $1")
                .bind(uncounted(order.id))
                .fetch_optional(&self.readers)
                .await?;
        let Some(planned) = planned else {
            return Ok(None);
        };
        let mut unclaimed = 0;
        for (kind, people) in from_json::<Vec<(Kind, Audience)>>(&planned)? {
            unclaimed += (people.0 - self.receipted(order.id, kind).await?).len();
        }
        // As the receipts stood when the order was taken back: whatever became of them since is of a
        // later version.
        let row = sqlx::query("SELECT CAST(COUNT(CASE WHEN r.state = 'cancelled' AND r.settled_version = o.changed THEN 1 END) AS BIGINT) AS claimed, CAST(COUNT(CASE WHEN r.in_flight_at IS NOT NULL AND (r.state = 'in_flight' OR r.settled_version > o.changed) THEN 1 END) AS BIGINT) AS in_flight, CAST(COUNT(CASE WHEN r.state = 'accepted' AND r.settled_version < o.changed THEN 1 END) AS BIGINT) AS accepted, CAST(COUNT(CASE WHEN r.state = 'unknown' AND r.settled_version < o.changed THEN 1 END) AS BIGINT) AS unknown FROM orders o CROSS JOIN receipt r WHERE o.id = $1 AND r.order_id = o.id AND r.kind <> 'correction' AND r.person <= $2")
            .bind(order.id.to_string())
            .bind(i64::from(*Lane::People.numbers().end()))
            .fetch_one(&self.readers)
            .await?;
        let to_correct = self.to_correct(order.id).await?;
        let count = |name: &str| row.try_get::<i64, _>(name).map(|n| n as u64);
        Ok(Some(RetractAnswer {
            cancelled: unclaimed + count("claimed")?,
            unclaimed,
            in_flight: count("in_flight")?,
            accepted: count("accepted")?,
            unknown: count("unknown")?,
            corrections_planned: Lane::People.of(to_correct.clone()).len(),
            channels: Lane::Channels
                .of(to_correct)
                .into_iter()
                .filter_map(|channel| order.channel(PersonId(channel)).map(str::to_owned))
                .collect(),
            ..retraction.answer.clone()
        }))
    }
}
