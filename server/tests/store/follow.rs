//! Following: an index that took every commit answers as one built anew, on either database.

use std::sync::Arc;

use countermand::clock::ManualClock;
use countermand::live::Live;
use countermand::live::part::Part;
use countermand::store::Store;
use countermand_core::change::{Change, Step};
use countermand_core::evidence::Package;
use countermand_core::index::{Fact, Index};
use countermand_core::platform::Platform;
use countermand_core::verdict::GatePolicy;

use crate::fixture::*;
use crate::history::{History, empty_index};

on_both!(
    inv_01_following_each_commit_equals_building_anew,
    inv_01_a_gate_without_a_database_gives_the_same_verdicts,
    inv_37_a_gate_is_given_no_app_that_no_order_forbids,
    nothing_new_is_none,
    a_second_store_sees_what_the_first_commits,
    who_is_told_no_more_is_heard_of,
    a_view_is_of_one_version,
);

const STEPS: usize = 60;

/// An index, and how far it has followed.
struct Follower<'a> {
    store: &'a Store,
    index: Index,
    version: i64,
}

impl<'a> Follower<'a> {
    fn of(store: &'a Store) -> Self {
        Follower {
            store,
            index: empty_index(),
            version: 0,
        }
    }

    async fn follow(&mut self) {
        while let Some(followed) = self.store.follow(self.version).await.unwrap() {
            assert!(followed.version > self.version);
            self.version = followed.version;
            followed
                .facts
                .into_iter()
                .for_each(|fact| self.index.apply(fact));
        }
    }
}

async fn inv_01_following_each_commit_equals_building_anew(db: &Db) {
    let other = db.again().await;
    for seed in [1, 2, 3] {
        // All on one database: the later histories meet what the earlier ones left.
        let mut history = History::new(seed * 7_919);
        history.skip_ids(seed as u128 * 1_000);
        let (mut near, mut far) = (Follower::of(&db.store), Follower::of(&other));
        for n in 0..STEPS {
            history.step(&db.store).await;
            near.follow().await;
            if n % 9 == 0 {
                far.follow().await;
            }
            if n % 6 == 0 {
                history.compare(&near.index, &db.index().await);
            }
        }
        far.follow().await;
        let anew = db.index().await;
        history.compare(&near.index, &anew);
        history.compare(&far.index, &anew);
    }
}

/// A gate that is fed with parts of a view, as they travel.
struct Fed<'a> {
    store: &'a Store,
    live: Arc<Live>,
}

impl Fed<'_> {
    fn of(store: &Store) -> Fed<'_> {
        let clock = Arc::new(ManualClock::at(t(0)));
        let live = Live::to_be_fed(clock);
        Fed { store, live }
    }

    /// `whole` is the main server's index: of that moment, or of a later one.
    async fn follow(&self, whole: &Index) -> Vec<Fact> {
        let since = Some(self.live.version()).filter(|version| *version >= 0);
        let followed = match since {
            None => Some(self.store.load().await.unwrap()),
            Some(version) => self.store.follow(version).await.unwrap(),
        };
        let Some(followed) = followed else {
            return Vec::new();
        };
        let facts = whole.concern(&followed.facts).for_gates(followed.facts);
        let part = Part {
            since: since.filter(|_| !followed.anew),
            version: followed.version,
            installation: "this house".to_owned(),
            policy: GatePolicy::default(),
            facts: facts.clone(),
        };
        let travelled = Part::decode(&part.clone().encode().unwrap()).unwrap();
        assert_eq!(travelled, part);
        self.live.feed(travelled, t(0));
        facts
    }
}

/// In steps and at once, however far it lags behind.
async fn inv_01_a_gate_without_a_database_gives_the_same_verdicts(db: &Db) {
    for seed in [1, 2, 3, 4] {
        let mut history = History::new(seed * 104_729);
        history.skip_ids(seed as u128 * 1_000);
        let mut whole = Follower::of(&db.store);
        let (near, far) = (Fed::of(&db.store), Fed::of(&db.store));
        for n in 0..STEPS {
            history.step(&db.store).await;
            whole.follow().await;
            near.follow(&whole.index).await;
            history.compare_verdicts(&near.live.view(), &whole.index);
            if n % 9 == 0 {
                far.follow(&whole.index).await;
            }
            if n % 6 == 0 {
                let anew = Fed::of(&db.store);
                anew.follow(&whole.index).await;
                history.compare_verdicts(&anew.live.view(), &whole.index);
            }
        }
        far.follow(&whole.index).await;
        history.compare_verdicts(&far.live.view(), &whole.index);
    }
}

