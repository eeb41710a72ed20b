//! What Alice's phones send through Postfix, which asks at a port or, from its chroot, at a Unix socket.

use std::cell::RefCell;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use countermand::listen::Listen;

use crate::house::{Phones, Policy, by_certificate, passwords, recipient, told};
use crate::support::company::{Company, WITH_TIKTOK};
use crate::support::free_port;
use crate::support::in_trouble::{self, Told, Tried, of_a_killed_gate, of_unfinished_answers};
use crate::support::line::Line;
use crate::support::pki::Pki;
use crate::support::submission::{Asks, Postfix};

fn tcp(port: u16) -> Listen {
    Listen::Tcp(([127, 0, 0, 1], port).into())
}

#[test]
fn a_phone_sends_through_postfix() {
    let (company, phones, port) = (Company::with(by_certificate), Phones::new(), free_port());
    let Some(passwords) = passwords() else {
        return;
    };
    let _policy = Policy::of(&company, tcp(port));
    let Some(postfix) = Postfix::start(
        Asks::Port(port),
        passwords.dovecot.login_port,
        &phones.pki,
        false,
    ) else {
        return;
    };
    // It stands from before the order to after the deadline.
    let standing = RefCell::new(phones.sign_in(postfix.port, Some(&phones.tiktok)));
    let order = company.story(|device| {
        let now = told(&phones.recipient(postfix.port, device));
        if now == Told::Refused {
            let open = told(&recipient(&mut standing.borrow_mut()));
            assert_eq!(open, now, "an open session");
        }
        now == Told::In
    });
    let forged = Pki::self_made("dev-7f3a");
    let answer = recipient(&mut phones.sign_in(postfix.port, Some(&forged)));
    assert_eq!(told(&answer), Told::In, "no authority stands for its name");
    company.retract(&order);
    let answer = recipient(&mut standing.borrow_mut());
    assert_eq!(told(&answer), Told::In, "retracted");
}

/// Before Countermand's one door for Postfix: at a port, and from the chroot of Debian's smtpd at a socket below the
/// queue directory, in a folder as deploy/README.md has it; each with either choice.
struct Postfixes([(Postfix, bool); 4]);

impl Postfixes {
    fn start(port: u16, login_port: u16, phones: &Phones) -> Option<Postfixes> {
        let start = |asks, open| {
            let postfix = Postfix::start(asks, login_port, &phones.pki, open)?;
            Some((postfix, open))
        };
        Some(Postfixes([
            start(Asks::Port(port), false)?,
            start(Asks::Port(port), true)?,
            start(Asks::Socket, false)?,
            start(Asks::Socket, true)?,
        ]))
    }

    fn sockets(&self) -> [PathBuf; 2] {
        [2, 3].map(|n: usize| self.0[n].0.socket())
    }

    fn doors<'a>(&'a self, phones: &'a Phones) -> Vec<Tried<'a>> {
        let tried = |(postfix, open): &'a (Postfix, bool)| {
            Tried::new("Postfix", *open, |device| {
                told(&phones.recipient(postfix.port, device))
            })
        };
        self.0.iter().map(tried).collect()
    }
}

/// It has no limit for the whole of an answer, only for the time between two pieces of it.
pub fn on_a_bad_line() {
    let (company, phones, port) = (Company::with(by_certificate), Phones::new(), free_port());
    let Some(passwords) = passwords() else {
        return;
    };
    let _policy = Policy::of(&company, tcp(port));
    let line = Line::to(port);
    let login = passwords.dovecot.login_port;
    let Some(postfixes) = Postfixes::start(line.port, login, &phones) else {
        return;
    };
    for socket in postfixes.sockets() {
        line.also_from(&socket);
    }
    let doors = postfixes.doors(&phones);
    in_trouble::on_a_bad_line(&company, &line, &doors);
    company.tell(&company.publish());
    company.go_to("2020-07-11T10:00:00Z");
    of_unfinished_answers(&line, &doors, false);
}

pub fn with_a_killed_gate() {
    let (company, phones, port) = (Company::with(by_certificate), Phones::new(), free_port());
    let Some(passwords) = passwords() else {
        return;
    };
    let login = passwords.dovecot.login_port;
    let Some(postfixes) = Postfixes::start(port, login, &phones) else {
        return;
    };
    let mut policies = vec![Policy::of(&company, tcp(port))];
    for socket in postfixes.sockets() {
        policies.push(Policy::of(&company, Listen::Unix(socket)));
    }
    let kill = || policies.iter().for_each(Policy::kill);
    let revive = || policies.iter().for_each(Policy::start);
    of_a_killed_gate(&company, (&kill, &revive), &postfixes.doors(&phones));
}

/// A session that stands keeps its connection to a Countermand that is no more.
#[test]
fn a_restart_of_countermand_s_is_no_want_of_a_verdict() {
    let (company, _) = Company::enforcing_with(by_certificate);
    let (phones, port) = (Phones::new(), free_port());
    let Some(passwords) = passwords() else {
        return;
    };
    let policy = Policy::of(&company, tcp(port));
    let login = passwords.dovecot.login_port;
    let Some(open) = Postfix::start(Asks::Port(port), login, &phones.pki, true) else {
        return;
    };
    let mut session = phones.sign_in(open.port, Some(&phones.tiktok));
    for _ in 0..3 {
        assert_eq!(told(&recipient(&mut session)), Told::Refused);
        policy.kill();
        policy.start();
    }
}

/// There is no secret in Postfix's protocol: the socket's group says who may ask.
#[test]
fn a_socket_of_another_group_is_out_of_postfix_s_reach() {
    let (company, phones) = (Company::with(by_certificate), Phones::new());
    let Some(passwords) = passwords() else {
        return;
    };
    let login = passwords.dovecot.login_port;
    let Some(postfix) = Postfix::start(Asks::Socket, login, &phones.pki, false) else {
        return;
    };
    let _policy = Policy::of(&company, Listen::Unix(postfix.socket()));
    let group = std::fs::metadata(postfix.socket()).unwrap().gid();
    for (group, expected) in [(0, Told::NoVerdict), (group, Told::In)] {
        std::os::unix::fs::chown(postfix.socket(), None, Some(group)).unwrap();
        let answer = phones.recipient(postfix.port, WITH_TIKTOK);
        assert_eq!(told(&answer), expected, "{group}: {answer}");
    }
}
