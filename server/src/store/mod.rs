//! The store: the only place that knows the database. SQLite inside one machine, PostgreSQL when one
//! is outgrown; one SQL text for both.
//!
//! **One write path.** Every write is a `write::Write`: it raises the version (which makes writers
//! queue on both databases), does its work, appends the audit entry and the note to followers, and
//! commits. [`Store::commit`] is the door for changes, `turns` that for the outbox. To add a kind
//! of change: a variant in `countermand_core::change`, an arm in `commit.rs`, a [`Touched`]
//! with its loading in `follow.rs`, and a case in the contract suite.

mod access;
mod audit;
mod bounces;
mod channels;
mod claiming;
mod claims;
mod commit;
mod devices;
mod follow;
mod maintain;
mod orders;
mod own_word;
mod people;
mod receipts;
mod refusals;
mod restore;
mod retraction;
mod rows;
mod seal;
mod settle;
mod stops;
mod together;
mod turns;
mod unreached;
mod words;
mod workers;
mod write;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use countermand_core::evidence::Package;
use countermand_core::id::PackageNo;
use sqlx::any::{AnyPoolOptions, install_default_drivers};
use sqlx::{AnyPool, Connection as _, Executor};

pub use access::{Credentials, Session};
pub use bounces::Purgeable;
pub use channels::ChannelReceipt;
pub use follow::{Followed, Touched};
pub use orders::StoredOrder;
pub use refusals::StoredRefusal;
pub use restore::restore;
pub use turns::{Claim, Outcome, Settled, Turn, Turned, Wanted};
pub use unreached::Unreached;

/// What went wrong in the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    #[error("somebody changed this in the meantime; look again and repeat the step")]
    Conflict,
    #[error("{0}")]
    NotFound(String),
    #[error("the database holds something unreadable: {0}")]
    Unreadable(String),
    #[error("{0}")]
    Unsupported(String),
}

pub type Result<T> = std::result::Result<T, StoreError>;

/// Which database a URL names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// An open database.
pub struct Store {
    backend: Backend,
    readers: AnyPool,
    writers: AnyPool,
    /// Where the SQLite file is.
    file: Option<PathBuf>,
    /// Packages never change, so those known need not be asked for again.
    packages: RwLock<HashMap<Package, PackageNo>>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the pools: they know the URL, and it may hold a password.
        f.debug_struct("Store")
            .field("backend", &self.backend)
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

/// One connection, so that what is wrong is said at once and in words: a pool would try for as long as
/// its patience lasts, and then speak of nothing but that.
async fn try_to_reach(backend: Backend, url: &str, file: Option<&Path>) -> Result<()> {
    let reached = async {
        let mut connection = sqlx::AnyConnection::connect(url).await?;
        if backend == Backend::Sqlite {
            connection
                .execute("PRAGMA busy_timeout = 20000; SELECT COUNT(*) FROM sqlite_schema")
                .await?;
        }
        connection.close().await
    };
    let (place, mend) = match file {
        Some(file) => (
            format!("the database {}", file.display()),
            "look at the file and its rights, or restore a backup",
        ),
        None => (
            "PostgreSQL".to_owned(),
            "look at [database] url in the config, and whether the server runs",
        ),
    };
    reached.await.map_err(|e: sqlx::Error| {
        StoreError::Unsupported(format!("{place} can't be opened: {e}; {mend}"))
    })
}

/// The file that a SQLite URL names; a relative path is taken from `data`.
pub fn sqlite_file(url: &str, data: &Path) -> Option<PathBuf> {
    let path = url.strip_prefix("sqlite:")?;
    Some(data.join(path.trim_start_matches("//")))
}

/// The file's whole path as a URL, in which blanks and question marks must not mean anything.
fn sqlite_url(file: &Path, mode: &str) -> Result<String> {
    let whole = std::path::absolute(file)
        .map_err(|e| StoreError::Unsupported(format!("{}: {e}", file.display())))?;
    let text = whole.to_str().ok_or_else(|| {
        StoreError::Unsupported(format!(
            "the path «{}» is not UTF-8; put the database under another",
            file.display()
        ))
    })?;
    let mut url = "sqlite://".to_owned();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url += &format!("%{byte:02X}");
        }
    }
    Ok(format!("{url}?mode={mode}"))
}

impl Store {
    /// Opens the database at `url`, and makes its tables where they are missing.
    pub async fn open(url: &str, data: &Path) -> Result<Store> {
        install_default_drivers();
        let (backend, url, file) = match sqlite_file(url, data) {
            Some(path) => (Backend::Sqlite, sqlite_url(&path, "rwc")?, Some(path)),
            None if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                (Backend::Postgres, url.to_owned(), None)
            }
            None => {
                return Err(StoreError::Unsupported(format!(
                    "«{}:…» names no database; write sqlite:countermand.db or postgres://user@host/name",
                    url.split(':').next().unwrap_or_default()
                )));
            }
        };
        try_to_reach(backend, &url, file.as_deref()).await?;
        let pool = |connections: u32| {
            AnyPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(Duration::from_secs(30))
                // A server's connection may have died in the pool; a file of this machine has not.
                .test_before_acquire(backend == Backend::Postgres)
                .after_connect(move |connection, _| {
                    Box::pin(async move {
                        if backend == Backend::Sqlite {
                            // FULL: a receipt is in flight on disk before the first byte of its
                            // message leaves, through a power cut too.
                            connection
                                .execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 20000; PRAGMA foreign_keys = ON; PRAGMA cache_size = -65536")
                                .await?;
                        }
                        Ok(())
                    })
                })
        };
        // SQLite has one writer at a time anyway; queueing here is fair, its own waiting is not.
        let writers = pool(if backend == Backend::Sqlite { 1 } else { 4 })
            .connect(&url)
            .await?;
        let readers = pool(4).connect(&url).await?;
        let store = Store {
            backend,
            readers,
            writers,
            file,
            packages: RwLock::default(),
        };
        store.migrate().await?;
        Ok(store)
    }

    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// The number of the last commit.
    pub async fn version(&self) -> Result<i64> {
        Ok(
            sqlx::query_scalar("SELECT number FROM version WHERE one = 1")
                .fetch_one(&self.readers)
                .await?,
        )
    }

    pub async fn close(&self) {
        self.writers.close().await;
        self.readers.close().await;
    }

    fn known_package(&self, package: &Package) -> Option<PackageNo> {
        self.packages
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(package)
            .copied()
    }

    fn remember_packages(&self, packages: impl IntoIterator<Item = (Package, PackageNo)>) {
        self.packages
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(packages);
    }
}
