//! An SMTP server for tests that records what reached it and fails as told.
//!
//! It runs on a thread of its own, so a test needs no runtime, and another
//! process can send to its port. It watches its client too: what RFC 2920
//! forbids ends up in [`Recorder::violations`].
#![allow(dead_code, reason = "each test uses a part of it")]

mod dialogue;

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

/// What to do with one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Accept,
    /// The same, so many milliseconds after the dot.
    AcceptAfter(u64),
    /// Answer MAIL, RCPT, DATA or the final dot with this code, 4xx or 5xx. A
    /// refused MAIL or RCPT gets `554` to its DATA.
    Mail(u16),
    Rcpt(u16),
    Data(u16),
    Dot(u16),
    /// Refuse RCPT and yet answer 354 to DATA.
    RcptThen354(u16),
    /// Answer MAIL by 421 and close.
    Closing,
    /// Close instead of answering DATA.
    DropAtData,
    /// Answer DATA by 354, read the body up to its Message-ID, and close.
    DropInBody,
    /// Read the whole body and its dot, record it, and close without an answer.
    DropAfterDot,
    /// Read and record likewise, and answer nothing until the client hangs up.
    StallAfterDot,
    /// Answer the dot with something that is not SMTP; recorded.
    NonsenseAfterDot,
}

/// A message offered: the script decides by it.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// The how-manieth MAIL of all connections, from 0.
    pub ordinal: usize,
    /// Empty while MAIL is asked about, the recipient at RCPT.
    pub to: &'a str,
}

/// A message received up to and including its final dot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    pub ordinal: usize,
    pub connection: usize,
    pub from: String,
    pub to: Vec<String>,
    /// With its angle brackets; empty if the message has none.
    pub message_id: String,
    /// Without dot-stuffing.
    pub bytes: Vec<u8>,
    /// What the dot was answered with; none when the connection was cut instead.
    pub answer: Option<u16>,
}

/// A DATA that was answered by 354.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    pub ordinal: usize,
    pub to: Vec<String>,
}

/// A DATA that was answered by 354, and what came of it. Moments are counted in what the server did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The name that the client greeted with.
    pub by: String,
    pub to: Vec<String>,
    /// Empty if the connection ended before one came.
    pub message_id: String,
    pub begun: usize,
    /// When it was answered or its connection ended.
    pub ended: Option<usize>,
    /// Up to and including the final dot.
    pub received: bool,
    pub answer: Option<u16>,
    /// What the server did to it.
    pub fault: Fault,
}

/// What the server has just come to, told to who watches before it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// RCPT, and has not answered.
    Rcpt,
    /// DATA, and has not answered.
    Data,
    /// The first line of a body.
    Body,
    /// The dot, and has not answered.
    Dot,
    /// The dot, and has answered.
    Answered,
}

type Watch = Arc<dyn Fn(Seen, &str) + Send + Sync>;
type Script = Arc<dyn Fn(Offer<'_>) -> Fault + Send + Sync>;

/// How the server presents itself.
#[derive(Clone)]
pub struct Setup {
    script: Script,
    watch: Watch,
    pipelining: bool,
    extensions: Vec<&'static str>,
    starttls: Option<TlsAcceptor>,
    tls: Option<TlsAcceptor>,
    login: Option<(String, String)>,
    per_connection: Option<usize>,
    greeting: &'static str,
    ehlo: bool,
}

#[derive(Default)]
struct Log {
    messages: Vec<Recorded>,
    begun: Vec<Begun>,
    attempts: Vec<Attempt>,
    ticks: usize,
    violations: Vec<String>,
    hellos: Vec<String>,
    encrypted: usize,
    offers: usize,
    connections: usize,
    /// Connections that are open.
    open: usize,
}

impl Log {
    fn tick(&mut self) -> usize {
        self.ticks += 1;
        self.ticks
    }
}

#[derive(Default)]
struct Shared {
    log: Mutex<Log>,
    changed: Condvar,
}

impl Shared {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap()
    }

    fn note(&self, write: impl FnOnce(&mut Log)) {
        write(&mut self.log());
        self.changed.notify_all();
    }
}

