//! How fast notices may be sent: `[notices.limits]`. Buckets that fill with time; pure, the time is an
//! argument.
//!
//! Who must wait here is not offered for a claim, so that people of a slow domain keep nobody else
//! waiting. Corrections and repeated attempts wait for no limit (invariant 28); they are taken out of the
//! buckets all the same, so that what is new waits for them. Each sender has its own buckets.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use serde::Deserialize;

/// For every domain that has no limit of its own, one each.
const OTHERS: &str = "*";
/// One in a quarter of an hour: with less nobody would see anything move.
const LEAST: f64 = 0.001;
/// How much of a second may leave at once: little, so that a limit is held in every second.
const BURST_SECONDS: f64 = 0.25;

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Messages a second to the relay.
    pub per_second: Option<f64>,
    /// Messages a second to people of a mail domain; `*` for each of the others.
    pub per_domain: BTreeMap<String, f64>,
}

impl LimitsConfig {
    /// What serde cannot see.
    pub fn check(&self) -> Result<(), String> {
        let named = self
            .per_domain
            .iter()
            .map(|(name, rate)| (name.as_str(), *rate));
        let all = self
            .per_second
            .map(|rate| ("per_second", rate))
            .into_iter()
            .chain(named);
        let odd = |name: &&String| {
            let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-');
            name.as_str() != "*" && (name.is_empty() || !name.chars().all(plain))
        };
        if let Some(name) = self.per_domain.keys().find(odd) {
            return Err(format!(
                "per_domain names «{name}»: expected a mail domain such as gmail.com, or * for every other one"
            ));
        }
        for (name, rate) in all {
            if !rate.is_finite() || rate < LEAST {
                return Err(format!(
                    "{name} = {rate}: expected messages a second, {LEAST} or more; a hold stops notices"
                ));
            }
        }
        let mut folded = BTreeSet::new();
        let mut names = self.per_domain.keys().map(|name| name.to_lowercase());
        match names.find(|name| !folded.insert(name.clone())) {
            Some(name) => Err(format!(
                "per_domain names «{name}» twice, in capital letters and in small ones; expected each domain once"
            )),
            None => Ok(()),
        }
    }
}

#[derive(Clone, Debug)]
struct Bucket {
    rate: f64,
    /// Below zero after what waits for no limit.
    left: f64,
    at: Timestamp,
}

impl Bucket {
    fn full(rate: f64, now: Timestamp) -> Bucket {
        let left = Bucket::holds(rate);
        Bucket {
            rate,
            left,
            at: now,
        }
    }

    fn holds(rate: f64) -> f64 {
        (rate * BURST_SECONDS).max(1.0)
    }

    fn fill(&mut self, now: Timestamp) {
        // A clock that goes back gives nothing, and takes nothing.
        let passed = now.duration_since(self.at).as_secs_f64().max(0.0);
        self.left = (self.left + passed * self.rate).min(Bucket::holds(self.rate));
        self.at = now;
    }
}

/// Which buckets a message is taken from, besides the relay's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Class(usize);

impl Class {
    /// Of a domain without a limit, and of whom no domain is known.
    pub const FREE: Class = Class(0);
}

/// Why somebody has to wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    /// Everybody has.
    Relay,
    Domain,
}

/// How much may leave now.
#[derive(Clone, Debug)]
pub struct Buckets {
    relay: Option<Bucket>,
    /// By class; `None`: a domain without a limit.
    domains: Vec<Option<Bucket>>,
}

impl Buckets {
    pub fn fill(&mut self, now: Timestamp) {
        let buckets = self.domains.iter_mut().flatten().chain(&mut self.relay);
        buckets.for_each(|bucket| bucket.fill(now));
    }

    /// Knows the domains that `of` has met since this was copied from it.
    pub fn catch_up(&mut self, of: &Buckets) {
        let known = self.domains.len();
        self.domains.extend(of.domains.iter().skip(known).cloned());
    }

    /// Takes one message, or says what it waits for.
    pub fn take(&mut self, class: Class) -> Result<(), Wait> {
        let is_empty = |bucket: &Option<Bucket>| bucket.as_ref().is_some_and(|b| b.left < 1.0);
        if is_empty(&self.relay) {
            return Err(Wait::Relay);
        }
        if self.domains.get(class.0).is_some_and(is_empty) {
            return Err(Wait::Domain);
        }
        self.take_anyway(class);
        Ok(())
    }

    /// For what waits for no limit: others will.
    pub fn take_anyway(&mut self, class: Class) {
        let domain = self.domains.get_mut(class.0).and_then(Option::as_mut);
        for bucket in domain.into_iter().chain(&mut self.relay) {
            bucket.left -= 1.0;
        }
    }
}

#[derive(Clone, Debug)]
pub struct Limits {
    per_domain: BTreeMap<String, f64>,
    known: HashMap<String, Class>,
    pub buckets: Buckets,
}

