//! One afternoon in July 2020, as page structs.

use askama::Template;
use countermand::web::pages::*;

pub const CSRF: &str = "token-of-this-session";

pub struct Sample {
    pub name: &'static str,
    pub html: String,
    /// Shown through a proxy, so it has its style with it.
    pub carries_style: bool,
}

fn page(name: &'static str, page: impl Template) -> Sample {
    Sample {
        name,
        html: page.render().unwrap(),
        carries_style: name.starts_with("refused"),
    }
}

pub fn samples() -> Vec<Sample> {
    vec![
        page("sign_in", sign_in(None)),
        page(
            "sign_in_failed",
            sign_in(Some(
                "The address and the password don't fit together. Try again, or ask an admin for a new link.",
            )),
        ),
        page("set_up", set_up()),
        page(
            "error_403",
            error(
                403,
                "Retracting takes the role responder; you are author, viewer.",
                "Ask a responder, or an admin for the role.",
            ),
        ),
        page(
            "error_422",
            error(
                422,
                "The word typed was “Remov”, and the title begins with “Remove”.",
                "Go back and type it again; nothing has changed.",
            ),
        ),
        page("orders", orders(shell())),
        page(
            "orders_empty",
            Orders {
                rows: vec![],
                people: 25_000.into(),
                devices: 25_412.into(),
                refused_now: 0.into(),
                ..orders(Shell {
                    observing: true,
                    ..shell()
                })
            },
        ),
        page("orders_doors_open", orders(doors_open())),
        page("order_draft", order_draft()),
        page("order_enforcing", order_enforcing()),
        page("order_retracted", order_retracted()),
        page("preview", preview()),
        page("publish", confirm(Act::Publish)),
        page("hold", confirm(Act::Hold)),
        page("extend", confirm(Act::Extend)),
        page("retract", confirm(Act::Retract)),
        page(
            "retract_refused",
            Confirm {
                error: Some(
                    "The word typed was “Remov”. Type “Remove”; nothing has changed yet.".into(),
                ),
                ..confirm(Act::Retract)
            },
        ),
        page("retracted", done()),
        page("new_order", edit_new()),
        page("edit_problems", edit_problems()),
        page("notices", notices()),
        page("mailbox", mailbox()),
        page(
            "mailbox_empty",
            Mailbox {
                rows: vec![],
                pager: Pager::new("/mailbox", 1, 50, 0),
                ..mailbox()
            },
        ),
        page("mail", mail()),
        page("doors", doors(shell())),
        page("doors_opened", doors(doors_open())),
        page("audit", audit(None)),
        page("audit_broken", audit(Some(Count(1_017)))),
        page(
            "statement_in_force",
            statement(StatementState::InForce, None),
        ),
        page(
            "statement_retracted",
            statement(StatementState::Retracted, None),
        ),
        page(
            "statement_cached",
            statement(StatementState::OnHold, Some(when("16:58", "16:58"))),
        ),
        page("refused", refused()),
        page(
            "refused_unknown_handset",
            Refused {
                handset: None,
                ..refused()
            },
        ),
        page("refused_unseen", refused_by(Fallback::Invisible)),
        page(
            "refused_unknown_device",
            refused_by(Fallback::UnknownDevice),
        ),
    ]
}

/// Pages whose every free text tries to be more than text.
pub fn hostile() -> Vec<Sample> {
    let bad = || "<script>alert(1)</script>\"><img src=x>".to_owned();
    let mut order = order_enforcing();
    order.title = bad();
    order.reason = bad();
    order.state.text = bad();
    order.timeline[0].words = bad();
    order.rule.sentences = vec![bad()];
    let mut list = orders(doors_open());
    list.rows[0].title = bad();
    let mut statement = statement(StatementState::Retracted, None);
    statement.title = bad();
    statement.note = bad();
    statement.organisation = bad();
    let mut refused = refused();
    refused.because[0].app = bad();
    refused.because[0].device = bad();
    refused.orders[0].title = bad();
    vec![
        page("order", order),
        page("orders", list),
        page("statement", statement),
        page("refused", refused),
        page(
            "retract",
            Confirm {
                title: bad(),
                reason: bad(),
                ..confirm(Act::Retract)
            },
        ),
        page(
            "retracted",
            Done {
                title: bad(),
                ..done()
            },
        ),
        page(
            "preview",
            Preview {
                title: bad(),
                letters: vec![Letter {
                    subject: bad(),
                    text: bad(),
                    ..letter(true)
                }],
                ..preview()
            },
        ),
        page(
            "edit",
            Edit {
                text: bad(),
                title: Some(bad()),
                ..edit_problems()
            },
        ),
        page(
            "mail",
            Mail {
                subject: bad(),
                text: bad(),
                headers: vec![(bad(), bad())],
                ..mail()
            },
        ),
        page(
            "mailbox",
            Mailbox {
                search: bad(),
                ..mailbox()
            },
        ),
        page(
            "audit",
            Audit {
                order: Some((bad(), bad())),
                ..audit(None)
            },
        ),
        page(
            "notices",
            Notices {
                title: bad(),
                ..notices()
            },
        ),
        page(
            "sign_in",
            SignIn {
                email: bad(),
                next: Some(bad()),
                ..sign_in(Some(&bad()))
            },
        ),
        page("error", error(404, &bad(), &bad())),
    ]
}

