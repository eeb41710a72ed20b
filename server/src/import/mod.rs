//! What other systems know of people and devices: bytes in, facts out.
//!
//! One file a format. Nothing here reads a file, a clock or the store: the time of arrival is an
//! argument, and joining what comes out to what is known is the store's work. A bad row never
//! takes the good ones with it, and a list that could not be read whole is never called complete.

mod amapi;
mod apple_mdm;
mod check;
mod csv;
mod people;
mod plist_tree;
mod table;
mod text;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use countermand_core::catalogue::nearest_of;
use countermand_core::fleet::IncomingReport;
use jiff::Timestamp;

pub use people::people;

/// A device with more apps than this is a mistake or an attack.
pub const MAX_APPS: usize = 100_000;

/// What a file gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported<T> {
    pub good: Vec<T>,
    pub rejects: Vec<Reject>,
    /// What was skipped or is unknown to us, counted and named.
    pub notes: Vec<String>,
    /// What must stand above the rejected records for them to be imported again, once mended: the
    /// header of a table.
    pub head: Option<String>,
}

/// One row or record that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Its line in the file, where a record has one.
    pub line: Option<usize>,
    /// As it stood, for `FILE.rejects`; the base64 of a binary record.
    pub raw: String,
    /// What is wrong, what was expected, and how to mend it.
    pub problem: String,
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.problem),
            None => f.write_str(&self.problem),
        }
    }
}

/// Why a whole file can't be read; nothing of it was taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}; {mend}")]
pub struct ImportError {
    /// Where in the file.
    pub place: String,
    /// What stands there, and what was expected.
    pub problem: String,
    pub mend: String,
}

impl ImportError {
    fn new(
        place: impl Into<String>,
        problem: impl Into<String>,
        mend: impl Into<String>,
    ) -> ImportError {
        ImportError {
            place: place.into(),
            problem: problem.into(),
            mend: mend.into(),
        }
    }
}

/// A format that lists devices.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Our own table of devices.
    Csv,
    /// A device's answer to Apple's `InstalledApplicationList` command.
    AppleMdm,
    /// Devices of the Android Management API.
    Amapi,
}

impl Format {
    pub const ALL: [Format; 3] = [Format::Csv, Format::AppleMdm, Format::Amapi];

    pub const fn as_str(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::AppleMdm => "apple-mdm",
            Format::Amapi => "amapi",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that names no format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownFormat {
    pub given: String,
    pub nearest: Option<&'static str>,
}

impl fmt::Display for UnknownFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "«{}» is no import format; ", text::shown(&self.given))?;
        if let Some(nearest) = self.nearest {
            write!(f, "did you mean {nearest}? ")?;
        }
        let known = Format::ALL.map(Format::as_str).join(", ");
        write!(f, "Write one of {known}, or auto to have it detected")
    }
}

impl std::error::Error for UnknownFormat {}

impl FromStr for Format {
    type Err = UnknownFormat;
    fn from_str(given: &str) -> Result<Self, Self::Err> {
        let folded = countermand_core::fleet::fold(given);
        Format::ALL
            .into_iter()
            .find(|format| format.as_str() == folded)
            .ok_or_else(|| UnknownFormat {
                given: given.to_owned(),
                nearest: nearest_of(given, Format::ALL.map(Format::as_str)),
            })
    }
}

/// The format of a file, from its content alone.
pub fn detect(bytes: &[u8]) -> Result<Format, ImportError> {
    if plist_tree::is_binary(bytes) {
        return Ok(Format::AppleMdm);
    }
    let decoded = text::decode(bytes)?;
    let start = decoded.trim_start();
    let unknown = |problem: &str| {
        let known = Format::ALL.map(Format::as_str).join(", ");
        let mend = format!("name the format if you know it ({known})");
        Err(ImportError::new("the file", problem, mend))
    };
    match start.chars().next() {
        None => unknown("it is empty"),
        Some('<') if start.contains("<plist") => Ok(Format::AppleMdm),
        Some('<') => unknown("it is XML, but no property list"),
        Some('{' | '[') if amapi::looks_like(start) => Ok(Format::Amapi),
        Some('{' | '[') => {
            unknown("it is JSON, but has no device of the Android Management API in it")
        }
        Some(_) if csv::looks_like(&decoded) => Ok(Format::Csv),
        Some(_) if people::looks_like(&decoded) => Err(ImportError::new(
            "the header",
            "it is of a list of people, not of devices",
            "import it with `countermand people import FILE`",
        )),
        Some(_) => unknown("its first line is no header of a table of devices"),
    }
}

