//! A Postfix of one test's own: a relay with a real queue, whose next hop is a port.

use std::path::PathBuf;

use super::process::Process;
use super::{free_port, is_root, programs};

#[derive(Debug)]
pub struct Postfix {
    pub port: u16,
    postsuper: PathBuf,
    postqueue: PathBuf,
    process: Process,
}

impl Postfix {
    /// `None` if Postfix is missing, or we are not root: its programs change their users.
    ///
    /// All mail goes on to `next_hop`, bounces by LMTP to `bounces`, both ports of this machine. What can't be
    /// passed on stays in the queue.
    pub fn start(next_hop: u16, bounces: u16) -> Option<Postfix> {
        let [postfix, postsuper, postqueue] = programs(["postfix", "postsuper", "postqueue"])?;
        if !is_root() {
            eprintln!("skipped: a Postfix of one's own needs root");
            return None;
        }
        let daemons = PathBuf::from("/usr/lib/postfix/sbin");
        let folder = tempfile::tempdir().unwrap();
        super::open_to_all(folder.path());
        let at = |name: &str| folder.path().join(name);
        for name in ["conf", "queue", "lib"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        let port = free_port();
        let (queue, lib) = (at("queue"), at("lib"));
        let main = format!(
            "compatibility_level = 3.6\nqueue_directory = {}\ndata_directory = {}\ndaemon_directory = {}\nmaillog_file = /dev/stdout\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmynetworks = 127.0.0.0/8\nmyhostname = relay.corp.test\nmydestination =\nalias_maps =\nlocal_recipient_maps =\nrelayhost = [127.0.0.1]:{next_hop}\nrecipient_delimiter = +\ntransport_maps = regexp:{}\nenable_long_queue_ids = yes\nsmtpd_recipient_restrictions = permit_mynetworks, reject\nminimal_backoff_time = 4000s\nmaximal_backoff_time = 4000s\n",
            queue.display(),
            lib.display(),
            daemons.display(),
            at("conf/transport").display(),
        );
        std::fs::write(at("conf/main.cf"), main).unwrap();
        let transport = format!("/^bounces[+@]/ lmtp:inet:127.0.0.1:{bounces}\n");
        std::fs::write(at("conf/transport"), transport).unwrap();
        let services = [
            ("cleanup", "cleanup", 0),
            ("rewrite", "trivial-rewrite", 1),
            ("bounce", "bounce", 0),
            ("defer", "bounce", 0),
            ("trace", "bounce", 0),
            ("smtp", "smtp", 10),
            ("lmtp", "lmtp", 10),
            ("error", "error", 10),
            ("retry", "error", 10),
            ("proxymap", "proxymap", 1),
            ("anvil", "anvil", 1),
            ("scache", "scache", 1),
            ("showq", "showq", 0),
            ("flush", "flush", 0),
        ];
        let mut master = format!(
            "127.0.0.1:{port} inet n - n - - smtpd\nqmgr unix n - n 300 1 qmgr\npostlog unix-dgram n - n - 1 postlogd\n"
        );
        for (name, program, most) in services {
            let public = ["cleanup", "showq", "flush"].contains(&name);
            let private = if public { "n" } else { "-" };
            master += &format!("{name} unix {private} - n - {most} {program}\n");
        }
        std::fs::write(at("conf/master.cf"), master).unwrap();
        // Makes the queue's folders, and gives them to Postfix's user.
        let owned = std::process::Command::new("chown")
            .arg("postfix")
            .arg(&lib)
            .status();
        assert!(owned.unwrap().success());
        let checked = std::process::Command::new(postfix)
            .arg("-c")
            .arg(at("conf"))
            .arg("check")
            .output()
            .unwrap();
        assert!(checked.status.success(), "{checked:?}");
        let command = [
            daemons.join("master").into_os_string(),
            "-c".into(),
            at("conf").into_os_string(),
            "-s".into(),
        ];
        let process = Process::start("Postfix", folder, "TERM", command);
        process.await_port(port);
        Some(Postfix {
            port,
            postsuper,
            postqueue,
            process,
        })
    }

    fn conf(&self) -> String {
        self.process.folder().join("conf").display().to_string()
    }

    /// As in the config: `["postsuper", "-d", "-"]`, of this instance.
    pub fn purge(&self) -> Vec<String> {
        let program = self.postsuper.display().to_string();
        [&program, "-c", &self.conf(), "-d", "-"]
            .map(str::to_owned)
            .to_vec()
    }

    /// The queue: for each mail its recipient, sorted.
    pub fn queued(&self) -> Vec<String> {
        let listed = std::process::Command::new(&self.postqueue)
            .args(["-c", &self.conf(), "-j"])
            .output()
            .unwrap();
        let text = String::from_utf8(listed.stdout).unwrap();
        let mut all: Vec<String> = text
            .lines()
            .map(|line| {
                let mail: serde_json::Value = serde_json::from_str(line).unwrap();
                mail["recipients"][0]["address"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        all.sort();
        all
    }

    pub fn await_that(&self, what: &str, is_so: impl FnMut() -> bool) {
        self.process.await_that(what, is_so);
    }
}
