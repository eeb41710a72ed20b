//! Dovecot with the shipped configuration: IMAP and POP3, users from a file.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::process::Process;
use super::{free_port, is_root, open_to_all, programs, shipped};

/// One line of the password file.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    pub name: &'a str,
    pub password: &'a str,
    /// Whose mailbox it opens.
    pub person: &'a str,
    /// The device that this password was given to.
    pub device: Option<&'a str>,
}

#[derive(Clone, Copy, Debug)]
pub struct DovecotConfig<'a> {
    pub gate_port: u16,
    pub gate_secret: &'a str,
    pub logins: &'a [Login<'a>],
    /// The other choice that the shipped configuration offers for the time when Countermand is down.
    pub open_without_verdict: bool,
}

pub const DOVEADM_KEY: &str = "key-of-doveadm";

#[derive(Debug)]
pub struct Dovecot {
    pub imap_port: u16,
    pub pop3_port: u16,
    /// Its doveadm HTTP API, with the key `DOVEADM_KEY`.
    pub doveadm_port: u16,
    /// Where a Postfix asks it to check a login.
    pub login_port: u16,
    process: Process,
}

impl Dovecot {
    /// `None` if Dovecot is missing.
    pub fn start(config: DovecotConfig<'_>) -> Option<Self> {
        Self::start_at(config, free_port())
    }

    /// The same with its doveadm API on that port.
    pub fn start_at(config: DovecotConfig<'_>, doveadm_port: u16) -> Option<Self> {
        let [dovecot] = programs(["dovecot"])?;
        let folder = tempfile::tempdir().unwrap();
        open_to_all(folder.path());
        std::fs::create_dir(folder.path().join("mail")).unwrap();
        open_to_all(&folder.path().join("mail"));

        let mut users = String::new();
        for login in config.logins {
            write!(
                users,
                "{}:{{PLAIN}}{}::::::user={}",
                login.name, login.password, login.person
            )
            .unwrap();
            if let Some(device) = login.device {
                write!(users, " device={device}").unwrap();
            }
            users.push('\n');
        }
        std::fs::write(folder.path().join("users"), users).unwrap();

        let gate = format!("127.0.0.1:{}/", config.gate_port);
        let header = format!("Secret: {}", config.gate_secret);
        let mut changes = vec![
            ("127.0.0.1:8420/", gate.as_str()),
            ("Secret: CHANGE-ME", &header),
            ("CHANGE-ME", "it"),
        ];
        if config.open_without_verdict {
            changes.push(("reject_on_fail = yes", "reject_on_fail = no"));
        }
        std::fs::write(
            folder.path().join("countermand.conf"),
            shipped("dovecot/countermand.conf", &changes),
        )
        .unwrap();

        let (imap_port, pop3_port) = (free_port(), free_port());
        let login_port = free_port();
        let privileges = if is_root() {
            AS_ROOT.to_owned()
        } else {
            as_oneself()
        };
        let main = format!("{MAIN}{privileges}")
            .replace("@FOLDER@", folder.path().to_str().unwrap())
            .replace("@IMAP@", &imap_port.to_string())
            .replace("@POP3@", &pop3_port.to_string())
            .replace("@LOGIN@", &login_port.to_string())
            .replace("@DOVEADM@", &doveadm_port.to_string())
            .replace("@KEY@", DOVEADM_KEY);
        let file = folder.path().join("dovecot.conf");
        std::fs::write(&file, main).unwrap();

        let command = [
            dovecot.as_os_str(),
            "-F".as_ref(),
            "-c".as_ref(),
            file.as_os_str(),
        ]
        .map(ToOwned::to_owned);
        let process = Process::start("dovecot", folder, "TERM", command);
        process.await_port(imap_port);
        process.await_port(pop3_port);
        Some(Self {
            imap_port,
            pop3_port,
            login_port,
            doveadm_port,
            process,
        })
    }

    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Where a person's mail lies.
    pub fn maildir(&self, person: &str) -> PathBuf {
        self.process.folder().join("mail").join(person)
    }
}

const MAIN: &str = r"
base_dir = @FOLDER@/run
state_dir = @FOLDER@/state
log_path = /dev/stderr
listen = 127.0.0.1
protocols = imap pop3
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_verbose = yes
auth_failure_delay = 0
auth_username_chars = abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ01234567890.-_@+
mail_location = maildir:@FOLDER@/mail/%u
first_valid_uid = 1
passdb {
  driver = passwd-file
  args = scheme=PLAIN @FOLDER@/users
}
service imap-login {
  inet_listener imap {
    port = @IMAP@
  }
  inet_listener imaps {
    port = 0
  }
}
service pop3-login {
  inet_listener pop3 {
    port = @POP3@
  }
  inet_listener pop3s {
    port = 0
  }
}
service auth {
  inet_listener {
    address = 127.0.0.1
    port = @LOGIN@
  }
}
service doveadm {
  inet_listener http {
    address = 127.0.0.1
    port = @DOVEADM@
  }
}
doveadm_api_key = @KEY@
# Else refused logins are answered later and later.
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
!include @FOLDER@/countermand.conf
";

const AS_ROOT: &str = r"
userdb {
  driver = static
  args = uid=mail gid=mail home=@FOLDER@/mail/%u
}
";

/// Without root nothing can change its user or its root folder.
fn as_oneself() -> String {
    let id = |flag: &str| {
        let output = std::process::Command::new("id").arg(flag).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let (user, group) = (id("-un"), id("-gn"));
    let services = ["anvil", "imap-login", "pop3-login", "stats", "dict"];
    let chroots: String = services
        .iter()
        .map(|name| format!("service {name} {{\n  chroot =\n}}\n"))
        .collect();
    format!(
        "default_internal_user = {user}\ndefault_internal_group = {group}\ndefault_login_user = {user}\n{chroots}\
         userdb {{\n  driver = static\n  args = uid={user} gid={group} home=@FOLDER@/mail/%u\n}}\n"
    )
}
