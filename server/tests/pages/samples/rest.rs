//! The mailbox, the doors, the record, and the pages for everybody.

use countermand::web::pages::*;

use super::*;

pub(super) fn sign_in(error: Option<&str>) -> SignIn {
    SignIn {
        csrf: CSRF.into(),
        email: "rita@corp.example".into(),
        next: Some("/orders/7Q2M".into()),
        error: error.map(str::to_owned),
        demo: vec![],
    }
}

pub(super) fn set_up() -> SetUp {
    SetUp {
        csrf: CSRF.into(),
        token: "one-time".into(),
        email: "ana@corp.example".into(),
        least_length: 12,
        error: Some("The two passwords differ. Type the same one twice.".into()),
    }
}

pub(super) fn error(status: u16, what: &str, mend: &str) -> ErrorPage {
    ErrorPage {
        status,
        what: what.into(),
        mend: mend.into(),
        reference: "E-3KD8-9P".into(),
    }
}

pub(super) fn mailbox() -> Mailbox {
    let row = |id: &str, clock: &str, to: &str, subject: &str, tone, kind: &str| MailRow {
        id: id.into(),
        when: at(clock),
        to: to.into(),
        subject: subject.into(),
        kind: Pill::new(tone, kind),
    };
    Mailbox {
        shell: shell(),
        rows: vec![
            row(
                "m3",
                "16:54",
                "mia@corp.example",
                "CORRECTION: you may keep TikTok",
                Tone::Allow,
                "Correction",
            ),
            row(
                "m2",
                "16:30",
                "sam@corp.example",
                "Your phone can't read mail just now",
                Tone::Deny,
                "Blocked",
            ),
            row(
                "m1",
                "12:17",
                "mia@corp.example",
                "Remove TikTok by tonight to keep mail on your phone",
                Tone::Plain,
                "Order",
            ),
        ],
        pager: Pager::new("/mailbox", 2, 50, 11_204),
        search: String::new(),
    }
}

