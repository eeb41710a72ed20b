//! Random histories of authors, approvers, responders, senders, a relay, doors and deaths, on the real store
//! and the real use cases, beside a reference model. After every step every invariant is asked.
//!
//! A failure names its seed and the fewest steps found that still fail. `COUNTERMAND_SEED=n` plays one seed
//! and tells all that happens; seeds that once failed stand in `model/seeds.txt` and are played first.
//! `COUNTERMAND_HISTORIES` is how many are played in all. With `COUNTERMAND_COUNT` set, a shard plays on and
//! tells how many failed by which question: to see whether a fault put in by hand is found, and how often.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "model/mod.rs"]
mod model;
mod support;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use model::dice::Dice;
use model::steps::{Step, draw};
use model::world::House;
use tokio::runtime::Runtime;

/// Histories of one run, in shards that run beside each other.
const IN_CI: u64 = 20_000;
const ELSEWHERE: u64 = 2_000;
const SHARDS: u64 = 16;
const FEWEST_STEPS: usize = 8;
const MOST_STEPS: usize = 40;

const KEPT: &str = include_str!("model/seeds.txt");

fn kept() -> Vec<u64> {
    let lines = KEPT
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim());
    lines
        .filter(|line| !line.is_empty())
        .map(|line| line.parse().unwrap())
        .collect()
}

/// The threads of a history wait for each other all the time: whoever asks the database, and whoever
/// answers. To wake the other on another core costs more than most questions do.
fn stay_on_one_core() {
    #[cfg(target_os = "linux")]
    {
        use rustix::thread::{CpuSet, sched_getcpu, sched_setaffinity};
        let mut here = CpuSet::new();
        here.set(sched_getcpu());
        // Where that may not be asked for, it only takes longer.
        let _ = sched_setaffinity(None, &here);
    }
}

struct Player {
    runtime: Runtime,
    house: House,
}

impl Player {
    fn new() -> Player {
        stay_on_one_core();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let house = runtime.block_on(House::new());
        Player { runtime, house }
    }

    /// What was wrong, and what happened until then if somebody wants to hear it.
    fn play(
        &mut self,
        seed: u64,
        steps: &[Step],
        aloud: bool,
    ) -> (Result<(), String>, Vec<String>) {
        let Player { runtime, house } = self;
        let mut log = Vec::new();
        let played = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async {
                let mut world = house.fresh().await;
                world.log = aloud.then(Vec::new);
                world.cut_off = seed.is_multiple_of(2);
                let mut dice = Dice(!seed);
                let mut ended = Ok(());
                for step in steps {
                    ended = world.take(*step).await;
                    if ended.is_ok() {
                        ended = world.ask().await;
                    }
                    if ended.is_err() {
                        break;
                    }
                }
                if ended.is_ok() {
                    ended = world.drain(&mut dice).await;
                }
                log = world.log.take().unwrap_or_default();
                ended
            })
        }));
        (played.unwrap_or_else(|panic| Err(words(panic))), log)
    }

    /// Plays a seed; a failure is told with the fewest steps that still fail in the same way.
    fn check(&mut self, seed: u64, counted: &mut Option<Vec<String>>) {
        let aloud = std::env::var_os("COUNTERMAND_SEED").is_some();
        let steps = draw(seed, FEWEST_STEPS..MOST_STEPS);
        let (ended, log) = self.play(seed, &steps, aloud);
        if aloud {
            eprintln!("{}", log.join("\n"));
        }
        let Err(fault) = ended else {
            return;
        };
        let name = |fault: &str| fault.split(':').next().unwrap_or_default().to_owned();
        if let Some(counted) = counted {
            eprintln!("seed {seed}: {fault}");
            counted.push(name(&fault));
            return;
        }
        let fewer = self.fewer(seed, steps, &|fault_too| name(fault_too) == name(&fault));
        let (ended, log) = self.play(seed, &fewer, true);
        panic!(
            "seed {seed} (add it to server/tests/model/seeds.txt): {fault}\n\nThe fewest steps that fail:\n{}\n{}",
            log.join("\n"),
            ended.err().unwrap_or_default(),
        );
    }

    /// Leaves out whatever can be left out.
    fn fewer(&mut self, seed: u64, mut steps: Vec<Step>, same: &dyn Fn(&str) -> bool) -> Vec<Step> {
        let mut size = steps.len() / 2;
        while size > 0 {
            let mut at = 0;
            while at < steps.len() {
                let mut tried = steps.clone();
                tried.drain(at..(at + size).min(tried.len()));
                match self.play(seed, &tried, false).0 {
                    Err(fault) if same(&fault) => steps = tried,
                    _ => at += size,
                }
            }
            size /= 2;
        }
        steps
    }
}

fn words(panic: Box<dyn std::any::Any + Send>) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    format!("panicked: {}", text.unwrap_or_default())
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|text| text.parse().unwrap())
}

/// One shard of the histories; the first plays the kept seeds too.
fn shard(which: u64) {
    let one = number("COUNTERMAND_SEED");
    let in_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    let all = number("COUNTERMAND_HISTORIES").unwrap_or(if in_ci { IN_CI } else { ELSEWHERE });
    let seeds: Vec<u64> = match one {
        Some(seed) if which == 0 => vec![seed],
        Some(_) => return,
        None if which == 0 => kept()
            .into_iter()
            .chain((0..all).step_by(SHARDS as usize))
            .collect(),
        None => (which..all).step_by(SHARDS as usize).collect(),
    };
    let mut player = Player::new();
    let mut counted = std::env::var_os("COUNTERMAND_COUNT").map(|_| Vec::new());
    let all = seeds.len();
    for seed in seeds {
        player.check(seed, &mut counted);
    }
    let Some(counted) = counted else {
        return;
    };
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    counted
        .iter()
        .for_each(|name| *names.entry(name).or_default() += 1);
    assert!(
        names.is_empty(),
        "{} of {all} histories failed: {names:?}",
        counted.len()
    );
}

macro_rules! shards {
    ($($name:ident $which:literal),+) => {
        $(#[test]
        fn $name() {
            shard($which);
        })+
    };
}

shards!(
    inv_15_to_36_hold_in_random_histories_1 0,
    inv_15_to_36_hold_in_random_histories_2 1,
    inv_15_to_36_hold_in_random_histories_3 2,
    inv_15_to_36_hold_in_random_histories_4 3,
    inv_15_to_36_hold_in_random_histories_5 4,
    inv_15_to_36_hold_in_random_histories_6 5,
    inv_15_to_36_hold_in_random_histories_7 6,
    inv_15_to_36_hold_in_random_histories_8 7,
    inv_15_to_36_hold_in_random_histories_9 8,
    inv_15_to_36_hold_in_random_histories_10 9,
    inv_15_to_36_hold_in_random_histories_11 10,
    inv_15_to_36_hold_in_random_histories_12 11,
    inv_15_to_36_hold_in_random_histories_13 12,
    inv_15_to_36_hold_in_random_histories_14 13,
    inv_15_to_36_hold_in_random_histories_15 14,
    inv_15_to_36_hold_in_random_histories_16 15
);
