//! Moments as people write them: «10 July», «11:59 pm», «by Friday», «tonight». English, and what
//! is plain in German, French and Spanish.

use jiff::civil::Weekday;

/// A moment that a text speaks of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Phrase {
    pub what: What,
    /// It is said to be the end of a time: «by», «until», «no later than».
    pub is_end: bool,
    /// Its sentence is about when somebody can be reached.
    pub of_hours: bool,
    /// In the text, from 0.
    pub line: usize,
    /// As written.
    pub said: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum What {
    /// `days` are (month, day): more than one where the order of the numbers is not known.
    Date {
        year: Option<i16>,
        days: Vec<(i8, i8)>,
    },
    Time {
        hour: i8,
        minute: i8,
    },
    Weekday(Weekday),
    Today,
    Tomorrow,
}

/// Words with which the end of a time begins.
const ENDS: [&str; 16] = [
    "by",
    "until",
    "till",
    "til",
    "before",
    "deadline",
    "latest",
    "later",
    "bis",
    "spätestens",
    "frist",
    "avant",
    "jusqu'au",
    "jusqu'à",
    "antes",
    "hasta",
];
const HOURS: [&str; 11] = [
    "open",
    "hours",
    "helpdesk",
    "desk",
    "hotline",
    "reach",
    "reachable",
    "call",
    "geöffnet",
    "erreichbar",
    "support",
];

/// So many words may stand between «by» and the moment.
const NEAR: usize = 4;

struct Chunk<'a> {
    raw: &'a str,
    clean: String,
    line: usize,
    ends_sentence: bool,
}

/// All moments in a text, in their order.
pub(super) fn phrases(text: &str) -> Vec<Phrase> {
    let chunks = chunks(text);
    let mut found: Vec<(usize, usize, Phrase)> = Vec::new();
    let mut at = 0;
    while at < chunks.len() {
        let Some((what, length)) = read(&chunks[at..]) else {
            at += 1;
            continue;
        };
        let end = at + length.max(1);
        let begins = (0..at)
            .rev()
            .find(|i| chunks[*i].ends_sentence)
            .map_or(0, |i| i + 1);
        let closes = (at..chunks.len())
            .find(|i| chunks[*i].ends_sentence)
            .map_or(chunks.len(), |i| i + 1);
        let is = |words: &[&str], i: &usize| words.contains(&chunks[*i].clean.as_str());
        let marked = (begins.max(at.saturating_sub(NEAR))..at).any(|i| is(&ENDS, &i));
        // «by Friday, 10 July 2020, at 11:59 pm» is one end.
        let goes_on = found
            .last()
            .is_some_and(|(_, before, p)| p.is_end && *before >= begins && *before + 2 > at);
        let said: Vec<&str> = chunks[at..end].iter().map(|c| c.raw).collect();
        let phrase = Phrase {
            what,
            is_end: marked || goes_on,
            of_hours: (begins..closes).any(|i| is(&HOURS, &i)),
            line: chunks[at].line,
            said: said.join(" ").trim_matches(is_mark).to_owned(),
        };
        found.push((at, end, phrase));
        at = end;
    }
    found.into_iter().map(|(_, _, phrase)| phrase).collect()
}

/// What may stand around a word and is no part of it.
fn is_mark(c: char) -> bool {
    !c.is_alphanumeric()
}

fn chunks(text: &str) -> Vec<Chunk<'_>> {
    let mut chunks: Vec<Chunk<'_>> = Vec::new();
    for (line, words) in text.lines().enumerate() {
        // The subject is the first line, and an empty line ends what stands before it.
        if (line == 1 || words.trim().is_empty())
            && let Some(last) = chunks.last_mut()
        {
            last.ends_sentence = true;
        }
        for raw in words.split_whitespace() {
            let clean = raw.trim_matches(is_mark).to_lowercase();
            let stop = raw
                .trim_end_matches(['*', '_', ')', '"', '»', '”', '\''])
                .ends_with(['.', '!', '?', ':', ';']);
            // `10.`, `Jul.` and `p.m.` end no sentence by themselves.
            let abbreviated = clean.chars().all(|c| c.is_ascii_digit())
                || month(&clean).is_some()
                || half_day(&clean).is_some();
            let colon = raw.ends_with(':');
            chunks.push(Chunk {
                raw,
                ends_sentence: stop && !abbreviated && !(colon && ENDS.contains(&clean.as_str())),
                clean,
                line,
            });
        }
    }
    chunks
}

