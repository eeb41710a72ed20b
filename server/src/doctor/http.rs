//! One request over one connection, nothing followed and nothing repeated: what the doctor sees is what
//! answered first.

use std::path::Path;
use std::sync::Arc;

use axum::http::{HeaderMap, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::PATIENCE;
use crate::listen::Stream;
use crate::trust;

const LONGEST: usize = 256 * 1024;

/// Schemes, and their usual ports.
const PORTS: [(&str, u16); 8] = [
    ("http", 80),
    ("https", 443),
    ("imap", 143),
    ("imaps", 993),
    ("pop3", 110),
    ("pop3s", 995),
    ("smtp", 587),
    ("smtps", 465),
];

/// Where a server is.
#[derive(Clone, Debug)]
pub struct Server {
    encrypted: bool,
    host: String,
    port: u16,
    authority: String,
    pub scheme: String,
    /// Without a slash at its end.
    pub path: String,
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Reply {
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .unwrap_or("")
    }
}

impl Server {
    pub fn of(url: &str) -> Result<Server, String> {
        let uri: Uri = url.parse().map_err(|_| "it is no URL".to_owned())?;
        let authority = uri.authority().ok_or("it has no host")?;
        let scheme = uri.scheme_str().unwrap_or_default().to_owned();
        let (_, usual) = PORTS
            .iter()
            .find(|(known, _)| *known == scheme)
            .ok_or("its kind is not known")?;
        let encrypted = scheme.ends_with('s');
        Ok(Server {
            encrypted,
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(*usual),
            authority: authority.to_string(),
            scheme,
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// `path` comes with its query.
    pub async fn ask(
        &self,
        ca_file: Option<&Path>,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Reply, String> {
        let asked = timeout(
            PATIENCE,
            self.exchange(ca_file, method, path, headers, body),
        );
        let late = |_| Err(format!("no answer within {PATIENCE:?}"));
        asked.await.unwrap_or_else(late)
    }

    async fn exchange(
        &self,
        ca_file: Option<&Path>,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Reply, String> {
        let stream = self.connect(ca_file).await?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|e| format!("no HTTP: {e}"))?;
        // Ends with this call.
        let mut tasks = JoinSet::new();
        tasks.spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.authority)
            .header(
                "user-agent",
                concat!("countermand-doctor/", env!("CARGO_PKG_VERSION")),
            )
            .header("connection", "close");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned())));
        let request = request.map_err(|e| e.to_string())?;
        let response = sender.send_request(request).await;
        let response = response.map_err(|e| format!("no HTTP answer: {e}"))?;
        let (head, body) = response.into_parts();
        // What is cut off is not what is looked for.
        let body = Limited::new(body, LONGEST).collect().await;
        let body = body.map_or_else(|_| Bytes::new(), |all| all.to_bytes());
        Ok(Reply {
            status: head.status.as_u16(),
            headers: head.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }

    /// A connection, encrypted if its scheme says so.
    pub async fn connect(&self, ca_file: Option<&Path>) -> Result<Box<dyn Stream>, String> {
        let tls = match self.encrypted {
            true => Some(trust::client(ca_file).map_err(|what| format!("ca_file: {what}"))?),
            false => None,
        };
        trust::connect(&self.host, self.port, tls.map(Arc::new)).await
    }
}
