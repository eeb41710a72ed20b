//! What makes an order's notices stop by themselves: rejections, and people who say that it looks
//! wrong.

use countermand_core::id::{OrderId, PersonId};
use countermand_core::notice::channel::Lane;
use jiff::Timestamp;

use super::follow::Touched;
use super::rows::micros;
use super::write::Write;
use super::{Result, Store, StoreError};

/// Who said it before is a conflict: each person counts once.
pub(super) async fn looks_wrong(
    write: &mut Write,
    order: OrderId,
    person: PersonId,
    at: Timestamp,
) -> Result<()> {
    let done = sqlx::query("INSERT INTO looks_wrong (order_id, person, at) VALUES ($1, $2, $3) ON CONFLICT (order_id, person) DO NOTHING")
        .bind(order.to_string())
        .bind(i64::from(person.0))
        .bind(micros(at))
        .execute(write.db())
        .await?;
    if done.rows_affected() == 0 {
        return Err(StoreError::Conflict);
    }
    write.touch(Touched::Receipts(order));
    Ok(())
}

impl Store {
    /// How many people said that the order looks wrong.
    pub async fn looks_wrong(&self, order: OrderId) -> Result<u64> {
        let n: i64 = sqlx::query_scalar(
            "SELECT CAST(COUNT(*) AS BIGINT) FROM looks_wrong WHERE order_id = $1",
        )
        .bind(order.to_string())
        .fetch_one(&self.readers)
        .await?;
        Ok(n as u64)
    }

    /// How many notices of the order to people were rejected, corrections left out. A channel says
    /// nothing of whether the list of staff is right.
    pub async fn rejections(&self, order: OrderId) -> Result<u64> {
        // The sign: by the person SQLite would look at every receipt (see `receipts::NEXT_RETRY`).
        let n: i64 = sqlx::query_scalar("SELECT CAST((SELECT COUNT(*) FROM receipt WHERE order_id = $1 AND state = 'rejected' AND kind <> 'correction' AND +person <= $2) + (SELECT COUNT(*) FROM receipt WHERE order_id = $1 AND bounced_at IS NOT NULL AND state <> 'rejected' AND kind <> 'correction' AND +person <= $2) AS BIGINT)")
            .bind(order.to_string())
            .bind(i64::from(*Lane::People.numbers().end()))
            .fetch_one(&self.readers)
            .await?;
        Ok(n as u64)
    }
}
