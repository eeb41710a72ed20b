//! The gates and the mail servers.

use countermand::doctor::Status;
use countermand::gate::postfix;
use countermand::listen::{Admit, Listener};
use countermand::outbox::channels::ChannelConfig;

use crate::clinic::{Clinic, SECRET, found, greeting, tcp, well};
use crate::support::dovecot::{DOVEADM_KEY, Dovecot, DovecotConfig};
use crate::support::free_port;
use crate::support::gate::FakeGate;

const FAILED: Status = Status::Failed;

fn plain_channel(port: u16) -> ChannelConfig {
    let text = format!(
        "name = \"ops\"\nshape = \"plain\"\nurl = \"http://127.0.0.1:{port}/x\"\nsecret = \"0123456789\""
    );
    toml::from_str(&text).unwrap()
}

#[test]
fn a_healthy_installation_is_all_ok() {
    let (imap, pop3, smtp) = (
        greeting("* OK\r\n"),
        greeting("+OK\r\n"),
        greeting("220 a\r\n"),
    );
    let channel = greeting("");
    let doveadm = free_port();
    let mut clinic = Clinic::with(|config| {
        let mail = &mut config.gate.nginx_mail;
        let at = |port: u16| Some(([127, 0, 0, 1], port).into());
        (mail.imap, mail.pop3, mail.smtp) = (at(imap), at(pop3), at(smtp));
        config.notices.channels = vec![plain_channel(channel)];
        config.notices.bounces.maildir = Some("bounces".into());
    });
    let maildir = clinic.folder.path().join("bounces");
    countermand::outbox::maildir::create(&maildir).unwrap();
    let dovecot = Dovecot::start_at(
        DovecotConfig {
            gate_port: clinic.port,
            gate_secret: SECRET,
            logins: &[],
            open_without_verdict: false,
        },
        doveadm,
    );
    if dovecot.is_some() {
        clinic.config.gate.doveadm.address = Some(format!("127.0.0.1:{doveadm}"));
        clinic.config.gate.doveadm.api_key = DOVEADM_KEY.to_owned();
    }
    let before = clinic.run(clinic.world.app.store.version()).unwrap();
    let report = clinic.examine();
    assert_eq!(found(&report), [], "{}", report.in_words(str::to_owned));
    let expected = [
        "database",
        "operators",
        "mode",
        "clock",
        "gate.http",
        "gate.view",
        "gate.dovecot",
        "gate.nginx_mail",
        "gate.postfix",
        "bounces",
        "bounces",
        "doveadm",
        "mail_server",
        "mail_server",
        "mail_server",
        "relay",
        "channel",
    ];
    let expected: Vec<_> = expected
        .into_iter()
        .filter(|id| dovecot.is_some() || *id != "doveadm")
        .collect();
    assert_eq!(well(&report), expected);
    assert!(report.is_fine());

    // And nothing of it is left.
    clinic.run(clinic.gate.flush()).unwrap();
    let after = clinic.run(clinic.world.app.store.version()).unwrap();
    assert_eq!(after, before, "no commit: no refusal, no claim, no entry");
    assert!(
        clinic.gate.figures().iter().all(|door| door.asked == 0),
        "{:?}",
        clinic.gate.figures()
    );
    assert_eq!(clinic.relay.messages(), []);
}

#[test]
fn countermand_is_down() {
    let mut clinic = Clinic::new();
    clinic.kill();
    assert_eq!(clinic.findings(), [("gate.down", FAILED)]);
}

#[test]
fn the_server_has_another_secret_or_none() {
    let mut clinic = Clinic::new();
    clinic.config.gate.secret = "another-secret-of-the-clinic".to_owned();
    assert_eq!(clinic.findings(), [("gate.secret", FAILED)]);
    clinic.config.gate.secret.clear();
    assert_eq!(clinic.findings(), [("gate.secret", FAILED)]);
    let clinic = Clinic::with(|config| config.gate.secret = "short".to_owned());
    assert_eq!(clinic.findings(), [("config.secret", Status::Warning)]);
}

