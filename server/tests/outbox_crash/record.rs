//! What the relay saw, held against what the database says and what was promised. Each failure begins with
//! the number of its invariant.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use countermand_core::id::OrderId;
use countermand_core::notice::Kind;

use crate::house::{DEPTH, House, MOST_SESSIONS, Receipt, Receipts};
use crate::support::sending::header;
use crate::support::smtp_record::{Attempt, Fault, Recorder};

type People = BTreeSet<u32>;

/// An order and to whom it goes.
pub struct Case<'a> {
    pub house: &'a House,
    pub relay: &'a Recorder,
    pub order: OrderId,
    pub people: People,
    ids: HashMap<String, (Kind, u32)>,
}

/// How things stood just before a retraction.
pub struct Before {
    /// By the relay's count.
    moment: usize,
    /// Who was at work. Nobody begins until the commit.
    senders: BTreeSet<String>,
}

/// A retraction and what it found.
pub struct Retracted {
    before: Before,
    /// By the relay's count, just after the commit.
    since: usize,
    /// The version of the commit.
    changed: i64,
    /// As they were soon after the commit.
    receipts: Receipts,
    /// Whom it found told, perhaps told or in flight.
    pub to_correct: People,
    in_flight: People,
}

/// It certainly failed, so it may be repeated, whatever it is.
fn failed(attempt: &Attempt) -> bool {
    // The relay's own cut leaves the sender in doubt, mostly.
    matches!(attempt.answer, Some(400..=499)) || attempt.fault == Fault::DropInBody
}

/// A correction whose attempt was in doubt is tried again, and when that certainly failed it waits as if it had
/// never left.
fn failed_since(kind: Kind, receipt: &Receipt) -> bool {
    kind == Kind::Correction && receipt.attempt >= 2
}

fn refused(attempt: &Attempt) -> bool {
    matches!(attempt.answer, Some(500..))
}

impl Retracted {
    /// Looks at the database after the commit; senders may be at work meanwhile.
    pub async fn look(case: &Case<'_>, before: Before, answer: &serde_json::Value) -> Retracted {
        let since = case.relay.now();
        let (state, changed) = case.house.order(case.order).await;
        assert_eq!(state, "retracted");
        let receipts = case.house.receipts(case.order).await;
        // What settled since was in flight then.
        let since_then = |r: &Receipt| r.flew() && r.settled_version.is_some_and(|v| v > changed);
        let of = |is: &dyn Fn(&Receipt) -> bool| -> People {
            let order = receipts
                .iter()
                .filter(|((kind, _), _)| *kind == Kind::Order);
            order.filter(|(_, r)| is(r)).map(|((_, p), _)| *p).collect()
        };
        let in_flight = of(&|r| r.state == "in_flight" || since_then(r));
        let settled = of(&|r| r.state == "accepted" || r.state == "unknown");
        let to_correct: People = settled.union(&in_flight).copied().collect();
        let count = |name: &str| answer[name].as_u64().unwrap() as usize;
        assert_eq!(count("in_flight"), in_flight.len(), "22: {answer}");
        let told = count("accepted") + count("unknown") + count("in_flight");
        assert_eq!(told, to_correct.len(), "22: {answer}");
        assert_eq!(count("corrections_planned"), told, "23: {answer}");
        let never_sent = case.people.len() - of(&|r| r.state == "rejected" && !since_then(r)).len();
        assert_eq!(count("cancelled") + told, never_sent, "22: {answer}");
        Retracted {
            before,
            since,
            changed,
            receipts,
            to_correct,
            in_flight,
        }
    }

    /// Whether an attempt that was cut before its Message-ID came was the order's. Until shortly before
    /// the commit there was nothing else. Afterwards it was only if it is the one that was in flight then: of
    /// a sender that was at work, the first since, and without an answer to this day.
    fn was_of_order(
        &self,
        attempt: &Attempt,
        person: u32,
        order: &Receipt,
        orders: &[&Attempt],
        corrected: bool,
    ) -> bool {
        attempt.begun < self.before.moment
            || (self.in_flight.contains(&person)
                && self.before.senders.contains(&attempt.by)
                && ["unknown", "cancelled"].contains(&order.state.as_str())
                && !corrected
                && orders.iter().all(|earlier| failed(earlier)))
    }
}

impl<'a> Case<'a> {
    pub fn new(house: &'a House, relay: &'a Recorder, order: OrderId, people: People) -> Self {
        let ids = house.message_ids(order).collect();
        Case {
            house,
            relay,
            order,
            people,
            ids,
        }
    }

    /// Attempts to people of this order, by person and in time. One that ended before its Message-ID
    /// came can only be told apart by what may be sent at that time.
    fn attempts(&self, since: usize) -> BTreeMap<u32, Vec<(Option<Kind>, Attempt)>> {
        let mut found: BTreeMap<u32, Vec<_>> = BTreeMap::new();
        for attempt in self.relay.attempts(since) {
            assert_eq!(attempt.to.len(), 1, "15: {attempt:?}");
            let person = self.house.person(&attempt.to[0]);
            if !self.people.contains(&person) {
                continue;
            }
            let kind = match self.ids.get(&attempt.message_id) {
                Some((kind, whose)) => {
                    assert_eq!(*whose, person, "16: {attempt:?}");
                    Some(*kind)
                }
                None => {
                    assert!(!attempt.received, "16: a foreign Message-ID, {attempt:?}");
                    None
                }
            };
            found.entry(person).or_default().push((kind, attempt));
        }
        found
    }

