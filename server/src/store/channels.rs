//! Channels: their numbers, and their receipts, which no count of people has in it.

use countermand_core::id::{OrderId, PersonId};
use countermand_core::notice::channel::{Channels, Lane};
use countermand_core::notice::{Kind, ReceiptState};
use countermand_core::order::Order;
use sqlx::{AnyConnection, Row};

use super::rows::parse;
use super::write::Write;
use super::{Result, Store, StoreError};

/// A notice to a channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChannelReceipt {
    pub channel: PersonId,
    pub kind: Kind,
    pub state: ReceiptState,
    /// What its server said.
    pub detail: String,
}

impl Store {
    /// Every receipt of a channel about the order.
    pub async fn channel_receipts(&self, order: OrderId) -> Result<Vec<ChannelReceipt>> {
        receipts(&mut *self.readers.acquire().await?, order).await
    }

    /// All channels that orders were ever announced at.
    pub async fn channels(&self) -> Result<Channels> {
        let rows = sqlx::query("SELECT no, name FROM channel")
            .fetch_all(&self.readers)
            .await?;
        rows.iter()
            .map(|row| Ok((row.try_get("name")?, number(row.try_get("no")?)?)))
            .collect()
    }
}

async fn receipts(db: &mut AnyConnection, order: OrderId) -> Result<Vec<ChannelReceipt>> {
    let rows = sqlx::query("SELECT person, kind, state, detail FROM receipt WHERE order_id = $1 AND person >= $2 ORDER BY person, kind")
        .bind(order.to_string())
        .bind(i64::from(*Lane::Channels.numbers().start()))
        .fetch_all(db)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(ChannelReceipt {
                channel: PersonId(row.try_get::<i64, _>("person")? as u32),
                kind: parse(row.try_get("kind")?)?,
                state: super::receipts::state(row.try_get("state")?)?,
                detail: row.try_get("detail")?,
            })
        })
        .collect()
}

/// Gives the order the numbers of the channels that it names; a name that is new gets the next one.
pub(super) async fn number_all(write: &mut Write, order: &mut Order) -> Result<()> {
    for name in &order.revision.file.announce.channels {
        // Writers queue, so between the two nobody takes the number.
        sqlx::query("INSERT INTO channel (no, name) SELECT CAST(COALESCE(MAX(no) + 1, 0) AS BIGINT), $1 FROM channel WHERE 1 = 1 ON CONFLICT (name) DO NOTHING")
            .bind(name)
            .execute(write.db())
            .await?;
        let no: i64 = sqlx::query_scalar("SELECT no FROM channel WHERE name = $1")
            .bind(name)
            .fetch_one(write.db())
            .await?;
        order.channels.insert(name.clone(), number(no)?);
    }
    Ok(())
}

fn number(no: i64) -> Result<u16> {
    no.try_into().map_err(|_| {
        StoreError::Unsupported(format!(
            "no number is left for a channel: {} names were used; announce at one of them",
            u32::from(u16::MAX) + 1
        ))
    })
}
