//! Dovecot's auth policy requests and answers (JSON over HTTP).

use countermand_core::verdict::Channel;
use serde::Deserialize;

use super::plain_name;

/// Longest body that is read. Real ones stay under 1 KiB; a client's IMAP ID makes up the most of it.
const LONGEST: usize = 16 * 1024;
/// Longest message that is answered: an IMAP client shows one line.
const LONGEST_MESSAGE: usize = 400;
/// What Dovecot writes in place of a variable that its version doesn't know.
const UNSUPPORTED: &str = "UNSUPPORTED_VARIABLE";

#[derive(Debug, thiserror::Error)]
pub enum DovecotError {
    #[error("the auth policy request is {0} bytes long; at most {LONGEST} are read")]
    TooLong(usize),
    #[error(
        "the auth policy request is not the JSON object that auth_policy_request_attributes in the shipped \
         dovecot configuration describes: {0}"
    )]
    NotJson(#[from] serde_json::Error),
}

/// What Dovecot knows of one login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DovecotRequest {
    /// Whose mailbox it is, after the password database had its say.
    pub user: Option<String>,
    /// The name as it was first asked for; with per-device logins another one than the mailbox's.
    pub login: Option<String>,
    pub protocol: Option<String>,
    /// What Dovecot itself established about the device.
    pub device: Option<DeviceHint>,
    /// The certificate's name, if the client showed a valid one. It may stand beside a credential's device.
    pub certificate: Option<String>,
    /// What the client says about itself. Anybody can say anything: for a search, never for a verdict.
    pub client: Option<ClientId>,
    pub session: Option<String>,
    pub remote: Option<String>,
    /// In reports only.
    pub success: Option<bool>,
    /// In reports only: whether it was our answer that refused.
    pub policy_reject: Option<bool>,
}

/// The device to which a password or a token belongs, from the field `device` of the password database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceHint {
    Credential(String),
    Token(String),
}

/// An IMAP ID, as far as it names a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientId {
    pub name: Option<String>,
    pub os: Option<String>,
    pub device: Option<String>,
}

#[derive(Deserialize)]
struct Wire {
    user: Option<String>,
    login: Option<String>,
    protocol: Option<String>,
    mech: Option<String>,
    passdb_device: Option<String>,
    cert: Option<String>,
    cert_name: Option<String>,
    device_id: Option<String>,
    session_id: Option<String>,
    remote: Option<String>,
    success: Option<bool>,
    policy_reject: Option<bool>,
}

impl DovecotRequest {
    pub fn parse(body: &[u8]) -> Result<Self, DovecotError> {
        if body.len() > LONGEST {
            return Err(DovecotError::TooLong(body.len()));
        }
        let wire: Wire = serde_json::from_slice(body)?;
        let valid = wire.cert.as_deref() == Some("valid");
        let by_token = wire.mech.is_some_and(|mech| {
            ["XOAUTH2", "OAUTHBEARER"]
                .iter()
                .any(|known| mech.eq_ignore_ascii_case(known))
        });
        let device = named(wire.passdb_device).map(if by_token {
            DeviceHint::Token
        } else {
            DeviceHint::Credential
        });
        Ok(Self {
            user: known(wire.user),
            login: known(wire.login),
            protocol: known(wire.protocol),
            device,
            certificate: named(wire.cert_name).filter(|_| valid),
            client: known(wire.device_id).and_then(|list| ClientId::parse(&list)),
            session: known(wire.session_id),
            remote: known(wire.remote),
            success: wire.success,
            policy_reject: wire.policy_reject,
        })
    }

    pub fn person(&self) -> Option<&str> {
        self.user.as_deref().or(self.login.as_deref())
    }

    /// `None` for a service that is no way to mail (a sieve editor, say).
    pub fn channel(&self) -> Option<Channel> {
        match self.protocol.as_deref()? {
            // Postfix asks Dovecot to authenticate under the name `smtp`.
            "smtp" => Some(Channel::Submission),
            other => other.parse().ok(),
        }
    }

    /// Device keys, established ones only. Where they are of different devices, the strictest decides.
    pub fn keys(&self) -> Vec<String> {
        let device = self.device.as_ref().map(|device| match device {
            DeviceHint::Credential(id) => format!("cred:{id}"),
            DeviceHint::Token(id) => format!("oauth:{id}"),
        });
        let certificate = self.certificate.as_ref().map(|name| format!("cert:{name}"));
        device.into_iter().chain(certificate).collect()
    }
}

