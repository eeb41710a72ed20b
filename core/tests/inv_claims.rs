//! Invariant 5, of keys that no report knows: a phone can call itself anything, and gains nothing by it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use countermand_core::fleet::{FormFactor, Recognition, Visibility};
use countermand_core::id::{DeviceId, PersonId};
use countermand_core::index::Fact;
use countermand_core::join::{RecognitionError, recognise};
use countermand_core::order::file::UnknownPolicy;
use countermand_core::platform::Platform;
use countermand_core::verdict::{Channel, Decision, Fallback, Question};
use proptest::prelude::*;

use support::build::{Built, build, index_of};
use support::cases;
use support::history::{asks, plan};
use support::world::{KEYS, slot};

/// A key that no device ever has and that nobody has come with.
const FRESH: &str = "cred:fresh-one";

fn asks_with(built: &Built, person: u32, key: &str) -> Question {
    Question {
        person: Some(built.naive.people[&person].email.clone()),
        keys: vec![key.parse().unwrap()],
        channel: Channel::Imap,
    }
}

/// Whether some order refuses the person by then.
fn is_enforced(built: &Built, person: u32, at: jiff::Timestamp) -> bool {
    let person = &built.naive.people[&person];
    let mut orders = built.naive.orders.iter();
    orders.any(|o| built.naive.enforcing_for(o, person, at))
}

proptest! {
    #![proptest_config(cases(400))]

    /// Whatever anybody has called their phone, it opens no door that was closed without that.
    #[test]
    fn inv_05_a_claim_opens_nothing(plan in plan(1..4), asks in asks()) {
        let built = build(&plan);
        let without = |f: &Fact| !matches!(f, Fact::Claim(_));
        let facts = built.final_facts();
        let unclaimed = index_of(&built.naive, facts.iter().filter(|f| without(f)).cloned().collect());
        let index = built.rebuilt();
        for ask in &asks {
            let (question, at) = built.ask(ask);
            let (with, without) = (index.verdict(&question, at), unclaimed.verdict(&question, at));
            prop_assert!(with.decision >= without.decision, "{:?} {}", question, at);
        }
    }

    /// A key that one person came with first, in the hands of another, is neither's known device.
    #[test]
    fn inv_05_a_key_of_another_is_read_as_an_unknown_device_of_both(
        plan in plan(1..4), first in 0..4u32, second in 0..4u32, at in -20..20i64,
    ) {
        let mut built = build(&plan);
        let people = built.naive.people.len() as u32;
        let (first, second, at) = (first % people, second % people, slot(at));
        prop_assume!(first != second);
        let claim = |person, first| Fact::Claim(countermand_core::fleet::Claim {
            key: FRESH.parse().unwrap(), person: PersonId(person), at, first,
        });
        built.naive.claims.push((PersonId(first), FRESH.to_owned()));
        let mut index = built.followed();
        let unknown = index.verdict(&asks_with(&built, first, FRESH), at);
        index.apply(claim(first, true));
        index.apply(claim(second, false));
        prop_assert_eq!(index.verdict(&asks_with(&built, first, FRESH), at), unknown.clone(), "the first one's stays as it was");
        let verdict = index.verdict(&asks_with(&built, second, FRESH), at);
        prop_assert!(verdict.decision >= unknown.decision);
        let nobody_open = built.naive.settings.doors_open.is_none();
        let any = is_enforced(&built, first, at) || is_enforced(&built, second, at);
        if nobody_open && any {
            prop_assert_eq!(verdict.fallback, Some(Fallback::UnknownDevice));
        } else if nobody_open {
            prop_assert_eq!(verdict.decision, Decision::Allow, "no order, no refusal");
        }
    }

    /// A new phone of a person whom no order refuses is let in; else the policy for it decides, and is named.
    #[test]
    fn inv_04_an_unknown_device_is_refused_only_while_an_order_is_enforcing(plan in plan(0..4), person in 0..4u32, at in -20..20i64) {
        let mut built = build(&plan);
        built.set_doors(false, slot(0));
        let (person, at) = (person % built.naive.people.len() as u32, slot(at));
        let verdict = built.rebuilt().verdict(&asks_with(&built, person, FRESH), at);
        if is_enforced(&built, person, at) {
            prop_assert_eq!(verdict.fallback, Some(Fallback::UnknownDevice));
            prop_assert!(verdict.decision <= built.naive.policy.unknown_device);
            prop_assert!(verdict.because.iter().all(|r| r.fallback == Some(Fallback::UnknownDevice)));
        } else {
            prop_assert_eq!(verdict.decision, Decision::Allow);
        }
    }

    /// Of a recognised device nothing is known but whose it is: each order says what then holds.
    #[test]
    fn inv_04_a_recognised_device_is_one_without_a_report(plan in plan(1..4), person in 0..4u32, at in -20..20i64) {
        let mut built = build(&plan);
        built.set_doors(false, slot(0));
        let (person, at) = (person % built.naive.people.len() as u32, slot(at));
        let word = word(person, FRESH, None);
        let device = recognise(&word, &[], &[], DeviceId(9)).unwrap();
        let mut index = built.rebuilt();
        index.apply(Fact::Device(device));
        let verdict = index.verdict(&asks_with(&built, person, FRESH), at);
        prop_assert!(verdict.because.iter().all(|r| r.fallback == Some(Fallback::NoReport)), "{:?}", verdict);
        let who = &built.naive.people[&person];
        let refuses = built.naive.orders.iter().any(|o| {
            built.naive.enforcing_for(o, who, at)
                && o.file.forbid.on.contains(&FormFactor::Phone)
                && matches!(o.file.when_unknown.no_report, UnknownPolicy::Deny)
        });
        if !refuses {
            let attest = verdict.because.iter().any(|r| r.attest);
            prop_assert!(verdict.decision < Decision::Deny || attest, "{:?}", verdict);
        }
    }
}

