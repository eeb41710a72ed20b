//! Who keeps what a gate has to put on record: the database, or where there is none, the spool until the main
//! server takes it.

use std::sync::Arc;

use countermand_core::change::Commit;

use super::spool::Spool;
use crate::store::{Store, StoreError};

#[derive(Clone, Debug)]
pub enum Keeper {
    Store(Arc<Store>),
    Spool(Arc<Spool>),
}

#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the spool: {0}")]
    Spool(#[from] std::io::Error),
}

impl From<Arc<Store>> for Keeper {
    fn from(store: Arc<Store>) -> Keeper {
        Keeper::Store(store)
    }
}

impl Keeper {
    /// Whose people are meant by what is to be put on record now; `None` where that is the database's.
    pub(super) fn installation(&self) -> Option<Arc<str>> {
        match self {
            Keeper::Store(_) => None,
            Keeper::Spool(spool) => spool.installation(),
        }
    }

    /// It is on disk when this returns. `installation`: whose people are meant.
    pub(super) async fn commit(
        &self,
        installation: Option<&str>,
        commit: Commit,
    ) -> Result<(), KeeperError> {
        match self {
            Keeper::Store(store) => {
                store.commit(&commit).await?;
            }
            Keeper::Spool(spool) => {
                let installation = installation.unwrap_or_default();
                spool.keep(installation, commit.change).await?;
            }
        }
        Ok(())
    }
}
