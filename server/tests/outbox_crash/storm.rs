//! Ten thousand people, several senders at once, a relay with faults, and two hundred deaths.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use countermand::failpoint::Moment;

use crate::house::{DieAt, House, MOST_SESSIONS, is_refused};
use crate::record::{Case, Retracted};
use crate::stage::{Blow, Dice, End, Plan, Stage};
use crate::support::smtp_record::{Fault, Offer, Recorder, Seen, Setup};

const SEED: u64 = 0x2020_0710;
const STEPS: [Seen; 5] = [
    Seen::Rcpt,
    Seen::Data,
    Seen::Body,
    Seen::Dot,
    Seen::Answered,
];
/// Senders at once.
const AT_ONCE: usize = 3;
/// Only bounds a test that would hang.
const PATIENCE: Duration = Duration::from_secs(180);
/// How often it is looked who has ended by itself.
const LOOK: Duration = Duration::from_millis(20);

/// How much of it.
pub struct Size {
    pub people: u32,
    pub kills: usize,
}

struct Storm<'a> {
    house: &'a House,
    stage: Stage,
    dice: Dice,
    lives: usize,
}

/// What goes wrong at the relay is a function of how many came before.
fn faulty(offer: Offer<'_>) -> Fault {
    if is_refused(offer.to) {
        return Fault::Rcpt(550);
    }
    let mut dice = Dice::new(SEED ^ offer.ordinal as u64);
    match (dice.below(1_000), offer.to.is_empty()) {
        (0..20, false) => Fault::DropAfterDot,
        (20..35, false) => Fault::Dot(451),
        (35..45, false) => Fault::DropInBody,
        (45..55, false) => Fault::Rcpt(450),
        (55..80, false) => Fault::AcceptAfter(dice.below(40) as u64),
        (80..85, true) => Fault::Closing,
        (85..90, true) => Fault::Mail(451),
        _ => Fault::Accept,
    }
}

impl Storm<'_> {
    fn starts(&mut self, dies: Option<DieAt>) {
        self.lives += 1;
        let name = format!("life-{}", self.lives);
        let sessions = self.dice.one_of(&[1, 2, 4, MOST_SESSIONS]);
        let child = self.house.sender(&name, sessions, dies);
        self.stage.enters(name, child);
    }

    /// Every third dies at some named moment, if nobody is quicker.
    fn fill(&mut self) {
        while self.stage.alive() < AT_ONCE {
            let armed = self.dice.below(3) == 0;
            let (moment, pass) = (
                self.dice.one_of(Moment::ALL),
                1 + self.dice.below(12) as u32,
            );
            self.starts(armed.then_some(DieAt(moment, pass)));
        }
    }

    fn blow(&mut self) -> Plan {
        let dice = &mut self.dice;
        Plan {
            blow: Blow::Kill,
            step: dice.one_of(&STEPS),
            left: 1 + dice.below(60),
            lag: Duration::from_micros(dice.below(4_000) as u64),
            any: (dice.below(4) == 0).then(|| dice.below(AT_ONCE)),
        }
    }

    /// Whoever is killed is followed by another, and each time it is asked how things stand.
    async fn kills(&mut self, times: usize, case: &Case<'_>) {
        let blows: Vec<Plan> = (0..times).map(|_| self.blow()).collect();
        self.stage.plan(blows);
        let (mut left, mut last, mut asked) = (times, Instant::now(), 0);
        while left > 0 {
            self.fill();
            std::thread::sleep(LOOK);
            if self.stage.planned() < left {
                (left, last) = (self.stage.planned(), Instant::now());
                asked = case.ask(asked).await;
            }
            assert!(
                last.elapsed() < PATIENCE,
                "nothing is sent any more, {left} deaths too early:\n{}",
                self.house.words()
            );
        }
        self.fill();
    }

    /// Those who live finish what they have begun, and one more sends all that is left. It need not wait
    /// for the leases of the last dead; those of the others have ended by themselves.
    async fn ends(&mut self) {
        self.stage.asks_all();
        self.wait_for_all();
        self.house.lapse().await;
        self.starts(None);
        self.wait_for_all();
    }

    fn wait_for_all(&self) {
        let began = Instant::now();
        while self.stage.alive() > 0 {
            assert!(
                began.elapsed() < PATIENCE,
                "it does not end:\n{}",
                self.house.words()
            );
            std::thread::sleep(LOOK);
        }
    }
}

pub async fn rages(database: &str, size: Size) {
    let (stage, calm) = (Stage::default(), Arc::new(AtomicBool::new(false)));
    let (watching, is_calm) = (stage.clone(), Arc::clone(&calm));
    let relay: Recorder = Setup::new()
        .watch(move |step, by| watching.sees(step, by))
        .script(move |offer| match is_calm.load(Ordering::SeqCst) {
            true if is_refused(offer.to) => Fault::Rcpt(550),
            true => Fault::Accept,
            false => faulty(offer),
        })
        .start();
    let others = size.people / 10;
    let groups = [
        ("staff".to_owned(), size.people),
        ("others".to_owned(), others),
    ];
    let house = House::build(database, relay.port(), &groups).await;
    let mut storm = Storm {
        house: &house,
        stage,
        dice: Dice::new(SEED),
        lives: 0,
    };
    let case = async |group| {
        let order = house.approved(group);
        assert!(house.publish(order, None).status.success());
        Case::new(&house, &relay, order, house.members(group).await)
    };
    let taken_back = case("staff").await;
    // Published too, and never retracted: it waits behind the corrections, and nobody may be forgotten.
    let stays = case("others").await;

    storm.kills(size.kills / 2, &taken_back).await;
    let before = taken_back.before(storm.stage.senders());
    let answer = house.retract(taken_back.order, None);
    assert!(answer.status.success(), "{}", house.words());
    let answer = serde_json::from_slice(&answer.stdout).unwrap();
    let retracted = Retracted::look(&taken_back, before, &answer).await;
    eprintln!(
        "retracted after {} messages, {} senders: {answer}",
        relay.messages().len(),
        storm.lives
    );
    storm.kills(size.kills - size.kills / 2, &taken_back).await;
    eprintln!("calm after {} messages", relay.messages().len());
    calm.store(true, Ordering::SeqCst);
    storm.ends().await;
    relay.wait_until_alone(PATIENCE);

    let died = storm.stage.died();
    assert_eq!(storm.stage.count(End::Killed), size.kills);
    taken_back.compare(Some(&retracted), &died).await;
    stays.compare(None, &died).await;
    house.does(&["audit", "verify"]);
    eprintln!(
        "{} deaths by SIGKILL, {} at named moments; {} messages, {} accepted, {} to correct",
        size.kills,
        storm.stage.count(End::AtItsMoment),
        relay.messages().len(),
        relay.accepted().len(),
        retracted.to_correct.len(),
    );
}
