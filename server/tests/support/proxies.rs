//! The proxies before ActiveSync and web mail, each with the configuration that is shipped, under TLS, in front of
//! a mail server of the test's own.

use std::ffi::OsString;
use std::fmt;
use std::path::Path;

use super::pki::Pki;
use super::process::Process;
use super::{free_port, open_to_all, programs, shipped};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Nginx,
    Caddy,
    Envoy,
    Haproxy,
}

impl Kind {
    pub const ALL: [Kind; 4] = [Kind::Nginx, Kind::Caddy, Kind::Envoy, Kind::Haproxy];

    fn name(self) -> &'static str {
        match self {
            Kind::Nginx => "nginx",
            Kind::Caddy => "caddy",
            Kind::Envoy => "envoy",
            Kind::Haproxy => "haproxy",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[derive(Clone, Copy, Debug)]
pub struct ProxyConfig<'a> {
    pub gate_port: u16,
    pub gate_secret: &'a str,
    pub mail_port: u16,
    /// The other choice that each shipped configuration offers for the time when Countermand is down.
    pub open_without_verdict: bool,
    /// Who signed the proxy's certificate, and those of devices.
    pub pki: &'a Pki,
}

#[derive(Debug)]
pub struct Proxy {
    pub kind: Kind,
    pub port: u16,
    process: Process,
}

impl Proxy {
    /// `None` if it is missing.
    pub fn start(kind: Kind, config: &ProxyConfig<'_>) -> Option<Proxy> {
        Self::start_changed(kind, config, None)
    }

    /// The same with one more change to what it asks us by: HAProxy's is a program, and may have a fault.
    pub fn start_changed(
        kind: Kind,
        config: &ProxyConfig<'_>,
        change: Option<(&str, &str)>,
    ) -> Option<Proxy> {
        let [program] = programs([kind.name()])?;
        let folder = tempfile::tempdir().unwrap();
        open_to_all(folder.path());
        config.pki.write(folder.path());
        let port = free_port();
        let place = Place {
            folder: folder.path(),
            port,
            config,
        };
        let arguments = match kind {
            Kind::Nginx => place.nginx(),
            Kind::Caddy => place.caddy(),
            Kind::Envoy => place.envoy(),
            Kind::Haproxy => place.haproxy(change),
        };
        // Caddy keeps things in its user's home.
        let home = format!("HOME={}", folder.path().display());
        let command = ["env".into(), home.into(), program.into_os_string()];
        let command: Vec<OsString> = command
            .into_iter()
            .chain(arguments.into_iter().map(OsString::from))
            .collect();
        let process = Process::start(kind.name(), folder, "TERM", command);
        process.await_port(port);
        Some(Proxy {
            kind,
            port,
            process,
        })
    }

    pub fn log(&self) -> String {
        self.process.log()
    }
}

/// Where a proxy is to stand.
struct Place<'a> {
    folder: &'a Path,
    port: u16,
    config: &'a ProxyConfig<'a>,
}

