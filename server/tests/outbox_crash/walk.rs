//! One order's whole life for each named moment, with each of its processes dying there once.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Output;
use std::time::Duration;

use countermand::failpoint::Moment;
use countermand_core::notice::Kind;

use crate::house::{DieAt, House, is_refused};
use crate::record::{Case, Retracted};
use crate::stage::{Blow, End, Plan, Stage};
use crate::support::smtp_record::{Fault, Recorder, Seen, Setup};

const PEOPLE: u32 = 80;
const SESSIONS: usize = 2;
const PATIENCE: Duration = Duration::from_secs(60);

struct Walk<'a> {
    house: &'a House,
    relay: &'a Recorder,
    stage: Stage,
    lives: usize,
}

impl Walk<'_> {
    /// One sender, alone, until it ends.
    fn lives(&mut self, dies: Option<DieAt>, plan: Option<Plan>) -> End {
        self.lives += 1;
        let name = format!("life-{}", self.lives);
        self.stage.plan(plan);
        let child = self.house.sender(&name, SESSIONS, dies);
        self.stage.enters(name.clone(), child);
        while self.stage.alive() > 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        // What it had given to the system by then has arrived.
        self.relay.wait_until_alone(PATIENCE);
        let (last, end) = self.stage.ends().pop().unwrap();
        assert_eq!(last, name);
        end
    }

    /// A sender that dies at the moment, if it comes by: it finds what another left, works, and is asked to end.
    async fn sends(&mut self, dies: DieAt) -> bool {
        let killed = self.lives(None, Some(plan(Blow::Kill, Seen::Dot, 5)));
        assert_eq!(killed, End::Killed);
        self.house.lapse().await;
        self.lives(Some(dies), Some(plan(Blow::Ask, Seen::Rcpt, 10))) == End::AtItsMoment
    }
}

fn plan(blow: Blow, step: Seen, left: usize) -> Plan {
    let (lag, any) = (Duration::ZERO, None);
    Plan {
        blow,
        step,
        left,
        lag,
        any,
    }
}

/// Whether a command died at its moment; otherwise it did what it was asked.
fn died(output: &Output, house: &House) -> bool {
    let died = output.status.signal().is_some();
    assert!(died || output.status.success(), "{}", house.words());
    died
}

pub async fn walks(database: &str) {
    let stage = Stage::default();
    let watching = stage.clone();
    let relay = Setup::new()
        .watch(move |step, by| watching.sees(step, by))
        .script(|offer| match is_refused(offer.to) {
            true => Fault::Rcpt(550),
            false => Fault::Accept,
        })
        .start();
    let groups: Vec<(String, u32)> = Moment::ALL
        .iter()
        .map(|moment| (moment.name().to_owned(), PEOPLE))
        .collect();
    let house = House::build(database, relay.port(), &groups).await;
    let mut walk = Walk {
        house: &house,
        relay: &relay,
        stage,
        lives: 0,
    };
    let mut unreached = BTreeSet::new();
    for moment in Moment::ALL {
        if !one_life(&mut walk, *moment).await {
            unreached.insert(moment.name());
        }
    }
    assert!(
        unreached.is_empty(),
        "no step of an order's life comes by {unreached:?}; take them from the list in failpoint.rs, or let the walk go there"
    );
    house.does(&["audit", "verify"]);
}

/// Whether any of the processes died at the moment.
async fn one_life(walk: &mut Walk<'_>, moment: Moment) -> bool {
    let (house, group, dies) = (walk.house, moment.name(), DieAt(moment, 1));
    eprintln!("{group}");
    let mut reached = 0;

    let order = house.approved(group);
    if died(&house.publish(order, Some(dies)), house) {
        reached += 1;
        let (state, _) = house.order(order).await;
        let is_done = matches!(moment, Moment::ChangeCommitted | Moment::ChangeFollowed);
        assert_eq!(state, if is_done { "published" } else { "approved" });
        if !is_done {
            assert!(house.publish(order, None).status.success());
        }
    }
    assert_eq!(house.order(order).await.0, "published");
    let case = Case::new(house, walk.relay, order, house.members(group).await);

    reached += usize::from(walk.sends(dies).await);
    case.ask(0).await;
    house.lapse().await;
    // Another dies, and the retraction does not wait to know of it.
    walk.lives(None, Some(plan(Blow::Kill, Seen::Data, 3)));
    case.ask(0).await;

    let nobody = case.before(BTreeSet::new());
    let before = (house.order(order).await, house.receipts(order).await);
    if died(&house.retract(order, Some(dies)), house) {
        reached += 1;
        let now = (house.order(order).await, house.receipts(order).await);
        if now.0.0 != "retracted" {
            // 33: nothing of it, or all.
            assert_eq!(before, now, "a part of a retraction");
        }
    }
    let answer = house.retract(order, None);
    let again = house.retract(order, None);
    assert!(answer.status.success() && again.status.success());
    assert_eq!(answer.stdout, again.stdout, "30");
    let answer = serde_json::from_slice(&answer.stdout).unwrap();
    let retracted = Retracted::look(&case, nobody, &answer).await;
    // Nobody was at work, so what was, was it at the commit.
    let perhaps = |state: &str| ["accepted", "unknown", "in_flight"].contains(&state);
    let told: BTreeSet<u32> = before
        .1
        .iter()
        .filter(|((kind, _), receipt)| *kind == Kind::Order && perhaps(&receipt.state))
        .map(|((_, person), _)| *person)
        .collect();
    assert_eq!(retracted.to_correct, told, "23");
    house.lapse().await;

    reached += usize::from(walk.sends(dies).await);
    case.ask(0).await;
    house.lapse().await;
    assert_eq!(walk.lives(None, None), End::InPeace);
    case.compare(Some(&retracted), &walk.stage.died()).await;
    reached > 0
}
