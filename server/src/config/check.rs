//! What serde cannot see of the config: values that are well formed and make no sense.

use std::net::SocketAddr;
use std::path::Path;

use countermand_core::duration::Length;

use super::{Config, DoctorConfig, GateConfig, ServerConfig};
use crate::outbox::channels;

impl Config {
    pub(super) fn check(&self) -> Result<(), String> {
        self.server.check().map_err(|e| format!("[server] {e}"))?;
        let notices = &self.notices;
        notices.smtp.check().map_err(|e| e.to_string())?;
        (notices.test.smtp.check()).map_err(|e| e.of_tests())?;
        channels::check(&notices.channels)?;
        if self.import.max_mib == 0 {
            return Err("[import] max_mib: expected a number above zero, such as 512".to_owned());
        }
        self.gate.check().map_err(|e| format!("[gate] {e}"))?;
        let follow = self.follow.check(&self.gate);
        follow.map_err(|e| format!("[follow] {e}"))?;
        crate::outbox::message::bare_address(&notices.from).map_err(|e| {
            format!("[notices] from: {e}; write it like IT Security <it-security@example.test>")
        })?;
        self.doctor.check().map_err(|e| format!("[doctor] {e}"))?;
        let bounces = notices.bounces.check(&notices.from);
        bounces.map_err(|e| format!("[notices.bounces] {e}"))?;
        let limits = notices.limits.check();
        limits.map_err(|e| format!("[notices.limits] {e}"))
    }
}

impl ServerConfig {
    fn check(&self) -> Result<(), String> {
        let port = self.listen.rsplit_once(':');
        if !port.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok()) {
            return Err(format!(
                "listen «{}»: expected an address and a port, such as \"127.0.0.1:8420\"",
                self.listen
            ));
        }
        let url = self.public_url.as_str();
        // What is appended to it stands in every notice.
        if !is_address(url) {
            return Err(format!(
                "public_url «{url}»: expected http:// or https:// and a host, with neither blanks nor ? or # in it, such as \"https://countermand.example.test\""
            ));
        }
        Ok(())
    }
}

fn is_address(url: &str) -> bool {
    let rest = url.strip_prefix("https://");
    let rest = rest.or_else(|| url.strip_prefix("http://")).unwrap_or("");
    let odd = |c: char| c.is_whitespace() || c.is_control() || "?#<>\"".contains(c);
    !(rest.is_empty() || rest.starts_with('/') || rest.contains(odd))
}

impl DoctorConfig {
    pub(crate) fn check(&self) -> Result<(), String> {
        // Mail's own schemes have the same form.
        let is_mail = |front: &str| {
            ["imap", "pop3", "smtp"].iter().any(|scheme| {
                front
                    .strip_prefix(scheme)
                    .is_some_and(|rest| is_address(&format!("http{rest}")))
            })
        };
        match self
            .fronts
            .iter()
            .find(|front| !is_address(front) && !is_mail(front))
        {
            None => Ok(()),
            Some(front) => Err(format!(
                "fronts «{front}»: expected http:// or https:// and a host, such as \"https://mail.example.test\", or imaps://, pop3s:// or smtps:// of nginx's mail proxy"
            )),
        }
    }
}

