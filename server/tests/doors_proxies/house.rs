//! All proxies before one gate and one mail server, and what a phone says to them.

use countermand::gate::wire::wbxml::{self, EasRefusal};

use crate::support::app::SECRET;
use crate::support::gate::{Call, FakeGate};
use crate::support::http::{self, Reply};
use crate::support::in_trouble::{Told, Tried};
use crate::support::pki::{Identity, Pki};
use crate::support::proxies::{Kind, Proxy, ProxyConfig};

/// alice@corp.test with some password.
pub const ALICE: (&str, &str) = ("Authorization", "Basic YWxpY2VAY29ycC50ZXN0OnNlY3JldA==");
pub const FOLDERS: &[u8] = b"\x03\x01\x6a\x00\x00\x07\x56\x52\x03\x30\x00\x01\x01";

/// The proxies that are installed, in front of a mail server that says what it was asked.
pub struct House {
    pub pki: Pki,
    pub mail: FakeGate,
    pub proxies: Vec<Proxy>,
}

impl House {
    /// `None` if no proxy is there.
    pub fn before(gate_port: u16, open_without_verdict: bool) -> Option<House> {
        let pki = Pki::new();
        let mail = FakeGate::start(|call| {
            let body = format!("mail server: {} {}", call.method, call.uri);
            axum::http::Response::new(body.into())
        });
        let config = ProxyConfig {
            gate_port,
            gate_secret: SECRET,
            mail_port: mail.port,
            open_without_verdict,
            pki: &pki,
        };
        let proxies: Vec<_> = Kind::ALL
            .into_iter()
            .filter_map(|kind| Proxy::start(kind, &config))
            .collect();
        (!proxies.is_empty()).then_some(House { pki, mail, proxies })
    }

    /// One request through a proxy.
    pub fn send(&self, proxy: &Proxy, request: &Request<'_>) -> Reply {
        let call = (request.method, request.uri.as_str());
        let (pki, headers, body) = (&self.pki, &request.headers, request.body);
        http::send_under_tls(pki, proxy.port, request.identity, call, headers, body)
    }

    /// What becomes of a phone that synchronises its folders.
    pub fn tells(&self, proxy: &Proxy, device: &str) -> Told {
        let request = folder_sync(device);
        let reply = self.send(proxy, &request);
        let who = format!("{}: {reply:?}", proxy.kind);
        if reply.text().starts_with("mail server: POST ") {
            return Told::In;
        }
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{who}");
        assert_eq!(reply.header("www-authenticate"), None, "{who}");
        if reply.status == 503 {
            assert_eq!(reply.header("retry-after"), Some("120"), "{who}");
            return Told::NoVerdict;
        }
        if !reply.is_whole() {
            return Told::NoVerdict;
        }
        assert_eq!(reply.status, 200, "{who}");
        assert_eq!(EasRefusal::Wbxml(reply.body), request.refusal, "{who}");
        Told::Refused
    }

    /// Each proxy, with the choice that the house was made with.
    pub fn tried(&self, open: bool) -> impl Iterator<Item = Tried<'_>> {
        self.proxies.iter().map(move |proxy| {
            let name = proxy.kind.to_string();
            Tried::new(&name, open, move |device| self.tells(proxy, device))
        })
    }

    /// Whether it is let in. A refusal must be one in the form that belongs to the request, and the mail server
    /// must not have seen it.
    pub fn enters(&self, proxy: &Proxy, request: &Request<'_>) -> bool {
        let before = self.mail.calls().len();
        let reply = self.send(proxy, request);
        let seen: Vec<Call> = self.mail.calls().split_off(before);
        let who = format!(
            "{}: {} {}: {reply:?}",
            proxy.kind, request.method, request.uri
        );
        if !seen.is_empty() {
            assert_eq!(seen.len(), 1, "{who}");
            assert_eq!(seen[0].uri, at_sogo(&request.uri), "{who}");
            assert_eq!(seen[0].body.as_bytes(), request.body, "{who}");
            assert!(reply.text().starts_with("mail server: "), "{who}");
            return true;
        }
        assert_eq!(reply.header("www-authenticate"), None, "{who}");
        assert_eq!(reply.header("x-countermand-show"), None, "{who}");
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{who}");
        match &request.refusal {
            EasRefusal::Wbxml(document) => {
                assert_eq!(reply.status, 200, "{who}");
                assert_eq!(
                    reply.header("content-type"),
                    Some(wbxml::MEDIA_TYPE),
                    "{who}"
                );
                assert_eq!(&reply.body, document, "{who}");
            }
            EasRefusal::Http403 => {
                assert_eq!(reply.status, 403, "{who}");
                assert!(reply.text().contains("R-"), "{who}");
                // The password is not checked yet.
                assert!(!reply.text().contains("TikTok"), "{who}");
            }
        }
        false
    }
}

