//! Tables, backups.

use std::path::Path;

use sqlx::AssertSqlSafe;

use super::{Backend, Result, Store, StoreError};

/// In order; each runs once, in one transaction.
const MIGRATIONS: &[(i64, &str)] = &[
    (1, include_str!("../../migrations/0001_house.sql")),
    (2, include_str!("../../migrations/0002_stops.sql")),
    (3, include_str!("../../migrations/0003_bounces.sql")),
    (4, include_str!("../../migrations/0004_channels.sql")),
    (5, include_str!("../../migrations/0005_devices.sql")),
    (6, include_str!("../../migrations/0006_words.sql")),
    (7, include_str!("../../migrations/0007_serials.sql")),
];

/// The number of the newest tables that this program knows.
pub(super) fn newest_tables() -> i64 {
    MIGRATIONS.last().map_or(0, |(n, _)| *n)
}

impl Store {
    pub(super) async fn migrate(&self) -> Result<()> {
        // Nearly always there is nothing to do, and then nobody waits for the place to write.
        let newest = MIGRATIONS.last().map_or(0, |(n, _)| *n);
        let done =
            sqlx::query_scalar("SELECT CAST(COALESCE(MAX(number), 0) AS BIGINT) FROM migration")
                .fetch_one(&self.readers)
                .await;
        if done.is_ok_and(|done: i64| done == newest) {
            return Ok(());
        }
        // Two servers that start together must not both make the tables.
        let mut transaction = match self.backend {
            Backend::Sqlite => self.writers.begin_with("BEGIN IMMEDIATE").await?,
            Backend::Postgres => self.writers.begin().await?,
        };
        if self.backend == Backend::Postgres {
            sqlx::query("SELECT CAST(1 AS BIGINT) FROM pg_advisory_xact_lock(72020)")
                .execute(&mut *transaction)
                .await?;
        }
        sqlx::query("CREATE TABLE IF NOT EXISTS migration (number BIGINT PRIMARY KEY)")
            .execute(&mut *transaction)
            .await?;
        let done: i64 =
            sqlx::query_scalar("SELECT CAST(COALESCE(MAX(number), 0) AS BIGINT) FROM migration")
                .fetch_one(&mut *transaction)
                .await?;
        let newest = newest_tables();
        if done > newest {
            return Err(StoreError::Unsupported(format!(
                "the database was made by a newer countermand (its tables are at {done}, this program knows {newest}); start that one"
            )));
        }
        for (number, sql) in MIGRATIONS.iter().filter(|(n, _)| *n > done) {
            let bytes = if self.backend == Backend::Sqlite {
                "BLOB"
            } else {
                "BYTEA"
            };
            let without_comments: String = sql
                .lines()
                .filter(|l| !l.trim_start().starts_with("--"))
                .collect::<Vec<_>>()
                .join("\n");
            for statement in without_comments
                .split(';')
                .map(str::trim)
                .filter(|s| !s.is_empty())
            {
                let statement = statement.replace(" BYTES ", &format!(" {bytes} "));
                sqlx::query(AssertSqlSafe(statement))
                    .execute(&mut *transaction)
                    .await?;
            }
            sqlx::query("INSERT INTO migration (number) VALUES ($1)")
                .bind(*number)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Writes a consistent copy of the whole database to `to`, while others go on working.
    pub async fn backup(&self, to: &Path) -> Result<()> {
        if self.backend != Backend::Sqlite {
            return Err(StoreError::Unsupported(
                "this database is PostgreSQL; back it up with pg_dump --format=custom".to_owned(),
            ));
        }
        sqlx::query("VACUUM INTO $1")
            .bind(to.display().to_string())
            .execute(&self.readers)
            .await?;
        Ok(())
    }

    /// The SQLite file, for `restore`.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }
}
