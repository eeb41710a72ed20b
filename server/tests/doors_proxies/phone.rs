//! A real client of ActiveSync and a real mail server, with each proxy between them.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use countermand::gate::postfix;
use countermand::listen::{Admit, Listen, Listener};
use countermand_core::verdict::Channel;
use serde_json::{Value, json};

use crate::support::app::SECRET;
use crate::support::company::Company;
use crate::support::dovecot::{Dovecot, DovecotConfig, Login};
use crate::support::free_port;
use crate::support::imap::Imap;
use crate::support::pki::Pki;
use crate::support::proxies::{Kind, Proxy, ProxyConfig};
use crate::support::python;
use crate::support::smtp_record::Recorder;
use crate::support::sogo::Sogo;
use crate::support::submission::{Asks, Postfix};

const ALICE: &str = "alice@corp.test";
const TIKTOK: &str = "com.zhiliaoapp.musically@16.1";
const CLOCK: &str = "com.example.clock@1";
const BLOCKED: &str = "129";

/// A phone that stands behind one proxy.
struct Phone {
    kind: Kind,
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Phone {
    /// It trusts the authority in the file.
    fn new(proxy: &Proxy, authority: &Path) -> Option<Phone> {
        python::file("pyactivesync/__init__.py")?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doors_proxies/phone.py");
        let port = proxy.port;
        let mut process = Command::new(python::bin().join("python"))
            .arg(script)
            .arg(format!(
                "https://localhost:{port}/Microsoft-Server-ActiveSync"
            ))
            .arg(device(proxy.kind))
            .env("REQUESTS_CA_BUNDLE", authority)
            .env("NO_PROXY", "localhost")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Some(Phone {
            kind: proxy.kind,
            orders: process.stdin.take().unwrap(),
            answers: BufReader::new(process.stdout.take().unwrap()),
            process,
        })
    }

    fn begin(&mut self, what: &str) {
        writeln!(self.orders, "{what}").unwrap();
    }

    fn end(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{}: {error}: {line}", self.kind))
    }

    fn does(&mut self, what: &str) -> Value {
        self.begin(what);
        self.end()
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Each has a device of its own, for the mail server remembers what each device has seen.
fn device(kind: Kind) -> String {
    format!("PHONE{}", kind.to_string().to_uppercase())
}

/// All that stands, in the order in which it ends.
struct Office {
    phones: Vec<Phone>,
    proxies: Vec<Proxy>,
    sogo: Sogo,
    postfix: Postfix,
    dovecot: Dovecot,
    /// The next mail server.
    outgoing: Recorder,
    company: Company,
    /// Phones read the authority's certificate there at each connection.
    _authority: tempfile::TempDir,
    mails: usize,
}

impl Office {
    fn new() -> Option<Office> {
        // SOGo logs in to Dovecot for people, and was asked about at its own door.
        let company = Company::with(|config| {
            config.gate.own_servers = vec![[127, 0, 0, 1].into()];
        });
        let login = Login {
            name: ALICE,
            password: "secret",
            person: ALICE,
            device: None,
        };
        let dovecot = Dovecot::start(DovecotConfig {
            gate_port: company.port(),
            gate_secret: SECRET,
            logins: &[login],
            open_without_verdict: false,
        })?;
        let (outgoing, pki) = (Recorder::start(), Pki::new());
        let asked = free_port();
        let listen = Listen::Tcp(([127, 0, 0, 1], asked).into());
        let listener = Listener::bind(&listen, Admit::Group);
        let listener = company.runtime.block_on(listener).unwrap();
        let policy = postfix::serve(company.gate.clone(), listener);
        company.runtime.spawn(policy);
        let next = Some(outgoing.port());
        let postfix =
            Postfix::start_before(next, Asks::Port(asked), dovecot.login_port, &pki, false)?;
        let sogo = Sogo::start(&company.runtime, dovecot.imap_port, postfix.port)?;
        let folder = tempfile::tempdir().unwrap();
        pki.write(folder.path());
        let config = ProxyConfig {
            gate_port: company.port(),
            gate_secret: SECRET,
            mail_port: sogo.port,
            open_without_verdict: false,
            pki: &pki,
        };
        let proxies: Vec<_> = Kind::ALL
            .into_iter()
            .filter_map(|kind| Proxy::start(kind, &config))
            .collect();
        let phones: Option<Vec<_>> = proxies
            .iter()
            .map(|proxy| Phone::new(proxy, &folder.path().join("ca.pem")))
            .collect();
        let mut office = Office {
            phones: phones?,
            proxies,
            sogo,
            postfix,
            dovecot,
            outgoing,
            company,
            _authority: folder,
            mails: 0,
        };
        // SOGo goes by Dovecot's count of changes, which begins when somebody asks for it, and SOGo does not ask.
        let mut imap = Imap::connect(office.dovecot.imap_port);
        assert!(imap.login(ALICE, "secret").is_ok());
        assert!(imap.command("SELECT INBOX").is_ok());
        office.deliver("Welcome");
        assert!(imap.command("SELECT INBOX").is_ok());
        assert!(imap.command("FETCH 1 (MODSEQ)").is_ok());
        Some(office)
    }

    /// Complete reports of all phones.
    fn report(&self, apps: &str) {
        let rows: Vec<_> = self
            .proxies
            .iter()
            .map(|proxy| device(proxy.kind))
            .map(|device| format!("{ALICE},{device},eas:{device},{apps}"))
            .collect();
        let rows: Vec<_> = rows.iter().map(String::as_str).collect();
        self.company
            .runtime
            .block_on(self.company.world.iphones(&rows));
    }

    fn deliver(&mut self, subject: &str) {
        self.mails += 1;
        let maildir = self.dovecot.maildir(ALICE);
        let mail = format!(
            "From: bob@corp.test\r\nTo: {ALICE}\r\nSubject: {subject}\r\nMessage-ID: <{}@corp.test>\r\n\
             Date: Fri, 10 Jul 2020 10:00:00 +0000\r\n\r\nHello.\r\n",
            self.mails
        );
        let name = format!("{}.test", self.mails);
        std::fs::write(maildir.join("tmp").join(&name), mail).unwrap();
        std::fs::rename(
            maildir.join("tmp").join(&name),
            maildir.join("new").join(&name),
        )
        .unwrap();
    }

    fn asked(&self) -> u64 {
        let figures = self.company.gate.figures();
        let door = figures.iter().find(|f| f.channel == Channel::Activesync);
        door.map_or(0, |door| door.asked)
    }

    /// All phones wait for new mail; it comes, and they say so and fetch it.
    fn mail_comes(&mut self, subject: &str) {
        let asked = self.asked();
        for phone in &mut self.phones {
            phone.begin("ping");
        }
        // Each has passed its proxy before there is anything new.
        let waiting = asked + self.phones.len() as u64;
        for _ in 0..3000 {
            if self.asked() >= waiting {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(self.asked(), waiting, "all of them wait");
        self.deliver(subject);
        for phone in &mut self.phones {
            assert_eq!(phone.end(), json!({"done": "2"}), "{}: ping", phone.kind);
        }
        self.all("sync", &json!({"done": [subject]}));
    }

    /// Every phone is told the same.
    fn all(&mut self, what: &str, expected: &Value) {
        for phone in &mut self.phones {
            let answer = phone.does(what);
            assert_eq!(
                &answer,
                expected,
                "{}: {what}\n{}",
                phone.kind,
                self.sogo.log()
            );
        }
    }

    fn send(&mut self) {
        let before = self.outgoing.messages().len();
        for phone in &mut self.phones {
            let order = format!("send Through-{}", phone.kind);
            assert_eq!(phone.does(&order), json!({"done": "sent"}), "{order}");
        }
        let patience = Duration::from_secs(30);
        let all = self.outgoing.wait_for(before + self.phones.len(), patience);
        let mails = &all[before..];
        // Postfix delivers in an order of its own.
        let subjects: BTreeSet<_> = mails.iter().map(|mail| subject(&mail.bytes)).collect();
        let expected: BTreeSet<_> = self
            .phones
            .iter()
            .map(|phone| format!("Through-{}", phone.kind))
            .collect();
        assert_eq!(subjects, expected, "{}", self.postfix.log());
        for mail in mails {
            let text = String::from_utf8_lossy(&mail.bytes);
            assert!(text.contains("by mail.corp.test (Postfix)"), "{text}");
        }
    }

    /// Whatever they try, they are told that the device is blocked, in the words of the command.
    fn refused(&mut self) {
        let blocked = json!({"status": BLOCKED});
        self.all("folders", &blocked);
        self.all("sync", &blocked);
        self.all("send Refused", &blocked);
        self.all("ping", &json!({"done": BLOCKED}));
    }
}

fn subject(mail: &[u8]) -> String {
    let text = String::from_utf8_lossy(mail);
    let line = text.lines().find_map(|line| line.strip_prefix("Subject: "));
    line.unwrap_or_default().to_owned()
}

#[test]
fn a_real_phone_syncs_pings_and_sends_behind_every_proxy() {
    let Some(mut office) = Office::new() else {
        return;
    };
    // A login that names no device is refused for this one's sake, whatever the phones do; SOGo's own are not.
    let forgotten = format!("{ALICE},OLD,eas:OLD,{TIKTOK}");
    let company = &office.company;
    company
        .runtime
        .block_on(company.world.iphones(&[&forgotten]));
    office.report(TIKTOK);
    let folders = office.phones[0].does("folders");
    assert!(
        folders["done"]
            .as_array()
            .unwrap()
            .contains(&json!("INBOX"))
    );
    office.all("folders", &folders);
    office.all("sync", &json!({"done": ["Welcome"]}));
    office.mail_comes("Lunch");
    office.send();

    let order = office.company.publish();
    office.company.tell(&order);
    office.mail_comes("Until-the-deadline");

    office.company.go_to("2020-07-11T07:00:00Z");
    office.refused();
    office.deliver("While-refused");
    office.report(CLOCK);
    // Nothing is lost, and nothing begins anew.
    office.all("sync", &json!({"done": ["While-refused"]}));
    office.mail_comes("Cured");
    office.send();

    office.company.go_to("2020-07-11T08:00:00Z");
    office.report(TIKTOK);
    office.refused();
    office.company.retract(&order);
    office.mail_comes("Retracted");
    office.send();
    office.all("folders", &folders);
    let warned = office.company.gate.figures();
    assert!(warned.iter().any(|door| door.warned > 0));
}
