//! The senders of a test, and who kills them: the relay, in the midst of what it does for them.

use std::collections::{BTreeSet, VecDeque};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::support::smtp_record::Seen;

const KILLED: i32 = 9;
const ABORTED: i32 = 6;
const TERMINATED: i32 = 15;

/// What strikes a sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blow {
    /// SIGKILL.
    Kill,
    /// SIGTERM: finish what is under way, and leave.
    Ask,
}

/// When it strikes, and whom.
#[derive(Clone, Debug)]
pub struct Plan {
    pub blow: Blow,
    pub step: Seen,
    /// At the how-manieth such step from then on.
    pub left: usize,
    /// So long after it, wherever that finds the sender. It waits for nothing.
    pub lag: Duration,
    /// The sender that the step is about, or else any.
    pub any: Option<usize>,
}

#[derive(Debug)]
pub struct Life {
    pub name: String,
    child: Child,
}

impl Life {
    /// SIGTERM.
    fn ask(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            let pid = self.child.id().to_string();
            let asked = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
            assert!(asked.success());
        }
    }
}

/// How a sender ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    Killed,
    /// At its named moment, by itself.
    AtItsMoment,
    /// It was asked to end before it listened to such a thing.
    Unready,
    InPeace,
}

impl End {
    fn of(name: &str, status: ExitStatus) -> End {
        match (status.signal(), status.code()) {
            (Some(KILLED), _) => End::Killed,
            (Some(ABORTED), _) => End::AtItsMoment,
            (Some(TERMINATED), _) => End::Unready,
            (_, Some(0)) => End::InPeace,
            _ => panic!("{name} ended with {status}"),
        }
    }
}

#[derive(Debug, Default)]
struct Cast {
    alive: Vec<Life>,
    /// Each counts from the end of the one before, so that it is the relay's work and nobody's
    /// leisure that tells when they come.
    plans: VecDeque<Plan>,
    /// How often each end came.
    ends: Vec<(String, End)>,
}

/// Shared with the relay.
#[derive(Clone, Debug, Default)]
pub struct Stage(Arc<Mutex<Cast>>);

impl Stage {
    fn cast(&self) -> MutexGuard<'_, Cast> {
        self.0.lock().unwrap()
    }

    /// For the relay's watch.
    pub fn sees(&self, step: Seen, by: &str) {
        let mut cast = self.cast();
        // A dead one's last words are not what is waited for.
        let Some(speaks) = cast.alive.iter().position(|life| life.name == by) else {
            return;
        };
        let count = cast.alive.len();
        let Some(plan) = cast.plans.front_mut().filter(|plan| plan.step == step) else {
            return;
        };
        plan.left = plan.left.saturating_sub(1);
        if plan.left > 0 {
            return;
        }
        let (blow, victim) = (plan.blow, plan.any.map_or(speaks, |any| any % count));
        std::thread::sleep(plan.lag);
        match blow {
            Blow::Kill => {
                let mut life = cast.alive.swap_remove(victim);
                let _ = life.child.kill();
                let end = End::of(&life.name, life.child.wait().unwrap());
                cast.ends.push((life.name, end));
                // One that has just ended by itself is no death by this hand; the next step strikes.
                if end != End::Killed {
                    return;
                }
            }
            Blow::Ask => cast.alive[victim].ask(),
        }
        cast.plans.pop_front();
    }

    pub fn enters(&self, name: String, child: Child) {
        self.cast().alive.push(Life { name, child });
    }

    /// In place of what was planned and not carried out.
    pub fn plan(&self, plans: impl IntoIterator<Item = Plan>) {
        self.cast().plans = plans.into_iter().collect();
    }

    /// Asks whoever lives to end.
    pub fn asks_all(&self) {
        self.cast().alive.iter_mut().for_each(Life::ask);
    }

    /// Who lives, and who has ended and is not noted yet.
    pub fn senders(&self) -> BTreeSet<String> {
        let cast = self.cast();
        cast.alive.iter().map(|life| life.name.clone()).collect()
    }

    /// How many plans are left.
    pub fn planned(&self) -> usize {
        self.cast().plans.len()
    }

    /// Notes who has ended, and says how many live.
    pub fn alive(&self) -> usize {
        let mut cast = self.cast();
        let mut at = 0;
        while at < cast.alive.len() {
            match cast.alive[at].child.try_wait().unwrap() {
                None => at += 1,
                Some(status) => {
                    let life = cast.alive.swap_remove(at);
                    let end = End::of(&life.name, status);
                    cast.ends.push((life.name, end));
                }
            }
        }
        cast.alive.len()
    }

    /// All that ended so far.
    pub fn ends(&self) -> Vec<(String, End)> {
        self.cast().ends.clone()
    }

    pub fn count(&self, end: End) -> usize {
        self.cast().ends.iter().filter(|(_, e)| *e == end).count()
    }

    /// Who did not end in peace.
    pub fn died(&self) -> BTreeSet<String> {
        let ends = self.ends().into_iter();
        ends.filter(|(_, end)| *end != End::InPeace)
            .map(|(name, _)| name)
            .collect()
    }
}

impl Drop for Cast {
    fn drop(&mut self) {
        for life in &mut self.alive {
            let _ = life.child.kill();
            let _ = life.child.wait();
        }
    }
}

/// Numbers that look like chance and are the same in every run (SplitMix64).
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}
