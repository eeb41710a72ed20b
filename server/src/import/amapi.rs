//! Devices of the Android Management API: one device, `{"devices": […]}` as the list call answers,
//! an array, or one JSON object a line.

use countermand_core::fleet::{
    DeviceKey, IncomingApp, IncomingReport, KeyKind, Ownership, Visibility,
};
use countermand_core::platform::Platform;
use jiff::Timestamp;
use serde_json::Value;

use super::text::{decode, shown};
use super::{ImportError, Imported, MAX_APPS, Notes, Reject, check};

const SOURCE: &str = "amapi";

/// Stand-ins that some builds of Android give for a serial number they do not know; as keys they
/// would join strangers' devices.
const NO_SERIALS: &[&str] = &["unknown", "0", "none", "null", "0123456789abcdef"];
/// A device that enrolled again and again brings its earlier names, but not without end.
const MAX_PREVIOUS_NAMES: usize = 32;

pub(super) fn looks_like(text: &str) -> bool {
    [
        "\"applicationReports\"",
        "\"managementMode\"",
        "\"enterprises/",
    ]
    .iter()
    .any(|mark| text.contains(mark))
}

pub(super) fn reports(
    bytes: &[u8],
    arrival: Timestamp,
) -> Result<Imported<IncomingReport>, ImportError> {
    let text = decode(bytes)?;
    let mut reading = Reading {
        arrival,
        good: Vec::new(),
        rejects: Vec::new(),
        notes: Notes::default(),
    };
    match serde_json::from_str::<Value>(&text) {
        Ok(value) => reading.take_value(value)?,
        // Only in a file of one object a line does every line begin with a brace.
        Err(_)
            if lines(&text).nth(1).is_some() && lines(&text).all(|(_, l)| l.starts_with('{')) =>
        {
            for (line, raw) in lines(&text) {
                reading.take_line(line, raw);
            }
        }
        Err(error) => {
            return Err(ImportError::new(
                format!("line {}, column {}", error.line(), error.column()),
                "the file is not JSON there, or ends too early",
                "give what the API answered: one device, {\"devices\": […]}, or one device a line",
            ));
        }
    }
    let Reading {
        good,
        rejects,
        notes,
        ..
    } = reading;
    Ok(Imported {
        good,
        rejects,
        notes: notes.into_lines(),
        head: None,
    })
}

fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(i, line)| (i + 1, line.trim()))
        .filter(|(_, line)| !line.is_empty())
}

struct Reading {
    arrival: Timestamp,
    good: Vec<IncomingReport>,
    rejects: Vec<Reject>,
    notes: Notes,
}

impl Reading {
    fn take_value(&mut self, value: Value) -> Result<(), ImportError> {
        match value {
            Value::Array(devices) => self.take_list(devices),
            Value::Object(mut page) if page.contains_key("devices") => {
                let more = page
                    .get("nextPageToken")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                if !more.is_empty() {
                    self.notes.count(
                        "the file is one page of several (nextPageToken): import the others too",
                    );
                }
                match page.remove("devices") {
                    Some(Value::Array(devices)) => self.take_list(devices),
                    _ => return Err(not_devices("`devices` is no array")),
                }
            }
            Value::Object(_) => self.take_list(vec![value]),
            _ => return Err(not_devices("it is neither an object nor an array")),
        }
        Ok(())
    }

    fn take_list(&mut self, devices: Vec<Value>) {
        for (i, device) in devices.iter().enumerate() {
            match report(device, self.arrival, &mut self.notes) {
                Ok(report) => self.good.push(report),
                Err(problem) => self.rejects.push(Reject {
                    line: None,
                    raw: device.to_string(),
                    problem: match device.get("name").and_then(Value::as_str) {
                        Some(name) => format!("device «{}»: {problem}", shown(name)),
                        None => format!("device {} of the file: {problem}", i + 1),
                    },
                }),
            }
        }
    }

    fn take_line(&mut self, line: usize, raw: &str) {
        let problem = match serde_json::from_str::<Value>(raw) {
            Ok(value) if value.get("devices").is_some() => match self.take_value(value) {
                Ok(()) => return,
                Err(error) => error.to_string(),
            },
            Ok(value) => match report(&value, self.arrival, &mut self.notes) {
                Ok(report) => return self.good.push(report),
                Err(problem) => problem,
            },
            Err(error) => format!(
                "not JSON at column {}, or cut off; write one whole object a line",
                error.column()
            ),
        };
        self.rejects.push(Reject {
            line: Some(line),
            raw: raw.to_owned(),
            problem,
        });
    }
}

