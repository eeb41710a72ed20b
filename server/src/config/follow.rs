//! `[follow]`: how gate-only servers follow the main one. The same secret stands in the config of both.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::Deserialize;

use super::GateConfig;

/// Whoever knows it reads what is on everybody's phone, so it must not be guessed.
const SHORTEST_SECRET: usize = 24;

#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FollowConfig {
    /// What a gate-only server shows the main one. Empty: no server may follow.
    pub secret: String,
    /// At a gate-only server: where the main one is.
    pub url: String,
    /// Authorities that are believed besides the public ones.
    pub ca_file: Option<PathBuf>,
}

impl std::fmt::Debug for FollowConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FollowConfig")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// Where the main server is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MainServer {
    pub encrypted: bool,
    /// As a resolver takes it: without brackets.
    pub host: String,
    pub port: u16,
    /// As the header Host has it.
    pub authority: String,
    /// What comes before each path; without a slash at its end.
    pub prefix: String,
}

impl FollowConfig {
    pub(super) fn check(&self, gate: &GateConfig) -> Result<(), String> {
        if !self.secret.is_empty() && self.secret.len() < SHORTEST_SECRET {
            return Err(format!(
                "secret is too short to be one: expected at least {SHORTEST_SECRET} characters, as `openssl rand -hex 32` makes them"
            ));
        }
        if !self.secret.is_empty() && self.secret == gate.secret {
            return Err(
                "secret is that of [gate], which every proxy knows; expected another one, as `openssl rand -hex 32` makes it".to_owned(),
            );
        }
        match self.url.as_str() {
            "" => Ok(()),
            _ => self.main_server().map(|_| ()),
        }
    }

    pub fn main_server(&self) -> Result<MainServer, String> {
        let fail = || {
            format!(
                "url «{}»: expected https:// and a host, such as \"https://countermand.example.test\"; plain http:// is for this machine alone",
                self.url
            )
        };
        let (encrypted, rest) = match self.url.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            _ => return Err(fail()),
        };
        let (authority, prefix) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let odd = |c: char| c.is_whitespace() || c.is_control() || "?#@<>\"\\".contains(c);
        let after_bracket = authority.rfind(']').unwrap_or(0);
        let (host, port) = match authority[after_bracket..].rfind(':') {
            Some(colon) => {
                let colon = after_bracket + colon;
                let port = authority[colon + 1..].parse().ok();
                (&authority[..colon], port.filter(|port| *port > 0))
            }
            None => (authority, Some(if encrypted { 443 } else { 80 })),
        };
        let host = host.trim_matches(['[', ']']);
        let is_here = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        match port {
            Some(port) if !host.is_empty() && !rest.contains(odd) && (encrypted || is_here) => {
                Ok(MainServer {
                    encrypted,
                    host: host.to_owned(),
                    port,
                    authority: authority.to_owned(),
                    prefix: prefix.trim_end_matches('/').to_owned(),
                })
            }
            _ => Err(fail()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn with(url: &str) -> FollowConfig {
        FollowConfig {
            url: url.to_owned(),
            ..FollowConfig::default()
        }
    }

    #[test]
    fn the_main_server_is_where_the_url_says() {
        let at = |url: &str| {
            let main = with(url).main_server().unwrap();
            (main.encrypted, main.host, main.port, main.prefix)
        };
        let own = str::to_owned;
        assert_eq!(
            at("https://main.example.test"),
            (true, own("main.example.test"), 443, own(""))
        );
        assert_eq!(
            at("https://main.example.test:8443/countermand/"),
            (true, own("main.example.test"), 8443, own("/countermand"))
        );
        assert_eq!(
            at("http://127.0.0.1:8420"),
            (false, own("127.0.0.1"), 8420, own(""))
        );
        assert_eq!(at("http://[::1]:8420"), (false, own("::1"), 8420, own("")));
        assert_eq!(at("https://[2001:db8::1]/x").2, 443);
    }

    #[test]
    fn facts_go_by_tls_or_stay_on_this_machine() {
        for wrong in [
            "main.example.test",
            "http://main.example.test",
            "http://192.0.2.1:8420",
            "http://127.0.0.1.example.test",
            "https://",
            "https://main:0",
            "https://main:port",
            "https://user@main",
            "https://main?x",
            "ftp://main",
        ] {
            let said = with(wrong).main_server().unwrap_err();
            assert!(said.contains("expected https://"), "{wrong}: {said}");
        }
    }

    #[test]
    fn a_secret_is_long_and_no_proxys() {
        let gate = GateConfig {
            secret: "0123456789abcdef0123456789abcdef".to_owned(),
            ..GateConfig::default()
        };
        let check = |secret: &str| {
            let config = FollowConfig {
                secret: secret.to_owned(),
                ..FollowConfig::default()
            };
            assert!(!format!("{config:?}").contains("abc"), "no log shows it");
            config.check(&gate)
        };
        assert!(check("abc").unwrap_err().contains("too short"));
        assert!(check(&gate.secret).unwrap_err().contains("[gate]"));
        assert_eq!(check(""), Ok(()));
        assert_eq!(check("fedcba9876543210fedcba9876543210"), Ok(()));
    }
}
