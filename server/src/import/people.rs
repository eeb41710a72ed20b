//! The list of people: `email,aliases,name,groups,locale,time_zone`, lists with `;`.
//!
//! Two rows that share an address are both good: whether they are one person is decided where the
//! people already known are.

use std::collections::BTreeSet;

use countermand_core::fleet::PersonRow;
use jiff::tz::TimeZone;

use super::table::{self, Column, Row};
use super::text::shown;
use super::{ImportError, Imported, check};

const COLUMNS: &[Column] = &[
    Column::required("email"),
    Column::optional("aliases"),
    Column::optional("name"),
    Column::optional("groups"),
    Column::optional("locale"),
    Column::optional("time_zone"),
];

/// Reads a list of people.
pub fn people(bytes: &[u8]) -> Result<Imported<PersonRow>, ImportError> {
    table::read(bytes, COLUMNS, person)
}

pub(super) fn looks_like(text: &str) -> bool {
    table::header_has(text, &["email"])
}

fn person(row: &Row<'_>) -> Result<PersonRow, String> {
    let in_column = |column: &'static str| move |problem: String| format!("{column}: {problem}");
    let email = check::address(row.get("email")).map_err(in_column("email"))?;
    let mut aliases = row
        .list("aliases")
        .map(check::login)
        .collect::<Result<BTreeSet<_>, _>>()
        .map_err(in_column("aliases"))?;
    aliases.remove(&email);
    Ok(PersonRow {
        email,
        aliases,
        name: row.get("name").to_owned(),
        groups: row.list("groups").map(str::to_owned).collect(),
        locale: locale(row.get("locale")).map_err(in_column("locale"))?,
        time_zone: time_zone(row.get("time_zone")).map_err(in_column("time_zone"))?,
        absent: ["name", "groups", "locale", "time_zone"]
            .into_iter()
            .filter(|column| !row.has(column))
            .map(str::to_owned)
            .collect(),
    })
}

/// Enough of BCP 47 to tell a locale from a word; `de_DE`, as systems write it, is meant too.
fn locale(text: &str) -> Result<String, String> {
    let tag = text.replace('_', "-");
    let mut parts = tag.split('-');
    let language = parts.next().unwrap_or_default();
    let fits = matches!(language.len(), 2 | 3)
        && language.chars().all(|c| c.is_ascii_alphabetic())
        && parts.all(|p| matches!(p.len(), 1..=8) && p.chars().all(|c| c.is_ascii_alphanumeric()));
    if tag.is_empty() || (fits && tag.len() <= 35) {
        return Ok(tag);
    }
    Err(format!(
        "«{}» is no locale; write a BCP 47 tag such as de or pt-BR, or leave it empty",
        shown(text)
    ))
}

/// Asked of the same table of zones that times are later shown with, and spelt as it stands there.
fn time_zone(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    TimeZone::get(text)
        .ok()
        .filter(|zone| !zone.is_unknown())
        .and_then(|zone| zone.iana_name().map(str::to_owned))
        .ok_or_else(|| {
            format!(
                "«{}» is no time zone; write an IANA name such as Europe/Berlin (not a Windows name, not an abbreviation), or leave it empty",
                shown(text)
            )
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn set(items: &[&str]) -> BTreeSet<String> {
        items.iter().map(|i| (*i).to_owned()).collect()
    }

    #[test]
    fn a_full_row_becomes_a_person() {
        let text = "email,aliases,name,groups,locale,time_zone\r\n\
            Ana@Example.test,ANA.S@example.test; example\\ana;ana@example.test;,\"Smith, Ana\", all-staff ;IT;,pt_BR,america/los_angeles\r\n";
        let got = people(text.as_bytes()).unwrap();
        assert_eq!(
            got.good,
            [PersonRow {
                email: "ana@example.test".into(),
                aliases: set(&["ana.s@example.test", "example\\ana"]),
                name: "Smith, Ana".into(),
                groups: set(&["all-staff", "IT"]),
                locale: "pt-BR".into(),
                time_zone: "America/Los_Angeles".into(),
                absent: set(&[]),
            }]
        );
        assert!(got.rejects.is_empty() && got.notes.is_empty());
    }

    #[test]
    fn powershell_writes_a_type_line_quotes_and_utf_16() {
        let text =
            "\u{FEFF}#TYPE Selected.User\r\n\"Name\",\"Email\"\r\n\"Jörg\",\"j@example.test\"\r\n";
        let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let got = people(&bytes).unwrap();
        assert_eq!(
            (got.good[0].name.as_str(), got.good[0].email.as_str()),
            ("Jörg", "j@example.test")
        );
    }

    #[test]
    fn inv_05_a_shared_alias_and_a_repeated_address_are_left_to_the_join() {
        let text = "email,aliases\na@x.test,shared@x.test\nb@x.test,shared@x.test\na@x.test,\n";
        assert_eq!(people(text.as_bytes()).unwrap().good.len(), 3);
    }

    #[test]
    fn every_kind_of_bad_row_is_rejected_by_its_column() {
        let head = "email,aliases,name,groups,locale,time_zone\n";
        for (row, column) in [
            (",,Ana,,,", "email"),
            ("ana,,,,,", "email"),
            ("a@b@c.test,,,,,", "email"),
            ("a b@c.test,,,,,", "email"),
            ("a@b.test,x y,,,,", "aliases"),
            ("a@b.test,q@r@s,,,,", "aliases"),
            ("a@b.test,,\"A\nB\",,,", "name"),
            ("a@b.test,,,,German,", "locale"),
            ("a@b.test,,,,de-,", "locale"),
            ("a@b.test,,,,,W. Europe Standard Time", "time_zone"),
            ("a@b.test,,,,,Etc/Unknown", "time_zone"),
            ("a@b.test,,,,,../../etc/passwd", "time_zone"),
        ] {
            let got = people(format!("{head}{row}\nok@b.test,,,,,\n").as_bytes()).unwrap();
            assert_eq!(got.good.len(), 1, "{row}");
            let reject = &got.rejects[0];
            assert_eq!((reject.line, reject.raw.as_str()), (Some(2), row));
            assert!(
                reject.problem.starts_with(&format!("{column}: ")),
                "{reject}"
            );
        }
    }

    #[test]
    fn a_list_without_addresses_is_an_error() {
        let error = people(b"e-mail,name\n").unwrap_err().to_string();
        assert!(
            error.contains("no column email") && error.contains("«e-mail» meant"),
            "{error}"
        );
    }
}
