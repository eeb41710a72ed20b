//! Operators, their passwords and sessions; refusals at doors.

use countermand::store::{Session, StoreError, Touched};
use countermand_core::actor::{Operator, Role};
use countermand_core::change::Change;
use countermand_core::id::{PersonId, refusal_ref};

use crate::fixture::*;

on_both!(
    operators_are_added_and_given_other_roles,
    a_password_uses_up_the_invitation_and_ends_sessions,
    one_link_sets_one_password_and_not_for_ever,
    nobody_invites_or_changes_whom_there_is_not,
    an_expired_session_is_none,
    refusals_of_one_cause_are_one,
    who_was_refused_is_remembered_once_an_order,
);

fn operator(email: &str, roles: &[Role]) -> Change {
    let roles = roles.iter().copied().collect();
    Change::Operator(Operator {
        email: email.to_owned(),
        roles,
    })
}

fn invite(email: &str, invitation: &str) -> Change {
    Change::Invite {
        email: email.to_owned(),
        invitation: invitation.to_owned(),
        until: t(50),
    }
}

fn password(email: &str, hash: &str) -> Change {
    Change::Password {
        email: email.to_owned(),
        hash: hash.to_owned(),
        invitation: None,
    }
}

fn invited_password(email: &str, hash: &str, invitation: &str) -> Change {
    Change::Password {
        email: email.to_owned(),
        hash: hash.to_owned(),
        invitation: Some(invitation.to_owned()),
    }
}

fn session(email: &str, until: i64) -> Session {
    Session {
        email: email.to_owned(),
        csrf: format!("csrf of {email}"),
        expires_at: t(until),
    }
}

async fn operators_are_added_and_given_other_roles(db: &Db) {
    db.put(operator("zoe@corp.test", &[Role::Viewer])).await;
    db.put(operator("al@corp.test", &[Role::Author, Role::Approver]))
        .await;
    db.put(password("zoe@corp.test", "hash")).await;
    db.put(operator("zoe@corp.test", &[Role::Responder])).await;
    let all = db.operators().await.unwrap();
    let emails: Vec<&str> = all.iter().map(|o| o.email.as_str()).collect();
    assert_eq!(emails, ["al@corp.test", "zoe@corp.test"]);
    let zoe = db.operator("zoe@corp.test").await.unwrap().unwrap();
    assert_eq!(zoe.roles, [Role::Responder].into());
    // Other roles, the same password.
    let known = db.credentials("zoe@corp.test").await.unwrap().unwrap();
    assert_eq!(known.password.as_deref(), Some("hash"));
    assert!(db.operator("nobody@corp.test").await.unwrap().is_none());
    assert!(db.credentials("nobody@corp.test").await.unwrap().is_none());
    // The record never holds a secret.
    let said: String = db
        .audit_after(0, 9)
        .await
        .unwrap()
        .into_iter()
        .map(|e| e.details)
        .collect();
    assert!(
        said.contains("zoe@corp.test") && !said.contains("hash"),
        "{said}"
    );
}

async fn a_password_uses_up_the_invitation_and_ends_sessions(db: &Db) {
    for email in ["al@corp.test", "bea@corp.test"] {
        db.put(operator(email, &[Role::Viewer])).await;
        db.begin_session(&format!("token of {email}"), &session(email, 100), t(0))
            .await
            .unwrap();
    }
    db.put(invite("al@corp.test", "token hash")).await;
    let known = db.credentials("al@corp.test").await.unwrap().unwrap();
    assert_eq!(
        (known.password, known.invitation),
        (None, Some(("token hash".to_owned(), t(50))))
    );
    db.put(password("al@corp.test", "hash")).await;
    let known = db.credentials("al@corp.test").await.unwrap().unwrap();
    assert_eq!(
        (known.password.as_deref(), known.invitation),
        (Some("hash"), None)
    );
    assert!(
        db.session("token of al@corp.test", t(0))
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        db.session("token of bea@corp.test", t(0))
            .await
            .unwrap()
            .is_some()
    );
}

async fn nobody_invites_or_changes_whom_there_is_not(db: &Db) {
    for change in [invite("no@corp.test", "x"), password("no@corp.test", "x")] {
        let error = db.commit(&by_somebody(change, t(0))).await.unwrap_err();
        assert!(
            matches!(&error, StoreError::NotFound(t) if t.contains("no@corp.test")),
            "{error:?}"
        );
    }
    assert_eq!(db.audit_verify().await.unwrap().entries, 0);
}