impl ClientId {
    /// Reads `"name" "iPhone Mail" "x-device-id" "dev-7f3a"`: quoted strings and NIL, names and values by turns.
    pub fn parse(list: &str) -> Option<Self> {
        let words = quoted(list)?;
        let of = |names: &[&str]| {
            words
                .chunks_exact(2)
                .find(|pair| {
                    pair[0]
                        .as_ref()
                        .is_some_and(|name| names.iter().any(|n| name.eq_ignore_ascii_case(n)))
                })
                .and_then(|pair| known(pair[1].clone()))
        };
        let id = Self {
            name: of(&["name"]),
            os: of(&["os"]),
            device: of(&["x-device-id", "device-id", "device"]),
        };
        (id != Self::default()).then_some(id)
    }
}

fn quoted(list: &str) -> Option<Vec<Option<String>>> {
    let mut words = Vec::new();
    let mut chars = list
        .trim()
        .trim_start_matches('(')
        .trim_end_matches(')')
        .chars();
    while let Some(first) = chars.next() {
        match first {
            ' ' => {}
            '"' => {
                let mut word = String::new();
                loop {
                    match chars.next()? {
                        '"' => break,
                        '\\' => word.push(chars.next()?),
                        other => word.push(other),
                    }
                }
                words.push(Some(word));
            }
            _ => {
                let atom: String = std::iter::once(first)
                    .chain(chars.by_ref().take_while(|c| *c != ' '))
                    .collect();
                if !atom.eq_ignore_ascii_case("NIL") {
                    return None;
                }
                words.push(None);
            }
        }
    }
    Some(words)
}

fn known(value: Option<String>) -> Option<String> {
    let value = value?;
    let value = plain_name_or_id_list(&value)?;
    (!value.starts_with(UNSUPPORTED)).then(|| value.to_owned())
}

/// A device's name as it came: one that can be none's must not look as if there were no name at all.
fn named(value: Option<String>) -> Option<String> {
    value.filter(|name| !name.trim().is_empty() && !name.starts_with(UNSUPPORTED))
}

/// An ID list is longer than a name, and bounded by the body's length.
fn plain_name_or_id_list(value: &str) -> Option<&str> {
    if value.starts_with('"') {
        Some(value)
    } else {
        plain_name(value)
    }
}

/// The answer that lets in.
pub fn allow() -> String {
    r#"{"status":0,"msg":"accepted"}"#.to_owned()
}

/// The answer that refuses; Dovecot shows the reason to the mail app.
pub fn refuse(reason: &str) -> String {
    serde_json::json!({ "status": -1, "msg": one_line(reason) }).to_string()
}

