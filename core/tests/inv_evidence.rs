//! Invariants 4 to 6: unknown is not absent, a shared key opens nothing, a cured device is free.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use countermand_core::evidence::{AppSeen, Evidence, Report};
use countermand_core::fleet::{DeviceKey, Person, Visibility};
use countermand_core::id::PackageNo;
use countermand_core::order::file::UnknownPolicy;
use countermand_core::verdict::{Channel, Decision, Fallback, Question};
use jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use support::build::{Built, build, own_key};
use support::cases;
use support::history::{Ask, Plan, ReportPlan, asks, plan, report};
use support::naive::{DeviceLife, plus};
use support::world::slot;

/// The owner asks with their device.
fn about(device: &DeviceLife, owner: Option<&Person>) -> Question {
    Question {
        person: owner.map(|p| p.email.clone()),
        keys: vec![own_key(device.id.0 as usize).parse().unwrap()],
        channel: Channel::Activesync,
    }
}

/// Everyone by whom the question may be judged.
fn candidates<'a>(built: &'a Built, question: &Question) -> Vec<&'a Person> {
    let fits = built.naive.fitting(question);
    let owners = fits.iter().filter_map(|d| built.naive.owner(d));
    let asker = question
        .person
        .as_deref()
        .and_then(|p| built.naive.person_called(p));
    let keys = question.keys.iter();
    let firsts = keys.filter_map(|key| built.naive.first_with(key.as_str()));
    owners.chain(asker).chain(firsts).collect()
}

