//! What the recording server says to one client.

use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::{Attempt, Begun, Fault, Offer, Recorded, Seen, Setup, Shared};

pub(super) async fn accept(listener: TcpListener, setup: Setup, shared: Arc<Shared>) {
    loop {
        let (tcp, _) = listener.accept().await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let (setup, shared) = (setup.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            let mut connection = 0;
            shared.note(|log| {
                connection = log.connections;
                log.connections += 1;
                log.open += 1;
            });
            // A client that goes away is an everyday thing here.
            let _ = connected(tcp, &setup, Arc::clone(&shared), connection).await;
            shared.note(|log| log.open -= 1);
        });
    }
}

async fn connected(
    tcp: TcpStream,
    setup: &Setup,
    shared: Arc<Shared>,
    connection: usize,
) -> std::io::Result<()> {
    let dialogue = |encrypted| Dialogue {
        setup,
        shared: &shared,
        connection,
        encrypted,
        taken: 0,
        by: String::new(),
    };
    if let Some(acceptor) = &setup.tls {
        let stream = acceptor.accept(tcp).await?;
        shared.note(|log| log.encrypted += 1);
        dialogue(true)
            .run(&mut BufReader::new(stream), true)
            .await?;
        return Ok(());
    }
    let mut plain = BufReader::new(tcp);
    if dialogue(false).run(&mut plain, true).await? == End::StartTls
        && let Some(acceptor) = &setup.starttls
    {
        let stream = acceptor.accept(plain.into_inner()).await?;
        shared.note(|log| log.encrypted += 1);
        dialogue(true)
            .run(&mut BufReader::new(stream), false)
            .await?;
    }
    Ok(())
}

#[derive(PartialEq, Eq)]
enum End {
    Gone,
    StartTls,
}

/// The transaction that is open.
struct Open {
    ordinal: usize,
    from: String,
    to: Vec<String>,
    fault: Fault,
}

struct Dialogue<'a> {
    setup: &'a Setup,
    shared: &'a Shared,
    connection: usize,
    encrypted: bool,
    /// Messages of this connection that were answered at their dot.
    taken: usize,
    /// As the client greeted.
    by: String,
}

