//! How answers look: one JSON document for programs; tables and plain words for people.

use std::io::{IsTerminal, Write};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use countermand_core::order::when::for_people;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use serde::Serialize;

use super::{Failure, Result};
use crate::app::import::Progress;

/// Writes answers.
#[derive(Clone, Copy, Debug)]
pub struct Printer {
    json: bool,
    colour: bool,
}

impl Printer {
    pub fn new(json: bool) -> Printer {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        Printer {
            json,
            colour: wanted && std::io::stdout().is_terminal(),
        }
    }

    /// Whether programs read the answer.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// The one answer of a command, in the form that was asked for.
    pub fn answer(&self, document: &impl Serialize, words: impl FnOnce() -> String) -> Result<()> {
        let text = if self.json {
            serde_json::to_string_pretty(document).map_err(|e| Failure::failed(e.to_string()))?
        } else {
            words()
        };
        self.raw(&format!("{}\n", text.trim_end()))
    }

    /// What is a document by itself, whatever was asked for.
    pub fn raw(&self, text: &str) -> Result<()> {
        let mut out = std::io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            // Whoever read has seen enough (`| head`).
            Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::failed(format!(
                "the answer can't be written to standard output: {e}"
            ))),
            _ => Ok(()),
        }
    }

    /// A word that decides: green lets in, yellow warns or waits, red stops.
    pub fn word(&self, word: &str) -> String {
        let colour = match word {
            "allow" | "published" | "approved" | "enforce" | "fine" | "ok" => 32,
            "warn" | "held" | "in review" | "observe" | "warning" => 33,
            "deny" | "retracted" | "expired" | "failed" => 31,
            _ => 1,
        };
        self.painted(word, colour)
    }

    pub fn bold(&self, text: &str) -> String {
        self.painted(text, 1)
    }

    fn painted(&self, text: &str, code: u8) -> String {
        if self.colour {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// A moment in the zone that its reader thinks in; UTC where none is known.
pub fn time(at: Timestamp, zone: Option<&str>) -> String {
    for_people(at, zone.unwrap_or("UTC"))
}

/// A table without lines; the columns numbered in `right` hold numbers.
pub fn table(
    header: &[&str],
    right: &[usize],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
    if !header.is_empty() {
        table.set_header(header.iter().copied());
    }
    for row in rows {
        // A line break or an escape in somebody's text must not leave its cell.
        table.add_row(row.iter().map(|cell| tame(cell)));
    }
    if let Some(first) = table.column_mut(0) {
        first.set_padding((0, 1));
    }
    for at in right {
        if let Some(column) = table.column_mut(*at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// Text of others, without what could move the cursor or change colours.
pub fn tame(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}

/// A bar on standard error, drawn on terminals only.
pub fn bar(what: &str) -> impl FnMut(Progress) {
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {human_pos} of {human_len}") {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    move |progress| {
        bar.set_length(progress.of as u64);
        bar.set_position(progress.done as u64);
        if progress.done == progress.of {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use countermand_core::words::thousands;

    use super::*;

    #[test]
    fn tables_line_up_and_hold_hostile_text() {
        let rows = [("a", 5), ("long\u{1b}[31m", 25_000)]
            .map(|(name, n)| vec![name.to_owned(), thousands(n)]);
        assert_eq!(
            table(&["app", "devices"], &[1], rows),
            "app        devices\na                5\nlong [31m   25,000"
        );
    }
}
