//! A device's answer to Apple's `InstalledApplicationList` command, as a device manager gets it:
//! one property list, XML or binary, a file.
//!
//! The answer does not say what was asked. An answer to a query with `Identifiers` lists just those
//! apps and must not be imported; of one with `ManagedAppsOnly` we know only where the file says so.
//!
//! An app that is still installing is kept: it may be an update of an app that is there, and to
//! leave it out of a complete list would say that it is gone.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use countermand_core::fleet::{
    DeviceKey, FormFactor, IncomingApp, IncomingReport, KeyKind, Visibility,
};
use countermand_core::platform::Platform;
use jiff::Timestamp;

use super::plist_tree::{self, Node};
use super::text::{decode, shown};
use super::{ImportError, Imported, MAX_APPS, Notes, Reject, check};

const SOURCE: &str = "apple-mdm";

pub(super) fn reports(
    bytes: &[u8],
    arrival: Timestamp,
) -> Result<Imported<IncomingReport>, ImportError> {
    let answer = plist_tree::read(bytes)?;
    let mut notes = Notes::default();
    let (mut good, mut rejects) = (Vec::new(), Vec::new());
    match report(&answer, arrival, &mut notes) {
        Ok(report) => good.push(report),
        Err(problem) => rejects.push(Reject {
            line: None,
            raw: raw(bytes),
            problem,
        }),
    }
    Ok(Imported {
        good,
        rejects,
        notes: notes.into_lines(),
        head: None,
    })
}

/// Binary bytes are no text: they are kept as base64.
fn raw(bytes: &[u8]) -> String {
    match decode(bytes) {
        Ok(text) if !plist_tree::is_binary(bytes) => text.into_owned(),
        _ => STANDARD.encode(bytes),
    }
}

fn report(answer: &Node, arrival: Timestamp, notes: &mut Notes) -> Result<IncomingReport, String> {
    if answer.get("Command").is_some() {
        return Err("this is the command, not the device's answer; give the answer".to_owned());
    }
    match answer.text("Status") {
        "Acknowledged" => {}
        "" => {
            return Err(
                "the answer has no Status, so it may be cut; expected Acknowledged".to_owned(),
            );
        }
        other => {
            return Err(format!(
                "Status is «{}» where Acknowledged was expected{}; ask the device again",
                shown(other),
                first_error(answer)
            ));
        }
    }
    let Some(list) = answer.get("InstalledApplicationList") else {
        let kind = match answer.text("RequestType") {
            "" => String::new(),
            kind => format!(" (it answers «{}»)", shown(kind)),
        };
        return Err(format!(
            "the answer has no InstalledApplicationList{kind}; give the answer to that command"
        ));
    };
    let Node::List(entries) = list else {
        return Err("InstalledApplicationList is no array; give the answer as it came".to_owned());
    };
    if entries.len() > MAX_APPS {
        return Err(format!(
            "{} apps on one device, where {MAX_APPS} is the most",
            entries.len()
        ));
    }
    let keys = keys(answer)?;
    let is_mac = is_uuid(answer.text("UDID"));
    let mut complete = true;
    let mut apps = Vec::with_capacity(entries.len());
    for entry in entries {
        match app(entry, notes)? {
            Some(app) => apps.push(app),
            None => complete = false,
        }
    }
    Ok(IncomingReport {
        source: SOURCE.to_owned(),
        keys,
        person: None,
        platform: Some(if is_mac {
            Platform::Macos
        } else {
            Platform::Ios
        }),
        // Of the others it may be a phone or a tablet.
        form_factor: is_mac.then_some(FormFactor::Laptop),
        ownership: None,
        os_version: None,
        visibility: visibility(answer),
        complete,
        seen_at: arrival,
        apps,
    })
}

/// A device under user enrolment has an EnrollmentID in place of its UDID, and shows managed apps
/// only. Where a file has both, the narrower view is believed.
fn visibility(answer: &Node) -> Visibility {
    let narrow = !answer.text("EnrollmentID").is_empty() || answer.is_set("ManagedAppsOnly");
    if narrow {
        Visibility::ManagedOnly
    } else {
        Visibility::Full
    }
}

/// A Mac's UDID is the UUID of its board; iPhones and iPads have 40 hexadecimal digits, or 8 and 16 since
/// 2018 (NanoMDM's operations guide lists them by example). An EnrollmentID is a UUID on both, so it tells nothing.
fn is_uuid(udid: &str) -> bool {
    let groups: Vec<&str> = udid.split('-').collect();
    groups.iter().map(|g| g.len()).eq([8, 4, 4, 4, 12])
        && groups.concat().bytes().all(|b| b.is_ascii_hexdigit())
}

