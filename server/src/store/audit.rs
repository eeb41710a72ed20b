//! Reading the record.

use countermand_core::audit::{Entry, Verified, Verifier};
use countermand_core::id::OrderId;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::rows::{from_json, parse, time};
use super::{Result, Store};

/// No life has so many steps; it only keeps one page from growing without end.
const STEPS: i64 = 10_000;

fn entry(row: &AnyRow) -> Result<Entry> {
    let order: Option<String> = row.try_get("order_id")?;
    Ok(Entry {
        number: row.try_get::<i64, _>("number")? as u64,
        at: time(row.try_get("at")?),
        actor: from_json(row.try_get("actor")?)?,
        action: row.try_get("action")?,
        order: order.map(|o| parse(&o)).transpose()?,
        details: row.try_get("details")?,
        previous: row.try_get("previous")?,
        hash: row.try_get("hash")?,
    })
}

impl Store {
    /// Entries after number `after`, oldest first.
    pub async fn audit_after(&self, after: u64, limit: u32) -> Result<Vec<Entry>> {
        let rows = sqlx::query("SELECT number, at, actor, action, order_id, details, previous, hash FROM audit WHERE number > $1 ORDER BY number LIMIT $2")
            .bind(after as i64)
            .bind(i64::from(limit))
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(entry).collect()
    }

    /// The newest entries, newest first, of one order or of all.
    pub async fn audit_newest(&self, order: Option<OrderId>, limit: u32) -> Result<Vec<Entry>> {
        const ALL: &str = "SELECT number, at, actor, action, order_id, details, previous, hash FROM audit ORDER BY number DESC LIMIT $1";
        const ONE: &str = "SELECT number, at, actor, action, order_id, details, previous, hash FROM audit WHERE order_id = $2 ORDER BY number DESC LIMIT $1";
        let query = match order {
            None => sqlx::query(ALL).bind(i64::from(limit)),
            Some(order) => sqlx::query(ONE)
                .bind(i64::from(limit))
                .bind(order.to_string()),
        };
        query
            .fetch_all(&self.readers)
            .await?
            .iter()
            .map(entry)
            .collect()
    }

    /// The steps of an order's life, oldest first: all of them, however many exemptions and
    /// attestations the record has of the order besides.
    pub async fn life_of(&self, order: OrderId) -> Result<Vec<Entry>> {
        let rows = sqlx::query("SELECT number, at, actor, action, order_id, details, previous, hash FROM audit WHERE order_id = $1 AND action LIKE 'order.%' ORDER BY number LIMIT $2")
            .bind(order.to_string())
            .bind(STEPS)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(entry).collect()
    }

    /// The number of the entry by which a backup last took the database's place; zero where none has.
    pub async fn last_restore(&self) -> Result<u64> {
        let number: i64 = sqlx::query_scalar("SELECT CAST(COALESCE(MAX(number), 0) AS BIGINT) FROM audit WHERE action = 'database.restore'")
            .fetch_one(&self.readers)
            .await?;
        Ok(number as u64)
    }

    /// How many entries an order has, and one page of them, newest first.
    pub async fn audit_page(
        &self,
        order: OrderId,
        skip: u64,
        limit: u64,
    ) -> Result<(u64, Vec<Entry>)> {
        let order = order.to_string();
        let total: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM audit WHERE order_id = $1")
            .bind(&order)
            .fetch_one(&self.readers)
            .await?;
        let rows = sqlx::query("SELECT number, at, actor, action, order_id, details, previous, hash FROM audit WHERE order_id = $1 ORDER BY number DESC LIMIT $2 OFFSET $3")
            .bind(&order)
            .bind(limit as i64)
            .bind(skip as i64)
            .fetch_all(&self.readers)
            .await?;
        let entries = rows.iter().map(entry).collect::<Result<_>>()?;
        Ok((total as u64, entries))
    }

    /// Walks the whole record, and compares its length and head with those kept beside it.
    pub async fn audit_verify(&self) -> Result<Verified> {
        let head = sqlx::query("SELECT entries, hash FROM audit_head WHERE one = 1")
            .fetch_one(&self.readers)
            .await?;
        let (entries, hash): (i64, String) = (head.try_get("entries")?, head.try_get("hash")?);
        let mut verifier = Verifier::default();
        let mut after = 0;
        loop {
            let chunk = self.audit_after(after, 1_000).await?;
            let Some(last) = chunk.last() else { break };
            after = last.number;
            // An entry younger than the head that was read is no fault.
            chunk
                .iter()
                .filter(|e| e.number <= entries as u64)
                .for_each(|e| verifier.take(e));
        }
        let mut verified = verifier.finish(Some((entries as u64, &hash)));
        // Numbers run from 1 to the head without gaps; whatever stands outside was put there.
        let stray: Option<i64> = sqlx::query_scalar("SELECT CAST(MIN(number) AS BIGINT) FROM audit WHERE number < 1 OR number > (SELECT entries FROM audit_head WHERE one = 1)")
            .fetch_one(&self.readers)
            .await?;
        if let Some(stray) = stray {
            verified.ok = false;
            verified.first_bad = verified.first_bad.or(Some(stray.max(0) as u64));
        }
        Ok(verified)
    }
}
