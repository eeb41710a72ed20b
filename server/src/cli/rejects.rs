//! What is done with the rows of an import that can't be taken: the good ones are kept, the others
//! are written beside the file, ready to be mended and imported again.

use countermand_core::words::{counted, thousands};
use std::path::Path;

use serde::Serialize;

use super::{Exit, Failure, Place, Result, files, print};
use crate::import::Imported;

/// So many faults are printed; all of them stand in the JSON document.
const SHOWN: usize = 20;

/// How one file was imported.
#[derive(Debug, Serialize)]
pub(super) struct FileReport {
    pub file: String,
    pub format: String,
    pub imported: usize,
    pub rejected: usize,
    /// Where the rejected rows are.
    pub rejects: Option<String>,
    pub problems: Vec<String>,
    pub notes: Vec<String>,
}

/// Writes the rejected rows of `file`, before any good one is taken: none may be lost.
pub(super) fn keep<T>(file: &Path, format: &str, imported: &Imported<T>) -> Result<FileReport> {
    let mut rejects = None;
    if !imported.rejects.is_empty() {
        let path = files::beside(file, ".rejects");
        let mut text = String::new();
        let rows = imported.rejects.iter().map(|r| r.raw.as_str());
        for line in imported.head.as_deref().into_iter().chain(rows) {
            text += line;
            text.push('\n');
        }
        // People's data: a new file of ours, not an old one that others may read.
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Failure::failed(format!(
                "{} can't be replaced: {e}",
                path.display()
            ))),
            _ => files::write_new(&path, &text),
        }
        .map_err(|e| {
            Failure::failed(format!(
                "{} rows are wrong, and {e}; nothing was imported",
                imported.rejects.len()
            ))
        })?;
        rejects = Some(path.display().to_string());
    }
    Ok(FileReport {
        file: file.display().to_string(),
        format: format.to_owned(),
        imported: imported.good.len(),
        rejected: imported.rejects.len(),
        rejects,
        problems: imported.rejects.iter().map(ToString::to_string).collect(),
        notes: imported.notes.clone(),
    })
}

/// Says how it went: counts as the answer, faults and notes on standard error.
pub(super) fn tell(
    place: &Place,
    document: &impl Serialize,
    reports: &[FileReport],
    one: &str,
    many: &str,
) -> Result<Exit> {
    for report in reports {
        for problem in report.problems.iter().take(SHOWN) {
            eprintln!("{}: {}", report.file, print::tame(problem));
        }
        if let Some(more) = report.problems.len().checked_sub(SHOWN).filter(|n| *n > 0) {
            eprintln!("{}: {more} more rows are wrong", report.file);
        }
        for note in &report.notes {
            eprintln!("{}: {}", report.file, print::tame(note));
        }
    }
    place.print.answer(document, || {
        let line = |report: &FileReport| {
            let good = counted(report.imported as u64, one, many);
            let bad = match &report.rejects {
                None => String::new(),
                Some(rejects) => format!(
                    "; {} rejected and kept in {rejects}: mend them there and import that file",
                    thousands(report.rejected as u64)
                ),
            };
            format!("{}: {good} imported{bad}.", report.file)
        };
        reports.iter().map(line).collect::<Vec<_>>().join("\n")
    })?;
    Ok(if reports.iter().any(|r| r.rejected > 0) {
        Exit::Usage
    } else {
        Exit::Done
    })
}
