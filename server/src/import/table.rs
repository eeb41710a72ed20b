//! Tables with a header, as spreadsheets and PowerShell write them: the part that is the same for
//! people and devices.

use std::collections::BTreeMap;

use countermand_core::catalogue::nearest_of;
use countermand_core::fleet::fold;
use csv::{ReaderBuilder, StringRecord};

use super::text::{decode, shown};
use super::{ImportError, Imported, Notes, Reject};

/// A longer cell is a quote that was never closed, or an attack.
const MAX_CELL: usize = 64 * 1024;
const MAX_COLUMNS: usize = 1000;

/// A column that we read.
pub(super) struct Column {
    pub name: &'static str,
    pub required: bool,
    /// The longest cell, in bytes.
    pub max: usize,
}

impl Column {
    pub(super) const fn required(name: &'static str) -> Column {
        Column {
            name,
            required: true,
            max: MAX_CELL,
        }
    }

    pub(super) const fn optional(name: &'static str) -> Column {
        Column {
            name,
            required: false,
            max: MAX_CELL,
        }
    }
}

/// One row, asked by the names of its columns.
pub(super) struct Row<'a> {
    record: &'a StringRecord,
    places: &'a BTreeMap<&'static str, usize>,
}

impl Row<'_> {
    /// The cell without outer blanks; empty where the file has no such column.
    pub(super) fn get(&self, column: &str) -> &str {
        self.places
            .get(column)
            .and_then(|place| self.record.get(*place))
            .unwrap_or_default()
            .trim()
    }

    /// Whether the file has such a column.
    pub(super) fn has(&self, column: &str) -> bool {
        self.places.contains_key(column)
    }

    /// The members of a list; empty ones (a trailing `;`) don't count.
    pub(super) fn list(&self, column: &str) -> impl Iterator<Item = &str> {
        self.get(column)
            .split(';')
            .map(str::trim)
            .filter(|item| !item.is_empty())
    }
}

