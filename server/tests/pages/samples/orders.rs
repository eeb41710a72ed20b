//! The orders, and one of them in three states.

use countermand::web::pages::*;

use super::*;

pub(super) const TITLE: &str = "Remove TikTok from phones that read company mail";

pub(super) fn orders(shell: Shell) -> Orders {
    let row =
        |id: &str, title: &str, state, deadline, reach: Option<(u64, u64)>, notices| OrderRow {
            id: id.into(),
            title: title.into(),
            state,
            deadline,
            reach: reach.map(|(people, devices)| (Count(people), Count(devices))),
            notices,
        };
    Orders {
        shell,
        rows: vec![
            row(
                "9XKT",
                "Update WhatsApp to 2.19.134 or later",
                Pill::new(Tone::Quiet, "Draft"),
                When::new("17 Jul 2020, 18:00 CEST", "2020-07-17T18:00:00+02:00"),
                Some((402, 418)),
                None,
            ),
            row(
                "7Q2M",
                TITLE,
                Pill::live(Tone::Deny, "Enforcing"),
                when("23:59", "23:59"),
                Some((11_391, 12_310)),
                Some(Bar::of_receipts(&published())),
            ),
            row(
                "4HBW",
                "Old Android versions",
                Pill::new(Tone::Quiet, "Expired"),
                When::new("1 Mar 2020, 09:00 PST", "2020-03-01T09:00:00-08:00"),
                None,
                Some(Bar::of_receipts(&Receipts {
                    accepted: 61,
                    ..Receipts::default()
                })),
            ),
        ],
        may_draft: true,
        people: Count(25_000),
        devices: Count(25_412),
        refused_now: Count(1_204),
    }
}

pub(super) fn published() -> Receipts {
    Receipts {
        planned: 187,
        claimed: 6,
        in_flight: 2,
        accepted: 10_982,
        rejected: 31,
        unknown: 4,
        cancelled: 0,
    }
}

pub(super) fn step(name: &str, clock: Option<&str>, words: &str, state: StepState) -> Step {
    Step {
        name: name.into(),
        when: clock.map(at),
        words: words.into(),
        state,
    }
}

pub(super) fn rule() -> Rule {
    let pin = |app: &str, platform: &str, id: &str, confidence: &str| Pinned {
        app: app.into(),
        platform: platform.into(),
        package_id: id.into(),
        confidence: confidence.into(),
    };
    Rule {
        sentences: vec![
            "TikTok may not be on a phone or tablet that reads mail, for people in all-staff except brand-social.".into(),
            "A laptop's browser stays free.".into(),
            "Where apps can't be seen, the device is warned and let in.".into(),
        ],
        pinned: vec![
            pin("TikTok", "iOS", "com.zhiliaoapp.musically", "A"),
            pin("TikTok", "Android", "com.zhiliaoapp.musically", "A"),
            pin("TikTok (Asia)", "Android", "com.ss.android.ugc.trill", "A"),
            pin("TikTok Lite", "Android", "com.zhiliaoapp.musically.go", "B"),
        ],
        catalogue: "catalogue of 9 July 2020".into(),
    }
}

pub(super) fn order_enforcing() -> Order {
    Order {
        shell: shell(),
        id: "7Q2M".into(),
        revision: 3,
        title: TITLE.into(),
        reason: "Security risks".into(),
        state: Pill::live(Tone::Deny, "Enforcing since 23:59 PDT, 10 Jul"),
        by_line: "published 12:02 by Ana Ruiz, approved by Ben Okafor".into(),
        only_counts: false,
        acts: fitting(Situation::Published, false, false, true),
        statement: Some("7Q2M".into()),
        warnings: vec![
            "31 people could not be told and are warned, not refused: see the notices.".into(),
        ],
        timeline: vec![
            step("Drafted", Some("11:08"), "by Ana Ruiz", StepState::Done),
            step("Submitted", Some("11:20"), "by Ana Ruiz", StepState::Done),
            step("Approved", Some("11:41"), "by Ben Okafor", StepState::Done),
            step(
                "First part",
                Some("12:02"),
                "1 %, 112 people",
                StepState::Done,
            ),
            step(
                "Published",
                Some("12:17"),
                "to 11,204 people",
                StepState::Done,
            ),
            step("Reminded", Some("17:59"), "again at 22:59", StepState::Done),
            step("Deadline", Some("23:59"), "", StepState::Now(Tone::Deny)),
            step("Expires", None, "10 Jul 2021", StepState::Ahead),
        ],
        figures: vec![
            Figure {
                id: "with-app",
                name: "Devices with the app".into(),
                number: Count(1_204),
                words: "of 12,310 at publication".into(),
            },
            Figure {
                id: "unseen",
                name: "Can't be seen".into(),
                number: Count(318),
                words: "290 work profiles, 28 stale reports: warned".into(),
            },
            Figure {
                id: "refused-now",
                name: "Refused now".into(),
                number: Count(1_173),
                words: "31 more are warned: their people could not be told".into(),
            },
        ],
        notices: Bar::of_receipts(&published()),
        corrections: None,
        refused_when: "last hour".into(),
        refused: [
            ("ActiveSync · nginx", 2_911, "0.4 ms"),
            ("IMAP · Dovecot", 402, "0.6 ms"),
            ("Submission · Dovecot", 57, "0.5 ms"),
            ("Webmail · nginx", 0, "0.4 ms"),
        ]
        .map(|(door, refused, p99)| RefusedAt {
            door: door.into(),
            refused: Count(refused),
            p99: p99.into(),
        })
        .into(),
        doors_view: "All four doors have the present view (0.2 s old).".into(),
        rule: rule(),
        wrong: None,
    }
}

