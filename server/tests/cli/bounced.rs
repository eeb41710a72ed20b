//! Bounces from outside: a server that reads them, and the list of whom nothing reached.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::shop::{CY, NOON, Shop};
use crate::support::free_port;
use crate::support::process::Process;

/// As a mail server would write it of a notice that it has.
fn bounce(notice: &str) -> String {
    let header = |name: &str| {
        let found = notice
            .lines()
            .find_map(|l| l.strip_prefix(&format!("{name}: ")));
        found
            .unwrap_or_else(|| panic!("no {name} in {notice}"))
            .to_owned()
    };
    let to = header("To");
    let to = to.rsplit('<').next().unwrap().trim_end_matches('>');
    let (head, _) = notice.split_once("\r\n\r\n").unwrap();
    format!(
        "From: MAILER-DAEMON@relay.test\r\nTo: it-security@example.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nNot delivered.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; relay.test\r\n\r\nFinal-Recipient: rfc822; {to}\r\nAction: failed\r\nStatus: 5.2.1\r\nDiagnostic-Code: smtp; 550 5.2.1 \"mailbox, closed\"\r\n\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\n{head}\r\n\r\n--b--\r\n"
    )
}

fn notices(shop: &Shop) -> Vec<String> {
    let new = shop.file("countermand-data/mailbox/new");
    let mut all: Vec<String> = std::fs::read_dir(new)
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    all.sort_by_key(|mail| mail.contains("cy@example.test"));
    all
}

fn hand_in(socket: &Path, mail: &str) {
    let stream = UnixStream::connect(socket).unwrap();
    let (mut write, mut read) = (stream.try_clone().unwrap(), BufReader::new(stream));
    let mut say = |text: &str, code: &str| {
        write.write_all(text.as_bytes()).unwrap();
        let mut line = String::new();
        while line.as_bytes().get(3) != Some(&b' ') {
            line.clear();
            read.read_line(&mut line).unwrap();
        }
        assert!(line.starts_with(code), "{text}: {line}");
    };
    say("", "220");
    say("LHLO relay.test\r\n", "250");
    say("MAIL FROM:<>\r\n", "250");
    say("RCPT TO:<it-security@example.test>\r\n", "250");
    say("DATA\r\n", "354");
    say(&format!("{mail}\r\n.\r\n"), "250");
}

#[test]
fn inv_35_a_server_reads_bounces_from_a_maildir_and_by_lmtp_and_lists_whom_to_reach_otherwise() {
    let shop = Shop::new();
    let id = shop.published();
    let variables = [
        ("COUNTERMAND_NOTICES__BOUNCES__MAILDIR", "bounces"),
        ("COUNTERMAND_NOTICES__BOUNCES__LMTP_LISTEN", "unix:b.sock"),
    ];
    shop.run_at(NOON, &variables, &["notices", "send", "--until-idle"])
        .ends(0, "");
    let mails = notices(&shop);
    assert_eq!(mails.len(), 2);
    let nobody = shop.does(&format!("--as {CY} notices unreached {id}")).out;
    assert!(nobody.starts_with("Nobody"), "{nobody}");

    let port = free_port();
    let data = shop.file("countermand-data");
    let mut command = vec!["env".to_owned(), format!("COUNTERMAND_NOW={NOON}")];
    command.push(format!("COUNTERMAND_SERVER__LISTEN=127.0.0.1:{port}"));
    command.extend(variables.map(|(name, value)| format!("{name}={value}")));
    command.push(env!("CARGO_BIN_EXE_countermand").to_owned());
    command.extend(["--data", data.to_str().unwrap(), "serve"].map(str::to_owned));
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start("countermand", folder, "TERM", command);
    server.await_that("listen for bounces", || data.join("b.sock").exists());

    let (new, cur) = (
        data.join("bounces/new/1.relay"),
        data.join("bounces/cur/1.relay:2,S"),
    );
    let arriving = data.join("bounces/tmp/1.relay");
    std::fs::write(&arriving, bounce(&mails[0])).unwrap();
    std::fs::rename(&arriving, &new).unwrap();
    server.await_that("read the maildir", || cur.exists());
    let csv = shop
        .does(&format!("--as {CY} notices unreached {id} --csv"))
        .out;
    let line = "eve@example.test,Eve Adams,order,bounced,2020-07-10T19:00:00Z,\"550 5.2.1 \"\"mailbox, closed\"\"\"\n";
    assert_eq!(csv, format!("email,name,notice,state,at,words\n{line}"));

    // Its 250 says that it is written down.
    hand_in(&data.join("b.sock"), &bounce(&mails[1]));
    let listed = shop.gets(CY, &format!("notices unreached {id}"));
    assert_eq!(listed.as_array().unwrap().len(), 2, "{listed}");
    let status = shop.gets(CY, &format!("notices status {id}"));
    assert_eq!(
        (
            &status["notices"]["accepted"],
            &status["notices"]["bounced"]
        ),
        (&2.into(), &2.into())
    );
    let words = shop.does(&format!("--as {CY} notices status {id}")).out;
    assert!(words.contains("2 of the accepted came back"), "{words}");
    let refused = shop.types(&format!("--as ann@example.test notices unreached {id}"));
    refused.ends(3, "look up people");
}
