//! When a verdict turns to deny, the session that was let in before is ended, and its app hears why when it
//! comes back.
//!
//! A verdict turns by a commit or by time alone. So all who are connected are judged once for each version of
//! the view, and each again when its own time has come: which is asked of the verdict itself, since a
//! verdict is a function of facts and time. Nothing else costs a verdict.

use std::sync::Arc;
use std::time::Duration;

use countermand_core::change::Kick;
use countermand_core::fleet::{DeviceKey, KeyKind};
use countermand_core::id::OrderId;
use countermand_core::verdict::{Channel, Decision};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::Gate;
use super::ask::{Asked, Outcome};
use super::doveadm::{COMMAND, Doveadm, DoveadmError};
use super::sessions::{Came, Peer, Standing};
use super::wire::doveadm::Answer;

/// How often it is looked whether somebody's time has come.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// After a look that took long, as many times longer, and at most so long: commits can come without end.
const REST: u32 = 3;
const LONGEST_REST: Duration = Duration::from_secs(2);
/// After the mail server could not be told: from the first pause to the longest.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Ended in one go, so that a deadline for all does not bring all back in the same moment.
const AT_ONCE: usize = 200;
/// How far ahead a verdict is asked for. Who would be refused for less than that, and let in again, may
/// stay.
const AHEAD: SignedDuration = SignedDuration::from_secs(60);
/// To this the moment is found out at which a verdict turns.
const EXACTLY: SignedDuration = SignedDuration::from_millis(50);
/// How often the mail server is asked who is connected, for a session that neither we nor a failure told of.
const WHO_EVERY: SignedDuration = SignedDuration::from_mins(5);
/// The same once sessions were ended.
const AFTER_KICK: SignedDuration = SignedDuration::from_secs(2);
/// The same after it did not answer that: from the first pause to the longest.
const WHO_AGAIN: SignedDuration = SignedDuration::from_secs(1);

impl Gate {
    /// Ends sessions whose verdict has turned to deny, for ever. Without a mail server that can be told,
    /// there is nothing to do.
    pub async fn keep_kicking(self: Arc<Self>) {
        let Some(mut kicker) = Kicker::of(self) else {
            return;
        };
        loop {
            let rest = kicker.round().await;
            tokio::time::sleep(rest).await;
        }
    }

    fn refuses(&self, asked: &Asked, at: Timestamp, age: Duration) -> Option<Vec<OrderId>> {
        self.metrics.sessions_judged.inc();
        match self.judge(asked, at, age) {
            Outcome::Answer(answer) if answer.decision == Decision::Deny => {
                let because = answer.verdict.because.iter();
                Some(because.map(|reason| reason.order).collect())
            }
            _ => None,
        }
    }

    fn turns(&self, standing: &Standing, now: Timestamp, age: Duration) -> Turns {
        let mut next = now + AHEAD;
        for login in &standing.logins {
            let may_have_asked = match &login.came {
                Came::Asked(asked) => vec![asked.clone()],
                Came::Unseen(channel) => self.could_have_asked(&standing.peer.user, *channel),
            };
            for asked in may_have_asked {
                match self.asked_turns(&asked, now, age) {
                    Turns::Now(orders) => return Turns::Now(orders),
                    Turns::NotBefore(at) => next = next.min(at),
                }
            }
        }
        Turns::NotBefore(next)
    }

    fn asked_turns(&self, asked: &Asked, now: Timestamp, age: Duration) -> Turns {
        if let Some(orders) = self.refuses(asked, now, age) {
            return Turns::Now(orders);
        }
        let (mut before, mut after) = (now, now + AHEAD);
        if self.refuses(asked, after, age).is_some() {
            while after.duration_since(before) > EXACTLY {
                let middle = before + after.duration_since(before) / 2;
                match self.refuses(asked, middle, age) {
                    Some(_) => after = middle,
                    None => before = middle,
                }
            }
        }
        Turns::NotBefore(after)
    }

