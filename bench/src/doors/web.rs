//! ActiveSync behind each proxy as it is shipped, under TLS, before a mail server that answers at once.

use std::process::Command;

use super::company::{ASKING, Company, SECRET};
use super::load::{Took, wrk};
use super::servers::{Place, shipped, without};
use super::{NO_GATE, Names, RUNS};
use crate::rows::Row;
use crate::stage::address;
use crate::tools::{Running, find, free_port, start};

const CLIENTS: usize = 32;

#[derive(Clone, Copy)]
pub enum Kind {
    Nginx,
    Caddy,
    Envoy,
    Haproxy,
}

impl Kind {
    pub const ALL: [Kind; 4] = [Kind::Nginx, Kind::Caddy, Kind::Envoy, Kind::Haproxy];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Nginx => "nginx",
            Kind::Caddy => "caddy",
            Kind::Envoy => "envoy",
            Kind::Haproxy => "haproxy",
        }
    }

    fn names(self) -> Names {
        let (each_second, p50, p99) = match self {
            Kind::Nginx => ("door-nginx", "door-nginx-p50", "door-nginx-p99"),
            Kind::Caddy => ("door-caddy", "door-caddy-p50", "door-caddy-p99"),
            Kind::Envoy => ("door-envoy", "door-envoy-p50", "door-envoy-p99"),
            Kind::Haproxy => ("door-haproxy", "door-haproxy-p50", "door-haproxy-p99"),
        };
        Names {
            each_second,
            unit: "requests/s",
            p50,
            p99,
            peer: NO_GATE,
        }
    }
}

const MAIL: &str = "daemon off; pid nginx.pid; error_log stderr crit; worker_processes 1;
events { worker_connections 1024; }
http {
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    server { listen 127.0.0.1:@MAIL@; location / { return 204; } }
}
";

pub async fn measured(kind: Kind, company: &Company) -> anyhow::Result<[Row; 3]> {
    let mail = Place::new()?;
    let mail_port = free_port()?;
    let config = mail.put(
        "nginx.conf",
        &MAIL.replace("@MAIL@", &mail_port.to_string()),
    )?;
    let mut nginx = Command::new(find("nginx")?);
    nginx.arg("-p").arg(mail.path()).arg("-c").arg(config);
    let _mail = start(&mut nginx, mail_port).await?;

    let (asking, plain) = (Place::new()?, Place::new()?);
    let (_with, port) = proxy(kind, &asking, Some(company.port), mail_port).await?;
    let (_without, plain_port) = proxy(kind, &plain, None, mail_port).await?;
    let person = address(ASKING).replace('@', "%40");
    let path = format!(
        "/Microsoft-Server-ActiveSync?Cmd=Ping&User={person}&DeviceId=PHONE{ASKING:06}&DeviceType=iPhone"
    );
    let headers = [("MS-ASProtocolVersion", "14.1")];
    let (mut ours, mut peer): (Vec<Took>, Vec<Took>) = Default::default();
    // Turn by turn, so that a busy moment of the machine touches both.
    for _ in 0..RUNS {
        peer.push(wrk(plain_port, &path, &headers, CLIENTS).await?);
        ours.push(wrk(port, &path, &headers, CLIENTS).await?);
    }
    Ok(kind.names().rows(&ours, &peer))
}

/// Without a gate's port nobody is asked.
async fn proxy(
    kind: Kind,
    place: &Place,
    gate: Option<u16>,
    mail: u16,
) -> anyhow::Result<(Running, u16)> {
    let port = free_port()?;
    let stand = Stand {
        place,
        port,
        gate,
        mail,
        certificate: place.certify("server.pem")?,
    };
    let arguments = match kind {
        Kind::Nginx => stand.nginx()?,
        Kind::Caddy => stand.caddy()?,
        Kind::Envoy => stand.envoy()?,
        Kind::Haproxy => stand.haproxy()?,
    };
    let mut command = Command::new(find(kind.name())?);
    command.args(arguments).env("HOME", place.path());
    Ok((start(&mut command, port).await?, port))
}

struct Stand<'a> {
    place: &'a Place,
    port: u16,
    gate: Option<u16>,
    mail: u16,
    certificate: String,
}

