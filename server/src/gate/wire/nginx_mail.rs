//! nginx's mail proxy: it asks by HTTP headers whether a login may go on, and where to.
//! <https://nginx.org/en/docs/mail/ngx_mail_auth_http_module.html#protocol>

use axum::http::HeaderMap;
use countermand_core::verdict::Channel;

use super::{decoded, one_line, plain_name, unescaped};

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MailProxyError {
    #[error(
        "the header {0} is missing: only nginx's mail proxy (auth_http) asks at /gate/nginx-mail"
    )]
    Missing(&'static str),
    #[error("the header {0} is given twice, or can't be read")]
    Unclear(&'static str),
}

/// What nginx knows of one login. The password is in its question too, and is not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailProxyRequest {
    pub channel: Channel,
    /// Only a claim: the mail server behind nginx checks the password, after us.
    pub login: Option<String>,
    /// Device keys of the client's certificate, if nginx has verified one.
    pub keys: Vec<String>,
}

impl MailProxyRequest {
    pub fn read(headers: &HeaderMap) -> Result<Self, MailProxyError> {
        let protocol =
            one(headers, "auth-protocol")?.ok_or(MailProxyError::Missing("Auth-Protocol"))?;
        let channel = match protocol.as_str() {
            "imap" => Channel::Imap,
            "pop3" => Channel::Pop3,
            "smtp" => Channel::Submission,
            _ => return Err(MailProxyError::Unclear("Auth-Protocol")),
        };
        let login = one(headers, "auth-user")?.map(|user| {
            // nginx escapes it like a URI: `alice%20smith`.
            decoded(&unescaped(&user, b'%')).into_owned()
        });
        let verified = one(headers, "auth-ssl-verify")?.as_deref() == Some("SUCCESS");
        let mut keys = Vec::new();
        if verified {
            let serial = one(headers, "auth-ssl-serial")?;
            let subject = one(headers, "auth-ssl-subject")?;
            keys = [serial, subject]
                .into_iter()
                .flatten()
                .map(|name| format!("cert:{name}"))
                .collect();
        }
        Ok(MailProxyRequest {
            channel,
            login: login.as_deref().and_then(plain_name).map(str::to_owned),
            keys,
        })
    }
}

fn one(headers: &HeaderMap, name: &'static str) -> Result<Option<String>, MailProxyError> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else {
        return Ok(None);
    };
    if values.any(|other| other != first) {
        return Err(MailProxyError::Unclear(name));
    }
    let text = decoded(first.as_bytes()).trim().to_owned();
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// The reason as the header `Auth-Status`: nginx shows it to the mail app after `NO`, `-ERR` or `535`.
pub fn reason(text: &str) -> String {
    one_line(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn read(pairs: &[(&str, &str)]) -> Result<MailProxyRequest, MailProxyError> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        MailProxyRequest::read(&headers)
    }

    const LOGIN: [(&str, &str); 3] = [
        ("Auth-Protocol", "imap"),
        ("Auth-User", "alice%2bmail@corp.test"),
        ("Auth-Pass", "secret"),
    ];

    #[test]
    fn as_nginx_asks() {
        let certificate = [
            ("Auth-SSL-Verify", "SUCCESS"),
            ("Auth-SSL-Subject", "CN=dev-7f3a,OU=devices,O=Corp"),
            ("Auth-SSL-Serial", "7a3d"),
        ];
        let request = read(&[&LOGIN[..], &certificate].concat()).unwrap();
        assert_eq!(request.login.as_deref(), Some("alice+mail@corp.test"));
        assert_eq!(
            request.keys,
            ["cert:7a3d", "cert:CN=dev-7f3a,OU=devices,O=Corp"]
        );
        assert_eq!(request.channel, Channel::Imap);
    }

    #[test]
    fn a_certificate_that_was_not_verified_names_no_device() {
        for verdict in ["NONE", "FAILED:self-signed certificate", ""] {
            let certificate = [("Auth-SSL-Verify", verdict), ("Auth-SSL-Serial", "7A3D")];
            let request = read(&[&LOGIN[..], &certificate].concat()).unwrap();
            assert_eq!(request.keys, Vec::<String>::new(), "{verdict}");
        }
    }

    #[test]
    fn what_nginx_does_not_send_is_an_error() {
        assert_eq!(read(&[]), Err(MailProxyError::Missing("Auth-Protocol")));
        assert!(read(&[("Auth-Protocol", "gopher")]).is_err());
        assert!(read(&[&LOGIN[..], &[("Auth-User", "bob")]].concat()).is_err());
    }

    #[test]
    fn a_reason_is_one_line_of_ascii() {
        assert_eq!(reason("no\r\nAuth-Status: OK 抖音"), "no Auth-Status: OK");
    }
}