fn keys(answer: &Node) -> Result<Vec<DeviceKey>, String> {
    let (udid, enrolment) = (answer.text("UDID"), answer.text("EnrollmentID"));
    let mut keys = Vec::new();
    for id in [udid, enrolment].into_iter().filter(|id| !id.is_empty()) {
        keys.push(
            DeviceKey::mdm(SOURCE, id).map_err(|_| format!("«{}» is no device id", shown(id)))?,
        );
    }
    if !udid.is_empty() {
        keys.push(
            DeviceKey::new(KeyKind::Udid, udid)
                .map_err(|_| format!("UDID: «{}» is no device id", shown(udid)))?,
        );
    }
    if keys.is_empty() {
        return Err("the answer has neither UDID nor EnrollmentID, so it is of no known device; give the answer as it came".to_owned());
    }
    Ok(keys)
}

/// `None` for an entry that names nothing: then the list is not the whole of what is there.
fn app(entry: &Node, notes: &mut Notes) -> Result<Option<IncomingApp>, String> {
    let (id, name) = (entry.text("Identifier"), entry.text("Name"));
    if id.is_empty() && name.is_empty() {
        notes.count("an entry has neither Identifier nor Name: the list counts as incomplete");
        return Ok(None);
    }
    if id.is_empty() {
        notes.count("an entry has no Identifier: the app is known by its name only");
    }
    if entry.is_set("Installing") {
        notes.count("an app is still installing: it counts as present");
    }
    let version = match entry.text("ShortVersion") {
        "" => entry.text("Version"),
        short => short,
    };
    check::app(id, name, version)
        .map(Some)
        .map_err(|e| format!("InstalledApplicationList: {e}"))
}

