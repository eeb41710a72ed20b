//! Bytes to text, as the tools that export tables write it.

use std::borrow::Cow;

use super::ImportError;

/// UTF-8 or UTF-16, with or without a byte order mark; PowerShell and Excel write all of these.
pub(super) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, ImportError> {
    match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => utf8(rest),
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        // A text that begins with a letter has its zero byte where UTF-16 puts it.
        [first, 0, ..] if *first != 0 => utf16(bytes, u16::from_le_bytes),
        [0, second, ..] if *second != 0 => utf16(bytes, u16::from_be_bytes),
        _ => utf8(bytes),
    }
}

fn utf8(bytes: &[u8]) -> Result<Cow<'_, str>, ImportError> {
    std::str::from_utf8(bytes)
        .map(Cow::Borrowed)
        .map_err(|error| {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = 1 + before.iter().filter(|b| **b == b'\n').count();
            ImportError::new(
                format!("line {line}"),
                "a letter is not in UTF-8",
                "save the file as UTF-8 (in Excel: «CSV UTF-8»; in PowerShell: -Encoding utf8)",
            )
        })
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<Cow<'_, str>, ImportError> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    char::decode_utf16(pairs.iter().map(|pair| unit(*pair)))
        .collect::<Result<String, _>>()
        .ok()
        .filter(|_| rest.is_empty())
        .map(Cow::Owned)
        .ok_or_else(|| {
            ImportError::new(
                "the file",
                "it begins like UTF-16, but is broken or cut off",
                "export it again, best as UTF-8",
            )
        })
}

/// A piece of a foreign text, fit for a message: short, and without what would move a cursor.
pub(super) fn shown(text: &str) -> String {
    const MAX: usize = 60;
    let mut short: String = text
        .chars()
        .take(MAX)
        .map(|c| {
            if c.is_control() || is_invisible(c) {
                '\u{FFFD}'
            } else {
                c
            }
        })
        .collect();
    if text.chars().nth(MAX).is_some() {
        short.push('…');
    }
    short
}

/// Letters without a shape, which spreadsheets and web pages leave in copied addresses.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn wide(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(unit).collect()
    }

    #[test]
    fn every_usual_encoding_reads_alike() {
        let text = "email\r\njörg@example.test 😀";
        let marked = format!("\u{FEFF}{text}");
        for bytes in [
            text.as_bytes().to_vec(),
            marked.as_bytes().to_vec(),
            wide(&marked, u16::to_le_bytes),
            wide(&marked, u16::to_be_bytes),
            wide(text, u16::to_le_bytes),
            wide(text, u16::to_be_bytes),
        ] {
            assert_eq!(decode(&bytes).unwrap(), text);
        }
    }

    #[test]
    fn another_encoding_says_where_and_how_to_mend() {
        let error = decode(b"email\nj\xF6rg@example.test")
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("line 2: "), "{error}");
        assert!(error.contains("UTF-8"), "{error}");
        assert!(decode(b"\xFF\xFEa\0b").is_err());
        assert!(decode(b"\xFF\xFE\x00\xD8").is_err());
    }

    #[test]
    fn what_is_shown_is_short_and_plain() {
        assert_eq!(shown("a\u{1b}[2Jb\u{202E}"), "a\u{FFFD}[2Jb\u{FFFD}");
        assert_eq!(shown(&"x".repeat(1000)).chars().count(), 61);
    }
}
