//! The doors of mail: logins at Dovecot, recipients at Postfix, logins through nginx's mail proxy.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use tokio::net::TcpListener;

use super::company::{ASKING, Company, DOVEADM_KEY, SECRET};
use super::load::{Lines, clients, since};
use super::servers::{Place, shipped};
use super::{NO_GATE, Names, RUNS};
use crate::rows::Row;
use crate::stage::address;
use crate::tools::{Running, find, free_port, start};

const CLIENTS: usize = 8;

/// A Dovecot; the gate is asked if there is a port for it.
pub struct Dovecot {
    pub imap_port: u16,
    /// Where Postfix has logins checked.
    login_port: u16,
    _server: Running,
    _place: Place,
}

impl Dovecot {
    /// With the password `secret` for each of these people, given to the phone of theirs.
    pub async fn start(
        gate: Option<u16>,
        doveadm_port: u16,
        people: &[usize],
    ) -> anyhow::Result<Dovecot> {
        must_be_root("Dovecot")?;
        let place = Place::new()?;
        let mail = place.path().join("mail");
        std::fs::create_dir(&mail)?;
        std::fs::set_permissions(&mail, std::os::unix::fs::PermissionsExt::from_mode(0o777))?;
        let login = |person: &usize| {
            format!(
                "{}:{{PLAIN}}secret::::::device=phone-{person}\n",
                address(*person)
            )
        };
        place.put("users", &people.iter().map(login).collect::<String>())?;
        let asks = match gate {
            None => String::new(),
            Some(port) => shipped(
                include_str!("../../../deploy/dovecot/countermand.conf"),
                &[
                    ("127.0.0.1:8420/", &format!("127.0.0.1:{port}/")),
                    ("CHANGE-ME", SECRET),
                ],
            )?,
        };
        let (imap_port, login_port) = (free_port()?, free_port()?);
        let main = DOVECOT
            .replace("@FOLDER@", &place.path().display().to_string())
            .replace("@IMAP@", &imap_port.to_string())
            .replace("@LOGIN@", &login_port.to_string())
            .replace("@DOVEADM@", &doveadm_port.to_string())
            .replace("@KEY@", DOVEADM_KEY);
        let file = place.put("dovecot.conf", &format!("{main}{asks}"))?;
        let mut command = Command::new(find("dovecot")?);
        command.args(["-F", "-c"]).arg(file);
        Ok(Dovecot {
            imap_port,
            login_port,
            _server: start(&mut command, imap_port).await?,
            _place: place,
        })
    }
}

pub fn must_be_root(program: &str) -> anyhow::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let is_root = std::fs::metadata("/proc/self")?.uid() == 0;
    ensure!(is_root, "{program} must be started by root");
    Ok(())
}

/// Connects, signs in, and leaves.
async fn logins(port: u16, until: Instant) -> anyhow::Result<Vec<f64>> {
    let mut took = Vec::new();
    while Instant::now() < until {
        let begun = Instant::now();
        let mut session = Lines::connect(port).await?;
        session.line().await?;
        let login = format!("a LOGIN {} secret", address(ASKING));
        session.say(&login, "a OK", "* ").await?;
        took.push(since(begun));
        session.send("b LOGOUT").await?;
        while session.line().await.is_ok() {}
    }
    Ok(took)
}

pub async fn dovecot(company: &Company) -> anyhow::Result<[Row; 3]> {
    let asking = Dovecot::start(Some(company.port), free_port()?, &[ASKING]).await?;
    let plain = Dovecot::start(None, free_port()?, &[ASKING]).await?;
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        peer.push(clients(CLIENTS, |until| logins(plain.imap_port, until)).await?);
        ours.push(clients(CLIENTS, |until| logins(asking.imap_port, until)).await?);
    }
    let names = Names {
        each_second: "door-dovecot",
        unit: "logins/s",
        p50: "door-dovecot-p50",
        p99: "door-dovecot-p99",
        peer: NO_GATE,
    };
    Ok(names.rows(&ours, &peer))
}

