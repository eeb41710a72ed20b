//! The half of a turn that writes down what became of messages.

use std::collections::{BTreeMap, BTreeSet};

use countermand_core::id::{OrderId, PersonId};
use countermand_core::notice::{Kind, ReceiptState};
use jiff::Timestamp;

use super::follow::Touched;
use super::rows::{AT_ONCE, holdable, micros, padded, values};
use super::together::Statement;
use super::turns::{Group, Held, Outcome, Settled, States, marked};
use super::write::Write;
use super::{Result, bounces};

/// What a settled receipt becomes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Becomes {
    state: ReceiptState,
    /// Of what waits for another attempt.
    not_before: Option<Timestamp>,
    /// The attempt certainly failed, and the receipt is as if it had not been.
    forget_flight: bool,
}

/// People whose receipts become the same, in one statement.
pub(super) struct Settling {
    group: Group,
    becomes: Becomes,
    people: Vec<(Held, String)>,
}

pub(super) async fn settling(
    write: &mut Write,
    settled: &[Settled],
    states: &mut States,
) -> Result<Vec<Settling>> {
    let mut seen = BTreeSet::new();
    let mut groups: BTreeMap<(Group, Becomes), Vec<(Held, String)>> = BTreeMap::new();
    for one in settled {
        // Only the first word counts.
        if seen.insert((one.claim.key, one.claim.fence)) {
            let becomes = becomes(write, states, one).await?;
            let held = (one.claim.key.person, one.claim.fence);
            groups
                .entry((Group::of(&one.claim), becomes))
                .or_default()
                .push((held, holdable(&one.detail)));
        }
    }
    let mut all = Vec::new();
    for ((group, becomes), people) in groups {
        all.extend(people.chunks(AT_ONCE).map(|people| Settling {
            group,
            becomes,
            people: people.to_vec(),
        }));
    }
    Ok(all)
}

impl Settling {
    /// Whether its people have their notice now.
    fn tells(&self) -> bool {
        self.becomes.state == ReceiptState::Accepted && self.group.kind != Kind::Correction
    }

    fn waits(&self) -> bool {
        self.becomes.state == ReceiptState::Claimed
    }

    pub fn statement(&self, worker: &str, now: Timestamp) -> Statement {
        let sql = values(
            "WITH reply (whom, under, words) AS (",
            10,
            padded(self.people.len()),
            3,
            ") UPDATE receipt SET state = $4, worker = NULL, detail = reply.words, settled_at = $5, settled_version = $6, not_before = $7, attempt = attempt + $8, in_flight_at = CASE WHEN $9 = 1 THEN NULL ELSE in_flight_at END FROM reply WHERE order_id = $1 AND person = reply.whom AND kind = $2 AND fence = reply.under AND worker = $3 AND state = 'in_flight'",
        );
        let (waits, becomes) = (self.waits(), self.becomes);
        let statement = Statement::new(sql)
            .text(self.group.order.to_string())
            .text(self.group.kind.to_string())
            .text(worker)
            .text(becomes.state.as_str())
            .number((!waits).then(|| micros(now)));
        let statement = match waits {
            true => statement.number(None),
            false => statement.version(),
        };
        let mut statement = statement
            .number(becomes.not_before.map_or(0, micros))
            .number(i64::from(waits))
            .number(i64::from(becomes.forget_flight));
        for ((person, fence), words) in &self.people {
            statement
                .row(i64::from(person.0))
                .row(*fence)
                .row_text(words.as_str());
        }
        for _ in self.people.len()..padded(self.people.len()) {
            statement.row(None).row(None).row_text("");
        }
        statement
    }
}

/// What followers are to hear if all of it happens.
pub(super) fn expected(settled: &[Settled], parts: &[Settling]) -> Vec<Touched> {
    let mut told: BTreeMap<OrderId, Vec<PersonId>> = BTreeMap::new();
    for part in parts.iter().filter(|part| part.tells()) {
        let people = told.entry(part.group.order).or_default();
        people.extend(part.people.iter().map(|((person, _), _)| *person));
    }
    notes(settled, told)
}

fn notes(settled: &[Settled], told: BTreeMap<OrderId, Vec<PersonId>>) -> Vec<Touched> {
    let told = told.into_iter().filter(|(_, people)| !people.is_empty());
    let told = told.map(|(order, people)| Touched::Told { order, people });
    let orders: BTreeSet<OrderId> = settled.iter().map(|s| s.claim.key.order).collect();
    told.chain(orders.into_iter().map(Touched::Receipts))
        .collect()
}

/// Notes who is told: whose receipts were in flight under their fence, and so are settled for good now.
pub(super) async fn heard_settled(
    write: &mut Write,
    settled: &[Settled],
    counts: impl Iterator<Item = (&Settling, u64)>,
) -> Result<()> {
    let mut told: BTreeMap<OrderId, Vec<PersonId>> = BTreeMap::new();
    for (part, count) in counts {
        let (state, group) = (part.becomes.state, part.group);
        let people: Vec<PersonId> = part.people.iter().map(|((p, _), _)| *p).collect();
        if part.becomes.forget_flight {
            let which = bounces::FAILED;
            bounces::forget(write, group.order, group.kind, &people, which).await?;
        }
        if !part.tells() {
            continue;
        }
        let done = if count == people.len() as u64 {
            people
        } else {
            let mark = ("settled_version = $3 AND state = $4", state.as_str());
            let marked = marked(write, group, &people, mark).await?;
            marked.into_iter().map(|(person, _)| person).collect()
        };
        told.entry(group.order).or_default().extend(done);
    }
    let notes = notes(settled, told);
    notes.into_iter().for_each(|touched| write.touch(touched));
    Ok(())
}

async fn becomes(write: &mut Write, states: &mut States, one: &Settled) -> Result<Becomes> {
    let key = one.claim.key;
    let correction = key.kind == Kind::Correction;
    let for_good = |state| Becomes {
        state,
        not_before: None,
        forget_flight: false,
    };
    Ok(match &one.outcome {
        Outcome::Accepted => for_good(ReceiptState::Accepted),
        Outcome::Rejected => for_good(ReceiptState::Rejected),
        // A retraction that found it in flight corrects it.
        Outcome::TooLate => Becomes {
            forget_flight: states.of(write, key.order).await? != "retracted",
            ..for_good(ReceiptState::Cancelled)
        },
        Outcome::Unknown { not_before } if correction => Becomes {
            state: ReceiptState::Claimed,
            not_before: Some(*not_before),
            forget_flight: false,
        },
        Outcome::Unknown { .. } => for_good(ReceiptState::Unknown),
        // An attempt that failed after its order was retracted is not repeated; it was in flight at
        // that commit, so its person is corrected all the same.
        Outcome::Deferred { .. }
            if !correction && states.of(write, key.order).await? == "retracted" =>
        {
            for_good(ReceiptState::Cancelled)
        }
        Outcome::Deferred { not_before } => Becomes {
            state: ReceiptState::Claimed,
            not_before: Some(*not_before),
            forget_flight: true,
        },
    })
}
