//! A sender in a process of its own, killed at every kind of moment and started again. What the relay
//! saw is then compared with what the database says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use countermand_core::notice::Kind;
use jiff::SignedDuration;
use support::postgres::Postgres;
use support::sending::*;
use support::smtp_record::{Fault, Recorder, Setup};

const DATA: &str = "CRASH_TEST_DATA";
const PORT: &str = "CRASH_TEST_PORT";
const LIFE: &str = "CRASH_TEST_LIFE";
const DATABASE: &str = "CRASH_TEST_DATABASE";
const SQLITE: &str = "sqlite:test.db";
const ORDER: u128 = 0xa;
/// Most receipts in flight at once.
const DEPTH: usize = 32;
/// Only bounds a test that would hang.
const PATIENCE: Duration = Duration::from_secs(120);

/// Each life begins a minute after the one before, so that the lease of that one is over.
fn later(life: usize) -> SignedDuration {
    SignedDuration::from_mins(life as i64)
}

/// No test, but the process that the tests kill: they start this program again and name it. In an
/// ordinary run it has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sender_process() {
    let Ok(data) = std::env::var(DATA) else {
        return;
    };
    let number = |name: &str| std::env::var(name).unwrap().parse::<usize>().unwrap();
    let life = number(LIFE);
    let database = std::env::var(DATABASE).unwrap();
    let world = World::at(&database, Path::new(&data), later(life)).await;
    world
        .send(&format!("life-{life}"), number(PORT) as u16)
        .await;
}

