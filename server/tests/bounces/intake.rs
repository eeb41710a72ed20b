//! From a mail to what follows: matched, written down once, and nobody else's.

use std::collections::HashSet;

use countermand::app::bounces::Bounces;
use countermand::outbox::bounces::report::Verdict;
use countermand::outbox::bounces::{Intake as _, Mail, maildir};
use countermand::outbox::office::Office as _;
use countermand_core::id::PersonId;
use countermand_core::notice::{Key, Kind};
use countermand_core::order::Order;
use countermand_core::verdict::{Channel, Decision, Question};

use super::letters::*;
use crate::support::app::{DEADLINE, RESPONDER, TIKTOK, TIKTOK_IOS, World, operator};

pub const MIA: &str = "mia@corp.test";
pub const SAM: &str = "sam@corp.test";

pub struct Stage {
    pub world: World,
    pub order: Order,
    pub bounces: Bounces,
}

/// Two people who were told, with bounces by maildir.
pub async fn stage(config: &str) -> Stage {
    let config = toml::from_str(config).unwrap();
    let world = World::with(|c| {
        c.notices.from = "IT Security <it-security@corp.test>".to_owned();
        c.notices.bounces = config;
    })
    .await;
    let row = |email: &str| format!("{email},m.{email},Name,all-staff,en,UTC");
    let rows = [row(MIA), row(SAM)];
    world.people(&[&rows[0], &rows[1]]).await;
    let phone = |email: &str, key: &str| format!("{email},{key},eas:{key},{TIKTOK_IOS}");
    let phones = [phone(MIA, "M1"), phone(SAM, "S1")];
    world.iphones(&[&phones[0], &phones[1]]).await;
    let order = world.publish(TIKTOK).await;
    for email in [MIA, SAM] {
        world.tell(&order, email).await;
    }
    let bounces = Bounces::new(world.app.clone());
    Stage {
        world,
        order,
        bounces,
    }
}

impl Stage {
    pub fn person(&self, email: &str) -> PersonId {
        self.world.app.live.view().person_called(email).unwrap().id
    }

    pub fn key(&self, email: &str, kind: Kind) -> Key {
        let (order, person) = (self.order.id, self.person(email));
        Key {
            order,
            person,
            kind,
        }
    }

    /// As a mail server has it that took the notice from us.
    pub fn blanks(&self, email: &str) -> Blanks {
        let key = self.key(email, Kind::Order);
        let mark = self.world.app.mark(&key, 0).unwrap();
        Blanks {
            to: email.to_owned(),
            bounce: mark.envelope_from,
            message_id: key.message_id("corp.test"),
            order: self.order.id,
            mark: mark.text,
        }
    }

    pub async fn take(&self, bytes: Vec<u8>) {
        let mail = Mail {
            bytes,
            to: Vec::new(),
        };
        self.bounces.take(vec![mail]).await.unwrap();
    }

    pub fn is_told(&self, email: &str) -> bool {
        let person = self.person(email);
        let view = self.world.app.live.view();
        view.told(self.order.id, person).is_some()
    }

    pub async fn bounced(&self) -> Vec<String> {
        let (_, all) = self
            .world
            .app
            .store
            .unreached(self.order.id, 0, 9)
            .await
            .unwrap();
        let mut all: Vec<String> = all
            .iter()
            .map(|one| format!("{} {} {}", one.person, one.word(), one.detail))
            .collect();
        all.sort();
        all
    }

    pub async fn entries(&self) -> usize {
        let all = self.world.app.store.audit_newest(None, 100).await.unwrap();
        all.iter().filter(|e| e.action == "notices.bounce").count()
    }

    pub fn counted(&self, what: &str) -> u64 {
        self.bounces.counts().with_label_values(&[what]).get()
    }
}

#[tokio::test]
async fn inv_35_a_hard_bounce_takes_told_back_and_is_listed_with_the_servers_words() {
    for letter in [POSTFIX, POSTFIX_EXPIRED, EXIM, EXIM_OLD, EXCHANGE, GMAIL] {
        let stage = stage("maildir = \"b\"").await;
        stage.take(stage.blanks(MIA).fill(letter)).await;
        assert!(!stage.is_told(MIA) && stage.is_told(SAM));
        let listed = stage.bounced().await;
        let mia = stage.person(MIA);
        assert!(
            listed[0].starts_with(&format!("{mia} bounced ")),
            "{listed:?}"
        );
        assert_eq!(listed.len(), 1);
        // The same again, and after the retraction: no news.
        stage.take(stage.blanks(MIA).fill(letter)).await;
        assert_eq!((stage.entries().await, stage.bounced().await), (1, listed));
        assert_eq!(stage.counted(Verdict::Failed.as_str()), 2);
        let (counts, _) = stage
            .world
            .app
            .store
            .receipt_counts(stage.order.id)
            .await
            .unwrap();
        assert_eq!((counts.accepted, counts.bounced), (2, 1));
    }
}

