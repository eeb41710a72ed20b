//! Words by which devices were recognised: what each gave, so that it can be taken back.

use std::collections::{BTreeMap, BTreeSet};

use countermand_core::fleet::{Device, DeviceKey};
use countermand_core::id::{DeviceId, PersonId};
use countermand_core::join::{self, Given};
use sqlx::Row;

use super::follow::Touched;
use super::rows::numbered;
use super::write::Write;
use super::{Result, StoreError, devices};

/// A later word adds to an earlier one of the same key.
pub(super) async fn save(
    write: &mut Write,
    device: DeviceId,
    key: &DeviceKey,
    given: Given,
) -> Result<()> {
    sqlx::query("INSERT INTO device_word (device, canonical, gave_key, gave_person) VALUES ($1, $2, $3, $4) ON CONFLICT (device, canonical) DO UPDATE SET gave_key = CASE WHEN excluded.gave_key = 1 THEN 1 ELSE device_word.gave_key END, gave_person = CASE WHEN excluded.gave_person = 1 THEN 1 ELSE device_word.gave_person END")
        .bind(i64::from(device.0))
        .bind(key.canonical())
        .bind(i64::from(given.key))
        .bind(i64::from(given.person))
        .execute(write.db())
        .await?;
    Ok(())
}

/// What reports said of one device.
#[derive(Debug, Default)]
pub(super) struct Reported {
    pub keys: BTreeSet<String>,
    /// Whose it is, where they name its person.
    pub person: Option<PersonId>,
}

/// What reports say is theirs from then on, and no word takes it back.
pub(super) async fn outweighed(
    write: &mut Write,
    reported: &BTreeMap<DeviceId, Reported>,
    devices: &BTreeMap<DeviceId, Device>,
) -> Result<()> {
    const WORDS: &str = "SELECT device, canonical FROM device_word";
    let numbers: Vec<i64> = reported.keys().map(|id| i64::from(id.0)).collect();
    for row in numbered(write.db(), WORDS, "device", Some(&numbers)).await? {
        let id = DeviceId(row.try_get::<i64, _>("device")? as u32);
        let canonical: &str = row.try_get("canonical")?;
        let Some(said) = reported.get(&id) else {
            continue;
        };
        let now = devices.get(&id).and_then(|device| device.person);
        let named = said.person.is_some() && said.person == now;
        sqlx::query("UPDATE device_word SET gave_key = CASE WHEN $3 = 1 THEN 0 ELSE gave_key END, gave_person = CASE WHEN $4 = 1 THEN 0 ELSE gave_person END WHERE device = $1 AND canonical = $2")
            .bind(i64::from(id.0))
            .bind(canonical)
            .bind(i64::from(said.keys.contains(canonical)))
            .bind(i64::from(named))
            .execute(write.db())
            .await?;
    }
    Ok(())
}

/// Takes back whatever words gave by that key, and tells whose the device was.
pub(super) async fn forget(write: &mut Write, key: &DeviceKey) -> Result<Option<PersonId>> {
    let canonical = key.canonical();
    let rows = sqlx::query("SELECT device, gave_key, gave_person FROM device_word WHERE canonical = $1 AND gave_key + gave_person > 0")
        .bind(canonical)
        .fetch_all(write.db())
        .await?;
    let mut given = BTreeMap::new();
    for row in &rows {
        let id = DeviceId(row.try_get::<i64, _>("device")? as u32);
        let gave = Given {
            key: row.try_get::<i64, _>("gave_key")? == 1,
            person: row.try_get::<i64, _>("gave_person")? == 1,
        };
        given.insert(id, gave);
    }
    let ids: Vec<DeviceId> = given.keys().copied().collect();
    if ids.is_empty() {
        return Err(StoreError::Unsupported(format!(
            "nobody's word recognised «{key}», or a report says the same by now; what a report says is mended at its source"
        )));
    }
    let mut whose = None;
    for device in devices::load(write.db(), Some(&ids)).await? {
        whose = whose.or(device.person);
        let gave = given.get(&device.id).copied().unwrap_or_default();
        let left = join::forget(&device, key, gave);
        devices::save(write, &[&left]).await?;
        for gone in device.keys.difference(&left.keys) {
            sqlx::query("DELETE FROM device_key WHERE device = $1 AND canonical = $2")
                .bind(i64::from(device.id.0))
                .bind(gone.canonical())
                .execute(write.db())
                .await?;
        }
        // Of a device that nothing else is known of, every word goes with the person.
        let sql = match left.keys.is_empty() {
            true => "DELETE FROM device_word WHERE device = $1 AND $2 <> ''",
            false => "DELETE FROM device_word WHERE device = $1 AND canonical = $2",
        };
        sqlx::query(sql)
            .bind(i64::from(device.id.0))
            .bind(canonical)
            .execute(write.db())
            .await?;
    }
    write.touch(Touched::Devices(ids));
    Ok(whose)
}