/// The moment that begins here, and how many chunks it takes.
fn read(chunks: &[Chunk<'_>]) -> Option<(What, usize)> {
    let word = |i: usize| chunks.get(i).map_or("", |chunk| chunk.clean.as_str());
    iso_date(word(0))
        .or_else(|| dotted_date(chunks))
        .or_else(|| slashed_date(word(0)))
        .map(|date| (date, 1))
        .or_else(|| named_date(&word))
        .or_else(|| time(&word))
        .or_else(|| Some((What::Weekday(weekday(word(0))?), 1)))
        .or_else(|| relative(&word))
}

fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn fits(month: i8, day: i8) -> Option<(i8, i8)> {
    ((1..=12).contains(&month) && (1..=31).contains(&day)).then_some((month, day))
}

fn year(text: &str) -> Option<i16> {
    number::<i16>(text).filter(|y| text.len() == 4 && (1900..=2999).contains(y))
}

/// `2020-07-10`
fn iso_date(word: &str) -> Option<What> {
    let date = word.split_once('t').map_or(word, |(date, _)| date);
    let mut parts = date.split('-');
    let (y, m, d) = (parts.next()?, parts.next()?, parts.next()?);
    let day = fits(number(m)?, number(d)?)?;
    let whole = parts.next().is_none() && m.len() == 2 && d.len() == 2;
    whole.then_some(What::Date {
        year: Some(year(y)?),
        days: vec![day],
    })
}

/// `10.07.2020`, and `10.7.` with its last dot
fn dotted_date(chunks: &[Chunk<'_>]) -> Option<What> {
    let first = chunks.first()?;
    let mut parts = first.clean.split('.');
    let day = fits2(parts.next()?, parts.next()?)?;
    let year = match parts.next() {
        Some(text) => Some(year(text)?),
        None if first
            .raw
            .trim_start_matches(is_mark)
            .starts_with(&format!("{}.", first.clean)) =>
        {
            None
        }
        None => return None,
    };
    let is_time = chunks.get(1).is_some_and(|next| next.clean == "uhr");
    (parts.next().is_none() && !is_time).then_some(What::Date {
        year,
        days: vec![day],
    })
}

fn fits2(day: &str, month: &str) -> Option<(i8, i8)> {
    fits(number(month)?, number(day)?)
}

/// `10/07/2020`, which is October or July
fn slashed_date(word: &str) -> Option<What> {
    let mut parts = word.split('/');
    let (a, b, y) = (parts.next()?, parts.next()?, parts.next()?);
    let days: Vec<(i8, i8)> = [fits2(a, b), fits2(b, a)].into_iter().flatten().collect();
    let whole = parts.next().is_none() && !days.is_empty();
    let year = year(y)?;
    whole.then_some(What::Date {
        year: Some(year),
        days,
    })
}

/// `10 July 2020`, `10th of July`, `July 10th, 2020`
fn named_date<'a>(word: &impl Fn(usize) -> &'a str) -> Option<(What, usize)> {
    let date = |m: i8, d: i8, length: usize| {
        let year = year(word(length));
        let days = vec![fits(m, d)?];
        Some((
            What::Date { year, days },
            length + usize::from(year.is_some()),
        ))
    };
    if let Some(d) = day(word(0)) {
        let of = usize::from(matches!(word(1), "of" | "de"));
        let length = 2 + of;
        if let Some(m) = month(word(1 + of)) {
            // `10 de julio de 2020`
            if word(length) == "de" && year(word(length + 1)).is_some() {
                let (what, _) = date(m, d, length + 1)?;
                return Some((what, length + 2));
            }
            return date(m, d, length);
        }
        return None;
    }
    date(month(word(0))?, day(word(1))?, 2)
}

/// `10`, `10th`
fn day(word: &str) -> Option<i8> {
    let bare = ["st", "nd", "rd", "th"]
        .iter()
        .find_map(|end| word.strip_suffix(end))
        .unwrap_or(word);
    number::<i8>(bare).filter(|d| (1..=31).contains(d))
}

/// `11:59 pm`, `5pm`, `23:59`, `18 Uhr`, `18h30`, `midnight`
fn time<'a>(word: &impl Fn(usize) -> &'a str) -> Option<(What, usize)> {
    match word(0) {
        "midnight" | "mitternacht" | "minuit" | "medianoche" => return Some((at(0, 0)?, 1)),
        "noon" | "midi" | "mediodía" => return Some((at(12, 0)?, 1)),
        _ => {}
    }
    let bare = word(0);
    let (digits, half, length) = match split_half(bare) {
        Some((digits, half)) => (digits, Some(half), 1),
        None => match half_day(word(1)) {
            Some(half) => (bare, Some(half), 2),
            None => (bare, None, 1),
        },
    };
    let clock = |text: &str| match text.split_once(':') {
        Some((h, m)) if m.len() == 2 => Some((number::<i8>(h)?, number::<i8>(m)?)),
        Some(_) => None,
        None => Some((number::<i8>(text)?, 0)),
    };
    if let Some(half) = half {
        let (h, m) = clock(digits).filter(|(h, _)| (1..=12).contains(h))?;
        return Some((at(h % 12 + if half { 12 } else { 0 }, m)?, length));
    }
    if word(1) == "uhr" {
        let (h, m) = clock(&bare.replace('.', ":"))?;
        return Some((at(h, m)?, 2));
    }
    if let Some((h, m)) = bare.split_once('h') {
        let m = if m.is_empty() { 0 } else { number(m)? };
        return Some((at(number(h)?, m)?, 1));
    }
    let (h, m) = clock(bare).filter(|_| bare.contains(':'))?;
    Some((at(h, m)?, 1))
}

