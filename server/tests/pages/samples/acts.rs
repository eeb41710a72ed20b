//! What comes before and after an act: preview, confirmation, editing, notices.

use countermand::web::pages::*;

use super::*;

pub(super) fn facts() -> PreviewFacts {
    PreviewFacts {
        people: Count(11_391),
        devices: Count(12_310),
        in_scope: Count(24_877),
        platforms: [("iOS", 7_402), ("Android", 4_690), ("iPadOS", 218)]
            .map(|(name, count)| Tally {
                name: name.into(),
                count: Count(count),
            })
            .into(),
        form_factors: [("Phone", 11_872), ("Tablet", 438)]
            .map(|(name, count)| Tally {
                name: name.into(),
                count: Count(count),
            })
            .into(),
        groups: [
            ("Warehouse North", 2_118),
            ("Marketing", 903),
            ("Executives", 6),
        ]
        .map(|(name, count)| Tally {
            name: name.into(),
            count: Count(count),
        })
        .into(),
        invisible: Count(290),
        stale: Count(28),
        no_report: Count(0),
        exempt: Count(12),
        already_denied: Count(2),
        weak_matches: Count(7),
        weak_enforced: false,
        took: "0.4 ms".into(),
    }
}

pub(super) fn letter(correction: bool) -> Letter {
    let (id, name, subject, text) = if correction {
        (
            "correction",
            "The correction",
            "CORRECTION: you may keep TikTok",
            "Hello Mia,\n\nOur mail “Remove TikTok by tonight to keep mail on your phone” was wrong. You need do nothing. If you removed the app, you may install it again.\n\nWhether this still holds: https://mail.corp.example/o/7Q2M",
        )
    } else {
        (
            "notice",
            "The notice",
            "Remove TikTok by tonight to keep mail on your phone",
            "Hello Mia,\n\nbecause of security risks, TikTok is no longer permitted on phones and tablets that read company mail. Please remove it from your iPhone 15 by 10 July 2020, 23:59 PDT.\n\nTikTok in a laptop's browser stays allowed.\n\nWhether this still holds: https://mail.corp.example/o/7Q2M",
        )
    };
    Letter {
        id: id.into(),
        name: name.into(),
        is_correction: correction,
        from: "IT Security <it-security@corp.example>".into(),
        to: "Mia Lind <mia@corp.example> (a sample)".into(),
        subject: subject.into(),
        language: "en".into(),
        text: text.into(),
    }
}

fn rehearse(person: &str) -> Rehearse {
    let choice = |value: &str, label: &str, chosen| Choice {
        value: value.into(),
        label: label.into(),
        chosen,
    };
    Rehearse {
        person: person.into(),
        kinds: vec![
            choice("order", "The notice", person.is_empty()),
            choice("reminder-1", "Reminder 1", false),
            choice("correction", "The correction", !person.is_empty()),
        ],
        test_to: Some("ben@corp.example".into()),
    }
}

pub(super) fn sample() -> SamplePage {
    let letter = letter(true);
    SamplePage {
        shell: shell(),
        id: "7Q2M".into(),
        title: TITLE.into(),
        rehearse: Some(rehearse("mia@corp.example")),
        error: None,
        sampled: Some(Sampled {
            kind: Pill::new(Tone::Allow, "Correction"),
            headers: vec![
                ("From".into(), letter.from),
                ("To".into(), "Mia Lind <mia@corp.example>".into()),
                ("Subject".into(), letter.subject),
                ("Content-Language".into(), "en".into()),
            ],
            language: "en".into(),
            text: letter.text,
            remarks: vec![
                "As if it were retracted now, for a reason that is yet to be given.".into(),
            ],
        }),
    }
}

pub(super) fn sample_nobody() -> SamplePage {
    SamplePage {
        error: Some("There is nobody called «mia».".into()),
        sampled: None,
        ..sample()
    }
}

pub(super) fn preview() -> Preview {
    Preview {
        shell: Shell {
            who: Who {
                name: "Ben Okafor".into(),
                roles: "approver".into(),
            },
            ..shell()
        },
        id: "7Q2M".into(),
        revision: 3,
        title: TITLE.into(),
        state: Pill::new(Tone::Plain, "In review"),
        facts: facts(),
        rule: rule(),
        hints: vec![Hint {
            place: "[notice], line 30".into(),
            what: "The text says «tonight», and the deadline is 13 Jul 2020, 23:59 PDT.".into(),
            mend: "Write {{ order.comply_by }}.".into(),
        }],
        rehearse: Some(rehearse("")),
        letters: vec![letter(false), letter(true)],
        decision: Some(Decision {
            digest: "9f2c41d07be8".into(),
            words: String::new(),
            error: Some(
                "Sending back takes a few words for the author. Say what should change.".into(),
            ),
        }),
        why_not: None,
        acts: vec![],
    }
}

pub(super) fn effect(number: u64, words: &str, tone: Tone) -> Effect {
    Effect {
        number: Count(number),
        words: words.into(),
        tone,
    }
}

