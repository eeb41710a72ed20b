//! Rust text without its comments and the insides of its literals.

/// Blanks out comments and literals, so that a word found in the answer is
/// code. Every byte keeps its place, and so does every line.
pub fn only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let after_word = at > 0 && is_word(bytes[at - 1]);
        let length = if rest.starts_with(b"//") {
            rest.iter()
                .position(|byte| *byte == b'\n')
                .unwrap_or(rest.len())
        } else if rest.starts_with(b"/*") {
            block_comment(rest)
        } else if rest[0] == b'"' {
            quoted(rest)
        } else if rest[0] == b'r'
            && (!after_word || bytes[at - 1] == b'b')
            && raw_hashes(rest).is_some()
        {
            // Leave the `r`, as the `b` of a byte string is left.
            code.push(b'r');
            at += 1;
            raw(&bytes[at..])
        } else if rest[0] == b'\'' {
            character(rest)
        } else {
            0
        };
        if length == 0 {
            code.push(bytes[at]);
            at += 1;
        } else {
            code.extend(
                bytes[at..at + length]
                    .iter()
                    .map(|byte| if *byte == b'\n' { b'\n' } else { b' ' }),
            );
            at += length;
        }
    }
    String::from_utf8(code).expect("whole characters are kept or blanked")
}

pub fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

fn quoted(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// The number of `#` where `rest` begins a raw string (`r"`, `r#"` …).
fn raw_hashes(rest: &[u8]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
    (rest.get(1 + hashes) == Some(&b'"')).then_some(hashes)
}

/// `rest` begins behind the `r`.
fn raw(rest: &[u8]) -> usize {
    let hashes = rest.iter().take_while(|byte| **byte == b'#').count();
    let end = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
    let body = &rest[hashes + 1..];
    match body.windows(end.len()).position(|window| window == end) {
        Some(found) => hashes + 1 + found + end.len(),
        None => rest.len(),
    }
}

/// A character literal; 0 for a lifetime.
fn character(rest: &[u8]) -> usize {
    match rest.get(1) {
        Some(b'\\') => {
            let close = rest.iter().skip(3).position(|byte| *byte == b'\'');
            close.map_or(rest.len(), |close| close + 4)
        }
        // One character, of however many bytes, and then the quote.
        Some(_) => {
            let width = rest[2..]
                .iter()
                .take_while(|byte| **byte & 0xC0 == 0x80)
                .count()
                + 1;
            if rest.get(1 + width) == Some(&b'\'') {
                width + 2
            } else {
                0
            }
        }
        None => 0,
    }
}
