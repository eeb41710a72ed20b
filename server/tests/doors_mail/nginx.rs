//! Mail apps of Alice's phones behind nginx's mail proxy.

use crate::house::{Passwords, Phones, Protocol, by_certificate, passwords};
use crate::support::app::SECRET;
use crate::support::company::Company;
use crate::support::in_trouble::{self, Told, Tried, of_a_killed_gate, of_unfinished_answers};
use crate::support::line::Line;
use crate::support::nginx_mail::NginxMail;
use crate::support::pki::Pki;
use crate::support::smtp_record::Recorder;

/// What stands behind nginx, and is let through by Countermand's word.
struct House {
    company: Company,
    phones: Phones,
    _passwords: Passwords,
    _relay: Recorder,
}

impl House {
    fn new() -> Option<House> {
        let (passwords, relay) = (passwords()?, Recorder::start());
        let dovecot = &passwords.dovecot;
        let company = Company::with(|config| {
            by_certificate(config);
            let at = |port| Some(([127, 0, 0, 1], port).into());
            config.gate.nginx_mail.imap = at(dovecot.imap_port);
            config.gate.nginx_mail.pop3 = at(dovecot.pop3_port);
            config.gate.nginx_mail.smtp = at(relay.port());
        });
        Some(House {
            company,
            phones: Phones::new(),
            _passwords: passwords,
            _relay: relay,
        })
    }

    fn nginx(&self, gate_port: u16) -> Option<NginxMail> {
        NginxMail::start(gate_port, SECRET, &self.phones.pki)
    }

    /// It knows no other choice than closed.
    fn tried<'a>(&'a self, nginx: &'a NginxMail) -> [Tried<'a>; 3] {
        Protocol::ALL.map(|protocol| {
            Tried::new(&format!("{protocol:?}"), false, move |device| {
                let identity = Some(self.phones.of(device));
                protocol.told(&self.phones.log_in(nginx, protocol, identity, "secret"))
            })
        })
    }
}

#[test]
fn a_mail_app_behind_nginx_s_mail_proxy() {
    let Some(house) = House::new() else {
        return;
    };
    let (company, phones) = (&house.company, &house.phones);
    let Some(nginx) = house.nginx(company.port()) else {
        return;
    };
    let doors = house.tried(&nginx);
    of_a_killed_gate(company, (&|| company.kill(), &|| company.revive()), &doors);

    let imap = |identity, password| {
        let answer = phones.log_in(&nginx, Protocol::Imap, Some(identity), password);
        Protocol::Imap.told(&answer)
    };
    assert_ne!(
        imap(&phones.clean, "wrong"),
        Told::In,
        "Dovecot checks the password"
    );
    company.tell(&company.publish());
    company.go_to("2020-07-11T10:00:00Z");
    assert_eq!(imap(&phones.tiktok, "secret"), Told::Refused);
    let forged = Pki::self_made("dev-7f3a");
    let answer = imap(&forged, "secret");
    assert_eq!(answer, Told::In, "no authority stands for its name");
}

pub fn on_a_bad_line() {
    let Some(house) = House::new() else {
        return;
    };
    let (company, line) = (&house.company, Line::to(house.company.port()));
    let Some(nginx) = house.nginx(line.port) else {
        return;
    };
    let doors = house.tried(&nginx);
    in_trouble::on_a_bad_line(company, &line, &doors);
    company.tell(&company.publish());
    company.go_to("2020-07-11T10:00:00Z");
    of_unfinished_answers(&line, &doors, true);
}
