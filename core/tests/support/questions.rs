//! What doors ask, and when: around every moment at which an answer could turn.

use countermand_core::order::when::When;
use countermand_core::verdict::Question;
use jiff::{SignedDuration, Timestamp};

use super::build::{Built, key};
use super::history::Ask;
use super::naive::plus;
use super::world::{KEYS, UNKNOWN_KEYS, slot};

impl Built {
    /// Every moment at which something could turn, and some between.
    pub fn moments(&self) -> Vec<Timestamp> {
        let mut moments: Vec<Timestamp> = (-8..5).map(|n| slot(n * 5)).collect();
        for order in &self.naive.orders {
            let file = &order.file;
            let rule = &file.deadline;
            moments.push(order.comply_by);
            moments.extend(order.published_at);
            moments.extend(file.expires.as_ref().map(When::at));
            moments.extend(order.resumed_at.map(|at| plus(at, rule.min_notice)));
            for told in order.told.values() {
                moments.push(plus(*told, rule.min_notice));
                moments.push(plus(*told, rule.late_grace));
            }
            for report in self.naive.devices.values().flat_map(|d| &d.reports) {
                moments.push(plus(report.seen_at, file.when_unknown.stale_after));
            }
            for word in self
                .naive
                .attestations
                .iter()
                .filter(|a| a.order == order.id)
            {
                moments.push(word.at);
                moments.push(plus(word.at, file.when_unknown.attest_for));
            }
        }
        for exemption in &self.naive.exemptions {
            moments.push(exemption.until);
            moments.extend(
                [&exemption.approved, &exemption.ended]
                    .into_iter()
                    .flatten()
                    .map(|a| a.1),
            );
        }
        moments
    }

    /// The question and the moment that a plan comes to.
    pub fn ask(&self, ask: &Ask) -> (Question, Timestamp) {
        let person = ask.person.map(|(p, spelling)| {
            let person = &self.naive.people[&((p % self.naive.people.len()) as u32)];
            let all: Vec<&str> = person.addresses().collect();
            let address = all[spelling % all.len()];
            match (ask.stranger, spelling) {
                (true, _) => "stranger@example.test".to_owned(),
                (_, 0..3) => address.to_owned(),
                _ => format!(" {} ", address.to_uppercase()),
            }
        });
        let keys = ask.keys.iter().map(|(k, s)| match KEYS.get(*k) {
            Some(_) => key(*k, *s),
            None => UNKNOWN_KEYS[*s].parse().unwrap(),
        });
        let question = Question {
            person,
            keys: keys.collect(),
            channel: ask.channel,
        };
        let moments = self.moments();
        let at = moments[ask.at.index(moments.len())] + SignedDuration::from_secs(ask.nudge);
        (question, at)
    }
}
