//! A write transaction: the version first, the record last.

use countermand_core::actor::Actor;
use countermand_core::audit::{Entry, Statement};
use jiff::Timestamp;
use sqlx::{Any, AnyConnection, Row, Transaction};

use super::follow::{KEPT, Touched};
use super::rows::{micros, to_json, values};
use super::together;
use super::{Backend, Result, Store, StoreError};

/// Old notes to followers go once in so many commits.
const TIDIED_EVERY: i64 = 256;

/// It writes, so SQLite takes the write lock at once (as BEGIN IMMEDIATE would), and PostgreSQL waits here for whoever
/// holds this row.
pub(super) const RAISE: &str =
    "UPDATE version SET number = number + 1 WHERE one = 1 RETURNING number";

/// A transaction that holds the database's one place to write.
pub(super) struct Write {
    transaction: Transaction<'static, Any>,
    /// The version that this commit makes; 0 until it is raised.
    pub version: i64,
    touched: Vec<Touched>,
    /// What followers were told before it was certain.
    foretold: Vec<Touched>,
    pub(super) backend: Backend,
}

impl Store {
    pub(super) async fn begin(&self) -> Result<Write> {
        let mut write = self.begin_unraised().await?;
        write.raise().await?;
        Ok(write)
    }

    /// The version is raised by what comes first: [`Write::run`], or [`Write::raise`] before anything is read.
    pub(super) async fn begin_unraised(&self) -> Result<Write> {
        Ok(Write {
            transaction: self.writers.begin().await?,
            version: 0,
            touched: Vec::new(),
            foretold: Vec::new(),
            backend: self.backend,
        })
    }
}

impl Write {
    pub fn db(&mut self) -> &mut AnyConnection {
        &mut self.transaction
    }

    /// Once is enough.
    pub async fn raise(&mut self) -> Result<()> {
        if self.version == 0 {
            self.version = sqlx::query_scalar(RAISE).fetch_one(self.db()).await?;
        }
        Ok(())
    }

    /// The note to followers, of what this write will most likely have touched. If it comes otherwise, it is written anew.
    pub fn foretell(&mut self, touched: Vec<Touched>) -> Result<together::Statement> {
        let sql = values(
            "WITH note (part, words) AS (",
            2,
            touched.len(),
            2,
            ") INSERT INTO change_log (version, part, touched) SELECT $1, part, words FROM note",
        );
        let mut statement = together::Statement::new(sql).version();
        for (part, touched) in touched.iter().enumerate() {
            statement.row(part as i64).row_text(to_json(touched)?);
        }
        self.foretold = touched;
        Ok(statement)
    }

    /// Tells followers what to load again.
    pub fn touch(&mut self, touched: Touched) {
        self.touched.push(touched);
    }

    /// Appends the record's next entry.
    pub async fn record(
        &mut self,
        actor: &Actor,
        at: Timestamp,
        statement: &Statement,
    ) -> Result<()> {
        let head = sqlx::query("SELECT entries, hash FROM audit_head WHERE one = 1")
            .fetch_one(self.db())
            .await?;
        let number: i64 = head.try_get("entries")?;
        let previous: String = head.try_get("hash")?;
        let entry = Entry::next(number as u64 + 1, &previous, at, actor, statement);
        let actor = serde_json::to_string(&entry.actor)
            .map_err(|e| StoreError::Unreadable(e.to_string()))?;
        sqlx::query("INSERT INTO audit (number, at, actor, action, order_id, details, previous, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)")
            .bind(entry.number as i64)
            .bind(micros(entry.at))
            .bind(actor)
            .bind(&entry.action)
            .bind(entry.order.map(|o| o.to_string()))
            .bind(&entry.details)
            .bind(&entry.previous)
            .bind(&entry.hash)
            .execute(self.db())
            .await?;
        sqlx::query("UPDATE audit_head SET entries = $1, hash = $2 WHERE one = 1")
            .bind(entry.number as i64)
            .bind(&entry.hash)
            .execute(self.db())
            .await?;
        Ok(())
    }

    /// Commits, and gives back the version that this made.
    pub async fn finish(mut self) -> Result<i64> {
        self.raise().await?;
        let touched = std::mem::take(&mut self.touched);
        let is_told = touched == self.foretold;
        if !is_told && !self.foretold.is_empty() {
            sqlx::query("DELETE FROM change_log WHERE version = $1")
                .bind(self.version)
                .execute(&mut *self.transaction)
                .await?;
        }
        if !is_told && !touched.is_empty() {
            let before = "INSERT INTO change_log (version, part, touched)";
            let sql = values(before, 1, touched.len(), 3, "");
            let mut query = sqlx::query(sql);
            for (part, touched) in touched.iter().enumerate() {
                let text = to_json(touched)?;
                query = query.bind(self.version).bind(part as i64).bind(text);
            }
            query.execute(&mut *self.transaction).await?;
        }
        // Nobody follows from so far back (see `follow::KEPT`).
        if self.version % TIDIED_EVERY == 0 {
            sqlx::query("DELETE FROM change_log WHERE version < $1")
                .bind(self.version - 2 * KEPT)
                .execute(&mut *self.transaction)
                .await?;
        }
        self.transaction.commit().await?;
        Ok(self.version)
    }
}