fn at(hour: i8, minute: i8) -> Option<What> {
    let fits = (0..=24).contains(&hour) && (0..60).contains(&minute);
    fits.then_some(What::Time {
        hour: hour % 24,
        minute,
    })
}

/// Whether it is the second half of the day.
fn half_day(word: &str) -> Option<bool> {
    match word {
        "am" | "a.m" => Some(false),
        "pm" | "p.m" => Some(true),
        _ => None,
    }
}

/// `11:59pm`
fn split_half(word: &str) -> Option<(&str, bool)> {
    ["am", "a.m", "pm", "p.m"].iter().find_map(|end| {
        let digits = word.strip_suffix(end).filter(|rest| !rest.is_empty())?;
        Some((digits, half_day(end)?))
    })
}

fn relative<'a>(word: &impl Fn(usize) -> &'a str) -> Option<(What, usize)> {
    match word(0) {
        "tonight" | "today" | "heute" | "aujourd'hui" | "hoy" | "eod" => Some((What::Today, 1)),
        "tomorrow" | "demain" | "mañana" => Some((What::Tomorrow, 1)),
        "morgen" => Some((What::Tomorrow, 1)),
        "ce" if word(1) == "soir" => Some((What::Today, 2)),
        "esta" if word(1) == "noche" => Some((What::Today, 2)),
        "end" if word(1) == "of" && word(2) == "day" => Some((What::Today, 3)),
        // Not «the end of the day on which …»: a day of its own follows there.
        "end" if word(1) == "of" && word(2) == "the" && word(3) == "day" => {
            let another = matches!(word(4), "on" | "of" | "before" | "after");
            (!another).then_some((What::Today, 4))
        }
        _ => None,
    }
}

fn month(word: &str) -> Option<i8> {
    Some(match word {
        "january" | "jan" | "januar" | "jänner" | "janvier" | "enero" => 1,
        "february" | "feb" | "februar" | "février" | "febrero" => 2,
        "march" | "mar" | "märz" | "mars" | "marzo" => 3,
        "april" | "apr" | "avril" | "abril" => 4,
        "may" | "mai" | "mayo" => 5,
        "june" | "jun" | "juni" | "juin" | "junio" => 6,
        "july" | "jul" | "juli" | "juillet" | "julio" => 7,
        "august" | "aug" | "août" | "agosto" => 8,
        "september" | "sep" | "sept" | "septembre" | "septiembre" => 9,
        "october" | "oct" | "okt" | "oktober" | "octobre" | "octubre" => 10,
        "november" | "nov" | "novembre" | "noviembre" => 11,
        "december" | "dec" | "dez" | "dezember" | "décembre" | "diciembre" => 12,
        _ => return None,
    })
}

