//! A dialogue of lines, as mail servers speak.

use std::io;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::PATIENCE;
use crate::listen::{Listen, Stream};

const LONGEST: u64 = 8 * 1024;
const MOST_LINES: usize = 100;

pub struct Lines(BufReader<Box<dyn Stream>>);

impl Lines {
    pub async fn connect(to: &Listen) -> io::Result<Lines> {
        let connect = async {
            Ok(match to {
                Listen::Tcp(address) => {
                    Box::new(TcpStream::connect(address).await?) as Box<dyn Stream>
                }
                Listen::Unix(path) => Box::new(UnixStream::connect(path).await?),
            })
        };
        Ok(Lines::over(within(connect).await?))
    }

    pub fn over(stream: Box<dyn Stream>) -> Lines {
        Lines(BufReader::new(stream))
    }

    pub async fn line(&mut self) -> io::Result<String> {
        let read = async {
            let mut bytes = Vec::new();
            (&mut self.0)
                .take(LONGEST)
                .read_until(b'\n', &mut bytes)
                .await?;
            match bytes.is_empty() {
                true => Err(io::ErrorKind::UnexpectedEof.into()),
                false => Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned()),
            }
        };
        within(read).await
    }

    /// The last line of an answer in the form of SMTP, with its code.
    pub async fn answer(&mut self) -> io::Result<String> {
        for _ in 0..MOST_LINES {
            let line = self.line().await?;
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(line);
            }
        }
        Err(io::Error::other("an answer without an end"))
    }

    pub async fn send(&mut self, text: &str) -> io::Result<()> {
        within(async {
            self.0.get_mut().write_all(text.as_bytes()).await?;
            self.0.get_mut().flush().await
        })
        .await
    }

    pub async fn ask(&mut self, command: &str) -> io::Result<String> {
        self.send(&format!("{command}\r\n")).await?;
        self.answer().await
    }
}

async fn within<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let late = || {
        io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no answer within {PATIENCE:?}"),
        )
    };
    timeout(PATIENCE, work)
        .await
        .unwrap_or_else(|_| Err(late()))
}
