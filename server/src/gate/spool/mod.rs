//! What a gate without a database has to put on record, on disk until the main server has taken it. It is
//! bounded: what finds no room is an error of who wanted it kept.
//!
//! One file a batch, named by number, each put in its place as a whole. A batch that was taken while its answer
//! was lost is handed over once more: who was refused is the same then, and a count is one too many.

mod aside;
mod books;

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use countermand_core::change::Change;
use prometheus::{IntCounter, IntGauge, Registry};
use tokio::sync::Notify;

use super::batch::Batch;
use crate::live::Live;
use crate::live::disk::private;
use books::{Books, Filed};

pub use aside::{Contents, look};

/// In the data directory.
pub const FOLDER: &str = "gate-spool";
/// ENFILE and EMFILE of Linux.
const TOO_MANY_OPEN: i32 = 23;
const TOO_MANY_OPEN_HERE: i32 = 24;
/// Some kilobytes each at most, so some hundred megabytes.
const MOST_FILES: usize = 100_000;
const MOST_BYTES: u64 = 128 * 1024 * 1024;
/// Of one handing over.
const MOST_AT_ONCE: usize = 500;
const BYTES_AT_ONCE: u64 = 1024 * 1024;

#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    most_files: usize,
    /// What is only in memory is lost with the process, and bounded there: it may go beyond our bounds.
    ends: AtomicBool,
    live: Arc<Live>,
    books: Mutex<Books>,
    news: Notify,
    waiting: IntGauge,
    full: IntGauge,
    aside: IntGauge,
    lost: IntCounter,
    pub(super) failures: IntCounter,
}

/// What is handed over in one go.
#[derive(Debug)]
pub(super) struct Lot {
    pub batch: Batch,
    files: Vec<Filed>,
}

impl Spool {
    /// Opens the folder with what an earlier process left there.
    pub fn open(folder: &Path, live: Arc<Live>) -> io::Result<Arc<Spool>> {
        Spool::with_room(folder, MOST_FILES, live)
    }

