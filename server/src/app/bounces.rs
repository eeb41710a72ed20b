//! Bounces: whose notice came back, and what follows.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use countermand_core::actor::Actor;
use countermand_core::change::{Bounce, Change};
use countermand_core::id::OrderId;
use countermand_core::notice::mark::{self, Marked};
use countermand_core::notice::{Key, Kind};
use jiff::{SignedDuration, Timestamp};
use prometheus::{IntCounterVec, Opts};

use super::App;
use crate::outbox::bounces::report::{self, Report, Verdict};
use crate::outbox::bounces::{Intake, Mail};

/// So many Message-IDs that are almost right in an hour are somebody's guesses.
const GUESSES: u32 = 50;
const GUESSED_WITHIN: SignedDuration = SignedDuration::from_hours(1);

/// Reads what comes back.
#[derive(Debug)]
pub struct Bounces {
    app: App,
    guesses: Mutex<Guesses>,
    counts: IntCounterVec,
}

#[derive(Debug, Default)]
struct Guesses {
    since: Option<Timestamp>,
    wrong: u32,
}

impl Bounces {
    pub fn new(app: App) -> Bounces {
        let what = Opts::new(
            "countermand_bounces_total",
            "Mails to the bounce address that this server read, by what they were",
        );
        #[expect(
            clippy::expect_used,
            reason = "the name and its label are constant and valid"
        )]
        let counts = IntCounterVec::new(what, &["what"]).expect("a valid name");
        Bounces {
            app,
            guesses: Mutex::default(),
            counts,
        }
    }

    /// How many mails of each sort this server has read, for `/metrics`.
    pub fn counts(&self) -> &IntCounterVec {
        &self.counts
    }

    /// Whose notice it was. A mark is proof; a Message-ID is believed only together with an address of
    /// the very person, and not from somebody who guesses (see [`mark`]).
    fn whose(&self, report: &Report, now: Timestamp) -> Option<Marked> {
        let app = &self.app;
        let view = app.live.view();
        let read = |m: &String| mark::read(m, &app.seal, view.orders().map(|o| o.id));
        if let Some(marked) = report.marks.iter().find_map(read) {
            return Some(marked);
        }
        let ours = |id: &&str| id.starts_with("cm.");
        let left = |id: &'_ String| id.split('@').next().unwrap_or_default().to_owned();
        let ids: Vec<String> = report.message_ids.iter().map(left).collect();
        let ids: BTreeSet<&str> = ids.iter().map(String::as_str).filter(ours).collect();
        if ids.is_empty() || app.config.notices.bounces.only_marked || self.is_guessed(now) {
            return None;
        }
        let people: BTreeSet<_> = report
            .recipients
            .iter()
            .filter_map(|address| view.person_called(address))
            .map(|person| person.id)
            .collect();
        let named: Option<OrderId> = report.order.as_ref().and_then(|o| o.parse().ok());
        for order in view.orders().filter(|o| named.is_none_or(|n| n == o.id)) {
            let reminders = 1..=order.revision.file.deadline.remind.len();
            let reminders = reminders.filter_map(|n| Some(Kind::Reminder(u8::try_from(n).ok()?)));
            let kinds = [Kind::Order, Kind::Correction, Kind::Blocked];
            let kinds: Vec<Kind> = kinds.into_iter().chain(reminders).collect();
            for person in &people {
                for kind in &kinds {
                    let key = Key {
                        order: order.id,
                        person: *person,
                        kind: *kind,
                    };
                    if ids.contains(key.message_id("").trim_end_matches('@')) {
                        // It is the same of every attempt.
                        let attempt = None;
                        return Some(Marked { key, attempt });
                    }
                }
            }
        }
        if !people.is_empty() {
            self.was_wrong(now);
        }
        None
    }

    fn is_guessed(&self, now: Timestamp) -> bool {
        let guesses = self.guesses.lock().unwrap_or_else(PoisonError::into_inner);
        let lately = |since: Timestamp| now.duration_since(since).abs() < GUESSED_WITHIN;
        guesses.wrong >= GUESSES && guesses.since.is_some_and(lately)
    }

    fn was_wrong(&self, now: Timestamp) {
        let mut guesses = self.guesses.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |since: Timestamp| now.duration_since(since).abs() >= GUESSED_WITHIN;
        if guesses.since.is_none_or(is_over) {
            *guesses = Guesses {
                since: Some(now),
                wrong: 0,
            };
        }
        guesses.wrong += 1;
        if guesses.wrong == GUESSES {
            tracing::warn!(
                "{GUESSES} bounces in an hour showed a Message-ID that is not of the person they name; for the rest of the hour only marked ones are believed (`only_marked = true` in [notices.bounces] makes that the rule)"
            );
        }
    }

    fn count(&self, what: &str) {
        self.counts.with_label_values(&[what]).inc();
    }
}

impl Intake for Bounces {
    async fn take(&self, mails: Vec<Mail>) -> std::result::Result<(), String> {
        let now = self.app.now();
        let mut bounces = Vec::new();
        for mail in &mails {
            let report = report::read(&mail.to, &mail.bytes);
            if report.verdict != Verdict::Failed {
                self.count(report.verdict.as_str());
                continue;
            }
            match self.whose(&report, now) {
                Some(Marked { key, attempt }) => {
                    self.count(report.verdict.as_str());
                    let words = report.words;
                    bounces.push(Bounce {
                        key,
                        attempt,
                        words,
                    });
                }
                None => {
                    self.count("unmatched");
                    tracing::warn!(status = report.status, "a bounce is of no notice of ours");
                }
            }
        }
        if bounces.is_empty() {
            return Ok(());
        }
        let orders: BTreeSet<OrderId> = bounces.iter().map(|b| b.key.order).collect();
        let actor = Actor::System("bounces".to_owned());
        let done = self.app.commit(&actor, Change::Bounces(bounces)).await;
        done.map_err(|error| error.to_string())?;
        for order in orders {
            tracing::info!(%order, "notices came back");
            // Recorded they are; whoever sends looks as well.
            if let Err(error) = self.app.stop_if_needed(order).await {
                tracing::warn!(%order, %error, "whether its notices are to stop is not known yet");
            }
        }
        Ok(())
    }
}
