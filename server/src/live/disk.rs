//! A view on disk: a file that grows by a part at each change, and is written anew when it has grown too long.
//! What is in it was on disk before it was answered from, so a restart never goes back behind an answer.
//!
//! It is read as a whole or not at all. Only a last piece that was cut off, as a power cut leaves it, is left
//! out: nothing was ever answered from it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::part::{FORMAT, Part};

/// In the data directory.
pub const FILE: &str = "gate-view";
const MAGIC: &[u8; 16] = b"countermand view";
/// Magic and format.
const HEAD: usize = 20;
/// Length, checksum of the rest, and the first bytes of a checksum of these two.
const FRAME: usize = 8 + 32 + 4;
/// When the view was last known to be current, in microseconds.
const SEEN: usize = 8;
/// How often that is written where nothing else is.
const SEEN_EVERY: Duration = Duration::from_secs(5);
/// The file may be longer than its first part by itself and this.
const SLACK: u64 = 4 * 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    #[error("{}: {what}", path.display())]
    Io { path: PathBuf, what: io::Error },
    #[error(
        "the view in {} is not used: {what}. It was put aside, and a new one is fetched from the main server", path.display()
    )]
    Refused { path: PathBuf, what: String },
}

/// What was found on disk.
#[derive(Debug)]
pub struct Stored {
    /// The first is everything, each goes on from the one before.
    pub parts: Vec<Part>,
    pub seen_at: Timestamp,
}

#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
    /// `None`: there is nothing to append to.
    file: Option<File>,
    /// Of the first part, and of everything.
    first: u64,
    length: u64,
    seen_at: Timestamp,
}

impl Disk {
    /// With nothing in it yet.
    pub fn empty(path: &Path) -> Disk {
        Disk {
            path: path.to_owned(),
            file: None,
            first: 0,
            length: 0,
            seen_at: Timestamp::MIN,
        }
    }

    /// Opens what an earlier process left; `None` if there is nothing.
    pub fn open(path: &Path) -> Result<Option<(Disk, Stored)>, DiskError> {
        let failed = failed(path);
        let Some(bytes) = contents(path)? else {
            return Ok(None);
        };
        let read = Disk::understand(path, &bytes)?;
        let file = OpenOptions::new()
            .append(true)
            .open(path)
            .map_err(&failed)?;
        if read.length < bytes.len() {
            tracing::warn!(
                file = %path.display(),
                "the last piece of the view was cut off as it was written; it is left out"
            );
            file.set_len(read.length as u64).map_err(failed)?;
        }
        let disk = Disk {
            path: path.to_owned(),
            file: Some(file),
            first: read.first as u64,
            length: read.length as u64,
            seen_at: read.stored.seen_at,
        };
        Ok(Some((disk, read.stored)))
    }

    /// The view that another process has there; nothing of it is changed.
    pub fn look(path: &Path) -> Result<Option<Stored>, DiskError> {
        let Some(bytes) = contents(path)? else {
            return Ok(None);
        };
        Ok(Some(Disk::understand(path, &bytes)?.stored))
    }

    fn understand(path: &Path, bytes: &[u8]) -> Result<Read, DiskError> {
        read(bytes).map_err(|what| DiskError::Refused {
            path: path.to_owned(),
            what,
        })
    }

    /// Moves a file that is of no use out of the way, to be looked at.
    pub fn put_aside(path: &Path) -> io::Result<()> {
        std::fs::rename(path, path.with_extension("refused"))
    }

    /// Whether it should be written anew: it has grown too long, or could not be appended to.
    pub fn wants_everything(&self) -> bool {
        self.file.is_none() || self.length > 2 * self.first + SLACK
    }