/// The running server. It ends when dropped.
pub struct Recorder {
    port: u16,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Setup {
    pub fn new() -> Self {
        Setup {
            script: Arc::new(|_| Fault::Accept),
            watch: Arc::new(|_, _| {}),
            pipelining: true,
            extensions: vec!["8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"],
            starttls: None,
            tls: None,
            login: None,
            per_connection: None,
            greeting: "220 recorder.test ESMTP",
            ehlo: true,
        }
    }

    /// Decides about each message: asked at MAIL (without recipient) and at RCPT.
    pub fn script(mut self, script: impl Fn(Offer<'_>) -> Fault + Send + Sync + 'static) -> Self {
        self.script = Arc::new(script);
        self
    }

    /// Is told of each step of each message, and by whom it comes; the server waits meanwhile.
    pub fn watch(mut self, watch: impl Fn(Seen, &str) + Send + Sync + 'static) -> Self {
        self.watch = Arc::new(watch);
        self
    }

    /// One fault per ordinal; messages after the last are accepted.
    pub fn faults(self, faults: &[Fault]) -> Self {
        let faults = faults.to_vec();
        self.script(move |offer| faults.get(offer.ordinal).copied().unwrap_or(Fault::Accept))
    }

    /// Faults by recipient; others are accepted.
    pub fn faults_for(self, faults: BTreeMap<String, Fault>) -> Self {
        self.script(move |offer| faults.get(offer.to).copied().unwrap_or(Fault::Accept))
    }

    pub fn without_pipelining(mut self) -> Self {
        self.pipelining = false;
        self
    }

    pub fn without_ehlo(mut self) -> Self {
        self.ehlo = false;
        self
    }

    /// After so many messages a connection says 421, unasked, and closes.
    pub fn closing_after(mut self, messages: usize) -> Self {
        self.per_connection = Some(messages);
        self
    }

    pub fn greeting(mut self, line: &'static str) -> Self {
        self.greeting = line;
        self
    }

    pub fn starttls(mut self, acceptor: TlsAcceptor) -> Self {
        self.starttls = Some(acceptor);
        self
    }

    pub fn tls(mut self, acceptor: TlsAcceptor) -> Self {
        self.tls = Some(acceptor);
        self
    }

    /// Demands AUTH PLAIN before MAIL.
    pub fn login(mut self, user: &str, password: &str) -> Self {
        self.login = Some((user.into(), password.into()));
        self
    }

    pub fn start(self) -> Recorder {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let (stop, stopped) = oneshot::channel();
        let serving = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    () = dialogue::accept(listener, self, serving) => {}
                    _ = stopped => {}
                }
            });
        });
        Recorder {
            port,
            shared,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Recorder {
    /// One that accepts everything.
    pub fn start() -> Recorder {
        Setup::new().start()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Everything received up to a final dot, whatever it was answered.
    pub fn messages(&self) -> Vec<Recorded> {
        self.shared.log().messages.clone()
    }

    /// Those answered by 250.
    pub fn accepted(&self) -> Vec<Recorded> {
        self.messages()
            .into_iter()
            .filter(|message| message.answer == Some(250))
            .collect()
    }

    /// Every DATA that was answered by 354, whether or not its dot came.
    pub fn begun(&self) -> Vec<Begun> {
        self.shared.log().begun.clone()
    }

    /// The same with what came of each, begun after a moment of [`Recorder::now`]; 0 for all.
    pub fn attempts(&self, since: usize) -> Vec<Attempt> {
        let log = self.shared.log();
        let first = log.attempts.partition_point(|a| a.begun <= since);
        log.attempts[first..].to_vec()
    }

    /// This moment, later than all that was seen before it and earlier than all that comes.
    pub fn now(&self) -> usize {
        self.shared.log().tick()
    }

    /// Blocks until no connection is open.
    pub fn wait_until_alone(&self, at_most: Duration) {
        let log = self.shared.log();
        let waiting = |log: &mut Log| log.open > 0;
        let waited = self
            .shared
            .changed
            .wait_timeout_while(log, at_most, waiting);
        let open = waited.unwrap().0.open;
        assert_eq!(open, 0, "connections that stay open for {at_most:?}");
    }

    /// What the client did that it must not. Empty, if all is well.
    pub fn violations(&self) -> Vec<String> {
        self.shared.log().violations.clone()
    }

    /// The EHLO and HELO lines.
    pub fn hellos(&self) -> Vec<String> {
        self.shared.log().hellos.clone()
    }

    pub fn connections(&self) -> usize {
        self.shared.log().connections
    }

    /// How many connections became encrypted.
    pub fn encrypted(&self) -> usize {
        self.shared.log().encrypted
    }

    /// Blocks until so many messages are recorded; for a client in another
    /// process. The time only bounds a test that would hang.
    pub fn wait_for(&self, messages: usize, at_most: Duration) -> Vec<Recorded> {
        let log = self.shared.log();
        let (log, waited) = self
            .shared
            .changed
            .wait_timeout_while(log, at_most, |log| log.messages.len() < messages)
            .unwrap();
        assert!(
            !waited.timed_out(),
            "{} of {messages} messages came within {at_most:?}",
            log.messages.len()
        );
        log.messages.clone()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