#[test]
fn somebody_else_answers_at_our_port() {
    let mut clinic = Clinic::new();
    for (status, says) in [(204, ""), (200, "hello"), (401, "who are you?")] {
        let other = FakeGate::start(move |_| {
            axum::http::Response::builder()
                .status(status)
                .body(says.into())
                .unwrap()
        });
        clinic.config.server.listen = format!("127.0.0.1:{}", other.port);
        assert_eq!(clinic.findings(), [("gate.stranger", FAILED)], "{status}");
    }
}

#[test]
fn a_proxy_before_the_gate_that_knows_the_secret_opens_it_to_everybody() {
    let mut clinic = Clinic::new();
    let port = clinic.port;
    let adds_it = FakeGate::start(move |call| {
        let asked = |name: &str| name.starts_with("x-original") || name.starts_with("auth-");
        let headers = call.headers.iter().filter(|(name, _)| asked(name.as_str()));
        let headers: Vec<_> = headers
            .map(|(n, v)| (n.as_str(), v.to_str().unwrap()))
            .collect();
        let headers = [&headers[..], &[("X-Countermand-Secret", SECRET)]].concat();
        let reply = crate::support::http::send(
            port,
            &call.method,
            &call.uri,
            &headers,
            call.body.as_bytes(),
        );
        let mut response = axum::http::Response::builder().status(reply.status);
        for (name, value) in reply
            .headers
            .iter()
            .filter(|(name, _)| name.starts_with("auth-"))
        {
            response = response.header(name, value);
        }
        response.body(reply.body.into()).unwrap()
    });
    clinic.config.server.listen = format!("127.0.0.1:{}", adds_it.port);
    assert_eq!(clinic.findings(), [("gate.open", FAILED)]);
}

#[test]
fn the_index_is_stale_or_of_another_database() {
    let clinic = Clinic::new();
    // Somebody commits, and the server does not follow.
    let other = clinic.run(countermand::app::App::open(
        clinic.config.clone(),
        clinic.folder.path(),
        clinic.world.clock.clone(),
        std::sync::Arc::new(countermand::clock::RandomIds),
    ));
    let by = countermand_core::actor::Actor::Local("test".to_owned());
    let roles = [countermand_core::actor::Role::Viewer].into();
    clinic
        .run(other.unwrap().put_operator(&by, "late@corp.test", roles))
        .unwrap();
    assert_eq!(clinic.findings(), [("gate.view", FAILED)]);

    clinic.run(clinic.world.app.live.follow()).unwrap();
    assert_eq!(clinic.findings(), []);
    clinic
        .world
        .clock
        .advance(jiff::SignedDuration::from_mins(1));
    assert_eq!(
        clinic.findings(),
        [("gate.view", Status::Warning)],
        "its database does not answer"
    );
    clinic
        .world
        .clock
        .advance(jiff::SignedDuration::from_mins(10));
    assert_eq!(clinic.findings(), [("gate.view", FAILED)]);
}

#[test]
fn a_stranger_s_address_among_our_own_servers() {
    let clinic =
        Clinic::with(|config| config.gate.own_servers = vec!["192.0.2.1".parse().unwrap()]);
    let expected = [("gate.dovecot", FAILED), ("gate.postfix", FAILED)];
    assert_eq!(clinic.findings(), expected);
}

#[test]
fn postfix_s_place_is_empty_or_somebody_else_s() {
    let mut clinic = Clinic::new();
    clinic.config.gate.postfix_listen = format!("127.0.0.1:{}", free_port());
    assert_eq!(clinic.findings(), [("gate.postfix", FAILED)]);
    clinic.config.gate.postfix_listen = format!("127.0.0.1:{}", greeting("220 mail\r\n"));
    assert_eq!(clinic.findings(), [("gate.postfix", FAILED)]);
}

#[test]
fn postfix_asks_at_a_unix_socket() {
    let mut clinic = Clinic::new();
    clinic.config.gate.postfix_listen = "unix:postfix.sock".to_owned();
    assert_eq!(clinic.findings(), [("gate.postfix", FAILED)]);
    clinic.run(async {
        let listen = clinic
            .config
            .gate
            .postfix(clinic.folder.path())
            .unwrap()
            .unwrap();
        let listener = Listener::bind(&listen, Admit::Group).await.unwrap();
        tokio::spawn(postfix::serve(clinic.gate.clone(), listener));
    });
    assert_eq!(clinic.findings(), []);
}

