//! Mail sessions that a door let in and that last: IMAP, POP3, submission. When a verdict turns to deny,
//! the session is ended, and its app hears why when it comes back.
//!
//! Who is connected is remembered from the logins that we let in. Nobody tells when a session ends by
//! itself; to end it once more does no harm.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use countermand_core::actor::Actor;
use countermand_core::change::{Change, Commit, Kick};
use countermand_core::id::OrderId;
use countermand_core::verdict::Decision;
use jiff::Timestamp;

use super::Gate;
use super::ask::{Asked, Outcome};

/// How often the sessions are looked over: a verdict turns by a commit, or by time alone.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// After the mail server could not be told.
const PAUSE: Duration = Duration::from_secs(2);
/// Logins that are remembered. Past it the oldest are forgotten: they are refused when they come back.
const MOST: usize = 200_000;
/// Ended in one go, so that a deadline for all does not bring all back in the same moment.
const AT_ONCE: usize = 200;

/// Who is connected, and from where: what a mail server can be told to end.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Peer {
    /// The mail server's name for the person.
    pub user: String,
    pub remote: Option<IpAddr>,
}

#[derive(Debug)]
struct Standing {
    asked: Asked,
    since: Timestamp,
}

/// By peer, and by the device keys of each login.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<Peer, HashMap<String, Standing>>>);

impl Sessions {
    fn all(&self) -> MutexGuard<'_, HashMap<Peer, HashMap<String, Standing>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn let_in(&self, peer: Peer, asked: &Asked, now: Timestamp) {
        let mut all = self.all();
        if all.len() >= MOST {
            let mut ages: Vec<Timestamp> = all.values().map(newest).collect();
            let (_, middle, _) = ages.select_nth_unstable(MOST / 2);
            let middle = *middle;
            all.retain(|_, logins| newest(logins) > middle);
        }
        let question = &asked.question;
        let name = format!("{} {:?}", question.channel, question.keys);
        let standing = Standing {
            asked: asked.clone(),
            since: now,
        };
        all.entry(peer).or_default().insert(name, standing);
    }

    pub(super) fn count(&self) -> usize {
        self.all().len()
    }
}

fn newest(logins: &HashMap<String, Standing>) -> Timestamp {
    logins
        .values()
        .map(|s| s.since)
        .max()
        .unwrap_or(Timestamp::MIN)
}

impl Gate {
    /// Ends sessions whose verdict has turned to deny, for ever. Without a mail server that can be told,
    /// there is nothing to do.
    pub async fn keep_kicking(self: Arc<Self>) {
        let Some(doveadm) = &self.doveadm else {
            return;
        };
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let turned = self.turned(self.clock.now());
            for chunk in turned.chunks(AT_ONCE) {
                let peers: Vec<&Peer> = chunk.iter().map(|(peer, _)| peer).collect();
                if let Err(error) = doveadm.kick(&peers).await {
                    tracing::warn!(%error, sessions = turned.len(), "sessions could not be ended; they are tried again");
                    self.metrics.kicks_failed.inc();
                    tokio::time::sleep(PAUSE).await;
                    break;
                }
                self.metrics.kicked.inc_by(chunk.len() as u64);
                self.ended(chunk).await;
            }
        }
    }

    /// Who is connected and would be refused now, and because of which orders.
    fn turned(&self, now: Timestamp) -> Vec<(Peer, Vec<OrderId>)> {
        if self.sessions.count() == 0 || !self.live.view().refuses_anyone(now) {
            return Vec::new();
        }
        let age = self.live.age(now);
        let refusing = |asked: &Asked| match self.judge(asked, now, age) {
            Outcome::Answer(answer) if answer.decision == Decision::Deny => Some(
                answer
                    .verdict
                    .because
                    .iter()
                    .map(|r| r.order)
                    .collect::<Vec<_>>(),
            ),
            _ => None,
        };
        let all = self.sessions.all();
        let mut turned: Vec<_> = all
            .iter()
            .filter_map(|(peer, logins)| {
                let orders = logins.values().find_map(|s| refusing(&s.asked))?;
                Some((peer.clone(), orders))
            })
            .collect();
        turned.sort();
        turned
    }

    /// Forgets them, and puts it on record. The record can't keep a session from ending.
    async fn ended(&self, chunk: &[(Peer, Vec<OrderId>)]) {
        {
            let mut all = self.sessions.all();
            for (peer, _) in chunk {
                all.remove(peer);
            }
        }
        let kicks: Vec<Kick> = {
            let view = self.live.view();
            let kick = |(peer, orders): &(Peer, Vec<OrderId>)| Kick {
                person: view.person_called(&peer.user).map(|p| p.id),
                orders: orders.iter().copied().collect(),
            };
            chunk.iter().map(kick).collect()
        };
        let commit = Commit {
            actor: Actor::System("gate".to_owned()),
            at: self.clock.now(),
            change: Change::Kicked(kicks),
        };
        if let Err(error) = self.keeper.commit(commit).await {
            tracing::warn!(%error, sessions = chunk.len(), "sessions were ended, and that could not be recorded");
        }
    }
}
