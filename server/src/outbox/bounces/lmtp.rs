//! A small LMTP server (RFC 2033) for the mail server on this machine to hand bounces to.
//!
//! It answers 250 once what follows from a mail is on disk; before that the mail server still has it.
//! Everything is limited: line, mail, recipients, commands, connections and patience.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{Intake, LARGEST, Mail};
use crate::listen::{Listener, Stream};

const CONNECTIONS: usize = 16;
/// RFC 5321, 4.5.3.1.4 asks for 512; some extensions need more.
const LONGEST_LINE: u64 = 2048;
const RECIPIENTS: usize = 100;
/// Of one connection; a mail server opens another.
const COMMANDS: usize = 10_000;
const MISTAKES: usize = 20;
const PATIENCE: Duration = Duration::from_secs(120);
/// A mail that goes on and on is cut off; what is merely too large is heard out and refused.
const LONGEST_HEARD: usize = 64 * LARGEST;

/// Hears everybody, for ever.
pub async fn serve(listener: Listener, intake: Arc<impl Intake>) {
    let free = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let mut stream = match listener.accept().await {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection with bounces was lost");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (free, intake) = (Arc::clone(&free), Arc::clone(&intake));
        tokio::spawn(async move {
            let Ok(_one) = free.try_acquire() else {
                let busy = stream.write_all(b"421 4.7.0 too many connections; come again\r\n");
                let _ = timeout(PATIENCE, busy).await;
                return;
            };
            if let Err(error) = converse(stream, &*intake).await {
                tracing::debug!(%error, "a connection with bounces ended");
            }
        });
    }
}

/// One connection, to its end.
pub async fn converse(stream: Box<dyn Stream>, intake: &impl Intake) -> io::Result<()> {
    let mut dialogue = Dialogue {
        stream: BufReader::new(stream),
        greeted: false,
        sender: false,
        to: Vec::new(),
    };
    dialogue.run(intake).await
}

struct Dialogue {
    stream: BufReader<Box<dyn Stream>>,
    greeted: bool,
    sender: bool,
    to: Vec<String>,
}

impl Dialogue {
    async fn run(&mut self, intake: &impl Intake) -> io::Result<()> {
        self.say("220 countermand LMTP, for bounces").await?;
        let mut mistakes = 0;
        for _ in 0..COMMANDS {
            let Some(line) = self.line().await? else {
                return Ok(());
            };
            let verb = line.split([' ', ':']).next().unwrap_or_default();
            let fine = match verb.to_ascii_uppercase().as_str() {
                "LHLO" => {
                    self.forget();
                    self.greeted = true;
                    self.say(&format!(
                        "250-countermand\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE {LARGEST}"
                    ))
                    .await?;
                    true
                }
                "MAIL" if self.greeted && !self.sender => self.mail(&line).await?,
                "RCPT" if self.sender => self.recipient(&line).await?,
                "DATA" if !self.to.is_empty() => {
                    self.say("354 go on").await?;
                    self.data(intake).await?;
                    true
                }
                "RSET" => {
                    self.forget();
                    self.say("250 2.0.0 forgotten").await?;
                    true
                }
                "NOOP" => {
                    self.say("250 2.0.0 fine").await?;
                    true
                }
                "QUIT" => return self.say("221 2.0.0 bye").await,
                "MAIL" | "RCPT" | "DATA" => {
                    self.say("503 5.5.1 not now; expected LHLO, MAIL, RCPT, DATA in this order")
                        .await?;
                    false
                }
                _ => {
                    self.say("500 5.5.2 expected LHLO, MAIL, RCPT, DATA, RSET, NOOP or QUIT")
                        .await?;
                    false
                }
            };
            mistakes += usize::from(!fine);
            if mistakes >= MISTAKES {
                return self.say("421 4.7.0 too many mistakes").await;
            }
        }
        self.say("421 4.7.0 enough for one connection").await
    }

    fn forget(&mut self) {
        self.sender = false;
        self.to.clear();
    }

    async fn mail(&mut self, line: &str) -> io::Result<bool> {
        let Some((_, rest)) = path(line, "FROM:") else {
            self.say("501 5.5.4 expected MAIL FROM:<…>").await?;
            return Ok(false);
        };
        let declared = rest.split(' ').find_map(|p| {
            p.to_ascii_uppercase()
                .strip_prefix("SIZE=")?
                .parse::<usize>()
                .ok()
        });
        if declared.is_some_and(|size| size > LARGEST) {
            self.say("552 5.3.4 too large for a bounce").await?;
            return Ok(false);
        }
        self.sender = true;
        self.say("250 2.1.0 fine").await?;
        Ok(true)
    }