impl Place<'_> {
    fn write(&self, file: &str, text: &str) -> String {
        let path = self.folder.join(file);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn file(&self, file: &str) -> String {
        self.folder.join(file).display().to_string()
    }

    /// A shipped configuration, with the choice for the time without a verdict made by `open`.
    fn shipped(&self, file: &str, open: (&str, &str), changes: &[(&str, &str)]) -> String {
        let mut changes = changes.to_vec();
        if self.config.open_without_verdict {
            changes.push(open);
        }
        shipped(file, &changes)
    }

    fn gate(&self) -> String {
        format!("127.0.0.1:{}", self.config.gate_port)
    }

    fn mail(&self) -> String {
        format!("127.0.0.1:{}", self.config.mail_port)
    }

    fn nginx(&self) -> Vec<String> {
        let secret = format!("\"{}\"", self.config.gate_secret);
        let http = shipped(
            "nginx/countermand-http.conf",
            &[("127.0.0.1:8420", &self.gate())],
        );
        let server = self.shipped(
            "nginx/countermand.conf",
            ("return 500;", "return 204;"),
            &[("\"CHANGE-ME\"", &secret), ("CHANGE-ME", "it")],
        );
        self.write("countermand-http.conf", &http);
        self.write("countermand.conf", &server);
        // The lines that the file offers for SOGo.
        let phones: String = server
            .lines()
            .skip_while(|line| !line.contains("location ^~"))
            .take(5)
            .map(|line| format!("{}\n", line.trim_start_matches('#')))
            .collect();
        assert!(
            phones.contains("/SOGo/Microsoft-Server-ActiveSync;"),
            "{phones}"
        );
        let main = NGINX
            .replace("@PHONES@", &phones.replace("127.0.0.1:20000", &self.mail()))
            .replace("@PORT@", &self.port.to_string())
            .replace("@MAIL@", &self.mail());
        let main = self.write("nginx.conf", &main);
        vec![
            "-p".into(),
            self.folder.display().to_string(),
            "-c".into(),
            main,
        ]
    }

    fn caddy(&self) -> Vec<String> {
        let secret = format!("\"{}\"", self.config.gate_secret);
        let site = format!("https://localhost:{} {{\n\tbind 127.0.0.1", self.port);
        let (server, authority) = (self.file("server.pem"), self.file("ca.pem"));
        let text = self.shipped(
            "caddy/Caddyfile",
            ("\t\t\trespond 503", "\t\t\tinvoke mail"),
            &[
                ("\"CHANGE-ME\"", &secret),
                ("CHANGE-ME", "it"),
                ("127.0.0.1:8420", &self.gate()),
                ("127.0.0.1:8080", &self.mail()),
                ("mail.example.test {", &site),
                ("/etc/ssl/mail.pem", &server),
                ("/etc/ssl/private/mail.key", &server),
                ("/etc/ssl/devices-ca.pem", &authority),
            ],
        );
        // No port but those that the test chose.
        let options = "{\n\tadmin off\n\tauto_https off\n\tpersist_config off\n}\n";
        let file = self.write("Caddyfile", &format!("{options}{text}"));
        ["run", "--adapter", "caddyfile", "--config", &file]
            .map(str::to_owned)
            .to_vec()
    }

    fn envoy(&self) -> Vec<String> {
        let port = |number| format!("address: 127.0.0.1, port_value: {number}");
        let (gate, mail) = (port(self.config.gate_port), port(self.config.mail_port));
        let (server, authority) = (self.file("server.pem"), self.file("ca.pem"));
        let secret = format!("value: {}", self.config.gate_secret);
        let text = self.shipped(
            "envoy/envoy.yaml",
            ("failure_mode_allow: false", "failure_mode_allow: true"),
            &[
                ("value: CHANGE-ME", &secret),
                ("CHANGE-ME", "it"),
                ("address: 0.0.0.0, port_value: 443", &port(self.port)),
                ("address: 127.0.0.1, port_value: 8080", &mail),
                ("address: 127.0.0.1, port_value: 8420", &gate),
                ("/etc/ssl/mail.pem", &server),
                ("/etc/ssl/private/mail.key", &server),
                ("/etc/ssl/devices-ca.pem", &authority),
            ],
        );
        let file = self.write("envoy.yaml", &text);
        // Several of them may run at once, and none takes over from another.
        let alone = ["--use-dynamic-base-id", "--disable-hot-restart"];
        ["-c", &file, "--concurrency", "1", "--log-level", "warning"]
            .into_iter()
            .chain(alone)
            .map(str::to_owned)
            .collect()
    }

    fn haproxy(&self, change: Option<(&str, &str)>) -> Vec<String> {
        let secret = format!("\"{}\"", self.config.gate_secret);
        let asks = self.shipped(
            "haproxy/countermand.lua",
            (
                "open_without_verdict = false",
                "open_without_verdict = true",
            ),
            &[
                Some(("\"CHANGE-ME\"", secret.as_str())),
                Some(("port = 8420", &format!("port = {}", self.config.gate_port))),
                change,
            ]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>(),
        );
        let asks = self.write("countermand.lua", &asks);
        let (server, authority) = (self.file("server.pem"), self.file("ca.pem"));
        let main = shipped(
            "haproxy/haproxy.cfg",
            &[
                ("/etc/haproxy/countermand.lua", &asks),
                ("bind :443", &format!("bind 127.0.0.1:{}", self.port)),
                ("/etc/ssl/private/mail.pem", &server),
                ("/etc/ssl/devices-ca.pem", &authority),
                ("127.0.0.1:8080", &self.mail()),
            ],
        );
        let file = self.write("haproxy.cfg", &main);
        ["-db", "-f", &file].map(str::to_owned).to_vec()
    }
}

const NGINX: &str = r#"
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
        listen 127.0.0.1:@PORT@ ssl;
        ssl_certificate server.pem;
        ssl_certificate_key server.pem;
        ssl_client_certificate ca.pem;
        ssl_verify_client optional;
        include countermand.conf;
@PHONES@
        location / {
            proxy_pass http://@MAIL@;
            proxy_read_timeout 1h;
        }
    }
}
"#;
