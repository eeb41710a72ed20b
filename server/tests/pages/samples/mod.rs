//! One afternoon in July 2020, as page structs.

use askama::Template;
use countermand::web::pages::*;

mod acts;
mod orders;
mod rest;

use acts::*;
use orders::*;
use rest::*;

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
        page(
            "sign_in_demo",
            SignIn {
                demo: [
                    ("ana@corp.example", "Ana (author)"),
                    ("ben@corp.example", "Ben (approver)"),
                    ("rita@corp.example", "Rita (responder)"),
                ]
                .map(|(email, label)| DemoOperator {
                    email: email.into(),
                    label: label.into(),
                })
                .into(),
                ..sign_in(None)
            },
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
        page("order_stopped", order_stopped()),
        page("order_retracted", order_retracted()),
        page("preview", preview()),
        page("publish", confirm(Act::Publish)),
        page("hold", confirm(Act::Hold)),
        page(
            "resume_notices",
            Confirm {
                only_notices: true,
                notes: vec!["Its notices stopped because 61 notices were rejected, and 1,104 people were told in all: the notices stop above 5% rejected. What is counted by now stops them no more; as much again does.".into()],
                ..confirm(Act::Resume)
            },
        ),
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
        page("sample", sample()),
        page("sample_nobody", sample_nobody()),
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
        page(
            "statement_genuine",
            statement_for(genuine("It still holds.", true), StatementState::InForce),
        ),
        page(
            "statement_genuine_retracted",
            statement_for(
                genuine(
                    "It no longer holds: the order was retracted on 10 Jul 2020, 16:54 PDT. You need do nothing. Sent in error.",
                    false,
                ),
                StatementState::Retracted,
            ),
        ),
        page(
            "statement_forged",
            statement_for(forged(), StatementState::InForce),
        ),
        page("statement_unknown_device", statement_for(refused_device(), StatementState::InForce)),
        page("recognised", recognised()),
        page("devices", devices()),
        page("reported", reported()),
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
    statement.wrong = Some(bad());
    statement.cause = Some(bad());
    let mut notice = genuine("It still holds.", true);
    notice.words = bad();
    notice.said = Some(bad());
    statement.notice = Some(notice);
    order.wrong = Some(Wrong {
        reason: bad(),
        cause: bad(),
        may_say: true,
    });
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
        page(
            "sample",
            SamplePage {
                title: bad(),
                error: Some(bad()),
                rehearse: Some(Rehearse {
                    person: bad(),
                    kinds: vec![],
                    test_to: Some(bad()),
                }),
                sampled: Some(Sampled {
                    kind: Pill::new(Tone::Plain, bad()),
                    headers: vec![(bad(), bad())],
                    language: bad(),
                    text: bad(),
                    remarks: vec![bad()],
                }),
                ..sample()
            },
        ),
        page("error", error(404, &bad(), &bad())),
    ]
}

pub(super) fn when(text: &str, clock: &str) -> When {
    let text = if text.contains("20") && text.len() > 5 {
        text.to_owned()
    } else {
        format!("10 Jul 2020, {text} PDT")
    };
    When::new(text, format!("2020-07-10T{clock}:00-07:00"))
}

pub(super) fn at(clock: &str) -> When {
    When::new(
        format!("10 Jul, {clock} PDT"),
        format!("2020-07-10T{clock}:00-07:00"),
    )
}

pub(super) fn shell() -> Shell {
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
        may_look_up: false,
    }
}

pub(super) fn doors_open() -> Shell {
    Shell {
        doors_open: Some(DoorsOpen { since: at("16:40"), by: "Rita Osei".into(), reason: "Switchboard can't read the rota".into() }),
        flash: Some(Flash { tone: Tone::Allow, text: "All doors are open. Close them on this page when it is over.".into() }),
        warnings: vec!["Only one person can approve: nobody can approve what Ben Okafor writes. An admin can give the role approver to one more.".into()],
        ..shell()
    }
}
