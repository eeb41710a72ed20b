//! A sender that lives one act at a time, and can be frozen, killed or robbed of an answer between any two.
//!
//! It works as `outbox::worker` does, on the real store, with the real survey and the real desk; the wire
//! and the clock are the history's.

use std::collections::BTreeSet;
use std::sync::Arc;

use countermand::app::App;
use countermand::outbox::compose::{Desk, Drafts, NoMail};
use countermand::outbox::survey::Survey;
use countermand::outbox::transport::{Outgoing, PIPELINE_DEPTH};
use countermand::store::{Claim, Outcome, Settled, Store, Turn};
use countermand_core::id::OrderId;
use countermand_core::notice::Kind;
use countermand_core::notice::channel::Lane;
use jiff::Timestamp;

use super::reference::Model;
use super::relay::Says;
use super::rules::later;
use super::turns::{Checked, ensure};

/// As in `outbox::worker`.
const LEASE: i64 = 25;
const RENEW: i64 = 8;
const BURY: i64 = 3;

pub const FROM: &str = "IT Security <it-security@corp.test>";

/// A message in flight on disk.
#[derive(Clone, Debug)]
pub struct Flight {
    pub claim: Claim,
    /// The term of the lease under which it was handed to its session.
    term: u64,
    /// Written before the store had it in flight.
    drafts: Drafts,
    pub on_wire: bool,
}

/// What becomes of a message that is to go on the wire.
pub enum Boarded {
    Leaves(Outgoing),
    /// The lease is over, or the worker's view is behind.
    NotNow,
    Never(String),
}

impl Boarded {
    pub fn in_a_word(&self) -> &str {
        match self {
            Boarded::Leaves(_) => "leaves",
            Boarded::NotNow => "not now",
            Boarded::Never(why) => why,
        }
    }
}

/// How a turn goes.
#[derive(Clone, Copy, Debug)]
pub struct Turns {
    /// Says first that it lives. Otherwise it was frozen since it did.
    pub alive: bool,
    /// Looks first who is due.
    pub looks: bool,
    /// Never hears whether the turn was committed.
    pub lost: bool,
    /// Asks for claims though it knows of nothing to claim.
    pub asks: bool,
}

/// As it should be.
pub const WELL: Turns = Turns {
    alive: true,
    looks: true,
    lost: false,
    asks: false,
};

pub struct Worker {
    pub name: String,
    /// Whose view it has.
    pub node: usize,
    pub flights: Vec<Flight>,
    /// Orders whose notices may have to stop by themselves.
    pub suspects: BTreeSet<OrderId>,
    desk: Arc<Desk>,
    survey: Survey,
    claims: Vec<Claim>,
    settle: Vec<Settled>,
    perhaps_begun: Vec<Claim>,
    perhaps_claimed: bool,
    lease: Option<Timestamp>,
    term: u64,
    renewed: Option<Timestamp>,
    buried: Option<Timestamp>,
}

impl Worker {
    pub fn new(name: String, node: usize, app: &App) -> Worker {
        let office = Arc::new(app.clone());
        let desk = Desk::new(
            app.store.clone(),
            office,
            app.clock.clone(),
            FROM.to_owned(),
        );
        let desk = Arc::new(desk.unwrap());
        Worker {
            survey: Survey::new(desk.clone(), &name, Lane::People),
            desk,
            name,
            node,
            flights: Vec::new(),
            suspects: BTreeSet::new(),
            claims: Vec::new(),
            settle: Vec::new(),
            perhaps_begun: Vec::new(),
            perhaps_claimed: false,
            lease: None,
            term: 0,
            renewed: None,
            buried: None,
        }
    }

