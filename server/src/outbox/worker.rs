//! The sender: claims what is due, puts it in flight on disk, sends it, and writes down what became
//! of it.
//!
//! One coordinator owns all writing to the store, so that what several sessions finished and what they
//! go on with is one turn: one commit, one sync of the disk. The sessions only carry mails. Whatever
//! is lost with the process is on disk already: `in flight` before the first byte (invariant 16).

use std::collections::BTreeSet;
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use countermand_core::id::OrderId;
use countermand_core::notice::Kind;
use countermand_core::notice::channel::Lane;

use super::compose::Desk;
use super::limits::LimitsConfig;
use super::message::MessageError;
use super::office::Office;
use super::sessions::Sessions;
use super::survey::Survey;
use super::throttle::Throttle;
use super::transport::Transport;
use crate::clock::Clock;
use crate::store::{Claim, Outcome, Settled, Store, StoreError, Turn};

/// A dead worker's lease ends within 30 s: this long after it was last renewed, and then found.
const LEASE: SignedDuration = SignedDuration::from_secs(25);
const RENEW: SignedDuration = SignedDuration::from_secs(8);
const BURY: SignedDuration = SignedDuration::from_secs(3);

/// The clock may jump and other processes commit: nobody tells, so we look.
const TICK: Duration = Duration::from_millis(100);
const BETWEEN_RETRY_LOOKS: Duration = Duration::from_millis(250);
/// How long a finished batch waits at most for others to share its commit.
const LINGER: Duration = Duration::from_millis(2);
const LONGEST_AFTER_FAILURE: Duration = Duration::from_secs(2);
/// A sender that is told to end gives up on a database that fails this often in a row.
const LAST_TRIES: u32 = 10;

/// What a sender is made of.
pub struct Setup {
    pub store: Arc<Store>,
    pub office: Arc<dyn Office>,
    pub clock: Arc<dyn Clock>,
    pub transport: Transport,
    /// The mailbox that notices come from: `IT Security <it-security@example.test>`.
    pub from: String,
    /// Connections at once.
    pub sessions: usize,
    /// Unlike that of any other sender, now or before.
    pub name: String,
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// How far a sender has come, since it began.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Progress {
    pub accepted: u64,
    pub rejected: u64,
    /// Attempts that will be repeated.
    pub deferred: u64,
    pub unknown: u64,
    /// Never sent, since they outlived what they were about.
    pub too_late: u64,
    /// Now: on the wire, claimed by this sender, and people yet to be claimed for.
    pub in_flight: usize,
    pub claimed: usize,
    pub planned: usize,
    /// Why nothing goes out.
    pub trouble: Option<String>,
}

impl Progress {
    /// Both together.
    pub fn and(&self, other: &Progress) -> Progress {
        Progress {
            accepted: self.accepted + other.accepted,
            rejected: self.rejected + other.rejected,
            deferred: self.deferred + other.deferred,
            unknown: self.unknown + other.unknown,
            too_late: self.too_late + other.too_late,
            in_flight: self.in_flight + other.in_flight,
            claimed: self.claimed + other.claimed,
            planned: self.planned + other.planned,
            trouble: self.trouble.clone().or_else(|| other.trouble.clone()),
        }
    }
}

/// Sends notices until it is told to stop, or nothing is left to send.
#[derive(Debug)]
pub struct Sender {
    desk: Arc<Desk>,
    name: String,
    /// Whose notices it sends.
    lane: Lane,
    sessions: Sessions,
    survey: Survey,
    throttle: Option<Throttle>,
    /// Claimed and not begun.
    claims: Vec<Claim>,
    /// What became of messages, to be written down.
    settle: Vec<Settled>,
    /// After a failed commit: what it may have put in flight, and whether it may have given claims
    /// that we don't know of.
    perhaps_begun: Vec<Claim>,
    perhaps_claimed: bool,
    renewed: Option<Timestamp>,
    buried: Option<Timestamp>,
    retry_at: Option<Timestamp>,
    retry_looked: Option<Instant>,
    /// Orders whose notices may have to stop by themselves.
    suspects: BTreeSet<OrderId>,
    /// The store's last step failed.
    failed: Option<String>,
    progress: watch::Sender<Progress>,
}

/// Unlike the timer's, its zero is nothing.
async fn pause(wait: Duration) {
    if !wait.is_zero() {
        sleep(wait).await;
    }
}

/// How a step ended.
#[derive(PartialEq, Eq)]
enum Step {
    /// There is more to do at once.
    Again,
    Waiting,
    /// Nothing is under way, and nothing that is due is left.
    Idle,
}

