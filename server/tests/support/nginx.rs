//! nginx with the shipped configuration in front of a made-up mail server.

use super::process::Process;
use super::{free_port, open_to_all, programs, shipped};

#[derive(Clone, Copy, Debug)]
pub struct NginxConfig<'a> {
    pub gate_port: u16,
    pub gate_secret: &'a str,
    /// The other choice that the shipped configuration offers for the time when Countermand is down.
    pub open_without_verdict: bool,
}

#[derive(Debug)]
pub struct Nginx {
    pub port: u16,
    process: Process,
}

impl Nginx {
    /// `None` if nginx is missing. Whoever gets through reads `mail server: METHOD URI`.
    pub fn start(config: NginxConfig<'_>) -> Option<Self> {
        Self::start_with(config, &[])
    }

    /// The same with an nginx that checks the passwords (login, password) itself, and vouches for the person.
    pub fn start_signing_in(config: NginxConfig<'_>, logins: &[(&str, &str)]) -> Option<Self> {
        Self::start_with(config, logins)
    }

    fn start_with(config: NginxConfig<'_>, logins: &[(&str, &str)]) -> Option<Self> {
        let [nginx] = programs(["nginx"])?;
        let (port, upstream) = (free_port(), free_port());
        let folder = tempfile::tempdir().unwrap();
        open_to_all(folder.path());

        let gate = format!("127.0.0.1:{}", config.gate_port);
        let http = shipped("nginx/countermand-http.conf", &[("127.0.0.1:8420", &gate)]);
        let mut server = shipped(
            "nginx/countermand.conf",
            &[
                ("\"CHANGE-ME\"", &format!("\"{}\"", config.gate_secret)),
                ("CHANGE-ME", "it"),
            ],
        );
        if config.open_without_verdict {
            let changed = server.replace("return 500;", "return 204;");
            assert_ne!(
                changed, server,
                "deploy/nginx/countermand.conf offers the choice no more"
            );
            server = changed;
        }
        if !logins.is_empty() {
            let changed = server.replace("X-Remote-User \"\";", "X-Remote-User $remote_user;");
            assert_ne!(
                changed, server,
                "deploy/nginx/countermand.conf sets X-Remote-User no more"
            );
            server = format!("auth_basic mail;\nauth_basic_user_file users;\n{changed}");
            let users: String = logins
                .iter()
                .map(|(login, password)| format!("{login}:{{PLAIN}}{password}\n"))
                .collect();
            std::fs::write(folder.path().join("users"), users).unwrap();
        }
        std::fs::write(folder.path().join("countermand-http.conf"), http).unwrap();
        std::fs::write(folder.path().join("countermand.conf"), server).unwrap();
        let main = MAIN
            .replace("@PORT@", &port.to_string())
            .replace("@UPSTREAM@", &upstream.to_string());
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, main).unwrap();

        let command = [
            nginx.as_os_str(),
            "-p".as_ref(),
            folder.path().as_os_str(),
            "-c".as_ref(),
            file.as_os_str(),
        ];
        let command = command.map(ToOwned::to_owned);
        let process = Process::start("nginx", folder, "TERM", command);
        process.await_port(port);
        Some(Self { port, process })
    }

    pub fn log(&self) -> String {
        self.process.log()
    }
}

const MAIN: &str = r#"
daemon off;
pid nginx.pid;
error_log stderr info;
worker_processes 1;
events { worker_connections 128; }
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include countermand-http.conf;
    server {
        listen 127.0.0.1:@PORT@;
        include countermand.conf;
        location / {
            proxy_pass http://127.0.0.1:@UPSTREAM@;
        }
    }
    server {
        listen 127.0.0.1:@UPSTREAM@;
        return 200 "mail server: $request_method $request_uri";
    }
}
"#;
