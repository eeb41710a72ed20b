//! Each rule reads a tree and answers with its faults.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use super::tree::{Source, Tree};
use super::{code, imports};

/// A file that needs more than this has two jobs.
const LONGEST_FILE: usize = 600;

/// As numbered in ARCHITECTURE.md.
pub const INVARIANTS: RangeInclusive<u32> = 1..=37;

/// For each module of the server, the siblings that it may use, besides
/// `ANYWHERE`. What a module may use, it may also reach through it.
const MAY_USE: &[(&str, &[&str])] = &[
    // The relay's section is read by who talks to the relay.
    ("config", &["outbox"]),
    ("clock", &[]),
    ("failpoint", &[]),
    ("listen", &[]),
    ("runtime", &[]),
    ("trust", &[]),
    ("store", &[]),
    ("live", &["store"]),
    ("outbox", &["store"]),
    ("import", &[]),
    ("export", &[]),
    ("app", &["store", "live", "outbox", "import", "export"]),
    ("gate", &["live", "store"]),
    ("doctor", &["app", "live", "store", "outbox", "gate"]),
    (
        "web",
        &["app", "store", "live", "outbox", "import", "export"],
    ),
    (
        "cli",
        &["app", "store", "live", "outbox", "import", "export"],
    ),
    (
        "demo",
        &["app", "store", "live", "outbox", "import", "export"],
    ),
];

/// Plain values that every module is handed, the moments that any may pass, the one way to listen, and whose
/// certificates are believed.
const ANYWHERE: &[&str] = &["config", "clock", "failpoint", "listen", "trust"];

/// Where the parts are put together: they may use everything.
const OUTERMOST: &[&str] = &["main", "lib", "serve"];

/// Library, and the modules of the server that may name it.
const LIBRARIES: &[(&str, &str)] = &[
    ("sqlx", "store"),
    ("lettre", "outbox"),
    ("hyper", "outbox gate doctor"),
];

const BENCH_PEERS: &str = "bench/src/peers.rs";

const NOT_IN_CORE: &[&str] = &[
    "tokio", "sqlx", "axum", "lettre", "reqwest", "rand", "hyper", "rustls",
];
const NOT_IN_CORE_OF_STD: &[&str] = &["fs", "net", "process", "env", "thread"];
const NO_CLOCK: &[(&str, &str)] = &[
    ("Timestamp", "now"),
    ("ZonedDateTime", "now"),
    ("SystemTime", "now"),
    ("Instant", "now"),
    ("Uuid", "now_v7"),
];

pub struct Fault {
    path: String,
    line: usize,
    what: String,
    mend: &'static str,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: {}.\n  To mend: {}",
            self.path, self.line, self.what, self.mend
        )
    }
}

impl Source {
    pub fn fault(&self, line: usize, what: impl Into<String>, mend: &'static str) -> Fault {
        Fault {
            path: self.path.clone(),
            line,
            what: what.into(),
            mend,
        }
    }

    /// The module directly under `server/src` that this file belongs to.
    fn server_module(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("server/src/")?;
        let first = inside.split('/').next()?;
        Some(first.strip_suffix(".rs").unwrap_or(first))
    }

    /// How many `super` lead from this file's module to the crate's root.
    fn depth(&self) -> usize {
        let inside = self.path.strip_prefix("server/src/").unwrap_or(&self.path);
        inside.matches('/').count() + usize::from(!inside.ends_with("mod.rs"))
    }
}

pub fn too_long(tree: &Tree) -> Vec<Fault> {
    let mend = "split it by what its parts do; one module, one job";
    tree.rust()
        .map(|source| (source, source.text.lines().count()))
        .filter(|(_, lines)| *lines > LONGEST_FILE)
        .map(|(source, lines)| {
            source.fault(
                lines,
                format!("it has {lines} lines, {LONGEST_FILE} at most"),
                mend,
            )
        })
        .collect()
}

