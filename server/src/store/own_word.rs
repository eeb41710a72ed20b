//! A person's own word for a device: once for each order, and only as nothing spoke against it.

use countermand_core::change::OwnWord;
use countermand_core::id::{OrderId, PersonId};
use jiff::Timestamp;

use super::follow::{KEPT, Touched, touched_since};
use super::rows::micros;
use super::write::Write;
use super::{Result, Store, StoreError, devices};

/// Whether a commit may have made something speak against a word. Told times and figures don't.
fn may_matter(touched: &Touched) -> bool {
    !matches!(
        touched,
        Touched::Told { .. }
            | Touched::Attestation { .. }
            | Touched::Refused(_)
            | Touched::Receipts(_)
    )
}

/// Writers queue, so what was judged by the facts of `as_of` still holds here if none of them changed.
pub(super) async fn save(write: &mut Write, word: &OwnWord, at: Timestamp) -> Result<()> {
    let since = touched_since(write.db(), word.as_of).await?;
    if write.version - word.as_of > KEPT || since.iter().any(may_matter) {
        return Err(StoreError::Conflict);
    }
    let done = sqlx::query("INSERT INTO own_word (order_id, person, at) VALUES ($1, $2, $3) ON CONFLICT (order_id, person) DO NOTHING")
        .bind(word.order.to_string())
        .bind(i64::from(word.recognition.person.0))
        .bind(micros(at))
        .execute(write.db())
        .await?;
    if done.rows_affected() == 0 {
        return Err(StoreError::Unsupported(
            "you have said so of one device already, and a word counts once; for another one ask the helpdesk".to_owned(),
        ));
    }
    devices::recognise(write, &word.recognition).await
}

impl Store {
    /// Whether the person has had a device recognised by their own word and a notice of the order.
    pub async fn gave_own_word(&self, order: OrderId, person: PersonId) -> Result<bool> {
        let found: Option<i64> =
            sqlx::query_scalar("SELECT person FROM own_word WHERE order_id = $1 AND person = $2")
                .bind(order.to_string())
                .bind(i64::from(person.0))
                .fetch_optional(&self.readers)
                .await?;
        Ok(found.is_some())
    }
}