impl Dialogue<'_> {
    async fn run<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut BufReader<S>,
        greet: bool,
    ) -> std::io::Result<End> {
        if greet {
            say(stream, self.setup.greeting).await?;
        }
        let mut open: Option<Open> = None;
        let mut trusted = self.setup.login.is_none();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(End::Gone);
            }
            if !line.ends_with("\r\n") {
                self.violation(format!("a command without CR LF: {line:?}"));
            }
            let line = line.trim_end();
            let verb = line
                .split(' ')
                .next()
                .unwrap_or_default()
                .to_ascii_uppercase();
            let may_be_followed =
                self.setup.pipelining && matches!(verb.as_str(), "MAIL" | "RCPT" | "RSET");
            if !may_be_followed && !stream.buffer().is_empty() {
                self.violation(format!("{verb} was followed before its answer"));
            }
            match verb.as_str() {
                "EHLO" | "HELO" => {
                    self.shared.note(|log| log.hellos.push(line.to_owned()));
                    self.by = line.split(' ').nth(1).unwrap_or_default().to_owned();
                    if verb == "HELO" {
                        say(stream, "250 recorder.test").await?;
                    } else if self.setup.ehlo {
                        self.say_extensions(stream).await?;
                    } else {
                        say(stream, "502 5.5.1 no such command").await?;
                    }
                }
                "STARTTLS" => {
                    say(stream, "220 go on").await?;
                    return Ok(End::StartTls);
                }
                "AUTH" => {
                    trusted = self.knows(line);
                    say(
                        stream,
                        if trusted {
                            "235 2.7.0 welcome"
                        } else {
                            "535 5.7.8 no"
                        },
                    )
                    .await?;
                }
                "MAIL" if !trusted => say(stream, "530 5.7.0 log in first").await?,
                "MAIL" if open.is_some() => {
                    self.violation("MAIL within a transaction".into());
                    say(stream, "503 5.5.1 nested MAIL").await?;
                }
                "MAIL" => {
                    let mut ordinal = 0;
                    self.shared.note(|log| {
                        ordinal = log.offers;
                        log.offers += 1;
                    });
                    match (self.setup.script)(Offer { ordinal, to: "" }) {
                        Fault::Closing => {
                            say(stream, "421 4.3.2 closing").await?;
                            return farewell(stream).await.map(|()| End::Gone);
                        }
                        Fault::Mail(code) => say(stream, &format!("{code} sender refused")).await?,
                        fault => {
                            open = Some(Open {
                                ordinal,
                                from: path(line),
                                to: vec![],
                                fault,
                            });
                            say(stream, "250 2.1.0 ok").await?;
                        }
                    }
                }
                "RCPT" => match &mut open {
                    Some(open) => {
                        let to = path(line);
                        self.saw(Seen::Rcpt);
                        open.fault = (self.setup.script)(Offer {
                            ordinal: open.ordinal,
                            to: &to,
                        });
                        match open.fault {
                            Fault::Rcpt(code) | Fault::RcptThen354(code) => {
                                say(stream, &format!("{code}-recipient\r\n{code} refused")).await?;
                            }
                            _ => {
                                open.to.push(to);
                                say(stream, "250 2.1.5 ok").await?;
                            }
                        }
                    }
                    None => say(stream, "503 5.5.1 MAIL first").await?,
                },
                "DATA" => match &open {
                    Some(Open {
                        fault: Fault::DropAtData,
                        ..
                    }) => return Ok(End::Gone),
                    Some(Open {
                        fault: Fault::Data(code),
                        ..
                    }) => say(stream, &format!("{code} no data")).await?,
                    Some(Open {
                        fault: Fault::RcptThen354(_),
                        ..
                    }) => {
                        say(stream, "354 go on").await?;
                        let mut body = Vec::new();
                        read_body(stream, &mut body, || ()).await?;
                        if !body.is_empty() {
                            self.violation("a body for nobody".into());
                        }
                        open = None;
                        say(stream, "554 5.5.1 no recipients").await?;
                    }
                    Some(Open { to, .. }) if to.is_empty() => {
                        say(stream, "554 5.5.1 no recipients").await?
                    }
                    None => say(stream, "503 5.5.1 MAIL first").await?,
                    Some(_) => {
                        if let Some(open) = open.take()
                            && !self.data(stream, open).await?
                        {
                            return Ok(End::Gone);
                        }
                    }
                },
                "RSET" => {
                    open = None;
                    say(stream, "250 2.0.0 ok").await?;
                }
                "QUIT" => {
                    say(stream, "221 2.0.0 bye").await?;
                    return Ok(End::Gone);
                }
                _ => {
                    self.violation(format!("unknown command {line:?}"));
                    say(stream, "500 5.5.1 what?").await?;
                }
            }
        }
    }

    fn saw(&self, step: Seen) {
        (self.setup.watch)(step, &self.by);
    }

    /// From the 354 to the answer of the dot; false when the connection ends.
    async fn data<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut BufReader<S>,
        open: Open,
    ) -> std::io::Result<bool> {
        self.saw(Seen::Data);
        let mut attempt = 0;
        self.shared.note(|log| {
            let begun = log.tick();
            log.begun.push(Begun {
                ordinal: open.ordinal,
                to: open.to.clone(),
            });
            attempt = log.attempts.len();
            log.attempts.push(Attempt {
                by: self.by.clone(),
                to: open.to.clone(),
                message_id: String::new(),
                begun,
                ended: None,
                received: false,
                answer: None,
                fault: open.fault,
            });
        });
        let goes_on = self.body(stream, open, attempt).await;
        self.shared.note(|log| {
            let now = log.tick();
            log.attempts[attempt].ended.get_or_insert(now);
        });
        goes_on
    }

    async fn body<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut BufReader<S>,
        open: Open,
        attempt: usize,
    ) -> std::io::Result<bool> {
        say(stream, "354 go on").await?;
        if open.fault == Fault::DropInBody {
            let mut bytes = Vec::new();
            while message_id(&bytes).is_empty() && stream.read_until(b'\n', &mut bytes).await? > 0 {
            }
            self.shared
                .note(|log| log.attempts[attempt].message_id = message_id(&bytes));
            return Ok(false);
        }
        let mut bytes = Vec::new();
        let read = read_body(stream, &mut bytes, || self.saw(Seen::Body)).await;
        self.shared.note(|log| {
            log.attempts[attempt].message_id = message_id(&bytes);
            log.attempts[attempt].received = read.is_ok();
        });
        read?;
        self.saw(Seen::Dot);
        let answer = match open.fault {
            Fault::DropAfterDot | Fault::StallAfterDot | Fault::NonsenseAfterDot => None,
            Fault::Dot(code) => Some(code),
            _ => Some(250),
        };
        let ordinal = open.ordinal;
        let recorded = Recorded {
            ordinal,
            connection: self.connection,
            from: open.from,
            to: open.to,
            message_id: message_id(&bytes),
            bytes,
            answer,
        };
        if let Fault::AcceptAfter(wait) = open.fault {
            tokio::time::sleep(std::time::Duration::from_millis(wait)).await;
        }
        self.shared.note(|log| {
            log.messages.push(recorded);
            if answer.is_some() {
                // Before the client can hear of it.
                let now = log.tick();
                log.attempts[attempt].answer = answer;
                log.attempts[attempt].ended = Some(now);
            }
        });
        match (answer, open.fault) {
            (Some(250), _) => say(stream, &format!("250 2.0.0 queued as R{ordinal}")).await?,
            (Some(code), _) => say(stream, &format!("{code} refused after the dot")).await?,
            (None, Fault::StallAfterDot) => {
                while stream.read_until(b'\n', &mut Vec::new()).await? > 0 {}
                return Ok(false);
            }
            (None, Fault::NonsenseAfterDot) => {
                say(stream, "hello?").await?;
                return farewell(stream).await.map(|()| false);
            }
            (None, _) => return Ok(false),
        }
        self.saw(Seen::Answered);
        self.taken += 1;
        if self.setup.per_connection == Some(self.taken) {
            say(stream, "421 4.7.0 enough for one connection").await?;
            return farewell(stream).await.map(|()| false);
        }
        if answer == Some(421) {
            return farewell(stream).await.map(|()| false);
        }
        Ok(true)
    }

    async fn say_extensions<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut BufReader<S>,
    ) -> std::io::Result<()> {
        let mut lines = vec!["recorder.test"];
        lines.extend(self.setup.pipelining.then_some("PIPELINING"));
        lines.extend((self.setup.starttls.is_some() && !self.encrypted).then_some("STARTTLS"));
        lines.extend(self.setup.login.is_some().then_some("AUTH LOGIN PLAIN"));
        lines.extend(&self.setup.extensions);
        let (last, others) = lines.split_last().unwrap();
        let mut text: String = others
            .iter()
            .map(|line| format!("250-{line}\r\n"))
            .collect();
        text.push_str(&format!("250 {last}"));
        say(stream, &text).await
    }

    fn knows(&self, line: &str) -> bool {
        use base64::Engine as _;
        let Some((user, password)) = &self.setup.login else {
            return false;
        };
        let expected =
            base64::engine::general_purpose::STANDARD.encode(format!("\0{user}\0{password}"));
        line == format!("AUTH PLAIN {expected}")
    }

    fn violation(&self, what: String) {
        self.shared.note(|log| log.violations.push(what));
    }
}