    /// To be asked right before a retraction.
    pub fn before(&self, senders: BTreeSet<String>) -> Before {
        let moment = self.relay.now();
        Before { moment, senders }
    }

    /// At any time: what has begun is in flight on disk, and no worker has more than it may. Gives back
    /// until when it looked.
    pub async fn ask(&self, since: usize) -> usize {
        let now = self.relay.now();
        let attempts = self.attempts(since);
        let receipts = self.house.receipts_of(self.order, attempts.keys()).await;
        for (person, attempts) in &attempts {
            for (kind, attempt) in attempts {
                let mut kinds = [Kind::Order, Kind::Correction].into_iter();
                let flew = kinds.any(|k| {
                    kind.is_none_or(|kind| kind == k)
                        && receipts
                            .get(&(k, *person))
                            .is_some_and(|r| r.flew() || refused(attempt) || failed_since(k, r))
                });
                assert!(flew || failed(attempt), "16: {person} {attempt:?}");
            }
        }
        let most = DEPTH * MOST_SESSIONS;
        for (worker, (flying, held)) in self.house.held().await {
            assert!(flying <= most, "19: {worker} has {flying} in flight");
            assert!(held <= 2 * most, "19: {worker} holds {held}");
        }
        now
    }

    /// When all is done. `died` are the lives that did not end by themselves.
    pub async fn compare(&self, retracted: Option<&Retracted>, died: &BTreeSet<String>) {
        let receipts = self.house.receipts(self.order).await;
        let attempts = self.attempts(0);
        let mut orders: BTreeMap<u32, Vec<&Attempt>> = BTreeMap::new();
        let mut corrections: BTreeMap<u32, Vec<&Attempt>> = BTreeMap::new();
        for (person, of_person) in &attempts {
            let mut before: Option<&Attempt> = None;
            for (kind, attempt) in of_person {
                let end = attempt.ended.expect("every connection has ended");
                if let Some(before) = before.replace(attempt) {
                    assert!(
                        before.ended.unwrap() < attempt.begun,
                        "24: two at once to {person}: {before:?} {attempt:?}"
                    );
                }
                assert!(end > attempt.begun);
                let was_of_order = || {
                    let order = receipts.get(&(Kind::Order, *person));
                    let order = order.unwrap_or_else(|| panic!("16: no receipt of {attempt:?}"));
                    let earlier = orders.get(person).map_or(&[][..], Vec::as_slice);
                    let corrected = corrections.contains_key(person);
                    retracted.is_none_or(|retracted| {
                        retracted.was_of_order(attempt, *person, order, earlier, corrected)
                    })
                };
                let is_order = kind.map_or_else(was_of_order, |kind| kind == Kind::Order);
                let list = if is_order {
                    &mut orders
                } else {
                    &mut corrections
                };
                list.entry(*person).or_default().push(attempt);
            }
        }
        for (person, tries) in &orders {
            self.check_once(*person, tries, &receipts);
        }
        self.check_receipts(&receipts, &orders, &corrections, died.len());
        match retracted {
            None => {
                assert_eq!(corrections.len(), 0, "30: corrected without a retraction");
                let everyone: People = receipts.keys().map(|(_, person)| *person).collect();
                assert_eq!(everyone, self.people, "19: somebody is forgotten");
            }
            Some(retracted) => {
                self.check_retracted(retracted, &receipts, &orders);
                self.check_corrections(retracted, &receipts, &corrections, died);
            }
        }
        let status = self
            .house
            .answers(&["notices", "status", &self.order.to_string()]);
        assert_eq!(status["finished"], true, "20: {status}");
        assert_eq!(self.house.held().await.len(), 0, "20: claims are left");
        assert_eq!(self.relay.violations(), [""; 0]);
    }

    /// 17 and 18: an order's notice is put into DATA again only after it has certainly failed.
    fn check_once(&self, person: u32, tries: &[&Attempt], receipts: &Receipts) {
        for (at, attempt) in tries.iter().enumerate() {
            assert!(
                failed(attempt) || at + 1 == tries.len(),
                "17, 18: {person} was sent it again: {tries:?}"
            );
        }
        assert!(
            receipts.contains_key(&(Kind::Order, person)),
            "16: {person} {tries:?}"
        );
    }

