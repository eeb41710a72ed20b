//! Postfix's policy delegation protocol: lines `name=value`, ended by an empty one.
//! <https://www.postfix.org/SMTPD_POLICY_README.html>

use std::collections::HashMap;
use std::net::IpAddr;

use super::{decoded, one_line, plain_name, unescaped};

/// Of one line, and of all lines of a question. Real ones stay under 2 KiB.
pub const LONGEST_LINE: usize = 8 * 1024;
const MOST_LINES: usize = 100;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PolicyError {
    #[error("a policy request has more than {MOST_LINES} lines")]
    TooLong,
    #[error("«{0}» in a policy request is no line of the form name=value")]
    NoPair(String),
    #[error("the policy request is of the kind «{0}»; expected smtpd_access_policy")]
    OtherKind(String),
    #[error("the policy request gives {0} twice with different values")]
    Twice(String),
}

/// What Postfix knows of one SMTP session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyRequest {
    /// Who signed in; Postfix (through Dovecot) has checked the password.
    pub login: Option<String>,
    /// The common name of the client's certificate.
    pub certificate: Option<String>,
    /// The certificate's fingerprint, in the digest of `smtpd_tls_fingerprint_digest`.
    pub fingerprint: Option<String>,
    /// From where it came.
    pub remote: Option<IpAddr>,
}

impl PolicyRequest {
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<Self, PolicyError> {
        let mut pairs: HashMap<&str, &str> = HashMap::new();
        for (n, line) in lines.into_iter().enumerate() {
            if n >= MOST_LINES {
                return Err(PolicyError::TooLong);
            }
            let (name, value) = line
                .split_once('=')
                .ok_or_else(|| PolicyError::NoPair(line.chars().take(40).collect()))?;
            // Whoever could smuggle in a second value could choose which one we read.
            if pairs
                .insert(name, value)
                .is_some_and(|other| other != value)
            {
                return Err(PolicyError::Twice(name.chars().take(40).collect()));
            }
        }
        let kind = pairs.get("request").copied().unwrap_or_default();
        if kind != "smtpd_access_policy" {
            return Err(PolicyError::OtherKind(kind.chars().take(40).collect()));
        }
        let text = |name: &str| {
            let value = pairs.get(name).copied()?;
            // xtext, RFC 3461 section 4: `+20` is a space.
            plain_name(&decoded(&unescaped(value, b'+'))).map(str::to_owned)
        };
        // A login is sent as it is: a plus sign in it is a plus sign.
        let login = pairs.get("sasl_username").copied().and_then(plain_name);
        Ok(PolicyRequest {
            login: login.map(str::to_owned),
            certificate: text("ccert_subject"),
            fingerprint: text("ccert_fingerprint"),
            remote: pairs.get("client_address").and_then(|ip| ip.parse().ok()),
        })
    }

    /// Device keys: the certificate's name, if there is a verified one, and its fingerprint.
    pub fn keys(&self) -> Vec<String> {
        // An unverified certificate has a fingerprint and no name; its owner made it.
        let Some(name) = &self.certificate else {
            return Vec::new();
        };
        [Some(name.clone()), self.fingerprint.clone()]
            .into_iter()
            .flatten()
            .map(|name| format!("cert:{name}"))
            .collect()
    }
}

/// Goes on with the restrictions that follow: another may still refuse.
pub const ALLOW: &str = "action=DUNNO\n\n";

/// Refuses for good, with the reason.
pub fn refuse(reason: &str) -> String {
    format!("action=554 5.7.1 {}\n\n", one_line(reason))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    /// As Postfix 3.7 asks at RCPT TO, of a client with a verified certificate.
    const REAL: &str = "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\n\
        client_address=192.0.2.7\nclient_name=unknown\nhelo_name=phone\nsender=alice@corp.test\n\
        recipient=carl@example.org\nrecipient_count=0\nqueue_id=\ninstance=66dc.6b074cbd.17f9b.0\nsize=0\n\
        sasl_method=PLAIN\nsasl_username=alice+mail@corp.test\nsasl_sender=\nccert_subject=Alice's+20phone\n\
        ccert_issuer=Corp+20Device+20CA\nccert_fingerprint=62:A6:F2\nccert_pubkey_fingerprint=73:AC:25\n\
        encryption_protocol=TLSv1.3\npolicy_context=";

    #[test]
    fn as_postfix_asks() {
        let request = PolicyRequest::parse(REAL.lines()).unwrap();
        assert_eq!(request.login.as_deref(), Some("alice+mail@corp.test"));
        assert_eq!(request.keys(), ["cert:Alice's phone", "cert:62:A6:F2"]);
        assert_eq!(request.remote, Some([192, 0, 2, 7].into()));
    }

    #[test]
    fn a_certificate_that_nobody_verified_names_no_device() {
        let lines = REAL.replace("ccert_subject=Alice's+20phone", "ccert_subject=");
        let request = PolicyRequest::parse(lines.lines()).unwrap();
        assert_eq!(request.keys(), Vec::<String>::new());
    }

    #[test]
    fn what_is_no_policy_request_is_an_error() {
        let error = |lines: &str| PolicyRequest::parse(lines.lines()).unwrap_err();
        assert_eq!(
            error("GET / HTTP/1.1"),
            PolicyError::NoPair("GET / HTTP/1.1".into())
        );
        assert_eq!(error("request=junk"), PolicyError::OtherKind("junk".into()));
        assert_eq!(error(""), PolicyError::OtherKind(String::new()));
        let twice = format!("{REAL}\nsasl_username=bob@corp.test");
        assert_eq!(error(&twice), PolicyError::Twice("sasl_username".into()));
        assert_eq!(error(&"a=b\n".repeat(101)), PolicyError::TooLong);
    }

    #[test]
    fn a_reason_can_begin_no_other_action() {
        assert_eq!(
            refuse("no: TikTok\n\naction=OK\r\n抖音"),
            "action=554 5.7.1 no: TikTok action=OK\n\n"
        );
    }

    proptest! {
        #[test]
        fn any_lines_are_read_or_refused(lines in prop::collection::vec(".{0,60}", 0..30)) {
            let _ = PolicyRequest::parse(lines.iter().map(String::as_str));
        }
    }
}
