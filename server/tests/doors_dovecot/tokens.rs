//! Tokens that are worth nothing, and an issuer that is ill: neither lets anybody in, or past the verdict.

use countermand_core::verdict::NoKey;

use crate::house::{CLEAN, House, Proof, Protocol, TIKTOK, issuer};
use crate::support::company::Company;
use crate::support::trouble::Trouble;

fn asked(company: &Company) -> u64 {
    company.gate.figures().iter().map(|door| door.asked).sum()
}

fn enforcing(no_device_key: NoKey) -> Company {
    Company::enforcing_with(|config| config.gate.no_device_key = no_device_key).0
}

#[test]
fn a_token_of_no_worth_is_refused_by_dovecot_itself() {
    let (company, issuer) = (enforcing(NoKey::Strictest), issuer());
    let Some(house) = House::before(company.port(), issuer.port, false) else {
        return;
    };
    for (token, shown) in [
        ("inactive", "[AUTHENTICATIONFAILED]"),
        ("bobs", "[AUTHENTICATIONFAILED]"),
        ("garbled", "[UNAVAILABLE]"),
        ("failing", "[UNAVAILABLE]"),
    ] {
        let refused = house.enter(Protocol::Imap, None, &Proof::token(token));
        let refused = refused.unwrap_err();
        assert!(refused.contains(shown), "{token}: {refused}");
        for protocol in [Protocol::Pop3, Protocol::Submission] {
            assert!(
                house.enter(protocol, None, &Proof::token(token)).is_err(),
                "{token}"
            );
        }
    }
    assert_eq!(asked(&company), 0, "nobody has signed in");
    // Dovecot says who asks, by its own id and key.
    let call = issuer.calls().pop().unwrap();
    assert_eq!(
        call.header("authorization"),
        Some("Basic ZG92ZWNvdDppdHMta2V5")
    );
    assert!(
        house
            .enter(Protocol::Imap, None, &Proof::token(CLEAN))
            .is_ok()
    );
    assert!(
        house
            .enter(Protocol::Imap, None, &Proof::token(TIKTOK))
            .is_err()
    );
}

#[test]
fn an_issuer_that_is_gone_slow_or_garbled_lets_nobody_in() {
    let company = enforcing(NoKey::Strictest);
    let gate = company.port();
    std::thread::scope(|scope| {
        for issuer in [Trouble::gone(), Trouble::silent(), Trouble::rubbish()] {
            scope.spawn(move || {
                let Some(house) = House::before(gate, issuer.port(), false) else {
                    return;
                };
                for protocol in Protocol::ALL {
                    let refused = house.enter(protocol, None, &Proof::token(CLEAN));
                    assert!(refused.is_err(), "{issuer:?}: {protocol:?}");
                }
                // Passwords need no issuer.
                let password = Proof::password(Some(CLEAN));
                assert!(house.enter(Protocol::Imap, None, &password).is_ok());
            });
        }
    });
}

/// A token that names no device is one of an unnamed device; a name that none can have is that of an unknown one.
#[test]
fn a_token_without_a_proper_name_is_judged_as_such() {
    for (no_device_key, unnamed) in [(NoKey::Strictest, false), (NoKey::Allow, true)] {
        let (company, issuer) = (enforcing(no_device_key), issuer());
        let Some(house) = House::before(company.port(), issuer.port, false) else {
            return;
        };
        for (token, expected) in [("nameless", unnamed), ("listed", unnamed), ("odd", false)] {
            let entered = house.enter(Protocol::Imap, None, &Proof::token(token));
            assert_eq!(entered.is_ok(), expected, "{token}: {entered:?}");
        }
    }
}
