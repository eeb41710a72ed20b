//! From a config to a greeted, encrypted, authenticated connection.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::config::{SmtpConfig, Tls};
use super::reply::Reply;
use super::wire::{COMMAND_TIMEOUT, Lost, Stream, Wire};
use crate::outbox::transport::OpenError;
use crate::trust;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// A connection ready for MAIL.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) wire: Wire,
    pub(super) offers: Offers,
    /// An envelope was left open that the next MAIL would collide with.
    pub(super) reset_first: bool,
}

/// What the relay said it can do that we make use of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Offers {
    pub(super) pipelining: bool,
    pub(super) eight_bit: bool,
    pub(super) utf8_addresses: bool,
    pub(super) starttls: bool,
    pub(super) auth_plain: bool,
}

impl Offers {
    fn from_ehlo(reply: &Reply) -> Self {
        let mut offers = Offers::default();
        // The first line is a greeting.
        for line in reply.lines.iter().skip(1) {
            let line = line.to_ascii_uppercase();
            let mut words = line.split([' ', '=']);
            match words.next() {
                Some("PIPELINING") => offers.pipelining = true,
                Some("8BITMIME") => offers.eight_bit = true,
                Some("SMTPUTF8") => offers.utf8_addresses = true,
                Some("STARTTLS") => offers.starttls = true,
                Some("AUTH") => offers.auth_plain |= words.any(|word| word == "PLAIN"),
                _ => {}
            }
        }
        offers
    }
}

pub(super) async fn connect(config: &SmtpConfig) -> Result<Link, OpenError> {
    config.check()?;
    let relay = config.relay();
    let failed = |source| OpenError::Connect {
        relay: relay.clone(),
        source,
    };
    let tcp = timeout(
        CONNECT_TIMEOUT,
        TcpStream::connect((config.host.as_str(), config.port)),
    )
    .await
    .map_err(|_| timed_out(config, "the connection", CONNECT_TIMEOUT))?
    .map_err(failed)?;
    // Small commands and the tails of bodies must leave at once.
    tcp.set_nodelay(true).map_err(failed)?;
    let here = tcp.local_addr().map_err(failed)?;
    let local = tcp.peer_addr().map_err(failed)?.ip().is_loopback();

    let mut encrypted = config.tls == Tls::Tls;
    let stream = if encrypted {
        encrypt(config, tcp).await?
    } else {
        Stream::Plain(tcp)
    };
    let mut wire = Wire::new(stream);
    let greeting = answer(config, &mut wire, "the greeting").await?;
    done(config, "the connection", greeting)?;
    let mut offers = hello(config, &mut wire, here).await?;

    if config.tls == Tls::Starttls && wanted(config, offers, local)? {
        done(
            config,
            "STARTTLS",
            ask(config, &mut wire, "STARTTLS", "STARTTLS").await?,
        )?;
        let plain = wire.into_plain().ok_or_else(|| OpenError::Lost {
            relay: config.relay(),
            step: "STARTTLS",
            detail: "something in plain text came where encryption was to begin".into(),
        })?;
        wire = Wire::new(encrypt(config, plain).await?);
        encrypted = true;
        // What was offered in plain text may have been altered on the way.
        offers = hello(config, &mut wire, here).await?;
    }
    if let (Some(user), Some(password)) = (&config.user, &config.password) {
        log_in(
            config,
            &mut wire,
            offers,
            encrypted || local,
            user,
            password.reveal(),
        )
        .await?;
    }
    Ok(Link {
        wire,
        offers,
        reset_first: false,
    })
}

/// Whether to go on by STARTTLS; see [`Tls::Starttls`].
fn wanted(config: &SmtpConfig, offers: Offers, local: bool) -> Result<bool, OpenError> {
    match (offers.starttls, local) {
        (true, false) => Ok(true),
        (true, true) => Ok(config.ca_file.is_some()),
        (false, true) => Ok(false),
        (false, false) => Err(OpenError::NoStartTls {
            relay: config.relay(),
        }),
    }
}

/// EHLO, or HELO to a relay that knows no better.
async fn hello(
    config: &SmtpConfig,
    wire: &mut Wire,
    here: SocketAddr,
) -> Result<Offers, OpenError> {
    let name = config
        .hello_name
        .clone()
        .unwrap_or_else(|| match here.ip().to_canonical() {
            IpAddr::V4(ip) => format!("[{ip}]"),
            IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
        });
    let reply = ask(config, wire, "EHLO", &format!("EHLO {name}")).await?;
    if reply.is_done() {
        return Ok(Offers::from_ehlo(&reply));
    }
    if !matches!(reply.code, 500..=504) {
        return Err(refused(config, "EHLO", &reply));
    }
    done(
        config,
        "HELO",
        ask(config, wire, "HELO", &format!("HELO {name}")).await?,
    )?;
    Ok(Offers::default())
}

