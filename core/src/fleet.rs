//! People, their devices, and the keys by which mail systems know a device.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::evidence::Evidence;
use crate::id::{DeviceId, PersonId};
use crate::platform::Platform;

/// Letter case and outer blanks never make a second person or a second key.
pub fn fold(text: &str) -> String {
    text.trim().to_lowercase()
}

/// Who may hold devices.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Person {
    pub id: PersonId,
    /// Where notices go, folded.
    pub email: String,
    /// Other addresses and logins of the same person, folded.
    pub aliases: BTreeSet<String>,
    pub name: String,
    pub groups: BTreeSet<String>,
    /// A BCP 47 tag (`de`, `pt-BR`); empty when unknown.
    pub locale: String,
    /// An IANA name; empty when unknown.
    pub time_zone: String,
}

impl Person {
    /// Every address of the person, the mail address first.
    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.email.as_str()).chain(self.aliases.iter().map(String::as_str))
    }

    pub fn is_called(&self, folded: &str) -> bool {
        self.addresses().any(|a| a == folded)
    }
}

/// A person as a list of staff gives it, before it is joined to those known.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PersonRow {
    pub email: String,
    pub aliases: BTreeSet<String>,
    pub name: String,
    pub groups: BTreeSet<String>,
    pub locale: String,
    pub time_zone: String,
    /// Columns that the list does not have: what is known of the person there stands.
    pub absent: BTreeSet<String>,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        pub enum $name { $(#[serde(rename = $word)] $variant),+ }

        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$variant),+];
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.pad(self.as_str()) }
        }
        impl std::str::FromStr for $name {
            type Err = $crate::fleet::UnknownWord;
            fn from_str(text: &str) -> Result<Self, $crate::fleet::UnknownWord> {
                let folded = $crate::fleet::fold(text);
                $name::ALL.iter().copied().find(|v| v.as_str() == folded).ok_or_else(|| $crate::fleet::UnknownWord {
                    what: $what,
                    given: text.to_owned(),
                    known: [$($word),+].join(", "),
                })
            }
        }
    };
}
pub(crate) use words;

/// A word outside the list that its place allows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("«{given}» is no {what}; expected one of {known}")]
pub struct UnknownWord {
    pub what: &'static str,
    pub given: String,
    pub known: String,
}

words!(
    /// What a device looks like; orders name form factors, never models.
    FormFactor, "form factor" { Phone = "phone", Tablet = "tablet", Laptop = "laptop" }
);
words!(
    /// Whose the device is.
    Ownership, "ownership" { Company = "company", Personal = "personal", Unknown = "unknown" }
);
words!(
    /// What a source can see of a device, from less to more.
    Visibility, "visibility" { None = "none", ManagedOnly = "managed-only", Full = "full" }
);
words!(
    /// The system that issued a device key.
    KeyKind, "kind of device key" {
        Eas = "eas", Cert = "cert", Cred = "cred", Oauth = "oauth",
        Mdm = "mdm", Udid = "udid", Serial = "serial", Imei = "imei",
    }
);

/// One name by which a system knows a device, such as `eas:DEV7F3A` or `mdm:csv:42`.
///
/// Equal after case folding; an `eas:` key is also equal to the hex of its bytes, because the two
/// query forms of ActiveSync write the same DeviceId in those two ways (MS-ASHTTP 2.2.1.1.1). A
/// certificate's serial number is a number (RFC 5280, 4.1.2.2), which each program writes in its own way.
#[derive(Clone, Debug)]
pub struct DeviceKey {
    kind: KeyKind,
    text: String,
    canonical: String,
}

/// A text that is no device key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "«{0}» is no device key; write KIND:VALUE with a kind of eas, cert, cred, oauth, mdm, udid, serial or imei, such as eas:DEV7F3A"
)]
pub struct DeviceKeyError(pub String);

impl DeviceKey {
    /// Long enough for a certificate's subject; longer is an attack.
    pub const MAX: usize = 512;

    pub fn new(kind: KeyKind, value: &str) -> Result<Self, DeviceKeyError> {
        let value = value.trim();
        if value.is_empty() || value.len() > Self::MAX || value.chars().any(char::is_control) {
            return Err(DeviceKeyError(format!("{kind}:{value}")));
        }
        let folded = match kind {
            KeyKind::Eas => canonical_eas(value),
            KeyKind::Cert => canonical_serial(value).unwrap_or_else(|| fold(value)),
            _ => fold(value),
        };
        Ok(DeviceKey {
            kind,
            text: format!("{kind}:{value}"),
            canonical: format!("{kind}:{folded}"),
        })
    }

    /// The key that a device manager's own record number makes.
    pub fn mdm(source: &str, id: &str) -> Result<Self, DeviceKeyError> {
        DeviceKey::new(KeyKind::Mdm, &format!("{source}:{id}"))
    }

    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// As its system writes it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// As it is compared.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// `csv` of `mdm:csv:42`.
    pub fn mdm_source(&self) -> Option<&str> {
        self.canonical.strip_prefix("mdm:")?.split(':').next()
    }
}

/// Hex that spells printable text stands for that text; repeated, so that equality is transitive.
fn canonical_eas(value: &str) -> String {
    let mut now = value.to_owned();
    while let Some(text) = printable_of_hex(&now) {
        now = text;
    }
    fold(&now)
}

