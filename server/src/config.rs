//! The config file, `countermand.toml`, and its environment variables.

mod check;
mod follow;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use countermand_core::catalogue::nearest_of;
use countermand_core::duration::Length;
use countermand_core::index::Mode;
use countermand_core::verdict::{Channel, GatePolicy};
use serde::{Deserialize, Serialize};

use crate::listen::Listen;
use crate::outbox::bounces::BouncesConfig;
use crate::outbox::channels::ChannelConfig;
use crate::outbox::limits::LimitsConfig;
use crate::outbox::smtp::SmtpConfig;

pub use follow::{FollowConfig, MainServer};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The value at init; afterwards the database's holds.
    pub mode: Mode,
    pub server: ServerConfig,
    pub database: DatabaseConfig,
    pub notices: NoticesConfig,
    pub gate: GateConfig,
    pub follow: FollowConfig,
    pub import: ImportConfig,
    pub doctor: DoctorConfig,
}

/// What `countermand doctor` can't know from the rest.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DoctorConfig {
    /// Where phones and browsers reach mail, through the proxies that ask us.
    pub fronts: Vec<String>,
    /// Authorities to trust there besides the public ones.
    pub ca_file: Option<PathBuf>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImportConfig {
    /// A larger file is not read: it would be held in memory several times over.
    pub max_mib: u64,
}

impl Default for ImportConfig {
    fn default() -> Self {
        ImportConfig { max_mib: 512 }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    pub listen: String,
    pub public_url: String,
    /// Whether `--as` is believed.
    pub trust_shell: bool,
    pub statements: Statements,
    /// Web servers in front, whose `X-Forwarded-For` is believed.
    pub proxies: Vec<IpAddr>,
}

/// Who may read the statements of orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Statements {
    /// Anyone with the address.
    #[default]
    Public,
    /// Operators, and whoever holds a genuine notice.
    Internal,
}

impl Default for ServerConfig {
    fn default() -> Self {
        ServerConfig {
            listen: "127.0.0.1:8420".to_owned(),
            public_url: "http://127.0.0.1:8420".to_owned(),
            trust_shell: false,
            statements: Statements::default(),
            proxies: Vec::new(),
        }
    }
}

#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseConfig {
    /// May hold a password.
    pub url: String,
}

impl std::fmt::Debug for DatabaseConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DatabaseConfig(…)")
    }
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        DatabaseConfig {
            url: "sqlite:countermand.db".to_owned(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TransportKind {
    Smtp,
    #[default]
    Mailbox,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NoticesConfig {
    pub from: String,
    pub transport: TransportKind,
    pub smtp: SmtpConfig,
    pub test: TestConfig,
    pub bounces: BouncesConfig,
    pub limits: LimitsConfig,
    /// `[[notices.channel]]`: where orders can be announced.
    #[serde(rename = "channel")]
    pub channels: Vec<ChannelConfig>,
}

/// The way of tests, apart from that of notices.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TestConfig {
    pub transport: TransportKind,
    pub smtp: SmtpConfig,
}

impl Default for NoticesConfig {
    fn default() -> Self {
        NoticesConfig {
            from: "IT Security <it-security@example.test>".to_owned(),
            transport: TransportKind::default(),
            smtp: SmtpConfig::default(),
            test: TestConfig::default(),
            bounces: BouncesConfig::default(),
            limits: LimitsConfig::default(),
            channels: Vec::new(),
        }
    }
}

#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GateConfig {
    /// What every HTTP gate must be shown. Empty: the HTTP gates refuse everyone.
    pub secret: String,
    pub unknown_person: countermand_core::verdict::Decision,
    pub unknown_device: countermand_core::verdict::Decision,
    pub ambiguous_key: countermand_core::verdict::Ambiguous,
    pub no_device_key: countermand_core::verdict::NoKey,
    pub never_refuse_groups: Vec<String>,
    pub max_view_age: Length,
    /// Where Postfix asks: `unix:PATH` from the data directory on, or a port of this machine. Empty: nowhere.
    pub postfix_listen: String,
    pub nginx_mail: NginxMailConfig,
    pub doveadm: DoveadmConfig,
    /// Addresses of servers that log in or send for people, as web mail does: those have been
    /// asked about at their own door, so here they are let in.
    pub own_servers: Vec<IpAddr>,
}

/// Dovecot's doveadm HTTP API, by which open sessions are ended.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DoveadmConfig {
    /// Host and port, such as `127.0.0.1:8080`.
    pub address: Option<String>,
    pub api_key: String,
}

