//! What every format asks of the same small things: addresses, apps, times.

use countermand_core::fleet::{IncomingApp, fold};
use jiff::{Timestamp, ZonedDateTime};

use super::text::{is_invisible, shown};

/// The longest address that mail can carry (RFC 5321, 4.5.3.1.3).
const MAX_ADDRESS: usize = 254;
const MAX_PACKAGE_ID: usize = 512;
const MAX_WORDS: usize = 256;

/// A name by which a directory knows a person: an address or a login, folded.
pub(super) fn login(text: &str) -> Result<String, String> {
    let folded = fold(text);
    let problem = if folded.is_empty() {
        "is empty"
    } else if folded.len() > MAX_ADDRESS {
        "is longer than 254 bytes"
    } else if folded.chars().any(char::is_whitespace) {
        "has a blank in it"
    } else if folded.chars().any(|c| c.is_control() || is_invisible(c)) {
        "has an invisible letter in it"
    } else if folded.contains(['<', '>', '(', ')', '[', ']', ',', ';', ':', '"']) {
        "has a sign in it that no plain address has"
    } else if folded.matches('@').count() > 1 {
        "has more than one @"
    } else {
        return Ok(folded);
    };
    Err(format!(
        "«{}» {problem}; write it like ana@example.test",
        shown(text)
    ))
}

/// A mail address, folded.
pub(super) fn address(text: &str) -> Result<String, String> {
    let folded = login(text)?;
    let dots_fit = |part: &str| !part.is_empty() && part.split('.').all(|piece| !piece.is_empty());
    match folded.split_once('@') {
        Some((local, domain)) if dots_fit(local) && dots_fit(domain) => Ok(folded),
        Some(_) => Err(format!(
            "«{}» is no whole address; write it like ana@example.test",
            shown(text)
        )),
        None => Err(format!(
            "«{}» has no @; write it like ana@example.test",
            shown(text)
        )),
    }
}

/// An app as a source names it. A bad id is an error, since to leave the app out of a complete
/// list would say that it is absent.
pub(super) fn app(id: &str, name: &str, version: &str) -> Result<IncomingApp, String> {
    let id = id.trim();
    if id.len() > MAX_PACKAGE_ID || id.chars().any(char::is_control) {
        return Err(format!(
            "«{}» is no package id; expected at most {MAX_PACKAGE_ID} printable letters",
            shown(id)
        ));
    }
    Ok(IncomingApp {
        package_id: id.to_owned(),
        name: words(name),
        version: words(version),
    })
}

/// A text that is only shown or compared loosely: bounded, and on one line.
pub(super) fn words(text: &str) -> String {
    let plain: String = text
        .trim()
        .chars()
        .take(MAX_WORDS)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    plain.trim().to_owned()
}

/// When a source looked; a time to come counts as the time of arrival.
pub(super) fn seen_at(text: &str, arrival: Timestamp) -> Result<Timestamp, String> {
    let text = text.trim();
    text.parse::<Timestamp>()
        .or_else(|_| text.parse::<ZonedDateTime>().map(|zoned| zoned.timestamp()))
        .map(|at| at.min(arrival))
        .map_err(|_| {
            format!(
                "«{}» is no RFC 3339 time; write it like 2020-07-10T12:00:00Z",
                shown(text)
            )
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_folded_and_checked() {
        assert_eq!(address(" Ana@Example.Test ").unwrap(), "ana@example.test");
        assert_eq!(
            address("o'neil+x@a-b.example").unwrap(),
            "o'neil+x@a-b.example"
        );
        assert_eq!(login("EXAMPLE\\Ana").unwrap(), "example\\ana");
        for bad in [
            "",
            " ",
            "ana",
            "@example.test",
            "ana@",
            "a@b@c",
            "ana smith@example.test",
            "ana\u{A0}@example.test",
            "ana\u{200B}@example.test",
            "ana\0@example.test",
            "a@b\r\nBcc: c@d",
            "<ana@example.test>",
            "ana@example..test",
            ".ana@example.test",
            "ana@.test",
            "mailto:ana@example.test",
        ] {
            assert!(
                address(bad).unwrap_err().contains("ana@example.test"),
                "{bad:?}"
            );
        }
        assert!(address(&format!("{}@example.test", "a".repeat(300))).is_err());
    }

    #[test]
    fn an_app_keeps_its_id_and_its_texts_are_bounded() {
        let tidy = app(" com.x ", "A\nB", &"1".repeat(1000)).unwrap();
        assert_eq!(
            (tidy.package_id.as_str(), tidy.name.as_str()),
            ("com.x", "A B")
        );
        assert_eq!(tidy.version.len(), MAX_WORDS);
        assert!(app("com.\u{7}x", "", "").is_err());
        assert!(app(&"x".repeat(513), "", "").is_err());
    }

    #[test]
    fn inv_06_a_time_to_come_counts_as_the_arrival() {
        let arrival: Timestamp = "2020-07-10T19:00:00Z".parse().unwrap();
        assert_eq!(seen_at("2031-01-01T00:00:00Z", arrival), Ok(arrival));
        let earlier = "2020-07-10T12:00:00Z".parse().unwrap();
        for same in [
            "2020-07-10T12:00:00Z",
            "2020-07-10T05:00:00-07:00",
            "2020-07-10T05:00:00-07:00[America/Los_Angeles]",
            "2020-07-10T05:00:00[America/Los_Angeles]",
        ] {
            assert_eq!(seen_at(same, arrival), Ok(earlier), "{same}");
        }
        for bad in [
            "",
            "2020-07-10",
            "10.07.2020 12:00",
            "2020-07-10T12:00:00",
            "0001",
        ] {
            assert!(seen_at(bad, arrival).is_err(), "{bad}");
        }
    }
}