    /// A process that is frozen here wakes with an old lease.
    pub async fn stay_alive(
        &mut self,
        store: &Store,
        model: &mut Model,
        now: Timestamp,
    ) -> Checked {
        let is_over =
            |last: Option<Timestamp>, after| last.is_none_or(|last| later(last, after) <= now);
        if is_over(self.renewed, RENEW) {
            let until = later(now, LEASE);
            store.renew_worker(&self.name, until).await.unwrap();
            model.leases.insert(self.name.clone(), until);
            if self.lease.is_none_or(|lease| lease < now) {
                self.term += 1;
            }
            self.lease = Some(until);
            self.renewed = Some(now);
        }
        if is_over(self.buried, BURY) {
            let (unknown, expected) =
                (store.bury_workers(now).await.unwrap(), model.bury_dead(now));
            ensure!(
                unknown == expected,
                "inv_17: {unknown} notices of the dead are unknown, not {expected}"
            );
            self.buried = Some(now);
        }
        Ok(())
    }

    /// Asks anew who is due.
    pub async fn look(&mut self) {
        let mut held = self.claims.clone();
        held.extend(self.flights.iter().map(|flight| flight.claim));
        held.extend(self.settle.iter().map(|settled| settled.claim));
        self.survey.take(&held).await.unwrap();
    }

    fn nothing_flies(&self) -> bool {
        self.flights.is_empty() && self.settle.is_empty() && self.perhaps_begun.is_empty()
    }

    async fn give_back(&mut self, store: &Store, model: &mut Model, now: Timestamp) -> Checked {
        store.retire_worker(&self.name, now).await.unwrap();
        model.bury(&self.name, now);
        self.renewed = None;
        self.perhaps_claimed = false;
        for claim in std::mem::take(&mut self.claims) {
            self.survey.gave_back(&claim.key);
        }
        self.stay_alive(store, model, now).await
    }

    /// One turn.
    pub async fn turn(
        &mut self,
        store: &Store,
        model: &mut Model,
        now: Timestamp,
        how: Turns,
    ) -> Checked {
        if self.nothing_flies() && self.perhaps_claimed {
            self.give_back(store, model, now).await?;
        }
        let retry_at = store.next_retry(Lane::People, &[]).await.unwrap();
        let expected = model.next_retry();
        ensure!(
            retry_at == expected,
            "inv_19: the next retry is at {retry_at:?}, not {expected:?}"
        );
        let retry_due = retry_at.is_some_and(|at| at <= now);
        let (mut start, mut limit) = (Vec::new(), 0);
        if self.perhaps_begun.is_empty() {
            start = self.next_to_start();
            limit = self.room_for_claims(start.len());
        }
        let claim = self.survey.offer(limit);
        let asks = !claim.is_empty() || ((retry_due || how.asks) && limit > 0);
        let worth = self.claims.is_empty() || self.survey.wants_corrections();
        let mut settle = self.settle.clone();
        settle.extend(self.perhaps_begun.iter().map(|claim| Settled {
            claim: *claim,
            outcome: Outcome::Deferred { not_before: now },
            detail: "not sent: the database did not confirm".to_owned(),
        }));
        if settle.is_empty() && start.is_empty() && !(asks && worth) {
            return Ok(());
        }
        let limit = if asks { limit } else { 0 };
        let turn = Turn {
            settle,
            start,
            claim,
            limit,
            ..Turn::default()
        };
        let (term, mut ahead) = (self.term, Vec::new());
        for claim in &turn.start {
            ahead.push((*claim, self.desk.drafts(&[*claim]).await));
        }
        let turned = store.turn(&self.name, &turn, now).await.unwrap();
        model.turn(&self.name, &turn, &turned, now)?;
        if how.lost {
            self.perhaps_begun.extend(turn.start);
            self.perhaps_claimed |= limit > 0;
            return Ok(());
        }
        self.perhaps_begun.clear();
        let rejected = self.settle.iter().filter(|one| {
            one.outcome == Outcome::Rejected && one.claim.key.kind != Kind::Correction
        });
        self.suspects
            .extend(rejected.map(|one| one.claim.key.order));
        self.settle.clear();
        self.claims.retain(|claim| !turn.start.contains(claim));
        for claim in turn
            .start
            .iter()
            .filter(|claim| !turned.started.contains(claim))
        {
            self.survey.gave_back(&claim.key);
        }
        ahead.retain(|(claim, _)| turned.started.contains(claim));
        let flights = ahead.into_iter().map(|(claim, drafts)| Flight {
            claim,
            term,
            drafts,
            on_wire: false,
        });
        self.flights.extend(flights);
        self.survey.heard(&turn.claim, &turned, limit);
        self.claims.extend(turned.claimed);
        self.claims.sort_by_key(|claim| claim.key.kind);
        let held = self.flights.len();
        ensure!(
            held <= PIPELINE_DEPTH,
            "inv_19: {held} in flight on one session"
        );
        Ok(())
    }