impl Sender {
    /// `Err` if `from` is no mailbox.
    pub fn new(setup: Setup) -> Result<Sender, MessageError> {
        let desk = Desk::new(setup.store, setup.office, setup.clock, setup.from)?;
        let desk = Arc::new(desk);
        let lane = setup.transport.lane();
        Ok(Sender {
            lane,
            sessions: Sessions::new(Arc::clone(&desk), setup.transport, setup.sessions),
            survey: Survey::new(Arc::clone(&desk), &setup.name, lane),
            throttle: None,
            desk,
            name: setup.name,
            claims: Vec::new(),
            settle: Vec::new(),
            perhaps_begun: Vec::new(),
            perhaps_claimed: false,
            renewed: None,
            buried: None,
            retry_at: None,
            retry_looked: None,
            suspects: BTreeSet::new(),
            failed: None,
            progress: watch::Sender::new(Progress::default()),
        })
    }

    /// Sends no faster than that; corrections wait for no limit.
    pub fn limited(mut self, limits: &LimitsConfig) -> Sender {
        self.throttle = Throttle::new(Arc::clone(&self.desk), limits);
        self
    }

    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Sends whatever becomes due, until `until` ends. What is on the wire then is finished first.
    pub async fn run(mut self, until: impl Future<Output = ()>) -> Result<Progress, StoreError> {
        self.work(pin!(until), false).await
    }

    /// The same, and ends by itself when no receipt is claimed, in flight or waiting for a retry, and
    /// none planned is due. It waits for no reminder and no hold.
    pub async fn run_until_idle(
        mut self,
        until: impl Future<Output = ()>,
    ) -> Result<Progress, StoreError> {
        self.work(pin!(until), true).await
    }

    async fn work(
        &mut self,
        mut until: Pin<&mut impl Future<Output = ()>>,
        ends_idle: bool,
    ) -> Result<Progress, StoreError> {
        let mut stopping = false;
        let mut failures = 0;
        loop {
            let mut wait = TICK;
            match self.step(stopping, ends_idle).await {
                Ok(step) => {
                    failures = 0;
                    self.failed = None;
                    if (stopping && self.nothing_flies()) || (ends_idle && step == Step::Idle) {
                        break;
                    }
                    if step == Step::Again {
                        wait = Duration::ZERO;
                    }
                }
                Err(error) => {
                    failures += 1;
                    tracing::warn!(failures, "the sender waits for the database: {error}");
                    self.failed = Some(error.to_string());
                    if stopping && failures >= LAST_TRIES {
                        return Err(error);
                    }
                    wait = TICK
                        .saturating_mul(1 << failures.min(6))
                        .min(LONGEST_AFTER_FAILURE);
                    self.publish();
                    // Not sooner because a session came back.
                    sleep(wait).await;
                    wait = Duration::ZERO;
                }
            }
            self.publish();
            tokio::select! {
                biased;
                () = &mut until, if !stopping => stopping = true,
                settled = self.sessions.next() => {
                    self.settle.extend(settled);
                    self.gather().await;
                }
                () = pause(wait) => {}
            }
        }
        self.sessions.close().await;
        self.retire().await;
        self.claims.clear();
        self.publish();
        Ok(self.progress.borrow().clone())
    }

    /// Whatever is claimed and not begun is anyone's at once. If the database won't hear it, then when
    /// the lease ends.
    async fn retire(&self) {
        for _ in 0..LAST_TRIES {
            let now = self.desk.clock.now();
            match self.desk.store.retire_worker(&self.name, now).await {
                Ok(()) => return,
                Err(error) => tracing::warn!("the sender could not take its leave: {error}"),
            }
            sleep(TICK).await;
        }
    }

    /// One finished; others that finish soon share its commit. Half of them are enough to go on with:
    /// while their commit is synced, the other half sends.
    async fn gather(&mut self) {
        let end = Instant::now() + LINGER;
        while self.sessions.is_busy() {
            let enough = 2 * self.sessions.busy() <= self.sessions.at_once();
            let until = if enough { Instant::now() } else { end };
            match timeout_at(until, self.sessions.next()).await {
                Ok(settled) => self.settle.extend(settled),
                Err(_) => return,
            }
        }
    }

