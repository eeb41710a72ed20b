//! A deadline in words that differs from the deadline of the rule, or no deadline at all.

use jiff::civil::{Date, Time};
use jiff::{SignedDuration, Timestamp, ToSpan as _, ZonedDateTime};

use super::phrases::{Phrase, What, phrases};
use super::source::{Source, line_of};
use super::{Crowd, Lint};
use crate::order::Order;
use crate::order::when::{for_people, in_zone};

const MEND: &str = "write {{ order.comply_by }}, which is right for every reader in their own zone, or change deadline.comply_by";

/// A day's 23:59 and the 0:00 of the next are one moment to people.
const SLACK: SignedDuration = SignedDuration::from_mins(1);

/// How far off «tonight» and «tomorrow» may be: on which day the order will be published, nobody
/// knows yet.
const WITHIN_TODAY: SignedDuration = SignedDuration::from_hours(24);
const WITHIN_TOMORROW: SignedDuration = SignedDuration::from_hours(48);

pub(super) fn lints(
    order: &Order,
    sources: &[Source<'_>],
    crowd: &Crowd,
    now: Timestamp,
) -> Vec<Lint> {
    let deadline = Deadline::of(order, crowd);
    let mut lints = Vec::new();
    if deadline.at <= now {
        lints.push(Lint {
            section: "deadline".to_owned(),
            line: line_of(order, "comply_by"),
            what: format!(
                "the deadline {} is past: people would be refused {} after they are told",
                deadline.in_words, order.revision.file.deadline.min_notice
            ),
            mend: "set deadline.comply_by to a time to come".to_owned(),
        });
    }
    let title = &order.revision.file.title;
    for wrong in deadline.wrong(&phrases(title), now) {
        lints.push(Lint {
            section: "title".to_owned(),
            line: line_of(order, "title"),
            what: wrong.0,
            mend: MEND.replace("write {{ order.comply_by }}, which is right for every reader in their own zone, or", "say no time in the title, or"),
        });
    }
    // A correction speaks of what was, and a blocked notice of a deadline that has passed.
    for source in sources
        .iter()
        .filter(|s| matches!(s.kind, "notice" | "reminder"))
    {
        let said = phrases(&source.words);
        for (what, line) in deadline.wrong(&said, now) {
            lints.push(Lint {
                section: source.section(),
                line: source.line(line),
                what,
                mend: MEND.to_owned(),
            });
        }
        if source.kind == "notice" && said.is_empty() && !source.names("comply_by") {
            lints.push(Lint {
                section: source.section(),
                line: source.head(),
                what: "the text does not say by when".to_owned(),
                mend: "write {{ order.comply_by }}, which is each reader's own time".to_owned(),
            });
        }
    }
    lints
}

/// The deadline in every zone in which a reader, or the author, may think of it.
struct Deadline {
    at: Timestamp,
    zones: Vec<String>,
    /// No zone is known: hours say nothing, and a day may be the one before or after.
    zoneless: bool,
    in_words: String,
}

impl Deadline {
    fn of(order: &Order, crowd: &Crowd) -> Deadline {
        let when = order.comply_by();
        let own = when.zone();
        let zones = own
            .into_iter()
            .chain(crowd.zones.keys().map(String::as_str));
        let mut zones: Vec<String> = zones.map(str::to_owned).collect();
        if zones.is_empty() {
            zones.push("UTC".to_owned());
        }
        Deadline {
            at: when.at(),
            zones,
            zoneless: own.is_none(),
            in_words: for_people(when.at(), own.unwrap_or("UTC")),
        }
    }

    /// What is said otherwise than the rule has it, and on which line.
    fn wrong(&self, said: &[Phrase], now: Timestamp) -> Vec<(String, usize)> {
        said.iter()
            .filter(|phrase| {
                let midnight = What::Time { hour: 0, minute: 0 };
                let with = |other: &Phrase| other.line == phrase.line && other.what == midnight;
                phrase.is_end && !self.agrees(phrase, said.iter().any(with), now)
            })
            .map(|phrase| {
                let what = match phrase.what {
                    What::Today | What::Tomorrow => format!(
                        "the text says «{}», and the deadline is {}: that is right only if the order is published just before",
                        phrase.said, self.in_words
                    ),
                    _ => format!(
                        "the text says «{}», and the deadline is {}",
                        phrase.said, self.in_words
                    ),
                };
                (what, phrase.line)
            })
            .collect()
    }

    /// `midnight`: the 0:00 of a day is said beside it, which is the end of the day before.
    fn agrees(&self, phrase: &Phrase, midnight: bool, now: Timestamp) -> bool {
        match &phrase.what {
            What::Date { year, days } => self.days(midnight).any(|day| {
                year.is_none_or(|y| y == day.year()) && days.contains(&(day.month(), day.day()))
            }),
            What::Weekday(weekday) => self.days(midnight).any(|day| day.weekday() == *weekday),
            What::Time { .. } if self.zoneless || phrase.of_hours => true,
            What::Time { hour, minute } => self
                .times()
                .any(|time| (time.hour(), time.minute()) == (*hour, *minute)),
            What::Today => self.at <= now || self.at.duration_since(now) < WITHIN_TODAY,
            What::Tomorrow => {
                let ahead = self.at.duration_since(now);
                let is_today =
                    |zone: &String| in_zone(self.at, zone).date() == in_zone(now, zone).date();
                self.at <= now || (ahead < WITHIN_TOMORROW && !self.zones.iter().all(is_today))
            }
        }
    }

    /// The deadline as it stands, a moment earlier and a moment later.
    fn moments(&self) -> impl Iterator<Item = (SignedDuration, ZonedDateTime)> {
        let near = [SignedDuration::ZERO, -SLACK, SLACK];
        let near = near.map(|by| (by, self.at.checked_add(by).unwrap_or(self.at)));
        let zones = self.zones.iter();
        zones.flat_map(move |zone| near.map(|(by, at)| (by, in_zone(at, zone))))
    }

    fn days(&self, midnight: bool) -> impl Iterator<Item = Date> {
        let about: i64 = if self.zoneless { 1 } else { 0 };
        self.moments()
            .filter(move |(by, _)| midnight || *by != SLACK)
            .map(|(_, zoned)| zoned.date())
            .flat_map(move |day| {
                (-about..=about).filter_map(move |by| day.checked_add(by.days()).ok())
            })
    }

    fn times(&self) -> impl Iterator<Item = Time> {
        self.moments().map(|(_, zoned)| zoned.time())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{EXAMPLE, NOON, crowd, lint_at, lint_body, whats};

    fn says(words: &str) -> Vec<String> {
        let lints = lint_body(&format!(
            "Remove {{{{ apps }}}} {words} Questions? The helpdesk.\n"
        ));
        whats(&lints).iter().map(|w| (*w).to_owned()).collect()
    }

    #[test]
    fn a_deadline_in_words_that_is_another_is_hinted_at() {
        for (words, said) in [
            ("by 11 July 2020.", "11 July 2020"),
            ("by July 9.", "July 9"),
            ("until 2020-07-12.", "2020-07-12"),
            ("before 12.07.2020.", "12.07.2020"),
            ("by 10 July 2021.", "10 July 2021"),
            ("by 5 pm.", "5 pm"),
            ("no later than 22:00.", "22:00"),
            ("by noon.", "noon"),
            ("by Monday.", "Monday"),
        ] {
            let expected =
                format!("the text says «{said}», and the deadline is 10 Jul 2020, 23:59 PDT");
            assert_eq!(says(words), [expected], "{words}");
        }
    }

    #[test]
    fn a_deadline_in_words_that_is_the_same_is_not() {
        for words in [
            "by 10 July 2020.",
            "by July 10, 11:59 pm.",
            "until 2020-07-10, 23:59.",
            "by 10.07.2020.",
            "by 07/10/2020.",
            "by midnight.",
            "by Friday.",
            "by tonight.",
            "by the end of today.",
            "by 11 July, 0:00.",
            "by {{ order.comply_by }}.",
            "by 10 July. The helpdesk is open until 17:00.",
            "by {{ order.comply_by }}. It was first seen on 3 June 2020, at 14:00.",
        ] {
            assert_eq!(says(words), [""; 0], "{words}");
        }
    }

    #[test]
    fn tonight_is_the_evening_of_the_day() {
        let people = crowd(&[], &[]);
        assert_eq!(lint_at(EXAMPLE, &people, NOON), []);
        let early = lint_at(EXAMPLE, &people, "2020-07-07T19:00:00Z");
        assert_eq!(
            whats(&early),
            [
                "the text says «tonight», and the deadline is 10 Jul 2020, 23:59 PDT: that is right only if the order is published just before"
            ]
        );
        assert_eq!(early[0].place(), "[notice], line 31");
        let tomorrow = EXAMPLE.replace("by tonight", "by tomorrow");
        assert_eq!(lint_at(&tomorrow, &people, "2020-07-09T19:00:00Z"), []);
        for at in [NOON, "2020-07-07T19:00:00Z"] {
            assert_eq!(lint_at(&tomorrow, &people, at).len(), 1, "{at}");
        }
    }

    #[test]
    fn any_zone_of_a_reader_will_do() {
        let text = EXAMPLE.replace("by tonight", "by 11 July, 08:59 in Berlin,");
        let berlin = crowd(&[("Europe/Berlin", 3)], &[]);
        assert_eq!(lint_at(&text, &berlin, NOON), []);
        assert_eq!(lint_at(&text, &crowd(&[], &[]), NOON).len(), 2);
        // Where the deadline has no zone, its hours say nothing and its day is about right.
        let zoneless = text.replace("[America/Los_Angeles]", "");
        assert_eq!(lint_at(&zoneless, &crowd(&[], &[]), NOON), []);
    }

    #[test]
    fn a_notice_that_does_not_say_by_when_is_hinted_at() {
        let expected = "the text does not say by when";
        let (head, rest) = EXAMPLE.split_once("body = \"\"\"\n").unwrap();
        let (_, tail) = rest.split_once("\"\"\"").unwrap();
        let text = format!("{head}body = \"Remove it. Questions? Answer.\"{tail}");
        let text = text.replace(" by tonight", "");
        assert_eq!(whats(&lint_at(&text, &crowd(&[], &[]), NOON)), [expected]);
        let dated = text.replace("Remove it.", "Remove it by Friday.");
        assert_eq!(lint_at(&dated, &crowd(&[], &[]), NOON), []);
    }

    #[test]
    fn a_title_goes_everywhere_and_is_looked_at_too() {
        let text = EXAMPLE.replacen("company mail", "company mail by 12 July", 1);
        let lints = lint_at(&text, &crowd(&[], &[]), NOON);
        assert!(
            lints
                .iter()
                .any(|l| l.place() == "[title], line 1" || l.section == "title"),
            "{lints:?}"
        );
    }
}
