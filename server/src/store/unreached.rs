//! Whom no notice is known to have reached: they are to be told by another way.

use countermand_core::id::{OrderId, PersonId};
use countermand_core::notice::{Kind, ReceiptState};
use jiff::Timestamp;
use sqlx::Row;

use super::rows::{parse, time};
use super::{Result, Store, StoreError};

/// A notice that was rejected, or of which nobody knows whether it arrived.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unreached {
    pub person: PersonId,
    pub kind: Kind,
    pub state: ReceiptState,
    pub at: Option<Timestamp>,
    /// What the mail server said.
    pub detail: String,
}

impl Store {
    /// How many there are, and `limit` of them after `skip`, newest first.
    pub async fn unreached(
        &self,
        order: OrderId,
        skip: u64,
        limit: u64,
    ) -> Result<(u64, Vec<Unreached>)> {
        let order = order.to_string();
        let total: i64 = sqlx::query_scalar("SELECT CAST(COUNT(*) AS BIGINT) FROM receipt WHERE order_id = $1 AND state IN ('rejected', 'unknown')")
            .bind(&order)
            .fetch_one(&self.readers)
            .await?;
        let rows = sqlx::query("SELECT person, kind, state, settled_at, detail FROM receipt WHERE order_id = $1 AND state IN ('rejected', 'unknown') ORDER BY settled_at DESC, person, kind LIMIT $2 OFFSET $3")
            .bind(&order)
            .bind(limit as i64)
            .bind(skip as i64)
            .fetch_all(&self.readers)
            .await?;
        let rows = rows.iter().map(|row| {
            let state: String = row.try_get("state")?;
            let state = ReceiptState::ALL
                .into_iter()
                .find(|s| s.as_str() == state)
                .ok_or_else(|| StoreError::Unreadable(format!("a receipt's state «{state}»")))?;
            Ok(Unreached {
                person: PersonId(row.try_get::<i64, _>("person")? as u32),
                kind: parse(row.try_get("kind")?)?,
                state,
                at: row.try_get::<Option<i64>, _>("settled_at")?.map(time),
                detail: row.try_get("detail")?,
            })
        });
        Ok((total as u64, rows.collect::<Result<_>>()?))
    }
}