    /// What a session may have come with that nobody saw: nothing, or a key that its person is known to have.
    fn could_have_asked(&self, user: &str, channel: Channel) -> Vec<Asked> {
        let ask = |key: Option<DeviceKey>| {
            let mut asked = Asked::of(Some(user.to_owned()), &[], channel, true);
            asked.question.keys = key.into_iter().collect();
            asked
        };
        let keys = {
            let view = self.live.view();
            let person = view.person_called(user);
            person.map(|person| view.keys_of(person.id))
        };
        let shown = |key: &DeviceKey| {
            let kind = key.kind();
            matches!(kind, KeyKind::Cred | KeyKind::Oauth | KeyKind::Cert)
        };
        let keys = keys.into_iter().flatten().filter(shown).map(Some);
        std::iter::once(None).chain(keys).map(ask).collect()
    }
}

/// When a session is to be ended.
enum Turns {
    /// Because of these orders.
    Now(Vec<OrderId>),
    NotBefore(Timestamp),
}

/// What is to be known from one look to the next.
#[derive(Debug)]
pub struct Kicker {
    gate: Arc<Gate>,
    /// The version for which all have been judged.
    judged: Option<i64>,
    /// Of the last look.
    last: Timestamp,
    /// When the mail server is to be asked who is connected.
    who_at: Timestamp,
    /// Whether anybody could have come in unseen since it was asked.
    unseen: bool,
    who_failed: u32,
    /// How often in a row it could not be told.
    failed: u32,
}

impl Kicker {
    /// `None` where there is no mail server that can be told.
    pub fn of(gate: Arc<Gate>) -> Option<Kicker> {
        gate.doveadm.is_some().then(|| Kicker {
            gate,
            judged: None,
            last: Timestamp::MIN,
            who_at: Timestamp::MIN,
            // Whoever came before we were there.
            unseen: true,
            who_failed: 0,
            failed: 0,
        })
    }

    /// One look; how long to rest after it.
    pub async fn round(&mut self) -> Duration {
        let began = Instant::now();
        let gate = self.gate.clone();
        let Some(doveadm) = &gate.doveadm else {
            return LONGEST_PAUSE;
        };
        match self.look(doveadm).await {
            Ok(()) => {
                self.failed = 0;
                (began.elapsed() * REST).clamp(LOOK_EVERY, LONGEST_REST)
            }
            Err(error) => {
                let pause = PAUSE.saturating_mul(1 << self.failed.min(10));
                let pause = pause.min(LONGEST_PAUSE);
                self.failed = self.failed.saturating_add(1);
                gate.metrics.kick_failed(error.why(), 1);
                tracing::warn!(%error, ?pause, "sessions could not be ended; they are tried again");
                self.lost(&error);
                pause
            }
        }
    }

    /// Where it did not answer, it may have begun anew, with logins that we know nothing of.
    fn lost(&mut self, error: &DoveadmError) {
        self.who_at = Timestamp::MIN;
        self.unseen |= matches!(error, DoveadmError::Lost(_));
    }

    async fn look(&mut self, doveadm: &Doveadm) -> Result<(), DoveadmError> {
        let gate = self.gate.clone();
        let now = gate.clock.now();
        let age = gate.live.age(now);
        let refuses_anyone = || gate.live.view().refuses_anyone(now);
        if gate.is_too_old(now, age) || !refuses_anyone() {
            self.judged = None;
            return Ok(());
        }
        self.ask_who(doveadm, now).await;
        let version = gate.live.version();
        if self.judged != Some(version) || now < self.last {
            let mut after = None;
            loop {
                let page = gate.sessions.page(after.as_ref(), now);
                let Some(last) = page.last() else {
                    break;
                };
                after = Some(last.peer.clone());
                self.judge(doveadm, page, now, age).await?;
            }
            self.judged = Some(version);
        }
        self.last = now;
        loop {
            let page = gate.sessions.due(now);
            if page.is_empty() {
                return Ok(());
            }
            self.judge(doveadm, page, now, age).await?;
        }
    }

