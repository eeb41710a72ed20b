//! Whom no notice is known to have reached: they are to be told by another way.

use countermand_core::id::{OrderId, PersonId};
use countermand_core::notice::{Kind, ReceiptState};
use jiff::Timestamp;
use sqlx::{AssertSqlSafe, Row};

use super::rows::{parse, time};
use super::{Result, Store, StoreError};

/// A notice that was rejected, that came back, or of which nobody knows whether it arrived.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unreached {
    pub person: PersonId,
    pub kind: Kind,
    pub state: ReceiptState,
    /// It came back, whatever the state.
    pub bounced: bool,
    pub at: Option<Timestamp>,
    /// What the mail server said.
    pub detail: String,
}

impl Unreached {
    /// How it is, in one word.
    pub fn word(&self) -> &'static str {
        if self.bounced {
            "bounced"
        } else {
            self.state.as_str()
        }
    }
}

const UNREACHED: &str = "FROM receipt WHERE order_id = $1 AND (state IN ('rejected', 'unknown') OR bounced_at IS NOT NULL)";

impl Store {
    /// How many there are, and `limit` of them after `skip`, newest first.
    pub async fn unreached(
        &self,
        order: OrderId,
        skip: u64,
        limit: u64,
    ) -> Result<(u64, Vec<Unreached>)> {
        let order = order.to_string();
        let count = format!("SELECT CAST(COUNT(*) AS BIGINT) {UNREACHED}");
        let total: i64 = sqlx::query_scalar(AssertSqlSafe(count))
            .bind(&order)
            .fetch_one(&self.readers)
            .await?;
        let page = format!(
            "SELECT person, kind, state, bounced_at, COALESCE(bounced_at, settled_at) AS at, COALESCE(bounced_words, detail) AS words {UNREACHED} ORDER BY COALESCE(bounced_at, settled_at) DESC, person, kind LIMIT $2 OFFSET $3"
        );
        let rows = sqlx::query(AssertSqlSafe(page))
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
                bounced: row.try_get::<Option<i64>, _>("bounced_at")?.is_some(),
                at: row.try_get::<Option<i64>, _>("at")?.map(time),
                detail: row.try_get("words")?,
            })
        });
        Ok((total as u64, rows.collect::<Result<_>>()?))
    }
}
