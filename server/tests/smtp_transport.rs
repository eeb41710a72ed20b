//! What becomes of a message, told truthfully whatever the relay does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use countermand::outbox::lease::Lease;
use countermand::outbox::smtp::SmtpConfig;
use countermand::outbox::transport::{
    OpenError, Outcome, Outgoing, PIPELINE_DEPTH, Session, Transport,
};
use jiff::SignedDuration;
use proptest::prelude::*;
use support::smtp_record::{Fault, Recorder, Setup};

fn config(port: u16) -> SmtpConfig {
    SmtpConfig {
        port,
        ..SmtpConfig::default()
    }
}

async fn open(config: SmtpConfig) -> Session {
    Session::open(&Transport::Smtp(config)).await.unwrap()
}

const BODY: &str = "Line\r\n.\r\n..two dots\r\n.end";

fn id(number: usize) -> String {
    format!("<{number}@test>")
}

fn mail(number: usize) -> Outgoing {
    mail_of(number, BODY)
}

fn mail_of(number: usize, body: &str) -> Outgoing {
    support::outgoing(&to(number), &bytes_of(number, body))
}

fn to(number: usize) -> String {
    format!("p{number}@example.test")
}

fn bytes_of(number: usize, body: &str) -> Vec<u8> {
    let id = id(number);
    format!("Message-ID: {id}\r\nSubject: {number}\r\n\r\n{body}\r\n").into_bytes()
}

fn mails(count: usize) -> Vec<Outgoing> {
    (0..count).map(mail).collect()
}

/// A letter for each outcome.
fn letters(outcomes: &[Outcome]) -> String {
    let letter = |outcome: &Outcome| match outcome {
        Outcome::Accepted { .. } => 'A',
        Outcome::Rejected { .. } => 'R',
        Outcome::Deferred { .. } => 'D',
        Outcome::Unknown { .. } => 'U',
    };
    outcomes.iter().map(letter).collect()
}

/// Delivers four messages with the faults given, and checks what any client must keep.
async fn play(setup: Setup, faults: &[Fault], expected: &str) -> (Vec<Outcome>, Recorder) {
    let recorder = setup.faults(faults).start();
    let outcomes = open(config(recorder.port())).await.deliver(&mails(4)).await;
    assert_eq!(letters(&outcomes), expected, "{faults:?}: {outcomes:?}");
    assert_eq!(recorder.violations(), [""; 0], "{faults:?}");
    (outcomes, recorder)
}

#[tokio::test]
async fn accepted_messages_arrive_byte_for_byte_with_the_relays_answer() {
    for setup in [
        Setup::new(),
        Setup::new().without_pipelining(),
        Setup::new().without_ehlo(),
    ] {
        let (outcomes, recorder) = play(setup, &[], "AAAA").await;
        assert_eq!(
            outcomes[2],
            Outcome::Accepted {
                detail: "250 2.0.0 queued as R2".into()
            }
        );
        let recorded = recorder.accepted();
        assert_eq!(recorded.len(), 4);
        for (number, message) in recorded.iter().enumerate() {
            assert_eq!(message.from, "it@example.test");
            assert_eq!(message.to, [to(number)]);
            assert_eq!(message.bytes, bytes_of(number, BODY));
        }
        assert_eq!(recorder.connections(), 1);
    }
}

#[tokio::test]
async fn each_refusal_settles_or_defers_its_own_message_only() {
    use Fault::{Accept, Data, Dot, Mail, Rcpt, RcptThen354};
    for pipelining in [true, false] {
        let setup = || {
            if pipelining {
                Setup::new()
            } else {
                Setup::new().without_pipelining()
            }
        };
        for (fault, letter, code) in [
            // Our sender is refused, not the person: to be put right, and tried again.
            (Mail(550), 'D', 550),
            (Mail(451), 'D', 451),
            (Rcpt(550), 'R', 550),
            (Rcpt(450), 'D', 450),
            (RcptThen354(550), 'R', 550),
            (RcptThen354(450), 'D', 450),
            (Data(554), 'R', 554),
            (Data(451), 'D', 451),
            (Dot(552), 'R', 552),
            (Dot(452), 'D', 452),
        ] {
            for at in 0..4 {
                let mut faults = [Accept; 4];
                faults[at] = fault;
                let mut expected = ["A"; 4].map(String::from);
                expected[at] = letter.into();
                let (outcomes, recorder) = play(setup(), &faults, &expected.concat()).await;
                assert!(
                    matches!(&outcomes[at], Outcome::Rejected { code: c, .. } | Outcome::Deferred { code: Some(c), .. } if *c == code),
                    "{outcomes:?}"
                );
                assert_eq!(recorder.accepted().len(), 3);
                assert_eq!(
                    recorder.connections(),
                    1,
                    "a refusal of one message costs no connection"
                );
            }
            // And all of them in a row.
            play(setup(), &[fault; 4], &letter.to_string().repeat(4)).await;
        }
    }
}

