//! The door for changes: new state, audit entry and note to followers in one transaction.

use countermand_core::change::{Change, Commit, Forget, Step};

use super::{
    Result, Store, StoreError, access, bounces, channels, claims, devices, orders, own_word,
    people, refusals, retraction, stops, words,
};
use crate::failpoint::{self, Moment};

impl Store {
    /// Commits one change and gives back the version that it made.
    pub async fn commit(&self, commit: &Commit) -> Result<i64> {
        let mut write = self.begin().await?;
        let mut packages = Vec::new();
        let mut statement = commit.change.statement();
        match &commit.change {
            Change::Operator(operator) => access::save_operator(&mut write, operator).await?,
            Change::Invite {
                email,
                invitation,
                until,
            } => access::save_invitation(&mut write, email, invitation, *until).await?,
            Change::Password {
                email,
                hash,
                invitation,
            } => {
                let invitation = invitation.as_deref();
                access::save_password(&mut write, email, hash, invitation, commit.at).await?
            }
            Change::Settings { was, settings, .. } => {
                orders::save_settings(&mut write, was.as_ref(), settings).await?
            }
            Change::People(rows) => people::import(&mut write, rows).await?,
            Change::Reports(reports) => {
                packages = devices::import(self, &mut write, reports, commit.at).await?
            }
            Change::Claims(all) => claims::save(&mut write, all).await?,
            Change::Recognise(recognition) => devices::recognise(&mut write, recognition).await?,
            Change::Forget(forget) => {
                let person = words::forget(&mut write, &forget.key).await?;
                let forget = forget.clone();
                statement = Change::Forget(Forget { person, ..forget }).statement();
            }
            Change::OwnWord(word) => own_word::save(&mut write, word, commit.at).await?,
            Change::Order {
                order,
                step: Step::Cause,
                ..
            } => orders::say_cause(&mut write, order).await?,
            // A retraction does more than write a row; only its own change does it whole.
            Change::Order { order, .. } if order.retraction().is_some() => {
                return Err(StoreError::Unsupported(
                    "a retraction is committed as Change::Retract".to_owned(),
                ));
            }
            Change::Order {
                order,
                was,
                step: Step::Publish,
                ..
            } => {
                let mut order = order.clone();
                channels::number_all(&mut write, &mut order).await?;
                orders::save(&mut write, &order, *was).await?
            }
            Change::Order { order, was, .. } => orders::save(&mut write, order, *was).await?,
            Change::Retract {
                order,
                was,
                planned,
            } => retraction::retract(&mut write, order, *was, planned).await?,
            Change::Counted { order, answer } => {
                retraction::save_answer(&mut write, *order, answer).await?
            }
            Change::Exemption { was, exemption, .. } => {
                orders::save_exemption(&mut write, was.as_deref(), exemption).await?
            }
            // The files are in place already; this writes it down.
            Change::Restored { .. } => {}
            // The record is all that it leaves.
            Change::NoticeTested { .. } | Change::Looked(_) => {}
            Change::Attestation(attestation) => {
                orders::save_attestation(&mut write, attestation).await?
            }
            Change::LooksWrong { order, person } => {
                stops::looks_wrong(&mut write, *order, *person, commit.at).await?
            }
            Change::Refusals(refused) => refusals::save(&mut write, refused).await?,
            Change::RefusedAgain(again) => refusals::count(&mut write, again).await?,
            // It happened at the mail server; this writes it down.
            Change::Kicked(_) => {}
            // What was known already is no change, and no entry.
            Change::Bounces(all) => {
                let fresh = bounces::save(&mut write, all, commit.at).await?;
                statement = Change::Bounces(fresh).statement();
            }
            Change::Purge(purge) => bounces::save_purge(&mut write, purge).await?,
        }
        failpoint::pass(Moment::ChangeWritten);
        if let Some(statement) = statement {
            write.record(&commit.actor, commit.at, &statement).await?;
        }
        failpoint::pass(Moment::ChangeRecorded);
        let version = write.finish().await?;
        failpoint::pass(Moment::ChangeCommitted);
        self.remember_packages(packages);
        Ok(version)
    }
}
