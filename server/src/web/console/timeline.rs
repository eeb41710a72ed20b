//! The life of an order so far, from the record, and what is still to come.

use countermand_core::actor::Actor;
use countermand_core::audit::Entry;
use countermand_core::order::{Order, State};
use jiff::Timestamp;

use super::{comply_by, name_of, when, words};
use crate::web::Web;
use crate::web::pages::{Step, StepState, Tone};

/// What an action of the record is called, for people.
pub(super) fn action_name(action: &str) -> Option<&'static str> {
    Some(match action {
        "order.draft" => "Drafted",
        "order.revise" => "Revised",
        "order.submit" => "Submitted",
        "order.withdraw" => "Withdrawn",
        "order.send_back" => "Sent back",
        "order.approve" => "Approved",
        "order.publish" => "Published",
        "order.hold" => "On hold",
        "order.stop_notices" => "Notices stopped",
        "order.resume" => "Resumed",
        "order.extend" => "Deadline moved",
        "order.retract" => "Retracted",
        "order.cause" => "Cause given",
        _ => return None,
    })
}

/// `entries` oldest first.
pub(super) fn timeline(
    web: &Web,
    order: &Order,
    entries: &[Entry],
    zone: &str,
    now: Timestamp,
) -> Vec<Step> {
    let mut steps: Vec<(Timestamp, Step)> = entries
        .iter()
        .filter_map(|entry| {
            let step = Step {
                name: action_name(&entry.action)?.to_owned(),
                when: Some(when(entry.at, zone)),
                words: match &entry.actor {
                    Actor::System(_) => "by themselves".to_owned(),
                    actor => format!("by {}", name_of(web, actor.name())),
                },
                state: StepState::Done,
            };
            Some((entry.at, step))
        })
        .collect();
    let over = matches!(order.state, State::Retracted { .. });
    let mut ahead = Vec::new();
    let mut milestone = |name: &str, at: Timestamp| {
        let passed = at <= now;
        let step = Step {
            name: name.to_owned(),
            when: Some(when(at, zone)),
            words: String::new(),
            state: if passed {
                StepState::Done
            } else {
                StepState::Ahead
            },
        };
        if passed && order.published().is_some() {
            steps.push((at, step));
        } else if !over {
            ahead.push(step);
        }
    };
    let deadline = comply_by(order).at();
    let ended = order.retraction().map(|r| r.at);
    if ended.is_none_or(|ended| deadline <= ended) {
        milestone("Deadline", deadline);
    }
    if let Some(expires) = order.revision.file.expires.as_ref().map(|e| e.at())
        && ended.is_none_or(|ended| expires <= ended)
    {
        milestone("Expires", expires);
    }
    // Stable: what the record has in order stays in order.
    steps.sort_by_key(|(at, _)| *at);
    let mut steps: Vec<Step> = steps.into_iter().map(|(_, step)| step).collect();
    if let Some(last) = steps.last_mut() {
        last.state = StepState::Now(match &order.state {
            State::Retracted { .. } | State::Held { .. } => Tone::Warn,
            State::Published(_) if words::is_enforcing(order, now) => Tone::Deny,
            _ => Tone::Plain,
        });
    }
    if order.published().is_none() {
        for name in ["Review", "Publication"] {
            let passed = match (&order.state, name) {
                (State::InReview { .. } | State::Approved(_), "Review") => true,
                (State::Draft { .. } | State::InReview { .. } | State::Approved(_), _) => false,
                _ => true,
            };
            if !passed {
                steps.push(Step {
                    name: name.to_owned(),
                    when: None,
                    words: String::new(),
                    state: StepState::Ahead,
                });
            }
        }
    }
    steps.extend(ahead);
    steps
}
