//! What is kept, and what is done where nothing is.

#![allow(clippy::unwrap_used)]

use countermand_core::verdict::GatePolicy;

use super::*;
use crate::clock::ManualClock;
use crate::gate::spool::Spool;
use crate::live::Live;
use crate::live::part::Part;

struct Desk {
    live: Arc<Live>,
    recorder: Recorder,
    folder: tempfile::TempDir,
}

fn become_of(live: &Live, installation: &str) {
    let part = Part {
        since: None,
        version: 1,
        installation: installation.to_owned(),
        policy: GatePolicy::default(),
        facts: Vec::new(),
    };
    live.feed(part, Timestamp::UNIX_EPOCH);
}

impl Desk {
    /// With room for so many files, and so many refusals in memory.
    fn new(most_files: usize, most_waiting: usize) -> Desk {
        let clock = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
        let live = Live::to_be_fed(clock.clone());
        become_of(&live, "first");
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::with_room(folder.path(), most_files, live.clone()).unwrap();
        let figures = metrics::Metrics::new().unwrap().waiting;
        let recorder = Recorder {
            most_waiting,
            ..Recorder::new(Keeper::Spool(spool), clock, figures)
        };
        Desk {
            live,
            recorder,
            folder,
        }
    }

    fn note_of(&self, installation: &str, fingerprint: u64, certain: bool) -> Noted {
        let cause = Cause {
            fingerprint,
            at: Timestamp::UNIX_EPOCH,
            nameless: false,
            installation: Some(installation.into()),
        };
        self.recorder.note(cause, || Refusal {
            fingerprint,
            at: Timestamp::UNIX_EPOCH,
            person: Some(PersonId(7)),
            certain,
            missing: None,
            orders: BTreeSet::new(),
            known: "{}".to_owned(),
        })
    }

    fn note(&self, fingerprint: u64) -> Noted {
        self.note_of("first", fingerprint, true)
    }

    /// What is in the spool, as text.
    fn kept(&self) -> String {
        let files = std::fs::read_dir(self.folder.path()).unwrap();
        files
            .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
            .collect()
    }
}

#[tokio::test]
async fn inv_23_nobody_is_refused_whose_refusal_nothing_keeps() {
    let desk = Desk::new(1, 4);
    assert!(matches!(desk.note(1), Noted::Waits(_)));
    desk.recorder.flush().await.unwrap();
    for fingerprint in 2..=5 {
        assert!(matches!(desk.note(fingerprint), Noted::Waits(_)));
    }
    desk.recorder.flush().await.unwrap_err();
    assert!(matches!(desk.note(1), Noted::NeedNotWait), "it is on disk");
    assert!(matches!(desk.note(2), Noted::Waits(_)), "it is in memory");
    assert!(matches!(desk.note(6), Noted::Unkept));
    assert!(matches!(desk.note(6), Noted::Unkept), "and is not known");
    assert!(
        matches!(desk.note_of("first", 7, false), Noted::NeedNotWait),
        "no correction is owed to a name that somebody made up"
    );
}

#[tokio::test]
async fn names_that_nobody_vouched_for_leave_room() {
    let desk = Desk::new(1, 4);
    for fingerprint in 1..=10 {
        desk.note_of("first", fingerprint, false);
    }
    assert!(matches!(desk.note(11), Noted::Waits(_)));
    assert!(matches!(desk.note(12), Noted::Waits(_)));
    assert!(matches!(desk.note(13), Noted::Unkept));
}

#[tokio::test]
async fn inv_23_after_a_restore_refusals_are_told_anew_and_none_of_before_stands_for_others() {
    let desk = Desk::new(10, 10);
    desk.note(1);
    desk.recorder.flush().await.unwrap();
    assert!(matches!(desk.note(1), Noted::NeedNotWait));
    desk.note(2);
    become_of(&desk.live, "second");
    assert!(
        matches!(desk.note(3), Noted::Unkept),
        "it was judged by facts that are no more"
    );
    assert!(matches!(desk.note_of("second", 1, true), Noted::Waits(_)));
    desk.recorder.flush().await.unwrap();
    let kept = desk.kept();
    assert_eq!(kept.matches("\"first\"").count(), 1, "{kept}");
    assert_eq!(kept.matches("\"second\"").count(), 1, "{kept}");
    assert!(!kept.contains("\"fingerprint\":2"), "{kept}");
}