async fn an_expired_session_is_none(db: &Db) {
    db.begin_session("token", &session("al@corp.test", 100), t(0))
        .await
        .unwrap();
    let found = db.session("token", t(99)).await.unwrap().unwrap();
    assert_eq!(
        (found.email.as_str(), found.csrf.as_str()),
        ("al@corp.test", "csrf of al@corp.test")
    );
    assert_eq!(found.expires_at, t(100));
    assert!(db.session("token", t(100)).await.unwrap().is_none());
    assert!(db.session("other", t(0)).await.unwrap().is_none());
    db.begin_session("token", &session("bea@corp.test", 100), t(0))
        .await
        .unwrap_err();
    db.end_session("token").await.unwrap();
    assert!(db.session("token", t(0)).await.unwrap().is_none());
    db.end_session("token").await.unwrap();
    // Whoever signs in sweeps out what is over.
    for (token, until, now) in [("old", 100, 0), ("good", 101, 0), ("new", 300, 100)] {
        db.begin_session(token, &session("al@corp.test", until), t(now))
            .await
            .unwrap();
    }
    assert!(db.session("old", t(0)).await.unwrap().is_none());
    assert!(db.session("good", t(0)).await.unwrap().is_some());
}

async fn one_link_sets_one_password_and_not_for_ever(db: &Db) {
    let al = "al@corp.test";
    db.put(operator(al, &[Role::Viewer])).await;
    db.put(invite(al, "link")).await;
    let refused = async |change: Change, at: i64| {
        let error = db.commit(&by_somebody(change, t(at))).await.unwrap_err();
        assert!(matches!(error, StoreError::Conflict), "{error:?}");
    };
    refused(invited_password(al, "theirs", "other"), 0).await;
    refused(invited_password(al, "late", "link"), 50).await;
    db.commit(&by_somebody(invited_password(al, "first", "link"), t(49)))
        .await
        .unwrap();
    refused(invited_password(al, "second", "link"), 49).await;
    let known = db.credentials(al).await.unwrap().unwrap();
    assert_eq!(known.password.as_deref(), Some("first"));
}

async fn refusals_of_one_cause_are_one(db: &Db) {
    let (early, late) = (
        refusal(77, Some(3), &[], t(1)),
        refusal(77, Some(3), &[], t(9)),
    );
    db.put(Change::Refusals(vec![early.clone(), early])).await;
    db.put(Change::Refusals(vec![late])).await;
    // Another cause whose reference happens to read alike: the low thirty bits are the same.
    db.put(Change::Refusals(vec![refusal(
        77 + (1 << 30),
        None,
        &[],
        t(20),
    )]))
    .await;
    let found = db
        .refusals_called(&format!(" {} ", refusal_ref(77).to_lowercase()))
        .await
        .unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].person, found[0].times), (None, 1));
    let old = &found[1];
    assert_eq!((old.person, old.times), (Some(PersonId(3)), 3));
    assert_eq!((old.first_at, old.last_at), (t(1), t(9)));
    assert_eq!(
        (old.reference.as_str(), old.known.as_str()),
        (refusal_ref(77).as_str(), r#"{"decision":"deny"}"#)
    );
    assert!(db.refusals_called("R-ZZZZ-ZZ").await.unwrap().is_empty());
    // The largest fingerprint is one as well.
    db.put(Change::Refusals(vec![refusal(u64::MAX, None, &[], t(0))]))
        .await;
    assert_eq!(db.refusals_called("R-ZZZZ-ZZ").await.unwrap().len(), 1);
}

async fn who_was_refused_is_remembered_once_an_order(db: &Db) {
    let (one, two) = (order_id(1), order_id(2));
    let refusals = vec![
        refusal(1, Some(0), &[one, two], t(0)),
        refusal(2, Some(4), &[one], t(0)),
        refusal(3, None, &[one], t(0)),
    ];
    let version = db.put(Change::Refusals(refusals.clone())).await;
    let refused = |order| async move {
        let people: Vec<u32> = db.refused(order).await.unwrap().iter().collect();
        people
    };
    assert_eq!(refused(one).await, [0, 4]);
    assert_eq!(refused(two).await, [0]);
    let followed = db.follow(version - 1).await.unwrap().unwrap();
    assert_eq!(
        followed.touched,
        [Touched::Refused(one), Touched::Refused(two)]
    );
    // The second time is no news.
    db.put(Change::Refusals(refusals)).await;
    assert!(
        db.follow(version)
            .await
            .unwrap()
            .unwrap()
            .touched
            .is_empty()
    );
}
