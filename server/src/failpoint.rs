//! Moments at which a test lets the process die, as a power cut would: named, so that every step of
//! sending and retracting is tried, and not only what chance finds.
//!
//! `COUNTERMAND_DIE_AT=start.committed` dies at the first pass, `start.committed:3` at the third. Only
//! builds with debug assertions look; in a release build every [`pass`] is nothing.
//!
//! To add one: a line in the list below, and [`pass`] where it belongs. `server/tests/outbox_crash.rs` walks
//! the list by itself, and fails on a moment that no step of an order's life comes by.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Names the moment of death.
const DIE_AT: &str = "COUNTERMAND_DIE_AT";

macro_rules! moments {
    ($($(#[$doc:meta])* $moment:ident = $name:literal,)*) => {
        /// A boundary between two steps.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Moment { $($(#[$doc])* $moment,)* }

        impl Moment {
            pub const ALL: &[Moment] = &[$(Moment::$moment,)*];

            pub const fn name(self) -> &'static str {
                match self { $(Moment::$moment => $name,)* }
            }
        }
    };
}

moments! {
    /// In a turn's transaction, when what came back is written and nothing is begun yet.
    TurnHalf = "turn.half",
    ClaimBeforeCommit = "claim.before_commit",
    ClaimCommitted = "claim.committed",
    StartBeforeCommit = "start.before_commit",
    /// In flight on disk, and not a byte of it has left.
    StartCommitted = "start.committed",
    /// The relay waits for the body.
    DataAnswered = "smtp.data_answered",
    HalfBody = "smtp.half_body",
    /// The final dot has left, and no answer is read.
    DotSent = "smtp.dot_sent",
    /// The relay has answered, and nobody but this process knows.
    DotAnswered = "smtp.dot_answered",
    /// All of a session's batch is answered.
    BatchDelivered = "batch.delivered",
    SettleBeforeCommit = "settle.before_commit",
    SettleCommitted = "settle.committed",
    RenewBeforeCommit = "renew.before_commit",
    RenewCommitted = "renew.committed",
    /// What a dead sender had in flight is given up, what it had claimed is not.
    BuryHalf = "bury.half",
    BuryBeforeCommit = "bury.before_commit",
    BuryCommitted = "bury.committed",
    RetireBeforeCommit = "retire.before_commit",
    RetireCommitted = "retire.committed",
    /// In a change's transaction, without its entry in the record.
    ChangeWritten = "change.written",
    ChangeRecorded = "change.recorded",
    /// Nobody has heard of it yet, the index of this process included.
    ChangeCommitted = "change.committed",
    ChangeFollowed = "change.followed",
    /// The claims of an order are cancelled, and it still counts as published.
    RetractCancelled = "retract.cancelled",
    /// What the retraction found is counted, and nobody has written it down.
    AnswerCounted = "answer.counted",
    /// In the transaction that writes it down: nobody is to count any more, and no figure is there.
    AnswerHalf = "answer.half",
    AnswerCommitted = "answer.committed",
}

/// Dies here, if this is the pass to die at.
#[inline]
pub fn pass(moment: Moment) {
    if is_now(moment) {
        die();
    }
}

/// For who has to do something before it dies.
#[inline]
pub fn is_now(moment: Moment) -> bool {
    cfg!(debug_assertions) && counts_to_the_last(moment)
}

/// Neither unwinds, nor runs a destructor, nor empties a buffer of this program: to database and relay it is
/// what SIGKILL is, and unlike a SIGKILL to oneself it leaves the other threads no time to go on.
pub fn die() -> ! {
    std::process::abort()
}

struct Armed {
    moment: Moment,
    passes_left: AtomicU32,
}

fn counts_to_the_last(moment: Moment) -> bool {
    static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
    let armed = ARMED.get_or_init(|| {
        let text = std::env::var(DIE_AT).ok()?;
        let armed = read(&text);
        if armed.is_none() {
            eprintln!(
                "{DIE_AT}: there is no moment «{text}»; server/src/failpoint.rs lists all, and `:3` after a name means its third pass"
            );
        }
        armed
    });
    armed.as_ref().is_some_and(|armed| {
        armed.moment == moment && armed.passes_left.fetch_sub(1, Ordering::SeqCst) == 1
    })
}

fn read(text: &str) -> Option<Armed> {
    let (name, pass) = text.split_once(':').unwrap_or((text, "1"));
    Some(Armed {
        moment: *Moment::ALL.iter().find(|moment| moment.name() == name)?,
        passes_left: AtomicU32::new(pass.parse().ok().filter(|pass| *pass > 0)?),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_moment_has_a_name_of_its_own_and_is_found_by_it() {
        let names: BTreeSet<&str> = Moment::ALL.iter().map(|moment| moment.name()).collect();
        assert_eq!(names.len(), Moment::ALL.len());
        for moment in Moment::ALL {
            assert_eq!(read(moment.name()).unwrap().moment, *moment);
        }
        let third = read("smtp.dot_sent:3").unwrap();
        assert_eq!(third.moment, Moment::DotSent);
        assert_eq!(third.passes_left.into_inner(), 3);
        for wrong in ["", "smtp", "smtp.dot_sent:0", "smtp.dot_sent:x"] {
            assert!(read(wrong).is_none(), "{wrong:?}");
        }
    }
}
