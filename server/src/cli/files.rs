//! Files that hold secrets or people's data: nobody else may read them.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};

use super::{Failure, Result};
use crate::config::ImportConfig;

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

/// Reads a file that is to be imported, and no more of it than the config allows. A pipe has no size to ask
/// for before.
pub(super) fn read(file: &Path, limit: &ImportConfig) -> Result<Vec<u8>> {
    let unreadable = |e: std::io::Error| Failure::unreadable(file, &e);
    let most = limit.max_mib.saturating_mul(1024 * 1024);
    let mut bytes = Vec::new();
    let opened = fs::File::open(file).map_err(unreadable)?;
    let read = opened.take(most.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(unreadable)?;
    if bytes.len() as u64 > most {
        return Err(Failure::usage(format!(
            "{}: the file has more than the {} MiB that an import may have, and nothing of it was taken; split it, or set a larger max_mib under [import] in the config",
            file.display(),
            limit.max_mib
        )));
    }
    Ok(bytes)
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
