//! The LMTP listener, as a mail server talks to it.

use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;

use countermand::listen::{Admit, Listen, Listener};
use countermand::outbox::bounces::{Intake, LARGEST, Mail, lmtp};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};

use super::intake::{MIA, SAM, stage};
use super::letters::{POSTFIX, VACATION};

/// Keeps what it gets; says no while it is away.
#[derive(Default)]
struct Box_ {
    mails: Mutex<Vec<Mail>>,
    away: std::sync::atomic::AtomicBool,
}

impl Intake for Box_ {
    async fn take(&self, mails: Vec<Mail>) -> Result<(), String> {
        if self.away.load(std::sync::atomic::Ordering::SeqCst) {
            return Err("away".to_owned());
        }
        self.mails.lock().unwrap().extend(mails);
        Ok(())
    }
}

struct Client<S> {
    stream: BufReader<S>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    async fn new(stream: S) -> Self {
        let mut client = Client {
            stream: BufReader::new(stream),
        };
        assert_eq!(client.hear().await, "220");
        client
    }

    /// The code of the next answer.
    async fn hear(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).await.unwrap();
            if line.as_bytes().get(3) != Some(&b'-') {
                return line.chars().take(3).collect();
            }
        }
    }

    async fn say(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n").as_bytes()).await;
        self.hear().await
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).await.unwrap();
    }

    /// The answers to a mail, one for each recipient.
    async fn mail(&mut self, to: &[&str], bytes: &[u8]) -> Vec<String> {
        assert_eq!(self.say("MAIL FROM:<> SIZE=100").await, "250");
        for address in to {
            assert_eq!(self.say(&format!("RCPT TO:<{address}>")).await, "250");
        }
        assert_eq!(self.say("DATA").await, "354");
        self.send(bytes).await;
        self.send(b"\r\n.\r\n").await;
        let mut answers = Vec::new();
        for _ in to {
            answers.push(self.hear().await);
        }
        answers
    }
}

async fn tcp(intake: Arc<impl Intake>) -> Client<tokio::net::TcpStream> {
    let listen = Listen::Tcp("127.0.0.1:0".parse().unwrap());
    let listener = Listener::bind(&listen, Admit::Everyone).await.unwrap();
    let port = listener.port().unwrap();
    tokio::spawn(lmtp::serve(listener, intake));
    Client::new(
        tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .unwrap(),
    )
    .await
}

#[tokio::test]
async fn a_mail_is_taken_whole_once_for_each_recipient_answered() {
    let intake = Arc::new(Box_::default());
    let mut client = tcp(intake.clone()).await;
    assert_eq!(client.say("LHLO relay").await, "250");
    // A dot behind a line end that is not whole ends nothing: it is part of the mail.
    let body = b"Subject: x\r\n\r\n..dots\r\na\n.\r\nb";
    let answers = client.mail(&["a@corp.test", "b+1@corp.test"], body).await;
    assert_eq!(answers, ["250", "250"]);
    let answers = client.mail(&["c@corp.test"], b"again").await;
    assert_eq!(answers, ["250"]);
    assert_eq!(client.say("QUIT").await, "221");
    let mails = intake.mails.lock().unwrap();
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[0].to, ["a@corp.test", "b+1@corp.test"]);
    assert_eq!(mails[0].bytes, b"Subject: x\r\n\r\n.dots\r\na\n.\r\nb\r\n");
    assert_eq!(mails[1].bytes, b"again\r\n");
}

#[tokio::test]
async fn what_can_not_be_written_down_is_left_with_the_mail_server() {
    let intake = Arc::new(Box_::default());
    let mut client = tcp(intake.clone()).await;
    client.say("LHLO relay").await;
    intake.away.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(
        client.mail(&["a@b.test", "c@d.test"], b"x").await,
        ["451", "451"]
    );
    intake
        .away
        .store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(client.mail(&["a@b.test"], b"x").await, ["250"]);
}

