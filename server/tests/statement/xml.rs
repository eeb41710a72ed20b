//! Just enough reading of XML for these tests; whether it is valid is for xmllint to say.

use std::path::Path;
use std::process::Command;

/// What stands in the elements of that name, as it is written.
pub(crate) fn texts<'a>(xml: &'a str, name: &str) -> Vec<&'a str> {
    let (begin, end) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(&begin)
        .skip(1)
        .map(|rest| rest.split_once(&end).unwrap().0)
        .collect()
}

pub(crate) fn text<'a>(xml: &'a str, name: &str) -> &'a str {
    let all = texts(xml, name);
    assert_eq!(all.len(), 1, "{name} in {xml}");
    all[0]
}

/// Complains unless the documents are well-formed and, where a schema is given, valid. False where
/// there is no xmllint to ask.
pub(crate) fn check(documents: &[String], schema: Option<&Path>) -> bool {
    let Some([xmllint]) = super::support::programs(["xmllint"]) else {
        return false;
    };
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<_> = documents
        .iter()
        .enumerate()
        .map(|(n, document)| {
            let file = folder.path().join(format!("{n}.xml"));
            std::fs::write(&file, document).unwrap();
            file
        })
        .collect();
    let mut command = Command::new(xmllint);
    command.args(["--noout", "--nonet"]);
    if let Some(schema) = schema {
        command.arg("--schema").arg(schema);
    }
    let output = command.args(&files).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}\n{}", documents.join("\n"));
    true
}