fn not_devices(problem: &str) -> ImportError {
    ImportError::new(
        "the file",
        problem,
        "give what the API answered: one device, {\"devices\": […]}, or one device a line",
    )
}

/// The text under a key; empty where there is none, an error where something else stands.
fn text<'v>(value: &'v Value, key: &str) -> Result<&'v str, String> {
    match value.get(key) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(text)) => Ok(text.trim()),
        Some(_) => Err(format!(
            "{key} is no text; give the record as the API answered it"
        )),
    }
}

fn report(device: &Value, arrival: Timestamp, notes: &mut Notes) -> Result<IncomingReport, String> {
    let mode = text(device, "managementMode")?;
    let visibility = match mode {
        "DEVICE_OWNER" => Visibility::Full,
        // The personal side is hidden behind a work profile, also on a company's device.
        "PROFILE_OWNER" => Visibility::ManagedOnly,
        _ => {
            notes.count(format!(
                "managementMode «{}» is not known: the device counts as managed-only",
                shown(mode)
            ));
            Visibility::ManagedOnly
        }
    };
    let ownership = match text(device, "ownership")? {
        "COMPANY_OWNED" => Ownership::Company,
        "PERSONALLY_OWNED" => Ownership::Personal,
        "" | "OWNERSHIP_UNSPECIFIED" => Ownership::Unknown,
        other => {
            notes.count(format!("ownership «{}» is not known", shown(other)));
            Ownership::Unknown
        }
    };
    let seen_at = match text(device, "lastStatusReportTime")? {
        "" => arrival,
        time => check::seen_at(time, arrival).map_err(|e| format!("lastStatusReportTime: {e}"))?,
    };
    let (apps, complete) = apps(device, notes)?;
    let software = device.get("softwareInfo").unwrap_or(&Value::Null);
    let version = check::words(text(software, "androidVersion")?);
    Ok(IncomingReport {
        source: SOURCE.to_owned(),
        keys: keys(device, notes)?,
        person: person(device, notes)?,
        platform: Some(Platform::Android),
        form_factor: None,
        ownership: Some(ownership),
        os_version: Some(version).filter(|v| !v.is_empty()),
        visibility,
        complete,
        seen_at,
        apps,
    })
}

/// The resource name, whole: its last part is unique only within one enterprise.
fn keys(device: &Value, notes: &mut Notes) -> Result<Vec<DeviceKey>, String> {
    let name = text(device, "name")?;
    if name.is_empty() {
        return Err(
            "the record has no name, so it is of no known device; give it as the API answered it"
                .to_owned(),
        );
    }
    let key = |name: &str| {
        DeviceKey::mdm(SOURCE, name).map_err(|_| format!("«{}» is no resource name", shown(name)))
    };
    let mut keys = vec![key(name)?];
    // A device that enrolled again is the same device.
    if let Some(Value::Array(previous)) = device.get("previousDeviceNames") {
        for name in previous
            .iter()
            .take(MAX_PREVIOUS_NAMES)
            .filter_map(Value::as_str)
        {
            if let Ok(key) = key(name)
                && !name.trim().is_empty()
                && !keys.contains(&key)
            {
                keys.push(key);
            }
        }
    }
    let hardware = device.get("hardwareInfo").unwrap_or(&Value::Null);
    let serial = text(hardware, "serialNumber")?;
    if NO_SERIALS.contains(&serial.to_lowercase().as_str()) {
        notes.count(format!(
            "the serial number «{serial}» stands for none and was not read"
        ));
    } else if !serial.is_empty() {
        keys.push(
            DeviceKey::new(KeyKind::Serial, serial)
                .map_err(|_| format!("serialNumber: «{}» is no serial number", shown(serial)))?,
        );
    }
    Ok(keys)
}

/// `userName` is mostly a resource of the API, which names nobody outside of it.
fn person(device: &Value, notes: &mut Notes) -> Result<Option<String>, String> {
    let user = text(device, "userName")?;
    let person = check::address(user).ok();
    if person.is_none() && !user.is_empty() {
        notes.count("userName is no mail address: the device came without a person");
    }
    Ok(person)
}

