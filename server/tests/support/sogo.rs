//! SOGo, a mail server that speaks ActiveSync: its tables in PostgreSQL, its memory in memcached, its mail in an
//! IMAP server of the caller's, what it sends to a mail server of the caller's.

use sqlx::Connection as _;

use super::postgres::Postgres;
use super::process::Process;
use super::{free_port, http, is_root, open_to_all, programs};

#[derive(Debug)]
pub struct Sogo {
    pub port: u16,
    // Ends before what it stands on.
    process: Process,
    memory: Process,
    tables: Postgres,
}

/// As many as may wait for new mail at once, and a few.
const WORKERS: &str = "8";

impl Sogo {
    /// With alice@corp.test, whose password is `secret`. `None` if a program is missing, or we are not root: SOGo
    /// runs only as a user of its own.
    pub fn start(
        runtime: &tokio::runtime::Runtime,
        imap_port: u16,
        smtp_port: u16,
    ) -> Option<Sogo> {
        let [sogod, memcached, setpriv] = programs(["sogod", "memcached", "setpriv"])?;
        if !is_root() {
            eprintln!("skipped: a SOGo of one's own must be started by root");
            return None;
        }
        let tables = Postgres::start()?;
        let database = tables.fresh_database();
        runtime.block_on(people(&database));

        let folder = tempfile::tempdir().unwrap();
        open_to_all(folder.path());
        let memory_port = free_port();
        let (loopback, port) = ("127.0.0.1", memory_port.to_string());
        let command = ["-u", "sogo", "-l", loopback, "-p", &port].map(Into::into);
        let command = std::iter::once(memcached.into_os_string()).chain(command);
        let memory = Process::start("memcached", folder, "TERM", command);
        memory.await_port(memory_port);

        let folder = tempfile::tempdir().unwrap();
        open_to_all(folder.path());
        let port = free_port();
        let home = format!("HOME={}", folder.path().display());
        let mut command = vec![setpriv.into_os_string()];
        let as_sogo = [
            "--reuid=sogo",
            "--regid=sogo",
            "--init-groups",
            "env",
            &home,
        ];
        command.extend(as_sogo.map(Into::into));
        command.push(sogod.into_os_string());
        let database = database.replacen("postgres://", "postgresql://", 1);
        let own = settings(&database, imap_port, smtp_port, memory_port, port);
        for (name, value) in own {
            command.extend([format!("-{name}").into(), value.into()]);
        }
        // Asked to end, it takes half a minute.
        let process = Process::start("sogod", folder, "KILL", command);
        process.await_port(port);
        process.await_that("answer", || {
            let alice = [("Authorization", "Basic YWxpY2VAY29ycC50ZXN0OnNlY3JldA==")];
            let path = "/SOGo/Microsoft-Server-ActiveSync";
            http::send(port, "OPTIONS", path, &alice, b"").status == 200
        });
        Some(Sogo {
            port,
            process,
            memory,
            tables,
        })
    }

    pub fn log(&self) -> String {
        self.process.log()
    }
}

/// All of it goes on the command line, which comes before the machine's own /etc/sogo/sogo.conf.
fn settings(
    database: &str,
    imap: u16,
    smtp: u16,
    memory: u16,
    port: u16,
) -> Vec<(&'static str, String)> {
    let table = |name: &str| format!("{database}/{name}");
    let users = format!(
        "({{ type = sql; id = directory; viewURL = \"{}\"; canAuthenticate = YES; isAddressBook = NO; \
         userPasswordAlgorithm = plain; }})",
        table("people")
    );
    vec![
        ("WONoDetach", "YES".into()),
        ("WOWorkersCount", WORKERS.into()),
        ("WOPort", format!("127.0.0.1:{port}")),
        ("WOPidFile", "sogo.pid".into()),
        ("WOLogFile", "-".into()),
        ("SOGoProfileURL", table("sogo_user_profile")),
        ("OCSFolderInfoURL", table("sogo_folder_info")),
        ("OCSSessionsFolderURL", table("sogo_sessions_folder")),
        ("OCSEMailAlarmsFolderURL", table("sogo_alarms_folder")),
        ("OCSCacheFolderURL", table("sogo_cache_folder")),
        ("OCSStoreURL", table("sogo_store")),
        ("OCSAclURL", table("sogo_acl")),
        ("SOGoUserSources", users),
        ("SOGoIMAPServer", format!("imap://127.0.0.1:{imap}")),
        ("SOGoSMTPServer", format!("smtp://127.0.0.1:{smtp}")),
        ("SOGoMailingMechanism", "smtp".into()),
        // For the person whose phone it is, with the same password.
        ("SOGoSMTPAuthenticationType", "PLAIN".into()),
        ("SOGoMemcachedHost", format!("127.0.0.1:{memory}")),
        ("SOGoMailDomain", "corp.test".into()),
        ("SOGoMaximumPingInterval", "30".into()),
        ("SOGoMaximumSyncInterval", "30".into()),
        ("SOGoInternalSyncInterval", "1".into()),
    ]
}

async fn people(database: &str) {
    let mut connection = sqlx::PgConnection::connect(database).await.unwrap();
    for sql in [
        "CREATE TABLE people (c_uid TEXT PRIMARY KEY, c_name TEXT, c_password TEXT, c_cn TEXT, mail TEXT)",
        "INSERT INTO people VALUES ('alice@corp.test', 'alice@corp.test', 'secret', 'Alice', 'alice@corp.test')",
    ] {
        sqlx::query(sql).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
}
