//! There is no room for what a gate has to put on record, or the main server does not take it.

use std::sync::Arc;

use countermand::clock::SystemClock;
use countermand::config::{FollowConfig, GateConfig};
use countermand::gate::follow::{Caller, Follower, keep_handing_over};
use countermand::gate::spool::{self, Spool};
use countermand::gate::{self, Gate, Keeper, page};
use countermand::live::Live;
use countermand::live::disk::{self, Disk};
use countermand_core::id::refusal_ref;
use serde_json::json;

use crate::house::{FOLLOW, House, SECRET, metric, told};

const CORRECTION: &str = "CORRECTION: you may keep TikTok";

/// A gate-only server in this process, whose spool has room for so many files.
struct Near {
    gate: Arc<Gate>,
    _runtime: tokio::runtime::Runtime,
}

impl Near {
    fn with_room(house: &House, most_files: usize) -> Near {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let gate = runtime.block_on(async {
            let clock = Arc::new(SystemClock);
            let live = Live::to_be_fed(clock.clone());
            let data = house.gate_data();
            let folder = data.join(spool::FOLDER);
            let spool = Spool::with_room(&folder, most_files, live.clone()).unwrap();
            let config = GateConfig {
                secret: SECRET.to_owned(),
                ..GateConfig::default()
            };
            let gate = Gate::new(
                live.clone(),
                Keeper::Spool(spool.clone()),
                clock.clone(),
                config,
                "http://127.0.0.1:1",
                Box::new(page::plain),
            );
            let follow = FollowConfig {
                secret: FOLLOW.to_owned(),
                url: format!("http://127.0.0.1:{}", house.main_port),
                ..FollowConfig::default()
            };
            let caller = || Caller::new(&follow).unwrap();
            let figures = gate.registry();
            spool.register(figures).unwrap();
            let disk = Disk::empty(&data.join(disk::FILE));
            let follower = Follower::new(live, disk, None, caller(), clock, figures).unwrap();
            tokio::spawn(follower.keep_following());
            tokio::spawn(keep_handing_over(spool, caller()));
            tokio::spawn(gate.clone().keep_recording());
            let address = ("127.0.0.1", house.gate_port);
            let listener = tokio::net::TcpListener::bind(address).await.unwrap();
            let router = gate::router(gate.clone());
            tokio::spawn(async move { axum::serve(listener, router).await });
            gate
        });
        Near {
            gate,
            _runtime: runtime,
        }
    }

    fn figure(&self, name: &str) -> f64 {
        let families = self.gate.registry().gather();
        let family = families.iter().find(|family| family.name() == name);
        family.unwrap().get_metric()[0].get_gauge().get_value()
    }
}

#[test]
fn inv_23_who_is_refused_while_the_spool_is_full_is_found_and_corrected() {
    let house = House::new();
    let main = house.main(&[]);
    let order = house.publish();
    let near = Near::with_room(&house, 1);
    main.await_that("be followed", || {
        told(&house.asks("alice@corp.test", "DEV7F3A")) == (403, Some("deny"))
    });
    main.await_that("take that", || {
        near.figure("countermand_gate_spool_waiting") == 0.0
    });
    drop(main);
    let refused = |person: &str, device: &str| {
        let reply = house.asks(person, device);
        assert_eq!(told(&reply), (403, Some("deny")));
        reply.header("x-countermand-ref").unwrap().to_owned()
    };
    let dan = refused("dan@corp.test", "NEWPHONE");
    assert_eq!(near.figure("countermand_gate_spool_full"), 1.0);
    let eve = refused("eve@corp.test", "EVESPHONE");
    assert_eq!(refused("eve@corp.test", "EVESPHONE"), eve);
    assert_eq!(
        near.figure("countermand_gate_refusals_waiting"),
        1.0,
        "in memory"
    );
    assert_eq!(near.figure("countermand_gate_spool_waiting"), 1.0);

    let main = house.main(&[]);
    for reference in [&dan, &eve] {
        main.await_that("take it", || house.explain(reference).is_some());
    }
    assert_eq!(near.figure("countermand_gate_spool_full"), 0.0);
    house.retract(&order);
    main.await_that("correct both", || {
        let corrected = house.mailed(CORRECTION);
        ["dan@corp.test", "eve@corp.test"]
            .iter()
            .all(|who| corrected.contains(&(*who).to_owned()))
    });
}

