//! The connections of one sender: opened as there is work, left alone when the relay is away.

use std::collections::HashMap;
use std::sync::Arc;

use countermand_core::notice::Key;
use countermand_core::notice::channel::Lane;
use tokio::sync::oneshot;
use tokio::task::{Id, JoinError, JoinSet};

use super::compose::{Desk, Drafts, NoMail};
use super::lease::Held;
use super::transport::{self, PIPELINE_DEPTH, Session, Transport};
use super::{channels, pace};
use crate::failpoint::{self, Moment};
use crate::store::{Claim, Outcome, Settled};

#[derive(Debug)]
pub(super) struct Sessions {
    desk: Arc<Desk>,
    transport: Transport,
    slots: Vec<Slot>,
    /// Each works on one slot and brings its session back.
    tasks: JoinSet<Back>,
    at_work: HashMap<Id, (usize, Vec<Claim>)>,
    /// Why nothing goes out, in the relay's words or the system's.
    pub(super) trouble: Option<String>,
}

#[derive(Debug)]
struct Slot {
    state: State,
    /// How often in a row it was of no use.
    strikes: u32,
}

#[derive(Debug)]
enum State {
    Closed,
    Opening,
    Ready(Session),
    Busy,
    Closing,
}

/// Sessions that write mails while the store writes that these are in flight. Dropped, it sends none.
#[derive(Debug, Default)]
pub(super) struct Ahead(Vec<Waiting>);

#[derive(Debug)]
struct Waiting {
    task: Id,
    claims: Vec<Claim>,
    begun: oneshot::Sender<Vec<Claim>>,
}

/// What a task brings back.
#[derive(Debug)]
enum Back {
    Opened(Result<Session, String>),
    /// Nothing was begun.
    Unused(Session),
    Delivered(Delivered),
    Closed,
}

#[derive(Debug)]
struct Delivered {
    settled: Vec<Settled>,
    /// None when the connection is of no more use.
    session: Option<Session>,
    /// The relay decided about at least one message.
    was_heard: bool,
    trouble: Option<String>,
}

impl Sessions {
    pub(super) fn new(desk: Arc<Desk>, transport: Transport, count: usize) -> Self {
        let slot = || Slot {
            state: State::Closed,
            strikes: 0,
        };
        Sessions {
            desk,
            transport,
            slots: std::iter::repeat_with(slot).take(count.max(1)).collect(),
            tasks: JoinSet::new(),
            at_work: HashMap::new(),
            trouble: None,
        }
    }

    pub(super) fn depth(&self) -> usize {
        self.slots.len() * self.batch()
    }

    /// How many messages a session takes at once. What is slow at one channel must hold up no other.
    fn batch(&self) -> usize {
        match self.transport.lane() {
            Lane::People => PIPELINE_DEPTH,
            Lane::Channels => 1,
        }
    }

    fn count(&self, of: impl Fn(&State) -> bool) -> usize {
        self.slots.iter().filter(|slot| of(&slot.state)).count()
    }

    /// How many messages may be begun now.
    pub(super) fn room(&self) -> usize {
        self.count(|state| matches!(state, State::Ready(_))) * self.batch()
    }

    /// Whether the relay can be reached, as far as known.
    pub(super) fn is_open(&self) -> bool {
        self.count(|state| matches!(state, State::Ready(_) | State::Busy)) > 0
    }

    pub(super) fn is_busy(&self) -> bool {
        self.busy() > 0
    }

    /// How many have messages on the wire.
    pub(super) fn busy(&self) -> usize {
        self.count(|state| matches!(state, State::Busy))
    }

