//! `[[notices.channel]]` of the config file.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use hyper::Uri;
use hyper::http::uri::Scheme;
use serde::Deserialize;

use crate::outbox::smtp::Password;

/// A place where orders can be announced.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelConfig {
    /// What orders call it.
    pub name: String,
    pub shape: Shape,
    /// Of Slack and Teams it is a secret in itself. Of Telegram it may be left out.
    #[serde(default)]
    pub url: String,
    /// Signs every request. `plain` must have one.
    pub secret: Option<Password>,
    /// Of Matrix the access token, of Telegram the bot's.
    pub token: Option<Password>,
    /// Matrix: the room's id, `!abc:example.test`.
    pub room: Option<String>,
    /// Telegram: the chat's id, or `@name` of a public channel.
    pub chat: Option<String>,
    /// A PEM file with authorities to trust besides the public ones.
    pub ca_file: Option<PathBuf>,
}

/// What a request looks like to its receiver.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    Slack,
    Teams,
    Matrix,
    Telegram,
    /// Our own, for whoever writes a receiver.
    Plain,
}

impl fmt::Debug for ChannelConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelConfig")
            .field("name", &self.name)
            .field("shape", &self.shape)
            .finish_non_exhaustive()
    }
}

/// Where a channel's server is. No log shows more of it than the host.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub encrypted: bool,
    /// As a resolver takes it: without brackets.
    pub host: String,
    pub port: u16,
    /// Host and port as the header Host has them.
    pub authority: String,
    /// Path and query of the URL.
    pub path: String,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", self.authority)
    }
}

/// Telegram's own server, unless a house runs one itself.
const TELEGRAM: &str = "https://api.telegram.org";

impl ChannelConfig {
    /// What serde cannot see.
    pub fn check(&self) -> Result<(), String> {
        let fail = |what: String| Err(format!("[[notices.channel]] «{}»: {what}", self.name));
        let plain_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if self.name.is_empty() || !self.name.chars().all(plain_name) {
            return fail(
                "a name has letters, digits, -, _ and . only, such as name = \"ops\"".into(),
            );
        }
        let needs = |key: &str, has: bool, what: &str| match has {
            true => Ok(()),
            false => fail(format!("its shape needs {key}: {what}")),
        };
        let is_set = |password: &Option<Password>| password.as_ref().is_some_and(|p| !p.is_empty());
        let is_some = |text: &Option<String>| text.as_ref().is_some_and(|t| !t.is_empty());
        match self.shape {
            Shape::Slack | Shape::Teams => {}
            Shape::Matrix => {
                needs(
                    "token",
                    is_set(&self.token),
                    "an access token of the account that posts",
                )?;
                needs(
                    "room",
                    is_some(&self.room),
                    "the room's id, such as \"!abc:example.test\"",
                )?;
            }
            Shape::Telegram => {
                needs(
                    "token",
                    is_set(&self.token),
                    "the bot's token, as BotFather gave it",
                )?;
                needs(
                    "chat",
                    is_some(&self.chat),
                    "the chat's id, or \"@name\" of a public channel",
                )?;
            }
            Shape::Plain => needs(
                "secret",
                is_set(&self.secret),
                "it signs each request, so that the receiver can tell ours from others",
            )?,
        }
        self.target().map(|_| ()).or_else(fail)
    }

    /// The text without what is secret here: address, token and key.
    pub(super) fn blank(&self, text: &str) -> String {
        /// A shorter one could be any word, and is no secret worth the name.
        const SHORTEST: usize = 4;
        let path = self.target().map(|target| target.path).unwrap_or_default();
        let (way, query) = path.split_once('?').unwrap_or((&path, ""));
        let secrets = [&self.token, &self.secret].into_iter().flatten();
        let secrets = secrets.map(|secret| secret.reveal().to_owned());
        let mut hidden: Vec<String> = [self.url.as_str(), &path, way, query]
            .map(str::to_owned)
            .into_iter()
            .chain(secrets)
            .filter(|part| part.len() >= SHORTEST)
            .collect();
        // The longer first: it may hold the shorter.
        hidden.sort_by_key(|part| std::cmp::Reverse(part.len()));
        hidden
            .iter()
            .fold(text.to_owned(), |text, part| text.replace(part, "…"))
    }