#[test]
fn dovecot_is_away_or_has_another_key() {
    let mut clinic = Clinic::new();
    let doveadm = free_port();
    clinic.config.gate.doveadm.address = Some(format!("127.0.0.1:{doveadm}"));
    clinic.config.gate.doveadm.api_key = DOVEADM_KEY.to_owned();
    assert_eq!(clinic.findings(), [("doveadm", FAILED)], "nobody is there");
    let config = DovecotConfig {
        gate_port: clinic.port,
        gate_secret: SECRET,
        logins: &[],
        open_without_verdict: false,
    };
    let Some(_dovecot) = Dovecot::start_at(config, doveadm) else {
        return;
    };
    assert_eq!(clinic.findings(), []);
    clinic.config.gate.doveadm.api_key = "another".to_owned();
    assert_eq!(clinic.findings(), [("doveadm", FAILED)]);
}

#[test]
fn a_doveadm_that_takes_any_key() {
    let mut clinic = Clinic::new();
    let open =
        FakeGate::start(|_| axum::http::Response::new(r#"[["doveadmResponse",[],"0"]]"#.into()));
    clinic.config.gate.doveadm.address = Some(format!("127.0.0.1:{}", open.port));
    assert_eq!(clinic.findings(), [("doveadm.open", FAILED)]);
}

#[test]
fn the_server_behind_nginx_s_mail_proxy_is_away() {
    let mut clinic = Clinic::new();
    clinic.config.gate.nginx_mail.imap = Some(([127, 0, 0, 1], free_port()).into());
    assert_eq!(clinic.findings(), [("mail_server", FAILED)]);
}

#[test]
fn the_relay_is_away_or_does_not_want_our_mail() {
    let mut clinic = Clinic::new();
    clinic.config.notices.smtp.port = free_port();
    assert_eq!(clinic.findings(), [("relay", FAILED)]);
    clinic.config.notices.test = countermand::config::TestConfig {
        transport: countermand::config::TransportKind::Smtp,
        smtp: clinic.config.notices.smtp.clone(),
    };
    clinic.config.notices.smtp.port = clinic.relay.port();
    assert_eq!(clinic.findings(), [("relay.test", FAILED)]);
    clinic.config.notices.test = Default::default();
    let picky = crate::support::smtp_record::Setup::new()
        .faults(&[crate::support::smtp_record::Fault::Mail(550)])
        .start();
    clinic.config.notices.smtp.port = picky.port();
    assert_eq!(clinic.findings(), [("relay", FAILED)]);
}

#[test]
fn bounces_are_not_taken_or_not_read() {
    let mut clinic = Clinic::new();
    let lmtp = clinic.config.notices.bounces.lmtp_listen.take();
    clinic.config.notices.bounces.lmtp_listen = Some(tcp(free_port()).to_string());
    assert_eq!(clinic.findings(), [("bounces", FAILED)]);
    clinic.config.notices.bounces.lmtp_listen = lmtp;
    clinic.config.notices.bounces.maildir = Some("bounces".into());
    assert_eq!(
        clinic.findings(),
        [("bounces", FAILED)],
        "there is no maildir"
    );
    let maildir = clinic.folder.path().join("bounces");
    countermand::outbox::maildir::create(&maildir).unwrap();
    let bounce = maildir.join("new").join("1.a");
    std::fs::write(&bounce, "From: a\n\n").unwrap();
    let long_ago = clinic.world.app.now() - jiff::SignedDuration::from_mins(20);
    let long_ago =
        std::time::UNIX_EPOCH + std::time::Duration::from_secs(long_ago.as_second().unsigned_abs());
    std::fs::File::options()
        .write(true)
        .open(&bounce)
        .unwrap()
        .set_modified(long_ago)
        .unwrap();
    assert_eq!(clinic.findings(), [("bounces", FAILED)], "nobody reads it");
}

#[test]
fn a_channel_and_the_public_address_lead_nowhere() {
    let mut clinic = Clinic::new();
    clinic.config.notices.channels = vec![plain_channel(free_port())];
    assert_eq!(clinic.findings(), [("channel", FAILED)]);
    clinic.config.notices.channels.clear();
    clinic.config.server.public_url = format!("http://127.0.0.1:{}", free_port());
    assert_eq!(clinic.findings(), [("public_url", FAILED)]);
}
