//! Which device a report is of, and what the device is after it.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::evidence::{AppSeen, Evidence, Package, Report};
use crate::fleet::{
    Device, DeviceKey, FormFactor, IncomingApp, IncomingReport, Ownership, Person, PersonRow,
    Recognition, Visibility,
};
use crate::id::{DeviceId, PackageNo, PersonId};
use crate::platform::Platform;

/// The device among `candidates` (those that share a key with the report) that the report is of.
///
/// A source's own record number decides where it is known. Otherwise a device that other sources
/// reported is the same if it shares a key and the source does not tell the two apart by numbers of
/// its own: then they are a clone or a re-enrolment, and stay two devices that the key fits
/// (invariant 5).
pub fn same_device(report: &IncomingReport, candidates: &[&Device]) -> Option<DeviceId> {
    let own: Vec<_> = report
        .keys
        .iter()
        .filter(|k| k.mdm_source() == Some(report.source.as_str()))
        .collect();
    if let Some(device) = candidates
        .iter()
        .find(|d| own.iter().any(|k| d.keys.contains(*k)))
    {
        return Some(device.id);
    }
    let shares = |d: &&&Device| report.keys.iter().any(|k| d.keys.contains(k));
    let told_apart = |d: &&&Device| {
        !own.is_empty()
            && d.keys
                .iter()
                .any(|k| k.mdm_source() == Some(report.source.as_str()))
    };
    let same: Vec<_> = candidates
        .iter()
        .filter(shares)
        .filter(|d| !told_apart(d))
        .collect();
    match same.as_slice() {
        [one] => Some(one.id),
        // Of several, only one that goes by nothing else: the device that the same ambiguous report
        // made before. Without it each import would make one more.
        several => several
            .iter()
            .find(|d| d.keys.iter().all(|k| report.keys.contains(k)))
            .map(|d| d.id),
    }
}

/// A device that nothing is known of.
pub fn blank_device(id: DeviceId, report: &IncomingReport) -> Device {
    unseen(id, report.platform, report.form_factor, report.visibility)
}

fn unseen(
    id: DeviceId,
    platform: Option<Platform>,
    form_factor: Option<FormFactor>,
    visibility: Visibility,
) -> Device {
    Device {
        id,
        person: None,
        keys: BTreeSet::new(),
        platform: platform.unwrap_or(Platform::Linux),
        form_factor: form_factor.unwrap_or(match platform {
            Some(Platform::Ios | Platform::Android) | None => FormFactor::Phone,
            Some(_) => FormFactor::Laptop,
        }),
        ownership: Ownership::Unknown,
        os_version: String::new(),
        visibility,
        last_report: None,
        evidence: Evidence::default(),
    }
}

/// Why a device key is not recognised as a device of somebody's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecognitionError {
    #[error("«{0}» is known as a device of that person already; there is nothing to do")]
    IsKnown(DeviceKey),
    #[error(
        "a report says that «{0}» is another person's; mend it at that source and import its next report, or ask its owner"
    )]
    IsAnothers(DeviceKey),
    #[error(
        "more than one device goes by «{0}», so the strictest of them decides; their reports must tell them apart first"
    )]
    IsShared(DeviceKey),
    #[error(
        "«{0}» is no key of exactly one device of that person; give one by which just that device is known, or leave it out"
    )]
    NotTheSame(DeviceKey),
}

/// The device that a recognised key is of, as it is from then on. `candidates` are the devices that go by
/// the key, `known` those that go by the one it is said to be the same as; `id` is for a new device.
///
/// It says whose the device is, and nothing of what is on it: until a report comes, that is unknown.
pub fn recognise(
    recognition: &Recognition,
    candidates: &[&Device],
    known: &[&Device],
    id: DeviceId,
) -> Result<Device, RecognitionError> {
    let person = recognition.person;
    let key = || recognition.key.clone();
    match (candidates, &recognition.same_as) {
        ([], None) => {
            let mut device = unseen(
                id,
                recognition.platform,
                recognition.form_factor,
                // What no report has seen is not invisible: a report may come.
                Visibility::Full,
            );
            device.keys.insert(key());
            device.person = Some(person);
            Ok(device)
        }
        ([], Some(other)) => match known {
            [one] if one.person == Some(person) => {
                let mut device = (*one).clone();
                device.keys.insert(key());
                Ok(device)
            }
            _ => Err(RecognitionError::NotTheSame(other.clone())),
        },
        ([one], _) if one.person == Some(person) => Err(RecognitionError::IsKnown(key())),
        ([_], Some(other)) => Err(RecognitionError::NotTheSame(other.clone())),
        // Nobody's so far, or somebody's by no more than such a word.
        ([one], None) if one.person.is_none() || one.last_report.is_none() => {
            let mut device = (*one).clone();
            device.person = Some(person);
            Ok(device)
        }
        ([_], None) => Err(RecognitionError::IsAnothers(key())),
        _ => Err(RecognitionError::IsShared(key())),
    }
}

