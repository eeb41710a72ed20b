//! nginx's mail proxy with the shipped lines, before a Dovecot.

use super::pki::Pki;
use super::process::Process;
use super::{free_port, open_to_all, programs, shipped};

#[derive(Debug)]
pub struct NginxMail {
    /// IMAP under TLS.
    pub imap_port: u16,
    pub pop3_port: u16,
    pub smtp_port: u16,
    process: Process,
}

impl NginxMail {
    /// `None` if nginx or its mail module is missing.
    pub fn start(gate_port: u16, gate_secret: &str, pki: &Pki) -> Option<Self> {
        let [nginx] = programs(["nginx"])?;
        let [module] = programs(["/usr/lib/nginx/modules/ngx_mail_module.so"])?;
        let folder = tempfile::tempdir().unwrap();
        open_to_all(folder.path());
        pki.write(folder.path());
        let gate = format!("127.0.0.1:{gate_port}/");
        let header = format!("Secret {gate_secret};");
        let lines = shipped(
            "nginx/countermand-mail.conf",
            &[
                ("127.0.0.1:8420/", &gate),
                ("Secret CHANGE-ME;", &header),
                ("CHANGE-ME", "it"),
            ],
        );
        std::fs::write(folder.path().join("countermand-mail.conf"), lines).unwrap();
        let (imap_port, pop3_port, smtp_port) = (free_port(), free_port(), free_port());
        let main = MAIN
            .replace("@MODULE@", module.to_str().unwrap())
            .replace("@IMAP@", &imap_port.to_string())
            .replace("@POP3@", &pop3_port.to_string())
            .replace("@SMTP@", &smtp_port.to_string());
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
        process.await_port(imap_port);
        Some(Self {
            imap_port,
            pop3_port,
            smtp_port,
            process,
        })
    }

    pub fn log(&self) -> String {
        self.process.log()
    }
}

const MAIN: &str = "load_module @MODULE@;
daemon off;
pid nginx.pid;
error_log stderr info;
worker_processes 1;
events { worker_connections 128; }
mail {
    include countermand-mail.conf;
    server_name localhost;
    ssl_certificate server.pem;
    ssl_certificate_key server.pem;
    ssl_client_certificate ca.pem;
    ssl_verify_client optional_no_ca;
    imap_auth plain login;
    pop3_auth plain;
    smtp_auth plain login;
    server { listen 127.0.0.1:@IMAP@ ssl; protocol imap; }
    server { listen 127.0.0.1:@POP3@ ssl; protocol pop3; }
    server { listen 127.0.0.1:@SMTP@ ssl; protocol smtp; xclient off; }
}
";
