//! A company's own certificate authority: the mail server's certificate, and one for each device.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[derive(Debug)]
pub struct Pki {
    authority: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    authority_pem: String,
    server_pem: String,
}

/// What a device shows, and proves to be its own.
#[derive(Debug)]
pub struct Identity {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Pki {
    pub fn new() -> Pki {
        let mut params = named("Corp Device CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, "localhost");
        let server = params.signed_by(&key, &issuer).unwrap();
        Pki {
            authority_pem: authority.pem(),
            authority: authority.der().clone(),
            // Postfix wants the key first.
            server_pem: format!("{}{}", key.serialize_pem(), server.pem()),
            issuer,
        }
    }

    pub fn device(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = named(name).signed_by(&key, &self.issuer).unwrap();
        Identity {
            certificate: certificate.der().clone(),
            key: key.serialize_der(),
        }
    }

    /// Of somebody who made it: no authority stands for its name.
    pub fn self_made(name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = named(name).self_signed(&key).unwrap();
        Identity {
            certificate: certificate.der().clone(),
            key: key.serialize_der(),
        }
    }

    /// `ca.pem`, and `server.pem` with certificate and key.
    pub fn write(&self, folder: &Path) {
        std::fs::write(folder.join("ca.pem"), &self.authority_pem).unwrap();
        std::fs::write(folder.join("server.pem"), &self.server_pem).unwrap();
    }

    /// A connection of TLS to a port of this machine.
    pub fn connect(
        &self,
        port: u16,
        identity: Option<&Identity>,
    ) -> StreamOwned<ClientConnection, TcpStream> {
        self.over(tcp(port), identity)
    }

    /// Sends, reads what comes meanwhile, and gives that when the other side hangs up, in whatever way.
    pub fn exchange(&self, port: u16, identity: Option<&Identity>, sent: &[u8]) -> Vec<u8> {
        let patience = Duration::from_secs(20);
        let connector = tokio_rustls::TlsConnector::from(self.config(identity));
        let talk = async {
            let tcp = tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
            let name = ServerName::try_from("localhost").unwrap();
            let tls = connector.connect(name, tcp.unwrap()).await.unwrap();
            let (mut from, mut to) = tokio::io::split(tls);
            let write = async {
                if to.write_all(sent).await.is_ok() {
                    let _ = to.flush().await;
                }
            };
            let read = async {
                let mut answer = Vec::new();
                let _ = from.read_to_end(&mut answer).await;
                answer
            };
            tokio::join!(write, read).1
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let talked = runtime.block_on(async { tokio::time::timeout(patience, talk).await });
        talked.expect("an answer within twenty seconds")
    }

    fn over(
        &self,
        tcp: TcpStream,
        identity: Option<&Identity>,
    ) -> StreamOwned<ClientConnection, TcpStream> {
        let name = ServerName::try_from("localhost").unwrap();
        let tls = ClientConnection::new(self.config(identity), name).unwrap();
        StreamOwned::new(tls, tcp)
    }

    fn config(&self, identity: Option<&Identity>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        Arc::new(match identity {
            None => config.with_no_client_auth(),
            Some(identity) => {
                let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.key.clone()));
                config
                    .with_client_auth_cert(vec![identity.certificate.clone()], key)
                    .unwrap()
            }
        })
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// A client of a protocol of lines, under TLS.
#[derive(Debug)]
pub struct Lines(BufReader<StreamOwned<ClientConnection, TcpStream>>);

impl Lines {
    /// TLS from the first byte.
    pub fn connect(port: u16, pki: &Pki, identity: Option<&Identity>) -> Lines {
        Lines::over(tcp(port), pki, identity)
    }

    /// ESMTP: `EHLO`, `STARTTLS`, `EHLO`.
    pub fn start_tls(port: u16, pki: &Pki, identity: Option<&Identity>) -> Lines {
        let mut plain = BufReader::new(tcp(port));
        let mut say = |command: &str| {
            plain.get_mut().write_all(command.as_bytes()).unwrap();
            loop {
                let mut line = String::new();
                plain.read_line(&mut line).unwrap();
                if line.as_bytes().get(3) != Some(&b'-') {
                    return line;
                }
            }
        };
        assert!(say("").starts_with("220"));
        assert!(say("EHLO phone\r\n").starts_with("250"));
        assert!(say("STARTTLS\r\n").starts_with("220"));
        let mut lines = Lines::over(plain.into_inner(), pki, identity);
        assert!(lines.smtp("EHLO phone").starts_with("250"));
        lines
    }

    fn over(tcp: TcpStream, pki: &Pki, identity: Option<&Identity>) -> Lines {
        Lines(BufReader::new(pki.over(tcp, identity)))
    }

    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    pub fn send(&mut self, command: &str) {
        let stream = self.0.get_mut();
        stream
            .write_all(format!("{command}\r\n").as_bytes())
            .unwrap();
        stream.flush().unwrap();
    }

    /// The last line of the answer.
    pub fn smtp(&mut self, command: &str) -> String {
        self.send(command);
        loop {
            let line = self.line();
            if line.as_bytes().get(3) != Some(&b'-') {
                return line;
            }
        }
    }
}

fn tcp(port: u16) -> TcpStream {
    let tcp = TcpStream::connect(("127.0.0.1", port)).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    tcp
}
