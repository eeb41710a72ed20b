//! What happens, step by step, with how long each step took.

use std::time::{Duration, Instant};

use countermand_core::actor::Actor;
use countermand_core::order::Order;
use countermand_core::order::when::in_zone;
use countermand_core::verdict::{Channel, Question};
use countermand_core::words::thousands;
use jiff::Timestamp;

use super::company::{Company, Dice, PEOPLE};
use super::{ANA, BEN, Demo, RITA, ZONE};
use crate::app::show::Shown;
use crate::app::{AppError, Result};

/// The order that is published.
const ORDER: &str = include_str!("../../../docs/example-order.toml");

/// Of the devices with the app, how many in a thousand still have it at each reminder and at the
/// deadline.
const STILL: [(&str, u64); 3] = [
    ("2020-07-10T17:59:00-07:00", 640),
    ("2020-07-10T22:59:00-07:00", 230),
    ("2020-07-10T23:58:00-07:00", 98),
];

/// One thing that happened.
#[derive(Clone, Debug)]
pub struct Line {
    /// On the story's clock.
    pub at: Timestamp,
    pub what: String,
    /// How long it took by the machine's clock, where that means something.
    pub took: Option<Duration>,
}

impl Line {
    /// `12:02  What happened.                                     14 ms`
    pub fn in_words(&self) -> String {
        let time = in_zone(self.at, ZONE).strftime("%H:%M").to_string();
        let took = self.took.map(words).unwrap_or_default();
        format!("{time}  {:<88} {took:>9}", self.what)
    }
}

fn words(took: Duration) -> String {
    match took.as_secs_f64() {
        s if s >= 1.0 => format!("{s:.1} s"),
        s if s >= 0.001 => format!("{:.0} ms", s * 1e3),
        s => format!("{:.0} µs", s * 1e6),
    }
}

fn operator(email: &str) -> Actor {
    Actor::Operator(email.to_owned())
}

/// How long something took. Only the demo tells: nothing else depends on it.
struct Watch(Instant);

impl Watch {
    fn start() -> Watch {
        Watch(Instant::now())
    }
    fn took(&self) -> Option<Duration> {
        Some(self.0.elapsed())
    }
}

impl Demo {
    fn say(&mut self, what: impl Into<String>, took: Option<Duration>) {
        let line = Line {
            at: self.app.now(),
            what: what.into(),
            took,
        };
        (self.tell)(&line);
    }

    fn jump(&self, to: &str) {
        if let Ok(to) = to.parse() {
            self.clock.jump_to(to);
        }
    }

    pub(super) async fn set_up(&mut self) -> Result<Company> {
        let system = Actor::System("demo".to_owned());
        let watch = Watch::start();
        let company = Company::made_up(self.app.now());
        self.app
            .import_people(&system, company.people.clone(), |_| {})
            .await?;
        let reports: Vec<_> = company.gadgets.iter().map(|g| g.report.clone()).collect();
        let devices = reports.len() as u64;
        self.app.import_reports(&system, reports, |_| {}).await?;
        self.operators().await?;
        self.say(
            format!(
                "A company of {} people and {} devices is made up.",
                thousands(PEOPLE as u64),
                thousands(devices)
            ),
            watch.took(),
        );
        Ok(company)
    }

    /// From the draft to the first refusals.
    pub(super) async fn publish_and_enforce(&mut self, company: &mut Company) -> Result<Order> {
        self.jump("2020-07-10T11:08:00-07:00");
        let order = self.app.draft(&operator(ANA), ORDER).await?;
        let id = order.id.to_string();
        self.say(
            format!(
                "Ana drafts order {}: “{}”.",
                order.id.short(),
                order.title()
            ),
            None,
        );
        let watch = Watch::start();
        let preview = self.app.preview(&order)?;
        self.say(
            format!(
                "The preview: {} devices of {} people have TikTok.",
                thousands(preview.devices),
                thousands(preview.people)
            ),
            watch.took(),
        );
        let unseen = preview.unknown.invisible + preview.unknown.stale + preview.unknown.no_report;
        self.say(
            format!(
                "On {} devices nobody can see; {} people are to be told.",
                thousands(unseen),
                thousands(preview.to_tell)
            ),
            None,
        );
        self.app.submit(&operator(ANA), &id).await?;
        if let Err(AppError::Policy(why)) = self.app.approve(&operator(ANA), &id, None).await {
            self.say(format!("Ana can't approve it herself: {why}."), None);
        }
        self.jump("2020-07-10T11:41:00-07:00");
        self.app
            .approve(&operator(BEN), &id, Some(&preview.digest))
            .await?;
        self.say(
            "Ben approves exactly this text, these package ids and this audience.",
            None,
        );

        self.jump("2020-07-10T12:02:00-07:00");
        let watch = Watch::start();
        self.app.publish(&operator(ANA), &id).await?;
        self.say("PUBLISHED.", watch.took());
        let told = self.wait_until_told(&order).await?;
        self.say(
            format!(
                "The first one in a hundred is told: {} people.",
                thousands(told)
            ),
            watch.took(),
        );
        self.jump("2020-07-10T12:18:00-07:00");
        let watch = Watch::start();
        let told = self.wait_until_told(&order).await?;
        let pace = told as f64 / watch.0.elapsed().as_secs_f64().max(0.001);
        self.say(
            format!(
                "TOLD: {} people have the notice ({} a second).",
                thousands(told),
                thousands(pace as u64)
            ),
            watch.took(),
        );

        for (at, still) in STILL {
            self.jump(at);
            let left = self.some_remove_it(company, still).await?;
            self.say(format!("{} devices still have it.", thousands(left)), None);
            self.wait_until_told(&order).await?;
        }
        self.jump("2020-07-11T00:00:00-07:00");
        let watch = Watch::start();
        let (refused, line) = self.all_ask(company).await;
        self.say(
            format!(
                "REFUSED: the deadline has passed; {} phones and tablets are refused mail.",
                thousands(refused)
            ),
            watch.took(),
        );
        self.say(format!("  One of them reads: {line}"), None);
        self.wait_until_told(&order).await?;
        Ok(order)
    }