impl Limits {
    /// `None` where nothing is limited.
    pub fn new(config: &LimitsConfig, now: Timestamp) -> Option<Limits> {
        let named = config.per_domain.iter();
        let per_domain: BTreeMap<String, f64> =
            named.map(|(n, r)| (n.to_lowercase(), *r)).collect();
        (config.per_second.is_some() || !per_domain.is_empty()).then(|| Limits {
            per_domain,
            known: HashMap::new(),
            buckets: Buckets {
                relay: config.per_second.map(|rate| Bucket::full(rate, now)),
                domains: vec![None],
            },
        })
    }

    pub fn class(&mut self, domain: &str, now: Timestamp) -> Class {
        let domain = domain.to_lowercase();
        if let Some(known) = self.known.get(&domain) {
            return *known;
        }
        let rate = self
            .per_domain
            .get(&domain)
            .or_else(|| self.per_domain.get(OTHERS));
        let class = match rate {
            None => Class::FREE,
            Some(rate) => {
                self.buckets.domains.push(Some(Bucket::full(*rate, now)));
                Class(self.buckets.domains.len() - 1)
            }
        };
        self.known.insert(domain, class);
        class
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_millis(millis)
    }

    fn limits(text: &str) -> Limits {
        Limits::new(&toml::from_str(text).unwrap(), at(0)).unwrap()
    }

    /// How many leave until then, if one is always waiting.
    fn leave(limits: &mut Limits, class: Class, from: i64, to: i64) -> usize {
        let mut left = 0;
        for millis in (from..to).step_by(10) {
            limits.buckets.fill(at(millis));
            while limits.buckets.take(class).is_ok() {
                left += 1;
            }
        }
        left
    }

    #[test]
    fn a_limit_is_held_over_any_second() {
        let mut limits = limits("per_second = 50");
        let any = Class::FREE;
        assert!((50..=62).contains(&leave(&mut limits, any, 0, 1_000)));
        for second in 1..10 {
            let left = leave(&mut limits, any, second * 1_000, (second + 1) * 1_000);
            assert!((49..=51).contains(&left), "{left}");
        }
        // An hour of rest saves nothing up.
        limits.buckets.fill(at(3_600_000));
        assert!((50..=62).contains(&leave(&mut limits, any, 3_600_000, 3_601_000)));
    }

    #[test]
    fn a_slow_limit_lets_one_go_at_a_time() {
        let mut limits = limits("per_second = 0.5");
        assert_eq!(leave(&mut limits, Class::FREE, 0, 10_000), 5);
    }

    #[test]
    fn each_domain_has_its_own_and_the_relay_counts_all() {
        let mut limits = limits("per_second = 40\nper_domain = { \"GMail.com\" = 4, \"*\" = 8 }");
        let gmail = limits.class("gmail.COM", at(0));
        let (one, two) = (limits.class("a.test", at(0)), limits.class("b.test", at(0)));
        assert_ne!(one, two);
        assert_eq!(limits.class("A.test", at(0)), one);
        assert_eq!(limits.buckets.take(gmail), Ok(()));
        assert_eq!(limits.buckets.take(gmail), Err(Wait::Domain));
        for class in [one, one, two, two] {
            assert_eq!(
                limits.buckets.take(class),
                Ok(()),
                "nobody waits for gmail.com"
            );
        }
        assert_eq!(limits.buckets.take(one), Err(Wait::Domain));
        for _ in 0..5 {
            assert_eq!(limits.buckets.take(Class::FREE), Ok(()));
        }
        assert_eq!(limits.buckets.take(Class::FREE), Err(Wait::Relay));
    }

    #[test]
    fn without_a_star_other_domains_are_free() {
        let mut limits = limits("per_domain = { \"gmail.com\" = 1 }");
        let other = limits.class("corp.test", at(0));
        assert!((0..1_000).all(|_| limits.buckets.take(other).is_ok()));
    }

    #[test]
    fn inv_28_what_waits_for_no_limit_makes_others_wait() {
        let mut limits = limits("per_second = 4");
        for _ in 0..9 {
            limits.buckets.take_anyway(Class::FREE);
        }
        // One was there; eight are owed, and one more is needed.
        limits.buckets.fill(at(2_240));
        assert_eq!(limits.buckets.take(Class::FREE), Err(Wait::Relay));
        limits.buckets.fill(at(2_260));
        assert_eq!(limits.buckets.take(Class::FREE), Ok(()));
    }

    #[test]
    fn a_clock_that_goes_back_takes_nothing() {
        let mut limits = limits("per_second = 4");
        limits.buckets.fill(at(-5_000));
        assert_eq!(limits.buckets.take(Class::FREE), Ok(()));
        limits.buckets.fill(at(-4_700));
        assert_eq!(limits.buckets.take(Class::FREE), Ok(()));
    }

    #[test]
    fn senseless_limits_are_refused_and_none_is_none() {
        let config = |text: &str| toml::from_str::<LimitsConfig>(text).unwrap();
        assert!(Limits::new(&config(""), at(0)).is_none());
        for text in [
            "per_second = 0",
            "per_second = -1",
            "per_domain = { a = nan }",
        ] {
            assert!(config(text).check().is_err(), "{text}");
        }
        assert!(
            config("per_second = 50\nper_domain = { a = 0.1 }")
                .check()
                .is_ok()
        );
    }
}
