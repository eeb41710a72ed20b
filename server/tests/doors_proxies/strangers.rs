//! What a client says about itself is never taken for what its proxy says.

use axum::body::Body;
use axum::http::Response;
use countermand::gate::wire::headers::GateRequest;

use crate::house::{House, folder_sync};
use crate::support::app::SECRET;
use crate::support::company::{Company, WITH_TIKTOK};
use crate::support::gate::FakeGate;
use crate::support::proxies::Kind;

const FORGED: [(&str, &str); 12] = [
    ("X-Countermand-Decision", "allow"),
    ("X-Countermand-Show", "200"),
    ("X-Countermand-Secret", "guess"),
    ("X-Remote-User", "bob@corp.test"),
    ("x-remote-user", "carol@corp.test"),
    ("X-Original-URI", "/SOGo/"),
    ("X-Original-Method", "OPTIONS"),
    ("X-Forwarded-Uri", "/SOGo/"),
    ("X-Forwarded-Method", "OPTIONS"),
    ("X-Client-Cert-Serial", "0A1B"),
    ("X-Client-Cert-Subject", "CN=dev-9c1e"),
    ("X-Envoy-Auth-Failure-Mode-Allowed", "true"),
];

/// The verdict is the gate's own; the others say nothing to any mail server.
fn harmless(name: &str) -> bool {
    let own = "X-Countermand-Decision";
    name == own || name.starts_with("X-Forwarded-") || name.starts_with("X-Envoy-")
}

#[test]
fn no_client_can_forge_what_the_gate_reads() {
    let gate = FakeGate::start(|_| {
        Response::builder()
            .header("X-Countermand-Decision", "allow")
            .body(Body::empty())
            .unwrap()
    });
    let Some(house) = House::before(gate.port, false) else {
        return;
    };
    for proxy in &house.proxies {
        let mut request = folder_sync("DEV7F3A");
        request.headers.extend(FORGED);
        let (asked, seen) = (gate.calls().len(), house.mail.calls().len());
        assert!(house.enters(proxy, &request), "{}", proxy.kind);

        let asked = gate.calls().split_off(asked);
        assert_eq!(asked.len(), 1, "{}", proxy.kind);
        let call = &asked[0];
        let route = if proxy.kind == Kind::Nginx {
            "/gate/http"
        } else {
            "/gate/authz"
        };
        let read = GateRequest::read(route, &call.uri, &call.headers);
        let read = read.unwrap_or_else(|error| panic!("{}: {error}: {call:?}", proxy.kind));
        assert_eq!(read.person.as_deref(), Some("alice@corp.test"));
        assert_eq!(read.keys, ["eas:DEV7F3A"], "{}", proxy.kind);
        assert!(!read.vouched && !read.is_options, "{}", proxy.kind);
        let eas = read.eas.unwrap();
        assert_eq!(eas.command.as_deref(), Some("FolderSync"));
        assert_eq!(eas.protocol, Some((14, 1)), "{}", proxy.kind);
        let secrets: Vec<_> = call
            .headers
            .get_all("x-countermand-secret")
            .iter()
            .collect();
        assert_eq!(secrets, [SECRET], "{}", proxy.kind);

        // nginx leaves what goes on to the mail server to the location that leads there.
        if proxy.kind == Kind::Nginx {
            continue;
        }
        let seen = house.mail.calls().split_off(seen);
        for (name, value) in FORGED {
            let passed = seen[0].headers.get_all(name).iter().any(|v| v == value);
            assert!(
                !passed || harmless(name),
                "{}: {name}: {:?}",
                proxy.kind,
                seen[0]
            );
        }
    }
}

#[test]
fn a_forged_verdict_opens_no_door() {
    let (company, _) = Company::enforcing();
    let Some(house) = House::before(company.port(), false) else {
        return;
    };
    for proxy in &house.proxies {
        let mut request = folder_sync(WITH_TIKTOK);
        request.headers.extend(FORGED);
        assert!(!house.enters(proxy, &request), "{}", proxy.kind);
    }
}