    /// Puts everything in the place of what was there.
    pub fn replace(&mut self, part: &[u8], seen_at: Timestamp) -> io::Result<()> {
        self.file = None;
        let new = self.path.with_extension("new");
        let bytes = file_of(part, seen_at);
        let mut file = private(&new)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&new, &self.path)?;
        if let Some(folder) = self.path.parent() {
            File::open(folder)?.sync_all()?;
        }
        self.first = bytes.len() as u64;
        self.length = self.first;
        self.seen_at = seen_at;
        self.file = Some(OpenOptions::new().append(true).open(&self.path)?);
        Ok(())
    }

    /// Adds what changed. It is on disk when this returns.
    pub fn append(&mut self, part: &[u8], seen_at: Timestamp) -> io::Result<()> {
        self.write(&frame(part, seen_at), seen_at, true)
    }

    /// Nothing changed, and the view was current at that time. Now and then that is written down.
    pub fn seen(&mut self, at: Timestamp) -> io::Result<()> {
        let since = at.duration_since(self.seen_at);
        if self.file.is_none() || since.unsigned_abs() < SEEN_EVERY {
            return Ok(());
        }
        self.write(&frame(&[], at), at, false)
    }

    fn write(&mut self, frame: &[u8], seen_at: Timestamp, durable: bool) -> io::Result<()> {
        // Whatever fails: what stands there then is not to be gone on from.
        let Some(mut file) = self.file.take() else {
            return Err(io::Error::other("there is nothing to append to"));
        };
        file.write_all(frame)?;
        if durable {
            file.sync_data()?;
        }
        self.length += frame.len() as u64;
        self.seen_at = seen_at;
        self.file = Some(file);
        Ok(())
    }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> DiskError {
    move |what| DiskError::Io {
        path: path.to_owned(),
        what,
    }
}

fn contents(path: &Path) -> Result<Option<Vec<u8>>, DiskError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path)(error)),
    }
}

/// A file of nothing but that part.
pub fn file_of(part: &[u8], seen_at: Timestamp) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(FORMAT.to_le_bytes());
    bytes.extend(frame(part, seen_at));
    bytes
}

/// What such a file says, or what is wrong with it.
pub fn understood(bytes: &[u8]) -> Result<Stored, String> {
    read(bytes).map(|read| read.stored)
}

/// A new file that nobody else may read.
pub fn private(path: &Path) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(path)
}

fn frame(part: &[u8], seen_at: Timestamp) -> Vec<u8> {
    let mut body = seen_at.as_microsecond().to_le_bytes().to_vec();
    body.extend(part);
    let mut frame = (body.len() as u64).to_le_bytes().to_vec();
    frame.extend(Sha256::digest(&body));
    let check = Sha256::digest(&frame);
    frame.extend(&check[..4]);
    frame.extend(body);
    frame
}

struct Read {
    stored: Stored,
    first: usize,
    length: usize,
}

fn read(bytes: &[u8]) -> Result<Read, String> {
    if bytes.len() < HEAD || &bytes[..16] != MAGIC {
        return Err("it is not a view that countermand wrote".to_owned());
    }
    if bytes[16..HEAD] != FORMAT.to_le_bytes() {
        return Err("another version of countermand wrote it".to_owned());
    }
    let mut parts: Vec<Part> = Vec::new();
    let (mut at, mut first, mut seen_at) = (HEAD, 0, None);
    while let Some((body, end)) = next(bytes, at)? {
        let (seen, part) = body.split_at_checked(SEEN).ok_or_else(damaged)?;
        let seen: [u8; SEEN] = seen.try_into().map_err(|_| damaged())?;
        let seen = Timestamp::from_microsecond(i64::from_le_bytes(seen)).map_err(|_| damaged())?;
        if !part.is_empty() {
            let part = Part::decode(part).map_err(|error| error.to_string())?;
            let fits = match parts.last() {
                None => part.since.is_none(),
                Some(before) => part.follows(before),
            };
            if !fits {
                return Err("its parts do not follow each other".to_owned());
            }
            parts.push(part);
        }
        seen_at = Some(seen);
        at = end;
        first = if first == 0 { end } else { first };
    }
    match seen_at {
        Some(seen_at) if !parts.is_empty() => Ok(Read {
            stored: Stored { parts, seen_at },
            first,
            length: at,
        }),
        _ => Err("it ends before its first part does".to_owned()),
    }
}

fn damaged() -> String {
    "it is damaged: a checksum is wrong".to_owned()
}

