//! The installation itself.

use std::sync::Arc;

use countermand::clock::ManualClock;
use countermand::config::TransportKind;
use countermand::doctor::{self, Status};
use countermand_core::actor::{Actor, Role};

use crate::clinic::{Clinic, found};
use crate::support::app::{APPROVER, RESPONDER, operator, time};

#[test]
fn the_database_is_away() {
    let clinic = Clinic::new();
    let mut visit = clinic.visit();
    visit.app = Err("connection refused".to_owned());
    let report = clinic.run(doctor::examine(&visit));
    assert_eq!(found(&report), [("database", Status::Failed)]);
    assert!(report.0[0].what.contains("connection refused"));
}

#[test]
fn nobody_is_left_who_can_retract_or_approve() {
    let clinic = Clinic::new();
    let by = Actor::Local("test".to_owned());
    let put = |email: &str, role: Role| {
        clinic
            .run(clinic.world.app.put_operator(&by, email, [role].into()))
            .unwrap();
        clinic.run(clinic.world.app.live.follow()).unwrap();
    };
    put(APPROVER, Role::Viewer);
    assert_eq!(
        clinic.findings(),
        [("operators", Status::Warning)],
        "one can approve"
    );
    put(RESPONDER, Role::Viewer);
    assert_eq!(
        clinic.findings(),
        [("operators", Status::Failed)],
        "none can retract"
    );
}

#[test]
fn doors_that_were_left_open_are_named() {
    let clinic = Clinic::new();
    let responder = operator(RESPONDER);
    let opened = clinic
        .world
        .app
        .open_doors(&responder, "the board cannot read mail");
    clinic.run(opened).unwrap();
    assert_eq!(clinic.findings(), [("mode", Status::Warning)]);
}

#[test]
fn the_clock_is_behind_the_record() {
    let clinic = Clinic::new();
    let mut visit = clinic.visit();
    visit.clock = Arc::new(ManualClock::at(time("2020-07-10T18:00:00Z")));
    let report = clinic.run(doctor::examine(&visit));
    let expected = [("clock", Status::Failed), ("gate.clock", Status::Warning)];
    assert_eq!(
        found(&report),
        expected,
        "an hour behind the record, and the server"
    );
}

#[test]
fn what_is_not_for_every_day_is_named() {
    let mut clinic = Clinic::new();
    clinic.config.server.trust_shell = true;
    clinic.config.notices.transport = TransportKind::Mailbox;
    let expected = [
        ("config.trust_shell", Status::Warning),
        ("config.transport", Status::Warning),
    ];
    assert_eq!(clinic.findings(), expected);
}
