//! A small mutating driver, so that every target can be fuzzed with stable Rust and nothing else: takes the
//! corpus, changes it by chance that a number fixes, and keeps what makes a target panic.
//!
//! It does not see which code ran, as cargo-fuzz does. It makes up for some of that by writing words of the
//! corpus and of the table below into each other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sha2::Digest as _;

use super::targets::Target;

const LONGEST: usize = 16 * 1024;

/// What parsers are fond of.
const WORDS: &[&[u8]] = &[
    b"\0",
    b"\r\n",
    b"\n\n",
    b"\n.\r\n",
    b"=",
    b"==",
    b"%00",
    b"%",
    b"+",
    b"\"",
    b"\\",
    b"{",
    b"[[",
    b"]]",
    b"{{",
    b"{% for i in range(9) %}",
    b"{% endfor %}",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xc3\xa9",
    b"\xf0\x9f\x93\xb1",
    b"-1",
    b"0",
    b"65536",
    b"4294967296",
    b"9223372036854775807",
    b"1e999",
    b"NaN",
    b"null",
    b"true",
    b"[]",
    b"{}",
    b"9999-12-31T23:59:59Z",
    b"-009999-01-01T00:00:00Z",
    b"P9999999999Y",
    b"PT0S",
    b"NIL",
    b"<nil>",
    b"(null)",
];

/// Chance that a number fixes (splitmix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap()
    }

    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let from = self.below(length + 1);
        let most = (length - from).min(1 + self.below(64));
        from..from + self.below(most + 1)
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        all.get(self.below(all.len()))
    }
}

fn mutated(chance: &mut Chance, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = chance.of(corpus).cloned().unwrap_or_default();
    for _ in 0..=chance.below(6) {
        let range = chance.range(bytes.len());
        let at = range.start;
        match chance.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << chance.below(8),
            1 if at < bytes.len() => bytes[at] = u8::try_from(chance.below(256)).unwrap(),
            2 => drop(bytes.drain(range)),
            3 => {
                let word = chance.of(WORDS).copied().unwrap_or_default();
                drop(bytes.splice(at..at, word.iter().copied()));
            }
            4 => {
                let other = chance.of(corpus).cloned().unwrap_or_default();
                let part = chance.range(other.len());
                drop(bytes.splice(range, other[part].iter().copied()));
            }
            5 => {
                let again = bytes[range.clone()].repeat(1 + chance.below(40));
                drop(bytes.splice(range, again));
            }
            6 => bytes.truncate(at),
            _ => bytes.extend_from_within(range),
        }
        bytes.truncate(LONGEST);
    }
    bytes
}

/// The corpus of a target, by file.
pub fn corpus(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let read = |path: PathBuf| {
        let bytes = std::fs::read(&path).unwrap();
        (path, bytes)
    };
    files.into_iter().map(read).collect()
}

/// Mutates for so long. Whatever made the target panic, and whatever took longest, comes back as files.
pub fn fuzz((name, target): Target, folder: &Path, time: Duration, seed: u64) -> Vec<PathBuf> {
    let corpus: Vec<Vec<u8>> = corpus(folder).into_iter().map(|(_, bytes)| bytes).collect();
    let (mut chance, mut found, mut runs) = (Chance(seed), Vec::new(), 0_u64);
    let mut slowest = (Duration::ZERO, Vec::new());
    let began = Instant::now();
    while began.elapsed() < time && found.len() < 5 {
        let bytes = mutated(&mut chance, &corpus);
        let from = Instant::now();
        let done = catch_unwind(AssertUnwindSafe(|| target(&bytes)));
        runs += 1;
        if from.elapsed() > slowest.0 {
            slowest = (from.elapsed(), bytes.clone());
        }
        if done.is_err() {
            let hash = countermand_core::hex::encode(&sha2::Sha256::digest(&bytes)[..6]);
            let file = folder.join(format!("found-{hash}"));
            std::fs::write(&file, &bytes).unwrap();
            found.push(file);
        }
    }
    eprintln!(
        "{name}: {runs} runs, {} found; the slowest took {:?} for {} bytes",
        found.len(),
        slowest.0,
        slowest.1.len()
    );
    found
}
