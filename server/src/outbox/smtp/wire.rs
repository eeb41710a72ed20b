//! Bytes to and from the relay, each step within its time.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::reply::{self, Reply};

/// For one command's answer, and for each piece of a body to be taken.
pub(super) const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);

/// Plain or encrypted, the same to all above.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    async fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.read_buf(buffer).await,
            Stream::Tls(stream) => stream.read_buf(buffer).await,
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.write(bytes).await,
            Stream::Tls(stream) => stream.write(bytes).await,
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(stream) => stream.flush().await,
            Stream::Tls(stream) => stream.flush().await,
        }
    }
}

/// Why nothing more comes or goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lost {
    TimedOut(Duration),
    Closed,
    Failed(String),
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Lost::TimedOut(time) => write!(f, "no answer within {} s", time.as_secs_f32()),
            Lost::Closed => f.write_str("the relay closed the connection"),
            Lost::Failed(what) => f.write_str(what),
        }
    }
}

/// A body that could not be sent to its end.
#[derive(Debug)]
pub(super) struct BodyCut {
    pub(super) dot_may_have_left: bool,
    pub(super) why: Lost,
}

/// A connection and what was read of it too early.
#[derive(Debug)]
pub(super) struct Wire {
    stream: Stream,
    inbox: Vec<u8>,
}

impl Wire {
    pub(super) fn new(stream: Stream) -> Self {
        Wire {
            stream,
            inbox: Vec::new(),
        }
    }

    /// The bare connection, for a TLS handshake. An answer that came in plain
    /// text after the one to STARTTLS was put there by somebody in between, to be
    /// taken for an encrypted one: `None`.
    pub(super) fn into_plain(self) -> Option<TcpStream> {
        match self.stream {
            Stream::Plain(stream) if self.inbox.is_empty() => Some(stream),
            _ => None,
        }
    }

    /// Sends commands. Refuses when an answer is here that nobody asked for: all
    /// later answers would be read one off, and a refusal taken for acceptance.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), Lost> {
        if !self.inbox.is_empty() {
            return Err(match reply::take(&mut self.inbox) {
                Ok(Some(stray)) => Lost::Failed(format!("the relay said unasked: {stray}")),
                _ => Lost::Failed("the relay sent something unasked".into()),
            });
        }
        self.write(bytes).await.map_err(|(_, why)| why)
    }

    /// Sends a body, its final dot at `dot`, and commands that may follow.
    pub(super) async fn send_body(&mut self, bytes: &[u8], dot: usize) -> Result<(), BodyCut> {
        let cut = |dot_may_have_left| {
            move |why| BodyCut {
                dot_may_have_left,
                why,
            }
        };
        if !self.inbox.is_empty() {
            return Err(cut(false)(Lost::Failed(
                "the relay sent something unasked".into(),
            )));
        }
        match self.stream {
            // The kernel took exactly what it says that it took.
            Stream::Plain(_) => self.write(bytes).await.map_err(|(taken, why)| BodyCut {
                dot_may_have_left: taken > dot,
                why,
            }),
            // TLS may have passed on part of what it then reports as failed, so
            // the dot waits until all before it is out.
            Stream::Tls(_) => {
                let (body, dot_and_more) = bytes.split_at(dot);
                self.write(body).await.map_err(|(_, why)| cut(false)(why))?;
                self.write(dot_and_more)
                    .await
                    .map_err(|(_, why)| cut(true)(why))
            }
        }
    }

    /// On failure also how many bytes were taken before.
    async fn write(&mut self, bytes: &[u8]) -> Result<(), (usize, Lost)> {
        let mut taken = 0;
        while taken < bytes.len() {
            match timeout(COMMAND_TIMEOUT, self.stream.write(&bytes[taken..])).await {
                Ok(Ok(0)) => return Err((taken, Lost::Closed)),
                Ok(Ok(more)) => taken += more,
                Ok(Err(error)) => return Err((taken, Lost::Failed(error.to_string()))),
                Err(_) => return Err((taken, Lost::TimedOut(COMMAND_TIMEOUT))),
            }
        }
        match timeout(COMMAND_TIMEOUT, self.stream.flush()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err((taken, Lost::Failed(error.to_string()))),
            Err(_) => Err((taken, Lost::TimedOut(COMMAND_TIMEOUT))),
        }
    }

    /// The next answer, whole. The time holds for all of it: a relay that sends a
    /// byte now and then does not hold a session for ever.
    pub(super) async fn reply(&mut self, within: Duration) -> Result<Reply, Lost> {
        timeout(within, self.whole_reply())
            .await
            .unwrap_or(Err(Lost::TimedOut(within)))
    }

    async fn whole_reply(&mut self) -> Result<Reply, Lost> {
        loop {
            if let Some(reply) = reply::take(&mut self.inbox).map_err(Lost::Failed)? {
                return Ok(reply);
            }
            match self.stream.read(&mut self.inbox).await {
                Ok(0) => return Err(Lost::Closed),
                Ok(_) => {}
                Err(error) => return Err(Lost::Failed(error.to_string())),
            }
        }
    }
}
