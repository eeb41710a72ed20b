//! One target for each parser of what comes from outside: bytes in, and no panic, whatever they are. A
//! target also asks what must hold of every answer, such as that no reason begins a second line.
//!
//! `tests/fuzz.rs` plays the kept corpora and mutates them on stable Rust; `fuzz/any.rs` hands the same
//! functions to cargo-fuzz.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use countermand::clock::ManualClock;
use countermand::config::Config;
use countermand::gate::batch::Batch;
use countermand::gate::postfix::question;
use countermand::gate::probe::Probe;
use countermand::gate::wire::dovecot::{self, ClientId, DovecotRequest};
use countermand::gate::wire::eas::EasRequest;
use countermand::gate::wire::headers::{self, GateRequest};
use countermand::gate::wire::nginx_mail::{self, MailProxyRequest};
use countermand::gate::wire::postfix::{self, PolicyRequest};
use countermand::gate::wire::wbxml::{self, EasRefusal};
use countermand::gate::wire::{basic, doveadm};
use countermand::import::{self, Format};
use countermand::listen::Listen;
use countermand::live::part::Part;
use countermand::live::{Live, disk};
use countermand::outbox::bounces::{Intake, Mail, lmtp, report};
use countermand::outbox::channels::{self, Shape};
use countermand::outbox::smtp;
use countermand_core::catalogue::Catalogue;
use countermand_core::change::Change;
use countermand_core::duration::Length;
use countermand_core::fleet::DeviceKey;
use countermand_core::id::OrderId;
use countermand_core::index::Index;
use countermand_core::notice::seal::SealKey;
use countermand_core::notice::{mark, render, token};
use countermand_core::order::when::When;
use countermand_core::order::{Order, OrderFile, Pins, Revision};
use countermand_core::verdict::{Channel, GatePolicy, Question};
use countermand_core::version::{Version, VersionRange};
use jiff::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Name, which is also that of its corpus, and function.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: &[Target] = &[
    ("basic", basic_header),
    ("batch", batch),
    ("bounce", bounce),
    ("catalogue", catalogue),
    ("channel", channel_answer),
    ("config", config),
    ("doveadm", doveadm_answer),
    ("dovecot", dovecot_policy),
    ("eas", eas_query),
    ("headers", proxy_headers),
    ("import_amapi", import_amapi),
    ("import_apple_mdm", import_apple_mdm),
    ("import_csv", import_csv),
    ("import_people", import_people),
    ("lmtp", lmtp_dialogue),
    ("nginx_mail", nginx_mail_headers),
    ("order", order_file),
    ("postfix", postfix_policy),
    ("smtp", smtp_answers),
    ("token", notice_token),
    ("view", view),
    ("view_file", view_file),
    ("wbxml", wbxml_refusal),
    ("words", words),
];

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Drives what waits for bytes that are all there.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
    }
    RUNTIME.with(|runtime| runtime.block_on(future))
}

fn basic_header(bytes: &[u8]) {
    for header in [bytes.to_vec(), [b"Basic ".as_slice(), bytes].concat()] {
        if let Ok(Some(user)) = basic::user(&header) {
            assert!(!user.is_empty() && !user.contains(['\r', '\n', '\0']));
        }
    }
}

fn eas_query(bytes: &[u8]) {
    let query = text(bytes);
    let base64 = base64::engine::general_purpose::STANDARD.encode(bytes);
    for uri in [
        query.clone(),
        format!("/Microsoft-Server-ActiveSync?{query}"),
        format!("/Microsoft-Server-ActiveSync?{base64}"),
    ] {
        if let Ok(Some(request)) = EasRequest::parse(&uri, Some("14.1")) {
            harmless(request.command.as_deref(), request.protocol);
            if let Some(id) = request.device_id {
                assert!(id.bytes().all(|byte| byte.is_ascii_graphic()), "{id:?}");
            }
        }
    }
}

