//! What Postfix and nginx's mail proxy do without a verdict, as the table in deploy/README.md says. Dovecot is in
//! `doors_dovecot/trouble.rs`, the web's proxies in `doors_proxies/trouble.rs`.

use countermand::listen::Listen;
use jiff::SignedDuration;

use crate::house::{Phones, Policy, Protocol, by_certificate, passwords, told};
use crate::nginx;
use crate::postfix;
use crate::support::app::SECRET;
use crate::support::company::{CLEAN, Company, WITH_TIKTOK};
use crate::support::free_port;
use crate::support::in_trouble::Told;
use crate::support::nginx_mail::NginxMail;
use crate::support::submission::{Asks, Postfix};
use crate::support::trouble::Trouble;

/// All at once, since what they do is wait.
#[test]
fn the_stories_with_a_gate_killed_slow_and_garbled() {
    std::thread::scope(|scope| {
        scope.spawn(postfix::on_a_bad_line);
        scope.spawn(nginx::on_a_bad_line);
        scope.spawn(postfix::with_a_killed_gate);
    });
}

/// Postfix speaks a protocol of its own to us, so what is no HTTP to the others is no policy to it.
#[test]
fn postfix_does_as_chosen() {
    let phones = Phones::new();
    let Some(passwords) = passwords() else {
        return;
    };
    let (phones, login) = (&phones, passwords.dovecot.login_port);
    let mut troubles = Vec::new();
    std::thread::scope(|scope| {
        for (what, trouble) in [
            ("silent", Trouble::silent()),
            ("no policy", Trouble::rubbish()),
            ("somebody else", Trouble::answers(200, &[])),
        ] {
            let asks = Asks::Port(trouble.port());
            troubles.push(trouble);
            for (open, expected) in [(false, Told::NoVerdict), (true, Told::In)] {
                scope.spawn(move || {
                    let Some(postfix) = Postfix::start(asks, login, &phones.pki, open) else {
                        return;
                    };
                    let answer = phones.recipient(postfix.port, CLEAN);
                    assert_eq!(told(&answer), expected, "{what}: {answer}");
                });
            }
        }
    });
}

/// An answer of ours would overrule what Postfix was told to do without one.
#[test]
fn inv_27_postfix_does_as_chosen_where_the_view_is_too_old() {
    let (company, _) = Company::enforcing_with(by_certificate);
    let (port, phones) = (free_port(), Phones::new());
    let _policy = Policy::of(&company, Listen::Tcp(([127, 0, 0, 1], port).into()));
    let Some(passwords) = passwords() else {
        return;
    };
    let (asks, login) = (Asks::Port(port), passwords.dovecot.login_port);
    let start = |open| Postfix::start(asks, login, &phones.pki, open);
    let (Some(closed), Some(open)) = (start(false), start(true)) else {
        return;
    };
    let tells = |postfix: &Postfix| told(&phones.recipient(postfix.port, WITH_TIKTOK));
    assert_eq!(tells(&closed), Told::Refused, "the verdict of a fresh view");
    assert_eq!(tells(&open), Told::Refused);
    company.world.clock.advance(SignedDuration::from_mins(11));
    assert_eq!(tells(&closed), Told::NoVerdict);
    assert_eq!(tells(&open), Told::In);
    company.go_to("2020-07-11T07:12:00Z");
    assert_eq!(tells(&open), Told::Refused);
}

/// It knows no other choice; and never a yes from who does not say where to pass on to.
#[test]
fn nginxs_mail_proxy_stays_closed() {
    let phones = &Phones::new();
    std::thread::scope(|scope| {
        for (what, trouble) in [
            ("gone", Trouble::gone()),
            ("silent", Trouble::silent()),
            ("fails", Trouble::answers(503, &[])),
            ("no HTTP", Trouble::rubbish()),
            ("somebody else", Trouble::answers(200, &[])),
            ("wrong secret", Trouble::answers(401, &[])),
        ] {
            scope.spawn(move || {
                let Some(nginx) = NginxMail::start(trouble.port(), SECRET, &phones.pki) else {
                    return;
                };
                for protocol in Protocol::ALL {
                    let clean = Some(&phones.clean);
                    let answer = phones.log_in(&nginx, protocol, clean, "secret");
                    let told = protocol.told(&answer);
                    assert_eq!(told, Told::NoVerdict, "{what}: {protocol:?}: {answer}");
                }
            });
        }
    });
}