impl std::fmt::Debug for DoveadmConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DoveadmConfig")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Where nginx's mail proxy passes a login on to, by protocol: IP address and port, for nginx takes no name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NginxMailConfig {
    pub imap: Option<SocketAddr>,
    pub pop3: Option<SocketAddr>,
    pub smtp: Option<SocketAddr>,
}

impl NginxMailConfig {
    pub fn server(&self, protocol: Channel) -> Option<SocketAddr> {
        match protocol {
            Channel::Imap => self.imap,
            Channel::Pop3 => self.pop3,
            Channel::Submission => self.smtp,
            Channel::Activesync | Channel::Web => None,
        }
    }
}

impl std::fmt::Debug for GateConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GateConfig")
            .field("secret", &"…")
            .field("policy", &self.policy())
            .finish_non_exhaustive()
    }
}

impl Default for GateConfig {
    fn default() -> Self {
        let policy = GatePolicy::default();
        GateConfig {
            secret: String::new(),
            unknown_person: policy.unknown_person,
            unknown_device: policy.unknown_device,
            ambiguous_key: policy.ambiguous_key,
            no_device_key: policy.no_device_key,
            never_refuse_groups: Vec::new(),
            max_view_age: Length::seconds(600),
            postfix_listen: "unix:postfix.sock".to_owned(),
            nginx_mail: NginxMailConfig::default(),
            doveadm: DoveadmConfig::default(),
            own_servers: Vec::new(),
        }
    }
}

impl GateConfig {
    /// Where Postfix asks, if anywhere.
    pub fn postfix(&self, data: &Path) -> Result<Option<Listen>, String> {
        let text = Some(&self.postfix_listen).filter(|text| !text.is_empty());
        let listen = text.map(|text| Listen::parse(text, data)).transpose();
        listen.map_err(|why| format!("postfix_listen {why}"))
    }

    pub fn policy(&self) -> GatePolicy {
        GatePolicy {
            unknown_person: self.unknown_person,
            unknown_device: self.unknown_device,
            ambiguous_key: self.ambiguous_key,
            no_device_key: self.no_device_key,
            never_refuse_groups: self.never_refuse_groups.clone(),
        }
    }
}

/// A config that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {what}")]
pub struct ConfigError {
    place: String,
    what: String,
}

/// The file's name in the data directory.
pub const FILE: &str = "countermand.toml";

impl Config {
    /// Reads `file` (or `countermand.toml` in `data`, if it is there), then what the environment says.
    pub fn load(
        data: &Path,
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Config, ConfigError> {
        let path: PathBuf = file.map_or_else(|| data.join(FILE), Path::to_path_buf);
        let place = path.display().to_string();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && file.is_none() => String::new(),
            Err(e) => {
                return Err(ConfigError {
                    place,
                    what: format!("it can't be read: {e}"),
                });
            }
        };
        // Line and message only: the reader's own words would show the line, and a secret in it.
        let in_file = |e: toml::de::Error| {
            let line = e.span().map(|s| text[..s.start].matches('\n').count() + 1);
            let line = line.map(|l| format!("line {l}: ")).unwrap_or_default();
            ConfigError {
                place: place.clone(),
                what: format!("{line}{}", explain(e.message())),
            }
        };
        let mut config: Config = toml::from_str(&text).map_err(in_file)?;
        let mut table: toml::Table = text.parse().map_err(in_file)?;
        for (name, value) in environment {
            let Some(key) = name.strip_prefix("COUNTERMAND_") else {
                continue;
            };
            let key = key.to_lowercase();
            let path: Vec<&str> = key.split("__").collect();
            if path.len() < 2 && key != "mode" {
                continue;
            }
            config = overlay(&mut table, &path, &value).map_err(|what| ConfigError {
                place: format!("the environment variable {name}"),
                what,
            })?;
        }
        config.check().map_err(|what| ConfigError { place, what })?;
        let server = table.get("server").and_then(toml::Value::as_table);
        if server.is_none_or(|server| !server.contains_key("public_url")) {
            config.server.public_url = config.server.own_url();
        }
        Ok(config)
    }

