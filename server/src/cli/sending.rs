//! How the sending goes on, on standard error: a bar on a terminal, else a line every few seconds.

use std::io::IsTerminal as _;
use std::time::Duration;

use countermand_core::words::{counted, thousands};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use tokio::time::Instant;

use super::{Place, Printer};
use crate::app::waits::{Waits, Why};
use crate::outbox::worker::Progress;

/// Between two lines where there is no terminal.
const BETWEEN_LINES: Duration = Duration::from_secs(5);

/// Redrawn so often even if nothing happens: the time left is seen to be alive.
const TICK: Duration = Duration::from_millis(250);

/// What is to be called at each progress. Whoever reads JSON reads the one document at the end.
pub fn follow(print: Printer) -> Box<dyn FnMut(&Progress) + Send> {
    if print.is_json() {
        Box::new(|_| {})
    } else if std::io::stderr().is_terminal() {
        Box::new(bar())
    } else {
        Box::new(lines(|line| eprintln!("{line}")))
    }
}

/// What `--until-idle` left for later, and what lets it go on; one line an order.
pub fn left(place: &Place, waits: &Waits) -> String {
    let id = waits.order.id.short();
    let notices = |n: u64| counted(n, "notice", "notices");
    let resume = place.command(&format!("--as EMAIL order resume {id}"));
    let what = match &waits.why {
        Why::Held(n) => format!("{}: it is on hold, until {resume}", notices(*n)),
        Why::Stopped(n) => format!(
            "{}: they stopped by themselves, and wait for a responder; {} says why",
            notices(*n),
            place.command(&format!("order show {id}"))
        ),
        Why::Pause(n, pause) => format!(
            "{}: they wait for the pause after the canary, {pause} from when the first of it was told; send again then, or let `serve` run",
            notices(*n)
        ),
        Why::NoChannel(names) => format!(
            "what is to be said at {}: this server's config has no such channel; another server's sender has it, or put it back",
            names.join(", ")
        ),
    };
    let title = super::print::tame(waits.order.title());
    format!("Not waited for, of order {id} «{title}»: {what}.")
}

fn settled(progress: &Progress) -> u64 {
    progress.accepted + progress.rejected + progress.unknown + progress.too_late
}

fn all(progress: &Progress) -> u64 {
    settled(progress) + (progress.in_flight + progress.claimed + progress.planned) as u64
}

/// `accepted 10,982 · rejected 31`: what there is of each.
fn counts(progress: &Progress) -> String {
    let parts: Vec<String> = [
        ("accepted", progress.accepted),
        ("rejected", progress.rejected),
        ("unknown", progress.unknown),
        ("too late", progress.too_late),
        ("put off", progress.deferred),
    ]
    .into_iter()
    .filter(|(name, n)| *n > 0 || *name == "accepted")
    .map(|(name, n)| format!("{name} {}", thousands(n)))
    .collect();
    let trouble = progress
        .trouble
        .iter()
        .map(|t| format!("\n{}", super::print::tame(t)));
    parts.join(" · ") + &trouble.collect::<String>()
}

fn bar() -> impl FnMut(&Progress) + Send {
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
    let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        // Before anything is settled nobody knows.
        let _ = match state.per_sec() {
            rate if rate > 0.0 => write!(
                out,
                "{rate:.0} a second, about {} left",
                time(state.eta().as_secs())
            ),
            _ => Ok(()),
        };
    };
    let template = "{bar:30} {human_pos} of {human_len}  {rate}  {msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.with_key("rate", rate));
    }
    bar.enable_steady_tick(TICK);
    move |progress| {
        bar.set_length(all(progress));
        bar.set_position(settled(progress));
        bar.set_message(counts(progress));
    }
}

fn lines(mut say: impl FnMut(String) + Send) -> impl FnMut(&Progress) + Send {
    let began = Instant::now();
    let mut lines = Lines::default();
    move |progress| {
        if let Some(line) = lines.after(began.elapsed(), progress) {
            say(line);
        }
    }
}

/// When a line was said last, and how many were settled then. The first line comes after a while:
/// what is quickly done needs none.
#[derive(Default)]
struct Lines {
    said: Duration,
    done: u64,
}

impl Lines {
    fn after(&mut self, now: Duration, progress: &Progress) -> Option<String> {
        let passed = now.saturating_sub(self.said);
        if passed < BETWEEN_LINES {
            return None;
        }
        let (done, all) = (settled(progress), all(progress));
        let rate = done.saturating_sub(self.done) as f64 / passed.as_secs_f64();
        let left = match (all - done) as f64 / rate {
            seconds if seconds.is_finite() => format!(", about {} left", time(seconds as u64)),
            _ => String::new(),
        };
        *self = Lines { said: now, done };
        Some(format!(
            "{} of {} · {} · {rate:.0} a second{left}",
            thousands(done),
            thousands(all),
            counts(progress).replace('\n', " · ")
        ))
    }
}

/// `40 s`, `12 min`, `3 h`
fn time(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_every_few_seconds_tells_how_far_it_is() {
        let mut lines = Lines::default();
        let mut said = Vec::new();
        let mut progress = Progress {
            planned: 10_000,
            ..Progress::default()
        };
        for second in 0..13 {
            said.extend(lines.after(Duration::from_secs(second), &progress));
            progress.planned -= 100;
            progress.accepted += 99;
            progress.rejected += 1;
        }
        progress.trouble = Some("the relay\nis away".to_owned());
        said.extend(lines.after(Duration::from_secs(20), &progress));
        assert_eq!(
            said,
            [
                "500 of 10,000 · accepted 495 · rejected 5 · 100 a second, about 95 s left",
                "1,000 of 10,000 · accepted 990 · rejected 10 · 100 a second, about 90 s left",
                "1,300 of 10,000 · accepted 1,287 · rejected 13 · the relay is away · 30 a second, about 4 min left",
            ]
        );
    }
}
