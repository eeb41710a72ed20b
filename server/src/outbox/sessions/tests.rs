//! Writing ahead: nothing leaves but what is in flight.

use super::*;
use crate::clock::ManualClock;
use crate::outbox::maildir;
use crate::outbox::office::{Brief, Letter, Office};
use crate::store::{Store, StoreError};
use countermand_core::id::{OrderId, PersonId};
use countermand_core::notice::Kind;
use countermand_core::notice::plan::Due;
use jiff::Timestamp;
use roaring::RoaringBitmap;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering::SeqCst};

/// Says its version in each letter.
#[derive(Default)]
struct Words {
    version: AtomicI64,
    /// From this version on all is too late.
    over: AtomicI64,
    written: AtomicUsize,
}

impl Office for Words {
    fn version(&self) -> i64 {
        self.version.load(SeqCst)
    }
    fn standing(&self, _: Timestamp) -> Vec<OrderId> {
        Vec::new()
    }
    fn due(&self, _: OrderId, _: &RoaringBitmap, _: Timestamp) -> Vec<Due> {
        Vec::new()
    }
    fn retracted(&self) -> Vec<OrderId> {
        Vec::new()
    }
    fn too_late(&self, _: &Key) -> Option<&'static str> {
        (self.version() >= self.over.load(SeqCst)).then_some("over")
    }
    fn write(&self, brief: &Brief) -> Result<Letter, String> {
        self.written.fetch_add(1, SeqCst);
        Ok(Letter {
            to_address: format!("p{}@corp.test", brief.key.person),
            subject: format!("of version {}", self.version()),
            text: "Please.".to_owned(),
            ..Letter::default()
        })
    }
}

/// Two sessions that are open.
struct House {
    sessions: Sessions,
    office: Arc<Words>,
    folder: tempfile::TempDir,
}

impl House {
    async fn build() -> Result<House, StoreError> {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open("sqlite:house.db", folder.path()).await?;
        let office = Arc::new(Words::default());
        office.over.store(9, SeqCst);
        let clock = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
        let from = "IT <it@corp.test>".to_owned();
        let desk = Desk::new(Arc::new(store), office.clone(), clock, from).unwrap();
        let dir = folder.path().join("mail");
        let transport = Transport::Mailbox {
            dir,
            durable: false,
        };
        let mut sessions = Sessions::new(Arc::new(desk), transport, 2);
        sessions.open_for(2 * PIPELINE_DEPTH);
        while sessions.room() < 2 * PIPELINE_DEPTH {
            sessions.next().await;
        }
        Ok(House {
            sessions,
            office,
            folder,
        })
    }

    /// Hands them out, and waits until all are written.
    async fn write_ahead(&mut self, claims: &[Claim]) -> Ahead {
        let before = self.office.written.load(SeqCst);
        let ahead = self.sessions.write_ahead(claims);
        while self.office.written.load(SeqCst) < before + claims.len() {
            tokio::task::yield_now().await;
        }
        ahead
    }

    /// What comes back until all have ended.
    async fn end(&mut self) -> Vec<Settled> {
        let mut all = Vec::new();
        while self.sessions.is_busy() {
            all.extend(self.sessions.next().await);
        }
        all
    }

    /// Addresses and subjects of what was sent.
    fn sent(&self) -> BTreeSet<(String, String)> {
        let all = maildir::list(&self.folder.path().join("mail"), 99).unwrap();
        all.into_iter().map(|m| (m.to, m.subject)).collect()
    }
}

fn claims(people: std::ops::Range<u32>) -> Vec<Claim> {
    let claim = |person| Claim {
        key: Key {
            order: OrderId(uuid::Uuid::from_u128(7)),
            person: PersonId(person),
            kind: Kind::Order,
        },
        fence: 1,
        attempt: 0,
    };
    people.map(claim).collect()
}

fn mails(people: &[u32], version: i64) -> BTreeSet<(String, String)> {
    let mail = |p: &u32| (format!("p{p}@corp.test"), format!("of version {version}"));
    people.iter().map(mail).collect()
}

#[tokio::test]
async fn inv_16_of_what_is_written_ahead_just_that_leaves_which_is_in_flight() {
    let mut house = House::build().await.unwrap();
    let all = claims(0..8);
    let ahead = house.write_ahead(&all).await;
    assert_eq!(house.sent(), BTreeSet::new(), "none is in flight");
    // Two of one session's, and none of the other's.
    let begun = vec![all[1], all[3]];
    house.sessions.send(ahead, &begun);
    let flies: Vec<Claim> = house.sessions.in_flight().copied().collect();
    assert_eq!(flies, begun);
    let settled: Vec<Claim> = house.end().await.iter().map(|s| s.claim).collect();
    assert_eq!(settled, begun);
    assert_eq!(house.sent(), mails(&[1, 3], 0));
    assert_eq!(house.sessions.room(), 8, "who had nothing to do is ready");
}

#[tokio::test]
async fn inv_16_what_is_written_ahead_and_never_begun_does_not_leave() {
    let mut house = House::build().await.unwrap();
    let all = claims(0..6);
    // The store did not answer.
    drop(house.write_ahead(&all).await);
    assert_eq!(house.end().await.len(), 0);
    assert_eq!(house.sent(), BTreeSet::new());
    let ahead = house.write_ahead(&all[4..]).await;
    house.sessions.send(ahead, &all[4..]);
    assert_eq!(house.end().await.len(), 2, "both sessions are of use");
    assert_eq!(house.sent(), mails(&[4, 5], 0));
}

#[tokio::test]
async fn inv_19_a_draft_is_sent_only_if_it_would_be_written_so_now() {
    let mut house = House::build().await.unwrap();
    let all = claims(0..3);
    for (version, people) in [(0, 0..1), (1, 1..2), (9, 2..3)] {
        let begun = &all[people.start as usize..people.end as usize];
        let ahead = house.write_ahead(begun).await;
        house.office.version.store(version, SeqCst);
        house.sessions.send(ahead, begun);
        let late = house.end().await[0].outcome == Outcome::TooLate;
        assert_eq!(late, version == 9);
    }
    let mut expected = mails(&[0], 0);
    expected.extend(mails(&[1], 1));
    assert_eq!(house.sent(), expected);
}
