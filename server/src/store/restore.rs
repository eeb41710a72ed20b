//! Putting a backup where the database is to be.

use std::path::{Path, PathBuf};

use sqlx::any::install_default_drivers;
use sqlx::{AnyConnection, Connection};

use super::maintain::newest_tables;
use super::{Result, StoreError, sqlite_url};

/// Copies `backup` to `to`, once it has proved to be a whole database of ours. A database that is
/// there already is replaced only if `replace` says so, and never while a program has it open.
pub async fn restore(backup: &Path, to: &Path, replace: bool) -> Result<()> {
    install_default_drivers();
    if to.exists() {
        if !replace {
            return Err(StoreError::Unsupported(format!(
                "there is a database at {} already; give --force to put the backup in its place",
                to.display()
            )));
        }
        let_go(to).await?;
    }
    let copy = beside(to, ".restoring");
    let done = match copy_checked(backup, &copy).await {
        Ok(()) => put(&copy, to).map_err(|e| failed(to, &e)),
        Err(error) => Err(error),
    };
    if done.is_err() {
        // Best effort: what failed is worth more words than the leftover.
        let _ = std::fs::remove_file(&copy);
    }
    done
}

/// Makes sure that nobody has the database open, and that all of it is in its one file.
async fn let_go(database: &Path) -> Result<()> {
    let in_use = || {
        StoreError::Unsupported(format!(
            "another program has {} open; stop `countermand serve` first",
            database.display()
        ))
    };
    let Ok(mut connection) = connect(database).await else {
        return Ok(());
    };
    // Leaving the write-ahead log needs the file for oneself.
    let mode: std::result::Result<String, _> = sqlx::query_scalar("PRAGMA journal_mode = DELETE")
        .fetch_one(&mut connection)
        .await;
    connection.close().await?;
    match mode {
        Ok(mode) if mode == "delete" => Ok(()),
        Err(error) if error.to_string().contains("not a database") => Ok(()),
        _ => Err(in_use()),
    }
}

async fn copy_checked(backup: &Path, copy: &Path) -> Result<()> {
    std::fs::copy(backup, copy).map_err(|e| failed(backup, &e))?;
    let not_ours = |what: &str| {
        StoreError::Unsupported(format!(
            "{} is no backup of Countermand: {what}; give a file that `countermand backup` wrote",
            backup.display()
        ))
    };
    let mut connection = connect(copy)
        .await
        .map_err(|_| not_ours("it is no SQLite database"))?;
    let tables: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name IN ('migration', 'audit_head', 'orders')",
    )
    .fetch_one(&mut connection)
    .await
    .map_err(|_| not_ours("it is no SQLite database"))?;
    if tables != 3 {
        return Err(not_ours("its tables are not ours"));
    }
    let made_at: i64 =
        sqlx::query_scalar("SELECT CAST(COALESCE(MAX(number), 0) AS BIGINT) FROM migration")
            .fetch_one(&mut connection)
            .await?;
    if made_at > newest_tables() {
        return Err(not_ours("a newer countermand made it"));
    }
    let sound: String = sqlx::query_scalar("PRAGMA integrity_check(1)")
        .fetch_one(&mut connection)
        .await?;
    if sound != "ok" {
        return Err(not_ours(&format!("it is damaged ({sound})")));
    }
    let _: String = sqlx::query_scalar("PRAGMA journal_mode = DELETE")
        .fetch_one(&mut connection)
        .await?;
    connection.close().await?;
    Ok(())
}

async fn connect(file: &Path) -> Result<AnyConnection> {
    let mut connection = AnyConnection::connect(&sqlite_url(file, "rw")?).await?;
    sqlx::query("PRAGMA busy_timeout = 0")
        .execute(&mut connection)
        .await?;
    Ok(connection)
}

fn put(copy: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::File::open(copy)?.sync_all()?;
    // Logs of the database that was there would be played into the new one.
    for log in ["-wal", "-shm", "-journal"] {
        match std::fs::remove_file(beside(to, log)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    std::fs::rename(copy, to)
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn failed(file: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Unsupported(format!("{}: {error}", file.display()))
}