/// What a word gave a device that nothing else says of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Given {
    pub key: bool,
    pub person: bool,
}

/// The device without what a word gave it. One that was known by words alone is then no device at all: no
/// key is left by which it could be called.
pub fn forget(device: &Device, key: &DeviceKey, given: Given) -> Device {
    let mut left = device.clone();
    if given.key {
        left.keys.remove(key);
    }
    if given.person {
        left.person = None;
        if left.last_report.is_none() {
            left.keys.clear();
        }
    }
    left
}

/// Takes a report into its device. `number` gives each package its number.
pub fn take_report(
    device: &mut Device,
    report: &IncomingReport,
    person: Option<PersonId>,
    arrival: Timestamp,
    mut number: impl FnMut(Package) -> PackageNo,
) {
    let seen_at = report.seen_at.min(arrival);
    device.keys.extend(report.keys.iter().cloned());
    // An older report never overrides a newer one.
    if device.last_report.is_none_or(|last| last <= seen_at) {
        device.last_report = Some(seen_at);
        device.visibility = report.visibility;
        device.person = person.or(device.person);
        // A source that knows no form factor only guesses the platform: what is known stands.
        if let (Some(platform), Some(form_factor)) = (report.platform, report.form_factor) {
            device.platform = platform;
            device.form_factor = form_factor;
        }
        device.ownership = report.ownership.unwrap_or(device.ownership);
        if let Some(version) = &report.os_version {
            device.os_version = plain(version);
        }
    } else if device.person.is_none() {
        device.person = person;
    }
    let apps = report
        .apps
        .iter()
        .map(|app| AppSeen {
            package: number(package_of(app)),
            version: plain(&app.version),
        })
        .collect();
    device.evidence.fold(Report {
        source: report.source.clone(),
        visibility: report.visibility,
        complete: report.complete,
        seen_at,
        apps,
    });
}

/// The package that an app in a report is. The same id under many names is one package.
pub fn package_of(app: &IncomingApp) -> Package {
    let id = plain(&app.package_id);
    let name = if id.is_empty() {
        plain(&app.name)
    } else {
        String::new()
    };
    Package { id, name }
}

/// Longer is the name of no app, and no database could index it.
const LONGEST: usize = 500;

/// Without control characters, which not every database can hold, and of bounded length.
fn plain(text: &str) -> String {
    let shown: String = text
        .chars()
        .filter(|c| !c.is_control())
        .take(LONGEST)
        .collect();
    shown.trim().to_owned()
}

/// A new person, or what a row of a staff list makes of a known one. Addresses are never dropped:
/// whoever was reached by one is still that person.
pub fn take_row(known: Option<&Person>, id: PersonId, row: &PersonRow) -> Person {
    let mut aliases = row.aliases.clone();
    if let Some(known) = known {
        aliases.extend(known.addresses().map(str::to_owned));
    }
    aliases.remove(&row.email);
    let known = |column: &str| known.filter(|_| row.absent.contains(column));
    Person {
        id,
        email: row.email.clone(),
        aliases,
        name: known("name").map_or(&row.name, |k| &k.name).clone(),
        groups: known("groups").map_or(&row.groups, |k| &k.groups).clone(),
        locale: known("locale").map_or(&row.locale, |k| &k.locale).clone(),
        time_zone: known("time_zone")
            .map_or(&row.time_zone, |k| &k.time_zone)
            .clone(),
    }
}
