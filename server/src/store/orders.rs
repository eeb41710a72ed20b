//! Orders, exemptions and attestations in the database.

use countermand_core::exemption::{Attestation, Exemption};
use countermand_core::id::{OrderId, PersonId};
use countermand_core::index::Settings;
use countermand_core::order::{Order, State};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::follow::Touched;
use super::rows::{from_json, micros, parse, time, to_json};
use super::write::Write;
use super::{Result, Store, StoreError};

/// An order and the version of its last change.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredOrder {
    pub order: Order,
    pub changed: i64,
}

pub(super) async fn load(db: &mut AnyConnection, id: Option<OrderId>) -> Result<Vec<StoredOrder>> {
    let rows = match id {
        None => {
            sqlx::query("SELECT changed, body FROM orders ORDER BY id")
                .fetch_all(&mut *db)
                .await?
        }
        Some(id) => {
            sqlx::query("SELECT changed, body FROM orders WHERE id = $1")
                .bind(id.to_string())
                .fetch_all(&mut *db)
                .await?
        }
    };
    rows.iter().map(stored).collect()
}

fn stored(row: &AnyRow) -> Result<StoredOrder> {
    Ok(StoredOrder {
        order: from_json(row.try_get("body")?)?,
        changed: row.try_get("changed")?,
    })
}

/// Writes an order's next state, unless somebody was quicker.
pub(super) async fn save(write: &mut Write, order: &Order, was: Option<i64>) -> Result<()> {
    let (id, state, body) = (order.id.to_string(), order.row_state(), to_json(order)?);
    let version = write.version;
    let done = match was {
        None => {
            sqlx::query("INSERT INTO orders (id, changed, state, body) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING")
                .bind(&id)
                .bind(version)
                .bind(state)
                .bind(body)
                .execute(write.db())
                .await?
        }
        Some(was) => {
            sqlx::query("UPDATE orders SET changed = $2, state = $3, body = $4 WHERE id = $1 AND changed = $5")
                .bind(&id)
                .bind(version)
                .bind(state)
                .bind(body)
                .bind(was)
                .execute(write.db())
                .await?
        }
    };
    if done.rows_affected() == 0 {
        return Err(StoreError::Conflict);
    }
    write.touch(Touched::Order(order.id));
    Ok(())
}

/// Writes the cause of a retraction, and nothing else of what was given. `changed` stays that of the
/// retraction, by which a late rejection is told from an early one.
pub(super) async fn say_cause(write: &mut Write, order: &Order) -> Result<()> {
    let found = load(write.db(), Some(order.id)).await?.pop();
    let mut stored = found.ok_or_else(|| no_order(&order.id.to_string()))?.order;
    let State::Retracted { retraction, .. } = &mut stored.state else {
        return Err(StoreError::Conflict);
    };
    retraction.cause = order.retraction().and_then(|r| r.cause.clone());
    sqlx::query("UPDATE orders SET body = $2 WHERE id = $1")
        .bind(order.id.to_string())
        .bind(to_json(&stored)?)
        .execute(write.db())
        .await?;
    write.touch(Touched::Order(order.id));
    Ok(())
}

pub(super) async fn save_exemption(
    write: &mut Write,
    was: Option<&Exemption>,
    exemption: &Exemption,
) -> Result<()> {
    let now: Option<String> = sqlx::query_scalar("SELECT body FROM exemption WHERE id = $1")
        .bind(exemption.id.to_string())
        .fetch_optional(write.db())
        .await?;
    if now
        .map(|n| from_json::<Exemption>(&n))
        .transpose()?
        .as_ref()
        != was
    {
        return Err(StoreError::Conflict);
    }
    sqlx::query("INSERT INTO exemption (id, body) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET body = excluded.body")
        .bind(exemption.id.to_string())
        .bind(to_json(exemption)?)
        .execute(write.db())
        .await?;
    write.touch(Touched::Exemption(exemption.id));
    Ok(())
}

pub(super) async fn load_exemptions(db: &mut AnyConnection) -> Result<Vec<Exemption>> {
    let rows = sqlx::query("SELECT body FROM exemption")
        .fetch_all(&mut *db)
        .await?;
    rows.iter()
        .map(|row| from_json(row.try_get("body")?))
        .collect()
}