fn when(text: &str, clock: &str) -> When {
    let text = if text.contains("20") && text.len() > 5 {
        text.to_owned()
    } else {
        format!("10 Jul 2020, {text} PDT")
    };
    When::new(text, format!("2020-07-10T{clock}:00-07:00"))
}

fn at(clock: &str) -> When {
    When::new(
        format!("10 Jul, {clock} PDT"),
        format!("2020-07-10T{clock}:00-07:00"),
    )
}

fn shell() -> Shell {
    Shell {
        who: Who {
            name: "Rita Osei".into(),
            roles: "responder, viewer".into(),
        },
        csrf: CSRF.into(),
        observing: false,
        doors_open: None,
        flash: None,
        warnings: vec![],
        has_mailbox: true,
    }
}

fn doors_open() -> Shell {
    Shell {
        doors_open: Some(DoorsOpen { since: at("16:40"), by: "Rita Osei".into(), reason: "Switchboard can't read the rota".into() }),
        flash: Some(Flash { tone: Tone::Allow, text: "All doors are open. Close them on this page when it is over.".into() }),
        warnings: vec!["Only one person can approve: nobody can approve what Ben Okafor writes. An admin can give the role approver to one more.".into()],
        ..shell()
    }
}

fn sign_in(error: Option<&str>) -> SignIn {
    SignIn {
        csrf: CSRF.into(),
        email: "rita@corp.example".into(),
        next: Some("/orders/7Q2M".into()),
        error: error.map(str::to_owned),
    }
}

fn set_up() -> SetUp {
    SetUp {
        csrf: CSRF.into(),
        token: "one-time".into(),
        email: "ana@corp.example".into(),
        least_length: 12,
        error: Some("The two passwords differ. Type the same one twice.".into()),
    }
}

fn error(status: u16, what: &str, mend: &str) -> ErrorPage {
    ErrorPage {
        status,
        what: what.into(),
        mend: mend.into(),
        reference: "E-3KD8-9P".into(),
    }
}

const TITLE: &str = "Remove TikTok from phones that read company mail";

