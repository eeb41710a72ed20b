//! Open sessions end when their verdict turns, whatever the mail server answers, look for look. With a real Dovecot:
//! `doors_dovecot/sessions.rs`.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::http::Response;
use countermand::gate::Gate;
use countermand::gate::kick::Kicker;
use jiff::SignedDuration;
use serde_json::{Value, json};
use sqlx::Connection as _;

use super::house::{AFTER, House};
use crate::support::app::{RESPONDER, SECRET, TIKTOK, World, operator};
use crate::support::gate::FakeGate;
use crate::support::http::send;

const ALICE: &str = "alice@corp.test";
const BOB: &str = "bob@corp.test";
const HERE: &str = "192.0.2.7";
/// Of our own web mail.
const OWN: &str = "192.0.2.99";

/// What the mail server is to answer, and what it was asked.
#[derive(Default)]
struct Mail {
    is_away: bool,
    /// User, service, address.
    connected: Vec<(&'static str, &'static str, &'static str)>,
    /// Whose sessions can't be ended.
    stuck: HashSet<&'static str>,
    /// Who has no session.
    gone: HashSet<&'static str>,
    /// A login at that port before the next answer to a kick.
    meanwhile: Option<(u16, String)>,
    kicked: Vec<String>,
    asked_who: usize,
}

impl Mail {
    fn answer(&mut self, command: &Value) -> Value {
        let tag = &command[2];
        let error = |status: u8| json!(["error", {"type": "exitCode", "exitCode": status}, tag]);
        if command[0] == "who" {
            self.asked_who += 1;
            let one = |(user, service, ip): &(&str, &str, &str)| json!({"username": user, "service": service, "pid": "1", "ip": ip});
            let all: Vec<_> = self.connected.iter().map(one).collect();
            return json!(["doveadmResponse", all, tag]);
        }
        assert_eq!(command[0], "kick");
        let user = command[1]["mask"][0].as_str().unwrap().to_owned();
        let answer = match &*user {
            stuck if self.stuck.contains(stuck) => error(75),
            gone if self.gone.contains(gone) => error(68),
            user => json!(["doveadmResponse", [{ "result": user }], tag]),
        };
        self.kicked.push(user);
        answer
    }
}

/// Alice and Bob, both with TikTok on one phone, and a mail server that does as it is told.
struct Office {
    house: House,
    mail: Arc<Mutex<Mail>>,
    _doveadm: FakeGate,
    kicker: Kicker,
}

impl Office {
    async fn new() -> Office {
        let mail = Arc::new(Mutex::new(Mail::default()));
        let told = mail.clone();
        let doveadm = FakeGate::start(move |call| {
            let mut mail = told.lock().unwrap();
            if mail.is_away {
                return Response::builder().status(500).body("".into()).unwrap();
            }
            let commands: Vec<Value> = serde_json::from_str(&call.body).unwrap();
            if commands[0][0] == "kick"
                && let Some((port, login)) = mail.meanwhile.take()
            {
                let allow = "/gate/dovecot?command=allow";
                let secret = [("X-Countermand-Secret", SECRET)];
                send(port, "POST", allow, &secret, login.as_bytes());
            }
            let answers: Vec<_> = commands.iter().map(|c| mail.answer(c)).collect();
            Response::new(Value::Array(answers).to_string().into())
        });
        let address = format!("127.0.0.1:{}", doveadm.port);
        let world = World::with(|config| {
            config.gate.doveadm.address = Some(address);
            config.gate.own_servers = vec![OWN.parse().unwrap()];
        });
        let house = House::of(world.await).await;
        let second = "bob@corp.test,4,cred:dev-b4,com.zhiliaoapp.musically@16.1";
        house.world.iphones(&[second]).await;
        let kicker = Kicker::of(house.gate.clone()).unwrap();
        Office {
            house,
            mail,
            _doveadm: doveadm,
            kicker,
        }
    }

    fn mail(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap()
    }

    async fn enters(&self, person: &str, device: &str) {
        let said = self.house.dovecot(&login(person, device)).await;
        assert_eq!(said["status"], 0, "{said}");
    }

    /// An order that both were told of, and whose deadline has passed.
    async fn enforce(&self) -> String {
        let world = &self.house.world;
        let order = world.publish(TIKTOK).await;
        for person in [ALICE, BOB] {
            world.tell(&order, person).await;
        }
        world.go_to(AFTER).await;
        order.id.to_string()
    }

    async fn later(&self, by: SignedDuration) {
        self.house.world.clock.advance(by);
        self.house.world.app.live.follow().await.unwrap();
    }