impl GateConfig {
    fn check(&self) -> Result<(), String> {
        self.postfix(Path::new("."))?;
        if self.max_view_age <= Length::seconds(0) {
            return Err(
                "max_view_age: expected a length of time above zero, such as \"PT10M\"; at zero every view would be too old"
                    .to_owned(),
            );
        }
        let is_place = |at: &String| {
            at.rsplit_once(':').is_some_and(|(host, port)| {
                !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
            })
        };
        // Empty is none, as an environment variable says it.
        let address = self.doveadm.address.as_ref().filter(|at| !at.is_empty());
        if let Some(address) = address.filter(|at| !is_place(at)) {
            return Err(format!(
                "doveadm: address «{address}»: expected a host and a port, such as \"127.0.0.1:8080\""
            ));
        }
        let mail = &self.nginx_mail;
        let servers = [
            ("imap", mail.imap),
            ("pop3", mail.pop3),
            ("smtp", mail.smtp),
        ];
        let without = |(_, at): &(_, Option<SocketAddr>)| at.is_some_and(|at| at.port() == 0);
        if let Some((protocol, _)) = servers.into_iter().find(without) {
            return Err(format!(
                "nginx_mail: {protocol} has port 0; expected the port of that server"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::FILE;
    use super::*;

    fn refused(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        std::fs::write(&file, text).unwrap();
        let error = Config::load(folder.path(), None, std::iter::empty()).unwrap_err();
        error
            .to_string()
            .replace(&file.display().to_string(), "FILE")
    }

    #[test]
    fn an_odd_value_is_refused_with_its_place_and_what_is_expected() {
        for (text, expected) in [
            (
                "[server]\nlisten = \"8420\"",
                "[server] listen «8420»: expected an address and a port",
            ),
            (
                "[server]\npublic_url = \"https://\"",
                "[server] public_url «https://»: expected",
            ),
            (
                "[server]\npublic_url = \"https://h.test/?x\"",
                "neither blanks nor ? or #",
            ),
            (
                "[notices.smtp]\nport = 0",
                "`port` in [notices.smtp]: expected a port from 1 to 65535",
            ),
            (
                "[notices.smtp]\nport = 70000",
                "line 2: invalid value: integer `70000`, expected a whole number from 0 to 65535",
            ),
            (
                "[notices.smtp]\nsessions = 0",
                "FILE: `sessions` in [notices.smtp]: expected 1 to 500",
            ),
            (
                "[notices.smtp]\nsessions = 100000",
                "`sessions` in [notices.smtp]: expected 1 to 500",
            ),
            (
                "[notices.smtp]\nsessions = -1",
                "line 2: invalid value: integer `-1`, expected a whole number",
            ),
            (
                "[notices.smtp]\nfinal_dot_timeout = \"PT9H\"",
                "`final_dot_timeout` in [notices.smtp]: expected",
            ),
            (
                "[notices.smtp]\nfinal_dot_timeout = \"P9D\"",
                "such as \"PT60S\"",
            ),
            (
                "[notices.test.smtp]\nport = 0",
                "`port` in [notices.test.smtp]: expected",
            ),
            (
                "[notices.smtp]\nhots = \"x\"",
                "there is no key «hots»; did you mean «host»?",
            ),
            (
                "[notices.smtp]\nusername = \"x\"",
                "there is no key «username»; the keys here are host, port, tls",
            ),
            (
                "[notices.limits]\nper_second = -5",
                "[notices.limits] per_second = -5: expected",
            ),
            (
                "[notices.limits]\nper_second = 1e-9",
                "per_second = 0.000000001: expected",
            ),
            (
                "[notices.limits]\nper_domain = { \"a.test\" = 1, \"A.test\" = 2 }",
                "names «a.test» twice",
            ),
            (
                "[notices.bounces]\nmaildir = \"\"",
                "[notices.bounces] maildir is empty; expected",
            ),
            (
                "[notices.bounces]\nlmtp_listen = \"127.0.0.1:0\"",
                "[notices.bounces] lmtp_listen «127.0.0.1:0»: expected",
            ),
            (
                "[gate]\nmax_view_age = \"PT0S\"",
                "[gate] max_view_age: expected",
            ),
            (
                "[doctor]\nfronts = [\"mail.test\"]",
                "[doctor] fronts «mail.test»: expected",
            ),
            (
                "[follow]\nsecret = \"guess\"",
                "[follow] secret is too short",
            ),
            (
                "[follow]\nurl = \"http://main.example.test\"",
                "[follow] url «http://main.example.test»: expected https://",
            ),
            (
                "[gate.doveadm]\naddress = \"dovecot\"",
                "[gate] doveadm: address «dovecot»: expected",
            ),
            (
                "[gate.nginx_mail]\nimap = \"127.0.0.1:0\"",
                "[gate] nginx_mail: imap has port 0; expected",
            ),
        ] {
            let said = refused(text);
            assert!(said.contains(expected), "{text}: {said}");
        }
    }
}
