//! Device keys that people came with, where no report says that the device is theirs.

use std::collections::BTreeSet;

use countermand_core::fleet::{Claim, DeviceKey};
use countermand_core::id::PersonId;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::follow::Touched;
use super::rows::{AT_ONCE, micros, one_of, parse, time, values};
use super::write::Write;
use super::{Result, Store};

const COLUMNS: &str = "SELECT text, person, at, is_first FROM device_claim";

fn claim(row: &AnyRow) -> Result<Claim> {
    Ok(Claim {
        key: parse::<DeviceKey>(row.try_get("text")?)?,
        person: PersonId(row.try_get::<i64, _>("person")? as u32),
        at: time(row.try_get("at")?),
        first: row.try_get::<i64, _>("is_first")? == 1,
    })
}

/// Keeps those that are news. Who came first is settled here, where writers queue: servers that hear two
/// people with one key in the same moment agree on it.
pub(super) async fn save(write: &mut Write, claims: &[Claim]) -> Result<()> {
    let mut fresh = Vec::new();
    for chunk in claims.chunks(AT_ONCE) {
        let keys: BTreeSet<&str> = chunk.iter().map(|c| c.key.canonical()).collect();
        let sql = one_of(
            "SELECT DISTINCT canonical FROM device_claim WHERE canonical IN",
            1,
            keys.len(),
            "",
        );
        let query = keys
            .iter()
            .fold(sqlx::query_scalar(sql), |q, key| q.bind(*key));
        let known: Vec<String> = query.fetch_all(write.db()).await?;
        let mut known: BTreeSet<&str> = known.iter().map(String::as_str).collect();
        let sql = values(
            "INSERT INTO device_claim (canonical, person, text, at, is_first)",
            1,
            chunk.len(),
            5,
            "ON CONFLICT (canonical, person) DO NOTHING",
        );
        let query = chunk.iter().fold(sqlx::query(sql), |q, claim| {
            q.bind(claim.key.canonical())
                .bind(i64::from(claim.person.0))
                .bind(claim.key.as_str())
                .bind(micros(claim.at))
                .bind(i64::from(known.insert(claim.key.canonical())))
        });
        if query.execute(write.db()).await?.rows_affected() > 0 {
            fresh.extend(keys.into_iter().map(str::to_owned));
        }
    }
    if !fresh.is_empty() {
        write.touch(Touched::Claims(fresh));
    }
    Ok(())
}

/// Every claim of the keys; all claims, if there are none.
pub(super) async fn load(db: &mut AnyConnection, keys: Option<&[String]>) -> Result<Vec<Claim>> {
    let mut rows = Vec::new();
    match keys {
        None => rows = sqlx::query(COLUMNS).fetch_all(&mut *db).await?,
        Some(keys) => {
            for chunk in keys.chunks(AT_ONCE) {
                let before = format!("{COLUMNS} WHERE canonical IN");
                let sql = one_of(&before, 1, chunk.len(), "");
                let query = chunk.iter().fold(sqlx::query(sql), |q, key| q.bind(key));
                rows.extend(query.fetch_all(&mut *db).await?);
            }
        }
    }
    rows.iter().map(claim).collect()
}

impl Store {
    /// Who came with the key, in the order in which they first did.
    pub async fn claims_of_key(&self, key: &DeviceKey) -> Result<Vec<Claim>> {
        let mut db = self.readers.acquire().await?;
        let mut claims = load(&mut db, Some(&[key.canonical().to_owned()])).await?;
        claims.sort_by_key(|c| (!c.first, c.at, c.person));
        Ok(claims)
    }

    /// What a person came with, the newest first.
    pub async fn claims_of_person(&self, person: PersonId) -> Result<Vec<Claim>> {
        let rows = sqlx::query("SELECT text, person, at, is_first FROM device_claim WHERE person = $1 ORDER BY at DESC, canonical")
            .bind(i64::from(person.0))
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(claim).collect()
    }
}