/// The body of the frame that begins there, and where the next one begins; `None` at the end, and where a
/// last frame was cut off.
fn next(bytes: &[u8], at: usize) -> Result<Option<(&[u8], usize)>, String> {
    let Some(head) = bytes.get(at..at + FRAME) else {
        return Ok(None);
    };
    if Sha256::digest(&head[..40])[..4] != head[40..] {
        return Err(damaged());
    }
    let length: [u8; 8] = head[..8].try_into().map_err(|_| damaged())?;
    let length = usize::try_from(u64::from_le_bytes(length)).map_err(|_| damaged())?;
    let end = (at + FRAME).checked_add(length).ok_or_else(damaged)?;
    let Some(body) = bytes.get(at + FRAME..end) else {
        return Ok(None);
    };
    if Sha256::digest(body)[..] != head[8..40] {
        return Err(damaged());
    }
    Ok(Some((body, end)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use countermand_core::index::{Fact, Mode, Settings};
    use countermand_core::verdict::GatePolicy;

    use super::*;

    fn part(since: Option<i64>, version: i64) -> Part {
        Part {
            since,
            version,
            installation: "house".to_owned(),
            policy: GatePolicy::default(),
            facts: vec![Fact::Settings(Settings {
                mode: Mode::Enforce,
                doors_open: None,
            })],
        }
    }

    fn bytes(since: Option<i64>, version: i64) -> Vec<u8> {
        part(since, version).encode().unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    /// A view with two parts and a later sight of it.
    fn written(folder: &Path) -> PathBuf {
        let path = folder.join("gate-view");
        let mut disk = Disk::empty(&path);
        assert!(disk.wants_everything());
        disk.replace(&bytes(None, 7), at(100)).unwrap();
        disk.append(&bytes(Some(7), 9), at(101)).unwrap();
        disk.seen(at(103)).unwrap();
        disk.seen(at(107)).unwrap();
        path
    }

    fn refused(path: &Path) -> String {
        match Disk::open(path) {
            Err(error) => error.to_string(),
            Ok(read) => format!("not refused: {read:?}"),
        }
    }

    #[test]
    fn what_was_written_is_read() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "nobody else may read who has what");
        let (mut disk, stored) = Disk::open(&path).unwrap().unwrap();
        assert_eq!(stored.parts, [part(None, 7), part(Some(7), 9)]);
        assert_eq!(stored.seen_at, at(107));
        assert!(!disk.wants_everything());
        disk.append(&bytes(Some(9), 10), at(108)).unwrap();
        let (_, stored) = Disk::open(&path).unwrap().unwrap();
        assert_eq!((stored.parts.len(), stored.seen_at), (3, at(108)));
        assert!(Disk::open(&folder.path().join("none")).unwrap().is_none());
    }

    #[test]
    fn every_byte_that_changed_refuses_the_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path());
        let sound = std::fs::read(&path).unwrap();
        for place in 0..sound.len() {
            let mut damaged = sound.clone();
            damaged[place] ^= 0x20;
            std::fs::write(&path, damaged).unwrap();
            let said = refused(&path);
            assert!(said.contains("is not used"), "byte {place}: {said}");
        }
    }

    #[test]
    fn only_a_last_piece_that_was_cut_off_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path());
        let sound = std::fs::read(&path).unwrap();
        let first = HEAD + FRAME + SEEN + bytes(None, 7).len();
        for length in 0..sound.len() {
            std::fs::write(&path, &sound[..length]).unwrap();
            if length < first {
                assert!(refused(&path).contains("is not used"), "{length} bytes");
                continue;
            }
            let (_, stored) = Disk::open(&path).unwrap().unwrap();
            assert_eq!(stored.parts[0], part(None, 7));
            assert!(stored.seen_at < at(107), "it says that it is older");
            let cut = std::fs::metadata(&path).unwrap().len();
            assert!(cut <= length as u64, "what is appended stands whole");
        }
    }

    #[test]
    fn parts_of_two_houses_are_no_view() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gate-view");
        let mut disk = Disk::empty(&path);
        disk.replace(&bytes(None, 7), at(100)).unwrap();
        let other = Part {
            installation: "another".to_owned(),
            ..part(Some(7), 8)
        };
        disk.append(&other.encode().unwrap(), at(101)).unwrap();
        assert!(refused(&path).contains("do not follow each other"));
    }
}