fn start(database: &str, data: &Path, port: u16, life: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sender_process", "--nocapture"])
        .env(DATABASE, database)
        .env(DATA, data)
        .env(PORT, port.to_string())
        .env(LIFE, life.to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// When to kill: counted in RCPTs, all of one life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Within the relay's handling of the n-th RCPT, before it is answered.
    Rcpt(usize),
    /// When the whole n-th message is with the relay, before the dot is answered.
    Dot(usize),
    /// Soon after the answer to the n-th message, wherever that finds the sender.
    Answer(usize),
}

#[derive(Default)]
struct Stage {
    /// RCPTs of this life.
    count: usize,
    at: Option<At>,
    child: Option<Child>,
    /// Hears the ordinal of the message that the moment of death belongs to.
    reached: Option<mpsc::Sender<usize>>,
}

impl Stage {
    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

/// A relay, a database, and one sender after another.
struct Play {
    database: String,
    folder: tempfile::TempDir,
    recorder: Recorder,
    stage: Arc<Mutex<Stage>>,
    world: World,
    life: usize,
    kills: usize,
}

impl Play {
    async fn new(database: &str, people: u32) -> Play {
        let folder = tempfile::tempdir().unwrap();
        let stage: Arc<Mutex<Stage>> = Arc::default();
        let seen = Arc::clone(&stage);
        let script = move |offer: support::smtp_record::Offer<'_>| {
            if offer.to.is_empty() {
                return Fault::Accept;
            }
            let mut stage = seen.lock().unwrap();
            stage.count += 1;
            let (At::Rcpt(n) | At::Dot(n) | At::Answer(n)) = match stage.at {
                Some(at) => at,
                None => return Fault::Accept,
            };
            if stage.count != n {
                return Fault::Accept;
            }
            let at = stage.at.take();
            if let Some(reached) = stage.reached.take() {
                let _ = reached.send(offer.ordinal);
            }
            match at {
                Some(At::Rcpt(_)) => {
                    stage.kill();
                    Fault::Accept
                }
                Some(At::Dot(_)) => Fault::StallAfterDot,
                _ => Fault::Accept,
            }
        };
        let world = World::at(database, folder.path(), SignedDuration::ZERO).await;
        publish(&world.store, order_id(ORDER), 0..people).await;
        Play {
            database: database.to_owned(),
            folder,
            recorder: Setup::new().script(script).start(),
            stage,
            world,
            life: 0,
            kills: 0,
        }
    }

    fn next_life(&mut self, at: Option<At>) -> mpsc::Receiver<usize> {
        self.life += 1;
        let (reached, hears) = mpsc::channel();
        let mut stage = self.stage.lock().unwrap();
        *stage = Stage {
            count: 0,
            at,
            child: Some(start(
                &self.database,
                self.folder.path(),
                self.recorder.port(),
                self.life,
            )),
            reached: Some(reached),
        };
        hears
    }

    /// One life of a sender that ends at a certain moment.
    fn live_until(&mut self, at: At) {
        let hears = self.next_life(Some(at));
        let ordinal = hears
            .recv_timeout(PATIENCE)
            .expect("the sender comes so far");
        if !matches!(at, At::Rcpt(_)) {
            self.await_message(ordinal);
        }
        self.stage.lock().unwrap().kill();
        self.kills += 1;
    }

    fn await_message(&self, ordinal: usize) {
        // The recorder counts; which message is the last to come is only known by looking.
        let mut count = self.recorder.messages().len();
        while !self
            .recorder
            .messages()
            .iter()
            .any(|m| m.ordinal == ordinal)
        {
            count = self.recorder.wait_for(count + 1, PATIENCE).len();
        }
    }

    /// One that ends by itself.
    fn live_to_the_end(&mut self) {
        drop(self.next_life(None));
        let mut child = self.stage.lock().unwrap().child.take().unwrap();
        let status = child.wait().unwrap();
        assert!(status.success(), "the sender ended with {status}");
    }

    /// Invariants 15 to 20, after everything has ended: nobody is forgotten, nobody got the order twice,
    /// and every receipt tells the truth.
    async fn check_notices(&self, people: u32) {
        let receipts = self.world.receipts(order_id(ORDER), Kind::Order).await;
        let received = received(&self.recorder, order_id(ORDER), Kind::Order);
        let twice: BTreeMap<_, _> = received.iter().filter(|(_, times)| **times > 1).collect();
        assert_eq!(twice, BTreeMap::new(), "doubled");
        let accepted: BTreeSet<u32> = self
            .recorder
            .accepted()
            .iter()
            .map(|m| person_at(&m.to[0]))
            .collect();
        let mut unknown = 0;
        for person in 0..people {
            let (state, _) = receipts
                .get(&person)
                .unwrap_or_else(|| panic!("{person} is forgotten"));
            match state.as_str() {
                "accepted" => assert!(accepted.contains(&person), "{person} never got it"),
                "unknown" => unknown += 1,
                other => panic!("{person} is {other}"),
            }
        }
        assert_eq!(receipts.len(), people as usize);
        assert!(
            unknown <= self.kills * DEPTH,
            "{unknown} unknown after {} deaths",
            self.kills
        );
        assert_eq!(self.world.store.unsettled().await.unwrap(), 0);
        assert_eq!(self.recorder.violations(), [""; 0]);
    }
}

/// Moments spread over what one life sends.
fn moments() -> Vec<At> {
    let mut moments = Vec::new();
    for n in [1, 2, 4, 5, 9, 17, 32, 33, 64] {
        moments.extend([At::Rcpt(n), At::Dot(n), At::Answer(n)]);
    }
    moments
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_19_a_sender_killed_again_and_again_forgets_nobody_and_doubles_nothing() {
    const PEOPLE: u32 = 10_000;
    let mut play = Play::new(SQLITE, PEOPLE).await;
    let late = [At::Dot(700), At::Rcpt(1_500), At::Answer(3_000)];
    for at in moments().into_iter().chain(late) {
        play.live_until(at);
        // 16: whoever's mail may have begun is in flight on disk.
        let receipts = play.world.receipts(order_id(ORDER), Kind::Order).await;
        for begun in play.recorder.begun() {
            let person = person_at(&begun.to[0]);
            assert!(
                receipts.get(&person).is_some_and(|(_, flew)| *flew),
                "{at:?}: {person}"
            );
        }
    }
    play.live_to_the_end();
    play.check_notices(PEOPLE).await;
    // 18: not even begun twice.
    let mut begun = BTreeSet::new();
    for one in play.recorder.begun() {
        assert!(
            begun.insert(one.to[0].clone()),
            "{:?} was begun twice",
            one.to
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_23_corrections_reach_exactly_the_set_whatever_dies_and_when() {
    retracted_midway(SQLITE, 10_000, [50, 2_000, 3_000]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_23_corrections_reach_exactly_the_set_on_postgresql_too() {
    if let Some(postgres) = Postgres::shared() {
        retracted_midway(&postgres.fresh_database(), 1_500, [50, 200, 300]).await;
    }
}

async fn retracted_midway(database: &str, people: u32, deaths: [usize; 3]) {
    let id = order_id(ORDER);
    let mut play = Play::new(database, people).await;
    for n in deaths {
        play.live_until(At::Dot(n));
    }
    // Retracted while the last victim's receipts are in flight on disk and nobody has buried it.
    let in_flight = play.world.in_state(id, Kind::Order, "in_flight").await;
    assert!(
        !in_flight.is_empty() && in_flight.len() <= DEPTH,
        "{}",
        in_flight.len()
    );
    retract(&play.world.store, id).await;
    let expected = play.world.perhaps_told(id, &[Kind::Order]).await;
    assert!(expected.len() > 500 && expected.len() < people as usize);
    let orders_before = received(&play.recorder, id, Kind::Order);

    for at in moments().into_iter().step_by(2) {
        if received(&play.recorder, id, Kind::Correction).len() + 100 < expected.len() {
            play.live_until(at);
        }
    }
    play.live_to_the_end();

    assert_eq!(
        received(&play.recorder, id, Kind::Order),
        orders_before,
        "sent after the retraction"
    );
    let corrected: BTreeSet<u32> = received(&play.recorder, id, Kind::Correction)
        .into_keys()
        .collect();
    assert_eq!(corrected, expected);
    assert_eq!(
        play.world.in_state(id, Kind::Correction, "accepted").await,
        expected
    );
    for person in orders_before.keys() {
        assert!(
            corrected.contains(person),
            "{person} got the order and no correction"
        );
    }
    let (notices, corrections) = play.world.store.receipt_counts(id).await.unwrap();
    assert!(notices.is_finished() && corrections.is_finished());
}
