//! Folders and certificates that servers want.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::ensure;

use crate::tools::find;

/// One server's own folder. Servers change their user, and must reach into it all the same.
pub struct Place(tempfile::TempDir);

impl Place {
    pub fn new() -> anyhow::Result<Place> {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir()?;
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
        Ok(Place(folder))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn put(&self, file: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.0.path().join(file);
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// `name` with a certificate for localhost and its key.
    pub fn certify(&self, name: &str) -> anyhow::Result<String> {
        let at = |name: &str| self.0.path().join(name);
        let made = Command::new(find("openssl")?)
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
            ])
            .args(["-nodes", "-days", "2", "-subj", "/CN=localhost"])
            .args(["-addext", "subjectAltName=DNS:localhost"])
            .arg("-keyout")
            .arg(at("key"))
            .arg("-out")
            .arg(at("certificate"))
            .output()?;
        ensure!(
            made.status.success(),
            "openssl: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        let both =
            std::fs::read_to_string(at("key"))? + &std::fs::read_to_string(at("certificate"))?;
        Ok(self.put(name, &both)?.display().to_string())
    }
}

/// A shipped configuration with `changes` made, each of which must find its text: what is measured is what is deployed.
pub fn shipped(text: &str, changes: &[(&str, &str)]) -> anyhow::Result<String> {
    let mut text = text.to_owned();
    for (from, to) in changes {
        ensure!(
            text.contains(from),
            "the configuration in deploy/ has no «{from}» any more"
        );
        text = text.replace(from, to);
    }
    Ok(text)
}

/// Without what stands from `from` up to `to`.
pub fn without(text: &str, from: &str, to: &str) -> anyhow::Result<String> {
    let begin = text.find(from);
    let end = begin.and_then(|at| Some(at + text.get(at..)?.find(to)?));
    match (begin, end) {
        (Some(begin), Some(end)) => Ok(format!("{}{}", &text[..begin], &text[end..])),
        _ => anyhow::bail!("the configuration in deploy/ has no «{from}» before a «{to}» any more"),
    }
}
