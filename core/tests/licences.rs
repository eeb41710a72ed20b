//! Every crate that the program is built from, or tested with, has a licence
//! that lets us give the program away under ours.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Command;

use serde_json::Value;

const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// They only give permissions beyond those of the licence before `WITH`.
const ALLOWED_EXCEPTIONS: &[&str] = &["LLVM-exception"];

#[test]
fn every_crate_has_an_allowed_licence() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .args([
            "--manifest-path",
            concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
        ])
        .output()
        .expect("cargo runs, since it runs this test");
    assert!(
        output.status.success(),
        "cargo metadata failed:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let packages = metadata["packages"]
        .as_array()
        .expect("cargo metadata lists packages");
    let refused = refused(packages);
    assert!(
        refused.is_empty(),
        "crates whose licence is not on the list of core/tests/licences.rs:\n{}\n\
         Use another crate; or, where the licence is as free as those on the list, add it there with the reason in the commit.",
        refused.join("\n")
    );
    println!("{} crates, all under allowed licences", packages.len());
}

fn refused(packages: &[Value]) -> Vec<String> {
    packages
        .iter()
        .filter_map(|package| {
            let expression = package["license"].as_str().unwrap_or("");
            let fault = match is_allowed(expression) {
                Ok(true) => return None,
                Ok(false) => format!("`{expression}`"),
                Err(error) => format!("`{expression}`, which cannot be read: {error}"),
            };
            let text = |field: &str| package[field].as_str().unwrap_or("?").to_owned();
            Some(format!("  {} {}: {fault}", text("name"), text("version")))
        })
        .collect()
}

/// Whether an SPDX expression can be met with allowed licences alone.
fn is_allowed(expression: &str) -> Result<bool, String> {
    // Before SPDX, crates wrote `MIT/Apache-2.0` for `MIT OR Apache-2.0`.
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader { words: &words };
    let allowed = reader.alternatives()?;
    match reader.words.first() {
        None => Ok(allowed),
        Some(word) => Err(format!("`{word}` was not expected")),
    }
}

struct Reader<'a> {
    words: &'a [&'a str],
}

impl<'a> Reader<'a> {
    fn take(&mut self) -> Option<&'a str> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first)
    }

    fn skip(&mut self, word: &str) -> bool {
        let is_next = self
            .words
            .first()
            .is_some_and(|next| next.eq_ignore_ascii_case(word));
        if is_next {
            self.words = &self.words[1..];
        }
        is_next
    }

    fn alternatives(&mut self) -> Result<bool, String> {
        let mut allowed = self.all_of()?;
        while self.skip("OR") {
            // Not `||`: what stands to the right must be read all the same.
            allowed |= self.all_of()?;
        }
        Ok(allowed)
    }

    fn all_of(&mut self) -> Result<bool, String> {
        let mut allowed = self.one()?;
        while self.skip("AND") {
            allowed &= self.one()?;
        }
        Ok(allowed)
    }

    fn one(&mut self) -> Result<bool, String> {
        let word = self.take().ok_or("a licence is missing")?;
        if word == "(" {
            let allowed = self.alternatives()?;
            return if self.skip(")") {
                Ok(allowed)
            } else {
                Err("a `)` is missing".to_owned())
            };
        }
        if word == ")"
            || ["OR", "AND", "WITH"]
                .iter()
                .any(|operator| word.eq_ignore_ascii_case(operator))
        {
            return Err(format!("`{word}` stands where a licence should"));
        }
        let mut allowed = ALLOWED.contains(&word);
        if self.skip("WITH") {
            let exception = self.take().ok_or("an exception is missing after WITH")?;
            allowed &= ALLOWED_EXCEPTIONS.contains(&exception);
        }
        Ok(allowed)
    }
}

#[test]
fn expressions_are_evaluated_as_spdx_says() {
    for good in [
        "MIT",
        "MIT OR Apache-2.0",
        "MIT/Apache-2.0",
        "Apache-2.0 / MIT",
        "GPL-3.0-only OR MIT",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "MIT AND (GPL-2.0-only OR (ISC AND Zlib))",
        "Apache-2.0 WITH LLVM-exception",
        // AND binds more tightly than OR.
        "MIT OR AGPL-3.0-only AND GPL-3.0-only",
    ] {
        assert_eq!(is_allowed(good), Ok(true), "{good}");
    }
    for bad in [
        "GPL-3.0-only",
        "AGPL-3.0-or-later",
        "MIT AND GPL-2.0-only",
        "GPL-3.0-only OR AGPL-3.0-only",
        "(MIT OR ISC) AND LGPL-2.1-only",
        "Apache-2.0 WITH Made-up-exception",
        "SSPL-1.0",
        "mit-like",
    ] {
        assert_eq!(is_allowed(bad), Ok(false), "{bad}");
    }
    for unreadable in [
        "", "MIT OR", "AND MIT", "(MIT", "MIT)", "MIT ISC", "MIT WITH",
    ] {
        assert!(is_allowed(unreadable).is_err(), "{unreadable}");
    }
}

#[test]
fn a_refusal_names_the_crate_and_its_licence() {
    let packages = [
        serde_json::json!({"name": "free", "version": "1.0.0", "license": "MIT"}),
        serde_json::json!({"name": "copyleft", "version": "2.1.0", "license": "AGPL-3.0-only"}),
        serde_json::json!({"name": "silent", "version": "0.1.0", "license": null}),
    ];
    let refused = refused(&packages);
    assert_eq!(refused.len(), 2);
    assert!(
        refused[0].contains("copyleft 2.1.0: `AGPL-3.0-only`"),
        "{}",
        refused[0]
    );
    assert!(refused[1].contains("silent 0.1.0"), "{}", refused[1]);
}
