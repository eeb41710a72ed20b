//! Real servers for tests: each in a folder of its own, on free loopback ports, gone with the test.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::TcpListener;
use std::path::{Path, PathBuf};

pub mod app;
pub mod company;
pub mod dovecot;
pub mod driver;
pub mod gate;
pub mod house;
pub mod http;
pub mod imap;
pub mod nginx;
pub mod nginx_mail;
pub mod pki;
pub mod postfix;
pub mod postgres;
pub mod process;
pub mod proxies;
pub mod python;
pub mod smtp_sink;
pub mod sogo;
pub mod story_clock;
pub mod submission;
pub mod trouble;
pub mod webhook;

/// Finds the programs that a test needs. Without them the test is skipped and says so; in CI (`CI=true`), where
/// a skipped test would go unseen, it fails.
pub fn programs<const N: usize>(names: [&str; N]) -> Option<[PathBuf; N]> {
    let found = names.map(|name| (name, find(name)));
    if let Some((missing, _)) = found.iter().find(|(_, path)| path.is_none()) {
        self::missing(
            missing,
            "looked in PATH, /usr/sbin, PostgreSQL's own folders and target/python",
        );
        return None;
    }
    Some(found.map(|(_, path)| path.unwrap()))
}

/// Says that a test is skipped, and why.
pub fn missing(what: &str, hint: &str) {
    let in_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(
        !in_ci,
        "`{what}` is not installed, and in CI no test may be skipped ({hint})"
    );
    eprintln!("skipped: `{what}` is not installed ({hint})");
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.extend(["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from));
    // Debian keeps the servers of all PostgreSQL versions out of PATH.
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        folders.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    folders.push(python::bin());
    folders
        .into_iter()
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// A mail for the wire as the desk would make it, under a claim that no store gave: what tests of
/// the wire alone begin with.
pub fn outgoing(to: &str, bytes: &[u8]) -> countermand::outbox::transport::Outgoing {
    let claim = countermand::store::Claim {
        key: countermand_core::notice::Key {
            order: countermand_core::id::OrderId(uuid::Uuid::nil()),
            person: countermand_core::id::PersonId(0),
            kind: countermand_core::notice::Kind::Order,
        },
        fence: 0,
        attempt: 0,
    };
    let (from, to) = ("it@example.test".to_owned(), to.to_owned());
    countermand::outbox::transport::Outgoing::of(&claim, from, to, bytes.to_vec())
}

pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|this| this.uid() == 0)
}

/// A ready configuration as it is shipped, with `changes` made. Each must find its text, so that the test can't
/// drift away from what is deployed.
pub fn shipped(file: &str, changes: &[(&str, &str)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../deploy")
        .join(file);
    let mut text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    for (from, to) in changes {
        assert!(
            text.contains(from),
            "deploy/{file} has no `{from}` to replace"
        );
        text = text.replace(from, to);
    }
    assert!(
        !text.contains("CHANGE-ME"),
        "deploy/{file}: a placeholder is left"
    );
    text
}

/// Lets the users that servers switch to reach into a scratch folder.
pub fn open_to_all(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777)).unwrap();
}
pub mod sending;
pub mod smtp_record;