    pub(super) fn at_once(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn in_flight(&self) -> impl Iterator<Item = &Claim> {
        self.at_work.values().flat_map(|(_, claims)| claims)
    }

    /// Opens what that many messages need. While the relay is away, one asks for all.
    pub(super) fn open_for(&mut self, messages: usize) {
        let away = !self.is_open() && self.slots.iter().any(|slot| slot.strikes > 0);
        let busy = match self.transport.lane() {
            Lane::People => 0,
            // It may be so for long, and at another channel.
            Lane::Channels => self.count(|state| matches!(state, State::Busy)),
        };
        let needed = match messages.div_ceil(self.batch()) {
            0 => return,
            _ if away => 1,
            n => (n + busy).min(self.slots.len()),
        };
        let mut running = self.count(|state| !matches!(state, State::Closed));
        while running < needed {
            let closed = (0..self.slots.len())
                .filter(|at| matches!(self.slots[*at].state, State::Closed))
                // The one that knows how long it has been away, or else the one that had least trouble.
                .min_by_key(|at| {
                    let strikes = self.slots[*at].strikes;
                    if away { u32::MAX - strikes } else { strikes }
                });
            let Some(at) = closed else {
                return;
            };
            running += 1;
            let wait = pace::before_opening(self.slots[at].strikes);
            let transport = self.transport.clone();
            self.slots[at].state = State::Opening;
            self.run(at, Vec::new(), async move {
                tokio::time::sleep(wait).await;
                let opened = Session::open(&transport).await;
                Back::Opened(opened.map_err(|error| error.to_string()))
            });
        }
    }

    fn run(
        &mut self,
        at: usize,
        claims: Vec<Claim>,
        task: impl Future<Output = Back> + Send + 'static,
    ) -> Id {
        let id = self.tasks.spawn(task).id();
        self.at_work.insert(id, (at, claims));
        id
    }

    /// Hands out what is to be begun; no more than there is room for. Its mails are written at once, and not a byte of
    /// them leaves before the store has it in flight.
    pub(super) fn write_ahead(&mut self, start: &[Claim]) -> Ahead {
        let mut ahead = Ahead::default();
        let ready = self.count(|state| matches!(state, State::Ready(_)));
        if start.is_empty() || ready == 0 {
            return ahead;
        }
        let mut batches = start.chunks(start.len().div_ceil(ready).min(self.batch()));
        for at in 0..self.slots.len() {
            let state = &mut self.slots[at].state;
            if !matches!(state, State::Ready(_)) {
                continue;
            }
            let Some(batch) = batches.next() else {
                break;
            };
            if let State::Ready(session) = std::mem::replace(state, State::Busy) {
                let (desk, claims) = (Arc::clone(&self.desk), batch.to_vec());
                let (begun, heard) = oneshot::channel();
                let wanted = claims.clone();
                // From now on: it may take long to write a mail, and to hear that it is begun.
                let held = desk.lease.hold();
                let task = self.run(at, Vec::new(), async move {
                    let drafts = match session.channels() {
                        None => desk.drafts(&wanted).await,
                        Some(_) => Drafts::default(),
                    };
                    match heard.await {
                        Ok(begun) => {
                            Back::Delivered(deliver(&desk, session, begun, (drafts, held)).await)
                        }
                        Err(_) => Back::Unused(session),
                    }
                });
                ahead.0.push(Waiting {
                    task,
                    claims,
                    begun,
                });
            }
        }
        ahead
    }

    /// Sends those of them that are in flight on disk.
    pub(super) fn send(&mut self, ahead: Ahead, started: &[Claim]) {
        for Waiting {
            task,
            mut claims,
            begun,
        } in ahead.0
        {
            claims.retain(|claim| started.contains(claim));
            if let Some((_, at_work)) = self.at_work.get_mut(&task)
                && !claims.is_empty()
            {
                at_work.clone_from(&claims);
                // If the task failed over a draft, that comes to light when its end is heard of.
                let _ = begun.send(claims);
            }
        }
    }

    /// Closes what is open and has nothing to do.
    pub(super) fn rest(&mut self) {
        for at in 0..self.slots.len() {
            let state = &mut self.slots[at].state;
            if matches!(state, State::Ready(_))
                && let State::Ready(session) = std::mem::replace(state, State::Closing)
            {
                self.run(at, Vec::new(), async move {
                    session.close().await;
                    Back::Closed
                });
            }
        }
    }

    /// Takes leave of the relay. Nothing is in flight.
    pub(super) async fn close(&mut self) {
        self.rest();
        while self.count(|state| matches!(state, State::Closing)) > 0 {
            self.next().await;
        }
    }

    /// Waits for the next task that ends, and gives what is to be settled. Waits for ever if there is none.
    pub(super) async fn next(&mut self) -> Vec<Settled> {
        match self.tasks.join_next_with_id().await {
            Some(ended) => self.ended(ended),
            None => std::future::pending().await,
        }
    }

    fn ended(&mut self, ended: Result<(Id, Back), JoinError>) -> Vec<Settled> {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let Some((at, claims)) = self.at_work.remove(&id) else {
            return Vec::new();
        };
        let slot = &mut self.slots[at];
        slot.state = State::Closed;
        let back = match ended {
            Ok((_, back)) => back,
            Err(error) => {
                // Nobody can say how far it came.
                slot.strikes = slot.strikes.saturating_add(1);
                let detail = format!("the sender failed at its work: {error}");
                tracing::error!("{detail}");
                let unknown = |claim| {
                    settled(
                        &self.desk,
                        claim,
                        transport::Outcome::Unknown {
                            detail: detail.clone(),
                        },
                    )
                };
                return claims.into_iter().map(unknown).collect();
            }
        };
        match back {
            Back::Closed => Vec::new(),
            Back::Opened(Ok(session)) | Back::Unused(session) => {
                slot.state = State::Ready(session);
                Vec::new()
            }
            Back::Opened(Err(why)) => {
                slot.strikes = slot.strikes.saturating_add(1);
                tracing::warn!(strikes = slot.strikes, "no session with the relay: {why}");
                self.trouble = Some(why);
                Vec::new()
            }
            Back::Delivered(done) => {
                slot.strikes = if done.was_heard {
                    0
                } else {
                    slot.strikes
                        .saturating_add(u32::from(done.session.is_none()))
                };
                if let Some(session) = done.session {
                    slot.state = State::Ready(session);
                }
                if done.was_heard || done.trouble.is_some() {
                    self.trouble = done.trouble;
                }
                done.settled
            }
        }
    }
}

async fn deliver(
    desk: &Desk,
    mut session: Session,
    claims: Vec<Claim>,
    (mut drafts, held): (Drafts, Held),
) -> Delivered {
    if let Some(channels) = session.channels() {
        let settled = channels::deliver(desk, &channels, claims, &held).await;
        let failed = settled.iter().find(|s| !is_answer(&s.outcome));
        return Delivered {
            trouble: failed.map(|s| s.detail.clone()),
            settled,
            session: Some(session),
            was_heard: true,
        };
    }
    let mut all = Vec::with_capacity(claims.len());
    let (mut batch, mut offered) = (Vec::new(), Vec::new());
    for claim in claims {
        match desk.finished(&mut drafts, &claim).await {
            Ok(mail) => {
                batch.push(mail);
                offered.push(claim);
            }
            Err(NoMail::Never(detail)) => all.push(Settled {
                claim,
                outcome: Outcome::Rejected,
                detail: format!("no mail could be written: {detail}"),
            }),
            Err(NoMail::TooLate(why)) => all.push(Settled {
                claim,
                outcome: Outcome::TooLate,
                detail: format!("not sent: {why}"),
            }),
            Err(NoMail::NotNow(detail)) => {
                let code = None;
                all.push(settled(
                    desk,
                    claim,
                    transport::Outcome::Deferred { code, detail },
                ));
            }
        }
    }
    let (mut was_heard, mut trouble) = (false, None);
    if !batch.is_empty() {
        let outcomes = session.deliver_while(&batch, &held).await;
        for (claim, outcome) in offered.into_iter().zip(outcomes) {
            match &outcome {
                transport::Outcome::Unknown { detail }
                | transport::Outcome::Deferred {
                    code: None | Some(421),
                    detail,
                } => trouble = Some(detail.clone()),
                _ => was_heard = true,
            }
            all.push(settled(desk, claim, outcome));
        }
    }
    failpoint::pass(Moment::BatchDelivered);
    Delivered {
        settled: all,
        session: trouble.is_none().then_some(session),
        was_heard,
        trouble,
    }
}

/// Whether it is decided.
fn is_answer(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Accepted | Outcome::Rejected | Outcome::TooLate
    )
}

/// In the store's terms, with the time of the next attempt.
fn settled(desk: &Desk, claim: Claim, outcome: transport::Outcome) -> Settled {
    let again = |key: &Key| pace::not_before(key, claim.attempt, desk.clock.now());
    let not_before = again(&claim.key);
    let (outcome, detail) = match outcome {
        transport::Outcome::Accepted { detail } => (Outcome::Accepted, detail),
        transport::Outcome::Rejected { detail, .. } => (Outcome::Rejected, detail),
        transport::Outcome::Deferred { detail, .. } => (Outcome::Deferred { not_before }, detail),
        transport::Outcome::Unknown { detail } => (Outcome::Unknown { not_before }, detail),
    };
    Settled {
        claim,
        outcome,
        detail,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
