//! What the doctor says, and where it is explained.

use std::collections::BTreeSet;
use std::path::Path;

use crate::clinic::Clinic;

#[test]
fn a_report_in_words() {
    let mut clinic =
        Clinic::with(|config| config.gate.own_servers = vec!["192.0.2.1".parse().unwrap()]);
    clinic.config.server.trust_shell = true;
    let mut text = clinic.examine().in_words(str::to_owned);
    let own = |port: &str| format!(":{port}");
    let postfix = clinic.config.gate.postfix_listen.clone();
    let lmtp = clinic.config.notices.bounces.lmtp_listen.clone().unwrap();
    let relay = clinic.relay.port().to_string();
    let ports = [clinic.port.to_string(), relay].into_iter();
    let ports = ports.chain([postfix, lmtp].map(|at| at.rsplit(':').next().unwrap().to_owned()));
    for port in ports {
        // As wide, so that what stands below it stays there.
        text = text.replace(&own(&port), &own(&"0".repeat(port.len())));
    }
    insta::assert_snapshot!(text);
}

/// Ids of failures and warnings, as the source has them.
fn findings() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/doctor");
    let mut ids = BTreeSet::from(["relay".to_owned(), "relay.test".to_owned()]);
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // Its own tests make some up.
        if path.ends_with("report.rs") {
            continue;
        }
        let text = std::fs::read_to_string(path).unwrap();
        for call in ["report.failed(", "report.warning("] {
            for part in text.split(call).skip(1) {
                if let Some(id) = part.trim_start().strip_prefix('"') {
                    ids.insert(id.split('"').next().unwrap().to_owned());
                }
            }
        }
    }
    ids
}

#[test]
fn each_finding_is_explained() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/doctor.md");
    let text = std::fs::read_to_string(docs).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let explained: BTreeSet<String> = rows
        .map(|row| row.split('`').next().unwrap().to_owned())
        .collect();
    assert_eq!(explained, findings());
}