fn orders(shell: Shell) -> Orders {
    let row = |id: &str, title: &str, state, deadline, people, devices, notices| OrderRow {
        id: id.into(),
        title: title.into(),
        state,
        deadline,
        people: Count(people),
        devices: Count(devices),
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
                402,
                418,
                None,
            ),
            row(
                "7Q2M",
                TITLE,
                Pill::live(Tone::Deny, "Enforcing"),
                when("23:59", "23:59"),
                11_391,
                12_310,
                Some(Bar::of_receipts(&published())),
            ),
            row(
                "4HBW",
                "Old Android versions",
                Pill::new(Tone::Quiet, "Expired"),
                When::new("1 Mar 2020, 09:00 PST", "2020-03-01T09:00:00-08:00"),
                61,
                64,
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

fn published() -> Receipts {
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

fn step(name: &str, clock: Option<&str>, words: &str, state: StepState) -> Step {
    Step {
        name: name.into(),
        when: clock.map(at),
        words: words.into(),
        state,
    }
}

fn rule() -> Rule {
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

fn order_enforcing() -> Order {
    let point = |clock: &str, hour: i64, value| CurvePoint {
        seconds: hour * 3600,
        when: at(clock),
        value: Count(value),
    };
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
        published: true,
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
        curve: Some(Curve {
            what: "Devices with the app".into(),
            points: vec![
                point("12:00", 0, 12_310),
                point("14:00", 2, 9_120),
                point("16:00", 4, 6_240),
                point("18:00", 6, 4_011),
                point("20:00", 8, 2_950),
                point("22:00", 10, 1_871),
                point("23:59", 12, 1_290),
            ],
            deadline: Some(point("23:59", 12, 0)),
        }),
        refused_when: "last hour".into(),
        refused: [
            ("ActiveSync · nginx", 2_911, "0.4 ms"),
            ("IMAP · Dovecot", 402, "0.6 ms"),
            ("Submission · Postfix", 57, "0.5 ms"),
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
        exports: exports(false),
    }
}

fn exports(outstanding: bool) -> Vec<ExportRow> {
    vec![ExportRow {
        target: "Intune compliance policy".into(),
        taken: at("12:20"),
        by: "Ana Ruiz".into(),
        outstanding,
        undo: "countermand order export 7Q2M --to intune --undo -o undo.json".into(),
    }]
}

fn order_draft() -> Order {
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
        published: false,
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
        curve: None,
        refused: vec![],
        doors_view: "A draft refuses nobody.".into(),
        exports: vec![],
        ..order_enforcing()
    }
}

fn order_retracted() -> Order {
    let before = order_enforcing();
    Order {
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
        exports: exports(true),
        ..before
    }
}

fn facts() -> PreviewFacts {
    PreviewFacts {
        people: Count(11_391),
        devices: Count(12_310),
        in_scope: Count(24_877),
        platforms: [
            ("iOS", 7_402, 41),
            ("Android", 4_690, 277),
            ("iPadOS", 218, 0),
        ]
        .map(|(name, has, unseen)| PlatformRow {
            name: name.into(),
            has: Count(has),
            unseen: Count(unseen),
        })
        .into(),
        form_factors: [("Phone", 11_872), ("Tablet", 438)]
            .map(|(name, count)| Tally {
                name: name.into(),
                count: Count(count),
            })
            .into(),
        groups: [
            ("Warehouse North", 2_118, "61 %"),
            ("Marketing", 903, "57 %"),
            ("Executives", 6, "21 %"),
        ]
        .map(|(name, people, share)| GroupRow {
            name: name.into(),
            people: Count(people),
            share: share.into(),
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
        change: Some("+ 214 devices since the last change (tablet added)".into()),
    }
}

fn letter(correction: bool) -> Letter {
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
        text: text.into(),
    }
}

fn preview() -> Preview {
    Preview {
        shell: Shell { who: Who { name: "Ben Okafor".into(), roles: "approver".into() }, ..shell() },
        id: "7Q2M".into(),
        revision: 3,
        title: TITLE.into(),
        state: Pill::new(Tone::Plain, "In review"),
        facts: facts(),
        rule: rule(),
        letters: vec![letter(false), letter(true)],
        lints: vec!["The deadline is in 11 h 57 min, and for 1,840 people most of that is night. Consider a longer grace for them.".into()],
        decision: Some(Decision { digest: "9f2c41d07be8".into(), words: String::new(), error: Some("Sending back takes a few words for the author. Say what should change.".into()) }),
        why_not: None,
        acts: vec![],
    }
}

fn effect(number: u64, words: &str, tone: Tone) -> Effect {
    Effect {
        number: Count(number),
        words: words.into(),
        tone,
    }
}

fn confirm(act: Act) -> Confirm {
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
    }
}

fn done() -> Done {
    Done {
        shell: shell(),
        id: "7Q2M".into(),
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
        notes: vec![
            "Two devices stay refused: another order, “Old Android versions”, names them too."
                .into(),
        ],
        exports_outstanding: exports(true),
    }
}

const FILE: &str = "title  = \"Remove TikTok from phones that read company mail\"\nreason = \"Security risks\"\n\n[forbid]\napps = [\"tiktok\"]\non   = [\"phone\", \"tablet\"]\n\n[allow]\nweb_on = [\"laptop\"]\n\n[audience]\ngroups        = [\"all-staff\"]\nexcept_groups = [\"brand-social\"]\n\n[deadline]\ncomply_by = \"2020-07-10T23:59:00[America/Los_Angeles]\"\n";

fn edit_new() -> Edit {
    Edit {
        shell: shell(),
        id: None,
        title: None,
        text: FILE.into(),
        problems: vec![],
        lints: vec![Problem { line: Some(16), source: None, what: "The deadline is in 11 h 57 min.".into(), mend: "1,840 people are in zones where it is night for most of that time. Consider a longer grace for them.".into() }],
        facts: Some(facts()),
    }
}

fn edit_problems() -> Edit {
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
        lints: vec![],
        facts: None,
        ..edit_new()
    }
}

fn notices() -> Notices {
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
        pager: Pager::new("/orders/7Q2M/notices", 1, 50, 35),
    }
}

fn mailbox() -> Mailbox {
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

fn mail() -> Mail {
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

fn doors(shell: Shell) -> Doors {
    let gate = |name: &str, asked, let_in, warned, refused, p99: &str, age: &str, state| GateRow {
        name: name.into(),
        asked: Count(asked),
        let_in: Count(let_in),
        warned: Count(warned),
        refused: Count(refused),
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
                "Submission · Postfix",
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

fn audit(first_bad: Option<Count>) -> Audit {
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

fn statement(state: StatementState, as_of: Option<When>) -> Statement {
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
        since: when("16:54", "16:54"),
        note: note.into(),
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

fn refused() -> Refused {
    Refused {
        organisation: "Example Corp".into(),
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
        own_page: "https://mail.corp.example/me".into(),
        handset: Some(Handset::Ios),
        still_allowed: Some("You may go on using TikTok in your laptop's browser.".into()),
        reference: "R-7Q2M-4F".into(),
        helpdesk: Some("the helpdesk at extension 4400".into()),
    }
}

fn refused_by(fallback: Fallback) -> Refused {
    Refused {
        because: vec![],
        fallback: Some(fallback),
        handset: None,
        still_allowed: None,
        helpdesk: None,
        ..refused()
    }
}