/// The reason becomes part of an IMAP response line: a line break in it would let its author write responses of
/// their own, and a long one would be cut in the wrong place.
fn one_line(text: &str) -> String {
    let breaks =
        |c: char| c.is_control() || c.is_whitespace() || matches!(c, '\u{2028}' | '\u{2029}');
    let words: Vec<&str> = text.split(breaks).filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    match line.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None if line.is_empty() => "Mail is blocked on this device".to_owned(),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    fn parse(json: &str) -> DovecotRequest {
        DovecotRequest::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn a_login_with_a_credential_of_its_own_as_seen() {
        let request = parse(
            r#"{"auth_user":"alice+dev-7f3a@corp.test","cert":"","device_id":"","login":"alice@corp.test","lport":"11143",
            "master":"","mech":"PLAIN","passdb_device":"dev-7f3a","protocol":"imap","pwhash":"048f","remote":"127.0.0.1",
            "secured":"secured","session_id":"ZzdHKyBhVKx/AAAB","user":"alice@corp.test","success":false,
            "policy_reject":true,"tls":false}"#,
        );
        assert_eq!(request.person(), Some("alice@corp.test"));
        assert_eq!(request.channel(), Some(Channel::Imap));
        assert_eq!(request.keys(), ["cred:dev-7f3a"]);
        assert_eq!(request.session.as_deref(), Some("ZzdHKyBhVKx/AAAB"));
        assert_eq!(
            (request.success, request.policy_reject),
            (Some(false), Some(true))
        );
    }

    #[test]
    fn a_token_names_its_device() {
        let request =
            parse(r#"{"mech":"XOAUTH2","passdb_device":"dev-7f3a","user":"alice@corp.test"}"#);
        assert_eq!(request.keys(), ["oauth:dev-7f3a"]);
    }

    #[test]
    fn an_unsupported_variable_and_an_empty_one_are_none() {
        let request = parse(
            r#"{"passdb_device":"UNSUPPORTED_VARIABLE_passdb","user":"","login":"bob","remote":null}"#,
        );
        assert_eq!(request.keys(), Vec::<String>::new());
        assert_eq!(request.person(), Some("bob"));
        assert_eq!(parse("{}"), DovecotRequest::default());
    }

    #[test]
    fn a_name_that_no_device_can_have_is_not_taken_for_none() {
        let request = parse(
            r#"{"mech":"XOAUTH2","passdb_device":"dev-7f3a\tuser=bob","cert":"valid","cert_name":" "}"#,
        );
        assert_eq!(request.keys(), ["oauth:dev-7f3a\tuser=bob"]);
    }

    #[test]
    fn only_a_valid_certificate_names_a_device() {
        let json = |cert: &str| {
            format!(r#"{{"cert":"{cert}","cert_name":"dev-9c1e","passdb_device":"dev-9c1e"}}"#)
        };
        assert_eq!(
            parse(&json("valid")).keys(),
            ["cred:dev-9c1e", "cert:dev-9c1e"]
        );
        assert_eq!(parse(&json("")).keys(), ["cred:dev-9c1e"]);
        assert_eq!(parse(&json("invalid")).certificate, None);
    }

    #[test]
    fn an_imap_id_is_a_hint_and_no_key() {
        let request = parse(
            r#"{"device_id":"\"name\" \"iPhone Mail\" \"version\" \"21A\" \"os\" \"iOS\" \"os-version\" \"17.1 (21B74)\" \"x-device-id\" \"dev-7f3a\""}"#,
        );
        let client = request.client.clone().unwrap();
        assert_eq!(client.name.as_deref(), Some("iPhone Mail"));
        assert_eq!(client.os.as_deref(), Some("iOS"));
        assert_eq!(client.device.as_deref(), Some("dev-7f3a"));
        assert_eq!(request.keys(), Vec::<String>::new());
    }

    #[test]
    fn odd_imap_ids_are_no_hint() {
        for list in [
            "NIL",
            "\"name",
            "\"name\" NIL",
            "garbage",
            "",
            "\"name\" \"a\\",
        ] {
            assert_eq!(ClientId::parse(list), None, "{list}");
        }
        let escaped = ClientId::parse(r#"("NAME" "a \"b\"" "os" NIL)"#).unwrap();
        assert_eq!(escaped.name.as_deref(), Some("a \"b\""));
    }

    #[test]
    fn channels_of_the_services() {
        let channel = |name: &str| parse(&format!(r#"{{"protocol":"{name}"}}"#)).channel();
        assert_eq!(channel("pop3"), Some(Channel::Pop3));
        assert_eq!(channel("smtp"), Some(Channel::Submission));
        assert_eq!(channel("submission"), Some(Channel::Submission));
        assert_eq!(channel("sieve"), None);
    }

    #[test]
    fn garbage_is_an_error() {
        for body in [
            "",
            "[]",
            "42",
            "{\"user\":",
            "{\"user\":1}",
            "{\"user\":\"a\",\"user\":\"b\"}",
        ] {
            assert!(DovecotRequest::parse(body.as_bytes()).is_err(), "{body}");
        }
        let long = vec![b' '; LONGEST + 1];
        assert!(matches!(
            DovecotRequest::parse(&long),
            Err(DovecotError::TooLong(_))
        ));
    }

    #[test]
    fn a_reason_is_one_line() {
        let json: serde_json::Value =
            serde_json::from_str(&refuse("TikTok is installed.\r\n* BYE forged\tR-7Q2M-4F"))
                .unwrap();
        assert_eq!(json["status"], -1);
        assert_eq!(json["msg"], "TikTok is installed. * BYE forged R-7Q2M-4F");
        assert_eq!(one_line(" \n"), "Mail is blocked on this device");
        assert_eq!(
            one_line(&"ä".repeat(1000)).chars().count(),
            LONGEST_MESSAGE + 1
        );
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&allow()).unwrap()["status"],
            0
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), list in ".*") {
            let _ = DovecotRequest::parse(&bytes);
            let _ = ClientId::parse(&list);
        }

        #[test]
        fn no_reason_breaks_the_line(reason in "(?s).{0,600}") {
            let line = one_line(&reason);
            prop_assert!(!line.is_empty() && !line.chars().any(char::is_control));
        }
    }

    /// Every request that was captured must be read, and only devices that the server vouched for become keys.
    #[test]
    fn captured_requests() {
        let folder = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../shared/reference/mail/captures"
        );
        let Ok(files) = std::fs::read_dir(folder) else {
            println!("skipped: the captures are not beside this checkout");
            return;
        };
        let text: String = files
            .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
            .collect();
        for line in text.lines() {
            let capture: serde_json::Value = serde_json::from_str(line).unwrap();
            if capture["kind"] != "dovecot-policy" {
                continue;
            }
            let body = capture["body"].as_str().unwrap();
            let raw: serde_json::Value = serde_json::from_str(body).unwrap();
            let request = parse(body);
            let user = raw["user"].as_str().filter(|user| !user.is_empty());
            assert_eq!(request.user.as_deref(), user, "{body}");
            assert!(request.channel().is_some(), "{body}");
            let vouched = raw["passdb_device"]
                .as_str()
                .is_some_and(|device| device.starts_with("dev-"));
            assert_eq!(request.keys().len(), usize::from(vouched), "{body}");
        }
    }
}