fn all_unknown(mut plan: Plan, policy: UnknownPolicy) -> Plan {
    for order in &mut plan.orders {
        order.rule.no_report = policy;
        order.rule.invisible = policy;
        order.rule.stale = policy;
    }
    plan
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn inv_04_nothing_unknown_closes_a_door_that_no_order_closes(plan in plan(0..4), asks in asks()) {
        let built = build(&all_unknown(plan, UnknownPolicy::Deny));
        let index = built.rebuilt();
        for ask in &asks {
            let (question, at) = built.ask(ask);
            let mut people = candidates(&built, &question);
            // Who is unknown is answered as anyone.
            let fits = built.naive.fitting(&question);
            let ownerless = fits.is_empty() || fits.iter().any(|d| built.naive.owner(d).is_none());
            if question.person.is_some() || ownerless {
                people.extend(built.naive.people.values());
            }
            let enforcing = |p: &&Person| built.naive.orders.iter().any(|o| built.naive.enforcing_for(o, p, at));
            if !people.iter().any(enforcing) {
                let verdict = index.verdict(&question, at);
                prop_assert!(verdict.decision < Decision::Deny, "{:?}", verdict);
                prop_assert!(verdict.because.iter().all(|r| r.seen.is_some()), "{:?}", verdict);
                prop_assert!(matches!(verdict.fallback, None | Some(Fallback::DoorsOpen)), "{:?}", verdict);
            }
        }
    }

    #[test]
    fn inv_04_unknown_is_never_absent(plan in plan(1..4), at in -30..20i64, nudge in -1..=1i64) {
        let mut plan = all_unknown(plan, UnknownPolicy::Deny);
        plan.policy.never_refuse_groups.clear();
        let mut built = build(&plan);
        built.set_doors(false, slot(0));
        let index = built.rebuilt();
        let at = slot(at) + SignedDuration::from_secs(nudge);
        for device in built.naive.devices.values() {
            let Some(owner) = built.naive.owner(device) else { continue };
            let verdict = index.verdict(&about(device, Some(owner)), at);
            for order in &built.naive.orders {
                let concerned = built.naive.enforcing_for(order, owner, at)
                    && order.file.forbid.on.contains(&device.form_factor)
                    && !built.naive.is_exempt(order.id, Some(owner), Some(device), at);
                // Read off the reports themselves: a full list with apps in it, not yet stale.
                let seen_whole = device.reports.iter().any(|r| {
                    r.complete
                        && r.visibility == Visibility::Full
                        && plus(r.seen_at, order.file.when_unknown.stale_after) >= at
                });
                if concerned && !seen_whole {
                    prop_assert!(verdict.because.iter().any(|r| r.order == order.id), "{:?}", verdict);
                }
            }
        }
    }

    #[test]
    fn inv_04_an_empty_list_is_no_report_unless_its_source_has_listed_apps_before(
        plans in vec(report(), 0..6),
        visibility in select(Visibility::ALL),
    ) {
        let mut evidence = folded(&reports(&plans));
        let before = evidence.clone();
        let empty = Report { source: "fresh".into(), visibility, complete: true, seen_at: slot(20), apps: vec![] };
        evidence.fold(empty.clone());
        prop_assert_eq!(&evidence, &before, "an empty list of a source that never listed any");
        evidence.fold(Report { complete: false, apps: vec![app(NEW)], ..empty.clone() });
        evidence.fold(empty.clone());
        prop_assert!(holds(&evidence, NEW), "a partial list does not make the source one that lists");
        evidence.fold(Report { apps: vec![app(NEW)], ..empty.clone() });
        prop_assert!(holds(&evidence, NEW));
        evidence.fold(empty);
        prop_assert!(!holds(&evidence, NEW), "now it is a list");
    }

    #[test]
    fn inv_05_the_strictest_of_the_candidates_decides_and_is_named(plan in plan(1..4), asks in asks()) {
        let built = build(&plan);
        let index = built.rebuilt();
        for ask in &asks {
            let (question, at) = built.ask(ask);
            let fits = built.naive.fitting(&question);
            let verdict = index.verdict(&question, at);
            for device in &fits {
                let alone = Question { keys: about(device, None).keys, ..question.clone() };
                prop_assert!(verdict.decision >= index.verdict(&alone, at).decision, "{:?} {}", question, at);
            }
            let enforcing = candidates(&built, &question)
                .iter()
                .any(|p| built.naive.orders.iter().any(|o| built.naive.enforcing_for(o, p, at)));
            if fits.len() > 1 && enforcing {
                prop_assert!(verdict.fallback.is_some(), "{:?} {}", question, at);
            }
        }
    }

    /// A clone, a re-enrolled device, a restored backup: one more record by a name that was known.
    #[test]
    fn inv_05_one_more_device_by_a_name_opens_nothing(plan in plan(1..4), asks in asks(), second in 0..4u32) {
        let mut built = build(&plan);
        let before = built.rebuilt();
        let questions: Vec<(Question, Timestamp)> = asks.iter().map(|a| built.ask(a)).collect();
        prop_assume!(built.naive.devices.contains_key(&second));
        for (question, at) in questions {
            if built.naive.fitting(&question).is_empty() {
                continue;
            }
            let own = built.naive.devices[&second].keys.clone();
            // A name that no report knew is another thing: a report that shows it says whose it is.
            let known = |k: &&DeviceKey| built.naive.devices.values().any(|d| d.is_called(k.as_str()));
            let keys: Vec<String> = question.keys.iter().filter(known).map(|k| k.as_str().to_owned()).collect();
            let life = built.naive.devices.get_mut(&second).unwrap();
            life.keys.extend(keys);
            built.write_device(second as usize);
            let after = built.rebuilt();
            prop_assert!(
                after.verdict(&question, at).decision >= before.verdict(&question, at).decision,
                "{:?} {}", question, at
            );
            built.naive.devices.get_mut(&second).unwrap().keys = own;
            built.write_device(second as usize);
        }
    }

    #[test]
    fn inv_05_a_person_is_one_by_every_address_and_letter_case(plan in plan(1..4), asks in asks()) {
        let built = build(&plan);
        let index = built.followed();
        for ask in &asks {
            let (question, at) = built.ask(&Ask { stranger: false, ..ask.clone() });
            let Some(person) = question.person.as_deref().and_then(|p| built.naive.person_called(p)) else {
                continue;
            };
            let verdict = index.verdict(&question, at);
            for address in person.addresses() {
                for spelling in [address.to_owned(), address.to_uppercase(), format!("\t{address} ")] {
                    let again = Question { person: Some(spelling), ..question.clone() };
                    prop_assert_eq!(&index.verdict(&again, at), &verdict);
                }
            }
        }
    }

    /// A person gets a new address and keeps the old one as an alias: no verdict changes.
    #[test]
    fn inv_05_a_renamed_person_is_the_same(plan in plan(1..4), asks in asks()) {
        let mut built = build(&plan);
        let before = built.rebuilt();
        let questions: Vec<(Question, Timestamp)> = asks.iter().map(|a| built.ask(a)).collect();
        for person in built.naive.people.clone().into_values() {
            let mut renamed = person.clone();
            renamed.email = format!("new-{}", person.email);
            renamed.aliases.insert(person.email);
            built.write_person(renamed);
        }
        let after = built.followed();
        for (question, at) in questions {
            prop_assert_eq!(after.verdict(&question, at), before.verdict(&question, at));
        }
    }

    #[test]
    fn inv_06_a_cured_device_is_free_of_the_order_at_its_next_request(plan in plan(1..4), plans in vec(report(), 0..4)) {
        let mut built = build(&plan);
        for d in 0..built.naive.devices.len() {
            for report in reports(&plans) {
                built.add_report(d, report);
            }
            // The newest of all, of full visibility, with one harmless app in it.
            built.add_report(d, Report {
                source: "csv".into(),
                visibility: Visibility::Full,
                complete: true,
                seen_at: slot(10),
                apps: vec![app(11)],
            });
        }
        let index = built.followed();
        for device in built.naive.devices.values() {
            for at in [slot(10), slot(10) + SignedDuration::from_hours(24)] {
                let verdict = index.verdict(&about(device, built.naive.owner(device)), at);
                let own = verdict.because.iter().filter(|r| r.device == Some(device.id));
                prop_assert_eq!(own.count(), 0, "{:?}", verdict);
            }
        }
    }

    #[test]
    fn inv_06_only_a_newer_complete_list_that_sees_as_much_cures(
        plans in vec(report(), 0..6),
        seen_by in select(Visibility::ALL),
        later in select(Visibility::ALL),
        complete in any::<bool>(),
        after in -1..=1i64,
        none_at_all in any::<bool>(),
    ) {
        let mut evidence = folded(&reports(&plans));
        let sighting = Report { source: "csv".into(), visibility: seen_by, complete: true, seen_at: slot(20), apps: vec![app(NEW), app(8)] };
        evidence.fold(sighting);
        prop_assert!(holds(&evidence, NEW));
        let list = Report {
            source: "csv".into(),
            visibility: later,
            complete,
            seen_at: slot(20) + SignedDuration::from_secs(after),
            apps: if none_at_all { vec![] } else { vec![app(8)] },
        };
        evidence.fold(list);
        let cures = complete && later >= seen_by && after >= 0;
        prop_assert_eq!(holds(&evidence, NEW), !cures);
        // An old report that arrives now brings nothing back.
        let old = Report { source: "old".into(), visibility: later, complete: true, seen_at: slot(19), apps: vec![app(NEW)] };
        evidence.fold(old);
        prop_assert_eq!(holds(&evidence, NEW), !cures);
    }

    /// Of reports made at different times, it does not matter which arrives first.
    #[test]
    fn inv_06_the_order_of_arrival_is_nothing_where_times_differ(
        plans in vec(report(), 0..7),
        shuffle in Just((0..7usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let mut all = reports(&plans);
        for (n, report) in all.iter_mut().enumerate() {
            report.seen_at = slot(shuffle[n] as i64);
            if report.apps.is_empty() {
                report.apps.push(app(8));
            }
        }
        let one = folded(&all);
        all.sort_by_key(|r| std::cmp::Reverse(r.seen_at));
        let other = folded(&all);
        prop_assert_eq!(summary(&one), summary(&other));
        prop_assert_eq!(one.complete_at().map(|r| r.seen_at), other.complete_at().map(|r| r.seen_at));
    }

    /// The fold keeps no more than it needs: many reports of one source come to a few.
    #[test]
    fn inv_06_the_fold_does_not_grow_with_the_number_of_reports(plans in vec(report(), 100..140)) {
        let evidence = folded(&reports(&plans));
        let size = serde_json::to_string(&evidence).unwrap().len();
        prop_assert!(size < 20_000, "{size} bytes");
    }
}

/// A package that no random report lists.
const NEW: u32 = 100;

fn app(package: u32) -> AppSeen {
    AppSeen {
        package: PackageNo(package),
        version: String::new(),
    }
}

fn reports(plans: &[ReportPlan]) -> Vec<Report> {
    plans
        .iter()
        .map(|plan| Report {
            source: ["csv", "intune", "eas-log"][plan.source].to_owned(),
            visibility: plan.visibility,
            complete: plan.complete,
            seen_at: slot(plan.seen),
            apps: plan.apps.iter().map(|(no, _)| app(*no)).collect(),
        })
        .collect()
}

fn folded(reports: &[Report]) -> Evidence {
    let mut evidence = Evidence::default();
    for report in reports {
        evidence.fold(report.clone());
    }
    evidence
}

fn holds(evidence: &Evidence, package: u32) -> bool {
    evidence
        .each_sighting()
        .any(|s| s.app.package == PackageNo(package))
}

fn summary(evidence: &Evidence) -> Vec<(Timestamp, Visibility, PackageNo)> {
    let mut all: Vec<_> = evidence
        .each_sighting()
        .map(|s| (s.report.seen_at, s.report.visibility, s.app.package))
        .collect();
    all.sort();
    all
}