fn wbxml_refusal(bytes: &[u8]) {
    let (version, command) = bytes.split_at(bytes.len().min(2));
    let protocol = <[u8; 2]>::try_from(version).ok().map(|[a, b]| (a, b));
    harmless(Some(&text(command)), protocol);
}

/// Nothing that is said to a phone makes it forget its mail.
fn harmless(command: Option<&str>, protocol: Option<(u8, u8)>) {
    if let EasRefusal::Wbxml(body) = wbxml::refusal(command.unwrap_or_default(), protocol) {
        assert!(body.windows(3).any(|three| three == b"129"));
        assert!(!body.windows(3).any(|three| three == b"140"));
    }
}

/// Lines `Name: value`; what is none is left out, as no HTTP server would hand it on.
fn header_map<'a>(lines: impl Iterator<Item = &'a [u8]>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for line in lines {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let name = HeaderName::from_bytes(line[..colon].trim_ascii());
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            map.append(name, value);
        }
    }
    map
}

fn proxy_headers(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let call = text(lines.next().unwrap_or_default());
    let map = header_map(lines);
    headers::person_of(&map);
    for route in ["/gate/http", "/gate/authz"] {
        if let Ok(request) = GateRequest::read(route, &call, &map) {
            let eas = request.eas.unwrap_or_default();
            harmless(eas.command.as_deref(), eas.protocol);
            request.keys.iter().for_each(|key| a_key(key));
        }
    }
}

fn nginx_mail_headers(bytes: &[u8]) {
    let map = header_map(bytes.split(|byte| *byte == b'\n'));
    if let Ok(request) = MailProxyRequest::read(&map) {
        request.keys.iter().for_each(|key| a_key(key));
    }
    one_line(&nginx_mail::reason(&text(bytes)));
}

fn one_line(line: &str) {
    assert!(
        line.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
        "{line:?}"
    );
}

/// What is a key is the same one when it is written down and read again.
fn a_key(written: &str) {
    if let Ok(key) = written.parse::<DeviceKey>() {
        let again: DeviceKey = key.as_str().parse().unwrap();
        assert_eq!(again.canonical(), key.canonical(), "{written:?}");
    }
}

fn dovecot_policy(bytes: &[u8]) {
    if let Ok(request) = DovecotRequest::parse(bytes) {
        request.keys().iter().for_each(|key| a_key(key));
        let _ = (request.person(), request.channel());
    }
    let words = text(bytes);
    let _ = ClientId::parse(&words);
    let refusal = dovecot::refuse(&words);
    let answer: serde_json::Value = serde_json::from_str(&refusal).unwrap();
    let said = answer["msg"].as_str().unwrap();
    assert!(
        !said.is_empty() && !said.contains(|c: char| c.is_control()),
        "{said:?}"
    );
}

fn postfix_policy(bytes: &[u8]) {
    let questions = block_on(async {
        let (mut stream, mut questions) = (bytes, Vec::new());
        while let Ok(Some(lines)) = question(&mut stream).await {
            questions.push(lines);
        }
        questions
    });
    for lines in questions {
        if let Ok(request) = PolicyRequest::parse(lines.iter().map(String::as_str)) {
            request.keys().iter().for_each(|key| a_key(key));
        }
    }
    let action = postfix::refuse(&text(bytes));
    one_line(action.strip_suffix("\n\n").unwrap());
}

fn doveadm_answer(bytes: &[u8]) {
    for commands in [1, 2] {
        for answer in doveadm::read(bytes, commands).into_iter().flatten() {
            if let doveadm::Answer::Done(value) = answer {
                let _ = doveadm::connections(value);
            }
        }
    }
}

fn bounce(bytes: &[u8]) {
    let to = text(&bytes[..bytes.len().min(80)]);
    let report = report::read(&[to], bytes);
    assert!(!report.words.contains(['\r', '\n']), "{report:?}");
    for seen in &report.marks {
        let _ = mark::read(seen, &SEAL, [ORDER.id]);
    }
}

