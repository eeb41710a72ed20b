//! The key with which this installation seals its notices, and what was sealed and sent.

use countermand_core::notice::seal::SealKey;
use countermand_core::notice::{Key, ReceiptState};
use jiff::Timestamp;
use sqlx::Row;

use super::receipts::state;
use super::rows::time;
use super::{Result, Store, StoreError};

impl Store {
    /// The installation's key. The first who asks makes it of `chance`; whoever comes at the same
    /// moment gets the same one. It belongs to the database like its tables, so it is no change and
    /// stands in no record.
    pub async fn seal_key(&self, chance: impl FnOnce() -> String) -> Result<SealKey> {
        if let Some(key) = self.known_seal_key().await? {
            return Ok(key);
        }
        sqlx::query("INSERT INTO setting (name, value) VALUES ('notice_key', $1) ON CONFLICT (name) DO NOTHING")
            .bind(chance())
            .execute(&self.writers)
            .await?;
        let key = self.known_seal_key().await?;
        key.ok_or_else(|| StoreError::Unreadable("the notices' key is gone".to_owned()))
    }

    async fn known_seal_key(&self) -> Result<Option<SealKey>> {
        let value: Option<String> =
            sqlx::query_scalar("SELECT value FROM setting WHERE name = 'notice_key'")
                .fetch_optional(&self.readers)
                .await?;
        let Some(value) = value else { return Ok(None) };
        let bytes = countermand_core::hex::decode(&value).and_then(|b| b.try_into().ok());
        // Not the value: it is a secret even where it is spoilt.
        let spoilt = || {
            StoreError::Unreadable(
                "the setting «notice_key» is not 64 hexadecimal digits; restore it from a backup, or delete the row: links in notices sent so far are then no longer recognised".to_owned(),
            )
        };
        bytes.map(SealKey::new).map(Some).ok_or_else(spoilt)
    }

    /// Since when that notice may have left, if it may: in flight, accepted, or unknown; and a correction
    /// that is sent again because nobody knows whether it arrived.
    pub async fn may_have_been_sent(&self, key: &Key) -> Result<Option<Timestamp>> {
        let row = sqlx::query("SELECT state, in_flight_at FROM receipt WHERE order_id = $1 AND person = $2 AND kind = $3 AND in_flight_at IS NOT NULL")
            .bind(key.order.to_string())
            .bind(i64::from(key.person.0))
            .bind(key.kind.to_string())
            .fetch_optional(&self.readers)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let may = matches!(
            state(row.try_get("state")?)?,
            ReceiptState::InFlight
                | ReceiptState::Accepted
                | ReceiptState::Unknown
                | ReceiptState::Claimed
        );
        Ok(may.then_some(time(row.try_get("in_flight_at")?)))
    }
}
