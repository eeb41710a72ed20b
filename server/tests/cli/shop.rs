//! A small company in a directory of its own, and the program run on it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Noon in California on the day of the story.
pub const NOON: &str = "2020-07-10T19:00:00Z";
/// After the deadline.
pub const NIGHT: &str = "2020-07-11T09:00:00Z";

pub const ANN: &str = "ann@example.test";
pub const BO: &str = "bo@example.test";
pub const CY: &str = "cy@example.test";

/// What a run of the program left behind.
#[derive(Debug)]
pub struct Ran {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// The one document on standard output.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e} in {self:?}"))
    }

    /// Insists on a status, and on the words of an error.
    pub fn ends(self, status: i32, words: &str) -> Ran {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.err.contains(words), "«{words}» is not in {self:?}");
        if status != 0 && words.is_empty() {
            assert!(self.err.is_empty(), "{self:?}");
        }
        self
    }
}

pub struct Shop(tempfile::TempDir);

impl Shop {
    /// An empty directory.
    pub fn empty() -> Shop {
        Shop(tempfile::tempdir().unwrap())
    }

    /// Operators, people and devices are there.
    pub fn new() -> Shop {
        let shop = Shop::empty();
        let files = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cmd/set_up.in");
        for name in ["people.csv", "devices.csv", "order.toml"] {
            std::fs::copy(Path::new(files).join(name), shop.file(name)).unwrap();
        }
        shop.does("init --admin root@example.test");
        shop.does("operator add ann@example.test --role author,approver");
        shop.does("operator add bo@example.test --role approver,author");
        shop.does("operator add cy@example.test --role responder");
        shop.does("people import people.csv");
        shop.does("import csv devices.csv");
        shop
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.file(name), text).unwrap();
    }

    /// The order file with one thing changed.
    pub fn order_with(&self, name: &str, old: &str, new: &str) {
        let text = std::fs::read_to_string(self.file("order.toml")).unwrap();
        assert!(text.contains(old), "{old}");
        self.write(name, &text.replace(old, new));
    }

    pub fn run_at(&self, now: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
        let done = Command::new(env!("CARGO_BIN_EXE_countermand"))
            .args(arguments)
            .current_dir(self.0.path())
            .env_clear()
            .env("COUNTERMAND_NOW", now)
            .env("USER", "tester")
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        Ran {
            status: done.status.code().unwrap(),
            out: String::from_utf8(done.stdout).unwrap(),
            err: String::from_utf8(done.stderr).unwrap(),
        }
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.run_at(NOON, &[], arguments)
    }

    /// A line without blanks in its arguments.
    pub fn types(&self, line: &str) -> Ran {
        self.run(&line.split_whitespace().collect::<Vec<_>>())
    }

    /// The same, which must succeed.
    pub fn does(&self, line: &str) -> Ran {
        self.types(line).ends(0, "")
    }

    /// The JSON document that somebody gets.
    pub fn gets(&self, who: &str, line: &str) -> Value {
        self.does(&format!("--json --as {who} {line}")).json()
    }

    /// A draft of the order file; its id.
    pub fn draft(&self) -> String {
        let drafted = self.gets(ANN, "order draft order.toml");
        assert_eq!(drafted["revision"], 1);
        drafted["id"].as_str().unwrap().to_owned()
    }

    /// An order in force; its id.
    pub fn published(&self) -> String {
        let id = self.draft();
        self.gets(ANN, &format!("order submit {id}"));
        self.gets(BO, &format!("order approve {id}"));
        self.gets(ANN, &format!("order publish {id}"));
        id
    }

    pub fn decides(&self, now: &str, more: &[&str]) -> Ran {
        let asked = ["decide", "--json", "--user", "eve@example.test"];
        self.run_at(now, &[], &[&asked, more].concat())
    }
}

/// Insists that a document has these keys, whatever else it has.
pub fn has(document: &Value, keys: &str) {
    for key in keys.split_whitespace() {
        assert!(document.get(key).is_some(), "«{key}» is not in {document}");
    }
}
