//! Postfix's submission service with the shipped lines, whose logins Dovecot checks. It needs root, as every
//! Postfix does: without it the test is skipped and says so.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::pki::Pki;
use super::process::Process;
use super::{free_port, is_root, open_to_all, programs, shipped};

/// Where Postfix asks us.
#[derive(Clone, Copy, Debug)]
pub enum Asks {
    /// At a port of this machine.
    Port(u16),
    /// At [`Postfix::socket`], with smtpd in its chroot.
    Socket,
}

#[derive(Debug)]
pub struct Postfix {
    pub port: u16,
    process: Process,
}

/// Below the queue directory, as deploy/README.md has it.
const SOCKET: &str = "countermand/policy";

impl Postfix {
    pub fn start(
        asks: Asks,
        login_port: u16,
        pki: &Pki,
        open_without_verdict: bool,
    ) -> Option<Self> {
        Self::start_before(None, asks, login_port, pki, open_without_verdict)
    }

    /// What it takes it passes on to that port, or nowhere.
    pub fn start_before(
        next_hop: Option<u16>,
        asks: Asks,
        login_port: u16,
        pki: &Pki,
        open_without_verdict: bool,
    ) -> Option<Self> {
        let [postfix] = programs(["postfix"])?;
        if !is_root() {
            eprintln!("skipped: a Postfix of one's own must be started by root");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        open_to_all(folder.path());
        std::fs::set_permissions(
            folder.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .unwrap();
        let (etc, data) = (folder.path().join("etc"), folder.path().join("data"));
        for made in [&etc, &data, &folder.path().join("spool")] {
            std::fs::create_dir(made).unwrap();
        }
        own(&data, "postfix");
        pki.write(&etc);
        let (gate, chroot) = match asks {
            Asks::Port(port) => (format!("inet:127.0.0.1:{port}"), "n"),
            Asks::Socket => {
                let folder = folder.path().join("spool/countermand");
                std::fs::create_dir(&folder).unwrap();
                own(&folder, ":postfix");
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o2770);
                std::fs::set_permissions(&folder, mode).unwrap();
                (format!("unix:{SOCKET}"), "y")
            }
        };
        let mut lines = shipped("postfix/main.cf", &[("inet:127.0.0.1:8425", &gate)]);
        if open_without_verdict {
            let changed = lines.replace("default_action = 451 4.3.5 Whether this device may send mail can't be told just now", "default_action = DUNNO");
            assert_ne!(
                changed, lines,
                "deploy/postfix/main.cf offers the choice no more"
            );
            lines = changed;
        }
        let port = free_port();
        let onward = next_hop.map(|port| format!("smtp:[127.0.0.1]:{port}"));
        let onward = onward.unwrap_or_else(|| "discard:".to_owned());
        let fill = |text: &str| {
            text.replace("@ONWARD@", &onward)
                .replace("@CHROOT@", chroot)
                .replace("@FOLDER@", folder.path().to_str().unwrap())
                .replace("@PORT@", &port.to_string())
                .replace("@LOGIN@", &login_port.to_string())
        };
        std::fs::write(etc.join("main.cf"), format!("{}{lines}", fill(MAIN))).unwrap();
        std::fs::write(etc.join("master.cf"), fill(MASTER)).unwrap();
        // Makes the queue's folders. `postfix start-fg` would leave its master behind when it is ended.
        let checked = Command::new(postfix)
            .arg("-c")
            .arg(&etc)
            .arg("check")
            .output()
            .unwrap();
        assert!(checked.status.success(), "{checked:?}");
        let master = Path::new("/usr/lib/postfix/sbin/master");
        let command = [
            master.as_os_str(),
            "-c".as_ref(),
            etc.as_os_str(),
            "-s".as_ref(),
        ];
        let command = command.map(ToOwned::to_owned);
        let process = Process::start("postfix", folder, "TERM", command);
        process.await_port(port);
        Some(Self { port, process })
    }

    /// Where it asks, of [`Asks::Socket`].
    pub fn socket(&self) -> PathBuf {
        self.process.folder().join("spool").join(SOCKET)
    }

    pub fn log(&self) -> String {
        self.process.log()
    }
}

fn own(path: &Path, user: &str) {
    let done = Command::new("chown").arg(user).arg(path).status().unwrap();
    assert!(done.success());
}

const MAIN: &str = "compatibility_level = 3.6
queue_directory = @FOLDER@/spool
data_directory = @FOLDER@/data
maillog_file = /dev/stdout
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.corp.test
mydestination =
alias_maps =
local_recipient_maps =
default_transport = @ONWARD@
smtpd_tls_chain_files = @FOLDER@/etc/server.pem
smtpd_tls_CAfile = @FOLDER@/etc/ca.pem
";

const MASTER: &str = "@PORT@ inet n - @CHROOT@ - - smtpd
  -o smtpd_tls_security_level=may
  -o smtpd_tls_ask_ccert=yes
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_sasl_type=dovecot
  -o smtpd_sasl_path=inet:127.0.0.1:@LOGIN@
  -o smtpd_recipient_restrictions=$countermand_submission
  -o smtpd_relay_restrictions=
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
discard unix - - n - - discard
smtp unix - - n - - smtp
retry unix - - n - - error
scache unix - - n - 1 scache
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
";