    /// What `init` writes: every default as a comment, and the secret that it made.
    pub fn template(secret: &str) -> String {
        include_str!("../templates/countermand.toml").replace("{secret}", secret)
    }

    /// The address of an order's statement.
    pub fn statement_link(&self, order: countermand_core::id::OrderId) -> String {
        format!("{}/o/{order}", self.server.public_url.trim_end_matches('/'))
    }
}

impl ServerConfig {
    /// Where it listens, for a browser on the same machine: what links lead to as long as nothing is said.
    fn own_url(&self) -> String {
        let (host, port) = self.listen.rsplit_once(':').unwrap_or((&self.listen, ""));
        let host = match host {
            "0.0.0.0" | "[::]" => "127.0.0.1",
            host => host,
        };
        format!("http://{host}:{port}")
    }
}

/// Sets `path` to `value`, read as TOML where that fits (`2525`, `true`, `["it"]`), else as a text.
fn overlay(table: &mut toml::Table, path: &[&str], value: &str) -> Result<Config, String> {
    let as_toml = format!("v = {value}")
        .parse::<toml::Table>()
        .ok()
        .and_then(|mut t| t.remove("v"));
    let as_text = toml::Value::String(value.to_owned());
    let mut first = None;
    for value in as_toml.into_iter().chain([as_text]) {
        let mut with = table.clone();
        put(&mut with, path, value)?;
        match Config::deserialize(with.clone()) {
            Ok(config) => {
                *table = with;
                return Ok(config);
            }
            Err(error) => {
                first.get_or_insert_with(|| explain(error.message()));
            }
        }
    }
    Err(first.unwrap_or_default())
}

fn put(at: &mut toml::Table, path: &[&str], value: toml::Value) -> Result<(), String> {
    match path {
        [] => Ok(()),
        [key] => {
            at.insert((*key).to_owned(), value);
            Ok(())
        }
        [section, rest @ ..] => {
            let next = at
                .entry((*section).to_owned())
                .or_insert_with(|| toml::Value::Table(toml::Table::new()));
            let next = next.as_table_mut();
            put(
                next.ok_or_else(|| format!("«{section}» is no section"))?,
                rest,
                value,
            )
        }
    }
}

fn explain(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    if message.starts_with("unknown field")
        && let Some(given) = quoted.next()
    {
        let mend = match nearest_of(given, quoted.clone()) {
            Some(right) => format!("did you mean «{right}»?"),
            None => format!(
                "the keys here are {}",
                quoted.collect::<Vec<_>>().join(", ")
            ),
        };
        return format!("there is no key «{given}»; {mend}");
    }
    let words = message.lines().next().unwrap_or("not readable");
    // The reader names what it expects as programmers do.
    const SAID: [(&str, &str); 5] = [
        ("expected u16", "expected a whole number from 0 to 65535"),
        ("expected usize", "expected a whole number, such as 8"),
        ("expected f64", "expected a number, such as 50 or 0.5"),
        ("expected a signed duration string", EXPECTED_LENGTH),
        (
            "parsing ISO 8601 duration in this context requires that the duration contain a time component and no components of days or greater",
            EXPECTED_LENGTH,
        ),
    ];
    let plain = |words: String, (theirs, ours): &(&str, &str)| words.replace(theirs, ours);
    SAID.iter().fold(words.to_owned(), plain)
}

