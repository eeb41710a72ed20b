//! Lengths of time as order files write them: ISO 8601 (`PT6H`, `P14D`), where a day is 24 hours.

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp, Unit};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A length of time, zero or more, in whole seconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Length(i64);

impl Length {
    pub const fn seconds(seconds: i64) -> Self {
        Length(seconds)
    }
    pub const fn hours(hours: i64) -> Self {
        Length(hours * 3600)
    }
    pub const fn days(days: i64) -> Self {
        Length(days * 86_400)
    }
    pub const fn as_seconds(self) -> i64 {
        self.0
    }

    /// `at` plus this length; the end of time when that is past it.
    pub fn after(self, at: Timestamp) -> Timestamp {
        at.checked_add(SignedDuration::from_secs(self.0))
            .unwrap_or(Timestamp::MAX)
    }

    /// `at` minus this length; the beginning of time when that is before it.
    pub fn before(self, at: Timestamp) -> Timestamp {
        at.checked_sub(SignedDuration::from_secs(self.0))
            .unwrap_or(Timestamp::MIN)
    }
}

/// A text that is no length of time.
#[derive(Debug, thiserror::Error)]
#[error("«{text}» is no length of time; write it like PT30M, PT6H or P14D{why}")]
pub struct LengthError {
    text: String,
    why: String,
}

impl FromStr for Length {
    type Err = LengthError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = |why: &str| LengthError {
            text: text.to_owned(),
            why: why.to_owned(),
        };
        if !text.trim().starts_with(['P', 'p', '-', '+']) {
            return Err(fail(""));
        }
        let span: Span = text.trim().parse().map_err(|_| fail(""))?;
        if span.get_years() != 0 || span.get_months() != 0 {
            return Err(fail(" (months and years have no fixed length; write days)"));
        }
        let seconds = span
            .total((Unit::Second, SpanRelativeTo::days_are_24_hours()))
            .map_err(|_| fail(""))?;
        if seconds < 0.0 {
            return Err(fail(" (it can't be negative)"));
        }
        Ok(Length(seconds as i64))
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (d, h, m, s) = (
            self.0 / 86_400,
            self.0 / 3600 % 24,
            self.0 / 60 % 60,
            self.0 % 60,
        );
        f.write_str("P")?;
        if d > 0 {
            write!(f, "{d}D")?;
        }
        if h + m + s > 0 || d == 0 {
            f.write_str("T")?;
            if h > 0 {
                write!(f, "{h}H")?;
            }
            if m > 0 {
                write!(f, "{m}M")?;
            }
            if s > 0 || (d + h + m == 0) {
                write!(f, "{s}S")?;
            }
        }
        Ok(())
    }
}

impl Serialize for Length {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_read_and_write_alike() {
        for text in ["PT1H", "P14D", "PT15M", "P1DT2H3M4S", "PT0S"] {
            assert_eq!(text.parse::<Length>().unwrap().to_string(), text);
        }
        assert_eq!("P2W".parse::<Length>().unwrap(), Length::days(14));
        for bad in ["", "6h", "P1M", "-PT1H", "PT"] {
            assert!(bad.parse::<Length>().is_err(), "{bad}");
        }
    }
}