/// What it holds is what an attacker on that machine would find.
async fn inv_37_a_gate_is_given_no_app_that_no_order_forbids(db: &Db) {
    let mut history = History::new(7_919);
    let mut whole = Follower::of(&db.store);
    let gate = Fed::of(&db.store);
    let (mut given, mut kept_back) = (0, 0);
    for _ in 0..4 * STEPS {
        history.step(&db.store).await;
        whole.follow().await;
        let index = &whole.index;
        let forbidden = |package: &Package| {
            let standing = index.orders().filter(|order| order.standing().is_some());
            let mut pins = standing.map(|order| &order.revision.pins);
            pins.any(|pins| {
                Platform::ALL
                    .iter()
                    .any(|p| pins.matches(package, *p).is_some())
            })
        };
        for fact in gate.follow(index).await {
            match fact {
                Fact::Package(_, package) => assert!(forbidden(&package), "{package:?}"),
                Fact::Person(person) => {
                    assert_eq!((person.name, person.locale), Default::default())
                }
                Fact::Device(device) => {
                    for sighting in device.evidence.each_sighting() {
                        let package = index.package(sighting.app.package).unwrap();
                        assert!(forbidden(package), "{package:?}");
                        given += 1;
                    }
                    let known = index.device(device.id).unwrap().evidence.each_sighting();
                    kept_back += known.count() - device.evidence.each_sighting().count();
                }
                Fact::Order(order) => {
                    assert!(order.published().is_some(), "a draft is nobody's business");
                    assert_eq!(order.revision.text, "");
                    assert_eq!(order.revision.file.notice.plain, None);
                }
                _ => {}
            }
        }
    }
    assert!(given > 0 && kept_back > 0, "{given} {kept_back}");
}

async fn nothing_new_is_none(db: &Db) {
    assert!(db.follow(0).await.unwrap().is_none());
    let version = db.put(order_change(draft(1), None, Step::Draft)).await;
    assert!(db.follow(version).await.unwrap().is_none());
    // A commit that touches no fact still moves the follower on.
    db.renew_worker("w", t(60)).await.unwrap();
    let followed = db.follow(version).await.unwrap().unwrap();
    assert_eq!(
        (followed.version, followed.facts.len(), followed.anew),
        (version + 1, 0, false)
    );
}

async fn a_second_store_sees_what_the_first_commits(db: &Db) {
    let other = db.again().await;
    let before = other.version().await.unwrap();
    db.put(Change::People(vec![person(
        "al@corp.test",
        &[],
        &["staff"],
    )]))
    .await;
    let id = db.publish(1, &[0]).await;
    let followed = other.follow(before).await.unwrap().unwrap();
    assert_eq!(followed.version, before + 2);
    assert!(
        matches!(&followed.facts[..], [Fact::Person(p), Fact::Order(o)] if p.email == "al@corp.test" && o.id == id)
    );
}

async fn who_is_told_no_more_is_heard_of(db: &Db) {
    let id = db.publish(1, &[0]).await;
    let w = db.worker("w").await;
    w.send(
        id,
        countermand_core::notice::Kind::Order,
        0,
        countermand::store::Outcome::Accepted,
    )
    .await;
    let mut follower = Follower::of(&db.store);
    follower.follow().await;
    let told = |index: &Index| index.told(id, countermand_core::id::PersonId(0));
    assert_eq!(told(&follower.index), Some(t(2)));
    // As a hard bounce would have it.
    db.raw("UPDATE receipt SET state = 'rejected'").await;
    db.raw("INSERT INTO change_log (version, part, touched) SELECT number + 1, 0, (SELECT MAX(touched) FROM change_log WHERE touched LIKE '%Told%') FROM version").await;
    db.raw("UPDATE version SET number = number + 1").await;
    follower.follow().await;
    assert_eq!(told(&follower.index), None);
}

/// However commits fall between the reads, nobody sees half of one.
async fn a_view_is_of_one_version(db: &Db) {
    let writer = async {
        for n in 0..25 {
            let email = format!("p{n}@corp.test");
            db.put(Change::People(vec![person(&email, &[], &["staff"])]))
                .await;
            let key = format!("mdm:m:{n}");
            let app = format!("com.app{n}");
            db.put(Change::Reports(vec![report(
                "m",
                &[&key],
                Some(&email),
                &[&app],
            )]))
            .await;
        }
    };
    let other = db.again().await;
    let reader = async {
        for _ in 0..25 {
            let followed = other.load().await.unwrap();
            let (mut people, mut devices, mut packages) = (0, 0, 0);
            for fact in &followed.facts {
                match fact {
                    Fact::Person(_) => people += 1,
                    Fact::Device(_) => devices += 1,
                    Fact::Package(..) => packages += 1,
                    _ => {}
                }
            }
            assert_eq!(people + devices, followed.version);
            assert_eq!(devices, packages);
        }
    };
    tokio::join!(writer, reader);
}

/// The same history on both databases ends in the same facts, receipts and record.
#[tokio::test]
async fn one_history_is_the_same_on_both_databases() {
    let Some(postgres) = Db::postgres().await else {
        return;
    };
    for seed in [11, 12] {
        let (sqlite, mut ends) = (Db::sqlite().await, Vec::new());
        let postgres = if seed == 11 {
            &postgres
        } else {
            &Db::postgres().await.unwrap()
        };
        for db in [&sqlite, postgres] {
            let mut history = History::new(seed);
            for _ in 0..2 * STEPS {
                history.step(&db.store).await;
            }
            let mut end = db.facts().await;
            end.push(format!(
                "{:?} {}",
                db.audit_verify().await.unwrap(),
                db.version().await.unwrap()
            ));
            for stored in db.orders().await.unwrap() {
                let id = stored.order.id;
                end.push(format!(
                    "{id} {} {:?} {:?} {:?}",
                    stored.changed,
                    db.receipt_counts(id).await.unwrap(),
                    db.to_correct(id).await,
                    db.refused(id).await.unwrap()
                ));
            }
            ends.push(end);
        }
        assert_eq!(ends[0], ends[1]);
        assert!(
            ends[0].len() > 30,
            "the history is too poor: {}",
            ends[0].len()
        );
    }
}
