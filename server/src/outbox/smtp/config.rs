//! `[notices.smtp]` of the config file.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use serde::Deserialize;

use crate::outbox::transport::OpenError;

/// Where and how to reach the relay.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SmtpConfig {
    pub host: String,
    pub port: u16,
    pub tls: Tls,
    /// Connections at once; the worker opens as many sessions.
    pub sessions: usize,
    /// How long to wait for the answer to a final dot before its message is
    /// `unknown`. RFC 5321 advises ten minutes for relays on the internet; the
    /// next hop of an organisation answers sooner.
    pub final_dot_timeout: SignedDuration,
    /// A PEM file with authorities to trust besides the public ones.
    pub ca_file: Option<PathBuf>,
    pub user: Option<String>,
    pub password: Option<Password>,
    /// A command that drops the mails whose queue ids it reads, one a line: `postsuper -d -`. Empty: none.
    pub purge: Vec<String>,
    /// The name to greet with; without it the address literal of our end.
    pub hello_name: Option<String>,
}

/// Postfix takes 50 from one client unless told otherwise.
const MOST_SESSIONS: usize = 500;
const LONGEST: SignedDuration = SignedDuration::from_hours(1);

/// When the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// Never.
    None,
    /// By STARTTLS, required of every relay that is not on this machine. To a
    /// loopback relay the connection stays plain unless `ca_file` says whom to
    /// trust: nobody can listen in between, and the certificate of a local relay
    /// is rarely one that could be verified.
    Starttls,
    /// From the first byte.
    Tls,
}

/// A secret that no log shows.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Password(String);

impl Password {
    pub fn new(secret: impl Into<String>) -> Self {
        Password(secret.into())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(in crate::outbox) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

impl Default for SmtpConfig {
    fn default() -> Self {
        SmtpConfig {
            host: "127.0.0.1".into(),
            port: 25,
            tls: Tls::Starttls,
            sessions: 8,
            final_dot_timeout: SignedDuration::from_secs(60),
            ca_file: None,
            user: None,
            password: None,
            hello_name: None,
            purge: Vec::new(),
        }
    }
}

impl SmtpConfig {
    /// What serde cannot see: values that are well formed and make no sense.
    pub fn check(&self) -> Result<(), OpenError> {
        let wrong = |key, problem: &str| {
            Err(OpenError::Config {
                key,
                problem: problem.into(),
            })
        };
        if self.host.is_empty()
            || self
                .host
                .contains(|c: char| c.is_whitespace() || c.is_control())
        {
            return wrong(
                "host",
                "expected a host name or an IP address, without spaces",
            );
        }
        if self.port == 0 {
            return wrong("port", "expected a port from 1 to 65535, such as 25");
        }
        if !(1..=MOST_SESSIONS).contains(&self.sessions) {
            return wrong(
                "sessions",
                "expected 1 to 500 connections at once; 0 would never send anything, and no relay takes more",
            );
        }
        if self.final_dot_timeout <= SignedDuration::ZERO || self.final_dot_timeout > LONGEST {
            return wrong(
                "final_dot_timeout",
                "expected a length of time above zero and up to an hour, such as \"PT60S\"; a correction waits for it",
            );
        }
        if self.purge.first().is_some_and(String::is_empty) {
            return wrong(
                "purge",
                "expected a program and its arguments, such as [\"postsuper\", \"-d\", \"-\"]",
            );
        }
        if self.user.is_some() != self.password.is_some() {
            return wrong(
                "user",
                "expected `user` and `password` together, or neither",
            );
        }
        let login = [
            self.user.as_deref(),
            self.password.as_ref().map(Password::reveal),
        ];
        if login.into_iter().flatten().any(|text| text.contains('\0')) {
            return wrong(
                "user",
                "expected `user` and `password` without a NUL character",
            );
        }
        // It becomes part of a command line; a space or line end would make another of it.
        if self
            .hello_name
            .as_deref()
            .is_some_and(|name| name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic()))
        {
            return wrong(
                "hello_name",
                "expected a host name in ASCII without spaces, such as \"notices.example.test\"",
            );
        }
        Ok(())
    }

    pub(super) fn relay(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    pub(super) fn final_dot_timeout(&self) -> Duration {
        self.final_dot_timeout.unsigned_abs()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_config_file_says_and_fills_the_rest() {
        let config: SmtpConfig =
            toml::from_str("host = \"relay.example.test\"\ntls = \"tls\"\nfinal_dot_timeout = \"PT90S\"\npassword = \"s3cret\"\nuser = \"u\"")
                .unwrap();
        assert_eq!(config.final_dot_timeout, SignedDuration::from_secs(90));
        assert_eq!(
            (config.port, config.sessions, config.tls),
            (25, 8, Tls::Tls)
        );
        assert!(config.check().is_ok());
        assert!(
            !format!("{config:?}").contains("s3cret"),
            "a secret must not reach a log"
        );
    }

    #[test]
    fn unknown_keys_and_senseless_values_are_refused() {
        assert!(toml::from_str::<SmtpConfig>("hots = \"x\"").is_err());
        assert!(toml::from_str::<SmtpConfig>("tls = \"maybe\"").is_err());
        for text in [
            "sessions = 0",
            "final_dot_timeout = \"PT0S\"",
            "user = \"u\"",
            "host = \"\"",
            "hello_name = \"a\\r\\nQUIT\"",
        ] {
            assert!(
                toml::from_str::<SmtpConfig>(text).unwrap().check().is_err(),
                "{text}"
            );
        }
    }
}