    /// The same with room for so many files.
    pub fn with_room(folder: &Path, most_files: usize, live: Arc<Live>) -> io::Result<Arc<Spool>> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(folder)?;
        let spool = Spool {
            folder: folder.to_owned(),
            most_files,
            ends: AtomicBool::new(false),
            live,
            books: Mutex::default(),
            news: Notify::new(),
            waiting: gauge(
                "countermand_gate_spool_waiting",
                "Refusals, claims and ended sessions that wait for the main server",
            ),
            full: gauge(
                "countermand_gate_spool_full",
                "1: nothing more finds room on disk; refusals wait in memory",
            ),
            aside: gauge(
                "countermand_gate_spool_aside",
                "Files put aside: the main server did not take them, or they can't be read",
            ),
            lost: counter(
                "countermand_gate_spool_lost_total",
                "Those that the main server would not take, or that could not be read again",
            ),
            failures: counter(
                "countermand_gate_spool_failures_total",
                "Times that the main server could not be handed what is in the spool",
            ),
        };
        spool.find()?;
        Ok(Arc::new(spool))
    }

    /// Shows how full it is among these figures.
    pub fn register(&self, figures: &Registry) -> prometheus::Result<()> {
        figures.register(Box::new(self.waiting.clone()))?;
        figures.register(Box::new(self.full.clone()))?;
        figures.register(Box::new(self.aside.clone()))?;
        figures.register(Box::new(self.lost.clone()))?;
        figures.register(Box::new(self.failures.clone()))
    }

    fn find(&self) -> io::Result<()> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let name = name.unwrap_or_default();
            let Some((number, kind)) = name.split_once('.') else {
                continue;
            };
            if kind == "new" {
                std::fs::remove_file(&path)?;
            } else if let Ok(number) = number.parse::<u64>() {
                // What was put aside keeps its number, which is never given again.
                let mut books = self.books();
                books.next = books.next.max(number);
                match kind {
                    "json" => found.push(number),
                    _ => self.aside.inc(),
                }
            }
        }
        found.sort_unstable();
        for number in found {
            if let Some((batch, bytes)) = self.read(number)? {
                self.books().enter(number, &batch, bytes);
            }
        }
        self.show();
        Ok(())
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self) {
        let books = self.books();
        self.waiting.set((books.items + books.repeats.len()) as i64);
        self.full.set(i64::from(!self.has_room(&books)));
    }

    fn has_room(&self, books: &Books) -> bool {
        (books.files.len() < self.most_files && books.bytes < MOST_BYTES)
            || self.ends.load(Ordering::Relaxed)
    }

    /// The process is about to end: from now on everything finds room.
    pub fn end(&self) {
        self.ends.store(true, Ordering::Relaxed);
    }

    /// Whose people the view tells of now.
    pub(super) fn installation(&self) -> Option<Arc<str>> {
        self.live.view().installation()
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:012}.json"))
    }

    /// `None` where it is gone, or can't be read and is put aside.
    fn read(&self, number: u64) -> io::Result<Option<(Batch, u64)>> {
        let path = self.path(number);
        let why = match std::fs::read(&path) {
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(batch) => return Ok(Some((batch, bytes.len() as u64))),
                Err(error) => error.to_string(),
            },
            Err(error) => match error.kind() {
                // Who took it out of here does not want it handed over.
                io::ErrorKind::NotFound => return Ok(None),
                // It may be read later.
                io::ErrorKind::OutOfMemory | io::ErrorKind::Interrupted => return Err(error),
                _ if matches!(
                    error.raw_os_error(),
                    Some(TOO_MANY_OPEN | TOO_MANY_OPEN_HERE)
                ) =>
                {
                    return Err(error);
                }
                // Those behind it are not to wait for it.
                _ => error.to_string(),
            },
        };
        tracing::error!(why, file = %path.display(), "a file of the spool can't be read; it is put aside");
        self.lost.inc();
        std::fs::rename(&path, path.with_extension("unreadable"))?;
        self.aside.inc();
        Ok(None)
    }

    /// It is on disk when this returns. `installation`: whose people are meant.
    pub(super) async fn keep(
        self: &Arc<Self>,
        installation: &str,
        change: Change,
    ) -> io::Result<()> {
        let mut batch = Batch {
            installation: installation.to_owned(),
            ..Batch::default()
        };
        match change {
            Change::Refusals(refusals) => batch.refusals = refusals,
            Change::Claims(claims) => batch.claims = self.books().fresh(claims),
            Change::Kicked(kicked) => batch.kicked = kicked,
            Change::RefusedAgain(again) => {
                self.books().repeat(&again);
                self.show();
                self.news.notify_one();
                return Ok(());
            }
            _ => return Err(io::Error::other("a gate puts nothing else on record")),
        }
        if batch.len() == 0 {
            return Ok(());
        }
        let spool = self.clone();
        let written = tokio::task::spawn_blocking(move || spool.file(&batch)).await;
        self.show();
        written.map_err(io::Error::other)??;
        self.news.notify_one();
        Ok(())
    }

    fn file(&self, batch: &Batch) -> io::Result<()> {
        let bytes = serde_json::to_vec(batch)?;
        let number = {
            let mut books = self.books();
            if !self.has_room(&books) {
                // Whoever keeps them meanwhile tries again, and takes none of them for known.
                return Err(io::Error::new(
                    io::ErrorKind::StorageFull,
                    "it is full, and the main server takes nothing",
                ));
            }
            books.next += 1;
            books.next
        };
        self.write(&bytes, &self.path(number))?;
        self.books().enter(number, batch, bytes.len() as u64);
        Ok(())
    }

    /// As a whole or not at all.
    fn write(&self, bytes: &[u8], path: &Path) -> io::Result<()> {
        let new = path.with_extension("new");
        let written = || {
            let mut file = private(&new)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            std::fs::rename(&new, path)?;
            File::open(&self.folder)?.sync_all()
        };
        written().inspect_err(|_| {
            // What it was for is tried again under another number, and a full disk needs no leftovers.
            let _ = (std::fs::remove_file(&new), std::fs::remove_file(path));
        })
    }

    /// When there is something to hand over.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    /// The oldest of what waits, `most` files at most; `None` where nothing does.
    pub(super) fn lot(&self, most: usize) -> io::Result<Option<Lot>> {
        loop {
            let files: Vec<Filed> = self.books().files.iter().take(most).cloned().collect();
            let (lot, gone) = self.gather(&files)?;
            if !gone.is_empty() {
                self.books().forget(&gone, &Batch::default());
                self.show();
            }
            // Further files wait behind those that are gone.
            if lot.is_some() || gone.is_empty() {
                return Ok(lot.or_else(|| self.repeats()));
            }
        }
    }

    /// The first of these, as far as they go together; and which are gone.
    fn gather(&self, files: &[Filed]) -> io::Result<(Option<Lot>, Vec<Filed>)> {
        let (mut lot, mut gone, mut bytes): (Option<Lot>, Vec<Filed>, u64) = (None, Vec::new(), 0);
        for filed in files {
            let Some((batch, _)) = self.read(filed.number)? else {
                gone.push(filed.clone());
                continue;
            };
            bytes += filed.bytes;
            match &mut lot {
                None => {
                    lot = Some(Lot {
                        batch,
                        files: vec![filed.clone()],
                    })
                }
                Some(lot)
                    if lot.batch.installation == batch.installation
                        && lot.batch.len() + batch.len() <= MOST_AT_ONCE
                        && bytes <= BYTES_AT_ONCE =>
                {
                    lot.batch.add(batch);
                    lot.files.push(filed.clone());
                }
                Some(_) => break,
            }
        }
        Ok((lot, gone))
    }

    fn repeats(&self) -> Option<Lot> {
        let books = self.books();
        let again: Vec<_> = books.repeats.values().take(MOST_AT_ONCE).copied().collect();
        drop(books);
        (!again.is_empty()).then(|| Lot {
            batch: Batch {
                installation: self.installation().unwrap_or_default().to_string(),
                again,
                ..Batch::default()
            },
            files: Vec::new(),
        })
    }

    /// The main server has it.
    pub(super) fn taken(&self, lot: &Lot) -> io::Result<()> {
        for filed in &lot.files {
            match std::fs::remove_file(self.path(filed.number)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed?,
            }
        }
        self.books().forget(&lot.files, &lot.batch);
        self.show();
        Ok(())
    }

    /// The main server will never take these, a part of the lot or all of it, and says why: they are kept to be
    /// looked at, and wait no more. It has the rest.
    pub(super) fn refused(&self, lot: &Lot, aside: &[(Batch, String)]) -> io::Result<()> {
        let lost = aside.iter().map(|(batch, _)| batch.len() as u64).sum();
        if let Some(filed) = lot.files.first() {
            let path = self.path(filed.number).with_extension("refused");
            if let Err(error) = self.write(&aside::in_words(aside)?, &path) {
                // A full disk must not hold up what waits behind it.
                tracing::error!(%error, "the reason why it is put aside can't be written down");
                std::fs::rename(self.path(filed.number), &path)?;
            }
            self.aside.inc();
        }
        self.taken(lot)?;
        self.lost.inc_by(lost);
        Ok(())
    }
}

impl Lot {
    /// How many files it is of.
    pub(super) fn files(&self) -> usize {
        self.files.len()
    }
}

#[expect(
    clippy::expect_used,
    reason = "the metrics' names are constants, and the unit test makes them"
)]
fn gauge(name: &str, help: &str) -> IntGauge {
    IntGauge::new(name, help).expect("a valid name")
}

#[expect(
    clippy::expect_used,
    reason = "the metrics' names are constants, and the unit test makes them"
)]
pub(super) fn counter(name: &str, help: &str) -> IntCounter {
    IntCounter::new(name, help).expect("a valid name")
}

#[cfg(test)]
mod tests;
