//! Open sessions end when their verdict turns: by time alone, by a report, by a publication, and whoever let them
//! in.

use std::time::Duration;

use crate::house::ALICE;
use crate::support::app::SECRET;
use crate::support::app::TIKTOK as ORDER;
use crate::support::company::Company;
use crate::support::dovecot::{DOVEADM_KEY, Dovecot, DovecotConfig, Login};
use crate::support::free_port;
use crate::support::imap::Imap;

const fn login(name: &'static str, person: &'static str, device: &'static str) -> Login<'static> {
    Login {
        name,
        password: "secret",
        person,
        device: Some(device),
    }
}

const TIKTOK: Login<'static> = login("alice+7f3a@corp.test", ALICE, "dev-7f3a");
const CLEAN: Login<'static> = login("alice+9c1e@corp.test", ALICE, "dev-9c1e");
const BOB: Login<'static> = login("bob@corp.test", "bob@corp.test", "dev-b0b");

/// Alice and Bob, and a Dovecot that can be told to end a session.
struct Office {
    company: Company,
    dovecot: Dovecot,
    kicking: tokio::task::JoinHandle<()>,
}

impl Office {
    fn new(open_without_verdict: bool) -> Option<Office> {
        let doveadm = free_port();
        let company = Company::with(|config| {
            config.gate.doveadm.address = Some(format!("127.0.0.1:{doveadm}"));
            config.gate.doveadm.api_key = DOVEADM_KEY.to_owned();
        });
        let config = DovecotConfig {
            gate_port: company.port(),
            gate_secret: SECRET,
            logins: &[TIKTOK, CLEAN, BOB],
            open_without_verdict,
        };
        let dovecot = Dovecot::start_at(config, doveadm)?;
        company.runtime.block_on(async {
            let bob = "bob@corp.test,,Bob,all-staff,,";
            company.world.people(&[bob]).await;
            let phone = "bob@corp.test,3,cred:dev-b0b,com.example.clock@1";
            company.world.iphones(&[phone]).await;
        });
        let kicking = company.runtime.spawn(company.gate.clone().keep_kicking());
        Some(Office {
            company,
            dovecot,
            kicking,
        })
    }

    fn kill(&mut self) {
        self.kicking.abort();
        self.company.kill();
    }

    fn start_again(&mut self) {
        self.company.restart();
        let kicking = self.company.gate.clone().keep_kicking();
        self.kicking = self.company.runtime.spawn(kicking);
    }

    /// A session that waits for new mail.
    fn idle(&self, login: Login<'_>) -> Imap {
        let mut session = Imap::connect(self.dovecot.imap_port);
        let entered = session.login(login.name, login.password);
        assert!(entered.is_ok(), "{login:?}: {entered:?}");
        assert!(session.command("SELECT INBOX").is_ok());
        session.begin_idle();
        session
    }

    /// In the record, and counted.
    fn kicks(&self) -> (usize, u64) {
        let entries = self.company.world.app.store.audit_newest(None, 50);
        let entries = self.company.runtime.block_on(entries).unwrap();
        let ended = entries.iter().filter(|e| e.action == "sessions.end");
        let families = self.company.gate.registry().gather();
        let kicked = families
            .iter()
            .find(|f| f.name() == "countermand_gate_kicked_total")
            .map(|f| f.get_metric()[0].get_counter().get_value());
        (ended.count(), kicked.unwrap_or_default() as u64)
    }

    /// The sessions of both phones end, once; the refused one is told why, and the other comes back by itself.
    fn turns(&self, [mut tiktok, mut clean]: [Imap; 2], kicks: usize) -> Imap {
        assert!(tiktok.is_ended(), "the session of the refused phone");
        assert!(clean.is_ended(), "one person, one address");
        let again = Imap::connect(self.dovecot.imap_port).login(TIKTOK.name, TIKTOK.password);
        assert!(again.text().contains("Remove TikTok"), "{again:?}");
        let back = self.idle(CLEAN);
        // It is written down after the deed.
        for _ in 0..3000 {
            if self.kicks() == (kicks, kicks as u64) {
                return back;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{kicks} expected, {:?} on record and counted", self.kicks());
    }
}

#[test]
fn an_open_session_ends_when_its_verdict_turns() {
    let Some(office) = Office::new(false) else {
        return;
    };
    let company = &office.company;
    let both = || [office.idle(TIKTOK), office.idle(CLEAN)];
    let mut bob = office.idle(BOB);
    let phones = both();
    let order = company.publish();
    company.tell(&order);
    // By time alone: nothing is committed.
    company.go_to("2020-07-11T07:00:00Z");
    let mut back = office.turns(phones, 1);
    assert!(back.end_idle().is_ok(), "who came back stays");

    // By a report, of a phone that was clean.
    company.report("com.example.clock@1");
    let phones = both();
    company.go_to("2020-07-11T08:00:00Z");
    company.report("com.zhiliaoapp.musically@16.1");
    let mut back = office.turns(phones, 2);
    assert!(back.end_idle().is_ok());

    // By a publication: of an order whose time has come already.
    company.retract(&order);
    let phones = both();
    let at_once = ORDER
        .replace(
            "comply_by = \"2020-07-10T23:59:00",
            "comply_by = \"2020-07-10T12:30:00",
        )
        .replace(
            "[notice]",
            "enforce_untold = true\nmin_notice = \"PT0S\"\n[notice]",
        );
    company.runtime.block_on(company.world.publish(&at_once));
    let mut back = office.turns(phones, 3);
    for (who, session) in [("who came back", &mut back), ("Bob", &mut bob)] {
        assert!(session.end_idle().is_ok(), "{who} is not concerned");
    }
}

#[test]
fn a_restart_forgets_no_open_session() {
    let Some(mut office) = Office::new(false) else {
        return;
    };
    let mut bob = office.idle(BOB);
    let phones = [office.idle(TIKTOK), office.idle(CLEAN)];
    let order = office.company.publish();
    office.company.tell(&order);
    office.kill();
    office.start_again();
    office.company.go_to("2020-07-11T07:00:00Z");
    let mut back = office.turns(phones, 1);

    // It is asked again who is connected, and whose time comes then is ended: after that look the clean phone is
    // still there.
    let company = &office.company;
    company.go_to("2020-07-11T08:00:00Z");
    company.runtime.block_on(async {
        company.world.tell(&order, "bob@corp.test").await;
    });
    company.go_to("2020-07-11T09:30:00Z");
    let with_tiktok = ["bob@corp.test,3,cred:dev-b0b,com.zhiliaoapp.musically@16.1"];
    let report = company.world.iphones(&with_tiktok);
    company.runtime.block_on(report);
    assert!(bob.is_ended(), "nobody but the mail server knew of Bob");
    assert!(back.end_idle().is_ok(), "who came back stays");
}

#[test]
fn who_came_in_while_the_gate_was_down_is_not_overlooked() {
    let Some(mut office) = Office::new(true) else {
        return;
    };
    let order = office.company.publish();
    office.company.tell(&order);
    office.company.go_to("2020-07-11T07:00:00Z");
    office.kill();
    let phones = [office.idle(TIKTOK), office.idle(CLEAN)];
    office.start_again();
    let mut back = office.turns(phones, 1);
    assert!(back.end_idle().is_ok(), "who came back stays");
}
