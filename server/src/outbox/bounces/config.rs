//! `[notices.bounces]` of the config file.

use std::path::{Path, PathBuf};

use countermand_core::notice::mark;
use serde::Deserialize;

use crate::listen::Listen;
use crate::outbox::message::bare_address;

/// RFC 5321, 4.5.3.1.1.
const MAX_LOCAL_PART: usize = 64;

/// Where bounces come in, and what notices carry so that they are known again.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BouncesConfig {
    /// Into which the organisation's mail server delivers them.
    pub maildir: Option<PathBuf>,
    /// `127.0.0.1:2424` or `unix:PATH`.
    pub lmtp_listen: Option<String>,
    /// The envelope sender of notices, to which they come back. Absent: the address of `from`.
    pub sender: Option<String>,
    /// Whether each notice has an envelope sender of its own, `local+MARK@domain`.
    pub verp: bool,
    /// Whether a bounce that shows a Message-ID and no mark is worth nothing.
    pub only_marked: bool,
}

impl BouncesConfig {
    /// Whether notices carry a mark.
    pub fn is_on(&self) -> bool {
        self.maildir.is_some() || self.lmtp_listen.is_some() || self.sender.is_some() || self.verp
    }

    pub fn maildir(&self, data: &Path) -> Option<PathBuf> {
        self.maildir.as_ref().map(|dir| data.join(dir))
    }

    pub fn listen(&self, data: &Path) -> Result<Option<Listen>, String> {
        let listen = self.lmtp_listen.as_ref();
        let listen = listen.map(|text| Listen::parse(text, data));
        listen
            .transpose()
            .map_err(|why| format!("lmtp_listen {why}"))
    }

    /// What serde cannot see.
    pub fn check(&self, from: &str) -> Result<(), String> {
        self.listen(Path::new("."))?;
        if self
            .maildir
            .as_ref()
            .is_some_and(|dir| dir.as_os_str().is_empty())
        {
            return Err(
                "maildir is empty; expected a folder, from the data directory on, such as \"bounces\""
                    .to_owned(),
            );
        }
        if let Some(sender) = &self.sender
            && (bare_address(sender).is_err() || sender.contains(['<', ' ']))
        {
            return Err(format!(
                "sender «{sender}»: expected a bare address, such as \"bounces@example.test\""
            ));
        }
        let local = self.address(from).map_or(0, |a| a.rfind('@').unwrap_or(0));
        let room = MAX_LOCAL_PART - mark::LENGTH - 1;
        if self.verp && local > room {
            return Err(format!(
                "verp: the left side of the address that notices come from has {local} characters and room for {room}; set a shorter `sender`"
            ));
        }
        Ok(())
    }

    fn address(&self, from: &str) -> Option<String> {
        self.sender.clone().or_else(|| bare_address(from).ok())
    }

    /// The envelope sender of a notice with that mark.
    pub fn envelope(&self, from: &str, mark: &str) -> Option<String> {
        let address = self.address(from)?;
        if !self.verp {
            return Some(address);
        }
        let (local, domain) = address.rsplit_once('@')?;
        Some(format!("{local}+{mark}@{domain}"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const FROM: &str = "IT Security <it-security@example.test>";

    fn config(text: &str) -> BouncesConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn the_envelope_sender_is_the_configured_one_with_the_mark_if_asked_for() {
        let mark = "0123456789abcdef0123456789abcdef0123";
        let of = |text: &str| config(text).envelope(FROM, mark).unwrap();
        assert_eq!(of(""), "it-security@example.test");
        assert_eq!(of("sender = \"b@example.test\""), "b@example.test");
        assert_eq!(
            of("verp = true"),
            format!("it-security+{mark}@example.test")
        );
        assert!(config("verp = true").check(FROM).is_ok());
        assert!(
            config("sender = \"B <b@example.test>\"")
                .check(FROM)
                .is_err()
        );
        let long = format!("verp = true\nsender = \"{}@example.test\"", "b".repeat(32));
        assert!(
            config(&long)
                .check(FROM)
                .unwrap_err()
                .contains("room for 27")
        );
    }
}