    fn next_to_start(&self) -> Vec<Claim> {
        let is_correction = |claim: &Claim| claim.key.kind == Kind::Correction;
        let urgent = self.survey.wants_corrections() || self.claims.iter().any(is_correction);
        let may = self.claims.iter().filter(|claim| {
            !urgent || is_correction(claim) || self.survey.is_retracted(claim.key.order)
        });
        may.take(PIPELINE_DEPTH - self.flights.len())
            .copied()
            .collect()
    }

    fn room_for_claims(&self, starting: usize) -> usize {
        if self.perhaps_claimed {
            return 0;
        }
        let claimed = self.claims.len();
        let room = (2 * PIPELINE_DEPTH).saturating_sub(claimed + self.flights.len());
        if self.survey.wants_corrections() {
            room
        } else {
            room.min((PIPELINE_DEPTH + starting).saturating_sub(claimed))
        }
    }

    /// A flight's message goes on the wire, or the flight is over.
    pub async fn board(&mut self, at: usize, now: Timestamp) -> Boarded {
        let flight = &mut self.flights[at];
        let (claim, not_before) = (flight.claim, later(now, 3));
        let stands = flight.term == self.term && self.lease.is_some_and(|until| now < until);
        match self.desk.finished(&mut flight.drafts, &claim).await {
            Ok(mail) if stands => {
                self.flights[at].on_wire = true;
                Boarded::Leaves(mail)
            }
            Ok(_) | Err(NoMail::NotNow(_)) => {
                self.over(at, Outcome::Deferred { not_before });
                Boarded::NotNow
            }
            Err(NoMail::TooLate(why)) => {
                self.over(at, Outcome::TooLate);
                Boarded::Never(why.to_owned())
            }
            Err(NoMail::Never(why)) => {
                self.over(at, Outcome::Rejected);
                Boarded::Never(why)
            }
        }
    }

    /// What the worker hears of a message.
    pub fn hear(&mut self, at: usize, says: Says, now: Timestamp) {
        let not_before = later(now, 3);
        let outcome = match says {
            Says::Accepted => Outcome::Accepted,
            Says::AcceptedUnheard | Says::LostUnheard => Outcome::Unknown { not_before },
            Says::NotNow => Outcome::Deferred { not_before },
            Says::Never => Outcome::Rejected,
        };
        self.over(at, outcome);
    }

    fn over(&mut self, at: usize, outcome: Outcome) {
        let claim = self.flights.remove(at).claim;
        self.settle.push(Settled {
            claim,
            outcome,
            detail: "said".to_owned(),
        });
    }

    /// Ends in peace: whatever flew is settled, whatever it claims is anyone's.
    pub async fn retire(&mut self, store: &Store, model: &mut Model, now: Timestamp) {
        store.retire_worker(&self.name, now).await.unwrap();
        model.bury(&self.name, now);
    }

    pub fn may_retire(&self) -> bool {
        self.nothing_flies() && !self.perhaps_claimed
    }

    pub fn is_idle(&self) -> bool {
        self.nothing_flies()
            && self.claims.is_empty()
            && self.suspects.is_empty()
            && !self.perhaps_claimed
    }
}
