//! Links from one document of this tree to another lead somewhere.

use super::rules::Fault;
use super::tree::{Source, Tree};

const MEND: &str = "correct the path or the heading; both are as GitHub takes them";

pub fn dead(tree: &Tree) -> Vec<Fault> {
    let documents = tree.sources.iter().filter(|s| s.path.ends_with(".md"));
    let dead = |source: &'_ &Source| {
        let links = links(&source.text).into_iter();
        let dead = links.filter(|(_, to)| !leads_somewhere(tree, source, to));
        dead.map(|(line, to)| source.fault(line, format!("the link to {to} is dead"), MEND))
            .collect::<Vec<_>>()
    };
    documents.flat_map(|source| dead(&source)).collect()
}

/// What stands in `](…)` outside code, with its line.
fn links(text: &str) -> Vec<(usize, String)> {
    let (mut all, mut fenced) = (Vec::new(), false);
    for (line, words) in (1..).zip(text.lines()) {
        if words.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        let prose: String = words.split('`').step_by(2).collect();
        let targets = prose.split("](").skip(1);
        all.extend(targets.filter_map(|rest| Some((line, rest.split_once(')')?.0.to_owned()))));
    }
    all
}

fn leads_somewhere(tree: &Tree, from: &Source, to: &str) -> bool {
    if to.contains("://") || to.starts_with("mailto:") {
        return true;
    }
    let (path, heading) = to.split_once('#').unwrap_or((to, ""));
    let path = match path {
        "" => from.path.clone(),
        path => join(&from.path, path),
    };
    let Some(target) = tree.sources.iter().find(|s| s.path == path) else {
        let folder = format!("{}/", path.trim_end_matches('/'));
        return heading.is_empty() && tree.sources.iter().any(|s| s.path.starts_with(&folder));
    };
    heading.is_empty()
        || target
            .text
            .lines()
            .any(|line| slug(line) == Some(heading.to_owned()))
}

/// `to`, as the file `from` means it.
fn join(from: &str, to: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in to.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// How a heading is called in a link.
fn slug(line: &str) -> Option<String> {
    let words = line
        .strip_prefix('#')?
        .trim_start_matches('#')
        .strip_prefix(' ')?;
    let kept = words
        .trim()
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    Some(kept.collect::<String>().to_lowercase().replace(' ', "-"))
}

#[test]
fn a_dead_link_is_found_and_a_living_one_is_none() {
    let tree = |text: &str| {
        Tree::of(&[
            ("docs/a.md", text),
            ("README.md", "# Two words, and more\n"),
        ])
    };
    for fine in [
        "[x](../README.md) [y](../README.md#two-words-and-more)",
        "[x](https://h.test/none) `[y](none.md)` [z](../docs/)",
        "```\n[x](none.md)\n```\n# Here\n[x](#here)",
    ] {
        assert!(dead(&tree(fine)).is_empty(), "{fine}");
    }
    for wrong in [
        "[x](README.md)",
        "[x](../README.md#two-words)",
        "[x](#here)",
    ] {
        let faults = dead(&tree(&format!("\n{wrong}")));
        assert_eq!(faults.len(), 1, "{wrong}");
        assert!(
            faults[0].to_string().starts_with("docs/a.md:2: "),
            "{}",
            faults[0]
        );
    }
}
