//! People: joined by any shared address, and never losing one.

use countermand::store::StoreError;
use countermand_core::change::Change;
use countermand_core::fleet::Person;
use countermand_core::id::PersonId;

use crate::fixture::*;

on_both!(
    people_are_numbered_in_the_order_of_the_list,
    inv_05_people_are_one_by_any_shared_address,
    inv_05_one_chunk_joins_its_own_rows,
    addresses_are_never_dropped,
    two_known_people_who_share_an_address_stay_two,
    letter_case_is_folded_when_asked_for,
    a_large_chunk_is_taken_whole,
    a_person_number_that_nobody_has_is_named,
);

async fn all(db: &Db) -> Vec<Person> {
    db.index().await.people().cloned().collect()
}

async fn people_are_numbered_in_the_order_of_the_list(db: &Db) {
    let rows = ["zoe@corp.test", "al@corp.test"].map(|e| person(e, &[], &["staff"]));
    db.put(Change::People(rows.to_vec())).await;
    db.put(Change::People(vec![person("mia@corp.test", &[], &[])]))
        .await;
    let emails: Vec<String> = all(db).await.into_iter().map(|p| p.email).collect();
    assert_eq!(emails, ["zoe@corp.test", "al@corp.test", "mia@corp.test"]);
    let zoe = db.person(PersonId(0)).await.unwrap();
    assert_eq!(zoe.groups, set(&["staff"]));
    assert_eq!(
        (zoe.locale.as_str(), zoe.time_zone.as_str()),
        ("en", "America/Los_Angeles")
    );
}

async fn inv_05_people_are_one_by_any_shared_address(db: &Db) {
    db.put(Change::People(vec![person(
        "al@corp.test",
        &["alan@corp.test"],
        &["staff"],
    )]))
    .await;
    // By an alias that has become the mail address, and by one alias that both rows name.
    db.put(Change::People(vec![person("alan@corp.test", &[], &["it"])]))
        .await;
    db.put(Change::People(vec![person(
        "a.new@corp.test",
        &["al@corp.test"],
        &["it", "staff"],
    )]))
    .await;
    let people = all(db).await;
    assert_eq!(people.len(), 1);
    assert_eq!(people[0].email, "a.new@corp.test");
    assert_eq!(people[0].aliases, set(&["al@corp.test", "alan@corp.test"]));
    assert_eq!(people[0].groups, set(&["it", "staff"]));
}

async fn inv_05_one_chunk_joins_its_own_rows(db: &Db) {
    let rows = vec![
        person("al@corp.test", &["x@corp.test"], &["staff"]),
        person("bea@corp.test", &[], &["staff"]),
        person("x@corp.test", &["y@corp.test"], &["it"]),
        person("al@corp.test", &[], &["ops"]),
    ];
    db.put(Change::People(rows)).await;
    let people = all(db).await;
    assert_eq!(people.len(), 2);
    assert_eq!(people[0].email, "al@corp.test");
    assert_eq!(people[0].aliases, set(&["x@corp.test", "y@corp.test"]));
    assert_eq!(people[0].groups, set(&["ops"]));
}

async fn addresses_are_never_dropped(db: &Db) {
    db.put(Change::People(vec![person(
        "al@corp.test",
        &["old@corp.test"],
        &[],
    )]))
    .await;
    db.put(Change::People(vec![person(
        "al@corp.test",
        &["new@corp.test"],
        &[],
    )]))
    .await;
    assert_eq!(
        all(db).await[0].aliases,
        set(&["new@corp.test", "old@corp.test"])
    );
    assert_eq!(
        db.number("SELECT CAST(COUNT(*) AS BIGINT) FROM person_address")
            .await,
        3
    );
}

async fn two_known_people_who_share_an_address_stay_two(db: &Db) {
    let rows = vec![
        person("al@corp.test", &[], &[]),
        person("bea@corp.test", &["b@corp.test"], &[]),
    ];
    db.put(Change::People(rows)).await;
    // The mail address decides; the other's address stays the other's, so their receipts do too.
    db.put(Change::People(vec![person(
        "al@corp.test",
        &["b@corp.test", "a2@corp.test"],
        &["it"],
    )]))
    .await;
    // No mail address known, two aliases of two people: the first known takes the row.
    db.put(Change::People(vec![person(
        "c@corp.test",
        &["al@corp.test", "bea@corp.test"],
        &["hr"],
    )]))
    .await;
    let people = all(db).await;
    assert_eq!(people.len(), 2);
    assert_eq!(people[0].email, "c@corp.test");
    assert_eq!(people[0].aliases, set(&["a2@corp.test", "al@corp.test"]));
    assert_eq!(people[0].groups, set(&["hr"]));
    assert_eq!(people[1].email, "bea@corp.test");
    assert_eq!(people[1].aliases, set(&["b@corp.test"]));
    let index = db.index().await;
    assert_eq!(index.person_called("b@corp.test").unwrap().id, PersonId(1));
    // But whoever may approve is asked for by every address that either list named (invariant 8).
    for address in ["c@corp.test", "bea@corp.test", "al@corp.test"] {
        let names = db.same_person(address).await.unwrap();
        for other in [
            "c@corp.test",
            "bea@corp.test",
            "b@corp.test",
            "al@corp.test",
        ] {
            assert!(names.contains(other), "{address}: {names:?}");
        }
    }
    let alone = db.same_person("nobody@corp.test").await.unwrap();
    assert_eq!(alone, set(&["nobody@corp.test"]));
}

async fn letter_case_is_folded_when_asked_for(db: &Db) {
    db.put(Change::People(vec![person(
        "al@corp.test",
        &["émile@corp.test"],
        &[],
    )]))
    .await;
    let index = db.index().await;
    assert!(index.person_called(" AL@Corp.Test ").is_some());
    assert!(index.person_called("ÉMILE@corp.test").is_some());
    // A report may name its person in any letter case.
    db.put(Change::Reports(vec![report(
        "mdm",
        &["mdm:mdm:1"],
        Some("Émile@CORP.test"),
        &[],
    )]))
    .await;
    let index = db.index().await;
    assert_eq!(index.devices().next().unwrap().person, Some(PersonId(0)));
}

async fn a_large_chunk_is_taken_whole(db: &Db) {
    let rows: Vec<_> = (0..1_200)
        .map(|n| {
            let alias = format!("alias{n}@corp.test");
            person(&format!("p{n}@corp.test"), &[&alias], &["staff"])
        })
        .collect();
    db.put(Change::People(rows.clone())).await;
    db.put(Change::People(rows)).await;
    let index = db.index().await;
    assert_eq!(index.people().count(), 1_200);
    assert_eq!(
        index.person_called("alias1199@corp.test").unwrap().id,
        PersonId(1_199)
    );
    let followed = db.follow(0).await.unwrap().unwrap();
    assert_eq!(followed.facts.len(), 1_200);
}

async fn a_person_number_that_nobody_has_is_named(db: &Db) {
    let error = db.person(PersonId(77)).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::NotFound(t) if t.contains("77")),
        "{error:?}"
    );
}
