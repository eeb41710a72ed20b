//! Devices, their keys and their evidence in the database.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use countermand_core::evidence::{Evidence, Package};
use countermand_core::fleet::{Device, DeviceKey, IncomingReport, Recognition, fold};
use countermand_core::id::{DeviceId, PackageNo};
use countermand_core::join::{self, Given, blank_device, package_of, same_device, take_report};
use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::follow::Touched;
use super::rows::{AT_ONCE, micros, numbered, one_of, parse, time, values};
use super::words::{self, Reported};
use super::write::Write;
use super::{Result, Store, StoreError, people};

/// The first byte of stored evidence: how the rest is to be read.
const EVIDENCE_FORM: u8 = 1;

fn pack(evidence: &Evidence) -> Result<Vec<u8>> {
    postcard::to_extend(evidence, vec![EVIDENCE_FORM])
        .map_err(|e| StoreError::Unreadable(e.to_string()))
}

fn unpack(bytes: &[u8]) -> Result<Evidence> {
    match bytes.split_first() {
        Some((&EVIDENCE_FORM, rest)) => {
            postcard::from_bytes(rest).map_err(|e| StoreError::Unreadable(format!("evidence: {e}")))
        }
        _ => Err(StoreError::Unreadable(
            "evidence of a form that this program does not know".to_owned(),
        )),
    }
}

const COLUMNS: &str = "SELECT id, person, platform, form_factor, ownership, os_version, visibility, last_report, evidence FROM device";

fn device(row: &AnyRow) -> Result<Device> {
    Ok(Device {
        id: DeviceId(row.try_get::<i64, _>("id")? as u32),
        person: row
            .try_get::<Option<i64>, _>("person")?
            .map(|p| countermand_core::id::PersonId(p as u32)),
        keys: BTreeSet::new(),
        platform: parse(row.try_get("platform")?)?,
        form_factor: parse(row.try_get("form_factor")?)?,
        ownership: parse(row.try_get("ownership")?)?,
        os_version: row.try_get("os_version")?,
        visibility: parse(row.try_get("visibility")?)?,
        last_report: row.try_get::<Option<i64>, _>("last_report")?.map(time),
        evidence: unpack(row.try_get("evidence")?)?,
    })
}

/// The devices with these numbers; all of them, if there are none.
pub(super) async fn load(db: &mut AnyConnection, ids: Option<&[DeviceId]>) -> Result<Vec<Device>> {
    let numbers: Option<Vec<i64>> = ids.map(|ids| ids.iter().map(|id| i64::from(id.0)).collect());
    let numbers = numbers.as_deref();
    let rows = numbered(db, COLUMNS, "id", numbers).await?;
    let named = "SELECT device, text FROM device_key";
    let keys = numbered(db, named, "device", numbers).await?;
    let mut devices: BTreeMap<DeviceId, Device> = BTreeMap::new();
    for row in &rows {
        let device = device(row)?;
        devices.insert(device.id, device);
    }
    for row in &keys {
        let id = DeviceId(row.try_get::<i64, _>("device")? as u32);
        if let Some(device) = devices.get_mut(&id) {
            device
                .keys
                .insert(parse::<DeviceKey>(row.try_get("text")?)?);
        }
    }
    Ok(devices.into_values().collect())
}

/// Which devices each of the keys fits.
async fn by_key(db: &mut AnyConnection, keys: &[&str]) -> Result<HashMap<String, Vec<DeviceId>>> {
    let mut found: HashMap<String, Vec<DeviceId>> = HashMap::new();
    for chunk in keys.chunks(AT_ONCE) {
        let sql = one_of(
            "SELECT canonical, device FROM device_key WHERE canonical IN",
            1,
            chunk.len(),
            "",
        );
        for row in chunk
            .iter()
            .fold(sqlx::query(sql), |q, k| q.bind(*k))
            .fetch_all(&mut *db)
            .await?
        {
            found
                .entry(row.try_get("canonical")?)
                .or_default()
                .push(DeviceId(row.try_get::<i64, _>("device")? as u32));
        }
    }
    Ok(found)
}