#[tokio::test]
async fn inv_35_who_is_not_told_any_more_is_warned_and_not_refused() {
    let stage = stage("maildir = \"b\"").await;
    stage.take(stage.blanks(MIA).fill(POSTFIX)).await;
    stage.world.go_to(DEADLINE).await;
    let decide = async |email: &str, key: &str| {
        let app = &stage.world.app;
        let question = Question {
            person: Some(email.to_owned()),
            keys: vec![format!("eas:{key}").parse().unwrap()],
            channel: Channel::Activesync,
        };
        app.live.view().verdict(&question, app.now()).decision
    };
    assert_eq!(decide(MIA, "M1").await, Decision::Warn);
    assert_eq!(decide(SAM, "S1").await, Decision::Deny);
}

#[tokio::test]
async fn inv_23_who_bounced_is_corrected_all_the_same() {
    let stage = stage("maildir = \"b\"").await;
    stage.take(stage.blanks(MIA).fill(POSTFIX)).await;
    let app = &stage.world.app;
    let id = stage.order.id.to_string();
    let answer = app
        .retract(&operator(RESPONDER), &id, "in error")
        .await
        .unwrap();
    assert_eq!((answer.accepted, answer.corrections_planned), (2, 2));
    let people = app.store.to_correct(stage.order.id).await.unwrap();
    assert!(people.contains(stage.person(MIA).0));
}

#[tokio::test]
async fn delays_receipts_and_answers_change_nothing_and_are_counted() {
    let stage = stage("maildir = \"b\"").await;
    let before = stage.world.app.store.version().await.unwrap();
    for letter in [POSTFIX_DELAYED, POSTFIX_RELAYED, VACATION, PERSON] {
        stage.take(stage.blanks(MIA).fill(letter)).await;
    }
    assert!(stage.is_told(MIA) && stage.bounced().await.is_empty());
    assert_eq!(stage.world.app.store.version().await.unwrap(), before);
    for what in ["delayed", "delivered", "auto_reply", "other"] {
        assert_eq!(stage.counted(what), 1, "{what}");
    }
}

#[tokio::test]
async fn by_verp_a_bounce_without_any_header_of_ours_is_known() {
    let stage = stage("verp = true\nonly_marked = true").await;
    let blanks = Blanks {
        mark: String::new(),
        message_id: "other@corp.test".to_owned(),
        ..stage.blanks(MIA)
    };
    assert!(
        blanks.bounce.starts_with("it-security+"),
        "{}",
        blanks.bounce
    );
    stage.take(blanks.fill(EXCHANGE)).await;
    assert!(!stage.is_told(MIA) && stage.is_told(SAM));
}

#[tokio::test]
async fn a_message_id_counts_only_with_an_address_of_its_own_person() {
    let unmarked = |stage: &Stage, of: &str, to: &str| Blanks {
        mark: String::new(),
        to: to.to_owned(),
        ..stage.blanks(of)
    };
    let stage_one = stage("maildir = \"b\"").await;
    for letter in [POSTFIX, EXIM, EXCHANGE, GMAIL] {
        stage_one
            .take(unmarked(&stage_one, MIA, SAM).fill(letter))
            .await;
        stage_one
            .take(unmarked(&stage_one, MIA, "nobody@corp.test").fill(letter))
            .await;
    }
    assert!(stage_one.is_told(MIA) && stage_one.is_told(SAM));
    assert_eq!(stage_one.counted("unmatched"), 8);
    stage_one
        .take(unmarked(&stage_one, MIA, "M.Mia@corp.test").fill(POSTFIX))
        .await;
    assert!(
        !stage_one.is_told(MIA),
        "an alias is an address of the person"
    );

    let strict = stage("maildir = \"b\"\nonly_marked = true").await;
    strict.take(unmarked(&strict, MIA, MIA).fill(POSTFIX)).await;
    assert!(strict.is_told(MIA));
    strict.take(strict.blanks(MIA).fill(POSTFIX)).await;
    assert!(!strict.is_told(MIA));
}

