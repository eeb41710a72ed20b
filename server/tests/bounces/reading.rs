//! What the parser makes of each shape.

use countermand::outbox::bounces::report::{Report, Verdict, read};
use countermand_core::id::OrderId;
use proptest::prelude::*;

use super::letters::*;

const MARK: &str = "03000000000100000123456789abcdef0123";

fn blanks() -> Blanks {
    Blanks {
        to: "mia@corp.test".to_owned(),
        bounce: "bounces@corp.test".to_owned(),
        message_id: "cm.00112233445566778899aabbccddeeff@corp.test".to_owned(),
        order: OrderId(uuid::Uuid::from_u128(7)),
        mark: MARK.to_owned(),
    }
}

fn of(letter: &str) -> Report {
    let report = read(&[], &blanks().fill(letter));
    // Line ends as a program on Unix may have made them.
    let unix = String::from_utf8(blanks().fill(letter))
        .unwrap()
        .replace("\r\n", "\n");
    assert_eq!(read(&[], unix.as_bytes()), report);
    report
}

#[test]
fn every_shape_of_a_failure_names_the_notice_and_says_why() {
    for (letter, status, words) in [
        (
            POSTFIX,
            "5.1.1",
            "550 5.1.1 <mia@corp.test>: no such mailbox here",
        ),
        (
            POSTFIX_EXPIRED,
            "4.4.1",
            "connect to mx.corp.test[192.0.2.25]:25: Connection timed out",
        ),
        (EXIM, "5.0.0", "550 No such user here"),
        (EXIM_OLD, "5.1.1", "550 5.1.1 No such user here"),
        (
            EXCHANGE,
            "5.1.10",
            "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
        ),
        (
            GMAIL,
            "5.1.1",
            "550-5.1.1 The email account that you tried to reach does not exist. Please try 550-5.1.1 double-checking the recipient's email address for typos",
        ),
    ] {
        let report = of(letter);
        assert_eq!(report.verdict, Verdict::Failed, "{report:?}");
        assert_eq!(
            (report.status.as_str(), report.words.as_str()),
            (status, words)
        );
        assert_eq!(report.marks, [MARK]);
        assert_eq!(report.message_ids, [blanks().message_id]);
        assert_eq!(report.order, Some(blanks().order.to_string()));
        assert!(report.recipients.contains(&blanks().to), "{report:?}");
    }
}

#[test]
fn delays_receipts_and_answers_are_no_failures() {
    for (letter, verdict) in [
        (POSTFIX_DELAYED, Verdict::Delayed),
        (POSTFIX_RELAYED, Verdict::Delivered),
        (VACATION, Verdict::AutoReply),
        (PERSON, Verdict::Other),
    ] {
        assert_eq!(of(letter).verdict, verdict, "{letter}");
    }
    for nothing in [
        &b""[..],
        b"\r\n",
        b"\0\0\0",
        b"no header at all",
        &[0xff; 9],
    ] {
        assert_eq!(read(&[], nothing).verdict, Verdict::Other);
    }
}

#[test]
fn a_mark_is_found_in_the_address_that_the_bounce_came_to() {
    let verp = Blanks {
        bounce: format!("bounces+{MARK}@corp.test"),
        mark: String::new(),
        ..blanks()
    };
    // Exchange has no line for it but To, the others have one of their own.
    for letter in [POSTFIX, EXIM, EXIM_OLD, EXCHANGE, GMAIL] {
        assert_eq!(read(&[], &verp.fill(letter)).marks, [MARK]);
    }
    let came_to = vec![format!("bounces+{}@corp.test", MARK.to_uppercase())];
    assert_eq!(read(&came_to, b"X: y\r\n\r\n").marks, [MARK.to_uppercase()]);
    for odd in [
        "bounces@corp.test",
        "bounces+x@corp.test",
        "+",
        "",
        "@",
        "a+b",
    ] {
        assert!(read(&[odd.to_owned()], b"").marks.is_empty());
    }
}

#[test]
fn who_got_it_in_one_of_several_mailboxes_was_reached() {
    let text = String::from_utf8(blanks().fill(POSTFIX)).unwrap();
    let also = "Remote-MTA: dns; mx.corp.test\r\n";
    let group = "Final-Recipient: rfc822; mia@other.test\r\nAction: ACTION\r\nStatus: 2.0.0\r\n";
    let with = |action: &str| {
        let group = group.replace("ACTION", action);
        text.replace(also, &format!("{also}\r\n{group}"))
    };
    assert_eq!(
        read(&[], with("delivered").as_bytes()).verdict,
        Verdict::Delivered
    );
    assert_eq!(
        read(&[], with("expanded").as_bytes()).verdict,
        Verdict::Delivered
    );
    assert_eq!(
        read(&[], with("delayed").as_bytes()).verdict,
        Verdict::Failed
    );
}

#[test]
fn a_servers_words_are_one_line_and_not_long() {
    let long = "x\u{1b}[31m ".repeat(1_000);
    let text = POSTFIX.replace("no such\n", &format!("{long}\n"));
    let report = read(&[], &blanks().fill(&text));
    assert_eq!(report.verdict, Verdict::Failed);
    assert!(report.words.chars().count() <= 500);
    assert!(
        !report.words.contains(char::is_control),
        "{:?}",
        report.words
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Cut, doubled, shuffled and bitten bounces: anything but a panic, and never more than it holds.
    #[test]
    fn a_mangled_bounce_never_panics(
        which in 0..ALL.len(),
        cuts in prop::collection::vec((0.0..1.0f64, 0.0..1.0f64, any::<u8>()), 0..12),
    ) {
        let mut bytes = blanks().fill(ALL[which]);
        for (from, to, how) in cuts {
            let at = |share: f64| (share * bytes.len() as f64) as usize;
            let (from, to) = (at(from).min(at(to)), at(from).max(at(to)));
            match how % 4 {
                0 => { bytes.drain(from..to); }
                1 => { let piece = bytes[from..to.min(from + 400)].to_vec(); bytes.splice(to..to, piece); }
                2 => { if let Some(byte) = bytes.get_mut(from) { *byte = how; } }
                _ => bytes[from..to].reverse(),
            }
            if bytes.is_empty() { break; }
        }
        let report = read(&[], &bytes);
        prop_assert!(report.words.chars().count() <= 500);
        prop_assert!(report.recipients.len() <= 100 && report.marks.len() <= 50 && report.message_ids.len() <= 50);
    }

    #[test]
    fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        read(&[], &bytes);
    }
}
