//! A main server and a gate-only server, as processes that can be killed, and what is asked of them.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

pub use crate::support::app::SECRET;
use crate::support::app::TIKTOK;
use crate::support::free_port;
use crate::support::http::{Reply, send};
use crate::support::process::Process;

pub const FOLLOW: &str = "0123456789abcdef0123456789abcdef";

const AUTHOR: &str = "ann@corp.test";
const APPROVER: &str = "ben@corp.test";
const RESPONDER: &str = "cleo@corp.test";

/// Whoever has TikTok, or comes with a device that nobody knows, is refused at once, told or not.
fn order() -> String {
    let at_once = "min_notice = \"PT0S\"\nlate_grace = \"PT0S\"\nenforce_untold = true";
    let unknown = "[when_unknown]\nstale_after = \"P9999D\"";
    TIKTOK.replace("[notice]", &format!("{at_once}\n{unknown}\n[notice]"))
}

/// Alice has TikTok and a chess app; Bob has chess. Dan and Eve have no device that anybody knows.
const PEOPLE: &str = "email,aliases,name,groups,locale,time_zone
alice@corp.test,,Alice Surname,all-staff,,
bob@corp.test,,Bob,all-staff,,
dan@corp.test,,Dan,all-staff,,
eve@corp.test,,Eve,all-staff,,
";
const DEVICES: &str = "person,device,keys,platform,form_factor,ownership,visibility,os_version,seen_at,apps
alice@corp.test,1,eas:DEV7F3A,ios,phone,personal,full,13.6,SEEN,com.zhiliaoapp.musically@16.8.0;com.example.chess@1
bob@corp.test,2,eas:DEVB0B,ios,phone,personal,full,13.6,SEEN,com.example.chess@1
";

pub struct House {
    folder: tempfile::TempDir,
    pub main_port: u16,
    pub gate_port: u16,
}

/// How a gate answered.
pub fn told(reply: &Reply) -> (u16, Option<&str>) {
    (reply.status, reply.header("x-countermand-decision"))
}

impl House {
    pub fn new() -> House {
        let house = House {
            folder: tempfile::tempdir().unwrap(),
            main_port: free_port(),
            gate_port: free_port(),
        };
        house.does(&["init", "--admin", "root@corp.test"]);
        for (email, role) in [
            (AUTHOR, "author"),
            (APPROVER, "approver"),
            (RESPONDER, "responder"),
        ] {
            house.does(&["operator", "add", email, "--role", role]);
        }
        house.imports(&["people", "import"], PEOPLE);
        house.imports(
            &["import", "csv"],
            &DEVICES.replace("SEEN", "2026-01-01T00:00:00Z"),
        );
        house
    }

    pub fn imports(&self, command: &[&str], table: &str) {
        let file = self.folder.path().join("table.csv");
        std::fs::write(&file, table).unwrap();
        let arguments: Vec<&str> = command
            .iter()
            .copied()
            .chain([file.to_str().unwrap()])
            .collect();
        self.does(&arguments);
    }

    pub fn main_data(&self) -> PathBuf {
        self.folder.path().join("main")
    }

    pub fn gate_data(&self) -> PathBuf {
        self.folder.path().join("gate")
    }

    /// What a process that serves is started with.
    fn program(&self, data: PathBuf, port: u16, more: &[(&str, &str)]) -> Vec<String> {
        let listen = format!("127.0.0.1:{port}");
        let plain = [
            ("MODE", "enforce"),
            ("SERVER__LISTEN", &*listen),
            ("GATE__SECRET", SECRET),
            ("GATE__POSTFIX_LISTEN", ""),
            ("FOLLOW__SECRET", FOLLOW),
        ];
        let mut command = vec!["env".to_owned()];
        for (name, value) in plain.iter().chain(more) {
            command.push(format!("COUNTERMAND_{name}={value}"));
        }
        command.push(env!("CARGO_BIN_EXE_countermand").to_owned());
        command.extend(["--data".to_owned(), data.display().to_string()]);
        command
    }

    /// The main server; dropping it is SIGKILL.
    pub fn main(&self, more: &[(&str, &str)]) -> Process {
        let mut command = self.program(self.main_data(), self.main_port, more);
        command.push("serve".to_owned());
        let scratch = tempfile::tempdir().unwrap();
        let main = Process::start("countermand", scratch, "KILL", command);
        main.await_port(self.main_port);
        main
    }

    /// A gate-only server that follows it; the same.
    pub fn gate(&self, more: &[(&str, &str)]) -> Process {
        let url = format!("http://127.0.0.1:{}", self.main_port);
        let more: Vec<(&str, &str)> = [("FOLLOW__URL", &*url)]
            .into_iter()
            .chain(more.to_vec())
            .collect();
        let mut command = self.program(self.gate_data(), self.gate_port, &more);
        command.extend(["serve", "--gate-only"].map(str::to_owned));
        let scratch = tempfile::tempdir().unwrap();
        let gate = Process::start("countermand", scratch, "KILL", command);
        gate.await_port(self.gate_port);
        gate
    }