/// Takes a chunk of reports in: each joined to its device, in the order of the chunk.
pub(super) async fn import(
    store: &Store,
    write: &mut Write,
    reports: &[IncomingReport],
    arrival: Timestamp,
) -> Result<Vec<(Package, PackageNo)>> {
    let keys: BTreeSet<&str> = reports
        .iter()
        .flat_map(|r| r.keys.iter().map(DeviceKey::canonical))
        .collect();
    let mut fits = by_key(write.db(), &keys.into_iter().collect::<Vec<_>>()).await?;
    let involved: Vec<DeviceId> = fits
        .values()
        .flatten()
        .copied()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let mut devices: BTreeMap<DeviceId, Device> = load(write.db(), Some(&involved))
        .await?
        .into_iter()
        .map(|d| (d.id, d))
        .collect();
    let addresses: BTreeSet<String> = reports
        .iter()
        .filter_map(|r| r.person.as_deref())
        .map(fold)
        .collect();
    let owners = people::by_address(write.db(), &addresses.into_iter().collect::<Vec<_>>()).await?;
    let (numbers, fresh) = number_packages(store, write, reports).await?;
    let mut next = next_id(write).await?;
    let mut reported: BTreeMap<DeviceId, Reported> = BTreeMap::new();
    for report in reports {
        let near: BTreeSet<DeviceId> = report
            .keys
            .iter()
            .filter_map(|k| fits.get(k.canonical()))
            .flatten()
            .copied()
            .collect();
        let candidates: Vec<&Device> = near.iter().filter_map(|id| devices.get(id)).collect();
        let id = same_device(report, &candidates).unwrap_or_else(|| {
            next += 1;
            DeviceId((next - 1) as u32)
        });
        let device = devices
            .entry(id)
            .or_insert_with(|| blank_device(id, report));
        let person = report
            .person
            .as_deref()
            .and_then(|p| owners.get(&fold(p)))
            .copied();
        take_report(device, report, person, arrival, |package| {
            numbers
                .get(&package)
                .copied()
                .unwrap_or(PackageNo(u32::MAX))
        });
        for key in &report.keys {
            let of = fits.entry(key.canonical().to_owned()).or_default();
            if !of.contains(&id) {
                of.push(id);
            }
        }
        let said = reported.entry(id).or_default();
        said.keys
            .extend(report.keys.iter().map(|k| k.canonical().to_owned()));
        said.person = person.or(said.person);
    }
    let changed: Vec<&Device> = reported.keys().filter_map(|id| devices.get(id)).collect();
    save(write, &changed).await?;
    words::outweighed(write, &reported, &devices).await?;
    write.touch(Touched::Devices(changed.iter().map(|d| d.id).collect()));
    Ok(fresh)
}

async fn next_id(write: &mut Write) -> Result<i64> {
    let sql = "SELECT CAST(COALESCE(MAX(id), -1) + 1 AS BIGINT) FROM device";
    Ok(sqlx::query_scalar(sql).fetch_one(write.db()).await?)
}

/// Makes a key one of a device of a person's, if nothing that is known speaks against it.
pub(super) async fn recognise(write: &mut Write, recognition: &Recognition) -> Result<()> {
    let key = recognition.key.canonical();
    let other = recognition.same_as.as_ref().map(DeviceKey::canonical);
    let keys: Vec<&str> = std::iter::once(key).chain(other).collect();
    let fits = by_key(write.db(), &keys).await?;
    let ids: Vec<DeviceId> = fits.values().flatten().copied().collect();
    let devices = load(write.db(), Some(&ids)).await?;
    let called = |key: &str| -> Vec<&Device> {
        let ids = fits.get(key).map_or(&[][..], Vec::as_slice);
        devices.iter().filter(|d| ids.contains(&d.id)).collect()
    };
    let known = other.map(called).unwrap_or_default();
    let fresh = DeviceId(next_id(write).await? as u32);
    let device = join::recognise(recognition, &called(key), &known, fresh)
        .map_err(|e| StoreError::Unsupported(e.to_string()))?;
    let before = devices.iter().find(|d| d.id == device.id);
    let given = Given {
        key: before.is_none_or(|d| !d.keys.contains(&recognition.key)),
        person: before.is_none_or(|d| d.person != device.person),
    };
    save(write, &[&device]).await?;
    words::save(write, device.id, &recognition.key, given).await?;
    write.touch(Touched::Devices(vec![device.id]));
    Ok(())
}