fn weekday(word: &str) -> Option<Weekday> {
    Some(match word {
        "monday" | "montag" | "lundi" | "lunes" => Weekday::Monday,
        "tuesday" | "dienstag" | "mardi" | "martes" => Weekday::Tuesday,
        "wednesday" | "mittwoch" | "mercredi" | "miércoles" => Weekday::Wednesday,
        "thursday" | "donnerstag" | "jeudi" | "jueves" => Weekday::Thursday,
        "friday" | "freitag" | "vendredi" | "viernes" => Weekday::Friday,
        "saturday" | "samstag" | "samedi" | "sábado" => Weekday::Saturday,
        "sunday" | "sonntag" | "dimanche" | "domingo" => Weekday::Sunday,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(year: i16, days: &[(i8, i8)]) -> What {
        What::Date {
            year: (year != 0).then_some(year),
            days: days.to_vec(),
        }
    }

    fn clock(hour: i8, minute: i8) -> What {
        What::Time { hour, minute }
    }

    #[test]
    fn moments_are_read_as_people_write_them() {
        for (text, expected) in [
            ("10 July 2020", date(2020, &[(7, 10)])),
            ("10th of July,", date(0, &[(7, 10)])),
            ("**July 10th, 2020**", date(2020, &[(7, 10)])),
            ("Jul. 10", date(0, &[(7, 10)])),
            ("2020-07-10", date(2020, &[(7, 10)])),
            ("(2020-07-10T23:59)", date(2020, &[(7, 10)])),
            ("10.07.2020", date(2020, &[(7, 10)])),
            ("10.7.", date(0, &[(7, 10)])),
            ("10. Juli 2020", date(2020, &[(7, 10)])),
            ("10 de julio de 2020", date(2020, &[(7, 10)])),
            ("07/10/2020", date(2020, &[(10, 7), (7, 10)])),
            ("11:59 pm", clock(23, 59)),
            ("11:59pm.", clock(23, 59)),
            ("12 a.m.", clock(0, 0)),
            ("5 p.m.", clock(17, 0)),
            ("23:59", clock(23, 59)),
            ("24:00", clock(0, 0)),
            ("18 Uhr", clock(18, 0)),
            ("18.30 Uhr", clock(18, 30)),
            ("18h30", clock(18, 30)),
            ("midnight", clock(0, 0)),
            ("Friday", What::Weekday(Weekday::Friday)),
            ("tonight", What::Today),
            ("end of the day", What::Today),
            ("tomorrow", What::Tomorrow),
        ] {
            let found = phrases(text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert_eq!(found[0].what, expected, "{text}");
            assert!(!found[0].is_end, "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_a_moment_is_none() {
        for text in [
            "version 2.19.134",
            "24/7",
            "99:99",
            "31.13.2020",
            "2020-13-40",
            "you may go",
            "10 phones",
            "1:1000",
            "the end of the day on which you are told",
            "+49 30 1234",
            "a ratio of 3:2",
            "",
            "h",
        ] {
            assert_eq!(phrases(text), [], "{text}");
        }
    }

    #[test]
    fn an_end_is_told_from_any_other_moment() {
        for (text, expected) in [
            (
                "Remove it by Friday, 10 July 2020, at 11:59 pm.",
                vec![true, true, true],
            ),
            ("no later than July 10", vec![true]),
            ("The deadline is 10 July.", vec![true]),
            ("Deadline: 10 July", vec![true]),
            ("bis spätestens 10. Juli", vec![true]),
            ("by the end of today", vec![true]),
            (
                "Our mail of 8 July was clear. Go by it. On 10 July we met.",
                vec![false, false],
            ),
            ("by then.\nOn Friday we meet", vec![false]),
            ("Act by\n\nFriday", vec![false]),
        ] {
            let found: Vec<bool> = phrases(text).iter().map(|p| p.is_end).collect();
            assert_eq!(found, expected, "{text}");
        }
        assert!(phrases("The helpdesk is open until 17:00.")[0].of_hours);
        assert!(!phrases("Remove it by 17:00.")[0].of_hours);
    }
}
