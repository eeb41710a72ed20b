//! One server process, its scratch folder and its log.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A start is given up after this many attempts to connect, `PAUSE` apart: half a minute.
const ATTEMPTS: u32 = 3000;
const PAUSE: Duration = Duration::from_millis(10);

/// Runs the server and outlives us by a moment: when the pipe to it closes, because this value was dropped or
/// because the test process ended in any way, it ends the server and removes the folder. So a server in a
/// `static`, which is never dropped, goes as well.
const SUPERVISOR: &str = r#"
folder=$1; signal=$2; shift 2
"$@" </dev/null >>"$folder/log" 2>&1 &
server=$!
echo "$server"
exec >/dev/null
cat >/dev/null
if [ "$signal" = KILL ]; then
    # It can't end its children any more.
    kill -KILL $(cat /proc/"$server"/task/*/children) "$server" 2>/dev/null
else
    kill -"$signal" "$server" 2>/dev/null
fi
wait "$server"
rm -rf "$folder"
"#;

#[derive(Debug)]
pub struct Process {
    name: &'static str,
    folder: PathBuf,
    supervisor: Child,
    server: u32,
}

impl Process {
    /// Takes over the folder. `signal` is what makes this server end at once.
    pub fn start<S: AsRef<OsStr>>(
        name: &'static str,
        folder: tempfile::TempDir,
        signal: &str,
        command: impl IntoIterator<Item = S>,
    ) -> Self {
        let folder = folder.keep();
        let mut supervisor = Command::new("sh")
            .args(["-c", SUPERVISOR, "supervisor"])
            .arg(&folder)
            .arg(signal)
            .args(command)
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // A Ctrl-C in the terminal is for the tests; the supervisor then sees the pipe close.
            .process_group(0)
            .spawn()
            .expect("sh starts");
        let mut line = String::new();
        let stdout = supervisor.stdout.take().expect("stdout is piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("the supervisor speaks");
        let server = line
            .trim()
            .parse()
            .expect("the supervisor says the server's process id");
        Self {
            name,
            folder,
            supervisor,
            server,
        }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn log(&self) -> String {
        let read = |file: &str| std::fs::read(self.folder.join(file)).unwrap_or_default();
        String::from_utf8_lossy(&read("log")).into_owned()
    }

    pub fn await_port(&self, port: u16) {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        self.await_that("accept connections", || {
            TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
        });
    }

    /// Asks again and again, until it is so, the server has ended, or half a minute has passed.
    pub fn await_that(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        for _ in 0..ATTEMPTS {
            if is_so() {
                return;
            }
            assert!(
                !self.has_ended(),
                "{} ended instead of starting to {what}:\n{}",
                self.name,
                self.log()
            );
            std::thread::sleep(PAUSE);
        }
        panic!("{} did not {what} in time:\n{}", self.name, self.log());
    }

    /// Its parent, the supervisor, does not look yet, so an ended server stays visible as a zombie.
    fn has_ended(&self) -> bool {
        let status =
            std::fs::read_to_string(format!("/proc/{}/stat", self.server)).unwrap_or_default();
        status
            .rsplit(')')
            .next()
            .is_some_and(|rest| rest.trim_start().starts_with('Z'))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of {} ---\n{}--- end ---", self.name, self.log());
        }
        drop(self.supervisor.stdin.take());
        for _ in 0..ATTEMPTS {
            if !matches!(self.supervisor.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(PAUSE);
        }
        let group = format!("-{}", self.supervisor.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.supervisor.wait();
    }
}