    async fn recipient(&mut self, line: &str) -> io::Result<bool> {
        let fine = match path(line, "TO:") {
            Some((address, _)) if self.to.len() < RECIPIENTS && address.contains('@') => {
                self.to.push(address.to_owned());
                self.say("250 2.1.5 fine").await?;
                true
            }
            Some(_) if self.to.len() >= RECIPIENTS => {
                self.say("452 4.5.3 too many recipients").await?;
                false
            }
            _ => {
                self.say("501 5.1.3 expected RCPT TO:<name@domain>").await?;
                false
            }
        };
        Ok(fine)
    }

    async fn data(&mut self, intake: &impl Intake) -> io::Result<()> {
        let body = self.body().await?;
        let to = std::mem::take(&mut self.to);
        self.sender = false;
        let answer = match body {
            None => "552 5.3.4 too large for a bounce".to_owned(),
            Some(bytes) => {
                let mails = vec![Mail {
                    to: to.clone(),
                    bytes,
                }];
                match intake.take(mails).await {
                    Ok(()) => "250 2.0.0 read".to_owned(),
                    Err(error) => {
                        tracing::warn!("a bounce could not be written down: {error}");
                        "451 4.3.0 not written down; try again".to_owned()
                    }
                }
            }
        };
        // RFC 2033, 4.2: one answer for each recipient.
        let answers = vec![answer; to.len()].join("\r\n");
        self.say(&answers).await
    }

    /// A mail up to its final dot; `None` if it is too large.
    async fn body(&mut self) -> io::Result<Option<Vec<u8>>> {
        let (mut body, mut heard) = (Vec::new(), 0);
        let (mut fits, mut at_start) = (true, true);
        loop {
            let mut piece = Vec::new();
            let mut limited = (&mut self.stream).take(LONGEST_LINE);
            let read = timeout(PATIENCE, limited.read_until(b'\n', &mut piece));
            if read.await.map_err(|_| io::ErrorKind::TimedOut)?? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            heard += piece.len();
            if heard > LONGEST_HEARD {
                return Err(io::Error::other("a mail without an end"));
            }
            // Only whole line ends count, or text in a mail could pass for its end.
            if at_start && piece == b".\r\n" {
                return Ok(fits.then_some(body));
            }
            let stuffed = at_start && piece.starts_with(b".");
            at_start = piece.ends_with(b"\r\n");
            fits &= body.len() + piece.len() <= LARGEST;
            if fits {
                body.extend_from_slice(&piece[usize::from(stuffed)..]);
            }
        }
    }

    async fn line(&mut self) -> io::Result<Option<String>> {
        let mut bytes = Vec::new();
        let mut limited = (&mut self.stream).take(LONGEST_LINE);
        let read = timeout(PATIENCE, limited.read_until(b'\n', &mut bytes));
        match read.await {
            Err(_) => {
                self.say("421 4.4.2 waited long enough").await?;
                return Ok(None);
            }
            Ok(read) => {
                if read? == 0 {
                    return Ok(None);
                }
            }
        }
        if !bytes.ends_with(b"\n") {
            self.say("500 5.5.2 the line is too long").await?;
            return Ok(None);
        }
        Ok(Some(String::from_utf8_lossy(&bytes).trim().to_owned()))
    }

    async fn say(&mut self, answer: &str) -> io::Result<()> {
        let all = async {
            self.stream
                .write_all(format!("{answer}\r\n").as_bytes())
                .await?;
            self.stream.flush().await
        };
        timeout(PATIENCE, all)
            .await
            .map_err(|_| io::ErrorKind::TimedOut)?
    }
}

/// `MAIL FROM:<address> PARAMETERS`: the address, and the parameters.
fn path<'a>(line: &'a str, before: &str) -> Option<(&'a str, &'a str)> {
    let (_, rest) = line.split_once(' ')?;
    let rest = rest.trim_start();
    let head = rest.get(..before.len())?;
    let inner = rest.get(before.len()..)?.trim_start().strip_prefix('<')?;
    let (address, parameters) = inner.split_once('>')?;
    head.eq_ignore_ascii_case(before)
        .then_some((address, parameters))
}
