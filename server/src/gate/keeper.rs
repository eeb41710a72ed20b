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
    /// It is on disk when this returns.
    pub(super) async fn commit(&self, commit: Commit) -> Result<(), KeeperError> {
        match self {
            Keeper::Store(store) => {
                store.commit(&commit).await?;
            }
            Keeper::Spool(spool) => spool.keep(commit.change).await?,
        }
        Ok(())
    }
}
