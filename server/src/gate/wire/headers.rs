//! The original request behind a forward-auth call, from whichever place the proxy put it.
//!
//! The gate's secret proves that a proxy called; it does not prove that each header is the proxy's own, for
//! proxies pass on what a client sent. So two places that disagree are an error, never a choice: otherwise a
//! client could add the header of another kind of proxy and have a harmless request judged in place of its own.
//! `X-Remote-User` and `X-Client-Cert-*` cannot be checked like that; the shipped configurations overwrite them.

use std::borrow::Cow;

use axum::http::HeaderMap;
use countermand_core::verdict::Channel;

use super::basic::{self, BasicError};
use super::eas::{EasError, EasRequest};
use super::{decoded, plain_name};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateRequest {
    pub channel: Channel,
    /// Who the proxy or the mail server authenticates; without either, nobody. A login in the ActiveSync query
    /// is only a claim and stays in `eas`.
    pub person: Option<String>,
    /// Whether the proxy itself stands for the person (`X-Remote-User`). HTTP Basic is only a claim until the mail
    /// server behind the proxy has checked the password, which it does after us.
    pub vouched: bool,
    /// Whether the request only asks what the server can do; a phone that is being set up has no DeviceId to give.
    pub is_options: bool,
    /// Device keys, as `eas:DEV7F3A` or `cert:0A1B`.
    pub keys: Vec<String>,
    pub eas: Option<EasRequest>,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum GateRequestError {
    #[error(
        "the call names no original request; expected X-Original-URI, X-Forwarded-Uri, or the path after {route} \
         (see the configurations in deploy/)"
    )]
    NoOriginal { route: String },
    #[error(
        "{first} and {second} disagree about the original request: let the proxy set the one it uses and remove \
         the other"
    )]
    Disagree {
        first: &'static str,
        second: &'static str,
    },
    #[error(
        "the header {0} is given twice with different values: let the proxy overwrite what clients send"
    )]
    Twice(&'static str),
    #[error("the header {0} is not readable text")]
    NotText(&'static str),
    #[error(transparent)]
    Eas(#[from] EasError),
    #[error(transparent)]
    Basic(#[from] BasicError),
}

impl GateRequest {
    /// `call` is the path and query of the call to us, `route` our own part of it (`/gate/http`).
    pub fn read(route: &str, call: &str, headers: &HeaderMap) -> Result<Self, GateRequestError> {
        let uri = original_uri(route, call, headers)?;
        let mut eas = EasRequest::parse(&uri, one(headers, "ms-asprotocolversion")?.as_deref())?;
        let is_options =
            original_method(headers)?.is_some_and(|method| method.eq_ignore_ascii_case("OPTIONS"));
        if let Some(request) = &mut eas
            && is_options
        {
            // Asks what the server can do; whatever its query says, it has no document.
            request.command = None;
        }
        Ok(Self {
            channel: if eas.is_some() {
                Channel::Activesync
            } else {
                Channel::Web
            },
            person: person(headers)?,
            vouched: one(headers, "x-remote-user")?.is_some(),
            is_options,
            keys: keys(headers, eas.as_ref())?,
            eas,
        })
    }
}

/// The person of a request of which the rest can't be read: `None` too where even that is uncertain.
pub fn person_of(headers: &HeaderMap) -> Option<String> {
    person(headers).ok().flatten()
}

fn original_uri(route: &str, call: &str, headers: &HeaderMap) -> Result<String, GateRequestError> {
    let path = call
        .strip_prefix(route)
        .filter(|rest| rest.starts_with('/') && *rest != "/");
    let places = [
        ("the path of the call", path.map(Cow::Borrowed)),
        ("X-Original-URI", one(headers, "x-original-uri")?),
        ("X-Forwarded-Uri", one(headers, "x-forwarded-uri")?),
    ];
    agreed(places)?
        .or_else(|| {
            call.strip_prefix(route)
                .filter(|rest| *rest == "/")
                .map(Cow::Borrowed)
        })
        .map(Cow::into_owned)
        .ok_or_else(|| GateRequestError::NoOriginal {
            route: route.to_owned(),
        })
}

fn original_method(headers: &HeaderMap) -> Result<Option<Cow<'_, str>>, GateRequestError> {
    agreed([
        ("X-Original-Method", one(headers, "x-original-method")?),
        ("X-Forwarded-Method", one(headers, "x-forwarded-method")?),
    ])
}

/// The one value that all places which have one share.
fn agreed<'a, const N: usize>(
    places: [(&'static str, Option<Cow<'a, str>>); N],
) -> Result<Option<Cow<'a, str>>, GateRequestError> {
    let mut found: Option<(&'static str, Cow<'a, str>)> = None;
    for (place, value) in places {
        match (&found, value) {
            (Some((first, known)), Some(value)) if *known != value => {
                return Err(GateRequestError::Disagree {
                    first,
                    second: place,
                });
            }
            (None, Some(value)) => found = Some((place, value)),
            _ => {}
        }
    }
    Ok(found.map(|(_, value)| value))
}

