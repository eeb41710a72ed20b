//! What is kept in files, in order, and what is in nobody's way.

#![allow(clippy::unwrap_used)]
use std::collections::BTreeSet;

use countermand_core::change::{Refusal, RefusedAgain};
use countermand_core::fleet::Claim;
use countermand_core::id::{OrderId, PersonId};
use countermand_core::verdict::GatePolicy;
use jiff::Timestamp;
use uuid::Uuid;

use super::*;
use crate::clock::ManualClock;
use crate::live::part::Part;

fn live(installation: &str) -> Arc<Live> {
    let live = Live::to_be_fed(Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH)));
    let part = Part {
        since: None,
        version: 1,
        installation: installation.to_owned(),
        policy: GatePolicy::default(),
        facts: Vec::new(),
    };
    live.feed(part, Timestamp::UNIX_EPOCH);
    live
}

fn refusal(fingerprint: u64) -> Change {
    Change::Refusals(vec![Refusal {
        fingerprint,
        at: Timestamp::UNIX_EPOCH,
        person: Some(PersonId(7)),
        certain: true,
        missing: None,
        orders: BTreeSet::from([OrderId(Uuid::nil())]),
        known: "{}".to_owned(),
    }])
}

fn claim(key: &str) -> Change {
    Change::Claims(vec![Claim {
        key: key.parse().unwrap(),
        person: PersonId(7),
        at: Timestamp::UNIX_EPOCH,
        first: false,
    }])
}

fn again(times: u64) -> Change {
    Change::RefusedAgain(vec![RefusedAgain {
        fingerprint: 1,
        times,
        last_at: Timestamp::UNIX_EPOCH,
    }])
}

/// All of it.
fn refuse(spool: &Spool, lot: &Lot) {
    let aside = [(lot.batch.clone(), "it makes no sense".to_owned())];
    spool.refused(lot, &aside).unwrap();
}

fn fingerprints(lot: &Lot) -> Vec<u64> {
    lot.batch.refusals.iter().map(|r| r.fingerprint).collect()
}

#[tokio::test]
async fn what_is_kept_outlives_the_process_and_goes_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool");
    let spool = Spool::open(&path, live("ours")).unwrap();
    for n in 1..=3 {
        spool.keep("ours", refusal(n)).await.unwrap();
    }
    drop(spool);
    std::fs::write(path.join("000000000009.new"), "cut o").unwrap();
    let spool = Spool::open(&path, live("ours")).unwrap();
    assert_eq!(spool.waiting.get(), 3);
    spool.keep("ours", refusal(4)).await.unwrap();
    let lot = spool.lot(2).unwrap().unwrap();
    assert_eq!(fingerprints(&lot), [1, 2]);
    assert_eq!(lot.batch.installation, "ours");
    spool.taken(&lot).unwrap();
    let lot = spool.lot(10).unwrap().unwrap();
    assert_eq!(fingerprints(&lot), [3, 4]);
    spool.taken(&lot).unwrap();
    assert!(spool.lot(10).unwrap().is_none());
    assert_eq!(spool.waiting.get(), 0);
    assert_eq!(std::fs::read_dir(&path).unwrap().count(), 0);
}

#[tokio::test]
async fn people_of_two_installations_never_share_a_lot() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), live("theirs")).unwrap();
    spool.keep("theirs", refusal(1)).await.unwrap();
    let spool = Spool::open(folder.path(), live("ours")).unwrap();
    spool.keep("ours", refusal(2)).await.unwrap();
    let lot = spool.lot(10).unwrap().unwrap();
    assert_eq!(
        (fingerprints(&lot), &*lot.batch.installation),
        (vec![1], "theirs")
    );
    // The main server does not take it: it is kept to be looked at, and no longer in the way.
    refuse(&spool, &lot);
    assert_eq!(spool.lost.get(), 1);
    let lot = spool.lot(10).unwrap().unwrap();
    assert_eq!(
        (fingerprints(&lot), &*lot.batch.installation),
        (vec![2], "ours")
    );
    assert!(folder.path().join("000000000001.refused").exists());
}

#[tokio::test]
async fn a_full_spool_takes_nothing_for_kept_and_keeps_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::with_room(folder.path(), 2, live("ours")).unwrap();
    for n in 1..=2 {
        spool.keep("ours", refusal(n)).await.unwrap();
    }
    spool.keep("ours", refusal(3)).await.unwrap_err();
    assert_eq!((spool.waiting.get(), spool.lost.get()), (2, 0));
    assert_eq!(spool.full.get(), 1);
    let lot = spool.lot(10).unwrap().unwrap();
    assert_eq!(fingerprints(&lot), [1, 2]);
    spool.taken(&lot).unwrap();
    spool.keep("ours", refusal(3)).await.unwrap();
    assert_eq!(fingerprints(&spool.lot(10).unwrap().unwrap()), [3]);
    assert_eq!(spool.full.get(), 0);
}

#[tokio::test]
async fn what_is_only_in_memory_finds_room_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::with_room(folder.path(), 1, live("ours")).unwrap();
    spool.keep("ours", refusal(1)).await.unwrap();
    spool.keep("ours", refusal(2)).await.unwrap_err();
    spool.end();
    spool.keep("ours", refusal(2)).await.unwrap();
    let spool = Spool::open(folder.path(), live("ours")).unwrap();
    assert_eq!(fingerprints(&spool.lot(10).unwrap().unwrap()), [1, 2]);
}

