//! Device keys that people came with, and keys that are recognised.

use countermand::store::{Outcome, StoreError, Touched};
use countermand_core::change::{Change, Forget, OwnWord};
use countermand_core::fleet::{Claim, Recognition};
use countermand_core::id::PersonId;
use countermand_core::index::Fact;
use countermand_core::notice::Kind;
use countermand_core::platform::Platform;
use countermand_core::verdict::Fallback;

use crate::fixture::{Db, by_somebody, keys, person, refusal, report, t};

on_both!(
    inv_05_a_key_stays_with_whom_it_came_with_first,
    inv_05_a_recognised_key_is_a_device_until_a_report_takes_it_in,
    inv_34_a_word_that_does_not_fit_changes_nothing,
    a_refusal_of_an_unknown_device_is_remembered_as_one,
    what_was_the_matter_last_is_told_whoever_tells_it_last,
    very_many_claims_are_one_commit,
    inv_05_an_own_word_counts_once_and_by_the_facts_that_it_was_judged_by,
    inv_05_a_word_that_is_taken_back_takes_what_it_gave_and_no_more,
);

fn claim(key: &str, person: u32, at: i64) -> Claim {
    Claim {
        key: key.parse().unwrap(),
        person: PersonId(person),
        at: t(at),
        first: false,
    }
}

fn word(key: &str, person: u32, same_as: Option<&str>) -> Recognition {
    Recognition {
        key: key.parse().unwrap(),
        person: PersonId(person),
        same_as: same_as.map(|k| k.parse().unwrap()),
        platform: Some(Platform::Ios),
        form_factor: None,
        reason: "showed it at the desk".to_owned(),
    }
}

async fn staff(db: &Db) {
    let rows = ["al@corp.test", "bo@corp.test"].map(|email| person(email, &[], &["staff"]));
    db.put(Change::People(rows.into())).await;
}

async fn inv_05_a_key_stays_with_whom_it_came_with_first(db: &Db) {
    staff(db).await;
    let other = db.again().await;
    let entries = db.number("SELECT entries FROM audit_head").await;
    let before = db.put(Change::Claims(vec![claim("eas:NEW", 0, 1)])).await;
    // Another process, the same key in another spelling, and an earlier clock.
    let late = Change::Claims(vec![claim("EAS:4e4557", 1, 0), claim("cred:b", 1, 2)]);
    other.commit(&by_somebody(late, t(0))).await.unwrap();
    db.put(Change::Claims(vec![
        claim("eas:new", 0, 9),
        claim("eas:NEW", 1, 9),
    ]))
    .await;

    let all = db.claims_of_key(&keys(&["eas:NEW"])[0]).await.unwrap();
    let told: Vec<_> = all.iter().map(|c| (c.person.0, c.at, c.first)).collect();
    assert_eq!(told, [(0, t(1), true), (1, t(0), false)]);
    let of_bo = db.claims_of_person(PersonId(1)).await.unwrap();
    let of_bo: Vec<_> = of_bo.iter().map(|c| (c.key.as_str(), c.first)).collect();
    assert_eq!(of_bo, [("cred:b", true), ("eas:4e4557", false)]);
    assert_eq!(
        db.number("SELECT entries FROM audit_head").await,
        entries,
        "each is a record of its own"
    );

    // Who follows and who builds anew know the same.
    let followed = other.follow(before).await.unwrap().unwrap();
    let touched = Touched::Claims(vec!["cred:b".into(), "eas:new".into()]);
    assert_eq!(followed.touched, [touched], "what was known is no news");
    let claims = |facts: Vec<Fact>| {
        let claims = facts.into_iter().filter(|f| matches!(f, Fact::Claim(_)));
        crate::fixture::sorted(&claims.collect::<Vec<_>>())
    };
    assert_eq!(
        claims(followed.facts),
        claims(db.load().await.unwrap().facts)
    );
    let index = db.index().await;
    let first = index.first_with(&keys(&["eas:NEW"])[0]).unwrap();
    assert_eq!(first.email, "al@corp.test");
}

