//! Our own table of devices, for whatever has no import of its own.
//!
//! A row is a complete report of one device; two rows of one device are two reports, in order.

use countermand_core::fleet::{
    DeviceKey, FormFactor, IncomingApp, IncomingReport, Ownership, Visibility,
};
use countermand_core::platform::Platform;
use jiff::Timestamp;

use super::table::{self, Column, Row};
use super::text::shown;
use super::{ImportError, Imported, MAX_APPS, check};

const SOURCE: &str = "csv";

const COLUMNS: &[Column] = &[
    Column::optional("person"),
    Column::required("device"),
    Column::optional("keys"),
    Column::required("platform"),
    Column::required("form_factor"),
    Column::optional("ownership"),
    Column::optional("visibility"),
    Column::optional("os_version"),
    Column::required("seen_at"),
    // Room for all the packages of a Linux laptop; their count is bounded apart.
    Column {
        name: "apps",
        required: false,
        max: 8 * 1024 * 1024,
    },
];

pub(super) fn looks_like(text: &str) -> bool {
    table::header_has(text, &["device", "platform"])
}

pub(super) fn reports(
    bytes: &[u8],
    arrival: Timestamp,
) -> Result<Imported<IncomingReport>, ImportError> {
    table::read(bytes, COLUMNS, |row| report(row, arrival))
}

fn report(row: &Row<'_>, arrival: Timestamp) -> Result<IncomingReport, String> {
    let person = match row.get("person") {
        "" => None,
        login => Some(check::login(login).map_err(|e| format!("person: {e}"))?),
    };
    Ok(IncomingReport {
        source: SOURCE.to_owned(),
        keys: keys(row)?,
        person,
        platform: Some(word::<Platform>(row, "platform", None)?),
        form_factor: Some(word::<FormFactor>(row, "form_factor", None)?),
        ownership: Some(word(row, "ownership", Some(Ownership::Unknown))?),
        os_version: Some(check::words(row.get("os_version"))).filter(|v| !v.is_empty()),
        visibility: word(row, "visibility", Some(Visibility::Full))?,
        complete: true,
        seen_at: check::seen_at(row.get("seen_at"), arrival)
            .map_err(|e| format!("seen_at: {e}"))?,
        apps: apps(row)?,
    })
}

/// A word of a list; `absent` is what an empty cell means, if it may be empty.
fn word<T>(row: &Row<'_>, column: &str, absent: Option<T>) -> Result<T, String>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    match (row.get(column), absent) {
        ("", Some(absent)) => Ok(absent),
        (given, _) => {
            let short = shown(given);
            short.parse().map_err(|e| format!("{column}: {e}"))
        }
    }
}

/// The device's own key first, then the others.
fn keys(row: &Row<'_>) -> Result<Vec<DeviceKey>, String> {
    let device = row.get("device");
    let own = DeviceKey::mdm(SOURCE, device)
        .ok()
        .filter(|_| !device.is_empty())
        .ok_or_else(|| {
            format!(
                "device: «{}» names no device; write its number or name, at most {} letters",
                shown(device),
                DeviceKey::MAX - SOURCE.len() - 1
            )
        })?;
    let mut keys = vec![own];
    for text in row.list("keys") {
        let key: DeviceKey = text
            .parse()
            .map_err(|_| {
                format!(
                    "keys: «{}» is no device key; write KIND:VALUE with a kind of eas, cert, cred, oauth, mdm, udid, serial or imei, such as eas:DEV7F3A",
                    shown(text)
                )
            })?;
        if keys.contains(&key) {
            continue;
        }
        if key.mdm_source() == Some(SOURCE) {
            return Err(format!(
                "keys: «{}» names another device of this table; leave it out, or put it under device",
                shown(text)
            ));
        }
        keys.push(key);
    }
    Ok(keys)
}