    async fn step(&mut self, stopping: bool, ends_idle: bool) -> Result<Step, StoreError> {
        self.stay_alive().await?;
        let surveys = !stopping && self.survey.is_due();
        if surveys {
            // What another sender wrote down, or one that ended before it could ask.
            let now = self.desk.clock.now();
            self.suspects.extend(self.desk.office.standing(now));
        }
        while let Some(order) = self.suspects.first().copied() {
            self.desk.office.stop_if_needed(order).await?;
            self.suspects.remove(&order);
        }
        if surveys {
            let mut held = self.claims.clone();
            held.extend(self.sessions.in_flight());
            held.extend(self.settle.iter().map(|settled| settled.claim));
            self.survey.take(&held).await?;
        }
        let retry_due = !stopping && self.retry_is_due().await?;
        if !stopping {
            let work = self.claims.len() + self.survey.planned() + usize::from(retry_due);
            self.sessions.open_for(work);
        }
        if self.nothing_flies() && (self.perhaps_claimed || !self.sessions.is_open()) {
            self.give_back().await?;
        }
        if self.turn(stopping, retry_due).await? {
            return Ok(Step::Again);
        }
        let at_rest = self.nothing_flies() && self.claims.is_empty() && self.survey.is_quiet();
        if !at_rest || retry_due || stopping {
            return Ok(Step::Waiting);
        }
        self.sessions.rest();
        if ends_idle
            && (self.survey.finds_late_refusals().await?
                || self.desk.store.unsettled(self.survey.lacks()).await? > 0)
        {
            return Ok(Step::Waiting);
        }
        Ok(Step::Idle)
    }

    async fn stay_alive(&mut self) -> Result<(), StoreError> {
        let now = self.desk.clock.now();
        let is_over = |last: Option<Timestamp>, after: SignedDuration| {
            last.is_none_or(|last| now.duration_since(last).abs() >= after)
        };
        // First, so that we never bury ourselves.
        if is_over(self.renewed, RENEW) {
            let until = now.checked_add(LEASE).unwrap_or(Timestamp::MAX);
            let asked = std::time::Instant::now();
            self.desk.store.renew_worker(&self.name, until).await?;
            self.desk.lease.renew(asked, LEASE.unsigned_abs());
            self.renewed = Some(now);
        }
        if is_over(self.buried, BURY) {
            let unknown = self.desk.store.bury_workers(now).await?;
            if unknown > 0 {
                tracing::warn!(unknown, "another sender ended while notices were in flight");
            }
            self.buried = Some(now);
        }
        Ok(())
    }

    /// While there are other things to claim, retries come along with them.
    async fn retry_is_due(&mut self) -> Result<bool, StoreError> {
        let looked = self.retry_looked;
        if looked.is_none_or(|at| at.elapsed() >= BETWEEN_RETRY_LOOKS) {
            let lacks = self.survey.lacks();
            self.retry_at = self.desk.store.next_retry(self.lane, lacks).await?;
            self.retry_looked = Some(Instant::now());
        }
        let now = self.desk.clock.now();
        Ok(self.retry_at.is_some_and(|at| at <= now))
    }

    /// Gives all claims back, those that we don't know of too. Nothing of ours is in flight.
    async fn give_back(&mut self) -> Result<(), StoreError> {
        if self.claims.is_empty() && !self.perhaps_claimed {
            return Ok(());
        }
        self.desk
            .store
            .retire_worker(&self.name, self.desk.clock.now())
            .await?;
        self.renewed = None;
        self.perhaps_claimed = false;
        for claim in std::mem::take(&mut self.claims) {
            self.survey.gave_back(&claim.key);
        }
        self.stay_alive().await
    }

    /// Whether the store knows of every message what became of it.
    fn nothing_flies(&self) -> bool {
        !self.sessions.is_busy() && self.settle.is_empty() && self.perhaps_begun.is_empty()
    }

