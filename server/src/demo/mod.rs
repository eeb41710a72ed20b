//! The demo: 10 July 2020 at a made-up company, on Countermand's own use cases, gates and outbox.

pub mod company;
mod story;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use countermand_core::actor::{Actor, Role};
use countermand_core::index::Mode;
use countermand_core::verdict::Question;
use jiff::Timestamp;

use crate::app::{App, Result};
use crate::clock::ShiftedClock;

pub use story::Line;

/// What a door answered.
#[derive(Clone, Debug)]
pub struct AtTheDoor {
    pub let_in: bool,
    pub line: String,
}

/// The gates, as a phone meets them.
pub type Doors =
    Arc<dyn Fn(Question) -> Pin<Box<dyn Future<Output = AtTheDoor> + Send>> + Send + Sync>;

/// The three who act.
pub const ANA: &str = "ana.ruiz@example.test";
pub const BEN: &str = "ben.okafor@example.test";
pub const RITA: &str = "rita.osei@example.test";

/// When the story begins: 11:02 in Los Angeles.
pub const BEGINS: &str = "2020-07-10T11:02:00-07:00";

/// The zone in which the story is told.
pub const ZONE: &str = "America/Los_Angeles";

/// A stage on which the story is played.
pub struct Demo {
    pub app: App,
    pub clock: Arc<ShiftedClock>,
    pub doors: Doors,
    /// Takes each line of the story as it happens.
    pub tell: Box<dyn FnMut(&Line) + Send + Sync>,
}

impl Debug for Demo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Demo")
            .field("app", &self.app)
            .finish_non_exhaustive()
    }
}

pub fn begins() -> Timestamp {
    BEGINS.parse().unwrap_or(Timestamp::UNIX_EPOCH)
}

impl Demo {
    async fn operators(&self) -> Result<()> {
        let system = Actor::System("demo".to_owned());
        let all = [
            (
                ANA,
                BTreeSet::from([Role::Viewer, Role::Author, Role::Approver]),
            ),
            (BEN, BTreeSet::from([Role::Viewer, Role::Approver])),
            (
                RITA,
                BTreeSet::from([Role::Viewer, Role::Helpdesk, Role::Responder]),
            ),
        ];
        for (email, roles) in all {
            self.app.put_operator(&system, email, roles).await?;
        }
        self.app.set_mode(&system, Mode::Enforce).await?;
        Ok(())
    }

    /// Plays until devices are refused, and leaves the retraction to whoever sits at the console.
    /// The phones go on asking for their mail, until the end.
    pub async fn play(mut self) -> Result<()> {
        let mut company = self.set_up().await?;
        self.publish_and_enforce(&mut company).await?;
        self.hand_over();
        loop {
            self.some_ask(&company).await;
        }
    }

    /// Plays from start to end.
    pub async fn play_to_the_end(mut self) -> Result<()> {
        let mut company = self.set_up().await?;
        let order = self.publish_and_enforce(&mut company).await?;
        self.take_back(&order, &company).await
    }
}
