//! What a gate without a database has to put on record, on disk until the main server has taken it. It is
//! bounded; what finds no room is counted, and the doors go on.
//!
//! One file a batch, named by number, each put in its place as a whole. A batch that was taken while its answer
//! was lost is handed over once more: who was refused is the same then, and a count is one too many.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use countermand_core::change::{Change, RefusedAgain};
use countermand_core::fleet::Claim;
use countermand_core::id::PersonId;
use prometheus::{IntCounter, IntGauge, Registry};
use tokio::sync::Notify;

use super::batch::Batch;
use crate::live::Live;
use crate::live::disk::private;

/// Some kilobytes each at most, so some hundred megabytes.
const MOST_FILES: usize = 100_000;
const MOST_BYTES: u64 = 128 * 1024 * 1024;
/// Causes whose repeats are counted here.
const MOST_REPEATS: usize = 200_000;
/// Of one handing over.
const MOST_AT_ONCE: usize = 500;
const BYTES_AT_ONCE: u64 = 1024 * 1024;

#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    most_files: usize,
    live: Arc<Live>,
    books: Mutex<Books>,
    news: Notify,
    waiting: IntGauge,
    lost: IntCounter,
    pub(super) failures: IntCounter,
}

#[derive(Debug, Default)]
struct Books {
    next: u64,
    files: VecDeque<Filed>,
    /// What is in the files.
    items: usize,
    bytes: u64,
    /// Only here: how often somebody was refused again is lost with the process.
    repeats: BTreeMap<u64, RefusedAgain>,
    /// Claims that are in files, so that none is written at each login.
    claims: HashSet<(PersonId, String)>,
}

