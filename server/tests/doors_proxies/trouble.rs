//! What each proxy does without a verdict, as the table in deploy/README.md says.

use crate::house::{FOLDERS, House};
use crate::support::company::{CLEAN, Company};
use crate::support::in_trouble::{
    Told, Tried, of_a_killed_gate, of_unfinished_answers, on_a_bad_line,
};
use crate::support::line::{Fate, Line};
use crate::support::proxies::Kind;
use crate::support::trouble::Trouble;

/// At each proxy, whether a phone gets in: when the door was chosen to be closed without a verdict, and when open.
fn expect(gate: &Trouble, expected: impl Fn(Kind) -> (bool, bool) + Sync) {
    for open in [false, true] {
        let Some(house) = House::before(gate.port(), open) else {
            return;
        };
        let expected = |kind| {
            let (closed_lets_in, open_lets_in) = expected(kind);
            let lets_in = if open { open_lets_in } else { closed_lets_in };
            if lets_in { Told::In } else { Told::NoVerdict }
        };
        // Some of these gates make each of them wait.
        std::thread::scope(|scope| {
            for proxy in &house.proxies {
                let (house, kind) = (&house, proxy.kind);
                let expected = expected(kind);
                scope.spawn(move || assert_eq!(house.tells(proxy, CLEAN), expected, "{kind}"));
            }
        });
        let bodies = house.mail.calls().into_iter().map(|call| call.body);
        assert!(bodies.into_iter().all(|body| body.as_bytes() == FOLDERS));
    }
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

/// Every proxy twice, by its choice, before the gate at that port.
fn both(gate_port: u16) -> Option<[House; 2]> {
    let house = |open| House::before(gate_port, open);
    Some([house(false)?, house(true)?])
}

fn doors([closed, open]: &[House; 2]) -> Vec<Tried<'_>> {
    let doors = closed.tried(false).chain(open.tried(true));
    doors
        .map(|mut door| {
            if door.name == Kind::Nginx.to_string() {
                door.otherwise = Some(at_nginx);
            }
            door
        })
        .collect()
}

/// What is no HTTP is a fault of nginx's own upstream to it, not an error to choose about.
fn at_nginx(fate: Fate) -> Option<Told> {
    (fate == Fate::Garble).then_some(Told::NoVerdict)
}

#[test]
fn the_story_with_answers_lost_cut_off_garbled_and_late() {
    let company = Company::new();
    let line = Line::to(company.port());
    let Some(houses) = both(line.port) else {
        return;
    };
    on_a_bad_line(&company, &line, &doors(&houses));
}

#[test]
fn the_story_with_a_gate_that_is_killed_and_comes_back() {
    let company = Company::new();
    let Some(houses) = both(company.port()) else {
        return;
    };
    of_a_killed_gate(
        &company,
        (&|| company.kill(), &|| company.revive()),
        &doors(&houses),
    );
}

/// nginx has no limit for the whole of an answer, only for the time between two pieces of it.
#[test]
fn an_unfinished_answer_is_none() {
    let (company, _) = Company::enforcing();
    let line = Line::to(company.port());
    let Some(houses) = both(line.port) else {
        return;
    };
    let is_nginx = |door: &Tried<'_>| door.name == Kind::Nginx.to_string();
    let (nginx, others): (Vec<_>, Vec<_>) = doors(&houses).into_iter().partition(is_nginx);
    of_unfinished_answers(&line, &nginx, false);
    of_unfinished_answers(&line, &others, true);
}
