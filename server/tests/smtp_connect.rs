//! How a session begins: greeting, encryption, login, and words when it cannot.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::path::Path;
use std::sync::Arc;

use countermand::outbox::smtp::{Password, SmtpConfig, Tls};
use countermand::outbox::transport::{OpenError, Outcome, Outgoing, Session, Transport};
use support::smtp_record::{Fault, Recorder, Setup};
use tokio_rustls::TlsAcceptor;

fn config(port: u16) -> SmtpConfig {
    SmtpConfig {
        port,
        ..SmtpConfig::default()
    }
}

async fn open(config: SmtpConfig) -> Session {
    Session::open(&Transport::Smtp(config)).await.unwrap()
}

fn mails(count: usize) -> Vec<Outgoing> {
    (0..count)
        .map(|number| {
            let text = format!("Subject: {number}\r\n\r\nText\r\n");
            support::outgoing(&format!("p{number}@example.test"), text.as_bytes())
        })
        .collect()
}

/// A letter for each outcome.
fn letters(outcomes: &[Outcome]) -> String {
    let letter = |outcome: &Outcome| match outcome {
        Outcome::Accepted { .. } => 'A',
        Outcome::Rejected { .. } => 'R',
        Outcome::Deferred { .. } => 'D',
        Outcome::Unknown { .. } => 'U',
    };
    outcomes.iter().map(letter).collect()
}

#[tokio::test]
async fn opening_fails_with_words_that_help() {
    let closed = support::free_port();
    let error = Session::open(&Transport::Smtp(config(closed)))
        .await
        .unwrap_err();
    assert!(
        matches!(error, OpenError::Connect { .. })
            && error.to_string().contains(&closed.to_string()),
        "{error}"
    );

    let recorder = Setup::new().greeting("554 5.7.1 not you").start();
    let error = Session::open(&Transport::Smtp(config(recorder.port())))
        .await
        .unwrap_err();
    assert!(
        matches!(error, OpenError::Refused { code: 554, .. }),
        "{error}"
    );

    let recorder = Setup::new().greeting("HTTP/1.1 400 Bad Request").start();
    let error = Session::open(&Transport::Smtp(config(recorder.port())))
        .await
        .unwrap_err();
    assert!(matches!(error, OpenError::Lost { .. }), "{error}");
}

#[tokio::test]
async fn greets_by_the_name_given_or_the_address_literal() {
    let recorder = Recorder::start();
    open(config(recorder.port())).await.close().await;
    open(SmtpConfig {
        hello_name: Some("notices.example.test".into()),
        ..config(recorder.port())
    })
    .await
    .close()
    .await;
    assert_eq!(
        recorder.hellos(),
        ["EHLO [127.0.0.1]", "EHLO notices.example.test"]
    );
}

#[tokio::test]
async fn logs_in_and_tells_when_it_may_not() {
    let recorder = Setup::new().login("mailer", "s3cret").start();
    let with = |password: &str| SmtpConfig {
        user: Some("mailer".into()),
        password: Some(Password::new(password)),
        ..config(recorder.port())
    };
    assert_eq!(
        letters(&open(with("s3cret")).await.deliver(&mails(4)).await),
        "AAAA"
    );
    let error = Session::open(&Transport::Smtp(with("wrong")))
        .await
        .unwrap_err();
    assert!(
        matches!(error, OpenError::Refused { code: 535, .. }),
        "{error}"
    );
    let outcomes = open(config(recorder.port())).await.deliver(&mails(2)).await;
    assert_eq!(letters(&outcomes), "DD", "{outcomes:?}");

    let without = Recorder::start();
    let error = Session::open(&Transport::Smtp(SmtpConfig {
        port: without.port(),
        ..with("s3cret")
    }))
    .await
    .unwrap_err();
    assert!(
        matches!(error, OpenError::Config { key: "user", .. }),
        "{error}"
    );
}

/// A certificate for the loopback address, and its PEM file.
fn certified(dir: &Path) -> (TlsAcceptor, std::path::PathBuf) {
    let made =
        rcgen::generate_simple_self_signed(["127.0.0.1".into(), "localhost".into()]).unwrap();
    let file = dir.join("ca.pem");
    std::fs::write(&file, made.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let tls = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_no_client_auth()
    .with_single_cert(vec![made.cert.der().clone()], key)
    .unwrap();
    (TlsAcceptor::from(Arc::new(tls)), file)
}

#[tokio::test]
async fn encrypts_when_told_to_and_trusts_only_whom_it_should() {
    let dir = tempfile::tempdir().unwrap();
    let (acceptor, ca_file) = certified(dir.path());
    for (tls, setup) in [
        (Tls::Tls, Setup::new().tls(acceptor.clone())),
        (Tls::Starttls, Setup::new().starttls(acceptor.clone())),
    ] {
        let recorder = setup.start();
        let trusting = SmtpConfig {
            tls,
            ca_file: Some(ca_file.clone()),
            ..config(recorder.port())
        };
        assert_eq!(
            letters(&open(trusting.clone()).await.deliver(&mails(4)).await),
            "AAAA"
        );
        assert_eq!((recorder.encrypted(), recorder.violations()), (1, vec![]));
        let (_, other) = certified(&{
            let d = dir.path().join(format!("{tls:?}"));
            std::fs::create_dir(&d).unwrap();
            d
        });
        let error = Session::open(&Transport::Smtp(SmtpConfig {
            ca_file: Some(other),
            ..trusting.clone()
        }))
        .await
        .unwrap_err();
        assert!(matches!(error, OpenError::Tls { .. }), "{error}");
        let error = Session::open(&Transport::Smtp(SmtpConfig {
            ca_file: Some(dir.path().join("no.pem")),
            ..trusting
        }))
        .await
        .unwrap_err();
        assert!(
            matches!(error, OpenError::Config { key: "ca_file", .. }),
            "{error}"
        );
    }
    // A relay on this machine: plain without STARTTLS, and without an authority to check it by.
    for setup in [Setup::new(), Setup::new().starttls(acceptor.clone())] {
        let recorder = setup.start();
        assert_eq!(
            letters(&open(config(recorder.port())).await.deliver(&mails(1)).await),
            "A"
        );
        assert_eq!(recorder.encrypted(), 0);
    }
    // Encrypted too, a lost connection is told by what may have left.
    let recorder = Setup::new()
        .tls(acceptor)
        .faults(&[Fault::Accept, Fault::DropAfterDot])
        .start();
    let config = SmtpConfig {
        tls: Tls::Tls,
        ca_file: Some(ca_file),
        ..config(recorder.port())
    };
    assert_eq!(
        letters(&open(config).await.deliver(&mails(4)).await),
        "AUDD"
    );
}