    pub(super) fn hand_over(&mut self) {
        let console = self.app.config.server.public_url.clone();
        self.say(
            format!("Your turn: at {console} sign in as Rita, open the order, and retract it. Ctrl-C ends."),
            None,
        );
    }

    /// The retraction, and what follows from it.
    pub(super) async fn take_back(&mut self, order: &Order, company: &Company) -> Result<()> {
        self.jump("2020-07-11T00:09:00-07:00");
        let watch = Watch::start();
        let answer = self
            .app
            .retract(
                &operator(RITA),
                &order.id.to_string(),
                "Sent in error. There is no change to our policies.",
            )
            .await?;
        self.say("RETRACTED by Rita, alone.", watch.took());
        self.say(
            format!(
                "  {} devices are open again, {} notices cancelled, {} people get the correction.",
                thousands(answer.devices_restored),
                thousands(answer.cancelled),
                thousands(answer.corrections_planned)
            ),
            None,
        );
        let back = Watch::start();
        let (refused, _) = self.all_ask(company).await;
        self.say(
            format!("VERDICTS BACK: every phone has asked again; {refused} are refused."),
            back.took(),
        );
        self.wait_until_corrected(order, 1).await?;
        self.say(
            "The first correction is out; from the retraction it took",
            watch.took(),
        );
        let corrected = self
            .wait_until_corrected(order, answer.corrections_planned)
            .await?;
        self.say(
            format!(
                "CORRECTED: {} people have the correction; from the retraction it took",
                thousands(corrected)
            ),
            watch.took(),
        );
        let verified = self.app.store.audit_verify().await?;
        let proof = if verified.ok {
            "holds"
        } else {
            "DOES NOT HOLD"
        };
        self.say(
            format!(
                "The record of {} entries {proof}.",
                thousands(verified.entries)
            ),
            None,
        );
        if refused > 0 || corrected != answer.corrections_planned || !verified.ok {
            return Err(AppError::Failed(
                "the story did not end as it must".to_owned(),
            ));
        }
        Ok(())
    }

    /// Waits until no notice of the order is planned or under way; gives back how many were accepted.
    async fn wait_until_told(&self, order: &Order) -> Result<u64> {
        self.wait_for(order, |shown| {
            let under_way = shown.due + shown.notices.claimed + shown.notices.in_flight;
            (under_way == 0).then_some(shown.notices.accepted)
        })
        .await
    }

    async fn wait_until_corrected(&self, order: &Order, enough: u64) -> Result<u64> {
        self.wait_for(order, |shown| {
            let accepted = shown.corrections.accepted;
            (accepted >= enough).then_some(accepted)
        })
        .await
    }

    async fn wait_for(&self, order: &Order, done: impl Fn(&Shown) -> Option<u64>) -> Result<u64> {
        let mut changes = self.app.live.subscribe();
        loop {
            changes.mark_unchanged();
            let stored = self.app.store.order_called(&order.id.to_string()).await?;
            let shown = self.app.shown(stored.order).await?;
            if let Some(n) = done(&shown) {
                return Ok(n);
            }
            // Figures of ten thousand receipts are not free: ask a few times a second.
            tokio::time::sleep(Duration::from_millis(100)).await;
            let _ = tokio::time::timeout(Duration::from_secs(1), changes.changed()).await;
        }
    }

    /// People remove the app until `still` in a thousand have it; gives back how many that are.
    async fn some_remove_it(&self, company: &mut Company, still: u64) -> Result<u64> {
        let mut dice = Dice::new(still);
        let all = company
            .gadgets
            .iter()
            .filter(|g| g.tiktok.is_some())
            .count() as u64;
        let at_first: u64 = company.gadgets.iter().filter(|g| g.had_it()).count() as u64;
        let wanted = at_first * still / 1000;
        let mut left = all;
        let mut reports = Vec::new();
        for gadget in company.gadgets.iter_mut().filter(|g| g.tiktok.is_some()) {
            if left > wanted && dice.roll(all) < all - wanted {
                reports.push(gadget.cure(self.app.now()));
                left -= 1;
            }
        }
        self.app
            .import_reports(&Actor::System("demo".to_owned()), reports, |_| {})
            .await?;
        Ok(left)
    }

    /// The phones ask, one after the other, as phones do all day.
    pub(super) async fn some_ask(&self, company: &Company) {
        const PACE: Duration = Duration::from_millis(20);
        for (person, key) in company.gadgets.iter().filter_map(|g| g.at_the_door()) {
            let question = Question {
                person: Some(person.to_owned()),
                keys: vec![key.clone()],
                channel: Channel::Activesync,
            };
            (self.doors)(question).await;
            tokio::time::sleep(PACE).await;
        }
    }

    /// Every phone and tablet asks once; gives back how many were refused, and what one of them reads.
    async fn all_ask(&self, company: &Company) -> (u64, String) {
        let (mut refused, mut line) = (0, String::new());
        for (person, key) in company.gadgets.iter().filter_map(|g| g.at_the_door()) {
            let question = Question {
                person: Some(person.to_owned()),
                keys: vec![key.clone()],
                channel: Channel::Activesync,
            };
            let answer = (self.doors)(question).await;
            if !answer.let_in {
                refused += 1;
                line = answer.line;
            }
        }
        (refused, line)
    }
}
