//! How each door fares: counted here, shown at `/metrics` and on the console's page of doors.
//!
//! No label names a person, a device or an app (invariant 37).

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use countermand_core::verdict::{Channel, Decision};
use jiff::Timestamp;
use prometheus::core::Metric as _;
use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts,
    Registry,
};

use super::Route;

/// From ten microseconds, which a look-up takes, to the half second that a record is waited for.
const SECONDS: [f64; 15] = [
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025,
    0.05, 0.1, 0.25, 0.5,
];

/// How a question was answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answered {
    Allow,
    Warn,
    Deny,
    /// Let in by the observe mode; it would have been refused.
    WouldDeny,
    /// Left to the door's own configuration.
    NoVerdict,
}

impl Answered {
    const ALL: [Answered; 5] = [
        Answered::Allow,
        Answered::Warn,
        Answered::Deny,
        Answered::WouldDeny,
        Answered::NoVerdict,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Answered::Allow => "allow",
            Answered::Warn => "warn",
            Answered::Deny => "deny",
            Answered::WouldDeny => "would_deny",
            Answered::NoVerdict => "no_verdict",
        }
    }

    /// What counts where `real` is the verdict.
    pub fn of(real: Decision, observing: bool) -> Self {
        match real {
            Decision::Allow => Answered::Allow,
            Decision::Warn => Answered::Warn,
            Decision::Deny if observing => Answered::WouldDeny,
            Decision::Deny => Answered::Deny,
        }
    }
}

/// The figures of one door since the start of this process.
#[derive(Clone, Debug, PartialEq)]
pub struct DoorFigures {
    pub route: Route,
    pub channel: Channel,
    pub asked: u64,
    /// Warned or not, by the observe mode or not.
    pub let_in: u64,
    pub warned: u64,
    pub refused: u64,
    /// Let in by the observe mode alone.
    pub would_refuse: u64,
    /// Left to the door's own configuration, because the view was too old.
    pub without_verdict: u64,
    /// Ninety-nine of a hundred answers took no longer, to the precision of the histogram.
    pub p99_seconds: Option<f64>,
    pub last_refused: Option<Timestamp>,
}

#[derive(Debug)]
struct Meter {
    route: Route,
    channel: Channel,
    answers: [IntCounter; Answered::ALL.len()],
    seconds: Histogram,
    /// In microseconds; `i64::MIN`: never.
    last_refused: AtomicI64,
}

#[derive(Debug)]
pub struct Metrics {
    pub registry: Registry,
    meters: Vec<Meter>,
    pub view_age: Gauge,
    /// Of the database that the view is of.
    pub view_version: IntGauge,
    /// Requests that could not be read for certain.
    pub unreadable: IntCounter,
    /// What waits to be put on record.
    pub waiting: Waiting,
    /// Sessions that were ended because their verdict turned, and tries that failed, by why.
    pub kicked: IntCounter,
    kicks_failed: IntCounterVec,
    /// Verdicts that open sessions have cost.
    pub sessions_judged: IntCounter,
}

/// What waits to be put on record, and what found no room to wait.
#[derive(Clone, Debug)]
pub struct Waiting {
    pub refusals: IntGauge,
    pub kicks: IntGauge,
    pub kicks_lost: IntCounter,
}

