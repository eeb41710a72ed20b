//! What happens: steps by chance, weighted so that what is dangerous is frequent. A step is a number with a
//! name, and means the nearest possible thing, so that any part of a history is a history.

use std::collections::BTreeSet;
use std::ops::Range;

use jiff::Timestamp;

use super::dice::Dice;
use super::rules::{DAY, HOUR, MINUTE, later};
use super::turns::Checked;
use super::world::{START, World};
use crate::support::app::{RESPONDER, operator, time};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    Wait,
    Nap,
    Leap,
    Work,
    Spawn,
    Kill,
    Stop,
    Follow,
    Restart,
    Publish,
    Wander,
    Hold,
    Resume,
    Extend,
    Retract,
    LooksWrong,
    Bounce,
    Stray,
    Door,
    Join,
    Regroup,
    Rename,
    Report,
    Attest,
    Exempt,
    Doors,
}

/// How often each comes.
const WEIGHTS: [(What, usize); 26] = [
    (What::Nap, 7),
    (What::Wait, 18),
    (What::Leap, 10),
    (What::Work, 62),
    (What::Spawn, 8),
    (What::Kill, 6),
    (What::Stop, 2),
    (What::Follow, 7),
    (What::Restart, 2),
    (What::Publish, 4),
    (What::Wander, 1),
    (What::Hold, 5),
    (What::Resume, 6),
    (What::Extend, 5),
    (What::Retract, 8),
    (What::LooksWrong, 4),
    (What::Bounce, 6),
    (What::Stray, 1),
    (What::Door, 8),
    (What::Join, 2),
    (What::Regroup, 2),
    (What::Rename, 2),
    (What::Report, 4),
    (What::Attest, 1),
    (What::Exempt, 3),
    (What::Doors, 1),
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    pub what: What,
    pub chance: u64,
}

/// The history of a seed. Short ones are as likely to find a fault, and easier to read.
pub fn draw(seed: u64, lengths: Range<usize>) -> Vec<Step> {
    let mut dice = Dice(seed);
    let steps = lengths.start + dice.below(lengths.len());
    let all: usize = WEIGHTS.iter().map(|(_, weight)| weight).sum();
    let begins = [What::Publish, What::Spawn, What::Spawn, What::Work].into_iter();
    let mut goes_on = dice.clone();
    let drawn = std::iter::from_fn(|| {
        let mut at = goes_on.below(all);
        let found = WEIGHTS.iter().find(|(_, weight)| {
            let hit = at < *weight;
            at = at.saturating_sub(*weight);
            hit
        });
        found.map(|(what, _)| *what)
    });
    let steps: Vec<What> = begins.chain(drawn).take(steps).collect();
    let chances = steps.into_iter().map(|what| Step {
        what,
        chance: dice.next(),
    });
    chances.collect()
}