#[derive(Clone, Debug)]
struct Filed {
    number: u64,
    items: usize,
    bytes: u64,
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
        Spool::of(folder, MOST_FILES, live)
    }

    fn of(folder: &Path, most_files: usize, live: Arc<Live>) -> io::Result<Arc<Spool>> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(folder)?;
        let spool = Spool {
            folder: folder.to_owned(),
            most_files,
            live,
            books: Mutex::default(),
            news: Notify::new(),
            waiting: gauge(
                "countermand_gate_spool_waiting",
                "Refusals, claims and ended sessions that wait for the main server",
            ),
            lost: counter(
                "countermand_gate_spool_lost_total",
                "Those that found no room, or that the main server would not take",
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
                let next = self.books().next.max(number + 1);
                self.books().next = next;
                if kind == "json" {
                    found.push(number);
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
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:012}.json"))
    }

    /// `None` where it is gone, or can't be read and is put aside.
    fn read(&self, number: u64) -> io::Result<Option<(Batch, u64)>> {
        let path = self.path(number);
        let bytes = match std::fs::read(&path) {
            // It was handed over, and only the books were not told.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        match serde_json::from_slice(&bytes) {
            Ok(batch) => Ok(Some((batch, bytes.len() as u64))),
            Err(error) => {
                tracing::error!(%error, file = %path.display(), "a file of the spool can't be read; it is put aside");
                self.lost.inc();
                std::fs::rename(&path, path.with_extension("unreadable"))?;
                Ok(None)
            }
        }
    }

    /// It is on disk when this returns.
    pub(super) async fn keep(self: &Arc<Self>, change: Change) -> io::Result<()> {
        let installation = self.live.installation().unwrap_or_default();
        let mut batch = Batch {
            installation,
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
        written.map_err(io::Error::other)??;
        self.show();
        self.news.notify_one();
        Ok(())
    }

    fn file(&self, batch: &Batch) -> io::Result<()> {
        let bytes = serde_json::to_vec(batch)?;
        let number = {
            let mut books = self.books();
            let room = books.files.len() < self.most_files && books.bytes < MOST_BYTES;
            if !room {
                // Whoever keeps them meanwhile tries again, and takes none of them for known.
                return Err(io::Error::other(
                    "it is full, and the main server takes nothing; the doors go on",
                ));
            }
            books.next += 1;
            books.next
        };
        let path = self.path(number);
        let new = path.with_extension("new");
        if let Err(error) = self.write(&bytes, &new, &path) {
            // It is tried again under another number, and a full disk needs no leftovers.
            let _ = std::fs::remove_file(&new);
            return Err(error);
        }
        self.books().enter(number, batch, bytes.len() as u64);
        Ok(())
    }

    fn write(&self, bytes: &[u8], new: &Path, path: &Path) -> io::Result<()> {
        let mut file = private(new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(new, path)?;
        File::open(&self.folder)?.sync_all()
    }

    /// When there is something to hand over.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    /// The oldest of what waits, `most` files at most; `None` where nothing does.
    pub(super) fn lot(&self, most: usize) -> io::Result<Option<Lot>> {
        let mut lot: Option<Lot> = None;
        let files: Vec<Filed> = self.books().files.iter().take(most).cloned().collect();
        let mut bytes = 0;
        for filed in files {
            let Some((batch, _)) = self.read(filed.number)? else {
                self.books().forget(&[filed], &Batch::default());
                self.show();
                continue;
            };
            bytes += filed.bytes;
            match &mut lot {
                None => {
                    lot = Some(Lot {
                        batch,
                        files: vec![filed],
                    })
                }
                Some(lot)
                    if lot.batch.installation == batch.installation
                        && lot.batch.len() + batch.len() <= MOST_AT_ONCE
                        && bytes <= BYTES_AT_ONCE =>
                {
                    lot.batch.add(batch);
                    lot.files.push(filed);
                }
                Some(_) => break,
            }
        }
        Ok(lot.or_else(|| self.repeats()))
    }

    fn repeats(&self) -> Option<Lot> {
        let books = self.books();
        let again: Vec<_> = books.repeats.values().take(MOST_AT_ONCE).copied().collect();
        drop(books);
        (!again.is_empty()).then(|| Lot {
            batch: Batch {
                installation: self.live.installation().unwrap_or_default(),
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

    /// The main server will never take it: it is kept, and waits no more.
    pub(super) fn refused(&self, lot: &Lot) -> io::Result<()> {
        for filed in &lot.files {
            let path = self.path(filed.number);
            std::fs::rename(&path, path.with_extension("refused"))?;
        }
        self.lost.inc_by(lot.batch.len() as u64);
        self.books().forget(&lot.files, &lot.batch);
        self.show();
        Ok(())
    }
}

impl Lot {
    /// Whether it is of several, of which one alone may be what is wrong.
    pub(super) fn is_of_many(&self) -> bool {
        self.files.len() > 1
    }
}

impl Books {
    fn enter(&mut self, number: u64, batch: &Batch, bytes: u64) {
        let claims = batch.claims.iter();
        self.claims.extend(claims.map(name_of));
        self.bytes += bytes;
        self.items += batch.len();
        self.files.push_back(Filed {
            number,
            items: batch.len(),
            bytes,
        });
    }

    fn forget(&mut self, files: &[Filed], batch: &Batch) {
        let numbers: HashSet<u64> = files.iter().map(|filed| filed.number).collect();
        self.files.retain(|filed| !numbers.contains(&filed.number));
        for filed in files {
            self.bytes = self.bytes.saturating_sub(filed.bytes);
            self.items = self.items.saturating_sub(filed.items);
        }
        for claim in &batch.claims {
            self.claims.remove(&name_of(claim));
        }
        for one in &batch.again {
            if let Some(repeat) = self.repeats.get_mut(&one.fingerprint) {
                repeat.times = repeat.times.saturating_sub(one.times);
                if repeat.times == 0 {
                    self.repeats.remove(&one.fingerprint);
                }
            }
        }
    }

    fn fresh(&self, claims: Vec<Claim>) -> Vec<Claim> {
        let mut fresh = claims;
        fresh.retain(|claim| !self.claims.contains(&name_of(claim)));
        fresh
    }

    fn repeat(&mut self, again: &[RefusedAgain]) {
        for one in again {
            if self.repeats.len() >= MOST_REPEATS && !self.repeats.contains_key(&one.fingerprint) {
                continue;
            }
            let repeat = self
                .repeats
                .entry(one.fingerprint)
                .or_insert(RefusedAgain { times: 0, ..*one });
            repeat.times += one.times;
            repeat.last_at = repeat.last_at.max(one.last_at);
        }
    }
}

fn name_of(claim: &Claim) -> (PersonId, String) {
    (claim.person, claim.key.canonical().to_owned())
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
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use countermand_core::change::Refusal;
    use countermand_core::id::OrderId;
    use countermand_core::verdict::GatePolicy;
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::clock::ManualClock;
    use crate::live::part::Part;

    fn live(installation: &str) -> Arc<Live> {
        let live = Live::to_be_fed(Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH)));
        let part = Part {
            since: None,
            version: 1,
            installation: installation.to_owned(),
            policy: GatePolicy::default(),
            facts: Vec::new(),
        };
        live.feed(part, Timestamp::UNIX_EPOCH);
        live
    }

    fn refusal(fingerprint: u64) -> Change {
        Change::Refusals(vec![Refusal {
            fingerprint,
            at: Timestamp::UNIX_EPOCH,
            person: Some(PersonId(7)),
            certain: true,
            missing: None,
            orders: BTreeSet::from([OrderId(Uuid::nil())]),
            known: "{}".to_owned(),
        }])
    }

    fn claim(key: &str) -> Change {
        Change::Claims(vec![Claim {
            key: key.parse().unwrap(),
            person: PersonId(7),
            at: Timestamp::UNIX_EPOCH,
            first: false,
        }])
    }

    fn again(times: u64) -> Change {
        Change::RefusedAgain(vec![RefusedAgain {
            fingerprint: 1,
            times,
            last_at: Timestamp::UNIX_EPOCH,
        }])
    }

    fn fingerprints(lot: &Lot) -> Vec<u64> {
        lot.batch.refusals.iter().map(|r| r.fingerprint).collect()
    }

    #[tokio::test]
    async fn what_is_kept_outlives_the_process_and_goes_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool");
        let spool = Spool::open(&path, live("ours")).unwrap();
        for n in 1..=3 {
            spool.keep(refusal(n)).await.unwrap();
        }
        drop(spool);
        std::fs::write(path.join("000000000009.new"), "cut o").unwrap();
        let spool = Spool::open(&path, live("ours")).unwrap();
        assert_eq!(spool.waiting.get(), 3);
        spool.keep(refusal(4)).await.unwrap();
        let lot = spool.lot(2).unwrap().unwrap();
        assert_eq!(fingerprints(&lot), [1, 2]);
        assert_eq!(lot.batch.installation, "ours");
        spool.taken(&lot).unwrap();
        let lot = spool.lot(10).unwrap().unwrap();
        assert_eq!(fingerprints(&lot), [3, 4]);
        spool.taken(&lot).unwrap();
        assert!(spool.lot(10).unwrap().is_none());
        assert_eq!(spool.waiting.get(), 0);
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn people_of_two_installations_never_share_a_lot() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), live("theirs")).unwrap();
        spool.keep(refusal(1)).await.unwrap();
        let spool = Spool::open(folder.path(), live("ours")).unwrap();
        spool.keep(refusal(2)).await.unwrap();
        let lot = spool.lot(10).unwrap().unwrap();
        assert_eq!(
            (fingerprints(&lot), &*lot.batch.installation),
            (vec![1], "theirs")
        );
        // The main server does not take it: it is kept to be looked at, and no longer in the way.
        spool.refused(&lot).unwrap();
        assert_eq!(spool.lost.get(), 1);
        let lot = spool.lot(10).unwrap().unwrap();
        assert_eq!(
            (fingerprints(&lot), &*lot.batch.installation),
            (vec![2], "ours")
        );
        assert!(folder.path().join("000000000001.refused").exists());
    }

    #[tokio::test]
    async fn a_full_spool_takes_nothing_for_kept_and_keeps_what_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::of(folder.path(), 2, live("ours")).unwrap();
        for n in 1..=2 {
            spool.keep(refusal(n)).await.unwrap();
        }
        spool.keep(refusal(3)).await.unwrap_err();
        assert_eq!((spool.waiting.get(), spool.lost.get()), (2, 0));
        let lot = spool.lot(10).unwrap().unwrap();
        assert_eq!(fingerprints(&lot), [1, 2]);
        spool.taken(&lot).unwrap();
        spool.keep(refusal(3)).await.unwrap();
        assert_eq!(fingerprints(&spool.lot(10).unwrap().unwrap()), [3]);
    }

    #[tokio::test]
    async fn a_file_that_is_gone_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), live("ours")).unwrap();
        for n in 1..=3 {
            spool.keep(refusal(n)).await.unwrap();
        }
        let lot = spool.lot(2).unwrap().unwrap();
        std::fs::remove_file(spool.path(2)).unwrap();
        spool.taken(&lot).unwrap();
        assert_eq!(fingerprints(&spool.lot(10).unwrap().unwrap()), [3]);
        std::fs::remove_file(spool.path(3)).unwrap();
        assert!(spool.lot(10).unwrap().is_none());
        assert_eq!(spool.waiting.get(), 0);
    }

    #[tokio::test]
    async fn the_number_of_what_was_put_aside_is_never_given_again() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), live("ours")).unwrap();
        for fingerprint in 1..=2 {
            spool.keep(refusal(fingerprint)).await.unwrap();
            let lot = spool.lot(10).unwrap().unwrap();
            spool.refused(&lot).unwrap();
        }
        drop(spool);
        let spool = Spool::open(folder.path(), live("ours")).unwrap();
        spool.keep(refusal(3)).await.unwrap();
        spool.refused(&spool.lot(10).unwrap().unwrap()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[tokio::test]
    async fn a_login_that_repeats_fills_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), live("ours")).unwrap();
        for _ in 0..3 {
            spool.keep(claim("eas:NEW")).await.unwrap();
            spool.keep(again(2)).await.unwrap();
        }
        assert_eq!(
            spool.waiting.get(),
            2,
            "one claim, and one cause of repeats"
        );
        let lot = spool.lot(10).unwrap().unwrap();
        assert_eq!(lot.batch.claims.len(), 1);
        spool.taken(&lot).unwrap();
        let lot = spool.lot(10).unwrap().unwrap();
        assert_eq!(lot.batch.again[0].times, 6);
        // More came while it was under way.
        spool.keep(again(1)).await.unwrap();
        spool.taken(&lot).unwrap();
        assert_eq!(spool.lot(10).unwrap().unwrap().batch.again[0].times, 1);
        spool.keep(claim("eas:NEW")).await.unwrap();
        assert_eq!(
            spool.lot(10).unwrap().unwrap().batch.claims.len(),
            1,
            "it may be told again"
        );
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_read_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), live("ours")).unwrap();
        spool.keep(refusal(1)).await.unwrap();
        spool.keep(refusal(2)).await.unwrap();
        std::fs::write(spool.path(1), "{").unwrap();
        assert_eq!(fingerprints(&spool.lot(10).unwrap().unwrap()), [2]);
        assert_eq!((spool.waiting.get(), spool.lost.get()), (1, 1));
        assert!(folder.path().join("000000000001.unreadable").exists());
    }
}
