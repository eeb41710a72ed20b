//! Mail sessions that a door let in and that last: IMAP, POP3, submission.
//!
//! Who is connected is remembered from the logins that we let in. Nobody tells when a session ends by
//! itself; to end it once more does no harm. What we did not see is found by asking the mail server
//! who is connected, which tells no device.
//!
//! The book is open for moments only, since every login waits for it: who judges takes pages of it, and
//! says afterwards when to look again. Each login has a number, so that what was found out about
//! a page never concerns whoever came meanwhile.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use countermand_core::verdict::Channel;
use jiff::{SignedDuration, Timestamp};

use super::ask::Asked;
use super::wire::doveadm::Connection;

/// Peers that are remembered. Past it the oldest half is forgotten until the mail server is asked again.
const MOST: usize = 200_000;
/// Peers of one page.
const PAGE: usize = 500;
/// From our answer to a login until the mail server counts it as connected, at most.
const SETTLING: SignedDuration = SignedDuration::from_secs(10);
/// Between two tries to end a session that the mail server failed to end: from the first to the longest.
const RETRY: SignedDuration = SignedDuration::from_secs(2);
const LONGEST_RETRY: SignedDuration = SignedDuration::from_mins(5);

/// Who is connected, and from where: what a mail server can be told to end.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Peer {
    /// The mail server's name for the person.
    pub user: String,
    pub remote: Option<IpAddr>,
}

/// What is known of who came.
#[derive(Clone, Debug)]
pub(super) enum Came {
    /// As the door asked.
    Asked(Asked),
    /// Nobody saw it come, so it may be any device of the person's.
    Unseen(Channel),
}

#[derive(Debug)]
pub(super) struct Login {
    pub came: Came,
    since: Timestamp,
    number: u64,
}

/// One peer, as it stood when the page was taken.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub peer: Arc<Peer>,
    pub logins: Vec<Arc<Login>>,
    connections: u64,
    /// The last login of all by then.
    through: u64,
}

#[derive(Debug, Default)]
struct Stay {
    /// The newest of each device; what was not seen is one.
    logins: BTreeMap<String, Arc<Login>>,
    /// No more connections than that are explained by logins that were seen or found.
    connections: u64,
    judge_at: Timestamp,
    /// How often the mail server has failed to end it.
    failed: u32,
}

impl Stay {
    fn newest(&self) -> u64 {
        let numbers = self.logins.values().map(|login| login.number);
        numbers.max().unwrap_or(0)
    }

    fn is_settling(&self, now: Timestamp) -> bool {
        let mut logins = self.logins.values();
        logins.any(|login| login.since + SETTLING > now)
    }

    fn standing(&self, peer: &Arc<Peer>, through: u64) -> Standing {
        Standing {
            peer: peer.clone(),
            logins: self.logins.values().cloned().collect(),
            connections: self.connections,
            through,
        }
    }

    /// Whether its next try is still to come. A time further off was set by a clock that was wrong.
    fn waits(&self, now: Timestamp) -> bool {
        self.failed > 0 && self.judge_at > now && self.judge_at <= now + LONGEST_RETRY
    }
}

#[derive(Debug, Default)]
struct Book {
    stays: BTreeMap<Arc<Peer>, Stay>,
    /// The same by when each is to be judged.
    due: BTreeSet<(Timestamp, Arc<Peer>)>,
    /// Of the last login.
    number: u64,
}

#[derive(Debug, Default)]
pub(super) struct Sessions {
    book: Mutex<Book>,
    /// A door had no verdict, and may have let in by its own configuration.
    unseen: AtomicBool,
}

impl Sessions {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn let_in(&self, peer: Peer, asked: &Asked, now: Timestamp) {
        let question = &asked.question;
        let name = format!("{} {:?}", question.channel, question.keys);
        let mut book = self.book();
        book.make_room();
        let stay = book.enter(Arc::new(peer), name, Came::Asked(asked.clone()), now);
        stay.connections += 1;
    }

    /// A door was left to its own configuration.
    pub(super) fn had_no_verdict(&self) {
        self.unseen.store(true, Ordering::Relaxed);
    }

    /// Whether that happened since this was last asked.
    pub(super) fn take_unseen(&self) -> bool {
        self.unseen.swap(false, Ordering::Relaxed)
    }

    /// Takes in what the mail server says of who is connected. Where `all` could have come in unseen, each
    /// may be somebody else than we saw; else only those may that are more than we saw.
    pub(super) fn found(&self, connections: Vec<Connection>, all: bool, now: Timestamp) {
        let mut peers: BTreeMap<Peer, (Channel, u64)> = BTreeMap::new();
        for one in connections {
            let peer = Peer {
                user: one.user,
                remote: one.remote,
            };
            peers.entry(peer).or_insert((one.channel, 0)).1 += 1;
        }
        let mut forgotten = 0_usize;
        for (peer, (channel, count)) in peers {
            let peer = Arc::new(peer);
            // Each for itself: logins wait meanwhile.
            let mut book = self.book();
            let seen = book.stays.get(&peer).map_or(0, |stay| stay.connections);
            if all || count > seen {
                if book.stays.len() >= MOST && seen == 0 {
                    forgotten += 1;
                    continue;
                }
                book.enter(
                    peer.clone(),
                    "unseen".to_owned(),
                    Came::Unseen(channel),
                    now,
                );
            }
            if let Some(stay) = book.stays.get_mut(&peer)
                && (count > stay.connections || !stay.is_settling(now))
            {
                stay.connections = count;
            }
        }
        if forgotten > 0 {
            tracing::warn!(
                forgotten,
                "more are connected than can be remembered; whoever is left out is refused when it comes back"
            );
        }
    }

