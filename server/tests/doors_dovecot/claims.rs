//! What a mail app says of itself, and what nobody vouches for.

use std::net::Ipv4Addr;

use countermand_core::verdict::NoKey;

use crate::house::{ALICE, CLEAN, House, LOGINS, Proof, Protocol, TIKTOK, issuer};
use crate::support::app::SECRET;
use crate::support::company::Company;
use crate::support::dovecot::{Dovecot, DovecotConfig};
use crate::support::imap::Imap;
use crate::support::pki::Pki;

/// Past the deadline, with or without a verdict on logins that name no device.
fn enforcing(no_device_key: NoKey) -> Company {
    let (company, _) = Company::enforcing_with(|config| {
        config.gate.no_device_key = no_device_key;
        config.gate.own_servers = vec![OWN.into()];
    });
    company
}

const OWN: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

fn dovecot(company: &Company) -> Option<Dovecot> {
    Dovecot::start(DovecotConfig {
        gate_port: company.port(),
        gate_secret: SECRET,
        logins: &LOGINS,
        open_without_verdict: false,
    })
}

#[test]
fn what_an_app_says_in_id_changes_nothing() {
    for no_device_key in [NoKey::Strictest, NoKey::Allow] {
        let company = enforcing(no_device_key);
        let Some(dovecot) = dovecot(&company) else {
            return;
        };
        for (device, expected) in [
            (Some(TIKTOK), false),
            (Some(CLEAN), true),
            (None, no_device_key == NoKey::Allow),
        ] {
            let login = LOGINS.iter().find(|login| login.device == device).unwrap();
            for says in [None, Some(TIKTOK), Some(CLEAN), Some("dev-new")] {
                let mut imap = Imap::connect(dovecot.imap_port);
                if let Some(says) = says {
                    let id = format!(
                        r#"ID ("name" "iPhone Mail" "x-device-id" "{says}" "device" "{says}")"#
                    );
                    assert!(imap.command(&id).is_ok());
                }
                let entered = imap.login(login.name, login.password);
                assert_eq!(
                    entered.is_ok(),
                    expected,
                    "{device:?} says {says:?}: {entered:?}"
                );
            }
        }
    }
}

/// Web mail has asked at its own door about the device that is before the person.
#[test]
fn a_server_of_ones_own_is_not_asked_about() {
    let company = enforcing(NoKey::Strictest);
    let Some(dovecot) = dovecot(&company) else {
        return;
    };
    let from = |address: Ipv4Addr| {
        let connected = async {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind((address, 0).into()).unwrap();
            let to = (Ipv4Addr::LOCALHOST, dovecot.imap_port).into();
            socket.connect(to).await.unwrap().into_std().unwrap()
        };
        let stream = company.runtime.block_on(connected);
        stream.set_nonblocking(false).unwrap();
        Imap::over(stream)
    };
    let asked = |company: &Company| company.gate.figures().iter().map(|d| d.asked).sum::<u64>();
    let elsewhere = Ipv4Addr::new(127, 0, 0, 3);
    assert!(from(OWN).login(ALICE, "secret").is_ok());
    assert_eq!(asked(&company), 0);
    assert!(!from(elsewhere).login(ALICE, "secret").is_ok());
    assert_eq!(asked(&company), 1);
    assert!(!from(OWN).login(ALICE, "wrong").is_ok());
}

/// Only a certificate that the company's own authority gave names a device, and only whoever has it.
#[test]
fn a_certificate_s_name_is_none_that_one_can_type() {
    for no_device_key in [NoKey::Strictest, NoKey::Allow] {
        let (company, issuer) = (enforcing(no_device_key), issuer());
        let Some(house) = House::before(company.port(), issuer.port, false) else {
            return;
        };
        let unnamed = no_device_key == NoKey::Allow;
        for name in [TIKTOK, CLEAN] {
            let typed = Proof::Password(name.to_owned());
            let entered = house.enter(Protocol::Imap, None, &typed);
            assert_eq!(entered.is_ok(), unnamed, "types {name}: {entered:?}");
            let forged = Pki::self_made(name);
            let entered = house.enter(Protocol::Imap, Some(&forged), &Proof::password(None));
            assert_eq!(entered.is_ok(), unnamed, "made {name}: {entered:?}");
            // What is typed beside a certificate counts for nothing.
            let identity = house.pki.device(name);
            let others = Proof::password(Some(if name == CLEAN { TIKTOK } else { CLEAN }));
            let entered = house.enter(Protocol::Imap, Some(&identity), &others);
            assert_eq!(entered.is_ok(), name == CLEAN, "has {name}: {entered:?}");
        }
    }
}