/// `PACKAGE_ID@VERSION`, the version after the last @, or none.
fn apps(row: &Row<'_>) -> Result<Vec<IncomingApp>, String> {
    let apps = row
        .list("apps")
        .map(|text| {
            let (id, version) = text.rsplit_once('@').unwrap_or((text, ""));
            if id.trim().is_empty() {
                return Err(format!(
                    "«{}» has no package id; write PACKAGE_ID@VERSION, such as com.zhiliaoapp.musically@16.6.5",
                    shown(text)
                ));
            }
            check::app(id, "", version)
        })
        .take(MAX_APPS + 1)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| format!("apps: {e}"))?;
    if apps.len() > MAX_APPS {
        return Err(format!(
            "apps: more than {MAX_APPS} apps on one device; is this one row many?"
        ));
    }
    Ok(apps)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const HEAD: &str =
        "person,device,keys,platform,form_factor,ownership,visibility,os_version,seen_at,apps\n";

    fn arrival() -> Timestamp {
        "2020-07-10T19:00:00Z".parse().unwrap()
    }

    fn read(rows: &str) -> Imported<IncomingReport> {
        reports(format!("{HEAD}{rows}").as_bytes(), arrival()).unwrap()
    }

    #[test]
    fn a_full_row_becomes_a_complete_report() {
        let got = read(
            "Ana@Example.test,17,eas:DEV7F3A;serial:C39;eas:44455637463341,iOS,phone,personal,managed-only,13.5,2020-07-10T12:00:00-07:00,com.zhiliaoapp.musically@16.6.5;a@b@2;plain\n",
        );
        assert!(got.rejects.is_empty(), "{:?}", got.rejects);
        let report = &got.good[0];
        let keys: Vec<&str> = report.keys.iter().map(DeviceKey::as_str).collect();
        assert_eq!(keys, ["mdm:csv:17", "eas:DEV7F3A", "serial:C39"]);
        assert_eq!(report.person.as_deref(), Some("ana@example.test"));
        assert_eq!(report.platform, Some(Platform::Ios));
        assert_eq!(report.form_factor, Some(FormFactor::Phone));
        assert_eq!(report.ownership, Some(Ownership::Personal));
        assert_eq!(report.visibility, Visibility::ManagedOnly);
        assert_eq!(report.os_version.as_deref(), Some("13.5"));
        assert!(report.complete);
        assert_eq!(report.seen_at, arrival());
        let apps: Vec<(&str, &str)> = report
            .apps
            .iter()
            .map(|a| (a.package_id.as_str(), a.version.as_str()))
            .collect();
        assert_eq!(
            apps,
            [
                ("com.zhiliaoapp.musically", "16.6.5"),
                ("a@b", "2"),
                ("plain", "")
            ]
        );
    }

    #[test]
    fn only_four_columns_are_needed() {
        let text = "seen_at,device,form_factor,platform\n2020-07-10T12:00:00Z,17,laptop,linux\n";
        let got = reports(text.as_bytes(), arrival()).unwrap();
        let report = &got.good[0];
        assert_eq!(
            (report.person.as_ref(), report.os_version.as_ref()),
            (None, None)
        );
        assert_eq!(report.ownership, Some(Ownership::Unknown));
        assert_eq!(report.visibility, Visibility::Full);
        assert!(report.complete && report.apps.is_empty());
        for missing in ["seen_at", "device", "form_factor", "platform"] {
            let error = reports(text.replace(missing, "x").as_bytes(), arrival()).unwrap_err();
            assert!(
                error.to_string().contains(&format!("no column {missing}")),
                "{error}"
            );
        }
    }

    #[test]
    fn two_rows_of_a_device_are_two_reports_in_order() {
        let row = |time: &str| format!(",17,,android,phone,,,,{time},\n");
        let got = read(&(row("2020-07-10T12:00:00Z") + &row("2020-07-09T12:00:00Z")));
        assert_eq!(got.good.len(), 2);
        assert!(got.good[0].seen_at > got.good[1].seen_at);
    }

    #[test]
    fn every_kind_of_bad_row_is_rejected_by_its_column() {
        let time = "2020-07-10T12:00:00Z";
        for (row, column) in [
            (format!("a b,17,,ios,phone,,,,{time},"), "person"),
            (format!(",,,ios,phone,,,,{time},"), "device"),
            (
                format!(",{},,ios,phone,,,,{time},", "x".repeat(600)),
                "device",
            ),
            (format!(",17,mac:1,ios,phone,,,,{time},"), "keys"),
            (format!(",17,DEV7F3A,ios,phone,,,,{time},"), "keys"),
            (format!(",17,mdm:csv:18,ios,phone,,,,{time},"), "keys"),
            (format!(",17,,,phone,,,,{time},"), "platform"),
            (format!(",17,,symbian,phone,,,,{time},"), "platform"),
            (format!(",17,,ios,,,,,{time},"), "form_factor"),
            (format!(",17,,ios,watch,,,,{time},"), "form_factor"),
            (format!(",17,,ios,phone,mine,,,{time},"), "ownership"),
            (format!(",17,,ios,phone,,some,,{time},"), "visibility"),
            (",17,,ios,phone,,,,,".to_owned(), "seen_at"),
            (",17,,ios,phone,,,,10.07.2020 12:00,".to_owned(), "seen_at"),
            (format!(",17,,ios,phone,,,,{time},@1.0"), "apps"),
            (
                format!(",17,,ios,phone,,,,{time},{}@1", "x".repeat(600)),
                "apps",
            ),
            (
                format!(",17,,ios,phone,,,,{time},{}", "a;".repeat(MAX_APPS + 1)),
                "apps",
            ),
        ] {
            let got = read(&format!("{row}\n,ok,,ios,phone,,,,{time},\n"));
            assert_eq!(got.good.len(), 1);
            let reject = &got.rejects[0];
            assert_eq!((reject.line, &reject.raw), (Some(2), &row));
            assert!(
                reject.problem.starts_with(&format!("{column}: ")),
                "{reject}"
            );
            assert!(reject.problem.len() < 600, "{reject}");
        }
    }
}
