//! A moment as an order file writes it: RFC 3339, with or without `[Zone]`.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment, and the zone in which its author thinks of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct When {
    at: Timestamp,
    zone: Option<String>,
}

/// A text that is no moment.
#[derive(Debug, thiserror::Error)]
#[error(
    "«{0}» is no time; write it like 2020-07-10T23:59:00-07:00, or with a zone as 2020-07-10T23:59:00[America/Los_Angeles]"
)]
pub struct WhenError(String);

impl When {
    pub fn new(at: Timestamp, zone: Option<&str>) -> Self {
        When {
            at,
            zone: zone.map(str::to_owned),
        }
    }

    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// An IANA name, where the author gave one.
    pub fn zone(&self) -> Option<&str> {
        self.zone.as_deref()
    }
}

impl FromStr for When {
    type Err = WhenError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if let Ok(zoned) = text.parse::<ZonedDateTime>() {
            let zone = zoned.time_zone().iana_name().map(str::to_owned);
            return Ok(When {
                at: zoned.timestamp(),
                zone,
            });
        }
        if let Ok(at) = text.parse::<Timestamp>()
            && !text.contains('[')
        {
            return Ok(When { at, zone: None });
        }
        // A bare day (as `expires` may be) begins at midnight UTC.
        if let Ok(day) = text.parse::<Date>()
            && text.len() == 10
            && let Ok(zoned) = day.to_zoned_datetime(TimeZone::UTC)
        {
            return Ok(When {
                at: zoned.timestamp(),
                zone: None,
            });
        }
        Err(WhenError(text.to_owned()))
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.zone {
            Some(zone) => write!(f, "{}", in_zone(self.at, zone)),
            None => write!(f, "{}", self.at),
        }
    }
}

/// `at` in the zone of that name; in UTC when there is none such.
pub fn in_zone(at: Timestamp, zone: &str) -> ZonedDateTime {
    at.to_zoned_datetime(TimeZone::get(zone).unwrap_or(TimeZone::UTC))
}

/// A moment for people: `10 Jul 2020, 23:59 PDT`.
pub fn for_people(at: Timestamp, zone: &str) -> String {
    in_zone(at, zone)
        .strftime("%-d %b %Y, %H:%M %Z")
        .to_string()
}

impl Serialize for When {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        // A TOML date without quotes is a time as well.
        let text = match toml::Value::deserialize(d)? {
            toml::Value::String(text) => text,
            toml::Value::Datetime(time) => time.to_string(),
            other => {
                return Err(serde::de::Error::custom(format!(
                    "{}",
                    WhenError(other.to_string())
                )));
            }
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_reads_with_or_without_zone_and_offset() {
        let whole: When = "2020-07-10T23:59:00-07:00[America/Los_Angeles]"
            .parse()
            .unwrap();
        for text in [
            "2020-07-10T23:59:00[America/Los_Angeles]",
            "2020-07-10T23:59:00-07:00",
            "2020-07-11T06:59:00Z",
        ] {
            assert_eq!(text.parse::<When>().unwrap().at(), whole.at(), "{text}");
        }
        assert_eq!(whole.zone(), Some("America/Los_Angeles"));
        assert_eq!(whole.to_string().parse::<When>().unwrap(), whole);
        assert_eq!(
            for_people(whole.at(), "America/Los_Angeles"),
            "10 Jul 2020, 23:59 PDT"
        );
        assert_eq!(
            "2021-07-10".parse::<When>().unwrap().to_string(),
            "2021-07-10T00:00:00Z"
        );
        for bad in [
            "",
            "tonight",
            "2020-07-10T23:59:00",
            "2020-07-10T23:59:00+02:00[America/Los_Angeles]",
        ] {
            assert!(bad.parse::<When>().is_err(), "{bad}");
        }
    }
}