impl Stand<'_> {
    fn put(&self, file: &str, text: &str) -> anyhow::Result<String> {
        Ok(self.place.put(file, text)?.display().to_string())
    }

    /// Where the gate is; without one, where nobody asks.
    fn gate(&self) -> String {
        self.gate.unwrap_or(9).to_string()
    }

    fn nginx(&self) -> anyhow::Result<Vec<String>> {
        let gate = format!("127.0.0.1:{}", self.gate());
        let http = include_str!("../../../deploy/nginx/countermand-http.conf");
        let server = include_str!("../../../deploy/nginx/countermand.conf");
        self.put(
            "countermand-http.conf",
            &shipped(http, &[("127.0.0.1:8420", &gate)])?,
        )?;
        self.put(
            "countermand.conf",
            &shipped(server, &[("CHANGE-ME", SECRET)])?,
        )?;
        let asks = ["", "include countermand.conf;"][usize::from(self.gate.is_some())];
        let main = NGINX
            .replace("@PORT@", &self.port.to_string())
            .replace("@MAIL@", &self.mail.to_string())
            .replace("@ASKS@", asks);
        let main = self.put("nginx.conf", &main)?;
        let folder = self.place.path().display().to_string();
        Ok(["-p", &folder, "-c", &main].map(str::to_owned).into())
    }

    fn caddy(&self) -> anyhow::Result<Vec<String>> {
        let text = include_str!("../../../deploy/caddy/Caddyfile");
        let site = format!("https://localhost:{} {{\n\tbind 127.0.0.1", self.port);
        let mut changes = vec![
            ("CHANGE-ME", SECRET.to_owned()),
            ("127.0.0.1:8420", format!("127.0.0.1:{}", self.gate())),
            ("127.0.0.1:8080", format!("127.0.0.1:{}", self.mail)),
            ("mail.example.test {", site),
            ("/etc/ssl/mail.pem", self.certificate.clone()),
            ("/etc/ssl/private/mail.key", self.certificate.clone()),
            ("/etc/ssl/devices-ca.pem", self.certificate.clone()),
        ];
        if self.gate.is_none() {
            changes.push(("\timport countermand_away\n", String::new()));
            changes.push(("\t\timport countermand\n", String::new()));
        }
        let changes: Vec<_> = changes
            .iter()
            .map(|(from, to)| (*from, to.as_str()))
            .collect();
        let options = "{\n\tadmin off\n\tauto_https off\n\tpersist_config off\n}\n";
        let file = self.put(
            "Caddyfile",
            &format!("{options}{}", shipped(text, &changes)?),
        )?;
        let arguments = ["run", "--adapter", "caddyfile", "--config", &file];
        Ok(arguments.map(str::to_owned).into())
    }

    fn envoy(&self) -> anyhow::Result<Vec<String>> {
        let text = include_str!("../../../deploy/envoy/envoy.yaml");
        let at = |port: String| format!("address: 127.0.0.1, port_value: {port}");
        let mut text = shipped(
            text,
            &[
                ("CHANGE-ME", SECRET),
                (
                    "address: 0.0.0.0, port_value: 443",
                    &at(self.port.to_string()),
                ),
                (
                    "address: 127.0.0.1, port_value: 8080",
                    &at(self.mail.to_string()),
                ),
                ("address: 127.0.0.1, port_value: 8420", &at(self.gate())),
                ("/etc/ssl/mail.pem", &self.certificate),
                ("/etc/ssl/private/mail.key", &self.certificate),
                ("/etc/ssl/devices-ca.pem", &self.certificate),
            ],
        )?;
        if self.gate.is_none() {
            let filter = |name: &str| format!("          - name: envoy.filters.http.{name}");
            text = without(&text, &filter("ext_authz"), &filter("router"))?;
        }
        let file = self.put("envoy.yaml", &text)?;
        let arguments = ["-c", &file, "--concurrency", "1", "--log-level", "critical"];
        let alone = ["--use-dynamic-base-id", "--disable-hot-restart"];
        Ok(arguments
            .into_iter()
            .chain(alone)
            .map(str::to_owned)
            .collect())
    }

    fn haproxy(&self) -> anyhow::Result<Vec<String>> {
        let lua = include_str!("../../../deploy/haproxy/countermand.lua");
        let port = format!("port = {}", self.gate());
        let lua = shipped(lua, &[("CHANGE-ME", SECRET), ("port = 8420", &port)])?;
        let lua = self.put("countermand.lua", &lua)?;
        let text = include_str!("../../../deploy/haproxy/haproxy.cfg");
        let mut text = shipped(
            text,
            &[
                ("/etc/haproxy/countermand.lua", &lua),
                ("bind :443", &format!("bind 127.0.0.1:{}", self.port)),
                ("/etc/ssl/private/mail.pem", &self.certificate),
                ("/etc/ssl/devices-ca.pem", &self.certificate),
                ("127.0.0.1:8080", &format!("127.0.0.1:{}", self.mail)),
            ],
        )?;
        if self.gate.is_none() {
            let begin = "    http-request set-var(txn.countermand_status)";
            text = without(&text, begin, "    default_backend mail")?;
        }
        let file = self.put("haproxy.cfg", &text)?;
        Ok(["-db", "-f", &file].map(str::to_owned).into())
    }
}

const NGINX: &str = r#"
daemon off; pid nginx.pid; error_log stderr crit; worker_processes 1;
events { worker_connections 1024; }
http {
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    include countermand-http.conf;
    server {
        listen 127.0.0.1:@PORT@ ssl;
        ssl_certificate server.pem;
        ssl_certificate_key server.pem;
        ssl_client_certificate server.pem;
        ssl_verify_client optional;
        keepalive_requests 1000000;
        @ASKS@
        location / { proxy_pass http://127.0.0.1:@MAIL@; }
    }
}
"#;
