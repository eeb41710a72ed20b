//! The mode, and the glass that a responder breaks.

use countermand_core::actor::{Act, Actor};
use countermand_core::change::Change;
use countermand_core::fleet::fold;
use countermand_core::index::{DoorsOpen, Mode, Settings};

use super::{App, AppError, Result};
use crate::store::StoreError;

impl App {
    pub async fn set_mode(&self, actor: &Actor, mode: Mode) -> Result<Settings> {
        self.authorise(actor, Act::SetMode).await?;
        let action = match mode {
            Mode::Observe => "mode.observe",
            Mode::Enforce => "mode.enforce",
        };
        self.change_settings(actor, action, "", |settings| settings.mode = mode)
            .await
    }

    /// Every verdict is allow until the doors are closed again.
    pub async fn open_doors(&self, actor: &Actor, reason: &str) -> Result<Settings> {
        self.authorise(actor, Act::Respond).await?;
        if reason.trim().is_empty() {
            return Err(AppError::Input("opening all doors needs a reason".into()));
        }
        let open = DoorsOpen {
            by: fold(actor.name()),
            at: self.now(),
            reason: reason.trim().to_owned(),
        };
        self.change_settings(actor, "doors.open", reason, |settings| {
            settings.doors_open = Some(open.clone())
        })
        .await
    }

    pub async fn close_doors(&self, actor: &Actor) -> Result<Settings> {
        self.authorise(actor, Act::Respond).await?;
        self.change_settings(actor, "doors.close", "", |settings| {
            settings.doors_open = None
        })
        .await
    }

    async fn change_settings(
        &self,
        actor: &Actor,
        action: &'static str,
        why: &str,
        change: impl Fn(&mut Settings),
    ) -> Result<Settings> {
        loop {
            // From the database, not from the view: nobody's change may be undone by an older look.
            let was = self.store.settings().await?;
            let mut settings = match &was {
                Some(settings) => settings.clone(),
                None => self.live.view().settings().clone(),
            };
            change(&mut settings);
            let change = Change::Settings {
                was,
                settings: settings.clone(),
                action,
                why: why.trim().to_owned(),
            };
            match self.commit(actor, change).await {
                Err(StoreError::Conflict) => {}
                Err(other) => return Err(other.into()),
                Ok(()) => return Ok(settings),
            }
        }
    }
}