const EXPECTED_LENGTH: &str =
    "expected a length of time in hours, minutes or seconds, such as \"PT60S\"";

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The keys of a section, as its reader lists them to who gives one that is none.
    fn keys(section: &str) -> Vec<String> {
        let text = match section {
            "" => "no_key = 1".to_owned(),
            "notices.channel" => {
                "[[notices.channel]]\nno_key = 1\nname = \"a\"\nshape = \"slack\"".to_owned()
            }
            section => format!("[{section}]\nno_key = 1"),
        };
        let error = toml::from_str::<Config>(&text).unwrap_err();
        let quoted = error.message().split('`').skip(1).step_by(2);
        assert_eq!(quoted.clone().next(), Some("no_key"), "{error}");
        quoted.skip(1).map(str::to_owned).collect()
    }

    /// The template by its sections, those in comments among them.
    fn sections() -> std::collections::BTreeMap<String, String> {
        let mut all = std::collections::BTreeMap::new();
        let mut at = String::new();
        for line in Config::template("s").lines() {
            let head = line.trim_start_matches("# ").trim_start_matches('[');
            match head
                .strip_suffix(']')
                .map(|name| name.trim_end_matches(']'))
            {
                Some(name) if line.contains('[') && !line.contains('=') => at = name.to_owned(),
                _ => *all.entry(at.clone()).or_insert_with(String::new) += &format!("{line}\n"),
            }
        }
        all
    }

    #[test]
    fn links_lead_to_where_it_listens_unless_it_is_said() {
        let (listen, url) = (
            "COUNTERMAND_SERVER__LISTEN",
            "COUNTERMAND_SERVER__PUBLIC_URL",
        );
        for (said, expected) in [
            (vec![], "http://127.0.0.1:8420"),
            (vec![(listen, "127.0.0.1:18420")], "http://127.0.0.1:18420"),
            (vec![(listen, "0.0.0.0:80")], "http://127.0.0.1:80"),
            (vec![(listen, "[::1]:80")], "http://[::1]:80"),
            (
                vec![(listen, "127.0.0.1:18420"), (url, "https://c.test")],
                "https://c.test",
            ),
        ] {
            let said = said.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned()));
            let config = Config::load(Path::new("/nowhere"), None, said).unwrap();
            assert_eq!(config.server.public_url, expected);
        }
    }

    #[test]
    fn the_file_that_init_writes_names_every_key() {
        let (sections, mut left) = (sections(), vec![String::new()]);
        let mut seen = 0;
        while let Some(section) = left.pop() {
            // It says itself that its keys are those of the other.
            if section == "notices.test.smtp" {
                continue;
            }
            let text = sections.get(&section).map_or("", String::as_str);
            for key in keys(&section) {
                let inner = [section.as_str(), key.as_str()].join(".");
                let inner = inner.trim_start_matches('.').to_owned();
                seen += 1;
                if sections.contains_key(&inner) {
                    left.push(inner);
                } else {
                    let named = text.contains(&format!("{key} = "));
                    assert!(
                        named,
                        "[{section}] {key} is not in templates/countermand.toml"
                    );
                }
            }
        }
        assert!(seen > 50, "{seen}");
    }

    #[test]
    fn what_init_writes_is_what_holds_without_it() {
        let written: Config = toml::from_str(&Config::template("s")).unwrap();
        assert_eq!(written.check(), Ok(()));
        assert_eq!(
            (written.gate.secret.as_str(), written.server.trust_shell),
            ("s", true)
        );
        let without = Config::default();
        let plain = Config {
            server: ServerConfig {
                trust_shell: false,
                ..written.server.clone()
            },
            ..written
        };
        assert_eq!(format!("{plain:?}"), format!("{without:?}"));
    }
}