async fn inv_05_a_recognised_key_is_a_device_until_a_report_takes_it_in(db: &Db) {
    staff(db).await;
    let since = db.version().await.unwrap();
    db.put(Change::Recognise(word("eas:NEW", 0, None))).await;
    let followed = db.follow(since).await.unwrap().unwrap();
    let [Fact::Device(device)] = &followed.facts[..] else {
        panic!("{:?}", followed.facts);
    };
    assert_eq!(
        (device.person, device.last_report),
        (Some(PersonId(0)), None)
    );
    assert_eq!(device.platform, Platform::Ios);
    let entry = db.audit_newest(None, 1).await.unwrap().remove(0);
    assert_eq!(entry.action, "device.recognise");
    assert!(
        entry.details.contains("showed it at the desk"),
        "{}",
        entry.details
    );

    // One more name, then a mended word, then a report that knows better.
    db.put(Change::Recognise(word("eas:ROTATED", 0, Some("eas:NEW"))))
        .await;
    db.put(Change::Recognise(word("eas:NEW", 1, None))).await;
    let index = db.index().await;
    let both: Vec<_> = index.devices_called(&keys(&["eas:ROTATED"])[0]).collect();
    assert_eq!((both.len(), both[0].keys.len()), (1, 2));
    assert_eq!(both[0].person, Some(PersonId(1)));
    let whole = report(
        "csv",
        &["mdm:csv:7", "eas:ROTATED"],
        Some("al@corp.test"),
        &[],
    );
    db.put(Change::Reports(vec![whole])).await;
    let index = db.index().await;
    assert_eq!(index.devices().count(), 1, "the report is of that device");
    let now = index.devices().next().unwrap();
    assert_eq!((now.person, now.keys.len()), (Some(PersonId(0)), 3));
    assert_eq!(now.platform, Platform::Android);
}

