//! The door for Postfix without a Postfix: its socket, and what is no question.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use countermand::gate::postfix::serve;
use countermand::listen::{Admit, Listen, Listener};

use super::house::House;

fn asked(lines: &str) -> String {
    format!("request=smtpd_access_policy\nprotocol_state=RCPT\n{lines}\n\n")
}

/// Sends all at once, and reads until that many answers came or the door hung up.
fn say(socket: &Path, text: &[u8], answers: usize) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    let patience = Duration::from_secs(20);
    stream.set_read_timeout(Some(patience)).unwrap();
    // It may hang up before it has read all.
    let _ = stream.write_all(text);
    let (mut read, mut buffer) = (String::new(), [0; 4096]);
    while read.matches("\n\n").count() < answers {
        match stream.read(&mut buffer) {
            Ok(n) if n > 0 => read.push_str(std::str::from_utf8(&buffer[..n]).unwrap()),
            _ => break,
        }
    }
    read
}

#[tokio::test(flavor = "multi_thread")]
async fn postfix_asks_by_a_socket_that_only_its_group_may_use() {
    let (house, _) = House::enforcing().await;
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("postfix.sock");
    // As a server that was killed leaves it.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let listen = Listen::parse("unix:postfix.sock", folder.path()).unwrap();
    let listener = Listener::bind(&listen, Admit::Group).await.unwrap();
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let second = Listener::bind(&listen, Admit::Group).await;
    assert!(second.is_err(), "somebody listens there");
    tokio::spawn(serve(house.gate.clone(), listener));

    let refused =
        asked("sasl_username=alice@corp.test\nccert_subject=0A1B\nccert_fingerprint=AA:BB");
    let other = asked("sasl_username=bob@corp.test\nccert_subject=\nccert_fingerprint=AA:BB");
    let from_elsewhere = asked("sasl_username=\nccert_subject=");
    let all = [refused.clone(), other, from_elsewhere, refused].concat();
    let answers = tokio::task::spawn_blocking({
        let socket = socket.clone();
        move || say(&socket, all.as_bytes(), 4)
    });
    let answers = answers.await.unwrap();
    let answers: Vec<_> = answers.split("\n\n").collect();
    assert!(answers[0].starts_with("action=554 5.7.1 "), "{answers:?}");
    assert!(answers[0].contains("TikTok") && answers[0].contains("Reference R-"));
    assert_eq!(answers[1..3], ["action=DUNNO", "action=DUNNO"]);
    assert_eq!(answers[3], answers[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_question_opens_no_door_and_ends_the_session() {
    let (house, _) = House::enforcing().await;
    let folder = tempfile::tempdir().unwrap();
    let listener = Listener::bind(&Listen::Unix(folder.path().join("p")), Admit::Group)
        .await
        .unwrap();
    tokio::spawn(serve(house.gate.clone(), listener));
    let socket = folder.path().join("p");
    let long = format!("request={}\n\n", "x".repeat(100_000));
    let many = format!("{}\n", "a=b\n".repeat(200_000));
    for (junk, hangs_up) in [
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), true),
        (b"\xff\xfe=\x00\n\n".to_vec(), false),
        (b"\n".to_vec(), false),
        (long.into_bytes(), true),
        (many.into_bytes(), true),
        (
            b"request=smtpd_access_policy\nsasl_username=a".to_vec(),
            true,
        ),
    ] {
        let socket = socket.clone();
        let shown = String::from_utf8_lossy(&junk[..junk.len().min(30)]).into_owned();
        let answer = tokio::task::spawn_blocking(move || {
            let half = junk.len() < 60 && !junk.ends_with(b"\n");
            if half {
                let mut stream = UnixStream::connect(&socket).unwrap();
                stream.write_all(&junk).unwrap();
                stream.shutdown(std::net::Shutdown::Write).unwrap();
                let mut read = String::new();
                stream.read_to_string(&mut read).unwrap();
                return read;
            }
            say(&socket, &junk, 1)
        });
        let answer = answer.await.unwrap();
        let closed = answer.is_empty() && hangs_up;
        let judged = answer.starts_with("action=554 ");
        assert!(closed || judged, "{shown:?}: {answer:?}");
    }
}
