//! An installation that is used by nothing but processes of the program, and looked at from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use countermand::failpoint::Moment;
use countermand_core::id::{OrderId, PersonId};
use countermand_core::notice::{Key, Kind};
use serde_json::Value;
use sqlx::Row as _;

const AUTHOR: &str = "author@corp.test";
const APPROVER: &str = "approver@corp.test";
const RESPONDER: &str = "responder@corp.test";

/// How each session of each sender works; a worker holds at most twice as many claims.
pub const DEPTH: usize = 4;
pub const MOST_SESSIONS: usize = 8;

/// Whose mails the relay never takes.
pub fn is_refused(address: &str) -> bool {
    let digits: String = address.chars().filter(char::is_ascii_digit).collect();
    digits.parse::<u32>().is_ok_and(|number| number % 400 == 13)
}

/// A receipt as the database has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receipt {
    pub state: String,
    pub in_flight_at: Option<i64>,
    /// How many attempts failed, certainly or perhaps.
    pub attempt: i64,
    pub settled_at: Option<i64>,
    pub settled_version: Option<i64>,
}

impl Receipt {
    /// It may have left.
    pub fn flew(&self) -> bool {
        self.in_flight_at.is_some()
    }
}

pub type Receipts = BTreeMap<(Kind, u32), Receipt>;

pub struct House {
    folder: tempfile::TempDir,
    database: String,
    relay: u16,
    raw: sqlx::AnyPool,
    /// Person numbers by address.
    numbers: BTreeMap<String, u32>,
    /// Those whom the relay refuses.
    pub refused: BTreeSet<u32>,
}

/// How a process is to end before its time, and by whose hand.
#[derive(Clone, Copy, Debug)]
pub struct DieAt(pub Moment, pub u32);

impl House {
    /// Groups of so many people each. `database` is `sqlite:FILE`, or a PostgreSQL database that is empty.
    pub async fn build(database: &str, relay: u16, groups: &[(String, u32)]) -> House {
        sqlx::any::install_default_drivers();
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let raw = match database.strip_prefix("sqlite:") {
            Some(file) => format!("sqlite://{}", data.join(file).display()),
            None => database.to_owned(),
        };
        let mut house = House {
            folder,
            database: database.to_owned(),
            relay,
            raw: sqlx::any::AnyPoolOptions::new().connect_lazy(&raw).unwrap(),
            numbers: BTreeMap::new(),
            refused: BTreeSet::new(),
        };
        house.does(&["init", "--admin", "admin@corp.test"]);
        for (email, role) in [
            (AUTHOR, "author"),
            (APPROVER, "approver"),
            (RESPONDER, "responder"),
        ] {
            house.does(&["operator", "add", email, "--role", role]);
        }
        house.people(groups);
        let rows = sqlx::query("SELECT id, email FROM person")
            .fetch_all(&house.raw)
            .await
            .unwrap();
        house.numbers = rows
            .iter()
            .map(|row| (row.get("email"), row.get::<i64, _>("id") as u32))
            .collect();
        let numbers = house.numbers.iter();
        house.refused = numbers
            .filter(|(address, _)| is_refused(address))
            .map(|(_, number)| *number)
            .collect();
        house
    }

    /// Some are written in capitals, and some have another address too: nobody may be told twice for it.
    fn people(&self, groups: &[(String, u32)]) {
        let mut table = "email,aliases,name,groups,locale,time_zone\n".to_owned();
        let mut number = 0;
        for (group, size) in groups {
            for _ in 0..*size {
                let email = match number % 10 {
                    0 => {
                        format!("P{number}@Corp.Test,also-p{number}@corp.test;p{number}@CORP.test")
                    }
                    _ => format!("p{number}@corp.test,"),
                };
                table += &format!("{email},Person {number},{group},,\n");
                number += 1;
            }
        }
        let file = self.folder.path().join("people.csv");
        std::fs::write(&file, table).unwrap();
        self.does(&["people", "import", file.to_str().unwrap()]);
    }

