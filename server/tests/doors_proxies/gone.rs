//! A client that goes in the midst, and an action of HAProxy's that fails: neither opens the door.

use std::io::Write as _;
use std::sync::{Mutex, mpsc};

use axum::body::Body;
use axum::http::Response;

use crate::house::{House, folder_sync};
use crate::support::app::SECRET;
use crate::support::gate::FakeGate;
use crate::support::http;
use crate::support::pki::Pki;
use crate::support::proxies::{Kind, Proxy, ProxyConfig};

fn yes() -> Response<Body> {
    let response = Response::builder().header("X-Countermand-Decision", "allow");
    response.body(Body::empty()).unwrap()
}

/// A gate that thinks about DEV7F3A for as long as it is not told to say no; anybody else it lets in.
fn thinking() -> (FakeGate, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (asked, is_asked) = mpsc::channel();
    let (speak, may_speak) = mpsc::channel();
    let may_speak = Mutex::new(may_speak);
    let gate = FakeGate::start(move |call| {
        let original = format!("{:?} {}", call.headers, call.uri);
        if !original.contains("DEV7F3A") || call.uri.contains("refused") {
            return yes();
        }
        let _ = asked.send(());
        let _ = may_speak.lock().unwrap().recv();
        let response = Response::builder().status(403);
        let response = response.header("X-Countermand-Decision", "deny");
        let response = response.header("X-Countermand-Show", "403");
        response.body(Body::from("closed")).unwrap()
    });
    (gate, is_asked, speak)
}

#[test]
fn a_phone_that_goes_before_the_verdict_sends_nothing() {
    let (gate, is_asked, speak) = thinking();
    let Some(house) = House::before(gate.port, false) else {
        return;
    };
    for proxy in &house.proxies {
        for (length, sent) in [(3, "abc"), (100_000, "abc")] {
            let before = house.mail.calls().len();
            let mut stream = house.pki.connect(proxy.port, None);
            let request = folder_sync("DEV7F3A");
            let head = format!(
                "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{sent}",
                request.uri
            );
            stream.write_all(head.as_bytes()).unwrap();
            stream.flush().unwrap();
            is_asked.recv().unwrap();
            drop(stream);
            speak.send(()).unwrap();
            // It goes on serving, and by then has done with the first.
            assert!(
                house.enters(proxy, &folder_sync("DEV9C1E")),
                "{}",
                proxy.kind
            );
            let seen = house.mail.calls().split_off(before);
            let devices: Vec<_> = seen.iter().map(|call| &call.uri).collect();
            assert_eq!(devices.len(), 1, "{}: {devices:?}", proxy.kind);
            assert!(
                devices[0].contains("DEV9C1E"),
                "{}: {devices:?}",
                proxy.kind
            );
        }
    }
}

/// HAProxy goes on without an action that comes to no end.
#[test]
fn haproxy_stays_closed_where_its_lua_fails() {
    let gate = FakeGate::start(|_| yes());
    let (pki, mail) = (Pki::new(), FakeGate::start(|_| yes()));
    let config = ProxyConfig {
        gate_port: gate.port,
        gate_secret: SECRET,
        mail_port: mail.port,
        open_without_verdict: false,
        pki: &pki,
    };
    let fails = ("local socket = core.tcp()", "local socket = nil");
    let Some(proxy) = Proxy::start_changed(Kind::Haproxy, &config, Some(fails)) else {
        return;
    };
    let request = folder_sync("DEV9C1E");
    let (call, headers) = ((request.method, request.uri.as_str()), &request.headers);
    let reply = http::send_under_tls(&pki, proxy.port, None, call, headers, request.body);
    assert_eq!(
        (reply.status, reply.header("retry-after")),
        (503, Some("120"))
    );
    assert!(mail.calls().is_empty() && gate.calls().is_empty());
    assert!(proxy.log().contains("countermand"), "{}", proxy.log());
}
