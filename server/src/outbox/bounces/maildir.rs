//! Bounces that the mail server delivers into a maildir.
//!
//! A mail is moved from `new` to `cur` once what follows from it is on disk, so a crash in between loses
//! none; it is then read again, which changes nothing. Several servers may share a maildir.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{Intake, LARGEST, Mail};

const LOOK_EVERY: Duration = Duration::from_secs(1);
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// Mails whose effects share a commit.
const AT_ONCE: usize = 32;

/// Reads what comes, for ever.
pub async fn watch(dir: PathBuf, intake: Arc<impl Intake>) {
    let mut left_alone = HashSet::new();
    loop {
        let wait = match sweep(&dir, &*intake, &mut left_alone).await {
            Ok(AT_ONCE..) => continue,
            Ok(_) => LOOK_EVERY,
            Err(error) => {
                tracing::warn!(
                    "bounces in {} are not read: {error}; they stay there, and it is tried again",
                    dir.display()
                );
                AFTER_FAILURE
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// Takes at most so many mails as share a commit, and says how many it took. `left_alone` are files that
/// can't be read or moved.
pub async fn sweep(
    dir: &Path,
    intake: &impl Intake,
    left_alone: &mut HashSet<OsString>,
) -> Result<usize, String> {
    let (from, skip) = (dir.to_owned(), left_alone.clone());
    let fetched = blocking(move || fetch(&from, &skip)).await?;
    let (mut names, mut mails) = (Vec::new(), Vec::new());
    for (name, bytes) in fetched {
        match bytes {
            Ok(bytes) => {
                names.push(name);
                let to = Vec::new();
                mails.push(Mail { to, bytes });
            }
            // Another server was quicker.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => leave(left_alone, name, &error),
        }
    }
    if mails.is_empty() {
        return Ok(0);
    }
    let taken = mails.len();
    intake.take(mails).await?;
    let to = dir.to_owned();
    let moved = blocking(move || Ok(names.into_iter().map(|n| (put_away(&to, &n), n)).collect()));
    let moved: Vec<(io::Result<()>, OsString)> = moved.await?;
    for (done, name) in moved {
        match done {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                leave(left_alone, name, &error);
            }
            _ => {}
        }
    }
    Ok(taken)
}

fn leave(left_alone: &mut HashSet<OsString>, name: OsString, error: &io::Error) {
    tracing::warn!(
        "the bounce {} is left alone: {error}; expected a file that this program may read and move from `new` to `cur`",
        name.display()
    );
    left_alone.insert(name);
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, String> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

type Fetched = Vec<(OsString, io::Result<Vec<u8>>)>;

fn fetch(dir: &Path, skip: &HashSet<OsString>) -> io::Result<Fetched> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir.join("new"))? {
        let entry = entry?;
        let name = entry.file_name();
        // A pipe, say, would keep us waiting.
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file && !name.as_encoded_bytes().starts_with(b".") && !skip.contains(&name) {
            names.push(name);
        }
    }
    // Names begin with the time of delivery.
    names.sort();
    names.truncate(AT_ONCE);
    Ok(names
        .into_iter()
        .map(|name| (name.clone(), contents(&dir.join("new").join(name))))
        .collect())
}

fn contents(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file)?
        .take(LARGEST as u64)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// As seen, in a maildir's words.
fn put_away(dir: &Path, name: &OsString) -> io::Result<()> {
    let mut seen = name.clone();
    if !name.as_encoded_bytes().windows(3).any(|w| w == b":2,") {
        seen.push(":2,S");
    }
    fs::rename(dir.join("new").join(name), dir.join("cur").join(seen))
}