/// Takes whatever comes.
struct Taken;

impl Intake for Taken {
    async fn take(&self, mails: Vec<Mail>) -> Result<(), String> {
        for mail in mails {
            let _ = report::read(&mail.to, &mail.bytes);
        }
        Ok(())
    }
}

fn lmtp_dialogue(bytes: &[u8]) {
    block_on(async {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (mut hear, mut say) = tokio::io::split(ours);
        let mut heard = Vec::new();
        let (_, _, _) = tokio::join!(
            lmtp::converse(Box::new(theirs), &Taken),
            async {
                let _ = say.write_all(bytes).await;
                let _ = say.shutdown().await;
            },
            hear.read_to_end(&mut heard),
        );
        // Each answer is a line of three digits, however long it is.
        for line in heard.split_inclusive(|byte| *byte == b'\n') {
            assert!(line.ends_with(b"\r\n") && line[..3].iter().all(u8::is_ascii_digit));
        }
    });
}

fn smtp_answers(bytes: &[u8]) {
    let _ = smtp::answers(bytes.to_vec());
}

fn channel_answer(bytes: &[u8]) {
    let after = text(
        bytes
            .split(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default(),
    );
    for shape in [
        Shape::Slack,
        Shape::Teams,
        Shape::Matrix,
        Shape::Telegram,
        Shape::Plain,
    ] {
        let (id, wait) = channels::read_answer(shape, Some(after.clone()), bytes.to_vec());
        assert!(id.is_none_or(|id| id.len() <= 255 && !id.contains(char::is_control)));
        assert!(wait.is_none_or(|wait| !wait.is_negative()));
    }
}

fn catalogue(bytes: &[u8]) {
    let words = text(bytes);
    if let Ok(catalogue) = Catalogue::parse(&[("a.toml", &words)]) {
        let _ = catalogue.search("tiktok");
        let _ = catalogue.nearest("tiktok");
    }
}

/// Above all `render::check`: a text is a template, and may not run for ever.
fn order_file(bytes: &[u8]) {
    let words = text(bytes);
    if let Ok(file) = OrderFile::parse(&words) {
        let order = order_of(&words, file);
        let _ = render::check(&order, ["", "de"]);
    }
}

fn order_of(words: &str, file: OrderFile) -> Order {
    let pins = Pins::resolve("", Catalogue::embedded().app("tiktok"), &Default::default());
    let revision = Revision::new(
        1,
        "author@corp.test",
        Timestamp::UNIX_EPOCH,
        words,
        file,
        pins,
    );
    Order::draft(OrderId(uuid::Uuid::from_u128(7)), revision)
}

static SEAL: LazyLock<SealKey> = LazyLock::new(|| SealKey::new([7; 32]));

static ORDER: LazyLock<Order> = LazyLock::new(|| {
    let words = include_str!("../../../docs/example-order.toml");
    order_of(words, OrderFile::parse(words).unwrap())
});

fn notice_token(bytes: &[u8]) {
    let words = text(bytes);
    for word in words.split_whitespace() {
        if let Some(said) = token::open(&SEAL, &ORDER, word) {
            let again = token::seal(&SEAL, &ORDER, &said);
            assert_eq!(token::open(&SEAL, &ORDER, &again), Some(said));
        }
        let _ = mark::read(word, &SEAL, [ORDER.id]);
    }
}

fn config(bytes: &[u8]) {
    thread_local! {
        static FOLDER: tempfile::TempDir = tempfile::tempdir().unwrap();
    }
    FOLDER.with(|folder| {
        let file = folder.path().join("countermand.toml");
        std::fs::write(&file, bytes).unwrap();
        let _ = Config::load(folder.path(), Some(&file), std::iter::empty());
        let words = text(bytes);
        let named = words.lines().filter_map(|line| line.split_once('='));
        let variables = named.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let _ = Config::load(Path::new("/nowhere"), None, variables);
    });
}

/// What a gate-only server hands over.
fn batch(bytes: &[u8]) {
    let Ok(batch) = serde_json::from_slice::<Batch>(bytes) else {
        return;
    };
    let again: Batch = serde_json::from_slice(&serde_json::to_vec(&batch).unwrap()).unwrap();
    assert_eq!(again, batch);
    let mut whole = Batch {
        installation: batch.installation.clone(),
        ..Batch::default()
    };
    batch
        .entries()
        .into_iter()
        .for_each(|entry| whole.add(entry));
    assert_eq!(whole, batch, "its entries are all of it");
    let _ = batch.check(&Index::new(GatePolicy::default()));
    for change in batch.changes(Timestamp::UNIX_EPOCH) {
        if let Change::Refusals(refusals) = change {
            assert!(refusals.iter().all(|r| r.at <= Timestamp::UNIX_EPOCH));
        }
    }
}

/// What a main server gives to a gate-only one, which answers doors from it.
fn view(bytes: &[u8]) {
    let Ok(part) = Part::decode(bytes) else {
        return;
    };
    let again = Part::decode(&part.clone().encode().unwrap()).unwrap();
    assert_eq!(again, part);
    let live = Live::to_be_fed(Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH)));
    live.feed(part, Timestamp::UNIX_EPOCH);
    let question = Question {
        person: Some("alice@corp.test".to_owned()),
        keys: "eas:DEV7F3A".parse().into_iter().collect(),
        channel: Channel::Activesync,
    };
    let _ = live.view().verdict(&question, Timestamp::UNIX_EPOCH);
}