#[tokio::test]
async fn who_guesses_message_ids_is_not_believed_for_the_rest_of_the_hour() {
    let stage = stage("maildir = \"b\"").await;
    let blanks = |message_id: String| Blanks {
        mark: String::new(),
        message_id,
        ..stage.blanks(MIA)
    };
    for number in 0..50 {
        let key = Key {
            person: PersonId(1_000 + number),
            ..stage.key(MIA, Kind::Order)
        };
        stage
            .take(blanks(key.message_id("corp.test")).fill(POSTFIX))
            .await;
    }
    let right = blanks(stage.key(MIA, Kind::Order).message_id("corp.test"));
    stage.take(right.fill(POSTFIX)).await;
    assert!(
        stage.is_told(MIA),
        "the fifty-first guess is right and too late"
    );
    // A mark still counts, and an hour later all is as before.
    stage.take(stage.blanks(SAM).fill(POSTFIX)).await;
    assert!(!stage.is_told(SAM));
    stage
        .world
        .clock
        .advance(jiff::SignedDuration::from_mins(61));
    stage.take(right.fill(POSTFIX)).await;
    assert!(!stage.is_told(MIA));
}

#[tokio::test]
async fn a_mark_of_another_installation_is_worth_nothing() {
    let (one, other) = (
        stage("maildir = \"b\"").await,
        stage("maildir = \"b\"").await,
    );
    let forged = Blanks {
        mark: one.blanks(SAM).mark.replace(['1', '2', '3'], "0"),
        message_id: "x@corp.test".to_owned(),
        ..other.blanks(MIA)
    };
    other.take(forged.fill(POSTFIX)).await;
    assert!(other.is_told(MIA) && other.is_told(SAM));
    assert_eq!(other.counted("unmatched"), 1);
}

fn put(dir: &std::path::Path, name: &str, bytes: Vec<u8>) {
    std::fs::write(dir.join("new").join(name), bytes).unwrap();
}

fn names(dir: &std::path::Path, sub: &str) -> Vec<String> {
    let all = std::fs::read_dir(dir.join(sub)).unwrap();
    let mut all: Vec<String> = all
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    all.sort();
    all
}

#[tokio::test]
async fn a_maildir_is_read_and_each_mail_put_away_after_its_commit() {
    let stage = stage("maildir = \"b\"").await;
    let dir = tempfile::tempdir().unwrap();
    countermand::outbox::maildir::create(dir.path()).unwrap();
    put(dir.path(), "1.a", stage.blanks(MIA).fill(GMAIL));
    put(dir.path(), "2.b", stage.blanks(SAM).fill(VACATION));
    put(dir.path(), "3.c", vec![0xff; 3_000_000]);
    put(dir.path(), "4.d:2,F", stage.blanks(SAM).fill(PERSON));
    std::fs::create_dir(dir.path().join("new/folder")).unwrap();
    let mut skip = HashSet::new();
    // While nothing can be written down, everything stays.
    struct Away;
    impl countermand::outbox::bounces::Intake for Away {
        async fn take(&self, _: Vec<Mail>) -> Result<(), String> {
            Err("the database is away".to_owned())
        }
    }
    assert!(maildir::sweep(dir.path(), &Away, &mut skip).await.is_err());
    assert_eq!(names(dir.path(), "new").len(), 5);
    let taken = maildir::sweep(dir.path(), &stage.bounces, &mut skip).await;
    assert_eq!(taken, Ok(4));
    assert_eq!(names(dir.path(), "new"), ["folder"]);
    let seen = ["1.a:2,S", "2.b:2,S", "3.c:2,S", "4.d:2,F"];
    assert_eq!(names(dir.path(), "cur"), seen);
    assert!(!stage.is_told(MIA) && stage.is_told(SAM));
    assert_eq!(
        maildir::sweep(dir.path(), &stage.bounces, &mut skip).await,
        Ok(0)
    );
}

#[tokio::test]
async fn two_servers_share_a_maildir_and_a_crash_before_the_move_repeats_nothing() {
    let stage = stage("maildir = \"b\"").await;
    let dir = tempfile::tempdir().unwrap();
    countermand::outbox::maildir::create(dir.path()).unwrap();
    for number in 0..70 {
        let letter = if number % 2 == 0 { POSTFIX } else { EXIM };
        put(
            dir.path(),
            &format!("{number:03}"),
            stage.blanks(MIA).fill(letter),
        );
    }
    // What is read and committed by one that then ends, is there for the next.
    stage.take(stage.blanks(MIA).fill(POSTFIX)).await;
    let other = Bounces::new(stage.world.app.clone());
    let sweeps = async |bounces: &Bounces| {
        let mut skip = HashSet::new();
        while maildir::sweep(dir.path(), bounces, &mut skip)
            .await
            .unwrap()
            > 0
        {}
        assert!(skip.is_empty());
    };
    tokio::join!(sweeps(&stage.bounces), sweeps(&other));
    assert_eq!(names(dir.path(), "new"), [""; 0]);
    assert_eq!(names(dir.path(), "cur").len(), 70);
    assert_eq!(stage.entries().await, 1);
}