    /// Every receipt is settled, and tells the truth.
    fn check_receipts(
        &self,
        receipts: &Receipts,
        orders: &BTreeMap<u32, Vec<&Attempt>>,
        corrections: &BTreeMap<u32, Vec<&Attempt>>,
        deaths: usize,
    ) {
        let accepts = |tries: Option<&Vec<&Attempt>>| {
            let mut tries = tries.into_iter().flatten();
            tries.any(|attempt| attempt.answer == Some(250))
        };
        let mut unknown = 0;
        for ((kind, person), receipt) in receipts {
            let tries = match kind {
                Kind::Order => orders.get(person),
                _ => corrections.get(person),
            };
            let (words, took) = (
                format!("{kind} to {person}: {receipt:?} {tries:?}"),
                accepts(tries),
            );
            match receipt.state.as_str() {
                "accepted" => assert!(took && receipt.flew(), "25: {words}"),
                "unknown" => {
                    assert!(*kind == Kind::Order && receipt.flew(), "17: {words}");
                    unknown += 1;
                }
                "rejected" => assert!(self.house.refused.contains(person) && !took, "17: {words}"),
                "cancelled" => assert!(*kind == Kind::Order && !took, "25: {words}"),
                _ => panic!("20: {words}"),
            }
        }
        let in_doubt = self.relay.attempts(0);
        let in_doubt = in_doubt.iter().filter(|a| a.answer.is_none()).count();
        assert!(
            unknown <= in_doubt + deaths * DEPTH * MOST_SESSIONS,
            "19: {unknown} unknown after {deaths} deaths"
        );
    }

    fn check_retracted(
        &self,
        retracted: &Retracted,
        receipts: &Receipts,
        orders: &BTreeMap<u32, Vec<&Attempt>>,
    ) {
        for (person, tries) in orders {
            let late: Vec<_> = tries
                .iter()
                .filter(|attempt| attempt.begun > retracted.since)
                .collect();
            let senders = &retracted.before.senders;
            let may = retracted.in_flight.contains(person) && late.len() == 1;
            assert!(
                late.is_empty() || (may && senders.contains(&late[0].by)),
                "22: begun after the retraction: {late:?}"
            );
            let perhaps = tries
                .iter()
                .any(|attempt| !failed(attempt) && !refused(attempt));
            assert!(
                !perhaps || retracted.to_correct.contains(person),
                "23: {person} has the order, and is owed no correction: {tries:?}"
            );
        }
        let of_order = |all: &Receipts| -> Receipts {
            let orders = all.iter().filter(|((kind, _), _)| *kind == Kind::Order);
            orders
                .map(|(key, receipt)| (*key, receipt.clone()))
                .collect()
        };
        let (then, now) = (of_order(&retracted.receipts), of_order(receipts));
        assert!(
            then.keys().eq(now.keys()),
            "22: claimed after the retraction"
        );
        for ((kind, person), was) in then {
            let is = &now[&(kind, person)];
            assert!(
                was == *is || (was.state == "in_flight" && retracted.in_flight.contains(&person)),
                "25: {person} was {was:?} and is {is:?} (retracted by {})",
                retracted.changed
            );
        }
    }

    fn check_corrections(
        &self,
        retracted: &Retracted,
        receipts: &Receipts,
        corrections: &BTreeMap<u32, Vec<&Attempt>>,
        died: &BTreeSet<String>,
    ) {
        let owed: People = receipts
            .keys()
            .filter(|(kind, _)| *kind == Kind::Correction)
            .map(|(_, person)| *person)
            .collect();
        assert_eq!(owed, retracted.to_correct, "23: another set");
        let got: People = corrections
            .iter()
            .filter(|(_, tries)| tries.iter().any(|a| a.answer == Some(250)))
            .map(|(person, _)| *person)
            .collect();
        let reachable: People = owed.difference(&self.house.refused).copied().collect();
        assert_eq!(
            got, reachable,
            "23: somebody is left untold, or told for nothing"
        );
        for person in &owed {
            let (order, correction) = [Kind::Order, Kind::Correction]
                .map(|kind| &receipts[&(kind, *person)])
                .into();
            // Whoever begins it claimed it in an earlier turn than that, and found the order settled then.
            assert!(
                order.settled_at < correction.in_flight_at,
                "24: {person} is corrected before it is known what became of the order: {order:?} {correction:?}"
            );
        }
        for (person, tries) in corrections {
            for pair in tries.windows(2) {
                // Otherwise the sender that had the answer lived to write it down.
                let in_doubt = pair[0].answer.is_none() || failed(pair[0]);
                assert!(
                    in_doubt || (died.contains(&pair[0].by) && pair[0].by != pair[1].by),
                    "23: corrected again for no reason: {person} {tries:?}"
                );
            }
        }
        for message in self.relay.messages() {
            if let Some((Kind::Correction, person)) = self.ids.get(&message.message_id) {
                let answers = header(&message.bytes, "In-Reply-To");
                let answered = answers.as_ref().map(|id| self.ids.get(id));
                // Whose attempt was under way at the commit and then certainly failed got nothing that could
                // be answered.
                let order = &receipts[&(Kind::Order, *person)].state;
                let got = ["accepted", "unknown"].contains(&order.as_str());
                assert_eq!(
                    answered,
                    got.then_some(Some(&(Kind::Order, *person))),
                    "29: the correction to {person} answers {answers:?}, their order is {order}"
                );
            }
        }
    }
}