pub(super) fn mail() -> Mail {
    let letter = letter(true);
    Mail {
        shell: shell(),
        subject: letter.subject.clone(),
        kind: Pill::new(Tone::Allow, "Correction"),
        when: when("16:54", "16:54"),
        headers: [
            ("From", letter.from.as_str()),
            ("To", "Mia Lind <mia@corp.example>"),
            ("Subject", letter.subject.as_str()),
            (
                "Message-ID",
                "<7q2m.correction.01923f0a4c6b7d8e9f00112233445566@corp.example>",
            ),
            (
                "In-Reply-To",
                "<7q2m.order.01923f0a4c6b7d8e9f00112233445566@corp.example>",
            ),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
        text: letter.text,
        has_html: true,
        order: Some("7Q2M".into()),
    }
}

pub(super) fn doors(shell: Shell) -> Doors {
    let gate = |name: &str, asked, let_in, warned, refused, p99: &str, age: &str, state| GateRow {
        name: name.into(),
        asked: Count(asked),
        let_in: Count(let_in),
        warned: Count(warned),
        refused: Count(refused),
        would_refuse: Count(0),
        p99: p99.into(),
        view_age: age.into(),
        state,
    };
    Doors {
        shell,
        gates: vec![
            gate(
                "ActiveSync · nginx",
                182_377,
                176_402,
                3_064,
                2_911,
                "0.4 ms",
                "0.2 s",
                Pill::new(Tone::Allow, "Up to date"),
            ),
            gate(
                "IMAP · Dovecot",
                41_022,
                40_511,
                109,
                402,
                "0.6 ms",
                "0.2 s",
                Pill::new(Tone::Allow, "Up to date"),
            ),
            gate(
                "Submission · Dovecot",
                8_120,
                8_063,
                0,
                57,
                "0.5 ms",
                "14 min",
                Pill::new(Tone::Deny, "Old view"),
            ),
        ],
        counted: "since the start at 08:00 PDT".into(),
        may_open: true,
        may_set_mode: true,
        reason: String::new(),
        error: None,
    }
}

pub(super) fn audit(first_bad: Option<Count>) -> Audit {
    let row = |number, clock: &str, actor: &str, by_shell, what: &str, order: bool| AuditRow {
        number: Count(number),
        when: at(clock),
        actor: actor.into(),
        by_shell,
        what: what.into(),
        order: order.then(|| ("7Q2M".into(), TITLE.into())),
    };
    Audit {
        shell: shell(),
        verified: Verified {
            entries: Count(1_019),
            head: "9f2c41d07be85a11".into(),
            first_bad,
            when: at("17:00"),
        },
        order: None,
        rows: vec![
            row(
                1_019,
                "16:54",
                "rita@corp.example",
                false,
                "Retracted: “Sent in error. There is no change to our policies.”",
                true,
            ),
            row(1_018, "16:50", "rita@corp.example", true, "Held", true),
            row(1_017, "12:02", "ana@corp.example", false, "Published", true),
            row(
                1_016,
                "09:00",
                "local:mdm",
                true,
                "Imported 25,412 devices",
                false,
            ),
        ],
        pager: Pager::new("/audit", 1, 50, 1_019),
    }
}

pub(super) fn statement(state: StatementState, as_of: Option<When>) -> Statement {
    let (note, first) = match state {
        StatementState::InForce => (
            "Phones and tablets that read company mail may not have TikTok. If you are not sure whether a copy of a mail about it is right, this page is.",
            None,
        ),
        StatementState::OnHold => (
            "No device is refused because of it until it is taken up again, and you need not do anything before then.",
            Some(("16:50", "On hold.", "It is being looked at.")),
        ),
        _ => (
            "The mail of 12:17 PDT was sent in error. There is no change to our policies. You need do nothing; if you removed the app, you may install it again. Mail was refused to no one.",
            Some((
                "16:54",
                "Retracted.",
                "Sent in error. 10,988 people were told and get a correction.",
            )),
        ),
    };
    let row = |(clock, what, words): (&str, &str, &str)| HistoryRow {
        when: when(clock, clock),
        what: what.into(),
        words: words.into(),
    };
    Statement {
        organisation: "Example Corp".into(),
        id: "7Q2M".into(),
        title: TITLE.into(),
        state,
        since: match state {
            StatementState::InForce => when("12:17", "12:17"),
            StatementState::OnHold => when("16:50", "16:50"),
            _ => when("16:54", "16:54"),
        },
        note: note.into(),
        notice: None,
        wrong: (state == StatementState::Retracted).then(|| "Sent in error.".into()),
        cause: None,
        told: "10,988 people were told".into(),
        history: first.into_iter().chain([("12:17", "Published", "to 11,204 people, to be followed by 23:59 PDT."), ("12:02", "First part", "published to 112 people.")]).map(row).collect(),
        order: AsItWas {
            subject: "Remove TikTok by tonight to keep mail on your phone".into(),
            reason: "Security risks".into(),
            comply_by: when("23:59", "23:59"),
            body: SafeHtml("<p>TikTok is no longer permitted on phones and tablets that read company mail. Please remove it by tonight.</p><p>TikTok in a laptop's browser stays <strong>allowed</strong>.</p>".into()),
        },
        as_of,
    }
}

pub(super) fn refused() -> Refused {
    Refused {
        because: vec![RefusedFor {
            app: "TikTok".into(),
            device: "iPhone 15".into(),
            seen: at("18:20"),
            source: "the device manager".into(),
        }],
        fallback: None,
        orders: vec![RefusingOrder {
            title: TITLE.into(),
            statement: "https://mail.corp.example/o/7Q2M".into(),
        }],
        handset: Some(Handset::Ios),
        reference: "R-7Q2M-4F".into(),
    }
}

pub(super) fn refused_by(fallback: Fallback) -> Refused {
    Refused {
        because: vec![],
        fallback: Some(fallback),
        handset: None,
        ..refused()
    }
}

/// With the link of a notice that the reader got.
pub(super) fn statement_for(notice: NoticeCheck, state: StatementState) -> Statement {
    Statement {
        notice: Some(notice),
        cause: Some("A draft for another audience was published.".into()),
        ..statement(state, None)
    }
}

pub(super) fn genuine(holds: &str, report: bool) -> NoticeCheck {
    NoticeCheck {
        genuine: true,
        heading: "This notice is genuine.".into(),
        words: "It was sent by Example Corp on 10 Jul 2020, 12:17 PDT as the order itself.".into(),
        said: Some(format!(
            "“{TITLE}”: remove TikTok by 10 Jul 2020, 23:59 PDT."
        )),
        holds: holds.into(),
        report: report.then(|| "R0M0000000000FGW35P0TZ7H3S8KD2B4C9QX1N6V5J8A2E7G".into()),
        recognise: None,
    }
}

/// A notice of a refusal, whose reader can have the device recognised.
pub(super) fn refused_device() -> NoticeCheck {
    NoticeCheck {
        words: "It was sent by Example Corp on 11 Jul 2020, 08:02 PDT when mail was refused because of this order.".into(),
        said: Some(format!("“{TITLE}”: mail was refused to a device because of TikTok.")),
        report: None,
        recognise: Some("R0M0000000000FGW35P0TZ7H3S8KD2B4C9QX1N6V5J8A2E7G".into()),
        ..genuine("It still holds.", false)
    }
}

pub(super) fn recognised() -> RecognisedPage {
    RecognisedPage {
        organisation: "Example Corp".into(),
        id: "7Q2M".into(),
        token: "R0M0000000000FGW35P0TZ7H3S8KD2B4C9QX1N6V5J8A2E7G".into(),
        words: "Open your mail on it again.",
    }
}

pub(super) fn devices() -> Devices {
    Devices {
        shell: Shell {
            may_look_up: true,
            ..shell()
        },
        asked: "R-7Q2M-4F".into(),
        error: None,
        found: Some(Found {
            refusals: vec![RefusalRow {
                reference: "R-7Q2M-4F".into(),
                person: "mia.lind@corp.example".into(),
                keys: "eas:ROTATED".into(),
                last: at("16:40"),
                times: "3 times".into(),
                why: "the device is not known".into(),
            }],
            devices: vec![DeviceRow {
                person: "mia.lind@corp.example".into(),
                what: "phone (ios)".into(),
                keys: "eas:DEV7F3A, mdm:csv:42".into(),
                last_report: None,
            }],
            claims: vec![
                ClaimRow {
                    key: "eas:ROTATED".into(),
                    person: "mia.lind@corp.example".into(),
                    when: at("12:17"),
                    first: true,
                },
                ClaimRow {
                    key: "eas:ROTATED".into(),
                    person: "tom.reed@corp.example".into(),
                    when: at("16:40"),
                    first: false,
                },
            ],
        }),
        word: WordFields {
            key: "eas:ROTATED".into(),
            person: "mia.lind@corp.example".into(),
            ..WordFields::default()
        },
    }
}

pub(super) fn forged() -> NoticeCheck {
    NoticeCheck {
        genuine: false,
        heading: "This is not a genuine notice of this order.".into(),
        words: "Don't do what it says, and follow no other link in it. Show the whole message to your helpdesk.".into(),
        said: None,
        holds: String::new(),
        report: None,
        recognise: None,
    }
}

pub(super) fn reported() -> Reported {
    Reported {
        organisation: "Example Corp".into(),
        id: "7Q2M".into(),
        token: "R0M0000000000FGW35P0TZ7H3S8KD2B4C9QX1N6V5J8A2E7G".into(),
        title: TITLE.into(),
        words: "It is counted, once a person. When enough people say so, the order sends no more notices until a responder has looked at it.",
    }
}