fn first_error(answer: &Node) -> String {
    let Some(Node::List(chain)) = answer.get("ErrorChain") else {
        return String::new();
    };
    let said = chain
        .iter()
        .flat_map(|e| {
            [
                e.text("USEnglishDescription"),
                e.text("LocalizedDescription"),
            ]
        })
        .find(|text| !text.is_empty());
    said.map_or(String::new(), |text| format!(" («{}»)", shown(text)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn arrival() -> Timestamp {
        "2020-07-10T19:00:00Z".parse().unwrap()
    }

    fn answer(inside: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<plist version=\"1.0\"><dict>{inside}</dict></plist>"
        )
    }

    fn text(key: &str, value: &str) -> String {
        format!("<key>{key}</key><string>{value}</string>")
    }

    fn list(entries: &str) -> String {
        format!("<key>InstalledApplicationList</key><array>{entries}</array>")
    }

    fn read(inside: &str) -> Imported<IncomingReport> {
        reports(answer(inside).as_bytes(), arrival()).unwrap()
    }

    fn reject(inside: &str) -> String {
        let got = read(inside);
        assert!(got.good.is_empty());
        assert_eq!(got.rejects[0].raw, answer(inside));
        got.rejects[0].problem.clone()
    }

    fn sound(entries: &str) -> String {
        text("Status", "Acknowledged") + &text("UDID", "00008020-000A") + &list(entries)
    }

    fn apps(report: &IncomingReport) -> Vec<(&str, &str, &str)> {
        report
            .apps
            .iter()
            .map(|a| (a.package_id.as_str(), a.name.as_str(), a.version.as_str()))
            .collect()
    }

    #[test]
    fn an_answer_becomes_a_complete_report() {
        let entries = format!(
            "<dict>{}{}{}{}</dict><dict>{}{}<key>Installing</key><true/></dict><dict>{}</dict>",
            text("Identifier", "com.zhiliaoapp.musically"),
            text("Name", "TikTok"),
            text("ShortVersion", "16.6"),
            text("Version", "166001"),
            text("Identifier", "com.acme.mail"),
            text("Version", "5"),
            text("Name", "Web clip"),
        );
        let got = read(&sound(&entries));
        let report = &got.good[0];
        let keys: Vec<&str> = report.keys.iter().map(DeviceKey::as_str).collect();
        assert_eq!(keys, ["mdm:apple-mdm:00008020-000A", "udid:00008020-000A"]);
        assert_eq!(
            (report.platform, report.form_factor),
            (Some(Platform::Ios), None)
        );
        assert_eq!(
            (report.visibility, report.complete),
            (Visibility::Full, true)
        );
        assert_eq!((report.seen_at, &report.person), (arrival(), &None));
        assert_eq!(
            apps(report),
            [
                ("com.zhiliaoapp.musically", "TikTok", "16.6"),
                ("com.acme.mail", "", "5"),
                ("", "Web clip", ""),
            ]
        );
        assert_eq!(got.notes.len(), 2, "{:?}", got.notes);
    }

    #[test]
    fn a_mac_is_known_by_its_udid_and_is_no_phone() {
        let of = |id: &str, udid: &str| {
            let got = read(&(text("Status", "Acknowledged") + &text(id, udid) + &list("")));
            (got.good[0].platform, got.good[0].form_factor)
        };
        let board = "470E005B-17C1-4537-BBB3-0EBC340D432A";
        let mac = (Some(Platform::Macos), Some(FormFactor::Laptop));
        assert_eq!(of("UDID", board), mac);
        let either = (Some(Platform::Ios), None);
        assert_eq!(of("EnrollmentID", board), either, "of which it is not told");
        assert_eq!(of("UDID", &"0a".repeat(20)), either);
        assert_eq!(of("UDID", "470E005B-17C1-4537-BBB3-0EBC340D432X"), either);
    }

    #[test]
    fn user_enrolment_and_managed_only_answers_see_managed_apps_only() {
        let got =
            read(&(text("Status", "Acknowledged") + &text("EnrollmentID", "E-1") + &list("")));
        assert_eq!(got.good[0].visibility, Visibility::ManagedOnly);
        assert_eq!(got.good[0].keys[0].as_str(), "mdm:apple-mdm:E-1");
        assert_eq!(got.good[0].keys.len(), 1);
        let got = read(&(sound("") + "<key>ManagedAppsOnly</key><true/>"));
        assert_eq!(got.good[0].visibility, Visibility::ManagedOnly);
        let got = read(&(sound("") + &text("EnrollmentID", "E-1")));
        assert_eq!(got.good[0].visibility, Visibility::ManagedOnly);
    }

    #[test]
    fn inv_04_an_entry_that_names_nothing_makes_the_list_incomplete() {
        let got = read(&sound("<dict></dict><string>x</string>"));
        assert!(!got.good[0].complete);
        assert!(got.notes[0].contains("(2 times)"), "{:?}", got.notes);
    }

    #[test]
    fn what_is_no_such_answer_is_rejected_with_the_reason() {
        let udid = text("UDID", "U-1");
        let acknowledged = text("Status", "Acknowledged");
        let chain = format!(
            "<key>ErrorChain</key><array><dict>{}</dict></array>",
            text("USEnglishDescription", "The device is locked")
        );
        for (inside, expected) in [
            (String::new(), "no Status"),
            (text("Status", "NotNow") + &udid, "«NotNow»"),
            (
                text("Status", "Error") + &udid + &chain,
                "The device is locked",
            ),
            (acknowledged.clone() + &udid, "no InstalledApplicationList"),
            (
                acknowledged.clone() + &text("RequestType", "DeviceInformation"),
                "«DeviceInformation»",
            ),
            (
                acknowledged.clone() + &text("InstalledApplicationList", "x"),
                "no array",
            ),
            (acknowledged.clone() + &list(""), "neither UDID"),
            (
                acknowledged + &text("UDID", &"u".repeat(600)) + &list(""),
                "no device id",
            ),
            (
                "<key>Command</key><dict></dict>".to_owned(),
                "this is the command",
            ),
            (
                sound(&format!(
                    "<dict>{}</dict>",
                    text("Identifier", &"x".repeat(600))
                )),
                "package id",
            ),
        ] {
            let problem = reject(&inside);
            assert!(problem.contains(expected), "{problem}");
        }
        let many = "<true/>".repeat(MAX_APPS + 1);
        assert!(reject(&sound(&many)).contains("100001 apps"));
        assert!(
            reports(b"<plist><array></array></plist>", arrival())
                .unwrap()
                .good
                .is_empty()
        );
    }

    #[test]
    fn a_rejected_binary_answer_is_kept_as_base64() {
        let value: plist::Value = plist::from_bytes(answer("").as_bytes()).unwrap();
        let mut binary = Vec::new();
        value.to_writer_binary(&mut binary).unwrap();
        let got = reports(&binary, arrival()).unwrap();
        assert_eq!(STANDARD.decode(&got.rejects[0].raw).unwrap(), binary);
    }
}