impl Metrics {
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let labels = ["door", "channel"];
        let answers = IntCounterVec::new(
            Opts::new(
                "countermand_gate_answers_total",
                "Questions of the doors, by answer",
            ),
            &["door", "channel", "answer"],
        )?;
        let seconds = HistogramVec::new(
            HistogramOpts::new(
                "countermand_gate_answer_seconds",
                "From a door's question to its answer",
            )
            .buckets(SECONDS.to_vec()),
            &labels,
        )?;
        let view_age = Gauge::new(
            "countermand_gate_view_age_seconds",
            "How long ago the view was last known to be current",
        )?;
        let view_version = IntGauge::new(
            "countermand_gate_view_version",
            "The version of the facts that the doors are answered from; -1: none yet",
        )?;
        let unreadable = IntCounter::new(
            "countermand_gate_unreadable_total",
            "Questions that could not be read for certain",
        )?;
        let waiting = Waiting {
            refusals: IntGauge::new(
                "countermand_gate_refusals_waiting",
                "Refusals that wait to be put on record",
            )?,
            kicks: IntGauge::new(
                "countermand_gate_kicks_waiting",
                "Ended mail sessions that wait to be put on record",
            )?,
            kicks_lost: IntCounter::new(
                "countermand_gate_kicks_unrecorded_total",
                "Ended mail sessions that are on no record, since too many waited for it",
            )?,
        };
        let kicked = IntCounter::new(
            "countermand_gate_kicked_total",
            "Peers whose mail sessions were ended because their verdict turned",
        )?;
        let kicks_failed = IntCounterVec::new(
            Opts::new(
                "countermand_gate_kicks_failed_total",
                "Times that the mail server could not be told to end sessions, or failed to end one, by why",
            ),
            &["why"],
        )?;
        let sessions_judged = IntCounter::new(
            "countermand_gate_sessions_judged_total",
            "Verdicts on mail sessions that are open",
        )?;
        registry.register(Box::new(kicked.clone()))?;
        registry.register(Box::new(kicks_failed.clone()))?;
        registry.register(Box::new(answers.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        registry.register(Box::new(view_age.clone()))?;
        registry.register(Box::new(view_version.clone()))?;
        registry.register(Box::new(unreadable.clone()))?;
        registry.register(Box::new(waiting.refusals.clone()))?;
        registry.register(Box::new(waiting.kicks.clone()))?;
        registry.register(Box::new(waiting.kicks_lost.clone()))?;
        registry.register(Box::new(sessions_judged.clone()))?;

        let mut meters = Vec::new();
        for route in Route::ALL {
            for channel in Channel::ALL {
                let names = [route.as_str(), channel.as_str()];
                meters.push(Meter {
                    route,
                    channel: *channel,
                    answers: Answered::ALL
                        .map(|a| answers.with_label_values(&[names[0], names[1], a.as_str()])),
                    seconds: seconds.with_label_values(&names),
                    last_refused: AtomicI64::new(i64::MIN),
                });
            }
        }
        Ok(Metrics {
            registry,
            meters,
            view_age,
            view_version,
            unreadable,
            waiting,
            kicked,
            kicks_failed,
            sessions_judged,
        })
    }

    pub fn kick_failed(&self, why: &str, times: u64) {
        self.kicks_failed.with_label_values(&[why]).inc_by(times);
    }

    pub fn count(
        &self,
        route: Route,
        channel: Channel,
        answered: Answered,
        now: Timestamp,
        took: Duration,
    ) {
        // The meters stand in the order in which `new` made them.
        let at = route as usize * Channel::ALL.len() + channel as usize;
        let Some(meter) = self.meters.get(at) else {
            return;
        };
        meter.answers[answered as usize].inc();
        meter.seconds.observe(took.as_secs_f64());
        if answered == Answered::Deny {
            meter
                .last_refused
                .fetch_max(now.as_microsecond(), Ordering::Relaxed);
        }
    }

    /// Every door that was asked.
    pub fn figures(&self) -> Vec<DoorFigures> {
        self.meters
            .iter()
            .map(Meter::figures)
            .filter(|f| f.asked > 0)
            .collect()
    }
}

impl Meter {
    fn figures(&self) -> DoorFigures {
        let [allowed, warned, refused, would_refuse, without_verdict] =
            Answered::ALL.map(|a| self.answers[a as usize].get());
        let last = self.last_refused.load(Ordering::Relaxed);
        DoorFigures {
            route: self.route,
            channel: self.channel,
            asked: allowed + warned + refused + would_refuse + without_verdict,
            let_in: allowed + warned + would_refuse,
            warned,
            refused,
            would_refuse,
            without_verdict,
            p99_seconds: p99(&self.seconds),
            last_refused: Timestamp::from_microsecond(last)
                .ok()
                .filter(|_| last != i64::MIN),
        }
    }
}

/// The upper bound of the bucket in which the 99th percentile lies; beyond the last, that bound.
fn p99(seconds: &Histogram) -> Option<f64> {
    let metric = seconds.metric();
    let histogram = metric.get_histogram();
    let count = histogram.get_sample_count();
    if count == 0 {
        return None;
    }
    let rank = count - count / 100;
    histogram
        .get_bucket()
        .iter()
        .find(|b| b.cumulative_count() >= rank)
        .map(|b| b.upper_bound())
        .filter(|bound| bound.is_finite())
        .or(SECONDS.last().copied())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn each_door_is_counted_apart() {
        let metrics = Metrics::new().unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let count = |route, channel, answered, micros| {
            metrics.count(route, channel, answered, now, Duration::from_micros(micros));
        };
        for _ in 0..98 {
            count(Route::Http, Channel::Activesync, Answered::Allow, 20);
        }
        count(Route::Http, Channel::Activesync, Answered::Warn, 20);
        count(Route::Http, Channel::Activesync, Answered::Deny, 20_000);
        count(Route::Dovecot, Channel::Imap, Answered::WouldDeny, 900_000);
        let figures = metrics.figures();
        assert_eq!(figures.len(), 2, "a door that was never asked is left out");
        assert_eq!(
            figures[0],
            DoorFigures {
                route: Route::Http,
                channel: Channel::Activesync,
                asked: 100,
                let_in: 99,
                warned: 1,
                refused: 1,
                would_refuse: 0,
                without_verdict: 0,
                p99_seconds: Some(0.000_025),
                last_refused: Some(now),
            }
        );
        assert_eq!((figures[1].let_in, figures[1].refused), (1, 0));
        assert_eq!(figures[1].p99_seconds, Some(0.5));
        assert_eq!(figures[1].last_refused, None);
    }
}