pub(super) async fn save_attestation(write: &mut Write, attestation: &Attestation) -> Result<()> {
    sqlx::query("INSERT INTO attestation (order_id, person, at) VALUES ($1, $2, $3) ON CONFLICT (order_id, person) DO UPDATE SET at = excluded.at")
        .bind(attestation.order.to_string())
        .bind(i64::from(attestation.person.0))
        .bind(micros(attestation.at))
        .execute(write.db())
        .await?;
    write.touch(Touched::Attestation {
        order: attestation.order,
        person: attestation.person,
    });
    Ok(())
}

pub(super) async fn load_attestations(
    db: &mut AnyConnection,
    of: Option<(OrderId, PersonId)>,
) -> Result<Vec<Attestation>> {
    let rows =
        match of {
            None => {
                sqlx::query("SELECT order_id, person, at FROM attestation")
                    .fetch_all(&mut *db)
                    .await?
            }
            Some((order, person)) => sqlx::query(
                "SELECT order_id, person, at FROM attestation WHERE order_id = $1 AND person = $2",
            )
            .bind(order.to_string())
            .bind(i64::from(person.0))
            .fetch_all(&mut *db)
            .await?,
        };
    rows.iter()
        .map(|row| {
            Ok(Attestation {
                order: parse(row.try_get("order_id")?)?,
                person: PersonId(row.try_get::<i64, _>("person")? as u32),
                at: time(row.try_get("at")?),
            })
        })
        .collect()
}

pub(super) async fn save_settings(
    write: &mut Write,
    was: Option<&Settings>,
    settings: &Settings,
) -> Result<()> {
    if load_settings(write.db()).await?.as_ref() != was {
        return Err(StoreError::Conflict);
    }
    sqlx::query("INSERT INTO setting (name, value) VALUES ('settings', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value")
        .bind(to_json(settings)?)
        .execute(write.db())
        .await?;
    write.touch(Touched::Settings);
    Ok(())
}

/// `None` until somebody has set them: then the config file's mode holds.
pub(super) async fn load_settings(db: &mut AnyConnection) -> Result<Option<Settings>> {
    let value: Option<String> =
        sqlx::query_scalar("SELECT value FROM setting WHERE name = 'settings'")
            .fetch_optional(&mut *db)
            .await?;
    value.map(|v| from_json(&v)).transpose()
}

impl Store {
    pub async fn orders(&self) -> Result<Vec<StoredOrder>> {
        load(&mut *self.readers.acquire().await?, None).await
    }

    /// Of the orders that were ever published those to which something happened last; that a cause was
    /// given later, say. The bodies of all others, with their audiences, are not read for it.
    pub async fn newest_published(&self, most: usize) -> Result<Vec<StoredOrder>> {
        let rows = sqlx::query("SELECT changed, body FROM orders WHERE id IN (SELECT o.id FROM orders o WHERE o.state IN ('published', 'stopped', 'held', 'retracted') ORDER BY (SELECT MAX(a.number) FROM audit a WHERE a.order_id = o.id AND a.action LIKE 'order.%') DESC LIMIT $1)")
            .bind(most as i64)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(stored).collect()
    }

    /// The state that decides what may begin, as other processes see it; empty for an unknown order. The bench asks it
    /// again and again, and reads no audience for it.
    pub async fn order_state(&self, order: OrderId) -> Result<String> {
        let state: Option<String> = sqlx::query_scalar("SELECT state FROM orders WHERE id = $1")
            .bind(order.to_string())
            .fetch_optional(&self.readers)
            .await?;
        Ok(state.unwrap_or_default())
    }

    /// The order that `text` calls, by its whole id or its short form.
    pub async fn order_called(&self, text: &str) -> Result<StoredOrder> {
        let text = text.trim();
        if let Ok(id) = text.parse::<OrderId>() {
            let found = load(&mut *self.readers.acquire().await?, Some(id))
                .await?
                .pop();
            return found.ok_or_else(|| no_order(text));
        }
        let mut fits = self
            .orders()
            .await?
            .into_iter()
            .filter(|o| o.order.id.is_called(text));
        match (fits.next(), fits.next()) {
            (Some(one), None) => Ok(one),
            (Some(_), Some(_)) => Err(StoreError::NotFound(format!(
                "«{text}» fits more than one order; give the whole id, as `countermand order list --json` shows it"
            ))),
            (None, _) => Err(no_order(text)),
        }
    }

    pub async fn settings(&self) -> Result<Option<Settings>> {
        load_settings(&mut *self.readers.acquire().await?).await
    }
}

fn no_order(text: &str) -> StoreError {
    StoreError::NotFound(format!(
        "there is no order «{text}»; `countermand order list` shows all"
    ))
}
