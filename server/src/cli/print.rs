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
            wrapped(&words(), Table::new().width())
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
    table_of(header, right, rows, None)
}

/// `width`: of the terminal, if it is not to be asked.
fn table_of(
    header: &[&str],
    right: &[usize],
    rows: impl IntoIterator<Item = Vec<String>>,
    width: Option<u16>,
) -> String {
    let mut table = Table::new();
    if let Some(width) = width {
        table.set_width(width);
    }
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
    let columns = table.column_count();
    // Nothing follows it.
    if let Some(last) = table.column_mut(columns.saturating_sub(1)) {
        last.set_padding((u16::from(columns > 1), 0));
    }
    for at in right {
        if let Some(column) = table.column_mut(*at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// Broken at blanks where a line is longer than the terminal is wide: it would break it in the middle of a word. What
/// is too long by itself, as an address, stays whole.
fn wrapped(text: &str, width: Option<u16>) -> String {
    let Some(width) = width.map(usize::from) else {
        return text.to_owned();
    };
    let mut lines = Vec::new();
    for line in text.lines() {
        if seen(line) <= width {
            lines.push(line.to_owned());
            continue;
        }
        let mut now = String::new();
        for word in line.split(' ') {
            if !now.is_empty() && seen(&now) + 1 + seen(word) > width {
                lines.push(std::mem::take(&mut now));
            } else if !now.is_empty() {
                now.push(' ');
            }
            now.push_str(word);
        }
        lines.push(now);
    }
    lines.join("\n")
}

/// How many places a text takes: colours take none.
fn seen(text: &str) -> usize {
    let mut colour = false;
    let shows = |c: &char| {
        let was = colour;
        colour = match c {
            '\u{1b}' => true,
            'm' if colour => false,
            _ => colour,
        };
        !was && !colour
    };
    text.chars().filter(shows).count()
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

    #[test]
    fn a_table_that_fits_the_terminal_breaks_no_word() {
        let header = [
            "",
            "planned",
            "claimed",
            "in flight",
            "accepted",
            "rejected",
            "unknown",
            "cancelled",
        ];
        let row = ["corrections", "0", "0", "0", "3", "0", "0", "0"].map(str::to_owned);
        let text = table_of(&header, &[1, 2, 3, 4, 5, 6, 7], [row.to_vec()], Some(80));
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
        // What is set in stays so where its cell is broken.
        let row = ["", "approve it (an approver who did not write it)", "a b"].map(str::to_owned);
        let text = table_of(&[], &[], [row.to_vec()], Some(30));
        assert!(text.lines().count() > 1, "{text}");
        assert!(text.lines().all(|line| line.starts_with("  ")), "{text}");
    }

    #[test]
    fn long_lines_are_broken_at_blanks_for_a_terminal_alone() {
        let text = "short\n\na line of words \u{1b}[1mbold\u{1b}[0m here\nhttps://a.test/very/long";
        assert_eq!(wrapped(text, None), text);
        assert_eq!(
            wrapped(text, Some(16)),
            "short\n\na line of words\n\u{1b}[1mbold\u{1b}[0m here\nhttps://a.test/very/long"
        );
        assert_eq!(wrapped(text, Some(20)), text.replace(" here", "\nhere"));
    }
}
