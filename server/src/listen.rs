//! Where programs of this machine are heard that have no secret to show: a loopback port, or a Unix
//! socket, whose permissions say who may use it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};

/// A place to listen at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Listen {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Listen {
    /// `127.0.0.1:PORT`, or `unix:PATH` from the data directory on.
    pub fn parse(text: &str, data: &Path) -> Result<Listen, String> {
        if let Some(path) = text.strip_prefix("unix:").filter(|path| !path.is_empty()) {
            return Ok(Listen::Unix(data.join(path)));
        }
        match text.parse::<SocketAddr>() {
            Ok(address) if address.ip().is_loopback() && address.port() > 0 => {
                Ok(Listen::Tcp(address))
            }
            _ => Err(format!(
                "«{text}»: expected a loopback address with its port, such as \"127.0.0.1:2424\", or \"unix:PATH\"; nothing but where it is keeps strangers away"
            )),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Tcp(address) => address.fmt(f),
            Listen::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Who may use a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admit {
    /// Its owner and group.
    Group,
    /// All users of this machine, as at a loopback port. The folder can say more.
    Everyone,
}

/// What is heard and said, whatever carries it.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

#[derive(Debug)]
pub enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    pub async fn bind(listen: &Listen, admit: Admit) -> io::Result<Listener> {
        match listen {
            Listen::Tcp(address) => Ok(Listener::Tcp(TcpListener::bind(address).await?)),
            Listen::Unix(path) => {
                clear(path).await?;
                let listener = UnixListener::bind(path)?;
                let mode = match admit {
                    Admit::Group => 0o660,
                    Admit::Everyone => 0o666,
                };
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
                Ok(Listener::Unix(listener))
            }
        }
    }

    /// Of a TCP port: which.
    pub fn port(&self) -> Option<u16> {
        match self {
            Listener::Tcp(tcp) => Some(tcp.local_addr().ok()?.port()),
            Listener::Unix(_) => None,
        }
    }

    pub async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Listener::Tcp(tcp) => {
                let (stream, _) = tcp.accept().await?;
                // Small answers must not wait for more to come.
                let _ = stream.set_nodelay(true);
                Box::new(stream)
            }
            Listener::Unix(unix) => Box::new(unix.accept().await?.0),
        })
    }
}

/// Takes away the socket of a server that is gone: nobody listens there.
async fn clear(path: &Path) -> io::Result<()> {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket());
    if is_socket && UnixStream::connect(path).await.is_err() {
        std::fs::remove_file(path)?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_and_sockets_are_listened_on() {
        let listen = |text: &str| Listen::parse(text, Path::new("data"));
        assert_eq!(
            listen("unix:b.sock"),
            Ok(Listen::Unix("data/b.sock".into()))
        );
        assert!(matches!(listen("127.0.0.1:2424"), Ok(Listen::Tcp(_))));
        assert!(matches!(listen("[::1]:24"), Ok(Listen::Tcp(_))));
        for wrong in ["0.0.0.0:2424", "192.0.2.1:24", "2424", "unix:", "localhost"] {
            assert!(
                listen(wrong).unwrap_err().contains("127.0.0.1:2424"),
                "{wrong}"
            );
        }
    }
}