/// Reads all rows; `fact` makes one of a row, or says what is wrong with it.
pub(super) fn read<T>(
    bytes: &[u8],
    columns: &[Column],
    mut fact: impl FnMut(&Row<'_>) -> Result<T, String>,
) -> Result<Imported<T>, ImportError> {
    let text = decode(bytes)?;
    let (body, mut line) = below_type_line(&text);
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(body.as_bytes());
    let mut record = StringRecord::new();
    let mut notes = Notes::default();
    let mut header: Option<(BTreeMap<&'static str, usize>, StringRecord)> = None;
    let (mut good, mut rejects, mut head) = (Vec::new(), Vec::new(), None);
    let mut counted = 0;
    loop {
        let begin = position(&reader);
        let more = reader
            .read_record(&mut record)
            .map_err(|e| ImportError::new("the table", e.to_string(), "export it again as CSV"))?;
        if !more {
            break;
        }
        // The reader leaves the rest of a line break to the next record.
        let whole = body.get(begin..position(&reader)).unwrap_or_default();
        let raw = whole.trim_start_matches(['\r', '\n']);
        let start = begin + (whole.len() - raw.len());
        let raw = raw.trim_end_matches(['\r', '\n']);
        line += line_breaks(body.get(counted..start).unwrap_or_default());
        counted = start;

        let Some((places, names)) = &header else {
            let names = record.clone();
            header = Some((read_header(&names, columns, line, &mut notes)?, names));
            head = Some(raw.to_owned());
            continue;
        };
        if record.iter().all(|cell| cell.trim().is_empty()) {
            notes.count("a row without any value was skipped");
            continue;
        }
        let row = Row {
            record: &record,
            places,
        };
        match fits(&record, names, places, columns).and_then(|()| fact(&row)) {
            Ok(fact) => good.push(fact),
            Err(problem) => rejects.push(Reject {
                line: Some(line),
                raw: raw.to_owned(),
                problem,
            }),
        }
    }
    if header.is_none() {
        return Err(ImportError::new(
            "line 1",
            "the file is empty where a header was expected",
            format!("begin it with the line {}", names_of(columns)),
        ));
    }
    Ok(Imported {
        good,
        rejects,
        notes: notes.into_lines(),
        head,
    })
}

/// Whether the first row has all of these columns.
pub(super) fn header_has(text: &str, names: &[&str]) -> bool {
    let (body, _) = below_type_line(text);
    let first = body.trim_start().lines().next().unwrap_or_default();
    let columns: Vec<String> = first
        .split(',')
        .map(|name| fold(name.trim().trim_matches('"')))
        .collect();
    names
        .iter()
        .all(|name| columns.iter().any(|column| column == name))
}

/// PowerShell's `Export-Csv` writes the type of its objects first, unless told not to.
fn below_type_line(text: &str) -> (&str, usize) {
    if !text.starts_with("#TYPE") {
        return (text, 1);
    }
    (text.split_once('\n').map_or("", |(_, body)| body), 2)
}

fn position(reader: &csv::Reader<&[u8]>) -> usize {
    usize::try_from(reader.position().byte()).unwrap_or(usize::MAX)
}

fn line_breaks(text: &str) -> usize {
    text.bytes().filter(|b| *b == b'\n').count()
}

fn names_of(columns: &[Column]) -> String {
    columns.iter().map(|c| c.name).collect::<Vec<_>>().join(",")
}

fn read_header(
    names: &StringRecord,
    columns: &[Column],
    line: usize,
    notes: &mut Notes,
) -> Result<BTreeMap<&'static str, usize>, ImportError> {
    let fail = |problem: String, mend: String| {
        Err(ImportError::new(
            format!("the header, line {line}"),
            problem,
            mend,
        ))
    };
    if names.len() > MAX_COLUMNS {
        return fail(
            format!("it has {} columns", names.len()),
            format!("keep {}", names_of(columns)),
        );
    }
    let mut places = BTreeMap::new();
    let mut unknown = Vec::new();
    for (place, given) in names.iter().enumerate() {
        let Some(column) = columns.iter().find(|c| c.name == fold(given)) else {
            unknown.push(given);
            continue;
        };
        if places.insert(column.name, place).is_some() {
            return fail(
                format!("the column {} stands in it twice", column.name),
                "remove one".to_owned(),
            );
        }
    }
    let missing = columns
        .iter()
        .find(|c| c.required && !places.contains_key(c.name));
    if let Some(missing) = missing {
        let problem = format!("it has no column {}", missing.name);
        let apart = |c: char| names.len() == 1 && names.get(0).is_some_and(|n| n.contains(c));
        return match nearest_of(missing.name, unknown.iter().copied()) {
            _ if apart(';') || apart('\t') => fail(
                format!("{problem}: its columns are not parted by commas"),
                "save the table with commas".to_owned(),
            ),
            Some(near) => fail(
                problem,
                format!("is «{}» meant? Rename it to {}", shown(near), missing.name),
            ),
            None => fail(problem, format!("the columns are {}", names_of(columns))),
        };
    }
    for given in unknown {
        let free = columns
            .iter()
            .map(|c| c.name)
            .filter(|name| !places.contains_key(name));
        let hint = nearest_of(given, free).map_or(String::new(), |n| format!("; is {n} meant?"));
        notes.count(format!(
            "the column «{}» is not known and was not read{hint}",
            shown(given)
        ));
    }
    Ok(places)
}

/// What every row must be. A quote gone astray joins rows: then the count of cells or a line break
/// within one tells it, so that no row vanishes inside another.
fn fits(
    record: &StringRecord,
    names: &StringRecord,
    places: &BTreeMap<&'static str, usize>,
    columns: &[Column],
) -> Result<(), String> {
    if record.len() != names.len() {
        return Err(format!(
            "the row has {} cells where the header has {}; put cells with commas in them in quotes, and close every quote",
            record.len(),
            names.len()
        ));
    }
    for (place, cell) in record.iter().enumerate() {
        let known = columns.iter().find(|c| places.get(c.name) == Some(&place));
        let max = known.map_or(MAX_CELL, |c| c.max);
        let name = shown(names.get(place).unwrap_or_default());
        if cell.len() > max {
            return Err(format!(
                "{name}: the cell has {} bytes where {max} is the most; is a quote not closed?",
                cell.len()
            ));
        }
        if cell.chars().any(|c| c.is_control() && c != '\t') {
            return Err(format!(
                "{name}: «{}» has a line break or another control character in it; take it out, or close the quote before it",
                shown(cell)
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] = &[Column::required("email"), Column::optional("name")];

    fn emails(text: &str) -> Result<Imported<String>, ImportError> {
        read(text.as_bytes(), COLUMNS, |row| match row.get("email") {
            "" => Err("empty".to_owned()),
            email => Ok(email.to_owned()),
        })
    }

    fn lines(imported: &Imported<String>) -> Vec<(Option<usize>, &str)> {
        imported
            .rejects
            .iter()
            .map(|r| (r.line, r.raw.as_str()))
            .collect()
    }

    #[test]
    fn columns_come_in_any_order_and_letter_case() {
        let got = emails("Name , EMAIL\n\"Smith, Ana\",ana\n,bob\n").unwrap();
        assert_eq!(got.good, ["ana", "bob"]);
        assert_eq!(got.head.as_deref(), Some("Name , EMAIL"));
        assert_eq!((got.rejects.len(), got.notes.len()), (0, 0));
    }

    #[test]
    fn a_reject_keeps_its_row_and_line() {
        let unix = "#TYPE X\nemail,name\n\na,1\n,\"x, y\"\nb,2\n,z";
        for text in [unix.to_owned(), unix.replace('\n', "\r\n")] {
            let got = emails(&text).unwrap();
            assert_eq!(got.good, ["a", "b"]);
            assert_eq!(lines(&got), [(Some(5), ",\"x, y\""), (Some(7), ",z")]);
        }
    }

    #[test]
    fn a_stray_quote_rejects_what_it_swallowed_and_loses_nothing() {
        let got = emails("email,name\na,1\nb,\"2\nc,3\nd,4\n").unwrap();
        assert_eq!(got.good, ["a"]);
        assert_eq!(lines(&got), [(Some(3), "b,\"2\nc,3\nd,4")]);
        let got = emails("email,name\na,\"1\nb,2\"\nc,3\n").unwrap();
        assert_eq!(got.good, ["c"]);
        assert!(got.rejects[0].problem.contains("close the quote"));
    }

    #[test]
    fn a_row_of_another_width_or_a_huge_cell_is_rejected() {
        let text = format!(
            "email,name\na\nb,c,d\n{},x\nok,\n,,\n,\n",
            "e".repeat(70_000)
        );
        let got = emails(&text).unwrap();
        assert_eq!(got.good, ["ok"]);
        assert_eq!((got.rejects.len(), got.notes.len()), (3, 1));
        assert!(
            got.rejects[0]
                .problem
                .contains("1 cells where the header has 2")
        );
        assert!(got.rejects[2].problem.contains("65536"));
    }

    #[test]
    fn a_wrong_header_names_what_is_meant() {
        for (text, expected) in [
            ("", "email,name"),
            ("\n\n", "email,name"),
            ("e-mail,name\n", "«e-mail» meant"),
            ("who\n", "the columns are email,name"),
            ("email,Email\n", "twice"),
            ("email;name\nana;x\n", "commas"),
            ("mail\tname\n", "commas"),
        ] {
            let error = emails(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let wide = vec!["email"; 1001].join(",");
        assert!(
            emails(&wide)
                .unwrap_err()
                .to_string()
                .contains("1001 columns")
        );
    }

    #[test]
    fn an_unknown_column_is_noted() {
        let got = emails("email,nam,badge\na,b,c\n").unwrap();
        assert_eq!(got.good, ["a"]);
        assert_eq!(got.notes.len(), 2);
        assert!(
            got.notes
                .iter()
                .any(|n| n.contains("«nam»") && n.contains("is name meant?"))
        );
    }
}
