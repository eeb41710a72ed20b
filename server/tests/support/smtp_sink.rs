//! Postfix's `smtp-sink`: takes any mail and forgets it, or does whatever its options say.

use std::ffi::OsString;

use super::process::Process;
use super::{free_port, is_root, open_to_all, programs};

#[derive(Debug)]
pub struct SmtpSink {
    pub port: u16,
    process: Process,
}

impl SmtpSink {
    pub fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// With options of smtp-sink(1): `-w 1` answers late, `-q DATA` hangs up, `-r .` rejects at the final dot,
    /// `-D mails` keeps what came in a file of that name. `None` if Postfix is missing.
    pub fn start_with(options: &[&str]) -> Option<Self> {
        let [sink] = programs(["smtp-sink"])?;
        let folder = tempfile::tempdir().unwrap();
        open_to_all(folder.path());
        let port = free_port();
        let mut command: Vec<OsString> = vec![sink.into()];
        if is_root() {
            command.extend(["-u".into(), "nobody".into()]);
        }
        command.extend(options.iter().map(OsString::from));
        command.extend([format!("127.0.0.1:{port}").into(), "100".into()]);
        let process = Process::start("smtp-sink", folder, "TERM", command);
        process.await_port(port);
        Some(Self { port, process })
    }

    /// A file that an option made it write.
    pub fn file(&self, name: &str) -> std::path::PathBuf {
        self.process.folder().join(name)
    }
}
