//! From a report to the end of a session that waits in IDLE.

use std::time::Instant;

use super::company::{Company, is_clean};
use super::load::{Lines, since};
use super::mail::Dovecot;
use crate::rows::Row;
use crate::stage::address;

/// One after another, a person each.
const PEOPLE: usize = 20;

pub async fn ended(company: &Company) -> anyhow::Result<[Row; 1]> {
    let people: Vec<usize> = (0..).filter(|p| is_clean(*p)).take(PEOPLE).collect();
    let dovecot = Dovecot::start(Some(company.port), company.doveadm_port, &people).await?;
    let mut runs = Vec::new();
    for person in people {
        let mut session = Lines::connect(dovecot.imap_port).await?;
        session.line().await?;
        let login = format!("a LOGIN {} secret", address(person));
        session.say(&login, "a OK", "* ").await?;
        session.say("b SELECT INBOX", "b OK", "* ").await?;
        session.say("c IDLE", "+", "").await?;
        let begun = Instant::now();
        company.installs(person, true).await?;
        while session
            .line()
            .await
            .is_ok_and(|line| !line.starts_with("* BYE"))
        {}
        runs.push(since(begun));
        company.installs(person, false).await?;
    }
    Ok([super::within("kick-idle", runs, 1_000.0)])
}