    async fn report(&self, row: &str) {
        self.house.world.iphones(&[row]).await;
    }

    /// Everything is on record, and the gate knows it.
    async fn settle(&self) {
        self.house.gate.flush().await.unwrap();
        self.house.world.app.live.follow().await.unwrap();
    }

    fn kicked(&self) -> Vec<String> {
        self.mail().kicked.clone()
    }

    /// Entries in the record.
    async fn recorded(&self) -> Vec<Value> {
        let entries = self.house.world.app.store.audit_newest(None, 50).await;
        let ended = entries.unwrap().into_iter();
        let ended = ended.filter(|entry| entry.action == "sessions.end");
        let details = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        ended
            .map(|entry| details(&entry.details)["ended"].clone())
            .collect()
    }

    /// As after a restart: the same facts, and no memory.
    async fn restart(&mut self) {
        self.house.gate.flush().await.unwrap();
        let gate = self.house.world.gate();
        self.house.door = crate::support::app::Listening::start(gate.clone());
        self.kicker = Kicker::of(gate.clone()).unwrap();
        self.house.gate = gate;
    }
}

fn login(person: &str, device: &str) -> String {
    format!(
        r#"{{"user":"{person}","protocol":"imap","passdb_device":"{device}","remote":"{HERE}"}}"#
    )
}

fn figure(gate: &Gate, name: &str) -> u64 {
    let families = gate.registry().gather();
    let family = families.iter().find(|f| f.name() == name);
    let values = family.into_iter().flat_map(|f| f.get_metric());
    let of = |m: &prometheus::proto::Metric| {
        m.get_counter().get_value().max(m.get_gauge().get_value()) as u64
    };
    values.map(of).sum()
}

const KICKED: &str = "countermand_gate_kicked_total";
const FAILED: &str = "countermand_gate_kicks_failed_total";
const JUDGED: &str = "countermand_gate_sessions_judged_total";

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_can_t_be_ended_is_tried_again_alone_and_ever_later() {
    let mut office = Office::new().await;
    office.enters(ALICE, "dev-7f3a").await;
    office.enters(BOB, "dev-b4").await;
    let order = office.enforce().await;
    office.mail().stuck.insert(ALICE);
    office.kicker.round().await;
    assert_eq!(office.kicked(), [ALICE, BOB]);
    let gate = office.house.gate.clone();
    assert_eq!((figure(&gate, KICKED), figure(&gate, FAILED)), (1, 1));
    let tries = async |office: &mut Office, seconds| {
        office.later(SignedDuration::from_secs(seconds)).await;
        let before = office.kicked().len();
        for _ in 0..3 {
            office.kicker.round().await;
        }
        office.kicked()[before..].to_vec()
    };
    let none: [&str; 0] = [];
    // At first after 2 s, then after 4, then after 8; commits meanwhile change nothing.
    assert_eq!(tries(&mut office, 1).await, none);
    assert_eq!(tries(&mut office, 1).await, [ALICE]);
    assert_eq!(tries(&mut office, 3).await, none);
    office
        .report("carol@corp.test,9,cred:dev-c,com.example.clock@1")
        .await;
    assert_eq!(tries(&mut office, 0).await, none);
    assert_eq!(tries(&mut office, 1).await, [ALICE]);
    assert_eq!(tries(&mut office, 7).await, none);
    office.mail().stuck.clear();
    assert_eq!(tries(&mut office, 1).await, [ALICE]);
    assert_eq!(tries(&mut office, 3600).await, none);
    assert_eq!((figure(&gate, KICKED), figure(&gate, FAILED)), (2, 3));
    office.settle().await;
    assert_eq!(office.recorded().await.len(), 2);
    let orders = &office.recorded().await[0][0]["orders"];
    assert_eq!(orders[0], Value::from(order));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_stay_by_now_is_not_tried_again() {
    let mut office = Office::new().await;
    office.enters(ALICE, "dev-7f3a").await;
    let order = office.enforce().await;
    office.mail().stuck.insert(ALICE);
    office.kicker.round().await;
    let responder = operator(RESPONDER);
    let app = &office.house.world.app;
    app.hold(&responder, &order, "let us see").await.unwrap();
    office.later(SignedDuration::from_hours(1)).await;
    office.kicker.round().await;
    assert_eq!(office.kicked(), [ALICE]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_came_back_before_the_answer_is_known_and_ends_when_its_own_verdict_turns() {
    let mut office = Office::new().await;
    office.enters(ALICE, "dev-7f3a").await;
    office.enforce().await;
    let back = (office.house.door.port, login(ALICE, "dev-9c1e"));
    office.mail().meanwhile = Some(back);
    office.kicker.round().await;
    office.kicker.round().await;
    assert_eq!(office.kicked(), [ALICE], "the clean phone stays");
    office
        .report("alice@corp.test,2,cred:dev-9c1e,com.zhiliaoapp.musically@16.1")
        .await;
    office.kicker.round().await;
    assert_eq!(office.kicked(), [ALICE, ALICE]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_let_in_before_a_kick_and_connected_after_it_is_found_soon() {
    let mut office = Office::new().await;
    office.enters(ALICE, "dev-7f3a").await;
    office.enters(ALICE, "dev-7f3a").await;
    office.enforce().await;
    office.kicker.round().await;
    assert_eq!(office.kicked(), [ALICE]);
    office.mail().connected.push((ALICE, "imap", HERE));
    office.later(SignedDuration::from_secs(2)).await;
    office.kicker.round().await;
    assert_eq!(office.kicked(), [ALICE, ALICE]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_hung_up_is_forgotten_without_a_record() {
    let mut office = Office::new().await;
    office.enters(ALICE, "dev-7f3a").await;
    office.enforce().await;
    office.mail().gone.insert(ALICE);
    for _ in 0..3 {
        office.later(SignedDuration::from_mins(1)).await;
        office.kicker.round().await;
    }
    office.settle().await;
    assert_eq!(office.kicked(), [ALICE], "once");
    assert_eq!(office.recorded().await.len(), 0);
    let gate = &office.house.gate;
    assert_eq!((figure(gate, KICKED), figure(gate, FAILED)), (0, 0));
}

/// A login was let in and is not yet counted as connected when its verdict turns.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_only_just_coming_in_is_tried_again() {
    let mut office = Office::new().await;
    office.enforce().await;
    office.enters(ALICE, "dev-9c1e").await;
    office
        .report("alice@corp.test,2,cred:dev-9c1e,com.zhiliaoapp.musically@16.1")
        .await;
    office.mail().gone.insert(ALICE);
    office.kicker.round().await;
    office.mail().gone.clear();
    office.later(SignedDuration::from_secs(1)).await;
    office.kicker.round().await;
    assert_eq!(office.kicked(), [ALICE, ALICE]);
    assert_eq!(figure(&office.house.gate, KICKED), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_forgets_nobody() {
    let mut office = Office::new().await;
    // Of a phone that nobody has reported; it is refused when an order is enforcing.
    office.enters("carol@corp.test", "made-up").await;
    office
        .house
        .world
        .people(&[
            "carol@corp.test,,Carol,all-staff,,",
            "dave@corp.test,,Dave,all-staff,,",
        ])
        .await;
    office
        .report("dave@corp.test,5,cred:dev-d,com.example.clock@1")
        .await;
    office.restart().await;
    office.mail().connected = vec![
        (ALICE, "imap", HERE),
        (ALICE, "pop3", HERE),
        (ALICE, "imap", OWN),
        (BOB, "managesieve", HERE),
        ("carol@corp.test", "imap", HERE),
        ("dave@corp.test", "imap", HERE),
        ("stranger@else.test", "imap", HERE),
    ];
    office.kicker.round().await;
    assert_eq!(office.mail().asked_who, 0, "no order, no question");
    let world = &office.house.world;
    let order = world.publish(TIKTOK).await;
    for person in [ALICE, BOB, "carol@corp.test", "dave@corp.test"] {
        world.tell(&order, person).await;
    }
    world.go_to(AFTER).await;
    office.kicker.round().await;
    assert_eq!(office.kicked(), [ALICE, "carol@corp.test"]);

    // The clean phone comes back, is known by its key, and stays, though it is asked again who is connected.
    office.enters(ALICE, "dev-9c1e").await;
    let back = vec![(ALICE, "imap", HERE), ("dave@corp.test", "imap", HERE)];
    office.mail().connected = back;
    for minute in 0..20 {
        office.later(SignedDuration::from_mins(1)).await;
        office.kicker.round().await;
        assert_eq!(office.kicked().len(), 2, "{minute}");
    }
    assert!(office.mail().asked_who > 2);
    // A second session that no question of ours has let in.
    office.mail().connected.push((ALICE, "imap", HERE));
    office.later(SignedDuration::from_mins(5)).await;
    office.kicker.round().await;
    assert_eq!(office.kicked()[2..], [ALICE]);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_mail_server_is_away_the_pauses_grow_and_then_it_is_asked_who_is_there() {
    let mut office = Office::new().await;
    office.enters(ALICE, "dev-7f3a").await;
    office.enforce().await;
    office.mail().is_away = true;
    let mut pauses = Vec::new();
    for _ in 0..9 {
        pauses.push(office.kicker.round().await.as_secs());
        office.later(SignedDuration::from_mins(5)).await;
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    {
        let mut mail = office.mail();
        mail.is_away = false;
        mail.connected = vec![(ALICE, "imap", HERE), (BOB, "imap", HERE)];
    }
    assert!(office.kicker.round().await < Duration::from_secs(3));
    assert_eq!(office.kicked(), [ALICE, BOB], "Bob came in unseen");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_let_in_without_a_verdict_is_found() {
    let mut office = Office::new().await;
    office.enforce().await;
    office.mail().connected = vec![(ALICE, "imap", HERE)];
    office.enters(ALICE, "dev-9c1e").await;
    office.kicker.round().await;
    assert_eq!(office.kicked(), [ALICE], "it could be the other phone");
    office.enters(ALICE, "dev-9c1e").await;
    // The view is too old for a verdict; the door does as its own configuration says.
    office
        .house
        .world
        .clock
        .advance(SignedDuration::from_mins(11));
    let allow = "/gate/dovecot?command=allow";
    let asked = login(ALICE, "dev-7f3a");
    let reply = office.house.send("POST", allow, &[], &asked).await;
    assert_eq!(reply.status, 503);
    office.kicker.round().await;
    assert_eq!(office.kicked().len(), 1, "nobody is refused by an old view");
    office.later(SignedDuration::ZERO).await;
    office.kicker.round().await;
    assert_eq!(office.kicked()[1..], [ALICE]);
}

/// No timing: what a look costs is verdicts.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_judged_again_unless_facts_or_time_may_have_turned_it() {
    let mut office = Office::new().await;
    let world = &office.house.world;
    let order = world.publish(TIKTOK).await;
    world.tell(&order, ALICE).await;
    world.go_to(AFTER).await;
    // Bob is told late: by time alone he is refused an hour later.
    world.tell(&order, BOB).await;
    office.enters(ALICE, "dev-9c1e").await;
    office.enters(BOB, "dev-b4").await;
    office.enters(BOB, "dev-b0b").await;
    office.settle().await;
    let judged = |office: &Office| figure(&office.house.gate, JUDGED);
    office.kicker.round().await;
    assert_eq!(judged(&office), 6, "now, and a minute ahead");
    for _ in 0..50 {
        office.kicker.round().await;
    }
    assert_eq!(judged(&office), 6, "nothing has changed");
    office
        .report("carol@corp.test,9,cred:dev-c,com.example.clock@1")
        .await;
    office.kicker.round().await;
    office.kicker.round().await;
    assert_eq!(judged(&office), 12, "a commit");

    let before = judged(&office);
    for _ in 0..3599 {
        office.later(SignedDuration::from_secs(1)).await;
        office.kicker.round().await;
        assert_eq!(office.kicked().len(), 0);
    }
    let (looks, cost) = (3599, judged(&office) - before);
    assert!(
        cost < 600,
        "{cost} verdicts in {looks} looks at three logins"
    );
    office.later(SignedDuration::from_millis(1050)).await;
    office.kicker.round().await;
    assert_eq!(office.kicked(), [BOB], "to the twentieth of a second");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_session_that_can_t_be_recorded_is_recorded_later() {
    let mut office = Office::new().await;
    office.enters(ALICE, "dev-7f3a").await;
    office.enforce().await;
    let file = office.house.world.app.store.file().unwrap();
    let file = format!("sqlite://{}", file.display());
    let mut db = sqlx::AnyConnection::connect(&file).await.unwrap();
    let away = "ALTER TABLE audit_head RENAME TO away";
    sqlx::query(away).execute(&mut db).await.unwrap();
    office.kicker.round().await;
    assert_eq!(office.kicked(), [ALICE], "the record keeps no session open");
    assert!(office.house.gate.flush().await.is_err());
    let waiting = "countermand_gate_kicks_waiting";
    assert_eq!(figure(&office.house.gate, waiting), 1);
    let at = office.house.world.app.now();
    office.later(SignedDuration::from_mins(3)).await;
    let back = "ALTER TABLE away RENAME TO audit_head";
    sqlx::query(back).execute(&mut db).await.unwrap();
    office.house.gate.flush().await.unwrap();
    assert_eq!(figure(&office.house.gate, waiting), 0);
    let recorded = office.recorded().await;
    assert_eq!(recorded.len(), 1);
    assert_eq!(recorded[0][0]["at"], at.to_string(), "when it was ended");
}
