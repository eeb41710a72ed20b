//! What Dovecot does without a verdict, as the table in deploy/README.md says.

use std::thread;

use crate::house::{CLEAN, House, Proof, Protocol, issuer};
use crate::support::trouble::Trouble;

/// `closed` and `open`: what each choice does.
fn expect(gate: &Trouble, closed: bool, open: bool) {
    let issuer = issuer();
    for (choice, expected) in [(false, closed), (true, open)] {
        let Some(house) = House::before(gate.port(), issuer.port, choice) else {
            return;
        };
        // Some of these gates make each of them wait.
        thread::scope(|scope| {
            for protocol in Protocol::ALL {
                let house = &house;
                scope.spawn(move || {
                    let password = Proof::password(Some(CLEAN));
                    let entered = house.enter(protocol, None, &password);
                    assert_eq!(entered.is_ok(), expected, "{protocol:?}: {entered:?}");
                });
            }
        });
    }
}

#[test]
fn countermand_is_gone() {
    expect(&Trouble::gone(), false, true);
}

#[test]
fn countermand_is_silent() {
    expect(&Trouble::silent(), false, true);
}

#[test]
fn countermand_fails() {
    expect(&Trouble::answers(503, &[]), false, true);
}

#[test]
fn countermand_does_not_know_the_secret() {
    expect(&Trouble::answers(401, &[]), false, true);
}

#[test]
fn what_answers_is_no_http() {
    expect(&Trouble::rubbish(), false, true);
}

#[test]
fn somebody_else_says_yes() {
    expect(&Trouble::answers(200, &[]), false, true);
}
