//! Refusals at doors: what was known then, by the reference that the person reads out.

use countermand_core::change::{Refusal, RefusedAgain};
use countermand_core::id::{OrderId, PersonId, refusal_ref, typed_ref};
use countermand_core::verdict::Fallback;
use jiff::Timestamp;
use roaring::RoaringBitmap;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::follow::Touched;
use super::rows::{micros, parse, time};
use super::write::Write;
use super::{Result, Store};

/// A refusal as the record has it.
#[derive(Clone, PartialEq, Debug)]
pub struct StoredRefusal {
    pub reference: String,
    pub person: Option<PersonId>,
    pub first_at: Timestamp,
    pub last_at: Timestamp,
    pub times: u64,
    /// Question and verdict as JSON.
    pub known: String,
}

pub(super) async fn save(write: &mut Write, refusals: &[Refusal]) -> Result<()> {
    let mut new = std::collections::BTreeSet::new();
    for refusal in refusals {
        sqlx::query("INSERT INTO refusal (fingerprint, reference, person, first_at, last_at, times, known) VALUES ($1, $2, $3, $4, $4, 1, $5) ON CONFLICT (fingerprint) DO UPDATE SET first_at = CASE WHEN excluded.first_at < refusal.first_at THEN excluded.first_at ELSE refusal.first_at END, last_at = CASE WHEN excluded.last_at > refusal.last_at THEN excluded.last_at ELSE refusal.last_at END, times = refusal.times + 1")
            .bind(format!("{:016x}", refusal.fingerprint))
            .bind(refusal_ref(refusal.fingerprint))
            .bind(refusal.person.map(|p| i64::from(p.0)))
            .bind(micros(refusal.at))
            .bind(&refusal.known)
            .execute(write.db())
            .await?;
        let Some(person) = refusal.person else {
            continue;
        };
        for order in &refusal.orders {
            let done = sqlx::query("INSERT INTO refused (order_id, person, at, certain) VALUES ($1, $2, $3, $4) ON CONFLICT (order_id, person) DO UPDATE SET certain = 1 WHERE excluded.certain = 1 AND refused.certain = 0")
                .bind(order.to_string())
                .bind(i64::from(person.0))
                .bind(micros(refusal.at))
                .bind(i64::from(refusal.certain))
                .execute(write.db())
                .await?;
            if done.rows_affected() == 1 {
                new.insert(*order);
            }
            if refusal.certain {
                // What was the matter last is what they are told, and a gate that was alone tells of older ones
                // later. But an unknown device stays one to have recognised.
                let unknown = refusal.missing == Some(Fallback::UnknownDevice);
                sqlx::query("UPDATE refused SET fallback = CASE WHEN COALESCE(fallback_at, $5) <= $5 THEN $3 ELSE fallback END, fallback_at = CASE WHEN COALESCE(fallback_at, $5) <= $5 THEN $5 ELSE fallback_at END, unknown_device = CASE WHEN $4 = 1 THEN 1 ELSE unknown_device END WHERE order_id = $1 AND person = $2")
                    .bind(order.to_string())
                    .bind(i64::from(person.0))
                    .bind(refusal.missing.map(Fallback::as_str))
                    .bind(i64::from(unknown))
                    .bind(micros(refusal.at))
                    .execute(write.db())
                    .await?;
            }
        }
    }
    for order in new {
        write.touch(Touched::Refused(order));
    }
    Ok(())
}

/// Adds repeats to refusals that are on record.
pub(super) async fn count(write: &mut Write, again: &[RefusedAgain]) -> Result<()> {
    for one in again {
        sqlx::query("UPDATE refusal SET times = times + $2, last_at = CASE WHEN last_at < $3 THEN $3 ELSE last_at END WHERE fingerprint = $1")
            .bind(format!("{:016x}", one.fingerprint))
            .bind(one.times as i64)
            .bind(micros(one.last_at))
            .execute(write.db())
            .await?;
    }
    Ok(())
}

impl Store {
    /// Who was for certain refused at a door because of the order, and is to be told of it.
    pub async fn refused(&self, order: OrderId) -> Result<RoaringBitmap> {
        let people: Vec<i64> =
            sqlx::query_scalar("SELECT person FROM refused WHERE order_id = $1 AND certain = 1")
                .bind(order.to_string())
                .fetch_all(&self.readers)
                .await?;
        Ok(people.into_iter().map(|p| p as u32).collect())
    }

    /// The same, and who perhaps was: all of them earn the correction.
    pub async fn perhaps_refused(&self, order: OrderId) -> Result<RoaringBitmap> {
        let people: Vec<i64> = sqlx::query_scalar("SELECT person FROM refused WHERE order_id = $1")
            .bind(order.to_string())
            .fetch_all(&self.readers)
            .await?;
        Ok(people.into_iter().map(|p| p as u32).collect())
    }

    /// Whether a door refused that person because of the order.
    pub async fn was_refused(&self, order: OrderId, person: PersonId) -> Result<bool> {
        let found: Option<i64> =
            sqlx::query_scalar("SELECT person FROM refused WHERE order_id = $1 AND person = $2")
                .bind(order.to_string())
                .bind(i64::from(person.0))
                .fetch_optional(&self.readers)
                .await?;
        Ok(found.is_some())
    }

    /// Whether it was, for certain, a device that is not known.
    pub async fn was_unknown_device(&self, order: OrderId, person: PersonId) -> Result<bool> {
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT unknown_device FROM refused WHERE order_id = $1 AND person = $2",
        )
        .bind(order.to_string())
        .bind(i64::from(person.0))
        .fetch_optional(&self.readers)
        .await?;
        Ok(found == Some(1))
    }

    /// What was missing when it was refused for certain; `None` where an app was seen.
    pub async fn missing_when_refused(
        &self,
        order: OrderId,
        person: PersonId,
    ) -> Result<Option<Fallback>> {
        let row = sqlx::query(
            "SELECT unknown_device, fallback FROM refused WHERE order_id = $1 AND person = $2",
        )
        .bind(order.to_string())
        .bind(i64::from(person.0))
        .fetch_optional(&self.readers)
        .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        if row.try_get::<i64, _>("unknown_device")? == 1 {
            return Ok(Some(Fallback::UnknownDevice));
        }
        let word: Option<&str> = row.try_get("fallback")?;
        word.map(parse).transpose()
    }

    /// Refusals that go by that reference, newest first; nearly always one.
    pub async fn refusals_called(&self, reference: &str) -> Result<Vec<StoredRefusal>> {
        let rows = sqlx::query("SELECT reference, person, first_at, last_at, times, known FROM refusal WHERE reference = $1 ORDER BY last_at DESC LIMIT 20")
            .bind(typed_ref(reference))
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(stored).collect()
    }

    /// The newest refusals of a person.
    pub async fn refusals_of(&self, person: PersonId) -> Result<Vec<StoredRefusal>> {
        let rows = sqlx::query("SELECT reference, person, first_at, last_at, times, known FROM refusal WHERE person = $1 ORDER BY last_at DESC LIMIT 20")
            .bind(i64::from(person.0))
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(stored).collect()
    }
}

fn stored(row: &AnyRow) -> Result<StoredRefusal> {
    Ok(StoredRefusal {
        reference: row.try_get("reference")?,
        person: row
            .try_get::<Option<i64>, _>("person")?
            .map(|p| PersonId(p as u32)),
        first_at: time(row.try_get("first_at")?),
        last_at: time(row.try_get("last_at")?),
        times: row.try_get::<i64, _>("times")? as u64,
        known: row.try_get("known")?,
    })
}