pub(super) fn confirm(act: Act) -> Confirm {
    let effects = match act {
        Act::Publish => vec![
            effect(
                112,
                "people get the notice at once, as the first part",
                Tone::Plain,
            ),
            effect(
                11_092,
                "people get it 15 minutes later, unless rejections or reports stop it",
                Tone::Plain,
            ),
            effect(
                12_310,
                "devices are refused mail after 10 Jul 2020, 23:59 PDT, if the app is still there",
                Tone::Deny,
            ),
        ],
        Act::Resume => vec![
            effect(10_039, "notices go out", Tone::Plain),
            effect(
                1_173,
                "devices are refused now, and stay so: refusals never stopped",
                Tone::Plain,
            ),
        ],
        Act::Hold => vec![
            effect(
                1_204,
                "refused devices may read mail again, with a warning",
                Tone::Allow,
            ),
            effect(187, "notices wait", Tone::Warn),
            effect(
                2,
                "notices are on their way and can't be stopped",
                Tone::Plain,
            ),
        ],
        Act::Extend => vec![effect(
            1_204,
            "devices may read mail until the new deadline",
            Tone::Allow,
        )],
        _ => vec![
            effect(
                1_204,
                "devices may read mail again at their next request",
                Tone::Allow,
            ),
            effect(
                187,
                "notices not yet sent are cancelled; 2 are on their way and count as told",
                Tone::Plain,
            ),
            effect(
                10_988,
                "people get the correction, ahead of all other mail: all who were told, or may have been",
                Tone::Plain,
            ),
            effect(
                1,
                "statement changes to “Retracted”, with the time and your words",
                Tone::Plain,
            ),
        ],
    };
    Confirm {
        shell: shell(),
        act,
        id: "7Q2M".into(),
        title: TITLE.into(),
        effects,
        notes: if act == Act::Retract {
            vec![
                "Two devices stay refused: another order, “Old Android versions”, names them too."
                    .into(),
            ]
        } else {
            vec![]
        },
        reason: if act == Act::Retract {
            "Sent in error. There is no change to our policies.".into()
        } else {
            String::new()
        },
        to: if act == Act::Extend {
            "2020-07-12T23:59:00[America/Los_Angeles]".into()
        } else {
            String::new()
        },
        digest: if act == Act::Publish {
            "9f2c41d07be8".into()
        } else {
            String::new()
        },
        error: None,
        may_hold: true,
        only_notices: false,
    }
}

pub(super) fn done() -> Done {
    Done {
        shell: shell(),
        id: "7Q2M".into(),
        statement: "7Q2M".into(),
        title: TITLE.into(),
        state: Pill::new(Tone::Warn, "Retracted at 16:54 PDT, 10 Jul 2020"),
        heading: "The order no longer holds".into(),
        effects: vec![
            effect(1_204, "devices may read mail again", Tone::Allow),
            effect(185, "notices were cancelled", Tone::Plain),
            effect(
                2,
                "notices were on their way and count as told",
                Tone::Plain,
            ),
            effect(
                10_988,
                "corrections are on their way, ahead of all other mail",
                Tone::Plain,
            ),
        ],
    }
}

pub(super) const FILE: &str = "title  = \"Remove TikTok from phones that read company mail\"\nreason = \"Security risks\"\n\n[forbid]\napps = [\"tiktok\"]\non   = [\"phone\", \"tablet\"]\n\n[allow]\nweb_on = [\"laptop\"]\n\n[audience]\ngroups        = [\"all-staff\"]\nexcept_groups = [\"brand-social\"]\n\n[deadline]\ncomply_by = \"2020-07-10T23:59:00[America/Los_Angeles]\"\n";

pub(super) fn edit_new() -> Edit {
    Edit {
        shell: shell(),
        id: None,
        title: None,
        text: FILE.into(),
        problems: vec![],
        hints: vec![],
        facts: Some(facts()),
    }
}

pub(super) fn edit_problems() -> Edit {
    Edit {
        id: Some("7Q2M".into()),
        title: Some(TITLE.into()),
        text: FILE.replace("apps", "app"),
        problems: vec![
            Problem {
                line: Some(5),
                source: Some("app = [\"tiktok\"]".into()),
                what: "There is no key “app” in [forbid].".into(),
                mend: "Did you mean “apps”?".into(),
            },
            Problem {
                line: None,
                source: None,
                what: "There is no [correction].".into(),
                mend: "Write subject and body of the mail that takes this order back.".into(),
            },
        ],
        facts: None,
        ..edit_new()
    }
}

pub(super) fn notices() -> Notices {
    Notices {
        shell: shell(),
        id: "7Q2M".into(),
        title: TITLE.into(),
        kinds: vec![
            KindRow {
                name: "Order".into(),
                bar: Bar::of_receipts(&published()),
            },
            KindRow {
                name: "Reminder".into(),
                bar: Bar::of_receipts(&Receipts {
                    planned: 1_204,
                    ..Receipts::default()
                }),
            },
            KindRow {
                name: "Correction".into(),
                bar: Bar::of_receipts(&Receipts::default()),
            },
        ],
        channels: vec![ChannelRow {
            name: "staff-chat".into(),
            announcement: "accepted".into(),
            correction: "–".into(),
            words: "200".into(),
        }],
        untold: vec![
            Untold {
                person: "Noor Haddad <noor@corp.example>".into(),
                kind: "order".into(),
                state: "rejected".into(),
                when: at("12:31"),
                words: "550 5.1.1 no such mailbox".into(),
            },
            Untold {
                person: "Jo Berg <jo@corp.example>".into(),
                kind: "order".into(),
                state: "unknown".into(),
                when: at("12:33"),
                words: "No answer after the final dot within 60 s".into(),
            },
        ],
        unnamed: None,
        pager: Pager::new("/orders/7Q2M/notices", 1, 50, 35),
    }
}
