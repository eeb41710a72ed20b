//! The files of the repository, as text.

use std::path::Path;
use std::process::Command;

pub struct Source {
    /// From the root of the repository, with `/`.
    pub path: String,
    pub text: String,
}

pub struct Tree {
    pub sources: Vec<Source>,
}

impl Tree {
    pub fn of(sources: &[(&str, &str)]) -> Self {
        let source = |(path, text): &(&str, &str)| Source {
            path: (*path).into(),
            text: (*text).into(),
        };
        Self {
            sources: sources.iter().map(source).collect(),
        }
    }

    /// Every file that git tracks, or would on the next `git add`. What is not
    /// UTF-8 (a picture, a database) has no lines to judge and is left out.
    pub fn of_this_repository() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("core lies in the repository");
        let output = Command::new("git")
            // A container often runs the tests as another user than the one
            // who checked the files out; git would refuse to look.
            .args([
                "-c",
                "safe.directory=*",
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ])
            .current_dir(root)
            .output()
            .expect("the tidy tests ask git for the files: install git");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "the tidy tests need a git checkout: {complaint}"
        );
        let paths = String::from_utf8(output.stdout).expect("paths are UTF-8");
        let sources: Vec<Source> = paths
            .split_terminator('\0')
            // A deleted file is listed until the deletion is staged.
            .filter_map(|path| Some((path, std::fs::read(root.join(path)).ok()?)))
            .filter_map(|(path, bytes)| {
                Some(Source {
                    path: path.into(),
                    text: String::from_utf8(bytes).ok()?,
                })
            })
            .collect();
        assert!(
            sources
                .iter()
                .any(|source| source.path == "core/tests/tidy/tree.rs"),
            "this file is not in the tree"
        );
        Self { sources }
    }

    pub fn rust(&self) -> impl Iterator<Item = &Source> {
        self.sources
            .iter()
            .filter(|source| source.path.ends_with(".rs"))
    }
}