impl World<'_> {
    pub async fn take(&mut self, step: Step) -> Checked {
        let mut dice = Dice(step.chance);
        self.say(|| format!("— {:?} {}", step.what, step.chance));
        match step.what {
            What::Wait => self.wait(&mut dice),
            What::Nap => return self.nap(&mut dice).await,
            What::Leap => self.leap(&mut dice),
            What::Work => return self.work(&mut dice).await,
            What::Spawn => {
                if self.workers.len() < 4 {
                    self.spawn(usize::from(dice.one_in(3)));
                }
            }
            What::Kill => {
                if !self.workers.is_empty() {
                    let at = dice.below(self.workers.len());
                    self.kill(at, &mut dice);
                }
            }
            What::Stop => return self.stop(&mut dice).await,
            What::Follow => {
                self.nodes[1].live.follow().await.unwrap();
                self.cut_off = !self.cut_off;
            }
            What::Restart => {
                let node = dice.below(2);
                for at in (0..self.workers.len()).rev() {
                    if self.workers[at].node == node {
                        self.kill(at, &mut dice);
                    }
                }
                self.restart(node).await;
            }
            What::Publish if self.model.orders.len() < 3 => return self.publish(&mut dice).await,
            What::Publish => return self.work(&mut dice).await,
            What::Wander => return self.wander(&mut dice).await,
            What::Hold | What::Resume | What::Extend => {
                return self.respond(step.what, &mut dice).await;
            }
            What::Retract => return self.retract(&mut dice).await,
            What::LooksWrong => return self.looks_wrong(&mut dice).await,
            What::Bounce => return self.bounce(&mut dice).await,
            What::Stray => return self.stray().await,
            What::Door => return self.door(&mut dice).await,
            What::Join => {
                let who = self.join(Self::some_groups(&mut dice)).await;
                if !dice.one_in(4) {
                    let apps = self.some_apps(&mut dice);
                    self.enrol(who, apps, dice.one_in(6)).await;
                }
            }
            What::Regroup => {
                let who = dice.below(self.model.people.len()) as u32;
                let mut person = self.model.people[&who].clone();
                person.groups = Self::some_groups(&mut dice);
                self.list(&person).await;
                self.model.people.insert(who, person);
            }
            What::Rename => self.rename(&mut dice).await,
            What::Report => {
                if dice.one_in(5) {
                    let owner = dice.below(self.model.people.len()) as u32;
                    let apps = self.some_apps(&mut dice);
                    self.enrol(owner, apps, dice.one_in(6)).await;
                } else {
                    let no = dice.below(self.model.devices.len()) as u32;
                    let apps = self.some_apps(&mut dice).unwrap_or_default();
                    if let Some(device) = self.model.devices.get_mut(&no) {
                        // Who can see the apps of a device goes on to see them.
                        device.apps = device.apps.as_ref().map(|_| apps);
                    }
                    self.report(no).await;
                }
            }
            What::Attest => self.attest(&mut dice).await,
            What::Exempt => self.exempt(&mut dice).await,
            What::Doors => {
                let (app, by) = (self.app(), operator(RESPONDER));
                if self.model.doors_open {
                    app.close_doors(&by).await.unwrap();
                } else {
                    app.open_doors(&by, "a drill").await.unwrap();
                }
                self.model.doors_open = !self.model.doors_open;
                self.touched = true;
            }
        }
        Ok(())
    }
    fn wait(&mut self, dice: &mut Dice) {
        let seconds = dice.pick(&[1, 3, 4, 5, 9, 24, 26, 10 * MINUTE, HOUR]);
        self.clock.set(later(self.now(), seconds));
    }
    /// To a moment at which time alone changes something, or just beside it.
    fn leap(&mut self, dice: &mut Dice) {
        let (now, end) = (self.now(), later(time(START), 10 * DAY));
        let mut moments: BTreeSet<Timestamp> = BTreeSet::new();
        for order in self.model.orders.values() {
            let since = order.resumed_at.unwrap_or(order.published_at);
            moments.extend(order.rule.expires);
            moments.insert(order.comply_by);
            moments.extend(
                order
                    .rule
                    .remind
                    .iter()
                    .map(|before| later(order.comply_by, -before)),
            );
            moments.insert(later(since, order.rule.min_notice));
            moments.extend(order.pauses_until());
            if let Some(stages) = &order.rule.stages {
                let told = self.model.people.keys();
                let told = told.filter_map(|who| self.model.told(order.id, *who));
                moments.extend(told.map(|at| later(at, stages.pause)));
            }
            let people = self.model.people.keys();
            moments.extend(people.filter_map(|who| self.model.refuses_from(order, *who)));
        }
        moments.extend(self.model.leaves.values().map(|leave| leave.until));
        let nudge = dice.pick(&[-1, 0, 0, 1]);
        let ahead: Vec<Timestamp> = moments
            .into_iter()
            .map(|at| later(at, nudge))
            .filter(|at| now < *at && *at < end)
            .collect();
        if let Some(at) = dice.any(&ahead) {
            self.clock.set(at);
        }
    }
}