#[tokio::test]
async fn steps_out_of_order_and_what_is_too_large_are_refused() {
    let intake = Arc::new(Box_::default());
    let mut client = tcp(intake.clone()).await;
    for (line, code) in [
        ("MAIL FROM:<>", "503"),
        ("EHLO relay", "500"),
        ("LHLO relay", "250"),
        ("RCPT TO:<a@b.test>", "503"),
        ("MAIL FROM:", "501"),
        ("MAIL FROM:<> SIZE=99999999", "552"),
        ("mail from: <> BODY=8BITMIME SMTPUTF8", "250"),
        ("MAIL FROM:<>", "503"),
        ("DATA", "503"),
        ("RCPT TO:nobody", "501"),
        ("RCPT TO:<nobody>", "501"),
        ("RSET", "250"),
        ("NOOP", "250"),
        ("RCPT TO:<a@b.test>", "503"),
        ("", "500"),
        ("\u{fc}\u{e9}", "500"),
    ] {
        assert_eq!(client.say(line).await, code, "{line}");
    }
    let large = b"0123456789abcde\r\n".repeat(LARGEST / 17 + 1);
    assert_eq!(client.mail(&["a@b.test"], &large).await, ["552"]);
    let whole = vec![b'x'; LARGEST - 2];
    assert_eq!(
        client.mail(&["a@b.test"], &whole).await,
        ["250"],
        "in one long line"
    );
    assert_eq!(client.say("MAIL FROM:<>").await, "250");
    for n in 0..101 {
        let code = client.say(&format!("RCPT TO:<a{n}@b.test>")).await;
        assert_eq!(code, if n < 100 { "250" } else { "452" });
    }
    let long = format!("NOOP {}", "x".repeat(5_000));
    assert_eq!(client.say(&long).await, "500");
    let mut rest = String::new();
    let _ = client.stream.read_line(&mut rest).await;
    assert_eq!(rest, "", "the connection is closed");
}

#[tokio::test]
async fn whoever_errs_too_often_and_whoever_is_one_too_many_is_sent_away() {
    let intake = Arc::new(Box_::default());
    let listener = Listener::bind(
        &Listen::Tcp("127.0.0.1:0".parse().unwrap()),
        Admit::Everyone,
    )
    .await
    .unwrap();
    let port = listener.port().unwrap();
    tokio::spawn(lmtp::serve(listener, intake));
    let connect = async || {
        tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .unwrap()
    };
    let mut all = Vec::new();
    for _ in 0..16 {
        all.push(Client::new(connect().await).await);
    }
    let mut one_more = Client {
        stream: BufReader::new(connect().await),
    };
    assert_eq!(one_more.hear().await, "421");
    for _ in 0..19 {
        assert_eq!(all[0].say("WHAT").await, "500");
    }
    all[0].send(b"WHAT\r\n").await;
    assert_eq!(
        (all[0].hear().await.as_str(), all[0].hear().await.as_str()),
        ("500", "421")
    );
}

#[tokio::test]
async fn a_bounce_over_a_unix_socket_takes_told_back_before_it_is_answered() {
    let stage = stage("verp = true\nlmtp_listen = \"unix:b.sock\"").await;
    let folder = tempfile::tempdir().unwrap();
    let config = &stage.world.app.config.notices.bounces;
    let listen = config.listen(folder.path()).unwrap().unwrap();
    let socket = Path::new(&folder.path().join("b.sock")).to_owned();
    // A server that is gone has left its socket.
    drop(Listener::bind(&listen, Admit::Everyone).await.unwrap());
    assert!(socket.exists());
    let listener = Listener::bind(&listen, Admit::Everyone).await.unwrap();
    let bounces = Arc::new(countermand::app::bounces::Bounces::new(
        stage.world.app.clone(),
    ));
    tokio::spawn(lmtp::serve(listener, bounces));
    let stream = tokio::net::UnixStream::connect(&socket).await.unwrap();
    let mut client = Client::new(stream).await;
    client.say("LHLO relay").await;
    let to = stage.blanks(SAM).bounce;
    let vacation = stage.blanks(SAM).fill(VACATION);
    assert_eq!(client.mail(&[&to], &vacation).await, ["250"]);
    assert!(stage.is_told(SAM));
    // Nothing of the notice is returned: the address it came to says whose it was.
    let mut blanks = stage.blanks(MIA);
    let to = std::mem::replace(&mut blanks.bounce, "postmaster@corp.test".to_owned());
    blanks.mark = String::new();
    blanks.message_id = "x@y".to_owned();
    assert_eq!(client.mail(&[&to], &blanks.fill(POSTFIX)).await, ["250"]);
    assert!(!stage.is_told(MIA) && stage.is_told(SAM));
}
