//! Figures, and how they are written down.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

/// Minimum, median and maximum of some runs.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    pub min: f64,
    pub median: f64,
    pub max: f64,
}

impl Figure {
    pub fn of(mut runs: Vec<f64>) -> Figure {
        runs.sort_by(f64::total_cmp);
        let at = |i: usize| runs.get(i).copied().unwrap_or(f64::NAN);
        Figure {
            min: at(0),
            median: at(runs.len() / 2),
            max: at(runs.len().saturating_sub(1)),
        }
    }

    fn json(self) -> Value {
        let short = |x: f64| (x * 1000.0).round() / 1000.0;
        json!({ "min": short(self.min), "median": short(self.median), "max": short(self.max) })
    }
}

/// What we have promised.
#[derive(Clone, Copy, Debug, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bar {
    /// At least so many times as good as that peer.
    Ratio { peer: &'static str, at_least: f64 },
    /// In the row's unit, whatever peers do.
    AtMost(f64),
}

/// One kind of work, ours beside our peers'.
#[derive(Clone, Debug)]
pub struct Row {
    pub work: &'static str,
    pub unit: &'static str,
    /// Whether a greater figure is the better one.
    pub more_is_better: bool,
    pub ours: Figure,
    pub peers: BTreeMap<&'static str, Figure>,
    pub bars: Vec<Bar>,
}

impl Row {
    /// Ours against a peer: above 1, we are better.
    fn ratio(&self, peer: Figure) -> f64 {
        if self.more_is_better {
            self.ours.median / peer.median
        } else {
            peer.median / self.ours.median
        }
    }

    /// Whether the median holds what was promised; a peer that is missing proves nothing.
    fn holds(&self, bar: Bar) -> bool {
        match bar {
            Bar::Ratio { peer, at_least } => {
                let peer = self.peers.get(peer);
                peer.is_some_and(|peer| self.ratio(*peer) >= at_least)
            }
            Bar::AtMost(most) => self.ours.median <= most,
        }
    }

    pub fn is_ok(&self) -> bool {
        self.bars.iter().all(|bar| self.holds(*bar))
    }

    fn json(&self) -> Value {
        let peers: BTreeMap<_, _> = self
            .peers
            .iter()
            .map(|(name, f)| (*name, f.json()))
            .collect();
        let ratio: BTreeMap<_, _> = self
            .peers
            .iter()
            .map(|(name, f)| (*name, (self.ratio(*f) * 1000.0).round() / 1000.0))
            .collect();
        json!({ "work": self.work, "unit": self.unit, "ours": self.ours.json(), "peers": peers, "ratio": ratio, "bar": self.bars, "ok": self.is_ok() })
    }
}

#[derive(Debug, Default)]
pub struct Report {
    pub devices: usize,
    pub rows: Vec<Row>,
}

impl serde::Serialize for Report {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        json!({ "devices": self.devices, "rows": self.rows.iter().map(Row::json).collect::<Vec<_>>() }).serialize(s)
    }
}

impl Report {
    pub fn as_table(&self) -> String {
        let mut text = String::new();
        for row in &self.rows {
            let _ = writeln!(
                text,
                "{:<22} {:>14.3} {}",
                row.work, row.ours.median, row.unit
            );
            for bar in &row.bars {
                let said = match bar {
                    Bar::Ratio { peer, at_least } => format!("at least {at_least} × {peer}"),
                    Bar::AtMost(most) => format!("at most {most} {}", row.unit),
                };
                let _ = writeln!(
                    text,
                    "  {said}: {}",
                    if row.holds(*bar) { "yes" } else { "NO" }
                );
            }
            for (name, peer) in &row.peers {
                let _ = writeln!(
                    text,
                    "  {name:<20} {:>14.3} {}   ours is {:.2} times as good",
                    peer.median,
                    row.unit,
                    row.ratio(*peer)
                );
            }
        }
        text
    }
}