/// Gives every package of the reports its number; `fresh` are those that had none.
async fn number_packages(
    store: &Store,
    write: &mut Write,
    reports: &[IncomingReport],
) -> Result<(HashMap<Package, PackageNo>, Vec<(Package, PackageNo)>)> {
    let mut numbers = HashMap::new();
    let mut missing: BTreeSet<Package> = BTreeSet::new();
    for app in reports.iter().flat_map(|r| &r.apps) {
        let package = package_of(app);
        match store.known_package(&package) {
            Some(no) => {
                numbers.insert(package, no);
            }
            None => {
                missing.insert(package);
            }
        }
    }
    if missing.is_empty() {
        return Ok((numbers, Vec::new()));
    }
    // Another process may have numbered them.
    let mut seen = stored_packages(write.db(), &missing).await?;
    for (package, _) in &seen {
        missing.remove(package);
    }
    let next: i64 =
        sqlx::query_scalar("SELECT CAST(COALESCE(MAX(no), -1) + 1 AS BIGINT) FROM package")
            .fetch_one(write.db())
            .await?;
    let next = next as u32;
    let fresh: Vec<(Package, PackageNo)> = missing
        .into_iter()
        .zip(next..)
        .map(|(package, no)| (package, PackageNo(no)))
        .collect();
    for chunk in fresh.chunks(AT_ONCE) {
        let sql = values("INSERT INTO package (no, id, name)", 1, chunk.len(), 3, "");
        let query = chunk.iter().fold(sqlx::query(sql), |q, (p, no)| {
            q.bind(i64::from(no.0)).bind(&p.id).bind(&p.name)
        });
        query.execute(write.db()).await?;
    }
    if !fresh.is_empty() {
        write.touch(Touched::Packages {
            from: PackageNo(next),
        });
    }
    numbers.extend(seen.iter().chain(&fresh).cloned());
    seen.extend(fresh);
    Ok((numbers, seen))
}

/// Those of the packages that have a number.
async fn stored_packages(
    db: &mut AnyConnection,
    packages: &BTreeSet<Package>,
) -> Result<Vec<(Package, PackageNo)>> {
    let mut found = Vec::new();
    let (nameless, named): (Vec<&Package>, Vec<&Package>) =
        packages.iter().partition(|p| p.name.is_empty());
    for (which, of) in [
        ("name = '' AND id IN", nameless),
        ("id = '' AND name IN", named),
    ] {
        for chunk in of.chunks(AT_ONCE) {
            let sql = one_of(
                &format!("SELECT no, id, name FROM package WHERE {which}"),
                1,
                chunk.len(),
                "",
            );
            let query = chunk.iter().fold(sqlx::query(sql), |q, p| {
                q.bind(if p.name.is_empty() { &p.id } else { &p.name })
            });
            for row in query.fetch_all(&mut *db).await? {
                let (no, package) = package(&row)?;
                found.push((package, no));
            }
        }
    }
    Ok(found)
}

/// All packages numbered `from` or higher.
pub(super) async fn load_packages(
    db: &mut AnyConnection,
    from: PackageNo,
) -> Result<Vec<(PackageNo, Package)>> {
    let rows = sqlx::query("SELECT no, id, name FROM package WHERE no >= $1 ORDER BY no")
        .bind(i64::from(from.0))
        .fetch_all(&mut *db)
        .await?;
    rows.iter().map(package).collect()
}

fn package(row: &AnyRow) -> Result<(PackageNo, Package)> {
    let package = Package {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
    };
    Ok((PackageNo(row.try_get::<i64, _>("no")? as u32), package))
}

pub(super) async fn save(write: &mut Write, devices: &[&Device]) -> Result<()> {
    for chunk in devices.chunks(AT_ONCE) {
        let sql = values(
            "INSERT INTO device (id, person, platform, form_factor, ownership, os_version, visibility, last_report, evidence)",
            1,
            chunk.len(),
            9,
            "ON CONFLICT (id) DO UPDATE SET person = excluded.person, platform = excluded.platform, form_factor = excluded.form_factor, ownership = excluded.ownership, os_version = excluded.os_version, visibility = excluded.visibility, last_report = excluded.last_report, evidence = excluded.evidence",
        );
        let mut query = sqlx::query(sql);
        for device in chunk {
            query = query
                .bind(i64::from(device.id.0))
                .bind(device.person.map(|p| i64::from(p.0)))
                .bind(device.platform.as_str())
                .bind(device.form_factor.as_str())
                .bind(device.ownership.as_str())
                .bind(&device.os_version)
                .bind(device.visibility.as_str())
                .bind(device.last_report.map(micros))
                .bind(pack(&device.evidence)?);
        }
        query.execute(write.db()).await?;
        let keys: Vec<(&DeviceKey, i64)> = chunk
            .iter()
            .flat_map(|d| d.keys.iter().map(|k| (k, i64::from(d.id.0))))
            .collect();
        for some in keys.chunks(AT_ONCE) {
            let sql = values(
                "INSERT INTO device_key (canonical, device, text)",
                1,
                some.len(),
                3,
                "ON CONFLICT (canonical, device) DO NOTHING",
            );
            let query = some.iter().fold(sqlx::query(sql), |q, (k, id)| {
                q.bind(k.canonical()).bind(*id).bind(k.as_str())
            });
            query.execute(write.db()).await?;
        }
    }
    Ok(())
}