    pub(super) fn target(&self) -> Result<Target, String> {
        let url = match (self.url.as_str(), self.shape) {
            ("", Shape::Telegram) => TELEGRAM,
            (url, _) => url,
        };
        // The URL itself is not repeated: it may be a secret.
        const EXPECTED: &str =
            "url is no URL; expected one like \"https://hooks.example.test/services/…\"";
        let uri: Uri = url.parse().map_err(|_| EXPECTED.to_owned())?;
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(EXPECTED.to_owned());
        };
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        if host.is_empty() || authority.as_str().contains('@') {
            return Err(
                "url has no host, or a user name in it; expected \"https://HOST/…\"".to_owned(),
            );
        }
        let encrypted = *scheme == Scheme::HTTPS;
        let is_here = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        let is_plain_here = *scheme == Scheme::HTTP && is_here;
        if !(encrypted || is_plain_here) {
            return Err(
                "url must begin with https://; plain http:// is for this machine alone".to_owned(),
            );
        }
        Ok(Target {
            encrypted,
            host,
            port: authority
                .port_u16()
                .unwrap_or(if encrypted { 443 } else { 80 }),
            authority: authority.to_string(),
            path: uri
                .path_and_query()
                .map_or_else(|| "/".to_owned(), ToString::to_string),
        })
    }
}

/// The whole list: each for itself, and no name twice.
pub fn check(channels: &[ChannelConfig]) -> Result<(), String> {
    let mut names = std::collections::BTreeSet::new();
    for channel in channels {
        channel.check()?;
        if !names.insert(&channel.name) {
            return Err(format!(
                "[[notices.channel]] has two channels called «{}»; give one of them another name",
                channel.name
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ChannelConfig, String> {
        let config: ChannelConfig = toml::from_str(text).map_err(|e| e.message().to_owned())?;
        config.check().map(|()| config)
    }

    #[test]
    fn a_channel_says_what_it_lacks() {
        for (text, expected) in [
            (
                r#"name = "a b"  shape = "slack"  url = "https://h.test/x""#,
                "a name has",
            ),
            (r#"name = "a"  shape = "slack""#, "url is no URL"),
            (
                r#"name = "a"  shape = "slack"  url = "h.test/x""#,
                "url is no URL",
            ),
            (
                r#"name = "a"  shape = "slack"  url = "http://h.test/x""#,
                "must begin with https://",
            ),
            (
                r#"name = "a"  shape = "slack"  url = "https://u:p@h.test/x""#,
                "a user name in it",
            ),
            (
                r#"name = "a"  shape = "plain"  url = "https://h.test/x""#,
                "needs secret",
            ),
            (
                r#"name = "a"  shape = "plain"  url = "https://h.test/x"  secret = """#,
                "needs secret",
            ),
            (
                r#"name = "a"  shape = "matrix"  url = "https://h.test"  room = "!a:h""#,
                "needs token",
            ),
            (
                r#"name = "a"  shape = "matrix"  url = "https://h.test"  token = "t""#,
                "needs room",
            ),
            (
                r#"name = "a"  shape = "telegram"  token = "t""#,
                "needs chat",
            ),
            (
                r#"name = "a"  shape = "fax"  url = "https://h.test""#,
                "unknown variant `fax`",
            ),
        ] {
            let text = text.replace("  ", "\n");
            let error = read(&text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        for text in [
            r#"name = "a"  shape = "slack"  url = "https://h.test/x""#,
            r#"name = "a"  shape = "teams"  url = "http://127.0.0.1:8080/x?sig=y""#,
            r#"name = "a"  shape = "plain"  url = "http://[::1]:8080/x"  secret = "s""#,
            r#"name = "a"  shape = "telegram"  token = "t"  chat = "-100""#,
        ] {
            read(&text.replace("  ", "\n")).unwrap();
        }
    }

    #[test]
    fn an_answer_that_repeats_the_question_shows_no_secret() {
        let config: ChannelConfig = toml::from_str(
            r#"name = "a"  shape = "plain"  url = "https://h.test/hooks/T0/B1?sig=y77"  secret = "s3cret""#.replace("  ", "\n").as_str(),
        )
        .unwrap();
        assert_eq!(
            config.blank("no /hooks/T0/B1 here (sig=y77; s3cret): /hooks/T0/B1?sig=y77"),
            "no … here (…; …): …"
        );
    }

    #[test]
    fn no_secret_is_ever_shown() {
        let config = read(
            "name = \"a\"\nshape = \"plain\"\nurl = \"https://h.test/hush\"\nsecret = \"hush\"\ntoken = \"hush\"",
        )
        .unwrap();
        let shown = format!("{config:?} {:?}", config.target().unwrap());
        assert!(!shown.contains("hush"), "{shown}");
    }

    #[test]
    fn a_target_is_what_the_url_says() {
        let config =
            read("name = \"a\"\nshape = \"slack\"\nurl = \"http://[::1]:80/x?y=z\"").unwrap();
        let target = config.target().unwrap();
        assert_eq!(
            (target.host.as_str(), target.port, target.encrypted),
            ("::1", 80, false)
        );
        assert_eq!(
            (target.authority.as_str(), target.path.as_str()),
            ("[::1]:80", "/x?y=z")
        );
    }
}
