//! The story again, with a gate that fails the door at each of its steps, and is well again before the next.

use std::fmt;
use std::thread;

use super::company::{CLEAN, Company, WITH_TIKTOK};
use super::line::{Fate, Line};

/// What a door makes of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    In,
    /// With the reason, or the reference to it.
    Refused,
    /// To come again later, in so many words or by an answer that is cut off.
    NoVerdict,
}

/// One door with one of its choices.
pub struct Tried<'a> {
    pub name: String,
    /// What it was chosen to do without a verdict.
    pub open: bool,
    /// What it does where that is not as chosen.
    pub otherwise: Option<fn(Fate) -> Option<Told>>,
    pub ask: Box<dyn Fn(&str) -> Told + Send + Sync + 'a>,
}

impl<'a> Tried<'a> {
    pub fn new(name: &str, open: bool, ask: impl Fn(&str) -> Told + Send + Sync + 'a) -> Tried<'a> {
        let (name, otherwise, ask) = (name.to_owned(), None, Box::new(ask));
        Tried {
            name,
            open,
            otherwise,
            ask,
        }
    }

    fn without_verdict(&self, fate: Fate) -> Told {
        let otherwise = self.otherwise.and_then(|otherwise| otherwise(fate));
        otherwise.unwrap_or(if self.open { Told::In } else { Told::NoVerdict })
    }
}

impl fmt::Debug for Tried<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let choice = if self.open { "open" } else { "closed" };
        write!(f, "{} ({choice})", self.name)
    }
}

/// All at once: some of what they meet makes each of them wait.
fn ask(doors: &[Tried<'_>], device: &str) -> Vec<Told> {
    thread::scope(|scope| {
        let asked: Vec<_> = doors
            .iter()
            .map(|door| scope.spawn(|| (door.ask)(device)))
            .collect();
        asked.into_iter().map(|told| told.join().unwrap()).collect()
    })
}

fn each(doors: &[Tried<'_>], told: &[Told], expected: impl Fn(&Tried<'_>) -> Told, what: &str) {
    for (door, told) in doors.iter().zip(told) {
        assert_eq!(*told, expected(door), "{door:?}: {what}");
    }
}

/// What all say, for it is one gate's verdict.
fn verdict(doors: &[Tried<'_>], device: &str) -> Told {
    let told = ask(doors, device);
    each(doors, &told, |_| told[0], device);
    assert_ne!(told[0], Told::NoVerdict);
    told[0]
}

/// What no answer can be made of.
const FATES: [Fate; 4] = [Fate::Lose, Fate::Half, Fate::Garble, Fate::Hold];

/// Both stories at doors that ask over the line. At each step answers are lost, cut off, garbled, too late; then in
/// time, however slow; and then the gate is well.
pub fn on_a_bad_line(company: &Company, line: &Line, doors: &[Tried<'_>]) {
    let enter = |device: &str| {
        let before = verdict(doors, device);
        if device == CLEAN {
            return before == Told::In;
        }
        for fate in FATES {
            line.put(fate);
            let told = ask(doors, device);
            line.put(Fate::Pass);
            let expected = |door: &Tried<'_>| door.without_verdict(fate);
            each(doors, &told, expected, &format!("{fate:?}"));
        }
        // What came too late is nobody's answer now.
        assert_eq!(verdict(doors, device), before);
        line.put(Fate::Hold);
        let slowly = thread::scope(|scope| {
            let asked = scope.spawn(|| ask(doors, device));
            line.await_held(doors.len());
            line.put(Fate::Pass);
            asked.join().unwrap()
        });
        each(doors, &slowly, |_| before, "slow, but in time");
        before == Told::In
    };
    let order = company.story(enter);
    company.retract(&order);
    assert!(enter(WITH_TIKTOK) && enter(CLEAN), "retracted");
}

/// Both stories at doors that ask the gate itself, which at each step is killed and started again.
pub fn of_a_killed_gate(
    company: &Company,
    (kill, revive): (&dyn Fn(), &dyn Fn()),
    doors: &[Tried<'_>],
) {
    let enter = |device: &str| {
        let before = verdict(doors, device);
        if device == CLEAN {
            return before == Told::In;
        }
        kill();
        let told = ask(doors, device);
        revive();
        each(
            doors,
            &told,
            |door| door.without_verdict(Fate::Lose),
            "killed",
        );
        assert_eq!(verdict(doors, device), before, "back again");
        before == Told::In
    };
    let order = company.story(enter);
    company.retract(&order);
    assert!(enter(WITH_TIKTOK) && enter(CLEAN), "retracted");
}

/// Past the deadline, an answer to which little is wanting: its last byte, or an end. It keeps nobody waiting for ever.
pub fn of_unfinished_answers(line: &Line, doors: &[Tried<'_>], endless: bool) {
    for fate in [Fate::AllButOne, Fate::Drip] {
        for device in [CLEAN, WITH_TIKTOK] {
            let verdict = verdict(doors, device);
            if fate == Fate::Drip && !endless {
                continue;
            }
            line.put(fate);
            let told = ask(doors, device);
            line.put(Fate::Pass);
            for (door, told) in doors.iter().zip(told) {
                // Enough of a refusal may have come.
                let refused = verdict == Told::Refused && told != Told::In;
                let expected = door.without_verdict(fate);
                assert!(
                    refused || told == expected,
                    "{door:?}: {device}: {fate:?}: {told:?}"
                );
            }
        }
    }
}
