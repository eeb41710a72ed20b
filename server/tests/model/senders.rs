//! What senders do, each one act at a time, and what becomes of their messages.

use countermand::outbox::office::Office as _;
use countermand_core::notice::{Key, Kind, ReceiptState};

use super::dice::Dice;
use super::reference::Stage;
use super::relay::Says;
use super::rules::later;
use super::steps::What;
use super::turns::{Checked, ensure};
use super::worker::{Boarded, Turns, WELL, Worker};
use super::world::World;

impl World<'_> {
    /// All senders freeze for longer than their leases; then one of them, or a new one, wakes first.
    pub async fn nap(&mut self, dice: &mut Dice) -> Checked {
        self.clock.set(later(self.now(), dice.pick(&[25, 26, 40])));
        let idle = |at: &usize| self.workers[*at].flights.is_empty();
        let idle: Vec<usize> = (0..self.workers.len()).filter(idle).collect();
        let at = match dice.any(&idle) {
            Some(at) if !dice.one_in(3) => at,
            _ if self.workers.len() < 4 => {
                self.spawn(0);
                self.workers.len() - 1
            }
            _ => dice.below(self.workers.len()),
        };
        let now = self.now();
        self.touched = true;
        self.workers[at]
            .stay_alive(&self.house.store, &mut self.model, now)
            .await?;
        // Who was frozen with a correction on the wire may send it anew before it hears of the first.
        let corrects = |worker: &Worker| {
            let mut flights = worker.flights.iter();
            flights.position(|f| f.on_wire && f.claim.key.kind == Kind::Correction)
        };
        let frozen: Vec<(usize, usize)> = (0..self.workers.len())
            .filter_map(|at| Some((at, corrects(&self.workers[at])?)))
            .collect();
        if let Some((at, flight)) = dice.any(&frozen) {
            self.turn(at, WELL).await?;
            self.turn(at, WELL).await?;
            self.fly(at, flight, Some(Says::draw(dice)), dice)?;
            self.turn(at, WELL).await?;
        }
        Ok(())
    }

    /// Notices that wait for another attempt, and may be claimed for it now.
    fn retries(&self) -> impl Iterator<Item = &Key> {
        let now = self.now();
        let waits = self.model.receipts.iter().filter(move |(key, receipt)| {
            receipt.state == ReceiptState::Claimed
                && receipt.held.is_none()
                && receipt.not_before <= now
                && self.model.orders[&key.order].lets_begin(key.kind)
        });
        waits.map(|(key, _)| key)
    }

    /// A process that is cut off claims what it has not heard of, since somebody else tried it before.
    async fn stumble(&mut self) -> Checked {
        let at = self.workers.iter().position(|worker| worker.node == 1);
        let at = at.unwrap_or_else(|| {
            self.spawn(1);
            self.workers.len() - 1
        });
        self.turn(at, WELL).await?;
        self.turn(at, WELL).await?;
        self.ask().await?;
        for flight in (0..self.workers[at].flights.len()).rev() {
            self.fly_or_board(at, flight).await?;
        }
        self.turn(at, WELL).await
    }

    /// Some sender's notices go out and are taken.
    pub async fn deliver(&mut self, dice: &mut Dice) -> Checked {
        if self.workers.is_empty() {
            self.spawn(0);
        }
        let at = dice.below(self.workers.len());
        self.turn(at, WELL).await?;
        self.turn(at, WELL).await?;
        self.ask().await?;
        self.land(at).await?;
        self.turn(at, WELL).await?;
        // What that turn began may leave in this same step.
        self.ask().await
    }

    /// Whether a claim for another attempt is held, so that a hold can come between it and its start.
    fn holds_a_retry(&self, at: usize) -> bool {
        let name = &self.workers[at].name;
        let mut all = self.model.receipts.iter();
        all.any(|(key, receipt)| {
            receipt.attempt > 0
                && receipt.state == ReceiptState::Claimed
                && receipt.held.as_ref().is_some_and(|(by, _)| by == name)
                && key.kind != Kind::Correction
                && self.model.orders[&key.order].lets_begin(key.kind)
        })
    }

    /// Some sender does something.
    pub async fn work(&mut self, dice: &mut Dice) -> Checked {
        if self.workers.is_empty() {
            self.spawn(usize::from(dice.one_in(4)));
        }
        if self.cut_off && self.retries().any(|key| !self.nodes[1].knows(key)) && dice.one_in(3) {
            return self.stumble().await;
        }
        let at = dice.below(self.workers.len());
        let flights = self.workers[at].flights.len();
        if flights > 0 && dice.below(5) < 3 {
            let one = dice.below(flights);
            let all = dice.one_in(2);
            for flight in (0..flights).rev().filter(|flight| all || *flight == one) {
                self.fly(at, flight, None, dice)?;
                self.fly_or_board(at, flight).await?;
            }
            return Ok(());
        }
        let (alive, looks, lost) = (!dice.one_in(6), !dice.one_in(4), dice.one_in(15));
        if self.workers[at].node == 1 && !self.cut_off {
            self.nodes[1].live.follow().await.unwrap();
        }
        let asks = dice.one_in(4);
        self.turn(
            at,
            Turns {
                alive,
                looks,
                lost,
                asks,
            },
        )
        .await?;
        if self.holds_a_retry(at) && dice.one_in(6) {
            self.respond(What::Hold, dice).await?;
            self.turn(at, WELL).await?;
        }
        Ok(())
    }

    pub async fn turn(&mut self, at: usize, how: Turns) -> Checked {
        let now = self.now();
        let name = self.workers[at].name.clone();
        self.say(|| format!("{name} takes a turn: {how:?}"));
        if how.alive {
            self.workers[at]
                .stay_alive(&self.house.store, &mut self.model, now)
                .await?;
        }
        let node = self.workers[at].node;
        let mut suspects = std::mem::take(&mut self.workers[at].suspects);
        if how.looks {
            suspects.extend(self.standing(node));
        }
        self.suspect(node, suspects).await?;
        let worker = &mut self.workers[at];
        if how.looks {
            worker.look().await;
        }
        self.touched = true;
        worker
            .turn(&self.house.store, &mut self.model, now, how)
            .await
    }

    /// An answer to what is on the wire, if the relay is not slow; `says`: it is this one.
    pub fn fly(
        &mut self,
        at: usize,
        flight: usize,
        says: Option<Says>,
        dice: &mut Dice,
    ) -> Checked {
        let now = self.now();
        let worker = &mut self.workers[at];
        if !worker.flights[flight].on_wire || (says.is_none() && dice.one_in(8)) {
            return Ok(());
        }
        let key = worker.flights[flight].claim.key;
        let says = says.unwrap_or_else(|| Says::draw(dice));
        self.relay.end(key, says);
        worker.hear(flight, says, now);
        let name = worker.name.clone();
        self.say(|| format!("{name}: {key:?}: {says:?}"));
        Ok(())
    }

    /// What is in flight on disk goes on the wire.
    pub async fn fly_or_board(&mut self, at: usize, flight: usize) -> Checked {
        let worker = &self.workers[at];
        if worker
            .flights
            .get(flight)
            .is_none_or(|flight| flight.on_wire)
        {
            return Ok(());
        }
        self.board(at, flight).await
    }

    pub async fn board(&mut self, at: usize, flight: usize) -> Checked {
        let now = self.now();
        let (name, node) = (self.workers[at].name.clone(), self.workers[at].node);
        let claim = self.workers[at].flights[flight].claim;
        let boarded = self.workers[at].board(flight, now).await;
        let key = claim.key;
        self.say(|| format!("{name}: {key:?}: {}", boarded.in_a_word()));
        match boarded {
            Boarded::Leaves(mail) => {
                self.on_the_wire(&name, node, &claim, &mail)?;
                self.relay.begin(key, &mail)
            }
            Boarded::NotNow => Ok(()),
            Boarded::Never(why) => {
                let order = &self.model.orders[&key.order];
                // Who has not heard of an extension takes a reminder for late.
                let is_late = order.is_too_late(key.kind, now)
                    || (node == 1 && matches!(key.kind, Kind::Reminder(_)));
                let ended = order.stage == Stage::Retracted && key.kind != Kind::Correction;
                ensure!(is_late || ended, "inv_19: {key:?} is given up: {why}");
                Ok(())
            }
        }
    }

    /// All that is in flight goes out and is answered well.
    pub async fn land(&mut self, at: usize) -> Checked {
        for flight in (0..self.workers[at].flights.len()).rev() {
            if !self.workers[at].flights[flight].on_wire {
                let before = self.workers[at].flights.len();
                self.board(at, flight).await?;
                if self.workers[at].flights.len() < before {
                    continue;
                }
            }
            self.fly(at, flight, Some(Says::Accepted), &mut Dice(0))?;
        }
        Ok(())
    }

    /// A sender's process is gone; what was on the wire, the relay has or has not.
    pub fn kill(&mut self, at: usize, dice: &mut Dice) {
        let worker = self.workers.remove(at);
        self.say(|| format!("{} is killed", worker.name));
        for flight in worker.flights.iter().filter(|flight| flight.on_wire) {
            let says = dice.pick(&[Says::AcceptedUnheard, Says::LostUnheard]);
            self.relay.end(flight.claim.key, says);
        }
    }

    /// A sender that is told to end, and has nothing in flight, takes its leave.
    pub async fn stop(&mut self, dice: &mut Dice) -> Checked {
        let peaceful: Vec<usize> = (0..self.workers.len())
            .filter(|at| self.workers[*at].may_retire())
            .collect();
        let Some(at) = dice.any(&peaceful) else {
            return self.work(dice).await;
        };
        let now = self.now();
        let mut worker = self.workers.remove(at);
        worker.retire(&self.house.store, &mut self.model, now).await;
        self.touched = true;
        Ok(())
    }
}