/// Recipients of mails in one session that has signed in.
async fn recipients(port: u16, until: Instant) -> anyhow::Result<Vec<f64>> {
    /// Postfix takes 1,000, and would slow down who resets too often.
    const A_MAIL: usize = 900;
    let mut session = Lines::connect(port).await?;
    session.line().await?;
    session.say("EHLO phone", "250 ", "250-").await?;
    // RFC 4616; the password is for that phone.
    let response = base64(&format!("\0{}\0secret", address(ASKING)));
    session
        .say(&format!("AUTH PLAIN {response}"), "235", "")
        .await?;
    let mut took = Vec::new();
    while Instant::now() < until {
        let from = format!("MAIL FROM:<{}>", address(ASKING));
        session.say(&from, "250", "").await?;
        for _ in 0..A_MAIL {
            let begun = Instant::now();
            session.say("RCPT TO:<carl@example.org>", "250", "").await?;
            took.push(since(begun));
            if Instant::now() >= until {
                break;
            }
        }
        session.say("RSET", "250", "").await?;
    }
    Ok(took)
}

fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut coded = String::new();
    for three in text.as_bytes().chunks(3) {
        let bits = (0..3).fold(0, |bits, i| {
            bits << 8 | u32::from(*three.get(i).unwrap_or(&0))
        });
        for i in 0..4 {
            let digit = bits >> (18 - 6 * i) & 63;
            coded.push(if i <= three.len() {
                char::from(DIGITS[digit as usize])
            } else {
                '='
            });
        }
    }
    coded
}

pub async fn postfix(company: &Company) -> anyhow::Result<[Row; 3]> {
    must_be_root("Postfix")?;
    let dovecot = Dovecot::start(None, free_port()?, &[ASKING]).await?;
    let place = Place::new()?;
    for folder in ["etc", "data", "spool"] {
        std::fs::create_dir(place.path().join(folder))?;
    }
    let owned = Command::new("chown")
        .arg("postfix")
        .arg(place.path().join("data"))
        .status()?;
    ensure!(owned.success(), "no user named postfix");
    let gate = format!("inet:127.0.0.1:{}", company.postfix_port);
    let lines = shipped(
        include_str!("../../../deploy/postfix/main.cf"),
        &[("inet:127.0.0.1:8425", &gate)],
    )?;
    let (port, plain_port) = (free_port()?, free_port()?);
    let main = POSTFIX.replace("@FOLDER@", &place.path().display().to_string());
    place.put("etc/main.cf", &format!("{main}{lines}"))?;
    let submission = |port: u16, restrictions: &str| {
        SUBMISSION
            .replace("@PORT@", &port.to_string())
            .replace("@LOGIN@", &dovecot.login_port.to_string())
            .replace("@RESTRICTIONS@", restrictions)
    };
    let master = submission(port, "$countermand_submission")
        + &submission(plain_port, "permit_sasl_authenticated,reject")
        + SERVICES;
    place.put("etc/master.cf", &master)?;
    let mut command = Command::new(find("postfix")?);
    command
        .arg("-c")
        .arg(place.path().join("etc"))
        .arg("start-fg");
    let _postfix = start(&mut command, port).await?;
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        peer.push(clients(CLIENTS, |until| recipients(plain_port, until)).await?);
        ours.push(clients(CLIENTS, |until| recipients(port, until)).await?);
    }
    let names = Names {
        each_second: "door-postfix",
        unit: "recipients/s",
        p50: "door-postfix-p50",
        p99: "door-postfix-p99",
        peer: NO_GATE,
    };
    Ok(names.rows(&ours, &peer))
}

