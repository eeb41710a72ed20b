//! An order from before its publication to after its retraction, at every proxy.

use countermand::gate::wire::wbxml::EasRefusal;

use crate::house::{House, Request, browse, command, compact, folder_sync, options};
use crate::support::app::{RESPONDER, operator};
use crate::support::company::{CLEAN, Company, WITH_TIKTOK};

#[test]
fn every_proxy_lets_in_warns_refuses_and_lets_in_again() {
    let company = Company::new();
    let Some(house) = House::before(company.port(), false) else {
        return;
    };
    // Every proxy plays at every step, so the story runs once.
    let enter = |request: &dyn Fn() -> Request<'static>| -> bool {
        let entered: Vec<_> = house
            .proxies
            .iter()
            .map(|proxy| (proxy.kind, house.enters(proxy, &request())))
            .collect();
        let first = entered[0].1;
        assert!(entered.iter().all(|(_, in_)| *in_ == first), "{entered:?}");
        first
    };
    let order = company.story(|device| enter(&|| folder_sync(device)));

    // Refused: each command in its own document, each older protocol with 403, in both forms of the query, by
    // every name of the device.
    let refused: Vec<Box<dyn Fn() -> Request<'static>>> = vec![
        Box::new(|| command("Sync", WITH_TIKTOK, "14.0", (14, 0))),
        Box::new(|| command("Ping", WITH_TIKTOK, "16.1", (16, 1))),
        Box::new(|| command("SendMail", WITH_TIKTOK, "16.0", (16, 0))),
        Box::new(|| command("Provision", WITH_TIKTOK, "14.1", (14, 1))),
        Box::new(|| command("FolderSync", WITH_TIKTOK, "12.1", (12, 1))),
        Box::new(|| command("GetAttachment", WITH_TIKTOK, "14.1", (14, 1))),
        Box::new(|| command("FolderSync", "dev7f3a", "14.1", (14, 1))),
        Box::new(|| command("FolderSync", "44455637463341", "14.1", (14, 1))),
        Box::new(|| compact(9, "FolderSync", b"DEV7F3A", (14, 1))),
        Box::new(|| compact(0, "Sync", b"dev7f3a", (16, 1))),
        Box::new(|| compact(18, "Ping", b"44455637463341", (14, 0))),
        Box::new(|| compact(9, "FolderSync", b"DEV7F3A", (12, 1))),
    ];
    for request in &refused {
        assert!(!enter(request), "{}", request().uri);
    }
    assert!(enter(&|| compact(9, "FolderSync", b"DEV9C1E", (14, 1))));
    assert!(enter(&options), "OPTIONS may name no device");
    assert!(enter(&|| {
        let mut request = options();
        request.uri += "?User=alice%40corp.test&DeviceId=DEV9C1E&DeviceType=iPhone";
        request
    }));
    assert!(!enter(&|| {
        let mut request = options();
        request.uri += "?User=alice%40corp.test&DeviceId=DEV7F3A&DeviceType=iPhone";
        request
    }));
    assert!(enter(&|| browse(&[crate::house::ALICE])), "names no device");

    company.retract(&order);
    for device in [WITH_TIKTOK, CLEAN] {
        assert!(enter(&|| folder_sync(device)), "retracted");
    }
    for request in &refused {
        assert!(enter(request), "retracted: {}", request().uri);
    }
}

#[test]
fn a_certificate_names_the_device_at_every_proxy() {
    let (company, _) = Company::enforcing();
    let Some(house) = House::before(company.port(), false) else {
        return;
    };
    let (with_tiktok, clean) = (house.pki.device("dev-7f3a"), house.pki.device("dev-9c1e"));
    for proxy in &house.proxies {
        let browses = |identity| {
            let mut request = browse(&[crate::house::ALICE]);
            request.identity = identity;
            assert_eq!(request.refusal, EasRefusal::Http403);
            house.enters(proxy, &request)
        };
        assert!(browses(None), "{}: names no device", proxy.kind);
        assert!(browses(Some(&clean)), "{}", proxy.kind);
        assert!(!browses(Some(&with_tiktok)), "{}", proxy.kind);
        let mut sync = folder_sync(CLEAN);
        sync.identity = Some(&with_tiktok);
        assert!(
            !house.enters(proxy, &sync),
            "{}: the stricter of its two names",
            proxy.kind
        );
    }
}

/// What a phone sends goes through whole, after the verdict.
#[test]
fn a_mail_with_an_attachment_goes_through() {
    let (company, _) = Company::enforcing();
    let Some(house) = House::before(company.port(), false) else {
        return;
    };
    let mail = "attachment ".repeat(150_000);
    for proxy in &house.proxies {
        let mut request = command("SendMail", CLEAN, "14.1", (14, 1));
        request.body = mail.as_bytes();
        assert!(house.enters(proxy, &request), "{}", proxy.kind);
    }
}

/// A hold lets in and warns, at once; a resume gives everybody time before it refuses again.
#[test]
fn inv_36_a_held_order_warns_at_every_proxy() {
    let (company, order) = Company::enforcing();
    let Some(house) = House::before(company.port(), false) else {
        return;
    };
    let enter = |expected: bool, what: &str| {
        for proxy in &house.proxies {
            let entered = house.enters(proxy, &folder_sync(WITH_TIKTOK));
            assert_eq!(entered, expected, "{}: {what}", proxy.kind);
        }
    };
    enter(false, "past the deadline");
    let (responder, id) = (operator(RESPONDER), order.id.to_string());
    let app = &company.world.app;
    let warned = company.gate.figures()[0].warned;
    let held = app.hold(&responder, &id, "is it right?");
    company.runtime.block_on(held).unwrap();
    enter(true, "held");
    let since = company.gate.figures()[0].warned - warned;
    assert_eq!(since, house.proxies.len() as u64, "and warned");
    let resumed = app.resume(&responder, &id);
    company.runtime.block_on(resumed).unwrap();
    enter(true, "within the hour after the resume");
    company.go_to("2020-07-11T08:00:01Z");
    enter(false, "resumed");
}

/// The answer of 14.0 and later stands before the body is read, and reaches a phone that sends all of it first.
#[test]
fn a_refused_phone_that_sends_much_reads_why() {
    let (company, _) = Company::enforcing();
    let Some(house) = House::before(company.port(), false) else {
        return;
    };
    let mail = "attachment ".repeat(500_000);
    for proxy in &house.proxies {
        for protocol in [("14.1", (14, 1)), ("12.1", (12, 1))] {
            let mut request = command("SendMail", WITH_TIKTOK, protocol.0, protocol.1);
            request.body = mail.as_bytes();
            assert!(!house.enters(proxy, &request), "{}", proxy.kind);
        }
    }
}