/// The same on its disk.
fn view_file(bytes: &[u8]) {
    let _ = disk::understood(bytes);
    // A whole file of it, lest every change be seen by a checksum.
    let stored = disk::understood(&disk::file_of(bytes, Timestamp::UNIX_EPOCH));
    match (stored, Part::decode(bytes)) {
        (Ok(stored), Ok(part)) => assert_eq!(stored.parts, [part]),
        (Ok(_), Err(error)) => panic!("read, though it is no part: {error}"),
        (Err(_), part) => assert!(part.is_err() || part.is_ok_and(|part| part.since.is_some())),
    }
}

fn import_csv(bytes: &[u8]) {
    reports(Format::Csv, bytes);
}

fn import_apple_mdm(bytes: &[u8]) {
    reports(Format::AppleMdm, bytes);
}

fn import_amapi(bytes: &[u8]) {
    reports(Format::Amapi, bytes);
}

fn reports(format: Format, bytes: &[u8]) {
    let _ = import::detect(bytes);
    let arrival = Timestamp::constant(1_594_400_000, 0);
    let Ok(read) = import::reports(format, bytes, arrival) else {
        return;
    };
    for report in read.good {
        assert!(report.seen_at <= arrival, "a report of the future");
        assert!(!report.keys.is_empty(), "a report of nothing");
    }
}

fn import_people(bytes: &[u8]) {
    let _ = import::people(bytes);
}

/// Small values, as commands, files and headers have them.
fn words(bytes: &[u8]) {
    let words = text(bytes);
    if let Some(probe) = Probe::find("secret", &words) {
        let _ = probe.told("secret", &words);
    }
    for word in words.lines() {
        let _ = Listen::parse(word, Path::new("data"));
        let _ = word.parse::<Format>();
        let _ = countermand_core::hex::decode(word);
        let _ = word
            .parse::<Length>()
            .map(|length| length.to_string().parse::<Length>().unwrap());
        let _ = word
            .parse::<When>()
            .map(|when| when.to_string().parse::<When>().unwrap());
        let range = VersionRange::try_from(word.to_owned());
        let _ = range.map(|range| range.matches("1.2.3"));
        let _ = Version::parse(word);
        a_key(word);
    }
}