    /// Asks who is connected, where somebody may be that we did not see. That it can't be answered keeps no
    /// session from ending that is known.
    async fn ask_who(&mut self, doveadm: &Doveadm, now: Timestamp) {
        let gate = &self.gate;
        self.unseen |= gate.sessions.take_unseen();
        let due = self.unseen && self.who_failed == 0;
        if !due && self.who_at <= now + WHO_EVERY && now < self.who_at {
            return;
        }
        match doveadm.who().await {
            Ok(mut connections) => {
                connections.retain(|one| !gate.is_own_server(one.remote));
                gate.sessions.found(connections, self.unseen, now);
                self.unseen = false;
                self.who_failed = 0;
                self.who_at = now + WHO_EVERY;
            }
            Err(error) => {
                let pause = WHO_AGAIN.saturating_mul(1 << self.who_failed.min(10));
                self.who_failed = self.who_failed.saturating_add(1);
                self.who_at = now + pause.min(WHO_EVERY);
                gate.metrics.kick_failed("who", 1);
                tracing::warn!(%error, "the mail server does not tell who is connected; it is asked again");
                self.unseen |= matches!(error, DoveadmError::Lost(_));
            }
        }
    }

    /// Ends what has turned, and says of the others when to look again.
    async fn judge(
        &mut self,
        doveadm: &Doveadm,
        page: Vec<Standing>,
        now: Timestamp,
        age: Duration,
    ) -> Result<(), DoveadmError> {
        let (mut turned, mut staying) = (Vec::new(), Vec::new());
        for standing in page {
            match self.gate.turns(&standing, now, age) {
                Turns::Now(orders) => turned.push((standing, orders)),
                Turns::NotBefore(at) => staying.push((standing, at)),
            }
        }
        self.gate.sessions.judge_again(&staying);
        for (part, chunk) in turned.chunks(AT_ONCE).enumerate() {
            if part == 0 {
                self.end(doveadm, chunk, now).await?;
                continue;
            }
            // The part before may have taken seconds, in which an order can be taken back.
            let (gate, then) = (&self.gate, self.gate.clock.now());
            let age = gate.live.age(then);
            let still = |(standing, _): &&(Standing, _)| {
                matches!(gate.turns(standing, then, age), Turns::Now(_))
            };
            let chunk: Vec<_> = chunk.iter().filter(still).cloned().collect();
            self.end(doveadm, &chunk, now).await?;
        }
        // A page is some milliseconds of work.
        tokio::task::yield_now().await;
        Ok(())
    }

    /// Ends them. Each stands for itself: what fails for one is tried again for that one.
    async fn end(
        &mut self,
        doveadm: &Doveadm,
        chunk: &[(Standing, Vec<OrderId>)],
        now: Timestamp,
    ) -> Result<(), DoveadmError> {
        let gate = self.gate.clone();
        let peers: Vec<&Peer> = chunk.iter().map(|(s, _)| &*s.peer).collect();
        let answers = doveadm.kick(&peers).await?;
        let at = gate.clock.now();
        let (mut kicks, mut failures) = (Vec::new(), Vec::new());
        for ((standing, orders), answer) in chunk.iter().zip(answers) {
            match answer {
                Answer::Done(_) => {
                    gate.sessions.ended(standing);
                    let view = gate.live.view();
                    kicks.push(Kick {
                        person: view.person_called(&standing.peer.user).map(|p| p.id),
                        orders: orders.iter().copied().collect(),
                        at: Some(at),
                    });
                }
                Answer::Nobody => gate.sessions.nobody(standing, now),
                Answer::Failed(what) => {
                    gate.sessions.failed(standing, now);
                    failures.push(what);
                }
            }
        }
        if !kicks.is_empty() {
            // A login that was let in just before may have come just after.
            self.who_at = self.who_at.min(now + AFTER_KICK);
        }
        gate.metrics.kicked.inc_by(kicks.len() as u64);
        if let Some(first) = failures.first() {
            gate.metrics.kick_failed(COMMAND, failures.len() as u64);
            tracing::warn!(
                sessions = failures.len(),
                first,
                "the mail server failed to end some sessions; each is tried again, later and later"
            );
        }
        gate.recorder.ended(kicks);
        Ok(())
    }
}
