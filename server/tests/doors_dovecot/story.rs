//! An order from before its publication to after its retraction: at every protocol, by everything that names a device.

use std::thread;

use crate::house::{CLEAN, House, Proof, Protocol, TIKTOK, issuer};
use crate::support::company::{Company, WITH_TIKTOK};

#[test]
fn a_device_is_known_by_its_password_its_token_or_its_certificate() {
    let (company, issuer) = (Company::new(), issuer());
    let Some(house) = House::before(company.port(), issuer.port, false) else {
        return;
    };
    let identities = [TIKTOK, CLEAN].map(|name| (name, house.pki.device(name)));
    // All of them agree at every step, so the story runs once.
    let enter = |device: &str| {
        let name = if device == WITH_TIKTOK { TIKTOK } else { CLEAN };
        let identity = identities.iter().find(|(n, _)| *n == name).map(|(_, i)| i);
        let ways = [
            (None, Proof::password(Some(name))),
            (None, Proof::token(name)),
            (None, Proof::Token("OAUTHBEARER", name.to_owned())),
            (identity, Proof::password(None)),
        ];
        let entered: Vec<bool> = thread::scope(|scope| {
            let tries: Vec<_> = ways
                .iter()
                .flat_map(|way| Protocol::ALL.map(|protocol| (protocol, way)))
                .map(|(protocol, (identity, proof))| {
                    let house = &house;
                    scope.spawn(move || {
                        let entered = house.enter(protocol, *identity, proof);
                        if let Err(shown) = &entered {
                            explains(protocol, shown);
                        }
                        entered.is_ok()
                    })
                })
                .collect();
            tries.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert!(entered.iter().all(|in_| *in_ == entered[0]), "{entered:?}");
        entered[0]
    };
    let order = company.story(enter);
    let doors = company.gate.figures();
    assert_eq!(doors.len(), Protocol::ALL.len(), "{doors:?}");
    company.retract(&order);
    assert!(enter(WITH_TIKTOK) && enter(crate::support::company::CLEAN));
}

/// A refusal reaches the person as such: not as a wrong password, and with what to do.
fn explains(protocol: Protocol, shown: &str) {
    let begin = match protocol {
        Protocol::Imap => "a NO [ALERT] ",
        Protocol::Pop3 => "-ERR [AUTH] ",
        Protocol::Submission => "535 ",
    };
    assert!(shown.starts_with(begin), "{protocol:?}: {shown}");
    for text in ["Remove TikTok", "Reference R-"] {
        assert!(shown.contains(text), "{protocol:?}: {shown}");
    }
}

/// Where password, token and certificate name different devices, the strictest verdict holds.
#[test]
fn inv_05_of_two_names_the_stricter_counts() {
    let (company, issuer) = (Company::new(), issuer());
    let Some(house) = House::before(company.port(), issuer.port, false) else {
        return;
    };
    let another = "alice@corp.test,3,cert:dev-c10c,com.example.clock@1";
    company.runtime.block_on(company.world.iphones(&[another]));
    let order = company.publish();
    company.tell(&order);
    let identity = |name| house.pki.device(name);
    let (tiktok, clean) = (identity(TIKTOK), identity(CLEAN));
    let mixed = identity(crate::house::MIXED);
    let ways = [
        ("both clean", &clean, Proof::token(CLEAN), true),
        ("by token", &clean, Proof::token(TIKTOK), false),
        ("by certificate", &tiktok, Proof::token(CLEAN), false),
        ("by password", &mixed, Proof::password(None), false),
    ];
    let check = |late: bool| {
        for (what, identity, proof, is_clean) in &ways {
            let entered = house.enter(Protocol::Imap, Some(identity), proof);
            assert_eq!(entered.is_ok(), *is_clean || !late, "{what}: {entered:?}");
        }
    };
    // The mixed certificate's login is the other phone's, whose password is as good as any.
    check(false);
    company.go_to("2020-07-11T07:00:00Z");
    check(true);
    company.retract(&order);
    check(false);
}
