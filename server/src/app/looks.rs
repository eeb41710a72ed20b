//! Who looks at a person's devices or apps is on record before they see any (invariant 37).

use std::collections::BTreeSet;

use countermand_core::actor::Actor;
use countermand_core::change::{Change, Look};
use countermand_core::id::PersonId;

use super::{App, Result};

impl App {
    /// What is nobody's leaves no entry.
    pub(super) async fn looked(
        &self,
        actor: &Actor,
        what: &'static str,
        people: impl IntoIterator<Item = PersonId>,
    ) -> Result<()> {
        let people: BTreeSet<PersonId> = people.into_iter().collect();
        if people.is_empty() {
            return Ok(());
        }
        let look = Change::Looked(Look { what, people });
        Ok(self.commit(actor, look).await?)
    }
}
