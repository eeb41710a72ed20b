//! Use cases: everything that an operator, a person or a door can cause, one file each. A use case
//! checks who may, asks the core what follows, commits one change and lets the index catch up.

pub mod attest;
pub mod bounces;
pub mod channels;
pub mod decide;
pub mod devices;
pub mod draft;
pub mod exempt;
pub mod import;
pub mod lints;
mod looks;
pub mod mode;
pub mod notices;
pub mod office;
pub mod operators;
pub mod own_word;
pub mod publish;
pub mod purge;
pub mod rehearse;
pub mod respond;
pub mod retract;
pub mod review;
pub mod show;
pub mod stops;
pub mod verify;
pub mod waits;

use std::collections::BTreeSet;
use std::sync::Arc;

use countermand_core::actor::{Act, Actor};
use countermand_core::change::{Change, Commit, Step};
use countermand_core::fleet::fold;
use countermand_core::notice::seal::SealKey;
use countermand_core::order::{Order, Problem, TransitionError};
use jiff::Timestamp;

use crate::clock::{Clock, Ids};
use crate::config::Config;
use crate::failpoint::{self, Moment};
use crate::live::Live;
use crate::store::{Store, StoreError, StoredOrder};

/// Why a use case did not do what was asked. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Wrong use, unknown id or bad input: exit status 2, HTTP 4xx.
    #[error("{0}")]
    Input(String),
    /// Several faults of one input.
    #[error("{}", list(.0))]
    Problems(Vec<Problem>),
    /// Refused by policy: exit status 3, HTTP 403.
    #[error("{0}")]
    Policy(String),
    /// The world failed: exit status 1, HTTP 500.
    #[error("{0}")]
    Failed(String),
}

fn list(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

impl From<StoreError> for AppError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(what) | StoreError::Unsupported(what) => AppError::Input(what),
            other => AppError::Failed(other.to_string()),
        }
    }
}

impl From<TransitionError> for AppError {
    fn from(error: TransitionError) -> Self {
        match error {
            TransitionError::WrongState { .. } | TransitionError::NotLater { .. } => {
                AppError::Input(error.to_string())
            }
            TransitionError::OwnApproval { .. } | TransitionError::ApprovalExpired { .. } => {
                AppError::Policy(error.to_string())
            }
        }
    }
}

impl From<countermand_core::index::UnknownGroups> for AppError {
    fn from(error: countermand_core::index::UnknownGroups) -> Self {
        AppError::Input(error.to_string())
    }
}

pub type Result<T> = std::result::Result<T, AppError>;

/// The parts that use cases work with.
#[derive(Clone, Debug)]
pub struct App {
    pub store: Arc<Store>,
    pub live: Arc<Live>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    pub config: Arc<Config>,
    /// Seals what is sent: the links in notices, and marks that come back with bounces.
    seal: SealKey,
}

impl App {
    pub async fn open(
        config: Config,
        data: &std::path::Path,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
    ) -> Result<App> {
        let store = Arc::new(Store::open(&config.database.url, data).await?);
        let live = Live::open(
            store.clone(),
            clock.clone(),
            config.gate.policy(),
            config.mode,
        )
        .await?;
        App::over(store, live, clock, ids, Arc::new(config)).await
    }

    /// The same over parts that are there already.
    pub async fn over(
        store: Arc<Store>,
        live: Arc<Live>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        config: Arc<Config>,
    ) -> Result<App> {
        let seal = store.seal_key(|| ids.secret()).await?;
        Ok(App {
            store,
            live,
            seal,
            clock,
            ids,
            config,
        })
    }

    /// Writes down the config's mode as the installation's: from here on the database's holds.
    pub async fn initialise(&self, actor: &Actor) -> Result<()> {
        if self.store.settings().await?.is_some() {
            return Ok(());
        }
        let settings = countermand_core::index::Settings {
            mode: self.config.mode,
            doors_open: None,
        };
        let change = Change::Settings {
            was: None,
            settings,
            action: "init",
            why: String::new(),
        };
        Ok(self.commit(actor, change).await?)
    }

    /// A name by which other servers know this installation. It is another after a backup took the database's
    /// place: numbers may stand for others then.
    pub async fn installation(&self) -> Result<String> {
        let restored = self.store.last_restore().await?;
        Ok(self.seal.name_of_installation(restored))
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whether the actor may. Strangers may nothing.
    pub async fn authorise(&self, actor: &Actor, act: Act) -> Result<()> {
        let refuse = |why: String| Err(AppError::Policy(why));
        let needed = || {
            act.roles()
                .iter()
                .map(|r| r.as_str())
                .collect::<Vec<_>>()
                .join(" or ")
        };
        match actor {
            Actor::System(_) => Ok(()),
            Actor::Local(name) if act.allowed_locally() => {
                tracing::debug!(actor = %name, "acts locally");
                Ok(())
            }
            Actor::Local(_) => refuse(format!(
                "this needs an operator who may {} (role {}); say who acts with --as EMAIL",
                act.in_words(),
                needed()
            )),
            Actor::Person(name) => refuse(format!("{name} is no operator")),
            Actor::Operator(email)
            | Actor::Shell {
                operator: email, ..
            } => match self.store.operator(email).await? {
                None => refuse(format!(
                    "there is no operator «{email}»; `countermand operator add {email} --role …` makes one"
                )),
                Some(operator) if act.allowed_to(&operator.roles) => Ok(()),
                Some(_) => refuse(format!(
                    "{email} may not {}; that needs the role {}",
                    act.in_words(),
                    needed()
                )),
            },
        }
    }

    /// Commits one change; the index has it when this returns.
    pub(crate) async fn commit(
        &self,
        actor: &Actor,
        change: Change,
    ) -> std::result::Result<(), StoreError> {
        self.commit_at(actor, self.now(), change).await
    }

    /// The same for a change that carries its time, so that the record's entry has the same one.
    async fn commit_at(
        &self,
        actor: &Actor,
        at: Timestamp,
        change: Change,
    ) -> std::result::Result<(), StoreError> {
        let commit = Commit {
            actor: actor.clone(),
            at,
            change,
        };
        self.store.commit(&commit).await?;
        // It is done, whatever comes now: a view that can't follow at once does so later.
        if let Err(error) = self.live.follow().await {
            tracing::warn!(%error, "committed, but the view does not follow yet");
        }
        failpoint::pass(Moment::ChangeFollowed);
        Ok(())
    }

    /// Takes an order one step further, and tries again if somebody was quicker.
    async fn step(
        &self,
        actor: &Actor,
        id: &str,
        step: Step,
        details: serde_json::Value,
        next: impl Fn(&StoredOrder, Timestamp) -> Result<Order>,
    ) -> Result<Order> {
        const TRIES: u32 = 20;
        for _ in 0..TRIES {
            let stored = self.store.order_called(id).await?;
            let at = self.now();
            let order = next(&stored, at)?;
            let change = Change::Order {
                order: Box::new(order.clone()),
                was: Some(stored.changed),
                step,
                details: details.clone(),
            };
            match self.commit_at(actor, at, change).await {
                Err(StoreError::Conflict) => {}
                Err(other) => return Err(other.into()),
                Ok(()) => return Ok(order),
            }
        }
        Err(AppError::Failed(format!(
            "order {id} was changed by others {TRIES} times while this was tried; try again"
        )))
    }

    /// Every name of the person behind an operator, folded: two accounts of one person are one
    /// person (invariant 8).
    pub(crate) async fn same_person(&self, email: &str) -> Result<BTreeSet<String>> {
        Ok(self.store.same_person(&fold(email)).await?)
    }
}
