//! Dovecot with the shipped configuration: IMAP, POP3 and submission, users from a file, tokens, certificates.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::pki::Pki;
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

/// What not every Dovecot has.
#[derive(Clone, Copy, Debug, Default)]
pub struct More<'a> {
    /// Where its doveadm API is to be.
    pub doveadm_port: Option<u16>,
    /// Where it shows tokens.
    pub introspection_port: Option<u16>,
    /// All its ports speak TLS, and nothing else.
    pub pki: Option<&'a Pki>,
    /// With TLS: a certificate's name, and the login that it stands for.
    pub certificates: &'a [(&'a str, &'a str)],
    /// It takes mails to send, too, and passes them on to that port.
    pub relay_port: Option<u16>,
}

pub const DOVEADM_KEY: &str = "key-of-doveadm";

#[derive(Debug)]
pub struct Dovecot {
    pub imap_port: u16,
    pub pop3_port: u16,
    /// Only with a relay.
    pub submission_port: u16,
    /// Its doveadm HTTP API, with the key `DOVEADM_KEY`.
    pub doveadm_port: u16,
    /// Where a Postfix asks it to check a login.
    pub login_port: u16,
    process: Process,
}

impl Dovecot {
    /// `None` if Dovecot is missing.
    pub fn start(config: DovecotConfig<'_>) -> Option<Self> {
        Self::start_with(config, More::default())
    }

    /// The same with its doveadm API on that port.
    pub fn start_at(config: DovecotConfig<'_>, doveadm_port: u16) -> Option<Self> {
        let doveadm_port = Some(doveadm_port);
        Self::start_with(
            config,
            More {
                doveadm_port,
                ..More::default()
            },
        )
    }

    pub fn start_with(config: DovecotConfig<'_>, more: More<'_>) -> Option<Self> {
        let [dovecot] = programs(["dovecot"])?;
        if more.relay_port.is_some() {
            programs(["/usr/lib/dovecot/submission"])?;
        }
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

        let (protocols, before, after) = more.written(folder.path());
        let (imap_port, pop3_port, submission_port) = (free_port(), free_port(), free_port());
        let (login_port, doveadm_port) = (free_port(), more.doveadm_port.unwrap_or_else(free_port));
        let privileges = if is_root() {
            AS_ROOT.to_owned()
        } else {
            as_oneself()
        };
        let main = format!("{protocols}{before}{MAIN}{after}{privileges}")
            .replace("@TLS@", if more.pki.is_some() { "yes" } else { "no" })
            .replace("@SUBMISSION@", &submission_port.to_string())
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
            submission_port,
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

impl More<'_> {
    /// Writes the files beside the main one. Their lines: which protocols there are, what must come before the
    /// passwords, and what comes after.
    fn written(&self, folder: &Path) -> (&'static str, String, String) {
        let place = |file: &str| folder.join(file).display().to_string();
        let put = |file: &str, text: &str| std::fs::write(folder.join(file), text).unwrap();
        let mut before = "ssl = no\n".to_owned();
        if let Some(pki) = self.pki {
            pki.write(folder);
            let lines = shipped(
                "dovecot/countermand-certificates.conf",
                &[
                    ("/etc/ssl/devices-ca.pem", &place("ca.pem")),
                    (
                        "/etc/dovecot/countermand-certificates",
                        &place("certificates"),
                    ),
                ],
            );
            before = format!(
                "ssl = yes\nssl_cert = <{0}\nssl_key = <{0}\n{lines}",
                place("server.pem")
            );
            let whose = |(name, login): &(&str, &str)| {
                format!("{name}:::::::user={login} noauthenticate\n")
            };
            put(
                "certificates",
                &self.certificates.iter().map(whose).collect::<String>(),
            );
        }
        let mut after = String::new();
        if let Some(port) = self.introspection_port {
            let asked = shipped(
                "dovecot/countermand-oauth2.conf.ext",
                &[(
                    "DOVECOT:CHANGE-ME@127.0.0.1:9000",
                    &format!("dovecot:its-key@127.0.0.1:{port}"),
                )],
            );
            put("oauth2", &asked);
            after += &shipped(
                "dovecot/countermand-tokens.conf",
                &[("/etc/dovecot/countermand-oauth2.conf.ext", &place("oauth2"))],
            );
        }
        let Some(port) = self.relay_port else {
            return ("protocols = imap pop3\n", before, after);
        };
        after += &format!(
            "submission_relay_host = 127.0.0.1\nsubmission_relay_port = {port}\n{SUBMISSION}"
        );
        if !is_root() {
            after += "service submission-login {\n  chroot =\n}\n";
        }
        ("protocols = imap pop3 submission\n", before, after)
    }
}

const SUBMISSION: &str = r"
service submission-login {
  inet_listener submission {
    port = @SUBMISSION@
    ssl = @TLS@
  }
}
";

const MAIN: &str = r"
base_dir = @FOLDER@/run
state_dir = @FOLDER@/state
log_path = /dev/stderr
listen = 127.0.0.1
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
    ssl = @TLS@
  }
  inet_listener imaps {
    port = 0
  }
}
service pop3-login {
  inet_listener pop3 {
    port = @POP3@
    ssl = @TLS@
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