async fn say<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufReader<S>,
    line: &str,
) -> std::io::Result<()> {
    stream.write_all(format!("{line}\r\n").as_bytes()).await?;
    stream.flush().await
}

/// Closes our half and reads on until the client closes its own. Without that,
/// commands that it pipelined make the kernel reset the connection, and answers
/// given already may never reach it.
async fn farewell<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufReader<S>,
) -> std::io::Result<()> {
    stream.shutdown().await?;
    while stream.read_until(b'\n', &mut Vec::new()).await? > 0 {}
    Ok(())
}

/// Up to the lone dot, dot-stuffing undone. What came before an error is there too.
async fn read_body<S: AsyncRead + Unpin>(
    stream: &mut BufReader<S>,
    bytes: &mut Vec<u8>,
    begins: impl Fn(),
) -> std::io::Result<()> {
    loop {
        let is_first = bytes.is_empty();
        let mut line = Vec::new();
        if stream.read_until(b'\n', &mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line == b".\r\n" {
            return Ok(());
        }
        if is_first {
            begins();
        }
        bytes.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}

fn path(line: &str) -> String {
    let path = line
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'));
    path.map(|(path, _)| path.to_owned()).unwrap_or_default()
}

fn message_id(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let head = text.lines().take_while(|line| !line.is_empty());
    head.filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("message-id"))
        .map(|(_, value)| value.trim().to_owned())
        .unwrap_or_default()
}