fn person(headers: &HeaderMap) -> Result<Option<String>, GateRequestError> {
    if let Some(user) = one(headers, "x-remote-user")? {
        return plain_name(&user)
            .map(|user| Some(user.to_owned()))
            .ok_or(GateRequestError::NotText("x-remote-user"));
    }
    let Some(header) = headers.get("authorization") else {
        return Ok(None);
    };
    if headers
        .get_all("authorization")
        .iter()
        .any(|other| other != header)
    {
        return Err(GateRequestError::Twice("authorization"));
    }
    Ok(basic::user(header.as_bytes())?)
}

fn keys(headers: &HeaderMap, eas: Option<&EasRequest>) -> Result<Vec<String>, GateRequestError> {
    let device = eas.and_then(|request| request.device_id.as_ref());
    let serial = one(headers, "x-client-cert-serial")?.map(Cow::into_owned);
    let subject = one(headers, "x-client-cert-subject")?.map(|text| subject(&text));
    Ok(device
        .map(|id| format!("eas:{id}"))
        .into_iter()
        .chain(
            serial
                .into_iter()
                .chain(subject)
                .map(|name| format!("cert:{name}")),
        )
        .collect())
}

/// OpenSSL's old `/O=Corp/CN=dev` (HAProxy) in the order of RFC 2253, `CN=dev,O=Corp` (nginx, Caddy, Envoy).
fn subject(text: &str) -> String {
    match text.strip_prefix('/') {
        Some(parts) => parts.rsplit('/').collect::<Vec<_>>().join(","),
        None => text.to_owned(),
    }
}