/// The apps, and whether they are all that the source can see. Without `applicationReports` the
/// policy may have reporting switched off: nothing follows from that.
fn apps(device: &Value, notes: &mut Notes) -> Result<(Vec<IncomingApp>, bool), String> {
    let entries = match device.get("applicationReports") {
        None | Some(Value::Null) => {
            notes.count("a device has no applicationReports: nothing is said of its apps");
            return Ok((Vec::new(), false));
        }
        Some(Value::Array(entries)) => entries,
        Some(_) => {
            return Err(
                "applicationReports is no array; give the record as the API answered it".to_owned(),
            );
        }
    };
    if entries.len() > MAX_APPS {
        return Err(format!(
            "{} apps on one device, where {MAX_APPS} is the most",
            entries.len()
        ));
    }
    let mut complete = true;
    let mut apps = Vec::with_capacity(entries.len());
    for entry in entries {
        let in_list = |problem: String| format!("applicationReports: {problem}");
        match text(entry, "state").map_err(in_list)? {
            "REMOVED" => continue,
            "" | "INSTALLED" | "APPLICATION_STATE_UNSPECIFIED" => {}
            other => notes.count(format!(
                "the app state «{}» is not known: the app counts as present",
                shown(other)
            )),
        }
        let id = text(entry, "packageName").map_err(in_list)?;
        let name = text(entry, "displayName").map_err(in_list)?;
        if id.is_empty() && name.is_empty() {
            notes.count(
                "an app has neither packageName nor displayName: the list counts as incomplete",
            );
            complete = false;
            continue;
        }
        if id.is_empty() {
            notes.count("an app has no packageName: it is known by its name only");
        }
        let version = text(entry, "versionName").map_err(in_list)?;
        apps.push(check::app(id, name, version).map_err(in_list)?);
    }
    Ok((apps, complete))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn arrival() -> Timestamp {
        "2020-07-10T19:00:00Z".parse().unwrap()
    }

    fn read(text: &str) -> Imported<IncomingReport> {
        reports(text.as_bytes(), arrival()).unwrap()
    }

    fn with(key: &str, value: Value) -> Value {
        let mut device = json!({
            "name": "enterprises/E/devices/d1", "managementMode": "DEVICE_OWNER",
            "ownership": "COMPANY_OWNED", "applicationReports": [],
        });
        device[key] = value;
        device
    }

    fn one(key: &str, value: Value) -> Imported<IncomingReport> {
        read(&with(key, value).to_string())
    }

    #[test]
    fn a_device_becomes_a_report() {
        let got = read(
            r#"{"name": "enterprises/E/devices/d1", "managementMode": "DEVICE_OWNER", "ownership": "COMPANY_OWNED",
                "userName": "Ana@Example.test", "lastStatusReportTime": "2020-07-10T12:00:00.123Z",
                "softwareInfo": {"androidVersion": "14"}, "hardwareInfo": {"serialNumber": "R58"},
                "previousDeviceNames": ["enterprises/E/devices/d0", "enterprises/E/devices/d1", 7],
                "applicationReports": [
                  {"packageName": "com.zhiliaoapp.musically", "displayName": "TikTok", "versionName": "16.6.5", "state": "INSTALLED"},
                  {"packageName": "com.old", "versionName": "1", "state": "REMOVED"},
                  {"packageName": "com.new", "state": "HIBERNATING"},
                  {"displayName": "Nameless"}]}"#,
        );
        assert!(got.rejects.is_empty(), "{:?}", got.rejects);
        let report = &got.good[0];
        let keys: Vec<&str> = report.keys.iter().map(DeviceKey::as_str).collect();
        assert_eq!(
            keys,
            [
                "mdm:amapi:enterprises/E/devices/d1",
                "mdm:amapi:enterprises/E/devices/d0",
                "serial:R58"
            ]
        );
        assert_eq!(report.person.as_deref(), Some("ana@example.test"));
        assert_eq!(report.ownership, Some(Ownership::Company));
        assert_eq!(
            (report.visibility, report.complete),
            (Visibility::Full, true)
        );
        assert_eq!(report.os_version.as_deref(), Some("14"));
        assert_eq!(report.seen_at, "2020-07-10T12:00:00.123Z".parse().unwrap());
        let ids: Vec<&str> = report.apps.iter().map(|a| a.package_id.as_str()).collect();
        assert_eq!(ids, ["com.zhiliaoapp.musically", "com.new", ""]);
        assert_eq!(report.apps[0].version, "16.6.5");
        assert_eq!(report.apps[2].name, "Nameless");
        assert_eq!(got.notes.len(), 2, "{:?}", got.notes);
    }

    #[test]
    fn inv_04_a_work_profile_hides_the_personal_side_whoever_owns_the_device() {
        for owner in ["PERSONALLY_OWNED", "COMPANY_OWNED"] {
            let mut device = with("managementMode", json!("PROFILE_OWNER"));
            device["ownership"] = json!(owner);
            assert_eq!(
                read(&device.to_string()).good[0].visibility,
                Visibility::ManagedOnly
            );
        }
        for unknown in [
            Value::Null,
            json!("MANAGEMENT_MODE_UNSPECIFIED"),
            json!("NEW_MODE"),
        ] {
            let got = one("managementMode", unknown);
            assert_eq!(got.good[0].visibility, Visibility::ManagedOnly);
            assert!(got.notes[0].contains("managementMode"), "{:?}", got.notes);
        }
    }

    #[test]
    fn inv_04_no_list_is_not_an_empty_list() {
        let got = one("applicationReports", Value::Null);
        assert!(!got.good[0].complete && got.good[0].apps.is_empty());
        assert!(one("applicationReports", json!([])).good[0].complete);
        assert!(!one("applicationReports", json!([{"state": "INSTALLED"}])).good[0].complete);
    }

    #[test]
    fn a_time_is_the_report_s_at_most_the_arrival() {
        assert_eq!(
            one("lastStatusReportTime", Value::Null).good[0].seen_at,
            arrival()
        );
        assert_eq!(
            one("lastStatusReportTime", json!("2031-01-01T00:00:00Z")).good[0].seen_at,
            arrival()
        );
    }

    #[test]
    fn a_stand_in_for_a_serial_and_a_resource_for_a_user_join_nobody() {
        let got = one("hardwareInfo", json!({"serialNumber": "Unknown"}));
        assert_eq!((got.good[0].keys.len(), got.notes.len()), (1, 1));
        let got = one("userName", json!("enterprises/E/users/1"));
        assert_eq!((&got.good[0].person, got.notes.len()), (&None, 1));
        assert_eq!(
            one("ownership", json!("LEASED")).good[0].ownership,
            Some(Ownership::Unknown)
        );
    }

    #[test]
    fn every_shape_of_file_is_read() {
        let device = with("ownership", json!("COMPANY_OWNED"));
        let page = json!({"devices": [device, device], "nextPageToken": "x"});
        assert_eq!(read(&page.to_string()).good.len(), 2);
        assert!(read(&page.to_string()).notes[0].contains("nextPageToken"));
        assert_eq!(read(&json!([device]).to_string()).good.len(), 1);
        assert_eq!(
            read(&serde_json::to_string_pretty(&device).unwrap())
                .good
                .len(),
            1
        );
        let got = read(&format!(
            "{device}\n\n{{\"name\": \n{page}\n{{}}\r\n{device}"
        ));
        assert_eq!(got.good.len(), 4);
        let lines: Vec<_> = got
            .rejects
            .iter()
            .map(|r| (r.line, r.raw.as_str()))
            .collect();
        assert_eq!(lines, [(Some(3), "{\"name\":"), (Some(5), "{}")]);
    }

    #[test]
    fn every_kind_of_bad_record_is_rejected_alone() {
        let many = vec![json!({"packageName": "x"}); MAX_APPS + 1];
        for (bad, expected) in [
            (json!(7), "no name"),
            (with("name", json!("")), "no name"),
            (with("name", json!(7)), "name is no text"),
            (with("name", json!("x".repeat(600))), "no resource name"),
            (with("managementMode", json!({})), "managementMode"),
            (with("lastStatusReportTime", json!("yesterday")), "RFC 3339"),
            (
                with("hardwareInfo", json!({"serialNumber": "a\nb"})),
                "serialNumber",
            ),
            (with("applicationReports", json!({})), "no array"),
            (
                with("applicationReports", json!([{"packageName": 7}])),
                "packageName is no text",
            ),
            (
                with(
                    "applicationReports",
                    json!([{"packageName": "x".repeat(600)}]),
                ),
                "package id",
            ),
            (with("applicationReports", json!(many)), "100001 apps"),
        ] {
            let file = json!({"devices": [bad, with("ownership", json!("COMPANY_OWNED"))]});
            let got = read(&file.to_string());
            assert_eq!((got.good.len(), got.rejects.len()), (1, 1), "{expected}");
            assert_eq!(got.rejects[0].raw, bad.to_string());
            assert!(
                got.rejects[0].problem.contains(expected),
                "{}",
                got.rejects[0]
            );
        }
    }

    #[test]
    fn a_file_that_is_no_such_json_is_an_error() {
        let deep = "[".repeat(100_000);
        for text in ["", "x", "7", "{\"devices\": 7}", "{\n\"name\": ", &deep] {
            let error = reports(text.as_bytes(), arrival()).unwrap_err().to_string();
            assert!(error.contains("what the API answered"), "{error}");
        }
    }
}
