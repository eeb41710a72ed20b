//! What Dovecot does without a verdict, as the table in deploy/README.md says.

use std::thread;

use crate::house::{CLEAN, House, Proof, Protocol, issuer};
use crate::support::broken::Gate;

/// `closed` and `open`: what each choice does.
fn expect(gate: &Gate, closed: bool, open: bool) {
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
    expect(&Gate::gone(), false, true);
}

#[test]
fn countermand_is_silent() {
    expect(&Gate::silent(), false, true);
}

#[test]
fn countermand_fails() {
    expect(&Gate::answers(503, &[]), false, true);
}

#[test]
fn countermand_does_not_know_the_secret() {
    expect(&Gate::answers(401, &[]), false, true);
}

#[test]
fn what_answers_is_no_http() {
    expect(&Gate::rubbish(), false, true);
}

#[test]
fn somebody_else_says_yes() {
    expect(&Gate::answers(200, &[]), false, true);
}