#[tokio::test]
async fn a_disk_that_takes_nothing_gets_no_leftovers() {
    let folder = tempfile::tempdir().unwrap();
    let (path, away) = (folder.path().join("spool"), folder.path().join("away"));
    let spool = Spool::open(&path, live("ours")).unwrap();
    std::fs::create_dir(path.join("000000000001.json")).unwrap();
    for _ in 0..2 {
        // The first number can't be put in its place, later ones not even be made.
        spool.keep("ours", refusal(1)).await.unwrap_err();
        assert!(std::fs::read_dir(folder.path()).unwrap().count() == 1);
        let _ = std::fs::rename(&path, &away);
    }
    assert_eq!(std::fs::read_dir(&away).unwrap().count(), 1);
    std::fs::rename(&away, &path).unwrap();
    spool.keep("ours", refusal(1)).await.unwrap();
    assert_eq!(fingerprints(&spool.lot(10).unwrap().unwrap()), [1]);
}

#[tokio::test]
async fn what_waits_behind_files_that_are_gone_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), live("ours")).unwrap();
    for n in 1..=4 {
        spool.keep("ours", refusal(n)).await.unwrap();
    }
    for n in 1..=3 {
        std::fs::remove_file(spool.path(n)).unwrap();
    }
    assert_eq!(fingerprints(&spool.lot(2).unwrap().unwrap()), [4]);
    assert_eq!(spool.waiting.get(), 1);
}

#[tokio::test]
async fn whoever_looks_sees_what_waits_and_what_was_put_aside_and_why() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), live("ours")).unwrap();
    for n in 1..=3 {
        spool.keep("ours", refusal(n)).await.unwrap();
    }
    refuse(&spool, &spool.lot(1).unwrap().unwrap());
    std::fs::write(spool.path(2), "{").unwrap();
    spool.lot(1).unwrap();
    let found = look(folder.path()).unwrap();
    assert_eq!((found.waiting, found.full), (1, false));
    assert_eq!(
        found.aside,
        ["000000000001.refused", "000000000002.unreadable"]
    );
    assert_eq!(found.why, ["it can't be read", "it makes no sense"]);
    let spool = Spool::open(folder.path(), live("ours")).unwrap();
    assert_eq!(spool.aside.get(), 2, "a restart forgets none");
    assert_eq!(
        look(&folder.path().join("none")).unwrap(),
        Contents::default()
    );
}

#[tokio::test]
async fn a_file_that_is_gone_is_in_nobodys_way() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), live("ours")).unwrap();
    for n in 1..=3 {
        spool.keep("ours", refusal(n)).await.unwrap();
    }
    let lot = spool.lot(2).unwrap().unwrap();
    std::fs::remove_file(spool.path(2)).unwrap();
    spool.taken(&lot).unwrap();
    assert_eq!(fingerprints(&spool.lot(10).unwrap().unwrap()), [3]);
    std::fs::remove_file(spool.path(3)).unwrap();
    assert!(spool.lot(10).unwrap().is_none());
    assert_eq!(spool.waiting.get(), 0);
}

#[tokio::test]
async fn the_number_of_what_was_put_aside_is_never_given_again() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), live("ours")).unwrap();
    for fingerprint in 1..=2 {
        spool.keep("ours", refusal(fingerprint)).await.unwrap();
        let lot = spool.lot(10).unwrap().unwrap();
        refuse(&spool, &lot);
    }
    drop(spool);
    let spool = Spool::open(folder.path(), live("ours")).unwrap();
    spool.keep("ours", refusal(3)).await.unwrap();
    refuse(&spool, &spool.lot(10).unwrap().unwrap());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
}

#[tokio::test]
async fn a_login_that_repeats_fills_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), live("ours")).unwrap();
    for _ in 0..3 {
        spool.keep("ours", claim("eas:NEW")).await.unwrap();
        spool.keep("ours", again(2)).await.unwrap();
    }
    assert_eq!(
        spool.waiting.get(),
        2,
        "one claim, and one cause of repeats"
    );
    let lot = spool.lot(10).unwrap().unwrap();
    assert_eq!(lot.batch.claims.len(), 1);
    spool.taken(&lot).unwrap();
    let lot = spool.lot(10).unwrap().unwrap();
    assert_eq!(lot.batch.again[0].times, 6);
    // More came while it was under way.
    spool.keep("ours", again(1)).await.unwrap();
    spool.taken(&lot).unwrap();
    assert_eq!(spool.lot(10).unwrap().unwrap().batch.again[0].times, 1);
    spool.keep("ours", claim("eas:NEW")).await.unwrap();
    assert_eq!(
        spool.lot(10).unwrap().unwrap().batch.claims.len(),
        1,
        "it may be told again"
    );
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_put_aside() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), live("ours")).unwrap();
    spool.keep("ours", refusal(1)).await.unwrap();
    spool.keep("ours", refusal(2)).await.unwrap();
    std::fs::write(spool.path(1), "{").unwrap();
    assert_eq!(fingerprints(&spool.lot(10).unwrap().unwrap()), [2]);
    assert_eq!((spool.waiting.get(), spool.lost.get()), (1, 1));
    assert!(folder.path().join("000000000001.unreadable").exists());
}