async fn log_in(
    config: &SmtpConfig,
    wire: &mut Wire,
    offers: Offers,
    private: bool,
    user: &str,
    password: &str,
) -> Result<(), OpenError> {
    let wrong = |problem: &str| OpenError::Config {
        key: "user",
        problem: problem.into(),
    };
    if !private {
        return Err(wrong(
            "the password would cross the network unencrypted. Set `tls` to \"starttls\" or \"tls\"",
        ));
    }
    if !offers.auth_plain {
        return Err(wrong(
            "the relay does not offer AUTH PLAIN on this connection. Remove `user` and `password`, or encrypt it: \
             `tls = \"tls\"`, or for a relay on this machine \"starttls\" with `ca_file`",
        ));
    }
    let secret = base64::engine::general_purpose::STANDARD.encode(format!("\0{user}\0{password}"));
    done(
        config,
        "AUTH PLAIN",
        ask(config, wire, "AUTH PLAIN", &format!("AUTH PLAIN {secret}")).await?,
    )
}

async fn encrypt(config: &SmtpConfig, tcp: TcpStream) -> Result<Stream, OpenError> {
    let failed = |source| OpenError::Tls {
        relay: config.relay(),
        source,
    };
    let name = ServerName::try_from(config.host.clone()).map_err(|_| OpenError::Config {
        key: "host",
        problem: format!(
            "{:?} cannot be checked against a certificate; expected a host name or an IP address",
            config.host
        ),
    })?;
    let tls = trust::client(config.ca_file.as_deref()).map_err(|problem| OpenError::Config {
        key: "ca_file",
        problem,
    })?;
    let handshake = TlsConnector::from(Arc::new(tls)).connect(name, tcp);
    let stream = timeout(CONNECT_TIMEOUT, handshake)
        .await
        .map_err(|_| timed_out(config, "the TLS handshake", CONNECT_TIMEOUT))?
        .map_err(failed)?;
    Ok(Stream::Tls(Box::new(stream)))
}

async fn ask(
    config: &SmtpConfig,
    wire: &mut Wire,
    step: &'static str,
    line: &str,
) -> Result<Reply, OpenError> {
    wire.send(format!("{line}\r\n").as_bytes())
        .await
        .map_err(|why| lost(config, step, &why))?;
    answer(config, wire, step).await
}

async fn answer(
    config: &SmtpConfig,
    wire: &mut Wire,
    step: &'static str,
) -> Result<Reply, OpenError> {
    wire.reply(COMMAND_TIMEOUT)
        .await
        .map_err(|why| lost(config, step, &why))
}

fn done(config: &SmtpConfig, step: &'static str, reply: Reply) -> Result<(), OpenError> {
    if reply.is_done() {
        Ok(())
    } else {
        Err(refused(config, step, &reply))
    }
}

fn refused(config: &SmtpConfig, step: &'static str, reply: &Reply) -> OpenError {
    OpenError::Refused {
        relay: config.relay(),
        step,
        code: reply.code,
        answer: reply.to_string(),
    }
}

fn lost(config: &SmtpConfig, step: &'static str, why: &Lost) -> OpenError {
    match why {
        Lost::TimedOut(time) => timed_out(config, step, *time),
        _ => OpenError::Lost {
            relay: config.relay(),
            step,
            detail: why.to_string(),
        },
    }
}

fn timed_out(config: &SmtpConfig, step: &'static str, time: Duration) -> OpenError {
    OpenError::TimedOut {
        relay: config.relay(),
        step,
        seconds: time.as_secs(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_offers_of_a_relay_and_not_its_greeting() {
        let lines = [
            "STARTTLS is my name",
            "pipelining",
            "SIZE 10240000",
            "AUTH=LOGIN PLAIN",
            "8BITMIME",
        ];
        let reply = Reply {
            code: 250,
            lines: lines.map(String::from).to_vec(),
        };
        let expected = Offers {
            pipelining: true,
            eight_bit: true,
            auth_plain: true,
            ..Offers::default()
        };
        assert_eq!(Offers::from_ehlo(&reply), expected);
    }

    #[test]
    fn only_a_relay_on_this_machine_may_stay_plain() {
        let config = SmtpConfig::default();
        let offered = Offers {
            starttls: true,
            ..Offers::default()
        };
        let refused = wanted(&config, Offers::default(), false).unwrap_err();
        assert!(matches!(refused, OpenError::NoStartTls { .. }), "{refused}");
        assert!(wanted(&config, offered, false).unwrap());
        assert!(!wanted(&config, Offers::default(), true).unwrap());
        assert!(!wanted(&config, offered, true).unwrap());
        let trusting = SmtpConfig {
            ca_file: Some("ca.pem".into()),
            ..config
        };
        assert!(wanted(&trusting, offered, true).unwrap());
    }
}