#[test]
fn inv_23_a_disk_that_takes_nothing_for_a_while_loses_no_refusal() {
    let house = House::new();
    let _main = house.main(&[]);
    house.publish();
    let gate = house.gate(&[]);
    gate.await_that("refuse as the main server does", || {
        told(&house.asks("alice@corp.test", "DEV7F3A")) == (403, Some("deny"))
    });
    let folder = house.gate_data().join(spool::FOLDER);
    let away = house.gate_data().join("away");
    std::fs::rename(&folder, &away).unwrap();
    let refused = house.asks("dan@corp.test", "NEWPHONE");
    assert_eq!(told(&refused), (403, Some("deny")));
    let reference = refused.header("x-countermand-ref").unwrap();
    gate.await_that("say so", || {
        metric(house.gate_port, "countermand_gate_refusals_waiting") == 1.0
            && gate.log().contains("can't be recorded now")
    });
    assert_eq!(house.explain(reference), None);
    std::fs::rename(&away, &folder).unwrap();
    gate.await_that("hand it over", || house.explain(reference).is_some());
    let times = gate.log().matches("can't be recorded now").count();
    assert_eq!(times, 1, "once, however often it is tried");
}

#[test]
fn inv_23_a_main_server_that_was_restored_is_told_anew_whom_the_gate_refuses() {
    let house = House::new();
    let main = house.main(&[]);
    let gate = house.gate(&[]);
    let order = house.publish();
    gate.await_that("refuse as the main server does", || {
        told(&house.asks("alice@corp.test", "DEV7F3A")) == (403, Some("deny"))
    });
    let backup = house.main_data().join("backup.db");
    let backup = backup.to_str().unwrap();
    house.does(&["--as", "root@corp.test", "backup", backup]);
    let refused = house.asks("dan@corp.test", "NEWPHONE");
    let reference = refused.header("x-countermand-ref").unwrap();
    gate.await_that("hand it over", || house.explain(reference).is_some());

    drop(main);
    house.does(&["--as", "root@corp.test", "restore", backup, "--force"]);
    let _main = house.main(&[]);
    assert_eq!(house.explain(reference), None, "the backup is older");
    // Whether it still held was not known.
    house.resume(&order);
    gate.await_that("tell it anew", || {
        house.asks("dan@corp.test", "NEWPHONE");
        house.explain(reference).is_some()
    });
}

#[test]
fn what_the_main_server_does_not_take_is_put_aside_alone_and_says_why() {
    let house = House::new();
    let main = house.main(&[]);
    let gate = house.gate(&[]);
    house.follows(&gate);
    drop((gate, main));
    let view = Disk::look(&house.gate_data().join(disk::FILE)).unwrap();
    let refusal = |fingerprint: u64, person: u32| {
        json!({
            "fingerprint": fingerprint, "at": "2026-01-01T00:00:00Z", "person": person, "certain": true,
            "orders": [], "known": "{}",
        })
    };
    let folder = house.gate_data().join(spool::FOLDER);
    let put = |number: u32, refusals: &[serde_json::Value]| {
        let installation = &view.as_ref().unwrap().parts[0].installation;
        let batch = json!({ "installation": installation, "refusals": refusals });
        let file = folder.join(format!("{number:012}.json"));
        std::fs::write(file, batch.to_string()).unwrap();
    };
    put(7, &[refusal(1, 0)]);
    put(8, &[refusal(2, 0), refusal(3, 4_000), refusal(4, 0)]);
    put(9, &[refusal(5, 0)]);
    let _main = house.main(&[]);
    let gate = house.gate(&[]);
    gate.await_that("hand over what is sound", || {
        metric(house.gate_port, "countermand_gate_spool_waiting") == 0.0
    });
    for fingerprint in [1, 2, 4, 5] {
        assert!(
            house.explain(&refusal_ref(fingerprint)).is_some(),
            "{fingerprint}"
        );
    }
    assert_eq!(house.explain(&refusal_ref(3)), None);
    assert_eq!(
        metric(house.gate_port, "countermand_gate_spool_lost_total"),
        1.0
    );
    assert_eq!(metric(house.gate_port, "countermand_gate_spool_aside"), 1.0);
    let aside = std::fs::read_to_string(folder.join("000000000008.refused")).unwrap();
    assert!(aside.contains("nobody has the number 4000"), "{aside}");
    assert_eq!(aside.matches("\"fingerprint\": ").count(), 1, "{aside}");
    assert!(
        gate.log().contains("nobody has the number"),
        "{}",
        gate.log()
    );
    let (status, said) = house.at_the_gate(&[], &["doctor"]);
    assert_eq!(status, 0, "{said}");
    for word in [
        "spool.aside",
        "000000000008.refused",
        "nobody has the number",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
}