    pub fn does(&self, arguments: &[&str]) -> String {
        let program = self.program(self.main_data(), self.main_port, &[]);
        let done = Command::new(&program[0])
            .args(&program[1..])
            .args(arguments)
            .output()
            .unwrap();
        let text = String::from_utf8(done.stdout).unwrap();
        let error = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{arguments:?}: {text}{error}");
        text
    }

    pub fn answers(&self, arguments: &[&str]) -> Value {
        let arguments: Vec<&str> = ["--json"].iter().chain(arguments).copied().collect();
        serde_json::from_str(&self.does(&arguments)).unwrap()
    }

    /// What is typed on the gate's machine: its status, and what it says.
    pub fn at_the_gate(&self, more: &[(&str, &str)], arguments: &[&str]) -> (i32, String) {
        let url = format!("http://127.0.0.1:{}", self.main_port);
        let more = [
            &[("FOLLOW__URL", &*url), ("SERVER__PUBLIC_URL", &*url)],
            more,
        ]
        .concat();
        let program = self.program(self.gate_data(), self.gate_port, &more);
        let done = Command::new(&program[0])
            .args(&program[1..])
            .args(arguments)
            .output()
            .unwrap();
        let (out, error) = (done.stdout, String::from_utf8_lossy(&done.stderr));
        let text = String::from_utf8(out).unwrap();
        (done.status.code().unwrap(), text + &error)
    }

    /// An order in force; its id.
    pub fn publish(&self) -> String {
        let file = self.folder.path().join("order.toml");
        std::fs::write(&file, order()).unwrap();
        let draft = ["--as", AUTHOR, "order", "draft", file.to_str().unwrap()];
        let id = self.answers(&draft)["id"].as_str().unwrap().to_owned();
        self.does(&["--as", AUTHOR, "order", "submit", &id]);
        self.does(&["--as", APPROVER, "order", "approve", &id]);
        self.does(&["--as", AUTHOR, "order", "publish", &id]);
        id
    }

    pub fn resume(&self, id: &str) {
        self.does(&["--as", RESPONDER, "order", "resume", id]);
    }

    pub fn retract(&self, id: &str) {
        self.does(&[
            "--as", RESPONDER, "order", "retract", id, "--reason", "an error",
        ]);
    }

    /// What the helpdesk finds by a reference.
    pub fn explain(&self, reference: &str) -> Option<Value> {
        let program = self.program(self.main_data(), self.main_port, &[]);
        let done = Command::new(&program[0])
            .args(&program[1..])
            .args(["--json", "--as", RESPONDER, "explain", reference])
            .output()
            .unwrap();
        let text = String::from_utf8(done.stdout).unwrap();
        done.status
            .success()
            .then(|| serde_json::from_str(&text).unwrap())
    }

    /// Whom anything of that subject was sent to.
    pub fn mailed(&self, subject: &str) -> Vec<String> {
        let mut to = Vec::new();
        for folder in ["new", "cur"] {
            let folder = self.main_data().join("mailbox").join(folder);
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let mail = std::fs::read_to_string(entry.unwrap().path()).unwrap();
                let head = mail.split("\r\n\r\n").next().unwrap().to_owned();
                if head.contains(subject) {
                    let line = head.lines().find_map(|line| line.strip_prefix("To: "));
                    let (_, address) = line
                        .unwrap()
                        .rsplit_once(' ')
                        .unwrap_or(("", line.unwrap()));
                    to.push(address.trim_matches(['<', '>']).to_owned());
                }
            }
        }
        to.sort();
        to
    }

    /// What nginx asks of the gate-only server, where it signs people in itself.
    pub fn asks(&self, person: &str, device: &str) -> Reply {
        ask(self.gate_port, person, device)
    }

    /// Waits until the gate has the main server's version.
    pub fn follows(&self, gate: &Process) {
        gate.await_that("follow the main server", || {
            let version = metric(self.main_port, "countermand_gate_view_version");
            version >= 0.0 && metric(self.gate_port, "countermand_gate_view_version") >= version
        });
    }
}

pub fn ask(port: u16, person: &str, device: &str) -> Reply {
    let uri = format!(
        "/Microsoft-Server-ActiveSync?Cmd=FolderSync&User={person}&DeviceId={device}&DeviceType=iPhone"
    );
    let headers = [
        ("X-Countermand-Secret", SECRET),
        ("X-Original-URI", &*uri),
        ("X-Remote-User", person),
    ];
    send(port, "GET", "/gate/http", &headers, b"")
}

pub fn metric(port: u16, name: &str) -> f64 {
    let text = send(port, "GET", "/metrics", &[], b"").text();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let value = line.unwrap_or_else(|| panic!("no {name} in {text}"));
    value.trim().parse().unwrap()
}
