//! How long to wait before trying again: longer each time, and not everybody at once.

use std::time::Duration;

use countermand_core::notice::{Key, plan};
use jiff::{SignedDuration, Timestamp};

const FIRST: SignedDuration = SignedDuration::from_secs(2);
const LONGEST: SignedDuration = SignedDuration::from_mins(15);
const LONGEST_TO_RELAY: Duration = Duration::from_secs(15);

/// When a receipt may be tried again after `attempt` failed ones. A function of the receipt, so that
/// every worker and every replay waits as long.
pub(super) fn not_before(key: &Key, attempt: u32, now: Timestamp) -> Timestamp {
    let doubled = FIRST
        .checked_mul(1 << attempt.min(10))
        .unwrap_or(LONGEST)
        .min(LONGEST);
    // Between three and five quarters of it, for a crowd that failed together.
    let quarter = doubled.as_millis() / 4;
    let jitter = i128::from(plan::rank(key.order, key.person) >> 16) % (quarter * 2);
    let millis = i64::try_from(quarter * 3 + jitter).unwrap_or(i64::MAX);
    let wait = SignedDuration::from_millis(millis).min(LONGEST);
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}

/// How long to leave a relay alone that failed `strikes` times in a row.
pub(super) fn before_opening(strikes: u32) -> Duration {
    match strikes {
        0 => Duration::ZERO,
        n => Duration::from_secs(1 << (n - 1).min(6)).min(LONGEST_TO_RELAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use countermand_core::id::{OrderId, PersonId};
    use countermand_core::notice::Kind;
    use uuid::Uuid;

    #[test]
    fn the_first_retry_comes_within_five_seconds_and_no_later_one_after_a_quarter_hour() {
        let now = Timestamp::UNIX_EPOCH;
        let waits = |attempt| {
            (0..500).map(move |person| {
                let key = Key {
                    order: OrderId(Uuid::from_u128(7)),
                    person: PersonId(person),
                    kind: Kind::Order,
                };
                assert_eq!(
                    not_before(&key, attempt, now),
                    not_before(&key, attempt, now)
                );
                not_before(&key, attempt, now).duration_since(now)
            })
        };
        for wait in waits(0) {
            assert!(
                wait >= SignedDuration::from_millis(1500) && wait <= SignedDuration::from_secs(4),
                "{wait}"
            );
        }
        let spread: std::collections::BTreeSet<_> = waits(0).collect();
        assert!(spread.len() > 200, "a crowd comes back all at once");
        for attempt in [1, 5, 9, 10, 11, 1000, u32::MAX] {
            assert!(
                waits(attempt).all(|wait| wait > SignedDuration::from_secs(2) && wait <= LONGEST)
            );
        }
        assert!(waits(30).min() > waits(3).max());
        assert_eq!(before_opening(0), Duration::ZERO);
        assert_eq!(before_opening(u32::MAX), LONGEST_TO_RELAY);
    }
}
