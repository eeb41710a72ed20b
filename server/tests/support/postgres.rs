//! A private PostgreSQL cluster, one for all tests of a process.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::process::Process;
use super::{free_port, is_root, open_to_all, programs};

#[derive(Debug)]
pub struct Postgres {
    port: u16,
    psql: PathBuf,
    databases: AtomicU32,
    process: Process,
}

impl Postgres {
    /// `None` if PostgreSQL is missing.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Postgres>> = OnceLock::new();
        SHARED.get_or_init(Self::start).as_ref()
    }

    pub fn start() -> Option<Self> {
        let [initdb, server, psql, ready] = programs(["initdb", "postgres", "psql", "pg_isready"])?;
        let folder = tempfile::tempdir().unwrap();
        open_to_all(folder.path());
        let data = folder.path().join("data");
        let made = run(as_postgres(&initdb).into_iter().chain(
            [
                "--auth=trust",
                "--username=postgres",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "--pgdata",
            ]
            .map(OsString::from)
            .into_iter()
            .chain([data.clone().into()]),
        ));
        assert!(
            made.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&made.stderr)
        );

        let port = free_port();
        let mut command = as_postgres(&server);
        command.extend(["-D".into(), data.into()]);
        let sockets = format!("unix_socket_directories={}", folder.path().display());
        let port_setting = format!("port={port}");
        // Nothing here must survive a power cut.
        for setting in [
            "listen_addresses=127.0.0.1",
            &port_setting,
            &sockets,
            "fsync=off",
            "synchronous_commit=off",
            "full_page_writes=off",
            "max_connections=200",
            "shared_buffers=32MB",
        ] {
            command.extend(["-c".into(), setting.into()]);
        }
        // SIGINT: end now, without waiting for connections that tests left open.
        let process = Process::start("postgres", folder, "INT", command);
        process.await_that("accept connections", || {
            let arguments = ["-q", "-h", "127.0.0.1", "-p", &port.to_string()].map(OsString::from);
            run([ready.clone().into()].into_iter().chain(arguments))
                .status
                .success()
        });
        Some(Self {
            port,
            psql,
            databases: AtomicU32::new(0),
            process,
        })
    }

    /// The cluster's own database.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// A new, empty database of the caller's own.
    pub fn fresh_database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let sql = format!("CREATE DATABASE {name}");
        let arguments =
            [&self.url(), "-q", "-v", "ON_ERROR_STOP=1", "-c", &sql].map(OsString::from);
        let done = run([self.psql.clone().into()].into_iter().chain(arguments));
        assert!(
            done.status.success(),
            "{sql}: {}\n{}",
            String::from_utf8_lossy(&done.stderr),
            self.process.log()
        );
        self.url_of(&name)
    }

    /// The folder of the Unix socket, `.s.PGSQL.PORT` in it.
    pub fn sockets(&self) -> &Path {
        self.process.folder()
    }

    fn url_of(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

/// PostgreSQL refuses to run as root.
fn as_postgres(program: &Path) -> Vec<OsString> {
    let mut command: Vec<OsString> = Vec::new();
    if is_root() {
        command.extend(
            [
                "setpriv",
                "--reuid=postgres",
                "--regid=postgres",
                "--init-groups",
            ]
            .map(OsString::from),
        );
    }
    command.push(program.into());
    command
}

fn run(command: impl IntoIterator<Item = OsString>) -> Output {
    let mut words = command.into_iter();
    let program = words.next().unwrap();
    Command::new(&program)
        .args(words)
        .current_dir("/")
        .output()
        .unwrap_or_else(|error| panic!("{program:?}: {error}"))
}