#[tokio::test]
async fn an_answer_of_many_lines_is_told_whole() {
    let (outcomes, _) = play(Setup::new(), &[Fault::Rcpt(550)], "RAAA").await;
    assert_eq!(
        outcomes[0],
        Outcome::Rejected {
            code: 550,
            detail: "550 recipient refused".into()
        }
    );
}

#[tokio::test]
async fn inv_17_a_connection_lost_after_the_dot_makes_unknown_and_the_rest_was_not_begun() {
    for setup in [Setup::new(), Setup::new().without_pipelining()] {
        for fault in [Fault::DropAfterDot, Fault::NonsenseAfterDot] {
            let (_, recorder) = play(setup.clone(), &[Fault::Accept, fault], "AUDD").await;
            let received: Vec<_> = recorder
                .messages()
                .into_iter()
                .map(|m| m.message_id)
                .collect();
            assert_eq!(received, [id(0), id(1)]);
            assert_eq!(recorder.begun().len(), 2);
        }
    }
}

#[tokio::test]
async fn inv_17_a_final_dot_without_answer_makes_unknown_in_time() {
    for setup in [Setup::new(), Setup::new().without_pipelining()] {
        // The first message of all stalls, so that the short time is for no other.
        let recorder = setup.faults(&[Fault::StallAfterDot]).start();
        let impatient = SmtpConfig {
            final_dot_timeout: SignedDuration::from_millis(50),
            ..config(recorder.port())
        };
        let outcomes = open(impatient).await.deliver(&mails(3)).await;
        assert_eq!(letters(&outcomes), "UDD", "{outcomes:?}");
        assert_eq!(
            recorder.wait_for(1, Duration::from_secs(60))[0].message_id,
            id(0)
        );
        assert_eq!(recorder.begun().len(), 1);
    }
}

#[tokio::test]
async fn a_connection_lost_before_the_body_defers() {
    for setup in [Setup::new(), Setup::new().without_pipelining()] {
        for fault in [Fault::DropAtData, Fault::Closing, Fault::Dot(421)] {
            let (_, recorder) = play(setup.clone(), &[Fault::Accept, fault], "ADDD").await;
            assert_eq!(recorder.accepted().len(), 1);
        }
    }
}

#[tokio::test]
async fn a_connection_lost_within_a_body_defers_while_the_dot_is_still_here() {
    // More than the kernel buffers between two sockets, so the dot cannot have left.
    let recorder = Setup::new().faults(&[Fault::DropInBody]).start();
    let big = mail_of(0, &format!("{}\r\n", "x".repeat(70)).repeat(500_000));
    let outcomes = open(config(recorder.port()))
        .await
        .deliver(&[big, mail(1)])
        .await;
    assert_eq!(letters(&outcomes), "DD", "{outcomes:?}");
    assert!(recorder.messages().is_empty());

    // A small one is gone to the last byte before the loss shows.
    let recorder = Setup::new().faults(&[Fault::DropInBody]).start();
    let outcomes = open(config(recorder.port())).await.deliver(&mails(2)).await;
    assert_eq!(letters(&outcomes), "UD", "{outcomes:?}");
}

#[tokio::test]
async fn a_session_goes_on_after_the_relay_closed_it() {
    for setup in [Setup::new(), Setup::new().without_pipelining()] {
        // Between two batches: noticed before anything of the next is offered.
        let recorder = setup.clone().closing_after(2).start();
        let mut session = open(config(recorder.port())).await;
        for batch in mails(6).chunks(2) {
            assert_eq!(letters(&session.deliver(batch).await), "AA");
        }
        assert_eq!((recorder.accepted().len(), recorder.connections()), (6, 3));

        // Within a batch: the rest is deferred, and the session is good again.
        let recorder = setup.closing_after(3).start();
        let mut session = open(config(recorder.port())).await;
        assert_eq!(letters(&session.deliver(&mails(4)).await), "AAAD");
        assert_eq!(letters(&session.deliver(&[mail(3)]).await), "A");
        assert_eq!((recorder.accepted().len(), recorder.connections()), (4, 2));
        session.close().await;
    }
}

