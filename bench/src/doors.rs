//! What each door does in a second, and how long one waits at it, beside the same door with nobody to ask.

mod company;
mod load;
mod mail;
mod servers;
mod sessions;
mod web;

use std::collections::BTreeMap;

use crate::rows::{Bar, Figure, Row};
use company::Company;
use load::Took;

const RUNS: usize = 3;

/// The same door with nobody to ask.
const NO_GATE: &str = "no gate";

/// A door's rows: answers a second by many clients, and what one client alone waits for.
struct Names {
    each_second: &'static str,
    unit: &'static str,
    p50: &'static str,
    p99: &'static str,
    peer: &'static str,
}

impl Names {
    fn rows(&self, ours: &[Took], peer: &[Took]) -> [Row; 3] {
        let row = |work, unit, more_is_better, of: fn(&Took) -> f64| Row {
            work,
            unit,
            more_is_better,
            ours: Figure::of(ours.iter().map(of).collect()),
            peers: BTreeMap::from([(self.peer, Figure::of(peer.iter().map(of).collect()))]),
            bars: Vec::new(),
        };
        [
            row(self.each_second, self.unit, true, |took| took.each_second),
            row(self.p50, "ms", false, |took| took.p50),
            row(self.p99, "ms", false, |took| took.p99),
        ]
    }
}

/// All doors that this machine has the programs for; what is left out is said.
pub async fn all() -> anyhow::Result<Vec<Row>> {
    let company = Company::new().await?;
    let mut rows = Vec::new();
    for kind in web::Kind::ALL {
        keep(&mut rows, kind.name(), web::measured(kind, &company).await);
    }
    keep(&mut rows, "Dovecot", mail::dovecot(&company).await);
    keep(&mut rows, "Postfix", mail::postfix(&company).await);
    keep(&mut rows, "nginx's mail proxy", mail::nginx(&company).await);
    keep(&mut rows, "open sessions", sessions::ended(&company).await);
    Ok(rows)
}

fn keep<const N: usize>(rows: &mut Vec<Row>, door: &str, measured: anyhow::Result<[Row; N]>) {
    match measured {
        Ok(measured) => rows.extend(measured),
        Err(error) => eprintln!("{door} is left out: {error:#}"),
    }
}

/// Milliseconds of some runs, with what has been promised.
fn within(work: &'static str, runs: Vec<f64>, at_most: f64) -> Row {
    Row {
        work,
        unit: "ms",
        more_is_better: false,
        ours: Figure::of(runs),
        peers: BTreeMap::new(),
        bars: vec![Bar::AtMost(at_most)],
    }
}