fn word(person: u32, key: &str, same_as: Option<&str>) -> Recognition {
    Recognition {
        key: key.parse().unwrap(),
        person: PersonId(person),
        same_as: same_as.map(|k| k.parse().unwrap()),
        platform: Some(Platform::Ios),
        form_factor: None,
        reason: "a new phone".to_owned(),
    }
}

#[test]
fn inv_05_a_word_takes_no_device_from_whom_a_report_gives_it_to() {
    let recognised = |person, key, same_as, of: &[&_], known: &[&_]| {
        recognise(&word(person, key, same_as), of, known, DeviceId(9))
    };
    let new = recognised(1, "eas:NEW", None, &[], &[]).unwrap();
    assert_eq!((new.id, new.person), (DeviceId(9), Some(PersonId(1))));
    assert_eq!(
        (new.form_factor, new.visibility),
        (FormFactor::Phone, Visibility::Full)
    );
    // A word can be mended by a word.
    let other = recognised(2, "eas:NEW", None, &[&new], &[]).unwrap();
    assert_eq!((other.id, other.person), (DeviceId(9), Some(PersonId(2))));
    let again = recognised(1, "EAS:new", None, &[&new], &[]);
    assert!(matches!(again, Err(RecognitionError::IsKnown(_))));

    let mut reported = new.clone();
    reported.last_report = Some(slot(0));
    let taken = recognised(2, "eas:NEW", None, &[&reported], &[]);
    assert!(matches!(taken, Err(RecognitionError::IsAnothers(_))));
    reported.person = None;
    let given = recognised(2, "eas:NEW", None, &[&reported], &[]).unwrap();
    assert_eq!(given.person, Some(PersonId(2)), "no report says whose");
    let shared = recognised(2, "eas:NEW", None, &[&reported, &new], &[]);
    assert!(matches!(shared, Err(RecognitionError::IsShared(_))));

    // A restored backup: one more name of a device that is known.
    let joined = recognised(1, "eas:ROTATED", Some("eas:NEW"), &[], &[&new]).unwrap();
    assert_eq!((joined.id, joined.keys.len()), (new.id, 2));
    for known in [&[][..], &[&other], &[&new, &new]] {
        let wrong = recognised(1, "eas:ROTATED", Some("eas:NEW"), &[], known);
        assert!(matches!(wrong, Err(RecognitionError::NotTheSame(_))));
    }
}

#[test]
fn the_claims_of_one_person_are_bounded_and_a_certificate_has_one_name() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let tree = proptest::strategy::Strategy::new_tree(&plan(0..1), &mut runner).unwrap();
    let mut plan = proptest::strategy::ValueTree::current(&tree);
    plan.devices.clear();
    plan.moves.clear();
    let built = build(&plan);
    let mut index = built.rebuilt();
    let ask = |keys: &[String]| Question {
        keys: keys.iter().map(|k| k.parse().unwrap()).collect(),
        ..asks_with(&built, 0, KEYS[0][0])
    };
    let both = ["cert:0A1B".to_owned(), "cert:CN=phones".to_owned()];
    let (person, keys) = index.new_claims(&ask(&both)).unwrap();
    assert_eq!((person, keys.len()), (PersonId(0), 1));
    let mut kept = 0;
    for n in 0..200 {
        let Some((person, keys)) = index.new_claims(&ask(&[format!("eas:MADEUP{n}")])) else {
            continue;
        };
        for key in keys {
            kept += 1;
            let first = true;
            let at = slot(0);
            index.apply(Fact::Claim(countermand_core::fleet::Claim {
                key,
                person,
                at,
                first,
            }));
        }
        let again = index.new_claims(&ask(&[format!("EAS:madeup{n}")]));
        assert_eq!(again, None, "known by now, in any spelling");
    }
    assert_eq!(kept, 50);
}