#[tokio::test]
async fn a_relay_that_is_gone_defers_everything() {
    let recorder = Setup::new().closing_after(1).start();
    let mut session = open(config(recorder.port())).await;
    assert_eq!(letters(&session.deliver(&mails(1)).await), "A");
    drop(recorder);
    assert_eq!(letters(&session.deliver(&mails(3)).await), "DDD");
    assert_eq!(letters(&session.deliver(&[]).await), "");
}

#[tokio::test]
async fn a_call_that_is_dropped_takes_its_connection_along() {
    let recorder = Setup::new().faults(&[Fault::StallAfterDot]).start();
    let mut session = open(config(recorder.port())).await;
    {
        let batch = mails(2);
        let delivery = session.deliver(&batch);
        tokio::pin!(delivery);
        // Until the stalled message is there; then the call is dropped.
        while recorder.messages().is_empty() {
            tokio::select! {
                biased;
                outcomes = &mut delivery => panic!("finished: {outcomes:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
    }
    assert_eq!(
        letters(&session.deliver(&[mail(2)]).await),
        "A",
        "not the answer to somebody else's message"
    );
    assert_eq!(recorder.connections(), 2);
    assert_eq!(recorder.accepted()[0].message_id, id(2));
}

#[tokio::test]
async fn what_cannot_be_offered_is_settled_and_hurts_no_neighbour() {
    let recorder = Recorder::start();
    let mut batch = mails(4);
    batch[0] = support::outgoing(
        "p0@example.test>\r\nRCPT TO:<eve@example.test",
        &bytes_of(0, BODY),
    );
    let two_mails = b"Subject: x\r\n\r\na\n.\nMAIL FROM:<eve@example.test>\r\n";
    batch[2] = support::outgoing(&to(2), two_mails);
    let outcomes = open(config(recorder.port())).await.deliver(&batch).await;
    assert_eq!(letters(&outcomes), "RARA", "{outcomes:?}");
    let received: Vec<_> = recorder
        .accepted()
        .into_iter()
        .map(|m| m.message_id)
        .collect();
    assert_eq!(received, [id(1), id(3)]);
    assert_eq!(recorder.violations(), [""; 0]);
}

#[tokio::test]
async fn the_mailbox_is_a_transport_too() {
    let dir = tempfile::tempdir().unwrap();
    let transport = Transport::Mailbox {
        dir: dir.path().join("mail"),
        durable: false,
    };
    let mut session = Session::open(&transport).await.unwrap();
    assert_eq!(letters(&session.deliver(&mails(3)).await), "AAA");
    assert_eq!(
        countermand::outbox::maildir::list(&dir.path().join("mail"), 10)
            .unwrap()
            .len(),
        3
    );
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Session::open(&Transport::Mailbox {
        dir: file,
        durable: true,
    })
    .await
    .unwrap_err();
    assert!(matches!(error, OpenError::Mailbox { .. }), "{error}");
}

fn any_fault() -> impl Strategy<Value = Fault> {
    use Fault::{
        Accept, Closing, Data, Dot, DropAfterDot, DropAtData, DropInBody, Mail, NonsenseAfterDot,
        Rcpt, RcptThen354,
    };
    prop_oneof![
        6 => Just(Accept),
        3 => prop::sample::select(vec![Mail(550), Mail(450), Rcpt(550), Rcpt(450), RcptThen354(551), RcptThen354(451)]),
        3 => prop::sample::select(vec![Data(554), Data(451), Dot(552), Dot(452), Dot(421)]),
        2 => prop::sample::select(vec![Closing, DropAtData, DropInBody, DropAfterDot, NonsenseAfterDot]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Random faults over random batches, each message offered once.
    #[test]
    fn inv_17_outcomes_never_claim_more_than_is_known(
        faults in prop::collection::vec(any_fault(), 0..24),
        sizes in prop::collection::vec(1..=PIPELINE_DEPTH, 1..8),
        pipelining: bool,
        closing_after in prop::option::of(1..5usize),
    ) {
        let mut setup = Setup::new().faults(&faults);
        if !pipelining { setup = setup.without_pipelining(); }
        if let Some(messages) = closing_after { setup = setup.closing_after(messages); }
        let recorder = setup.start();
        let messages = mails(sizes.iter().sum());
        let outcomes = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let mut session = open(config(recorder.port())).await;
            let mut outcomes = Vec::new();
            let mut rest = messages.as_slice();
            for size in sizes {
                let (batch, later) = rest.split_at(size);
                outcomes.extend(session.deliver(batch).await);
                rest = later;
            }
            outcomes
        });
        prop_assert_eq!(outcomes.len(), messages.len());
        prop_assert!(recorder.violations().is_empty(), "{:?}", recorder.violations());
        let (received, begun) = (recorder.messages(), recorder.begun());
        for (number, outcome) in outcomes.iter().enumerate() {
            let answers: Vec<_> = received.iter().filter(|m| m.message_id == id(number)).map(|m| m.answer).collect();
            let begun = begun.iter().filter(|b| b.to == [to(number)]).count();
            prop_assert!(answers.len() <= 1 && begun <= 1, "{number} more than once: {answers:?}");
            let answer = answers.first().copied();
            match outcome {
                Outcome::Accepted { .. } => prop_assert_eq!(answer, Some(Some(250))),
                Outcome::Rejected { code, .. } => prop_assert!(answer.is_none() || answer == Some(Some(*code)), "{:?}", answer),
                Outcome::Deferred { code, .. } => prop_assert!(answer.is_none() || answer == Some(*code) && code.is_some(), "{:?}", answer),
                Outcome::Unknown { .. } => prop_assert!(begun == 1 && answer.is_none_or(|answer| answer.is_none()), "{:?}", answer),
            }
        }
    }
}

/// Postfix's own test server, if it is here: not everything that our recorder
/// believes need be true elsewhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_messages_into_smtp_sink() {
    let Some(program) = ["/usr/sbin/smtp-sink", "/usr/lib/postfix/smtp-sink"]
        .iter()
        .find(|path| Path::new(path).exists())
    else {
        assert!(
            std::env::var_os("CI").is_none_or(|ci| ci != "true"),
            "smtp-sink must be there in CI; it comes with Postfix"
        );
        println!("skipped: no smtp-sink on this machine; it comes with Postfix");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let port = support::free_port();
    let mut command = std::process::Command::new(program);
    command.args(["-d", &format!("{}/mail.%S.", dir.path().display())]);
    // It refuses to run as root, who may be the owner of all here in a container.
    let metadata = std::fs::metadata(dir.path()).unwrap();
    if metadata.uid() == 0 {
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).unwrap();
        command.args(["-u", "nobody"]);
    }
    command.args([&format!("127.0.0.1:{port}"), "256"]);
    struct Child(std::process::Child);
    impl Drop for Child {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
    let mut sink = Child(command.spawn().unwrap());
    while tokio::net::TcpStream::connect(("127.0.0.1", port))
        .await
        .is_err()
    {
        assert_eq!(sink.0.try_wait().unwrap(), None, "smtp-sink ended");
        tokio::task::yield_now().await;
    }
    let workers: Vec<_> = (0..4)
        .map(|worker| {
            tokio::spawn(async move {
                let mut session = open(config(port)).await;
                let messages: Vec<_> = (worker * 500..(worker + 1) * 500).map(mail).collect();
                for batch in messages.chunks(PIPELINE_DEPTH) {
                    assert_eq!(letters(&session.deliver(batch).await), "AAAA");
                }
                session.close().await;
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    let mut seen = std::collections::BTreeMap::new();
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for line in text.lines().filter(|line| line.starts_with("Message-ID:")) {
            *seen.entry(line.to_owned()).or_insert(0) += 1;
        }
        assert!(
            text.contains("\n..two dots\n") || text.contains("\n..two dots\r\n"),
            "{text}"
        );
    }
    assert_eq!(seen.len(), 2000);
    assert!(seen.values().all(|&times| times == 1));
}

#[tokio::test]
async fn inv_22_a_sender_that_slept_past_its_lease_begins_no_message() {
    let recorder = Recorder::start();
    let lease = Lease::default();
    lease.renew(Instant::now(), Duration::from_secs(60));
    let held = lease.hold();
    let mut session = open(config(recorder.port())).await;
    let outcomes = session.deliver_while(&mails(2), &held).await;
    assert_eq!(letters(&outcomes), "AA", "{outcomes:?}");
    // Others have given its receipts up in the meantime; that it renews now does not bring them back.
    lease.renew(Instant::now(), Duration::ZERO);
    lease.renew(Instant::now(), Duration::from_secs(60));
    let outcomes = session.deliver_while(&mails(4), &held).await;
    assert_eq!(letters(&outcomes), "DDDD", "{outcomes:?}");
    assert_eq!(recorder.messages().len(), 2);
}
