//! A database of before, and what newer tables make of its facts.

use countermand_core::change::{Change, Forget};
use countermand_core::fleet::Recognition;
use countermand_core::id::PersonId;
use countermand_core::platform::Platform;

use crate::fixture::{Db, by_somebody, keys, person, report, t};

on_both!(
    inv_05_keys_of_before_are_compared_as_now,
    inv_05_a_word_of_before_can_be_taken_back,
);

/// Takes the tables back to those before words were kept, and serial numbers compared as numbers.
async fn made_old(db: &Db) {
    for sql in [
        "DROP TABLE own_word",
        "DROP TABLE device_word",
        "ALTER TABLE refused DROP COLUMN fallback",
        "ALTER TABLE refused DROP COLUMN fallback_at",
        "DELETE FROM migration WHERE number > 5",
    ] {
        db.raw(sql).await;
    }
}

async fn staff(db: &Db) {
    let rows = ["al@corp.test", "bo@corp.test"].map(|email| person(email, &[], &["staff"]));
    db.put(Change::People(rows.into())).await;
}

async fn inv_05_keys_of_before_are_compared_as_now(db: &Db) {
    staff(db).await;
    let of = |key: &'static str| report("csv", &[key], Some("al@corp.test"), &[]);
    let subject = "cert:CN=dev-7F3A,O=Corp";
    let all = ["cert:0xA1", "cert:00", "cert:0x", "cert:::", subject];
    db.put(Change::Reports(all.map(of).into())).await;
    for sql in [
        "UPDATE device_key SET canonical = 'cert:0xa1' WHERE canonical = 'cert:a1'",
        // The same device, in another program's spelling.
        "INSERT INTO device_key (canonical, device, text) SELECT 'cert:00:a1', device, 'cert:00:A1' FROM device_key WHERE canonical = 'cert:0xa1'",
        "UPDATE device_key SET canonical = 'cert:00' WHERE canonical = 'cert:0'",
        // Al came with it first in one spelling, Bo in another and before that.
        "INSERT INTO device_claim (canonical, person, text, at, is_first) VALUES ('cert:0xb1', 0, 'cert:0xB1', 2000000, 1)",
        "INSERT INTO device_claim (canonical, person, text, at, is_first) VALUES ('cert:b1', 0, 'cert:B1', 3000000, 1)",
        "INSERT INTO device_claim (canonical, person, text, at, is_first) VALUES ('cert:0b1', 1, 'cert:0B1', 1000000, 1)",
        // Bo came with it in this spelling after Al, and in that one before.
        "INSERT INTO device_claim (canonical, person, text, at, is_first) VALUES ('cert:c1', 0, 'cert:C1', 2000000, 1)",
        "INSERT INTO device_claim (canonical, person, text, at, is_first) VALUES ('cert:c1', 1, 'cert:C1', 3000000, 0)",
        "INSERT INTO device_claim (canonical, person, text, at, is_first) VALUES ('cert:0xc1', 1, 'cert:0xC1', 1000000, 1)",
        "INSERT INTO device_claim (canonical, person, text, at, is_first) VALUES ('cert:0x0c1', 1, 'cert:0x0C1', 1500000, 1)",
    ] {
        db.raw(sql).await;
    }
    made_old(db).await;

    let now = db.again().await;
    let left = "SELECT CAST(COUNT(*) AS BIGINT) FROM device_key WHERE canonical IN ('cert:a1', 'cert:0', 'cert:0x', 'cert:::', 'cert:cn=dev-7f3a,o=corp')";
    assert_eq!(db.number(left).await, 5);
    let every = "SELECT CAST(COUNT(*) AS BIGINT) FROM device_key";
    assert_eq!(db.number(every).await, 5);
    // A report finds its device by what is compared.
    let again = ["cert:A1", "cert:0", subject].map(of);
    now.commit(&by_somebody(Change::Reports(again.into()), t(0)))
        .await
        .unwrap();
    assert_eq!(db.index().await.devices().count(), 5);
    for key in ["cert:B1", "cert:C1"] {
        let claims = now.claims_of_key(&keys(&[key])[0]).await.unwrap();
        let mut told: Vec<_> = claims
            .iter()
            .map(|c| (c.person.0, c.at.as_second(), c.first))
            .collect();
        told.sort();
        assert_eq!(told, [(0, 2, false), (1, 1, true)], "{key}");
    }
}

async fn inv_05_a_word_of_before_can_be_taken_back(db: &Db) {
    staff(db).await;
    let word = Recognition {
        key: keys(&["eas:NEW"]).remove(0),
        person: PersonId(0),
        same_as: None,
        platform: Some(Platform::Ios),
        form_factor: None,
        reason: "showed it at the desk".to_owned(),
    };
    db.put(Change::Recognise(word)).await;
    let of_al = report("csv", &["eas:AL"], Some("al@corp.test"), &[]);
    db.put(Change::Reports(vec![of_al])).await;
    made_old(db).await;

    let now = db.again().await;
    let forget = async |key: &'static str| {
        let forget = Forget {
            key: keys(&[key]).remove(0),
            person: None,
            reason: "in error".to_owned(),
        };
        let commit = by_somebody(Change::Forget(forget), t(0));
        now.commit(&commit).await
    };
    forget("eas:NEW").await.unwrap();
    assert!(forget("eas:AL").await.is_err(), "a report says it");
    let index = db.index().await;
    let left = |key| index.devices_called(&keys(&[key])[0]).count();
    assert_eq!((left("eas:NEW"), left("eas:AL")), (0, 1));
}
