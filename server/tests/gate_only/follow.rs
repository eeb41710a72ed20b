//! The story: allowed, refused, the main server killed, the gate killed, and all of it taken back.

use crate::house::{House, ask, metric, told};

const ALICE: (&str, &str) = ("alice@corp.test", "DEV7F3A");
const BOB: (&str, &str) = ("bob@corp.test", "DEVB0B");

#[test]
fn inv_23_inv_27_a_gate_goes_on_without_the_main_server_and_converges() {
    let house = House::new();
    let main = house.main(&[]);
    let gate = house.gate(&[]);
    house.follows(&gate);
    assert_eq!(told(&house.asks(ALICE.0, ALICE.1)), (204, Some("allow")));

    let order = house.publish();
    gate.await_that("refuse as the main server does", || {
        told(&house.asks(ALICE.0, ALICE.1)) == (403, Some("deny"))
    });
    house.follows(&gate);
    let here = house.asks(ALICE.0, ALICE.1);
    let there = ask(house.main_port, ALICE.0, ALICE.1);
    for header in ["reason", "ref", "decision"] {
        let header = format!("x-countermand-{header}");
        assert_eq!(here.header(&header), there.header(&header));
    }
    assert!(
        here.header("x-countermand-reason")
            .unwrap()
            .contains("TikTok")
    );
    assert_eq!(told(&house.asks(BOB.0, BOB.1)).0, 204);
    let age: f64 = here
        .header("x-countermand-view-age")
        .unwrap()
        .parse()
        .unwrap();
    assert!(age < 600.0, "{age}");

    drop(main);
    // Who had no notice of it is refused while the main server is away.
    let refused = house.asks("dan@corp.test", "NEWPHONE");
    assert_eq!(told(&refused), (403, Some("deny")));
    let reference = refused.header("x-countermand-ref").unwrap().to_owned();
    assert_eq!(told(&house.asks(ALICE.0, ALICE.1)).0, 403);
    assert_eq!(told(&house.asks(BOB.0, BOB.1)).0, 204);
    gate.await_that("say that it is cut off", || {
        metric(house.gate_port, "countermand_gate_main_reachable") == 0.0
            && metric(house.gate_port, "countermand_gate_spool_failures_total") >= 1.0
            && metric(house.gate_port, "countermand_gate_spool_waiting") >= 1.0
    });
    assert_eq!(house.explain(&reference), None, "nobody has told it yet");

    drop(gate);
    let gate = house.gate(&[]);
    let again = house.asks("dan@corp.test", "NEWPHONE");
    assert_eq!(told(&again), (403, Some("deny")));
    assert_eq!(again.header("x-countermand-ref"), Some(&*reference));
    assert_eq!(told(&house.asks(ALICE.0, ALICE.1)).0, 403);
    assert_eq!(told(&house.asks(BOB.0, BOB.1)).0, 204);
    assert_eq!(
        again.header("x-countermand-view-version"),
        refused.header("x-countermand-view-version")
    );

    let main = house.main(&[]);
    gate.await_that("hand over whom it refused", || {
        metric(house.gate_port, "countermand_gate_spool_waiting") == 0.0
    });
    let found = house.explain(&reference).unwrap();
    assert!(found.to_string().contains("eas:NEWPHONE"), "{found}");
    assert_eq!(
        metric(house.gate_port, "countermand_gate_spool_lost_total"),
        0.0
    );

    house.retract(&order);
    gate.await_that("let in whom nothing forbids any more", || {
        told(&house.asks(ALICE.0, ALICE.1)) == (204, Some("allow"))
    });
    assert_eq!(told(&house.asks("dan@corp.test", "NEWPHONE")).0, 204);
    main.await_that("correct whoever was refused", || {
        house.mailed("CORRECTION: you may keep TikTok").len() >= 2
    });
    assert_eq!(
        house.mailed("CORRECTION: you may keep TikTok"),
        ["alice@corp.test", "dan@corp.test"],
        "Eve and Bob heard nothing of it"
    );
}

#[test]
fn inv_23_whoever_a_cut_off_gate_refuses_after_the_retraction_is_corrected_too() {
    let house = House::new();
    let main = house.main(&[]);
    let gate = house.gate(&[]);
    let order = house.publish();
    gate.await_that("refuse as the main server does", || {
        told(&house.asks(ALICE.0, ALICE.1)) == (403, Some("deny"))
    });
    house.follows(&gate);
    drop(main);
    // By the command line, so that the gate can't know.
    house.retract(&order);
    let refused = house.asks("dan@corp.test", "NEWPHONE");
    assert_eq!(told(&refused), (403, Some("deny")), "its view is of before");
    let main = house.main(&[]);
    gate.await_that("hear of the retraction", || {
        told(&house.asks(ALICE.0, ALICE.1)) == (204, Some("allow"))
    });
    main.await_that("correct whoever was refused", || {
        let corrected = house.mailed("CORRECTION: you may keep TikTok");
        corrected.contains(&"dan@corp.test".to_owned())
    });
    let corrected = house.mailed("CORRECTION: you may keep TikTok");
    assert!(
        !corrected.contains(&"eve@corp.test".to_owned()),
        "{corrected:?}"
    );
    let reference = refused.header("x-countermand-ref").unwrap();
    assert!(house.explain(reference).is_some());
}

#[test]
fn inv_05_a_key_that_came_to_a_gate_is_its_first_persons_everywhere() {
    let house = House::new();
    let _main = house.main(&[]);
    let gate = house.gate(&[]);
    house.follows(&gate);
    assert_eq!(
        told(&house.asks("dan@corp.test", "NEWPHONE")).0,
        204,
        "no order yet"
    );
    gate.await_that("hand over that Dan came with it", || {
        let found = house.answers(&["device", "show", "eas:NEWPHONE"]);
        found.to_string().contains("dan@corp.test")
    });
}
