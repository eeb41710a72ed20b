//! Whether a notice that somebody holds is genuine.

use countermand_core::id::PersonId;
use countermand_core::notice::Kind;
use countermand_core::notice::token::{self, Said};
use countermand_core::order::Order;
use jiff::Timestamp;

use super::{App, Result};

impl App {
    /// The address of an order's statement as one notice names it: with what proves the notice.
    pub(super) fn sealed_link(&self, order: &Order, person: PersonId, kind: Kind) -> String {
        let token = token::seal(&self.seal, order, &Said::now(order, person, kind));
        format!("{}?n={token}", self.config.statement_link(order.id))
    }

    /// What the notice with that token said, if it bears this installation's seal. Asks no database.
    pub fn opened(&self, order: &Order, token: &str) -> Option<Said> {
        // A mail program may take the full stop after a link for a part of it.
        let token = token.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        token::open(&self.seal, order, token)
    }

    /// Since when the notice that said so may have left, if it may: a seal alone proves no sending.
    pub async fn may_have_been_sent(
        &self,
        order: &Order,
        said: &Said,
    ) -> Result<Option<Timestamp>> {
        Ok(self.store.may_have_been_sent(&said.receipt(order)).await?)
    }
}