/// `0A1B`, `0a:1b`, `0x0A1B` and `a1b` as `a1b`; `None` for what is no hexadecimal number, as a subject.
fn canonical_serial(value: &str) -> Option<String> {
    let folded = fold(value);
    let number = folded.strip_prefix("0x").unwrap_or(&folded);
    let digits: String = number.chars().filter(|c| !matches!(c, ':' | ' ')).collect();
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let short = digits.trim_start_matches('0');
    Some(if short.is_empty() { "0" } else { short }.to_owned())
}

fn printable_of_hex(text: &str) -> Option<String> {
    if text.len() < 2 || !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|i| {
            u8::from_str_radix(text.get(i..i + 2)?, 16)
                .ok()
                .filter(u8::is_ascii_graphic)
                .map(char::from)
        })
        .collect()
}

impl FromStr for DeviceKey {
    type Err = DeviceKeyError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = || DeviceKeyError(text.to_owned());
        let (kind, value) = text.trim().split_once(':').ok_or_else(fail)?;
        DeviceKey::new(kind.parse().map_err(|_| fail())?, value).map_err(|_| fail())
    }
}

impl fmt::Display for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for DeviceKey {
    fn eq(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }
}
impl Eq for DeviceKey {}
impl PartialOrd for DeviceKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for DeviceKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.canonical.cmp(&other.canonical)
    }
}
impl Hash for DeviceKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.canonical.hash(state);
    }
}
impl Serialize for DeviceKey {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.text)
    }
}
impl<'de> Deserialize<'de> for DeviceKey {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// One phone, tablet or laptop, as all its sources together describe it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Device {
    pub id: DeviceId,
    pub person: Option<PersonId>,
    pub keys: BTreeSet<DeviceKey>,
    pub platform: Platform,
    pub form_factor: FormFactor,
    pub ownership: Ownership,
    pub os_version: String,
    /// What the newest report could see.
    pub visibility: Visibility,
    /// When the newest report was made.
    pub last_report: Option<Timestamp>,
    pub evidence: Evidence,
}

/// Somebody whom a door vouched for came with a device key that is not known to be theirs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Claim {
    pub key: DeviceKey,
    pub person: PersonId,
    pub at: Timestamp,
    /// Nobody came with it before. While no report says whose it is, it is this person's.
    pub first: bool,
}

/// An operator's word, or the person's own, that a device key is one of a device of the person's.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Recognition {
    pub key: DeviceKey,
    pub person: PersonId,
    /// A key by which the same device is known already: a restored backup has changed its name.
    pub same_as: Option<DeviceKey>,
    pub platform: Option<Platform>,
    pub form_factor: Option<FormFactor>,
    pub reason: String,
}

/// One report of one device by one source, as an import gives it: names, not numbers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct IncomingReport {
    /// The source's name, which is also the middle of its `mdm:` keys.
    pub source: String,
    /// Keys of the device; the first `mdm:SOURCE:` key is the source's own record.
    pub keys: Vec<DeviceKey>,
    /// An address of the person, where the source knows one.
    pub person: Option<String>,
    pub platform: Option<Platform>,
    pub form_factor: Option<FormFactor>,
    pub ownership: Option<Ownership>,
    pub os_version: Option<String>,
    pub visibility: Visibility,
    /// Whether everything that this visibility can see is listed.
    pub complete: bool,
    /// When the source looked; a time to come counts as the time of arrival.
    pub seen_at: Timestamp,
    pub apps: Vec<IncomingApp>,
}

/// One app in an incoming report. A source without package ids gives only the name.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct IncomingApp {
    pub package_id: String,
    pub name: String,
    pub version: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> DeviceKey {
        text.parse().unwrap()
    }

    #[test]
    fn an_eas_key_is_its_bytes_their_hex_and_any_letter_case() {
        assert_eq!(key("eas:DEV7F3A"), key("EAS:dev7f3a"));
        assert_eq!(key("eas:DEV7F3A"), key("eas:44455637463341"));
        assert_eq!(key("eas:DEV7F3A").as_str(), "eas:DEV7F3A");
        assert_ne!(key("eas:DEV7F3A"), key("cred:DEV7F3A"));
        assert_ne!(key("serial:44455637463341"), key("serial:DEV7F3A"));
    }

    #[test]
    fn a_certificates_serial_number_is_one_however_it_is_written() {
        for text in ["0A1B", "0a:1b", "a1b", "0x0A1B", "00 0A 1B", "000A1B"] {
            assert_eq!(key(&format!("cert:{text}")), key("cert:A1B"), "{text}");
        }
        assert_eq!(key("cert:0A1B").as_str(), "cert:0A1B");
        assert_eq!(key("cert:00"), key("cert:0"));
        assert_ne!(key("cert:0A1B"), key("cert:A1B0"));
        assert_ne!(key("cert:0A1B"), key("serial:0A1B"));
        assert_ne!(key("serial:0A1B"), key("serial:A1B"));
        assert_eq!(
            key("cert:CN=dev-7F3A,O=Corp"),
            key("cert:cn=DEV-7f3a,o=corp")
        );
        assert_ne!(key("cert:0-1"), key("cert:1"));
        assert!("cert:::".parse::<DeviceKey>().is_ok());
    }

    #[test]
    fn a_key_without_kind_or_value_is_refused() {
        for bad in ["", "DEV7F3A", "eas:", "mac:1", "eas:a\nb"] {
            assert!(bad.parse::<DeviceKey>().is_err(), "{bad:?}");
        }
        assert_eq!(key("mdm:csv:42").mdm_source(), Some("csv"));
    }
}