async fn inv_34_a_word_that_does_not_fit_changes_nothing(db: &Db) {
    staff(db).await;
    let of = |key: &'static str, owner| report("csv", &[key], owner, &[]);
    db.put(Change::Reports(vec![
        of("eas:AL", Some("al@corp.test")),
        of("eas:NOBODYS", None),
    ]))
    .await;
    let two = |n: &'static str| report("csv", &[n, "eas:TWO"], Some("al@corp.test"), &[]);
    db.put(Change::Reports(vec![two("mdm:csv:1"), two("mdm:csv:2")]))
        .await;
    let before = (db.facts().await, db.version().await.unwrap());
    let entries = db.number("SELECT entries FROM audit_head").await;
    for (wrong, why) in [
        (word("eas:AL", 0, None), "nothing to do"),
        (word("eas:AL", 1, None), "another person's"),
        (word("eas:TWO", 0, None), "more than one device"),
        (
            word("eas:NEW", 1, Some("eas:AL")),
            "no key of exactly one device",
        ),
        (
            word("eas:NEW", 0, Some("eas:TWO")),
            "no key of exactly one device",
        ),
        (
            word("eas:NEW", 0, Some("eas:GONE")),
            "no key of exactly one device",
        ),
    ] {
        let commit = by_somebody(Change::Recognise(wrong), t(0));
        match db.store.commit(&commit).await {
            Err(StoreError::Unsupported(text)) => assert!(text.contains(why), "{text}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((db.facts().await, db.version().await.unwrap()), before);
    assert_eq!(db.number("SELECT entries FROM audit_head").await, entries);
    db.put(Change::Recognise(word("eas:NOBODYS", 1, None)))
        .await;
    let index = db.index().await;
    let given = index
        .devices_called(&keys(&["eas:NOBODYS"])[0])
        .next()
        .unwrap();
    assert_eq!(
        given.person,
        Some(PersonId(1)),
        "no report says whose it is"
    );
}

async fn very_many_claims_are_one_commit(db: &Db) {
    staff(db).await;
    let mut all: Vec<Claim> = (0..1100)
        .map(|n| claim(&format!("eas:K{n}"), 0, 1))
        .collect();
    // Of one chunk, and of another.
    all.insert(3, claim("eas:K1", 1, 1));
    all.push(claim("eas:k0", 1, 1));
    let before = db.put(Change::Claims(all)).await;
    let first = "SELECT CAST(SUM(is_first) AS BIGINT) FROM device_claim";
    assert_eq!(db.number(first).await, 1100);
    let count = "SELECT CAST(COUNT(*) AS BIGINT) FROM device_claim";
    assert_eq!(db.number(count).await, 1102);
    let of_bo = db.claims_of_person(PersonId(1)).await.unwrap();
    assert!(of_bo.iter().all(|claim| !claim.first), "{of_bo:?}");
    let touched = db.follow(before - 1).await.unwrap().unwrap().facts;
    assert_eq!(touched.len(), 1102, "all are heard of");
}

async fn inv_05_an_own_word_counts_once_and_by_the_facts_that_it_was_judged_by(db: &Db) {
    staff(db).await;
    let order = db.publish(1, &[0, 1]).await;
    let say = async |key: &str, person, as_of| {
        let change = Change::OwnWord(OwnWord {
            recognition: word(key, person, None),
            order,
            as_of,
        });
        db.store.commit(&by_somebody(change, t(0))).await
    };
    let as_of = db.version().await.unwrap();
    // What goes on all the time speaks against nothing.
    let w = db.worker("w").await;
    w.send(order, Kind::Order, 0, Outcome::Accepted).await;
    db.put(Change::Refusals(vec![refusal(1, Some(0), &[order], t(0))]))
        .await;
    // A claim, a report, the order's end may.
    let stale = |result| assert!(matches!(result, Err(StoreError::Conflict)), "{result:?}");
    db.put(Change::Claims(vec![claim("eas:NEW", 1, 1)])).await;
    stale(say("eas:NEW", 0, as_of).await);
    let of_al = report("csv", &["eas:AL"], Some("al@corp.test"), &["com.x"]);
    let as_of = db.version().await.unwrap();
    db.put(Change::Reports(vec![of_al])).await;
    stale(say("eas:NEW", 0, as_of).await);
    assert!(!db.gave_own_word(order, PersonId(0)).await.unwrap());
    let as_of = db.version().await.unwrap();
    w.send(order, Kind::Order, 1, Outcome::Accepted).await;
    say("eas:NEW", 0, as_of).await.unwrap();
    assert!(db.gave_own_word(order, PersonId(0)).await.unwrap());
    // Of two at once the second is judged anew.
    stale(say("eas:NEW", 1, as_of).await);
    let as_of = db.version().await.unwrap();
    match say("eas:OTHER", 0, as_of).await {
        Err(StoreError::Unsupported(why)) => assert!(why.contains("once"), "{why}"),
        other => panic!("{other:?}"),
    }
    say("eas:OTHER", 1, as_of).await.unwrap();
    let second = db.publish(2, &[0]).await;
    assert!(!db.gave_own_word(second, PersonId(0)).await.unwrap());
    let entry = db.audit_newest(Some(order), 1).await.unwrap().remove(0);
    assert_eq!(entry.action, "device.recognise");
}

async fn inv_05_a_word_that_is_taken_back_takes_what_it_gave_and_no_more(db: &Db) {
    staff(db).await;
    let of = |key: &'static str, owner| report("csv", &[key], owner, &[]);
    let recognise = async |key: &str, person, same_as| {
        db.put(Change::Recognise(word(key, person, same_as))).await;
    };
    let forget = async |key: &str| {
        let forget = Forget {
            key: key.parse().unwrap(),
            person: None,
            reason: "in error".to_owned(),
        };
        let commit = by_somebody(Change::Forget(forget), t(0));
        db.store.commit(&commit).await
    };
    let said = async |key: &str| {
        let key = &keys(&[key])[0];
        let followed = db.index().await;
        let device = followed.devices_called(key).next();
        device.map(|device| device.person.map(|p| p.0))
    };
    db.put(Change::Reports(vec![
        of("eas:AL", Some("al@corp.test")),
        of("eas:NOBODYS", None),
    ]))
    .await;
    let before = db.facts().await;
    // Of an unknown device: all of it, another name by a further word too.
    recognise("eas:NEW", 0, None).await;
    recognise("eas:ROTATED", 0, Some("eas:NEW")).await;
    recognise("eas:NEW", 1, None).await;
    let since = db.version().await.unwrap();
    forget("eas:NEW").await.unwrap();
    assert_eq!(
        (said("eas:NEW").await, said("eas:ROTATED").await),
        (None, None)
    );
    let entry = db.audit_newest(None, 1).await.unwrap().remove(0);
    assert_eq!(entry.action, "device.forget");
    assert!(entry.details.contains("\"person\":1"), "{}", entry.details);
    let followed = db.follow(since).await.unwrap().unwrap();
    assert!(matches!(&followed.facts[..], [Fact::Device(d)] if d.keys.is_empty()));
    for gone in ["eas:NEW", "eas:ROTATED", "eas:AL", "eas:NEVER"] {
        match forget(gone).await {
            Err(StoreError::Unsupported(why)) => assert!(why.contains("nobody's word"), "{why}"),
            other => panic!("{gone}: {other:?}"),
        }
    }
    // Of a device that reports know: the name, or whose it is.
    recognise("eas:RESTORED", 0, Some("eas:AL")).await;
    recognise("eas:NOBODYS", 1, None).await;
    forget("eas:RESTORED").await.unwrap();
    forget("eas:NOBODYS").await.unwrap();
    assert_eq!(said("eas:AL").await, Some(Some(0)));
    assert_eq!(
        (said("eas:RESTORED").await, said("eas:NOBODYS").await),
        (None, Some(None))
    );
    let after = db.facts().await;
    assert_eq!(
        after.len(),
        before.len() + 1,
        "a device without a name is left"
    );
    // What a report has said since is the report's.
    recognise("eas:LATER", 0, None).await;
    db.put(Change::Reports(vec![of("eas:LATER", None)])).await;
    forget("eas:LATER").await.unwrap();
    assert_eq!(said("eas:LATER").await, Some(None), "it did not say whose");
    recognise("eas:LATER", 0, None).await;
    db.put(Change::Reports(vec![of("eas:LATER", Some("al@corp.test"))]))
        .await;
    assert!(forget("eas:LATER").await.is_err());
    assert_eq!(said("eas:LATER").await, Some(Some(0)));
}

async fn a_refusal_of_an_unknown_device_is_remembered_as_one(db: &Db) {
    let order = db.publish(1, &[0, 1]).await;
    let refused = |fingerprint, certain, missing| {
        let mut refusal = refusal(fingerprint, Some(0), &[order], t(0));
        refusal.certain = certain;
        refusal.missing = missing;
        Change::Refusals(vec![refusal])
    };
    let (unknown, no_key) = (Some(Fallback::UnknownDevice), Some(Fallback::NoDeviceKey));
    for (n, certain, missing, expected) in [
        (1, false, unknown, None),
        (2, true, None, None),
        (3, true, no_key, no_key),
        (4, true, None, None),
        (5, false, no_key, None),
        (6, true, unknown, unknown),
        (7, true, None, unknown),
    ] {
        db.put(refused(n, certain, missing)).await;
        let told = db.missing_when_refused(order, PersonId(0)).await.unwrap();
        assert_eq!(told, expected, "{n}");
        let known = db.was_unknown_device(order, PersonId(0)).await.unwrap();
        assert_eq!(known, expected == unknown, "{n}");
    }
    assert!(!db.was_unknown_device(order, PersonId(1)).await.unwrap());
}

async fn what_was_the_matter_last_is_told_whoever_tells_it_last(db: &Db) {
    let order = db.publish(1, &[0]).await;
    let refused = async |fingerprint, at, missing| {
        let mut refusal = refusal(fingerprint, Some(0), &[order], t(at));
        refusal.missing = missing;
        db.put(Change::Refusals(vec![refusal])).await;
    };
    let told = async || db.missing_when_refused(order, PersonId(0)).await.unwrap();
    let (no_key, ambiguous) = (Some(Fallback::NoDeviceKey), Some(Fallback::AmbiguousKey));
    refused(1, 50, no_key).await;
    // From a gate that was alone in between: of before, of the same moment, and of after.
    refused(2, 40, None).await;
    assert_eq!(told().await, no_key);
    refused(3, 30, ambiguous).await;
    assert_eq!(told().await, no_key);
    refused(4, 60, ambiguous).await;
    assert_eq!(told().await, ambiguous);
    refused(5, 60, None).await;
    assert_eq!(told().await, None);
    refused(1, 10, no_key).await;
    assert_eq!(told().await, None);
    let all = db.refusals_of(PersonId(0)).await.unwrap();
    let first = all.iter().find(|one| one.times == 2).unwrap();
    assert_eq!((first.first_at, first.last_at), (t(10), t(50)));
    assert_eq!(all[0].last_at, t(60));
}
