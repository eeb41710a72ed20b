//! Requests to the main server, over one connection as long as that lasts.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::config::{FollowConfig, MainServer};
use crate::trust;

/// For a connection, and for the beginning of an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// For the whole of a view.
const LONGEST: Duration = Duration::from_secs(300);
/// A view of a million devices stays well below.
const LARGEST: usize = 2 * 1024 * 1024 * 1024;

/// Why there is no answer, for the log. It names no person.
#[derive(Debug, thiserror::Error)]
#[error("the main server at {at}: {what}")]
pub struct CallError {
    at: String,
    what: String,
}

pub struct Caller {
    main: MainServer,
    tls: Option<Arc<ClientConfig>>,
    secret: String,
    open: Option<Open>,
}

struct Open {
    sender: SendRequest<Full<Bytes>>,
    /// Ends with this value.
    _connection: JoinSet<()>,
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caller")
            .field("main", &self.main)
            .finish_non_exhaustive()
    }
}

/// What came back.
pub(super) struct Reply {
    pub status: u16,
    pub media_type: String,
    /// How old the main server's own view was, if it said so.
    pub age: Option<Duration>,
    pub body: Bytes,
}

impl Caller {
    pub fn new(config: &FollowConfig) -> Result<Caller, String> {
        let main = config.main_server()?;
        let tls = match main.encrypted {
            true => Some(Arc::new(trust::client(config.ca_file.as_deref())?)),
            false => None,
        };
        Ok(Caller {
            main,
            tls,
            secret: config.secret.clone(),
            open: None,
        })
    }

    pub(super) fn error(&self, what: impl Into<String>) -> CallError {
        CallError {
            at: self.main.authority.clone(),
            what: what.into(),
        }
    }

    pub(super) async fn call(
        &mut self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Reply, CallError> {
        let mut open = match self.open.take() {
            Some(open) if !open.sender.is_closed() => open,
            _ => self.connect().await?,
        };
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.main.prefix))
            .header("host", &self.main.authority)
            .header("authorization", format!("Bearer {}", self.secret))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)));
        // Not the error's own words: they may show the secret.
        let request = request
            .map_err(|_| self.error("the secret has a character that no header can hold"))?;
        let asked = timeout(PATIENCE, async {
            open.sender.ready().await?;
            open.sender.send_request(request).await
        });
        let asked = asked.await.map_err(|_| self.error("no answer in time"))?;
        let response = asked.map_err(|error| self.error(error.to_string()))?;
        let header = |name: &str| {
            let value = response.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        let age = header("x-countermand-view-age").and_then(|age| age.parse::<f64>().ok());
        let age = age.and_then(|age| Duration::try_from_secs_f64(age).ok());
        let media_type = header("content-type").unwrap_or_default();
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), LARGEST).collect();
        let body = timeout(LONGEST, body).await;
        let body = body.map_err(|_| self.error("the answer did not end in time"))?;
        let body = body.map_err(|error| self.error(format!("the answer was cut off: {error}")))?;
        self.open = Some(open);
        Ok(Reply {
            status,
            media_type,
            age,
            body: body.to_bytes(),
        })
    }

    async fn connect(&self) -> Result<Open, CallError> {
        let main = &self.main;
        let stream = trust::connect(&main.host, main.port, self.tls.clone());
        let connected = timeout(PATIENCE, stream).await;
        let connected = connected.map_err(|_| self.error("no connection in time"))?;
        let stream = connected.map_err(|what| self.error(what))?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.error(error.to_string()))?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let _ = connection.await;
        });
        Ok(Open {
            sender,
            _connection: tasks,
        })
    }
}
