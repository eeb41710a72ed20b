//! Which top-level modules a piece of code reaches for.

use super::code;

/// What follows each `PREFIX::` in the code, with the line that it stands on:
/// `store` for `crate::store::Store`; `live` and `app` for `crate::{live, app::x}`.
pub fn after<'a>(code: &'a str, prefix: &str) -> Vec<(usize, &'a str)> {
    let mut found = Vec::new();
    for at in words(code, prefix) {
        let Some(rest) = skip_colons(&code[at + prefix.len()..]) else {
            continue;
        };
        let line = line_of(code, at);
        match rest.strip_prefix('{') {
            None => found.extend(first_word(rest).map(|name| (line, name))),
            Some(group) => found.extend(heads(group).map(|name| (line, name))),
        }
    }
    found
}

/// Where `word` stands as a whole word, a path's own spacing left out of it.
pub fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |at| {
            let bytes = code.as_bytes();
            let free_before = *at == 0 || !code::is_word(bytes[at - 1]);
            let free_after = bytes
                .get(at + word.len())
                .is_none_or(|byte| !code::is_word(*byte));
            free_before && free_after
        })
}

pub fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

fn skip_colons(text: &str) -> Option<&str> {
    Some(text.trim_start().strip_prefix("::")?.trim_start())
}

fn first_word(text: &str) -> Option<&str> {
    let end = text
        .bytes()
        .position(|byte| !code::is_word(byte))
        .unwrap_or(text.len());
    (end > 0).then(|| &text[..end])
}

/// The first word of each item of a `{…}` group, whose brace is already open.
fn heads(group: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    let mut starts = vec![0];
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => starts.push(at + 1),
            _ => {}
        }
    }
    starts
        .into_iter()
        .filter_map(|start| first_word(group[start..].trim_start()))
}