    /// Settles, begins and claims what it can, in one commit. False if there was nothing to do.
    async fn turn(&mut self, stopping: bool, retry_due: bool) -> Result<bool, StoreError> {
        let now = self.desk.clock.now();
        // After a failed commit, first what is in doubt.
        let only_settles = stopping || !self.perhaps_begun.is_empty();
        let (mut start, mut limit, mut limited) = (Vec::new(), 0, false);
        if !only_settles {
            (start, limited) = self.next_to_start();
            limit = self.room_for_claims(start.len(), retry_due);
        }
        let plan = self.throttle.as_mut().map(|t| t.plan(&self.claims));
        let claim = self.survey.offer_by(limit, plan);
        let asks = !claim.is_empty() || (retry_due && limit > 0);
        // Claims alone are worth a commit only when none are left to go on with.
        let worth = limited || self.claims.is_empty() || self.survey.wants_corrections();
        let mut settle = self.settle.clone();
        settle.extend(self.perhaps_begun.iter().map(|claim| Settled {
            claim: *claim,
            outcome: Outcome::Deferred { not_before: now },
            detail: "not sent: the database did not confirm".to_owned(),
        }));
        if settle.is_empty() && start.is_empty() && !(asks && worth) {
            return Ok(false);
        }
        let limit = if asks { limit } else { 0 };
        let turn = Turn {
            settle,
            start,
            claim,
            limit,
            lane: self.lane,
            lacks: self.survey.lacks().to_vec(),
            no_retries: !retry_due,
        };
        let ahead = self.sessions.write_ahead(&turn.start);
        let turned = match self.desk.store.turn(&self.name, &turn, now).await {
            Ok(turned) => turned,
            Err(error) => {
                // Perhaps it was committed all the same. What it may have begun is not sent, so the
                // next turn defers it (and begins nothing); what it may have claimed is given back.
                self.perhaps_begun.extend(turn.start);
                self.perhaps_claimed |= limit > 0;
                return Err(error);
            }
        };
        self.perhaps_begun.clear();
        let settled = std::mem::take(&mut self.settle);
        self.count(&settled);
        let rejected = settled.iter().filter(|one| {
            one.outcome == Outcome::Rejected && one.claim.key.kind != Kind::Correction
        });
        self.suspects
            .extend(rejected.map(|one| one.claim.key.order));
        self.claims.retain(|claim| !turn.start.contains(claim));
        let refused = turn
            .start
            .iter()
            .filter(|claim| !turned.started.contains(claim));
        refused.for_each(|claim| self.survey.gave_back(&claim.key));
        self.sessions.send(ahead, &turned.started);
        if let Some(throttle) = &mut self.throttle {
            throttle.begun(&turned.started);
        }
        self.survey.heard(&turn.claim, &turned, limit);
        if asks && turned.claimed.len() < limit {
            // Every retry that was due is claimed.
            self.retry_at = None;
        }
        self.claims.extend(turned.claimed);
        // Stable: within a kind they keep the order in which they were claimed.
        self.claims.sort_by_key(|claim| claim.key.kind);
        Ok(true)
    }

    /// While corrections wait, nothing else is begun (invariant 28). And whether a limit keeps
    /// others.
    fn next_to_start(&mut self) -> (Vec<Claim>, bool) {
        let is_correction = |claim: &&Claim| claim.key.kind == Kind::Correction;
        let urgent =
            self.survey.wants_corrections() || self.claims.iter().any(|c| is_correction(&c));
        // A cancelled claim is begun only to hear the store's no, and makes room.
        let may = self.claims.iter().filter(|claim| {
            !urgent || is_correction(claim) || self.survey.is_retracted(claim.key.order)
        });
        let room = self.sessions.room();
        let Some(throttle) = &mut self.throttle else {
            return (may.take(room).copied().collect(), false);
        };
        let all: Vec<Claim> = may.copied().collect();
        let wanted = all.len();
        // What was tried before has waited, and what is cancelled will not leave.
        let free = |claim: &Claim| {
            is_correction(&claim) || claim.attempt > 0 || self.survey.is_retracted(claim.key.order)
        };
        let mut start = throttle.admit(all, free);
        let limited = start.len() < wanted;
        start.truncate(room);
        (start, limited)
    }

    /// A worker holds at most twice what can be in flight: one half flies, the other is ready.
    fn room_for_claims(&self, starting: usize, retry_due: bool) -> usize {
        if self.perhaps_claimed || !self.sessions.is_open() {
            return 0;
        }
        let (depth, claimed) = (self.sessions.depth(), self.claims.len());
        let held = claimed + self.sessions.in_flight().count();
        let room = (2 * depth).saturating_sub(held);
        if self.survey.wants_corrections() {
            return room;
        }
        // One large claim costs less than two small ones: as long as what is left is enough to go on with,
        // and goes on. A retry, which may be a correction's, waits for none of them.
        let left = claimed.saturating_sub(starting);
        match starting > 0 && 2 * left >= depth && !retry_due {
            true => 0,
            false => room.min(depth.saturating_sub(left)),
        }
    }

    fn count(&self, settled: &[Settled]) {
        self.progress.send_if_modified(|progress| {
            for one in settled {
                *match one.outcome {
                    Outcome::Accepted => &mut progress.accepted,
                    Outcome::Rejected => &mut progress.rejected,
                    Outcome::Deferred { .. } => &mut progress.deferred,
                    Outcome::Unknown { .. } => &mut progress.unknown,
                    Outcome::TooLate => &mut progress.too_late,
                } += 1;
            }
            false
        });
    }

    fn publish(&self) {
        let (in_flight, claimed) = (self.sessions.in_flight().count(), self.claims.len());
        let planned = self.survey.planned();
        self.progress.send_modify(|progress| {
            progress.in_flight = in_flight;
            progress.claimed = claimed;
            progress.planned = planned;
            progress.trouble = self.failed.clone().or(self.sessions.trouble.clone());
        });
    }
}
