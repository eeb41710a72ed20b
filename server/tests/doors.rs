//! Real front doors with the shipped configurations, before the real gates: an order from before its publication
//! to after its retraction, and what each door does when Countermand is gone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use countermand::gate::wire::wbxml::{self, EasRefusal};
use countermand_core::verdict::Decision;
use support::app::SECRET;
use support::company::{CLEAN, Company, WITH_TIKTOK};
use support::dovecot::{Dovecot, DovecotConfig, Login};
use support::http::{self, Reply};
use support::imap::{Imap, Response};
use support::nginx::{Nginx, NginxConfig};

const ALICE: (&str, &str) = ("Authorization", "Basic YWxpY2VAY29ycC50ZXN0OnNlY3JldA==");
const MALLORY: (&str, &str) = ("Authorization", "Basic bWFsbG9yeUBlbHNlLnRlc3Q6c2VjcmV0");
fn nginx(company: &Company, open_without_verdict: bool) -> Option<Nginx> {
    Nginx::start(config(company, open_without_verdict))
}

fn config(company: &Company, open_without_verdict: bool) -> NginxConfig<'static> {
    NginxConfig {
        gate_port: company.port(),
        gate_secret: SECRET,
        open_without_verdict,
    }
}

/// A phone synchronises its folders.
fn sync(port: u16, device: &str, headers: &[(&str, &str)], version: &str) -> Reply {
    let uri = format!(
        "/Microsoft-Server-ActiveSync?Cmd=FolderSync&User=alice%40corp.test&DeviceId={device}&DeviceType=iPhone"
    );
    let version = [("MS-ASProtocolVersion", version)];
    let headers: Vec<_> = headers.iter().chain(&version).copied().collect();
    http::send(port, "POST", &uri, &headers, b"\x03\x01\x6a\x00")
}

#[test]
fn a_phone_behind_nginx() {
    let company = Company::new();
    let (Some(closed), Some(open)) = (nginx(&company, false), nginx(&company, true)) else {
        return;
    };
    let enter = |device: &str| {
        let reply = sync(closed.port, device, &[ALICE], "14.1");
        assert_eq!(reply.status, 200);
        if reply.header("content-type") == Some(wbxml::MEDIA_TYPE) {
            // Status 129, in the document of its command.
            let blocked = wbxml::refusal("FolderSync", Some((14, 1)));
            assert_eq!(EasRefusal::Wbxml(reply.body), blocked);
            return false;
        }
        assert!(reply.text().starts_with("mail server: POST "), "{reply:?}");
        true
    };
    let order = company.story(enter);
    let old = sync(closed.port, WITH_TIKTOK, &[ALICE], "12.1");
    assert_eq!(old.status, 403);
    assert!(
        old.text().contains("R-") && !old.text().contains("TikTok"),
        "the password is not checked yet, so the reason is not told: {old:?}"
    );
    let figures = company.gate.figures();
    assert_eq!((figures[0].refused, figures[0].warned), (3, 1));

    company.retract(&order);
    assert!(enter(WITH_TIKTOK) && enter(CLEAN), "retracted");

    company.kill();
    let reply = sync(closed.port, CLEAN, &[ALICE], "14.1");
    assert_eq!(
        (reply.status, reply.header("retry-after")),
        (503, Some("120"))
    );
    let reply = sync(open.port, WITH_TIKTOK, &[ALICE], "14.1");
    assert!(reply.text().starts_with("mail server: "), "{reply:?}");
}

#[test]
fn an_nginx_that_signs_people_in_shows_them_the_reason() {
    let (company, _) = Company::enforcing();
    let logins = [("alice@corp.test", "secret")];
    let Some(nginx) = Nginx::start_signing_in(config(&company, false), &logins) else {
        return;
    };
    let reply = sync(nginx.port, WITH_TIKTOK, &[ALICE], "12.1");
    assert_eq!(reply.status, 403);
    assert!(reply.text().contains("Remove TikTok"), "{reply:?}");
    assert_eq!(sync(nginx.port, CLEAN, &[ALICE], "12.1").status, 200);

    let asked = company.gate.figures()[0].asked;
    let wrong = ("Authorization", "Basic YWxpY2VAY29ycC50ZXN0Ondyb25n");
    let reply = sync(nginx.port, WITH_TIKTOK, &[wrong], "12.1");
    assert_eq!(reply.status, 401);
    assert!(!reply.text().contains("TikTok"));
    assert_eq!(company.gate.figures()[0].asked, asked, "nginx asks later");
}

#[test]
fn a_browser_behind_nginx_is_shown_a_page() {
    let company = Company::with(|config| config.gate.unknown_person = Decision::Deny);
    let Some(nginx) = nginx(&company, false) else {
        return;
    };
    let look = |person| http::get(nginx.port, "/SOGo/", &[person]);
    assert_eq!(look(MALLORY).status, 200, "no order");
    let order = company.publish();
    company.tell(&order);
    company.go_to("2020-07-11T07:00:00Z");
    let reply = look(MALLORY);
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (403, Some("text/html; charset=utf-8"))
    );
    let page = reply.text();
    for text in ["R-", "helpdesk"] {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert_eq!(look(ALICE).status, 200, "web mail names no device");
    company.retract(&order);
    assert_eq!(look(MALLORY).status, 200);
}

const LOGINS: [Login<'static>; 2] = [
    Login {
        name: "alice+7f3a@corp.test",
        password: "one",
        person: "alice@corp.test",
        device: Some("dev-7f3a"),
    },
    Login {
        name: "alice+9c1e@corp.test",
        password: "two",
        person: "alice@corp.test",
        device: Some("dev-9c1e"),
    },
];

fn dovecot(company: &Company, open_without_verdict: bool) -> Option<Dovecot> {
    Dovecot::start(DovecotConfig {
        gate_port: company.port(),
        gate_secret: SECRET,
        logins: &LOGINS,
        open_without_verdict,
    })
}

fn log_in(dovecot: &Dovecot, device: &str) -> Response {
    let login = LOGINS[usize::from(device == CLEAN)];
    Imap::connect(dovecot.imap_port).login(login.name, login.password)
}

#[test]
fn a_mail_app_behind_dovecot() {
    let company = Company::new();
    let (Some(closed), Some(open)) = (dovecot(&company, false), dovecot(&company, true)) else {
        return;
    };
    let enter = |device: &str| {
        let reply = log_in(&closed, device);
        if reply.is_ok() {
            return true;
        }
        assert!(reply.tagged.starts_with("NO "), "{reply:?}");
        for text in ["Remove TikTok", "Reference R-"] {
            assert!(reply.text().contains(text), "{reply:?}");
        }
        false
    };
    let order = company.story(enter);
    company.retract(&order);
    assert!(enter(WITH_TIKTOK) && enter(CLEAN), "retracted");

    company.kill();
    assert!(!log_in(&closed, CLEAN).is_ok());
    assert!(log_in(&open, WITH_TIKTOK).is_ok());
}
