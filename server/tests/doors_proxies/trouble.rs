//! What each proxy does without a verdict, as the table in deploy/README.md says.

use crate::house::{FOLDERS, House, folder_sync};
use crate::support::proxies::{Kind, Proxy};
use crate::support::trouble::Trouble;

/// At each proxy, whether a phone gets in: when the door was chosen to be closed without a verdict, and when open.
fn expect(gate: &Trouble, expected: impl Fn(Kind) -> (bool, bool) + Sync) {
    for open in [false, true] {
        let Some(house) = House::before(gate.port(), open) else {
            return;
        };
        let expected = |kind| {
            let (closed_lets_in, open_lets_in) = expected(kind);
            if open { open_lets_in } else { closed_lets_in }
        };
        // Some of these gates make each of them wait.
        std::thread::scope(|scope| {
            for proxy in &house.proxies {
                scope.spawn(|| check(&house, proxy, expected(proxy.kind)));
            }
        });
        let bodies = house.mail.calls().into_iter().map(|call| call.body);
        assert!(bodies.into_iter().all(|body| body.as_bytes() == FOLDERS));
    }
}

fn check(house: &House, proxy: &Proxy, lets_in: bool) {
    let reply = house.send(proxy, &folder_sync("DEV9C1E"));
    let who = format!("{}: {reply:?}", proxy.kind);
    if lets_in {
        assert!(reply.text().starts_with("mail server: POST "), "{who}");
        return;
    }
    assert_eq!(reply.status, 503, "{who}");
    assert_eq!(reply.header("retry-after"), Some("120"), "{who}");
    assert_eq!(reply.header("cache-control"), Some("no-store"), "{who}");
    assert_eq!(reply.header("www-authenticate"), None, "{who}");
}

const AS_CHOSEN: (bool, bool) = (false, true);

#[test]
fn countermand_is_gone() {
    expect(&Trouble::gone(), |_| AS_CHOSEN);
}

#[test]
fn countermand_is_silent() {
    expect(&Trouble::silent(), |_| AS_CHOSEN);
}

#[test]
fn countermand_fails() {
    expect(&Trouble::answers(503, &[]), |_| AS_CHOSEN);
}

#[test]
fn what_answers_is_no_http() {
    expect(&Trouble::rubbish(), |kind| match kind {
        Kind::Nginx => (false, false),
        _ => AS_CHOSEN,
    });
}

#[test]
fn somebody_else_says_yes() {
    expect(&Trouble::answers(200, &[]), |kind| match kind {
        Kind::Nginx => (true, true),
        Kind::Envoy => (false, false),
        _ => AS_CHOSEN,
    });
}

#[test]
fn countermand_does_not_know_the_secret() {
    let asks = &[("WWW-Authenticate", "Basic realm=\"mail\"")];
    expect(&Trouble::answers(401, asks), |kind| match kind {
        Kind::Envoy => (false, false),
        _ => AS_CHOSEN,
    });
}