pub async fn nginx(company: &Company) -> anyhow::Result<[Row; 3]> {
    let module = "/usr/lib/nginx/modules/ngx_mail_module.so";
    ensure!(std::path::Path::new(module).is_file(), "no {module}");
    mail_server(company.imap_port).await?;
    let place = Place::new()?;
    let gate = format!("127.0.0.1:{}/", company.port);
    let lines = shipped(
        include_str!("../../../deploy/nginx/countermand-mail.conf"),
        &[("127.0.0.1:8420/", &gate), ("CHANGE-ME", SECRET)],
    )?;
    place.put("countermand-mail.conf", &lines)?;
    let (port, plain_port, yes_port) = (free_port()?, free_port()?, free_port()?);
    let main = NGINX
        .replace("@MODULE@", module)
        .replace("@PORT@", &port.to_string())
        .replace("@PLAIN@", &plain_port.to_string())
        .replace("@YES@", &yes_port.to_string())
        .replace("@IMAP@", &company.imap_port.to_string());
    let file = place.put("nginx.conf", &main)?;
    let mut command = Command::new(find("nginx")?);
    command.arg("-p").arg(place.path()).arg("-c").arg(file);
    let _nginx = start(&mut command, port).await?;
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        peer.push(clients(CLIENTS, |until| logins(plain_port, until)).await?);
        ours.push(clients(CLIENTS, |until| logins(port, until)).await?);
    }
    let names = Names {
        each_second: "door-nginx-mail",
        unit: "logins/s",
        p50: "door-nginx-mail-p50",
        p99: "door-nginx-mail-p99",
        peer: "nginx answering itself",
    };
    Ok(names.rows(&ours, &peer))
}

/// Takes any login at once, as nginx hands it on: name and password as literals (RFC 3501).
async fn mail_server(port: u16) -> anyhow::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(session(tcp));
        }
    });
    Ok(())
}

async fn session(tcp: tokio::net::TcpStream) -> anyhow::Result<()> {
    tcp.set_nodelay(true)?;
    let mut session = Lines::over(tcp);
    session.send("* OK ready").await?;
    let first = session.line().await?;
    let tag = first.split(' ').next().context("a tag")?.to_owned();
    for _ in 0..2 {
        session.send("+ go on").await?;
        session.line().await?;
    }
    session.send(&format!("{tag} OK in")).await?;
    session.line().await?;
    session.send("* BYE").await
}

const DOVECOT: &str = r"
base_dir = @FOLDER@/run
state_dir = @FOLDER@/state
log_path = @FOLDER@/log
listen = 127.0.0.1
protocols = imap
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0
mail_location = maildir:@FOLDER@/mail/%u
first_valid_uid = 1
mail_max_userip_connections = 1000
passdb {
  driver = passwd-file
  args = scheme=PLAIN @FOLDER@/users
}
userdb {
  driver = static
  args = uid=mail gid=mail home=@FOLDER@/mail/%u
}
service imap-login {
  # Processes that stay: their start would be most of what is measured.
  service_count = 0
  process_min_avail = 2
  inet_listener imap {
    port = @IMAP@
  }
  inet_listener imaps {
    port = 0
  }
}
service imap {
  service_count = 1000
  process_min_avail = 2
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
";

const POSTFIX: &str = "compatibility_level = 3.6
queue_directory = @FOLDER@/spool
data_directory = @FOLDER@/data
maillog_file = /dev/stdout
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.corp.test
mydestination =
alias_maps =
local_recipient_maps =
default_transport = discard:
";

const SUBMISSION: &str = "@PORT@ inet n - n - - smtpd
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_sasl_type=dovecot
  -o smtpd_sasl_path=inet:127.0.0.1:@LOGIN@
  -o smtpd_recipient_restrictions=@RESTRICTIONS@
  -o smtpd_relay_restrictions=
";

const SERVICES: &str = "cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
discard unix - - n - - discard
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
";

const NGINX: &str = "load_module @MODULE@;
daemon off; pid nginx.pid; error_log stderr crit; worker_processes 1;
events { worker_connections 1024; }
http {
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    server {
        listen 127.0.0.1:@YES@;
        add_header Auth-Status OK;
        add_header Auth-Server 127.0.0.1;
        add_header Auth-Port @IMAP@;
        location / { return 200; }
    }
}
mail {
    server_name localhost;
    imap_auth plain login;
    server { listen 127.0.0.1:@PORT@; protocol imap; include countermand-mail.conf; }
    server { listen 127.0.0.1:@PLAIN@; protocol imap; auth_http 127.0.0.1:@YES@/; proxy_pass_error_message on; }
}
";