    /// Peers after that one, by their order, except those that are to be tried again later.
    pub(super) fn page(&self, after: Option<&Arc<Peer>>, now: Timestamp) -> Vec<Standing> {
        let book = self.book();
        let from = after.map_or(Unbounded, |peer| Excluded(peer.clone()));
        book.stays
            .range((from, Unbounded))
            .filter(|(_, stay)| !stay.waits(now))
            .take(PAGE)
            .map(|(peer, stay)| stay.standing(peer, book.number))
            .collect()
    }

    /// Those whose time has come.
    pub(super) fn due(&self, now: Timestamp) -> Vec<Standing> {
        let book = self.book();
        let due = book.due.iter().take_while(|(at, _)| *at <= now);
        due.take(PAGE)
            .filter_map(|(_, peer)| Some(book.stays.get(peer)?.standing(peer, book.number)))
            .collect()
    }

    /// They may stay until then, as far as is known.
    pub(super) fn judge_again(&self, those: &[(Standing, Timestamp)]) {
        let mut book = self.book();
        for (standing, at) in those {
            book.put_off(standing, |stay| {
                stay.failed = 0;
                *at
            });
        }
    }

    /// What was connected then is no more.
    pub(super) fn ended(&self, standing: &Standing) {
        self.book().forget(standing, |_| true);
    }

    /// Nobody was connected. Who was let in just now may be yet to come.
    pub(super) fn nobody(&self, standing: &Standing, now: Timestamp) {
        let mut book = self.book();
        book.forget(standing, |login| login.since + SETTLING <= now);
        book.put_off(standing, |_| now + SignedDuration::from_secs(1));
    }

    /// The mail server failed to end it: later, and ever later, once more.
    pub(super) fn failed(&self, standing: &Standing, now: Timestamp) {
        self.book().put_off(standing, |stay| {
            let longer = RETRY.saturating_mul(1 << stay.failed.min(10));
            stay.failed = stay.failed.saturating_add(1);
            now + longer.min(LONGEST_RETRY)
        });
    }
}

impl Book {
    /// Enters a login that is to be judged at once.
    fn enter(&mut self, peer: Arc<Peer>, name: String, came: Came, now: Timestamp) -> &mut Stay {
        self.number += 1;
        let login = Login {
            came,
            since: now,
            number: self.number,
        };
        let stay = match self.stays.entry(peer.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let stay = entry.insert(Stay::default());
                self.due.insert((stay.judge_at, peer.clone()));
                stay
            }
        };
        stay.logins.insert(name, Arc::new(login));
        if stay.failed == 0 {
            self.due.remove(&(stay.judge_at, peer.clone()));
            stay.judge_at = Timestamp::MIN;
            self.due.insert((stay.judge_at, peer));
        }
        stay
    }

    /// Unless somebody came meanwhile, who is to be judged first.
    fn put_off(&mut self, standing: &Standing, until: impl FnOnce(&mut Stay) -> Timestamp) {
        let Some(stay) = self.stays.get_mut(&standing.peer) else {
            return;
        };
        self.due.remove(&(stay.judge_at, standing.peer.clone()));
        let until = until(stay);
        let came = stay.failed == 0 && stay.newest() > standing.through;
        stay.judge_at = if came { Timestamp::MIN } else { until };
        self.due.insert((stay.judge_at, standing.peer.clone()));
    }

    fn forget(&mut self, standing: &Standing, which: impl Fn(&Login) -> bool) {
        let Some(stay) = self.stays.get_mut(&standing.peer) else {
            return;
        };
        let stood = |login: &Login| login.number <= standing.through && which(login);
        stay.logins.retain(|_, login| !stood(login));
        stay.connections = stay.connections.saturating_sub(standing.connections);
        self.due.remove(&(stay.judge_at, standing.peer.clone()));
        if stay.logins.is_empty() {
            self.stays.remove(&standing.peer);
            return;
        }
        // Whoever came meanwhile has not been judged.
        stay.failed = 0;
        stay.judge_at = Timestamp::MIN;
        self.due.insert((stay.judge_at, standing.peer.clone()));
    }

    fn make_room(&mut self) {
        if self.stays.len() < MOST {
            return;
        }
        let mut ages: Vec<u64> = self.stays.values().map(Stay::newest).collect();
        let (_, middle, _) = ages.select_nth_unstable(MOST / 2);
        let middle = *middle;
        self.stays.retain(|_, stay| stay.newest() > middle);
        let kept = &self.stays;
        self.due.retain(|(_, peer)| kept.contains_key(peer));
        tracing::warn!(
            "more are connected than can be remembered; the older half is forgotten until the mail server is asked again"
        );
    }
}
