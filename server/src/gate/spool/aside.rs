//! What was put aside, for whoever looks at it, and what the doctor sees of a spool from outside.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::gate::batch::Batch;

/// Files whose reasons are read.
const MOST_READ: usize = 100;

#[derive(Serialize, Deserialize)]
struct Aside {
    /// What the main server said.
    why: String,
    batch: Batch,
}

/// The file of what was put aside.
pub(super) fn in_words(aside: &[(Batch, String)]) -> io::Result<Vec<u8>> {
    let aside: Vec<Aside> = aside
        .iter()
        .map(|(batch, why)| Aside {
            why: why.clone(),
            batch: batch.clone(),
        })
        .collect();
    Ok(serde_json::to_vec_pretty(&aside)?)
}

/// What is in a spool, as its folder shows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Contents {
    /// Files that wait for the main server, and their bytes.
    pub waiting: usize,
    pub bytes: u64,
    /// Nothing more finds room.
    pub full: bool,
    /// Names of files that were put aside, by number.
    pub aside: Vec<String>,
    /// Why, each reason once.
    pub why: Vec<String>,
}

/// Looks into a spool that another process has, and changes nothing there.
pub fn look(folder: &Path) -> io::Result<Contents> {
    let mut found = Contents::default();
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        match name.rsplit_once('.').map_or("", |(_, kind)| kind) {
            "json" => {
                // It may have been handed over meanwhile.
                let Ok(about) = entry.metadata() else {
                    continue;
                };
                found.waiting += 1;
                found.bytes += about.len();
            }
            "refused" | "unreadable" => found.aside.push(name),
            _ => {}
        }
    }
    found.full = found.waiting >= super::MOST_FILES || found.bytes >= super::MOST_BYTES;
    found.aside.sort();
    for name in found.aside.iter().rev().take(MOST_READ) {
        for why in reasons(&folder.join(name)) {
            if !found.why.contains(&why) {
                found.why.push(why);
            }
        }
    }
    Ok(found)
}

fn reasons(path: &Path) -> Vec<String> {
    if path.extension().is_some_and(|kind| kind == "unreadable") {
        return vec!["it can't be read".to_owned()];
    }
    let aside: Option<Vec<Aside>> = std::fs::read(path)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let aside = aside.unwrap_or_default();
    aside.into_iter().map(|one| one.why).collect()
}
