//! Workers: who lives, and what becomes of the claims of who does not.

use jiff::Timestamp;

use super::follow::Touched;
use super::rows::{micros, parse};
use super::write::Write;
use super::{Result, Store};
use crate::failpoint::{self, Moment};

impl Store {
    /// Says that the worker lives until `lease_until`.
    pub async fn renew_worker(&self, worker: &str, lease_until: Timestamp) -> Result<()> {
        let mut write = self.begin().await?;
        sqlx::query("INSERT INTO worker (name, lease_until) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET lease_until = excluded.lease_until")
            .bind(worker)
            .bind(micros(lease_until))
            .execute(write.db())
            .await?;
        failpoint::pass(Moment::RenewBeforeCommit);
        write.finish().await?;
        failpoint::pass(Moment::RenewCommitted);
        Ok(())
    }

    /// Gives up what dead workers held: what was in flight is unknown (a correction waits to be sent
    /// again), what was only claimed is anyone's. Gives back how many were in flight.
    pub async fn bury_workers(&self, now: Timestamp) -> Result<u64> {
        let mut write = self.begin().await?;
        // A worker that was buried and came back without renewing its lease has no row; what it took
        // since must not be lost with it.
        let dead: Vec<String> = sqlx::query_scalar("SELECT name FROM worker WHERE lease_until < $1 UNION SELECT worker FROM receipt WHERE worker IS NOT NULL AND NOT EXISTS (SELECT 1 FROM worker w WHERE w.name = receipt.worker)")
            .bind(micros(now))
            .fetch_all(write.db())
            .await?;
        let mut unknown = 0;
        for name in &dead {
            unknown += self.bury(&mut write, name, now).await?;
        }
        if dead.is_empty() {
            write.finish().await?;
        } else {
            failpoint::pass(Moment::BuryBeforeCommit);
            write.finish().await?;
            failpoint::pass(Moment::BuryCommitted);
        }
        Ok(unknown)
    }

    /// The same for one worker, which ends in peace: its lease need not run out.
    pub async fn retire_worker(&self, worker: &str, now: Timestamp) -> Result<()> {
        let mut write = self.begin().await?;
        self.bury(&mut write, worker, now).await?;
        failpoint::pass(Moment::RetireBeforeCommit);
        write.finish().await?;
        failpoint::pass(Moment::RetireCommitted);
        Ok(())
    }

    async fn bury(&self, write: &mut Write, worker: &str, now: Timestamp) -> Result<u64> {
        let (version, now) = (write.version, micros(now));
        let orders: Vec<String> =
            sqlx::query_scalar("SELECT DISTINCT order_id FROM receipt WHERE worker = $1")
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
        if !orders.is_empty() {
            failpoint::pass(Moment::BuryHalf);
        }
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
}
