//! Files that hold secrets or people's data: nobody else may read them.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{Failure, Result};

/// Makes a directory, and those above it, where they are missing.
pub(super) fn make_directory(directory: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory).map_err(|e| {
        Failure::failed(format!(
            "the directory {} can't be made: {e}; choose another with --data DIR",
            directory.display()
        ))
    })
}

/// Writes a file that does not exist yet.
pub(super) fn write_new(file: &Path, text: &str) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let write = || -> std::io::Result<()> {
        let mut opened = options.open(file)?;
        opened.write_all(text.as_bytes())?;
        opened.sync_all()
    };
    write().map_err(|e| {
        // Half a file would look like a whole one the next time.
        if e.kind() != std::io::ErrorKind::AlreadyExists {
            let _ = fs::remove_file(file);
        }
        Failure::failed(format!("{} can't be written: {e}", file.display()))
    })
}

/// `FILE.ending`.
pub(super) fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