pub(super) fn order_draft() -> Order {
    let none = Bar::of_receipts(&Receipts::default());
    Order {
        shell: Shell {
            observing: true,
            flash: Some(Flash {
                tone: Tone::Allow,
                text: "Saved as revision 2.".into(),
            }),
            ..shell()
        },
        state: Pill::new(Tone::Quiet, "Draft"),
        by_line: "revised 11:14 by Ana Ruiz".into(),
        only_counts: true,
        acts: fitting(Situation::Draft, true, false, false),
        statement: None,
        warnings: vec![],
        timeline: vec![
            step(
                "Drafted",
                Some("11:08"),
                "by Ana Ruiz",
                StepState::Now(Tone::Plain),
            ),
            step("Review", None, "", StepState::Ahead),
            step("Publication", None, "", StepState::Ahead),
            step("Deadline", Some("23:59"), "", StepState::Ahead),
        ],
        notices: none,
        refused: vec![],
        doors_view: "A draft refuses nobody.".into(),
        ..order_enforcing()
    }
}

/// Its notices stopped by themselves; what it refuses, it goes on refusing.
pub(super) fn order_stopped() -> Order {
    Order {
        state: Pill::live(Tone::Warn, "Published, notices stopped"),
        acts: fitting(Situation::Stopped, false, false, true),
        warnings: vec![
            "Its notices stopped by themselves 10 July 2020, 12:19 PDT: 61 notices were rejected, and 1,104 people were told in all: the notices stop above 5% rejected. 10,039 notices wait; its refusals go on. Look into it, then resume the notices, hold the order, or retract it.".into(),
            "3 people say that it looks wrong.".into(),
        ],
        ..order_enforcing()
    }
}

pub(super) fn order_retracted() -> Order {
    let before = order_enforcing();
    Order {
        wrong: Some(Wrong {
            reason: "Sent in error. There is no change to our policies.".into(),
            cause: String::new(),
            may_say: true,
        }),
        state: Pill::new(Tone::Warn, "Retracted at 16:54 PDT, 10 Jul"),
        by_line: "by Rita Osei: “Sent in error. There is no change to our policies.”".into(),
        acts: fitting(Situation::Over, true, true, true),
        figures: vec![
            Figure {
                id: "with-app",
                name: "Devices with the app".into(),
                number: Count(6_120),
                words: "of 12,310 at publication; they may keep it".into(),
            },
            Figure {
                id: "unseen",
                name: "Can't be seen".into(),
                number: Count(318),
                words: "290 work profiles, 28 stale reports".into(),
            },
            Figure {
                id: "refused-now",
                name: "Refused now".into(),
                number: Count(0),
                words: "because of this order; two because of another".into(),
            },
        ],
        warnings: vec![],
        timeline: before.timeline[..5]
            .iter()
            .cloned()
            .chain([
                step("Held", Some("16:50"), "by Rita Osei", StepState::Done),
                step(
                    "Retracted",
                    Some("16:54"),
                    "by Rita Osei",
                    StepState::Now(Tone::Warn),
                ),
            ])
            .collect(),
        notices: Bar::of_receipts(&Receipts {
            accepted: 10_984,
            rejected: 31,
            unknown: 4,
            cancelled: 185,
            ..Receipts::default()
        }),
        corrections: Some(Bar::of_receipts(&Receipts {
            accepted: 6_120,
            in_flight: 32,
            planned: 4_836,
            ..Receipts::default()
        })),
        ..before
    }
}
