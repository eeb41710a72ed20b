//! A short time to comply that some people sleep through.

use jiff::Timestamp;

use super::source::line_of;
use super::{Crowd, Lint};
use crate::duration::Length;
use crate::order::Order;
use crate::order::when::{for_people, in_zone};
use crate::words::counted;

/// Night, in hours of the local clock.
const FROM: i8 = 22;
const UNTIL: i8 = 7;

/// Longer than this beyond the order's `min_notice` is time enough, even with a night in it.
const SHORT: Length = Length::hours(8);

/// Steps in which the time is looked at. Zones have offsets in quarters of an hour.
const STEP: Length = Length::seconds(15 * 60);

pub(super) fn lints(order: &Order, crowd: &Crowd, now: Timestamp) -> Vec<Lint> {
    let deadline = &order.revision.file.deadline;
    // Whoever is told now is refused from then on, and not before.
    let owed = deadline.min_notice.after(now);
    let end = order.comply_by().at().max(owed);
    if end > SHORT.after(owed) {
        return Vec::new();
    }
    let until = if end > owed {
        "the deadline".to_owned()
    } else {
        format!(
            "the first refusal, {} after being told",
            deadline.min_notice
        )
    };
    crowd
        .zones
        .iter()
        .filter_map(|(zone, people)| {
            let share = at_night(now, end, zone)?;
            let how_much = match share {
                Share::All => "the whole time",
                Share::Most => "most of the time",
                Share::Less => return None,
            };
            Some(Lint {
                section: "deadline".to_owned(),
                line: line_of(order, "comply_by"),
                what: format!(
                    "for {} in {zone} {how_much} from now to {until} is at night (it is {} there)",
                    counted(*people, "person", "people"),
                    for_people(now, zone)
                ),
                mend: "move deadline.comply_by into their next working day, or make deadline.min_notice longer".to_owned(),
            })
        })
        .collect()
}

#[derive(PartialEq, Eq, Debug)]
enum Share {
    All,
    /// Two thirds or more.
    Most,
    Less,
}

/// How much of the time lies in the night of that zone; `None` where there is no time.
fn at_night(from: Timestamp, to: Timestamp, zone: &str) -> Option<Share> {
    let (mut at, mut all, mut night) = (from, 0u32, 0u32);
    while at < to {
        let hour = in_zone(at, zone).hour();
        all += 1;
        night += u32::from(!(UNTIL..FROM).contains(&hour));
        let next = STEP.after(at);
        if next <= at {
            break;
        }
        at = next;
    }
    match (night, all) {
        (_, 0) => None,
        (night, all) if night == all => Some(Share::All),
        (night, all) if night * 3 >= all * 2 => Some(Share::Most),
        _ => Some(Share::Less),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{EXAMPLE, crowd, lint_at};
    use super::*;

    #[test]
    fn who_would_sleep_through_a_short_deadline_is_counted() {
        let zones = crowd(
            &[
                ("Asia/Kolkata", 1_240),
                ("Asia/Tokyo", 7),
                ("America/Los_Angeles", 25_000),
            ],
            &[],
        );
        // 22:30 to 03:30 in India, 10:00 to 15:00 in California, 02:00 to 07:00 in Japan.
        let text = EXAMPLE
            .replace("2020-07-10T23:59:00-07:00", "2020-07-10T15:00:00-07:00")
            .replace("by tonight ", "");
        let lints = lint_at(&text, &zones, "2020-07-10T17:00:00Z");
        let of: Vec<&str> = lints.iter().map(|l| l.what.as_str()).collect();
        assert_eq!(
            of,
            [
                "for 1,240 people in Asia/Kolkata the whole time from now to the deadline is at night (it is 10 Jul 2020, 22:30 IST there)",
                "for 7 people in Asia/Tokyo the whole time from now to the deadline is at night (it is 11 Jul 2020, 02:00 JST there)",
            ]
        );
        assert_eq!(lints[0].place(), "[deadline], line 17");
        // With a long time to go, a night in it does no harm.
        assert_eq!(lint_at(&text, &zones, "2020-07-10T12:00:00Z"), []);
        // By day for everybody who is asked.
        let west = crowd(&[("America/Los_Angeles", 25_000)], &[]);
        assert_eq!(lint_at(&text, &west, "2020-07-10T17:00:00Z"), []);
    }

    #[test]
    fn a_deadline_that_is_past_counts_from_the_telling() {
        let zones = crowd(&[("Europe/Berlin", 3)], &[]);
        // That it is past is a hint of its own.
        let at_night = |now: &str| {
            let lints = lint_at(EXAMPLE, &zones, now).into_iter();
            lints
                .filter(|l| l.what.contains("at night"))
                .map(|l| l.what)
                .collect::<Vec<_>>()
        };
        let night = at_night("2020-07-20T22:00:00Z");
        assert_eq!(night.len(), 1, "{night:?}");
        assert!(
            night[0].contains("to the first refusal, PT1H after being told"),
            "{night:?}"
        );
        assert!(at_night("2020-07-20T12:00:00Z").is_empty());
    }

    #[test]
    fn mostly_is_two_thirds() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        for (from, to, expected) in [
            (
                "2020-07-10T22:00:00Z",
                "2020-07-11T07:00:00Z",
                Some(Share::All),
            ),
            (
                "2020-07-10T21:00:00Z",
                "2020-07-11T01:00:00Z",
                Some(Share::Most),
            ),
            (
                "2020-07-10T20:00:00Z",
                "2020-07-10T23:00:00Z",
                Some(Share::Less),
            ),
            ("2020-07-10T20:00:00Z", "2020-07-10T20:00:00Z", None),
        ] {
            assert_eq!(at_night(at(from), at(to), "UTC"), expected, "{from}");
        }
        assert!(at_night(Timestamp::MAX, Timestamp::MAX, "UTC").is_none());
    }
}
