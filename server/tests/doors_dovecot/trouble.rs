//! What Dovecot does without a verdict, as the table in deploy/README.md says.

use std::thread;

use crate::house::{CLEAN, House, Proof, Protocol, issuer};
use crate::support::company::Company;
use crate::support::in_trouble::{Tried, of_a_killed_gate, of_unfinished_answers, on_a_bad_line};
use crate::support::line::Line;
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

/// Every protocol twice, by the choice, before the gate at that port.
fn both(gate_port: u16, issuer_port: u16) -> Option<[House; 2]> {
    let house = |open| House::before(gate_port, issuer_port, open);
    Some([house(false)?, house(true)?])
}

fn doors([closed, open]: &[House; 2]) -> Vec<Tried<'_>> {
    closed.tried(false).chain(open.tried(true)).collect()
}

/// All at once, since what they do is wait.
#[test]
fn the_stories_with_a_gate_killed_slow_and_garbled() {
    thread::scope(|scope| {
        scope.spawn(answers_are_lost_cut_off_garbled_and_late);
        scope.spawn(the_gate_is_killed_and_comes_back);
        scope.spawn(answers_are_unfinished);
    });
}

fn answers_are_lost_cut_off_garbled_and_late() {
    let (company, issuer) = (Company::new(), issuer());
    let line = Line::to(company.port());
    let Some(houses) = both(line.port, issuer.port) else {
        return;
    };
    on_a_bad_line(&company, &line, &doors(&houses));
}

fn the_gate_is_killed_and_comes_back() {
    let (company, issuer) = (Company::new(), issuer());
    let Some(houses) = both(company.port(), issuer.port) else {
        return;
    };
    of_a_killed_gate(
        &company,
        (&|| company.kill(), &|| company.revive()),
        &doors(&houses),
    );
}

fn answers_are_unfinished() {
    let ((company, _), issuer) = (Company::enforcing(), issuer());
    let line = Line::to(company.port());
    let Some(houses) = both(line.port, issuer.port) else {
        return;
    };
    of_unfinished_answers(&line, &doors(&houses), true);
}