    pub fn person(&self, address: &str) -> u32 {
        let number = self.numbers.get(address);
        *number.unwrap_or_else(|| panic!("{address} is nobody's first address"))
    }

    pub fn everyone(&self) -> impl Iterator<Item = u32> {
        self.numbers.values().copied()
    }

    pub async fn members(&self, group: &str) -> BTreeSet<u32> {
        let rows = sqlx::query("SELECT id, groups FROM person")
            .fetch_all(&self.raw)
            .await
            .unwrap();
        let name = format!("\"{group}\"");
        rows.iter()
            .filter(|row| row.get::<String, _>("groups").contains(&name))
            .map(|row| row.get::<i64, _>("id") as u32)
            .collect()
    }

    /// The program, ready to be started.
    fn program(&self, life: &str, dies: Option<DieAt>) -> Command {
        // A death by abort() must not leave its memory on the disk.
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -c 0; exec \"$0\" \"$@\""]);
        command.arg(env!("CARGO_BIN_EXE_countermand"));
        command.arg("--data").arg(self.folder.path().join("data"));
        command.args(["--database", &self.database]);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("COUNTERMAND_")) {
            command.env_remove(name);
        }
        if let Some(DieAt(moment, pass)) = dies {
            command.env("COUNTERMAND_DIE_AT", format!("{}:{pass}", moment.name()));
        }
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.log())
            .unwrap();
        command
            .env("COUNTERMAND_NOTICES__FROM", "IT Security <it@corp.test>")
            .env("COUNTERMAND_NOTICES__TRANSPORT", "smtp")
            .env("COUNTERMAND_NOTICES__SMTP__PORT", self.relay.to_string())
            .env("COUNTERMAND_NOTICES__SMTP__TLS", "none")
            .env("COUNTERMAND_NOTICES__SMTP__HELLO_NAME", life)
            // So that a wait for an answer is never what ends an attempt.
            .env("COUNTERMAND_NOTICES__SMTP__FINAL_DOT_TIMEOUT", "PT10M")
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stderr(log)
            .process_group(0);
        command
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// What all processes said on standard error.
    pub fn words(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    pub fn run(&self, arguments: &[&str], dies: Option<DieAt>) -> Output {
        let mut command = self.program("command", dies);
        command
            .args(arguments)
            .stdout(Stdio::piped())
            .output()
            .unwrap()
    }

    pub fn does(&self, arguments: &[&str]) -> String {
        let done = self.run(arguments, None);
        let text = String::from_utf8(done.stdout).unwrap();
        assert!(
            done.status.success(),
            "{arguments:?}: {}\n{text}\n{}",
            done.status,
            self.words()
        );
        text
    }

    pub fn answers(&self, arguments: &[&str]) -> Value {
        let arguments: Vec<&str> = ["--json"].iter().chain(arguments).copied().collect();
        serde_json::from_str(&self.does(&arguments)).unwrap()
    }

    /// An order to one group, approved and not yet published.
    pub fn approved(&self, group: &str) -> OrderId {
        let file = self.folder.path().join("order.toml");
        std::fs::write(&file, order(group)).unwrap();
        let draft = ["--as", AUTHOR, "order", "draft", file.to_str().unwrap()];
        let id = self.answers(&draft)["id"].as_str().unwrap().to_owned();
        self.does(&["--as", AUTHOR, "order", "submit", &id]);
        self.does(&["--as", APPROVER, "order", "approve", &id]);
        id.parse().unwrap()
    }

    pub fn publish(&self, order: OrderId, dies: Option<DieAt>) -> Output {
        let id = order.to_string();
        self.run(&["--as", AUTHOR, "order", "publish", &id], dies)
    }

    pub fn retract(&self, order: OrderId, dies: Option<DieAt>) -> Output {
        let id = order.to_string();
        let reason = "sent in error";
        self.run(
            &[
                "--json", "--as", RESPONDER, "order", "retract", &id, "--reason", reason,
            ],
            dies,
        )
    }

    /// A process that sends until nothing is left to send. The relay knows it by the name.
    pub fn sender(&self, life: &str, sessions: usize, dies: Option<DieAt>) -> Child {
        self.program(life, dies)
            .args(["notices", "send", "--until-idle"])
            .env("COUNTERMAND_NOTICES__SMTP__SESSIONS", sessions.to_string())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// State, and the version of the last change.
    pub async fn order(&self, id: OrderId) -> (String, i64) {
        let row = sqlx::query("SELECT state, changed FROM orders WHERE id = $1")
            .bind(id.to_string())
            .fetch_one(&self.raw)
            .await
            .unwrap();
        (row.get("state"), row.get("changed"))
    }

    pub async fn receipts(&self, order: OrderId) -> Receipts {
        self.receipts_where(order, "1 = 1").await
    }

    pub async fn receipts_of(
        &self,
        order: OrderId,
        people: impl Iterator<Item = &u32>,
    ) -> Receipts {
        // Nobody has the number -1, and a list may not be empty.
        let people = people.fold("-1".to_owned(), |list, person| format!("{list}, {person}"));
        self.receipts_where(order, &format!("person IN ({people})"))
            .await
    }

    async fn receipts_where(&self, order: OrderId, condition: &str) -> Receipts {
        let sql = format!(
            "SELECT person, kind, state, in_flight_at, attempt, settled_at, settled_version FROM receipt WHERE order_id = $1 AND {condition}"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(order.to_string())
            .fetch_all(&self.raw)
            .await
            .unwrap();
        let count = rows.len();
        let receipts: Receipts = rows
            .iter()
            .map(|row| {
                let kind: String = row.get("kind");
                let key = (kind.parse().unwrap(), row.get::<i64, _>("person") as u32);
                let receipt = Receipt {
                    state: row.get("state"),
                    in_flight_at: row.get("in_flight_at"),
                    attempt: row.get("attempt"),
                    settled_at: row.get("settled_at"),
                    settled_version: row.get("settled_version"),
                };
                (key, receipt)
            })
            .collect();
        assert_eq!(
            receipts.len(),
            count,
            "15: two receipts of one person and kind"
        );
        receipts
    }

    /// Of each worker: how many receipts it has in flight, and how many in all.
    pub async fn held(&self) -> BTreeMap<String, (usize, usize)> {
        let rows = sqlx::query("SELECT worker, CAST(SUM(CASE WHEN state = 'in_flight' THEN 1 ELSE 0 END) AS BIGINT) AS flying, CAST(COUNT(*) AS BIGINT) AS held FROM receipt WHERE worker IS NOT NULL GROUP BY worker")
            .fetch_all(&self.raw)
            .await
            .unwrap();
        let number = |row: &sqlx::any::AnyRow, name: &str| row.get::<i64, _>(name) as usize;
        rows.iter()
            .map(|row| {
                (
                    row.get("worker"),
                    (number(row, "flying"), number(row, "held")),
                )
            })
            .collect()
    }

    /// The dead need not be waited for: all leases are over now. Nobody may be alive.
    pub async fn lapse(&self) {
        sqlx::query("UPDATE worker SET lease_until = 0")
            .execute(&self.raw)
            .await
            .unwrap();
    }

    /// 15: one Message-ID for each order, person and kind, whatever the address looks like.
    pub fn message_ids(&self, order: OrderId) -> impl Iterator<Item = (String, (Kind, u32))> {
        self.everyone().flat_map(move |number| {
            [Kind::Order, Kind::Correction].map(|kind| {
                let person = PersonId(number);
                let key = Key {
                    order,
                    person,
                    kind,
                };
                (format!("<{}>", key.message_id("corp.test")), (kind, number))
            })
        })
    }
}

fn order(group: &str) -> String {
    format!(
        r#"
title = "Remove TikTok"
reason = "Security risks"
[forbid]
apps = ["tiktok"]
[audience]
groups = ["{group}"]
tell = "everyone"
[deadline]
comply_by = "2199-07-10T23:59:00-07:00[America/Los_Angeles]"
[notice]
subject = "Remove it"
body = "Remove it."
[correction]
subject = "Keep it"
body = "Keep it."
"#
    )
}