pub fn wrong_way(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for source in tree.rust() {
        let Some(module) = source.server_module() else {
            continue;
        };
        if OUTERMOST.contains(&module) {
            continue;
        }
        let Some((_, may_use)) = MAY_USE.iter().find(|(name, _)| *name == module) else {
            let mend = "move it into the module whose job it is part of, or name it in MAY_USE of \
                        core/tests/tidy/rules.rs and in the code map of ARCHITECTURE.md";
            faults.push(source.fault(
                1,
                format!("the module `{module}` has no place among the others"),
                mend,
            ));
            continue;
        };
        let code = code::only(&source.text);
        for (line, name) in siblings(source, &code) {
            let is_sibling =
                MAY_USE.iter().any(|(other, _)| *other == name) || OUTERMOST.contains(&name);
            let is_free = name == module || may_use.contains(&name) || ANYWHERE.contains(&name);
            if is_sibling && !is_free {
                let mend = "hand the value in from the caller, or move the code to the side that may know both; \
                            the directions stand in ARCHITECTURE.md";
                faults.push(source.fault(
                    line,
                    format!("`{module}` uses `{name}`, against the direction"),
                    mend,
                ));
            }
        }
    }
    faults
}

fn siblings<'a>(source: &Source, code: &'a str) -> Vec<(usize, &'a str)> {
    let mut names = imports::after(code, "crate");
    names.extend(imports::after(code, "countermand"));
    names.extend(imports::after(
        code,
        &vec!["super"; source.depth()].join("::"),
    ));
    names
}

pub fn library_out_of_place(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for source in tree.rust().filter(|source| {
        ["server/src/", "bench/src/"]
            .iter()
            .any(|d| source.path.starts_with(d))
    }) {
        let code = code::only(&source.text);
        for (library, home) in LIBRARIES {
            // The bench measures what it names there: lettre alone is a peer of ours.
            let module = source.server_module();
            let at_home = module.is_some_and(|m| home.split(' ').any(|h| h == m));
            if at_home || source.path == BENCH_PEERS {
                continue;
            }
            if let Some(at) = imports::words(&code, library).next() {
                let what = format!("it names `{library}`, which only the module `{home}` knows");
                let mend = "add a function to that module and call it from here";
                faults.push(source.fault(imports::line_of(&code, at), what, mend));
            }
        }
    }
    faults
}

pub fn impure_core(tree: &Tree) -> Vec<Fault> {
    let mend = "take the time, the id or the fact as an argument; what talks to the world lives in the server";
    let mut faults = Vec::new();
    for source in tree
        .rust()
        .filter(|source| source.path.starts_with("core/src/"))
    {
        let code = code::only(&source.text);
        for name in NOT_IN_CORE {
            if let Some(at) = imports::words(&code, name).next() {
                faults.push(source.fault(
                    imports::line_of(&code, at),
                    format!("the core names `{name}`"),
                    mend,
                ));
            }
        }
        for (line, name) in imports::after(&code, "std") {
            if NOT_IN_CORE_OF_STD.contains(&name) {
                faults.push(source.fault(line, format!("the core names `std::{name}`"), mend));
            }
        }
        for (kind, function) in NO_CLOCK {
            for (line, name) in imports::after(&code, kind) {
                if name == *function {
                    faults.push(source.fault(
                        line,
                        format!("the core calls `{kind}::{function}`"),
                        mend,
                    ));
                }
            }
        }
    }
    for source in tree
        .sources
        .iter()
        .filter(|source| source.path == "core/Cargo.toml")
    {
        let mut in_dependencies = false;
        for (line, text) in (1..).zip(source.text.lines()) {
            if text.starts_with('[') {
                in_dependencies = text.trim() == "[dependencies]";
            }
            let name = text.split(['.', '=', ' ']).next().unwrap_or("");
            if in_dependencies && NOT_IN_CORE.contains(&name) {
                faults.push(source.fault(line, format!("the core depends on `{name}`"), mend));
            }
        }
    }
    faults
}