/// What phones ask for stands elsewhere at SOGo, for which the configurations are made.
fn at_sogo(uri: &str) -> String {
    let prefix = if uri.starts_with("/Microsoft-Server-ActiveSync") {
        "/SOGo"
    } else {
        ""
    };
    format!("{prefix}{uri}")
}

/// What a phone or a browser asks, and the form that a refusal of it must have.
pub struct Request<'a> {
    pub method: &'a str,
    pub uri: String,
    pub headers: Vec<(&'a str, &'a str)>,
    pub body: &'a [u8],
    pub identity: Option<&'a Identity>,
    pub refusal: EasRefusal,
}

/// Alice's phone synchronises its folders in ActiveSync 14.1.
pub fn folder_sync<'a>(device: &str) -> Request<'a> {
    command("FolderSync", device, "14.1", (14, 1))
}

/// A command in the plain form.
pub fn command<'a>(name: &str, device: &str, version: &'a str, protocol: (u8, u8)) -> Request<'a> {
    Request {
        method: "POST",
        uri: format!(
            "/Microsoft-Server-ActiveSync?Cmd={name}&User=alice%40corp.test&DeviceId={device}&DeviceType=iPhone"
        ),
        headers: vec![
            ALICE,
            ("MS-ASProtocolVersion", version),
            ("Content-Type", wbxml::MEDIA_TYPE),
        ],
        body: FOLDERS,
        identity: None,
        refusal: wbxml::refusal(name, Some(protocol)),
    }
}

/// A command in the base64 form, which names neither user nor version elsewhere.
pub fn compact<'a>(code: u8, name: &str, device: &[u8], protocol: (u8, u8)) -> Request<'a> {
    use base64::Engine as _;
    let mut bytes = vec![protocol.0 * 10 + protocol.1, code, 0x09, 0x04];
    bytes.push(u8::try_from(device.len()).unwrap());
    bytes.extend_from_slice(device);
    bytes.extend(b"\x04\0\0\0\0\x06iPhone");
    let query = base64::engine::general_purpose::STANDARD.encode(bytes);
    Request {
        method: "POST",
        uri: format!("/Microsoft-Server-ActiveSync?{query}"),
        headers: vec![ALICE, ("Content-Type", wbxml::MEDIA_TYPE)],
        body: FOLDERS,
        identity: None,
        refusal: wbxml::refusal(name, Some(protocol)),
    }
}

pub fn options<'a>() -> Request<'a> {
    Request {
        method: "OPTIONS",
        uri: "/Microsoft-Server-ActiveSync".to_owned(),
        headers: vec![ALICE],
        body: b"",
        identity: None,
        refusal: EasRefusal::Http403,
    }
}

pub fn browse<'a>(headers: &[(&'a str, &'a str)]) -> Request<'a> {
    Request {
        method: "GET",
        uri: "/SOGo/so/alice?theme=a%20b".to_owned(),
        headers: headers.to_vec(),
        body: b"",
        identity: None,
        refusal: EasRefusal::Http403,
    }
}
