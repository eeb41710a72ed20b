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
pub mod in_trouble;
pub mod line;
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

/// A port for a server that a test starts: this process's own until it ends, by a lock on a file that all tests know.
/// Below the range that the kernel takes a client's ports from, so that no connection of another test takes it
/// between here and the server's start (and none to a closed port meets itself).
pub fn free_port() -> u16 {
    const PORTS: std::ops::Range<u16> = 10_000..32_768;
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let folder = std::env::temp_dir().join(format!("countermand-test-ports-{}", user()));
    std::fs::create_dir_all(&folder).unwrap();
    let count = u32::from(PORTS.end - PORTS.start);
    // Processes begin far apart, so that they seldom meet.
    let begin = std::process::id().wrapping_mul(37);
    for _ in 0..count {
        let step = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let port = PORTS.start + u16::try_from(begin.wrapping_add(step) % count).unwrap();
        let lock = std::fs::File::create(folder.join(port.to_string())).unwrap();
        if lock.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            std::mem::forget(lock);
            return port;
        }
    }
    panic!("no port of {PORTS:?} is free on 127.0.0.1");
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
    user() == 0
}

/// The number of the user that the tests run as.
fn user() -> u32 {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").unwrap().uid()
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
