//! A server for tests that is every chat platform at once, as their public pages describe them, records
//! what reached it, and fails as told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

/// A request that came whole.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Asked {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The body as one text.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

/// What to do with a request.
#[derive(Clone, Debug)]
pub enum Play {
    /// As the platform would.
    Take,
    /// Another status, with headers and a body.
    Answer(u16, Vec<(&'static str, String)>, &'static str),
    /// Take it, and hang up without an answer.
    Drop,
    /// Take it, and never answer.
    Stall,
}

type Script = Box<dyn Fn(&Asked, usize) -> Play + Send + Sync>;

#[derive(Default)]
struct Log {
    asked: Vec<Asked>,
    /// Matrix: events by transaction.
    events: BTreeMap<String, String>,
    messages: i64,
}

struct Shared {
    log: Mutex<Log>,
    came: Notify,
    script: Script,
    tls: Option<TlsAcceptor>,
}

/// Runs until the test's runtime ends.
pub struct Webhook {
    pub port: u16,
    shared: Arc<Shared>,
}

impl Webhook {
    pub async fn start() -> Webhook {
        Webhook::scripted(|_, _| Play::Take).await
    }

    /// `script` is asked of each request, and of how many came to its path before.
    pub async fn scripted(
        script: impl Fn(&Asked, usize) -> Play + Send + Sync + 'static,
    ) -> Webhook {
        Webhook::with(Box::new(script), None).await
    }

    /// Encrypted; and a file by which to trust it, in `folder`.
    pub async fn encrypted(folder: &Path) -> (Webhook, PathBuf) {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".into()]).unwrap();
        let file = folder.join("ca.pem");
        std::fs::write(&file, made.cert.pem()).unwrap();
        let key = made.signing_key.serialize_der();
        let key = rustls::pki_types::PrivateKeyDer::try_from(key).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let tls = TlsAcceptor::from(Arc::new(tls));
        (
            Webhook::with(Box::new(|_, _| Play::Take), Some(tls)).await,
            file,
        )
    }

    async fn with(script: Script, tls: Option<TlsAcceptor>) -> Webhook {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            log: Mutex::default(),
            came: Notify::new(),
            script,
            tls,
        });
        let served = Arc::clone(&shared);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let shared = Arc::clone(&served);
                tokio::spawn(async move {
                    match &shared.tls {
                        None => serve(&shared, stream).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(&shared, stream).await;
                            }
                        }
                    }
                });
            }
        });
        Webhook { port, shared }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Everything that came to paths with that beginning.
    pub fn asked(&self, path: &str) -> Vec<Asked> {
        let log = self.shared.log.lock().unwrap();
        let fits = |asked: &&Asked| asked.path.starts_with(path);
        log.asked.iter().filter(fits).cloned().collect()
    }

    /// Waits until so many came there.
    pub async fn wait_for(&self, path: &str, count: usize) {
        loop {
            let came = self.shared.came.notified();
            if self.asked(path).len() >= count {
                return;
            }
            came.await;
        }
    }
}

async fn serve(shared: &Shared, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let Some(asked) = read(&mut stream).await else {
        return;
    };
    let earlier = {
        let mut log = shared.log.lock().unwrap();
        let earlier = log.asked.iter().filter(|a| a.path == asked.path).count();
        log.asked.push(asked.clone());
        earlier
    };
    shared.came.notify_waiters();
    let (status, headers, body) = match (shared.script)(&asked, earlier) {
        Play::Drop => return,
        Play::Stall => {
            // Until the other side gives up.
            let _ = stream.read(&mut [0]).await;
            return;
        }
        Play::Answer(status, headers, body) => (status, headers, body.to_owned()),
        Play::Take => {
            let (status, body) = platform(&mut shared.log.lock().unwrap(), &asked);
            (status, Vec::new(), body)
        }
    };
    let mut answer = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        answer += &format!("{name}: {value}\r\n");
    }
    answer += &format!("\r\n{body}");
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Asked> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        if let Some(asked) = whole(&bytes) {
            return Some(asked);
        }
        match stream.read(&mut chunk).await.unwrap_or(0) {
            0 => return None,
            n => bytes.extend(&chunk[..n]),
        }
    }
}

fn whole(bytes: &[u8]) -> Option<Asked> {
    let head = bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
    let text = String::from_utf8(bytes[..head].to_vec()).unwrap();
    let mut lines = text.split("\r\n");
    let mut line = lines.next()?.split(' ');
    let (method, path) = (line.next()?.to_owned(), line.next()?.to_owned());
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers.get("content-length")?.parse().unwrap();
    let body = bytes[head + 4..].to_vec();
    (body.len() >= length).then_some(Asked {
        method,
        path,
        headers,
        body,
    })
}

/// What each platform answers, after its own description.
fn platform(log: &mut Log, asked: &Asked) -> (u16, String) {
    let path = asked.path.as_str();
    let Ok(body) = serde_json::from_slice::<Value>(&asked.body) else {
        return (400, "invalid_payload".to_owned());
    };
    let is_json = asked.header("content-type") == "application/json";
    let posted = asked.method == "POST" && is_json;
    if path.starts_with("/services/") {
        let has_text = body["text"].as_str().is_some_and(|t| !t.is_empty());
        return match posted && has_text {
            true => (200, "ok".to_owned()),
            false => (400, "no_text".to_owned()),
        };
    }
    if path.starts_with("/workflows/") {
        let card = &body["attachments"][0];
        let fits = body["type"] == "message"
            && card["contentType"] == "application/vnd.microsoft.card.adaptive"
            && card["content"]["type"] == "AdaptiveCard";
        return (if posted && fits { 202 } else { 400 }, String::new());
    }
    if let Some(rest) = path.strip_prefix("/_matrix/client/v3/rooms/") {
        if asked.method != "PUT" || asked.header("authorization") != "Bearer syt_token" {
            return (401, json!({ "errcode": "M_UNKNOWN_TOKEN" }).to_string());
        }
        if body["msgtype"] != "m.text" || !body["body"].is_string() {
            return (400, json!({ "errcode": "M_BAD_JSON" }).to_string());
        }
        let next = format!("$event{}", log.events.len());
        let event = log.events.entry(rest.to_owned()).or_insert(next);
        return (200, json!({ "event_id": event }).to_string());
    }
    if path.starts_with("/bot") {
        let text = body["text"].as_str().unwrap_or_default();
        if !path.ends_with("/sendMessage") || text.encode_utf16().count() > 4096 || !posted {
            return (400, json!({ "ok": false, "error_code": 400 }).to_string());
        }
        log.messages += 1;
        let result = json!({ "message_id": 1000 + log.messages, "text": text });
        return (200, json!({ "ok": true, "result": result }).to_string());
    }
    (if posted { 200 } else { 405 }, String::new())
}
