//! The small world of the random histories: a few apps, packages, versions, groups, keys and times.

use std::collections::BTreeMap;

use countermand_core::catalogue::{App, Confidence, PackageId};
use countermand_core::duration::Length;
use countermand_core::evidence::Package;
use countermand_core::id::{ExemptionId, OrderId};
use countermand_core::order::Pins;
use countermand_core::platform::Platform;
use countermand_core::version::VersionRange;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

/// Histories keep to a grid of six hours, so that two things often fall on one moment.
pub const SLOT_HOURS: i64 = 6;

pub fn slot(n: i64) -> Timestamp {
    let noon: Timestamp = "2020-07-10T12:00:00Z".parse().unwrap();
    noon + SignedDuration::from_hours(n * SLOT_HOURS)
}

pub fn order_id(n: usize) -> OrderId {
    OrderId(Uuid::from_u128(0x0197_0000 + n as u128))
}

pub fn exemption_id(n: usize) -> ExemptionId {
    ExemptionId(Uuid::from_u128(0x0298_0000 + n as u128))
}

pub const GROUPS: [&str; 3] = ["staff", "sales", "board"];
pub const APPS: [&str; 3] = ["chat", "chat-pro", "tiktok"];
pub const VERSIONS: [&str; 4] = ["1.0", "2.5", "", "n/a"];
pub const SOURCES: [&str; 3] = ["csv", "intune", "eas-log"];

/// Keys with their other spellings: the first three are one key.
pub const KEYS: [[&str; 3]; 6] = [
    ["eas:DEV7F3A", "EAS:dev7f3a", "eas:44455637463341"],
    ["eas:PHONE2", "eas:phone2", "eas:50484f4e4532"],
    ["cert:0A1B", "cert:0a1b", " CERT:0A1b "],
    ["mdm:csv:42", "MDM:CSV:42", "mdm:csv:42"],
    ["imei:35000", "IMEI:35000", "imei: 35000"],
    // Hex of DEV7F3A, but no ActiveSync key.
    [
        "serial:44455637463341",
        "SERIAL:44455637463341",
        "serial:44455637463341",
    ],
];
pub const UNKNOWN_KEYS: [&str; 3] = ["eas:NEVERSEEN", "cred:DEV7F3A", "serial:DEV7F3A"];

/// What sources show, by package number. Every kind of match is among them.
pub fn packages() -> Vec<Package> {
    let id = |id: &str| Package {
        id: id.to_owned(),
        name: String::new(),
    };
    let name = |name: &str| Package {
        id: String::new(),
        name: name.to_owned(),
    };
    vec![
        id("com.zhiliaoapp.musically"),
        id("COM.Zhiliaoapp.Musically"),
        id("com.ss.android.ugc.trill"),
        id("com.musically.lite"),
        id("org.chat"),
        id("org.chat.pro"),
        id("org.chat.resigned"),
        id("org.chatter"),
        id("com.example.notes"),
        name("TikTok\nLite"),
        name(" CHAT "),
        name("Calculator"),
    ]
}

/// The catalogue. One name has a line break in it, as hostile as a name can be.
pub fn apps() -> Vec<App> {
    let app = |slug: &str, name: &str, names: &[&str], ids: &[(Platform, &str, Confidence)]| App {
        slug: slug.to_owned(),
        name: name.to_owned(),
        vendor: "vendor".to_owned(),
        publisher: "publisher".to_owned(),
        package_ids: ids
            .iter()
            .map(|(platform, id, confidence)| PackageId {
                platform: *platform,
                id: (*id).to_owned(),
                confidence: *confidence,
                source: "test".to_owned(),
                note: None,
                variant: None,
            })
            .collect(),
        names: names.iter().map(|n| (*n).to_owned()).collect(),
        web_domains: Vec::new(),
        note: None,
    };
    use Confidence::{A, B, C};
    use Platform::{Android, Ios, Windows};
    vec![
        app(
            "chat",
            "Chat",
            &[],
            &[(Android, "org.chat", A), (Ios, "org.chat", C)],
        ),
        app(
            "chat-pro",
            "Chat Pro",
            &["Chat"],
            &[(Android, "org.chat.pro", A), (Windows, "org.chat.pro", B)],
        ),
        app(
            "tiktok",
            "TikTok\u{7}\n\u{1b}[31m",
            &["TikTok\nLite"],
            &[
                (Ios, "com.zhiliaoapp.musically", A),
                (Android, "com.zhiliaoapp.musically", A),
                (Android, "com.ss.android.ugc.trill", B),
                (Android, "com.musically.lite", C),
            ],
        ),
    ]
}

pub fn pins(slugs: &[usize], versions: &BTreeMap<String, VersionRange>) -> Pins {
    let apps = apps();
    Pins::resolve("test", slugs.iter().map(|s| &apps[*s]), versions)
}

pub fn length(text: &str) -> Length {
    text.parse().unwrap()
}