/// Reads a file of devices. `arrival` stands in for a missing time and bounds every other.
pub fn reports(
    format: Format,
    bytes: &[u8],
    arrival: Timestamp,
) -> Result<Imported<IncomingReport>, ImportError> {
    match format {
        Format::Csv => csv::reports(bytes, arrival),
        Format::AppleMdm => apple_mdm::reports(bytes, arrival),
        Format::Amapi => amapi::reports(bytes, arrival),
    }
}

/// Counts what is worth saying once, however often it occurs.
#[derive(Default)]
struct Notes(BTreeMap<String, usize>);

impl Notes {
    /// A hostile file may hold a million different unknown words.
    const MAX_KINDS: usize = 200;

    fn count(&mut self, what: impl Into<String>) {
        let mut what = what.into();
        if self.0.len() >= Self::MAX_KINDS && !self.0.contains_key(&what) {
            what = "more that is not listed".to_owned();
        }
        *self.0.entry(what).or_default() += 1;
    }

    fn into_lines(self) -> Vec<String> {
        let line = |(what, n): (String, usize)| match n {
            1 => what,
            _ => format!("{what} ({n} times)"),
        };
        self.0.into_iter().map(line).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn arrival() -> Timestamp {
        "2020-07-10T19:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_format_is_known_by_name_and_a_near_miss_is_named() {
        for format in Format::ALL {
            assert_eq!(format.to_string().to_uppercase().parse(), Ok(format));
        }
        let error = "aple-mdm".parse::<Format>().unwrap_err().to_string();
        assert!(error.contains("did you mean apple-mdm?"), "{error}");
        let error = "intune".parse::<Format>().unwrap_err().to_string();
        assert!(error.contains("csv, apple-mdm, amapi"), "{error}");
        assert!(!error.contains("did you mean"), "{error}");
    }

    #[test]
    fn a_format_is_known_by_content() {
        let cases: [(&[u8], Format); 6] = [
            (b"device,platform,form_factor,seen_at\n", Format::Csv),
            (
                b"\xEF\xBB\xBF#TYPE X\r\nSeen_At,Platform,Device\r\n",
                Format::Csv,
            ),
            (b"bplist00", Format::AppleMdm),
            (b"<?xml version=\"1.0\"?>\n<plist>", Format::AppleMdm),
            (b" {\"name\":\"enterprises/a/devices/b\"}", Format::Amapi),
            (b"[{\"applicationReports\":[]}]", Format::Amapi),
        ];
        for (bytes, format) in cases {
            assert_eq!(
                detect(bytes),
                Ok(format),
                "{}",
                String::from_utf8_lossy(bytes)
            );
        }
    }

    #[test]
    fn what_is_no_format_says_what_it_looks_like() {
        let cases: [(&[u8], &str); 6] = [
            (b"", "empty"),
            (b"<html></html>", "no property list"),
            (b"{\"a\":1}", "Android Management API"),
            (b"email,name\n", "countermand people import"),
            (b"hello\n", "no header"),
            (b"\xFF\xFE\xFF", "UTF-16"),
        ];
        for (bytes, expected) in cases {
            let error = detect(bytes).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    /// Public captures, where the place to develop has them.
    #[test]
    fn public_samples_are_read() {
        let root = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../shared/reference/samples"
        );
        let read = |name: &str| std::fs::read(format!("{root}/{name}"));
        let (Ok(apple), Ok(android)) = (
            read("apple_InstalledApplicationList_all.plist"),
            read("amapi_device_applicationReports.json"),
        ) else {
            println!("skipped: no samples at {root}");
            return;
        };
        for (bytes, format, apps) in [(apple, Format::AppleMdm, 1), (android, Format::Amapi, 4)] {
            assert_eq!(detect(&bytes), Ok(format));
            let got = reports(format, &bytes, arrival()).unwrap();
            assert!(got.rejects.is_empty() && got.good[0].complete);
            assert_eq!(got.good[0].apps.len(), apps);
        }
    }

    /// One sound file of each format.
    fn sound_files() -> Vec<Vec<u8>> {
        let answer = "<plist><dict><key>Status</key><string>Acknowledged</string><key>UDID</key><string>U</string>\
            <key>InstalledApplicationList</key><array><dict><key>Identifier</key><string>com.x</string></dict></array></dict></plist>";
        let tree: plist::Value = plist::from_bytes(answer.as_bytes()).unwrap();
        let mut binary = Vec::new();
        tree.to_writer_binary(&mut binary).unwrap();
        let device = r#"{"name":"enterprises/e/devices/d","managementMode":"DEVICE_OWNER","applicationReports":[{"packageName":"com.x"}]}"#;
        let table =
            "device,platform,form_factor,seen_at,apps\n17,ios,phone,2020-07-10T12:00:00Z,com.x@1\n";
        vec![answer.into(), binary, device.into(), table.into()]
    }

    #[test]
    fn a_sound_file_of_each_format_is_detected_and_read() {
        for bytes in sound_files() {
            let got = reports(detect(&bytes).unwrap(), &bytes, arrival()).unwrap();
            assert_eq!(got.good[0].apps[0].package_id, "com.x");
        }
    }

    #[test]
    fn notes_are_counted_and_bounded() {
        let mut notes = Notes::default();
        notes.count("a");
        notes.count("a");
        for n in 0..1000 {
            notes.count(format!("b{n}"));
        }
        let lines = notes.into_lines();
        assert_eq!(lines[0], "a (2 times)");
        assert_eq!(lines.len(), Notes::MAX_KINDS + 1);
        assert!(
            lines
                .iter()
                .any(|l| l == "more that is not listed (801 times)")
        );
    }

    fn all_parsers(bytes: &[u8]) {
        let _ = detect(bytes);
        let _ = people(bytes);
        for format in Format::ALL {
            if let Ok(imported) = reports(format, bytes, arrival()) {
                assert!(imported.good.iter().all(|r| r.seen_at <= arrival()));
                assert!(imported.good.iter().all(|r| !r.keys.is_empty()));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            all_parsers(&bytes);
        }

        #[test]
        fn arbitrary_bytes_behind_a_right_beginning_never_panic(
            start in prop_oneof![
                Just("bplist00"), Just("<plist><dict><key>UDID</key>"), Just("[{\"name\":"),
                Just("device,platform,form_factor,seen_at,apps\n"), Just("email\n"),
            ],
            bytes in proptest::collection::vec(any::<u8>(), 0..512),
        ) {
            let mut all = start.as_bytes().to_vec();
            all.extend(bytes);
            all_parsers(&all);
        }

        #[test]
        fn a_sound_file_with_some_bytes_changed_never_panics(
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        ) {
            for mut bytes in sound_files() {
                for (at, byte) in &changes {
                    let at = at.index(bytes.len());
                    bytes[at] = *byte;
                }
                all_parsers(&bytes);
            }
        }

        #[test]
        fn arbitrary_texts_of_table_and_markup_letters_never_panic(
            text in "[a-c@;,\"\r\n{}<>/ \u{0}\u{e9}:]{0,200}",
        ) {
            all_parsers(text.as_bytes());
            all_parsers(format!("device,platform,form_factor,seen_at,apps\n{text}").as_bytes());
            all_parsers(format!("email,aliases,name\n{text}").as_bytes());
        }
    }
}