pub fn machine_path(tree: &Tree) -> Vec<Fault> {
    // Put together here, so that this file does not name one itself.
    let starts = ["home", "root", "work", "Users"].map(|name| format!("/{name}/"));
    let starts = starts
        .iter()
        .map(String::as_str)
        .chain([concat!("C:\\", "Users\\")]);
    let starts: Vec<&str> = starts.collect();
    let mend = "say it relative to the repository, to the data directory, or by a variable";
    let mut faults = Vec::new();
    for source in tree
        .sources
        .iter()
        .filter(|source| !source.path.ends_with(".lock"))
    {
        for (line, text) in (1..).zip(source.text.lines()) {
            let found = starts.iter().find(|start| {
                text.match_indices(**start).any(|(at, _)| {
                    let before = text[..at].chars().next_back();
                    // Behind a word or a dot it is the middle of a path or a URL.
                    before.is_none_or(|c| !c.is_alphanumeric() && !"._-}/$~".contains(c))
                })
            });
            if let Some(start) = found {
                faults.push(source.fault(
                    line,
                    format!("`{start}…` is a path of one machine"),
                    mend,
                ));
            }
        }
    }
    faults
}

pub fn unfinished(tree: &Tree) -> Vec<Fault> {
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("X", "XX"),
    ];
    let calls = [concat!("to", "do!"), concat!("unimpl", "emented!")];
    let skipped = concat!("#[ig", "nore");
    let mend = "finish it, or take it out and open an issue";
    let written = [
        "rs", "toml", "md", "sh", "sql", "html", "txt", "css", "js", "yml", "yaml", "svg", "conf",
    ];
    let mut faults = Vec::new();
    for source in &tree.sources {
        // Scripts have no extension; tables of apps do, and may hold any word.
        let name = source.path.rsplit('/').next().unwrap_or("");
        if name
            .rsplit_once('.')
            .is_some_and(|(_, extension)| !written.contains(&extension))
        {
            continue;
        }
        for (line, text) in (1..).zip(source.text.lines()) {
            let in_rust = source.path.ends_with(".rs");
            let mark = marks
                .iter()
                .find(|mark| imports::words(text, mark).next().is_some());
            let call = calls.iter().find(|call| in_rust && text.contains(**call));
            if let Some(found) = mark.or(call) {
                faults.push(source.fault(line, format!("`{found}` marks unfinished work"), mend));
            } else if in_rust && text.contains(skipped) {
                let what = "a test that is never run is unfinished work";
                faults.push(source.fault(line, what, "make it run, or take it out"));
            }
        }
    }
    faults
}

/// The names of the tests of each invariant.
pub fn invariants_with_tests(tree: &Tree) -> BTreeMap<u32, Vec<String>> {
    let mut covered: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for test in invariant_tests(tree) {
        if let Some(number) = test.number() {
            covered.entry(number).or_default().push(test.name);
        }
    }
    covered
}

pub fn unknown_invariant(tree: &Tree) -> Vec<Fault> {
    let mend =
        "name it `inv_NN_…` by the number, two digits, that the invariant has in ARCHITECTURE.md";
    invariant_tests(tree)
        .into_iter()
        .filter(|test| {
            !test
                .number()
                .is_some_and(|number| INVARIANTS.contains(&number))
        })
        .map(|test| {
            test.source.fault(
                test.line,
                format!("`{}` names no invariant", test.name),
                mend,
            )
        })
        .collect()
}

struct InvariantTest<'a> {
    source: &'a Source,
    line: usize,
    name: String,
}

impl InvariantTest<'_> {
    fn number(&self) -> Option<u32> {
        let digits = self.name.strip_prefix("inv_")?.split('_').next()?;
        if digits.len() == 2 {
            digits.parse().ok()
        } else {
            None
        }
    }
}

fn invariant_tests(tree: &Tree) -> Vec<InvariantTest<'_>> {
    let mut tests = Vec::new();
    for source in tree.rust() {
        let code = code::only(&source.text);
        for (line, text) in (1..).zip(code.lines()) {
            let Some((_, name)) = text.split_once("fn inv_") else {
                continue;
            };
            let end = name
                .bytes()
                .position(|byte| !code::is_word(byte))
                .unwrap_or(name.len());
            tests.push(InvariantTest {
                source,
                line,
                name: format!("inv_{}", &name[..end]),
            });
        }
    }
    tests
}