/// A header's one value; empty ones and the blanks that proxies write for "none" count as absent.
fn one<'a>(
    headers: &'a HeaderMap,
    name: &'static str,
) -> Result<Option<Cow<'a, str>>, GateRequestError> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else {
        return Ok(None);
    };
    if values.any(|other| other != first) {
        return Err(GateRequestError::Twice(name));
    }
    let text = decoded(first.as_bytes().trim_ascii());
    Ok(Some(text).filter(|text| !matches!(&**text, "" | "-" | "(null)" | "<nil>")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use axum::http::{HeaderName, HeaderValue};
    use countermand_core::fleet::DeviceKey;
    use proptest::prelude::*;

    const SYNC: &str = "/Microsoft-Server-ActiveSync?Cmd=FolderSync&User=alice%40corp.test&DeviceId=DEV7F3A&DeviceType=iPhone";
    const ALICE: (&str, &str) = ("Authorization", "Basic YWxpY2VAY29ycC50ZXN0OnNlY3JldA==");

    fn read(call: &str, pairs: &[(&str, &str)]) -> Result<GateRequest, GateRequestError> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        GateRequest::read("/gate/http", call, &headers)
    }

    fn assert_alices_sync(request: &GateRequest) {
        assert_eq!(request.channel, Channel::Activesync);
        assert_eq!(request.person.as_deref(), Some("alice@corp.test"));
        assert_eq!(request.keys[0], "eas:DEV7F3A");
        let eas = request.eas.as_ref().unwrap();
        assert_eq!(
            (eas.command.as_deref(), eas.protocol),
            (Some("FolderSync"), Some((14, 1)))
        );
    }

    #[test]
    fn as_nginx_calls() {
        let request = read(
            "/gate/http",
            &[
                ("X-Original-URI", SYNC),
                ("X-Original-Method", "POST"),
                ("X-Remote-User", "alice@corp.test"),
                ("MS-ASProtocolVersion", "14.1"),
                ALICE,
            ],
        );
        assert_alices_sync(&request.unwrap());
    }

    #[test]
    fn as_caddy_calls() {
        let query = SYNC.split_once('?').unwrap().1;
        let request = read(
            &format!("/gate/http?{query}"),
            &[
                ("X-Forwarded-Method", "POST"),
                ("X-Forwarded-Uri", SYNC),
                ("Ms-Asprotocolversion", "14.1"),
                ("X-Client-Cert-Subject", "CN=dev-7f3a,OU=devices,O=Corp"),
                ALICE,
            ],
        );
        let request = request.unwrap();
        assert_alices_sync(&request);
        assert_eq!(request.keys[1..], ["cert:CN=dev-7f3a,OU=devices,O=Corp"]);
    }

    #[test]
    fn as_envoy_calls() {
        let request = read(
            &format!("/gate/http{SYNC}"),
            &[("ms-asprotocolversion", "14.1"), ALICE],
        );
        assert_alices_sync(&request.unwrap());
        assert_eq!(read("/gate/http/", &[]).unwrap().channel, Channel::Web);
    }

    #[test]
    fn a_web_request() {
        let request = read("/gate/http", &[("X-Original-URI", "/SOGo/"), ALICE]).unwrap();
        assert_eq!(request.channel, Channel::Web);
        assert_eq!(request.keys, Vec::<String>::new());
        assert_eq!(request.eas, None);
    }

    #[test]
    fn certificates_have_one_spelling() {
        // The serial number's spelling is the key's own business (`DeviceKey`).
        let keys = |serial, subject| {
            let headers = [
                ("X-Original-URI", "/"),
                ("X-Client-Cert-Serial", serial),
                ("X-Client-Cert-Subject", subject),
            ];
            let keys = read("/gate/http", &headers).unwrap().keys;
            let keys = keys.iter().map(|key| key.parse().unwrap());
            keys.collect::<Vec<DeviceKey>>()
        };
        let expected = ["cert:0A1B", "cert:CN=dev-7f3a,OU=devices,O=Corp"];
        let expected = expected.map(|key| key.parse::<DeviceKey>().unwrap());
        assert_eq!(keys("0A1B", "CN=dev-7f3a,OU=devices,O=Corp"), expected);
        assert_eq!(keys("0a:1b", "/O=Corp/OU=devices/CN=dev-7f3a"), expected);
        assert_eq!(keys("a1b", "CN=dev-7f3a,OU=devices,O=Corp"), expected);
        assert_eq!(keys("<nil>", ""), []);
        assert_eq!(keys("", "-"), []);
    }

    #[test]
    fn the_authenticated_login_counts_not_the_one_in_the_query() {
        let claimed = SYNC.replace("alice", "bob");
        let request = read("/gate/http", &[("X-Original-URI", &claimed), ALICE]).unwrap();
        assert_eq!(request.person.as_deref(), Some("alice@corp.test"));
        assert_eq!(request.eas.unwrap().user.as_deref(), Some("bob@corp.test"));
        assert_eq!(
            read("/gate/http", &[("X-Original-URI", &claimed)])
                .unwrap()
                .person,
            None
        );
    }

    #[test]
    fn a_client_cannot_have_another_request_judged() {
        let forged = ("X-Original-URI", "/SOGo/");
        for (call, real) in [
            ("/gate/http", Some(("X-Forwarded-Uri", SYNC))),
            (&*format!("/gate/http{SYNC}"), None),
        ] {
            let headers: Vec<_> = [forged].into_iter().chain(real).collect();
            assert!(matches!(
                read(call, &headers),
                Err(GateRequestError::Disagree { .. })
            ));
        }
        let twice = [("X-Original-URI", SYNC), forged];
        assert_eq!(
            read("/gate/http", &twice),
            Err(GateRequestError::Twice("x-original-uri"))
        );
        assert!(
            read(
                "/gate/http",
                &[("X-Original-URI", SYNC), ("X-Forwarded-Uri", SYNC)]
            )
            .is_ok()
        );
    }

    #[test]
    fn options_has_no_command() {
        let headers = [
            ("X-Original-URI", SYNC),
            ("X-Original-Method", "OPTIONS"),
            ("MS-ASProtocolVersion", "14.1"),
        ];
        let eas = read("/gate/http", &headers).unwrap().eas.unwrap();
        assert_eq!(
            (eas.command, eas.device_id.as_deref()),
            (None, Some("DEV7F3A"))
        );
    }

    #[test]
    fn a_call_without_an_original_request_says_what_is_missing() {
        let error = read("/gate/http?x=1", &[ALICE]).unwrap_err().to_string();
        assert!(
            error.contains("X-Original-URI") && error.contains("/gate/http"),
            "{error}"
        );
        assert!(matches!(
            read("/gate/httpX/y", &[]),
            Err(GateRequestError::NoOriginal { .. })
        ));
    }

    proptest! {
        #[test]
        fn any_call_is_read_or_refused(call in ".*", values in proptest::collection::vec("[ -~\u{80}-\u{ff}]*", 6)) {
            let names = ["X-Original-URI", "X-Forwarded-Uri", "X-Remote-User", "Authorization",
                "X-Client-Cert-Serial", "X-Client-Cert-Subject"];
            let pairs: Vec<_> = names.into_iter().zip(values.iter().map(String::as_str)).collect();
            let _ = read(&call, &pairs);
            let _ = read("/gate/http", &pairs[..1]);
        }
    }

    /// Every captured call must be read as it was understood when it was captured.
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
            if capture["kind"] != "authz" {
                continue;
            }
            let pairs: Vec<(&str, &str)> = capture["headers"]
                .as_array()
                .unwrap()
                .iter()
                .map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap()))
                .collect();
            let call = capture["path"]
                .as_str()
                .unwrap()
                .replacen("/authz", "/gate/http", 1);
            let request = read(&call, &pairs).unwrap();
            let device = match &capture["eas"] {
                // Captures of other proxies than nginx were kept without a reading of their own.
                serde_json::Value::Null => continue,
                eas => eas["DeviceId_ascii"].as_str().or(eas["DeviceId"].as_str()),
            };
            let expected: Vec<_> = device.map(|id| format!("eas:{id}")).into_iter().collect();
            assert_eq!(request.keys, expected, "{line}");
        }
    }
}
