//! The door for changes: new state, audit entry and note to followers in one transaction.

use countermand_core::change::{Change, Commit};

use super::{Result, Store, StoreError, access, devices, orders, people, refusals};

impl Store {
    /// Commits one change and gives back the version that it made.
    pub async fn commit(&self, commit: &Commit) -> Result<i64> {
        let mut write = self.begin().await?;
        let mut packages = Vec::new();
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
            // A retraction does more than write a row; only its own change does it whole.
            Change::Order { order, .. } if order.retraction().is_some() => {
                return Err(StoreError::Unsupported(
                    "a retraction is committed as Change::Retract".to_owned(),
                ));
            }
            Change::Order { order, was, .. } => orders::save(&mut write, order, *was).await?,
            Change::Retract {
                order,
                was,
                planned,
            } => orders::retract(&mut write, order, *was, planned).await?,
            Change::Exemption { was, exemption, .. } => {
                orders::save_exemption(&mut write, was.as_deref(), exemption).await?
            }
            // The files are in place already; this writes it down.
            Change::Restored { .. } => {}
            Change::Attestation(attestation) => {
                orders::save_attestation(&mut write, attestation).await?
            }
            Change::Refusals(refused) => refusals::save(&mut write, refused).await?,
            Change::RefusedAgain(again) => refusals::count(&mut write, again).await?,
            // It happened at the mail server; this writes it down.
            Change::Kicked(_) => {}
        }
        if let Some(statement) = commit.change.statement() {
            write.record(&commit.actor, commit.at, &statement).await?;
        }
        let version = write.finish().await?;
        self.remember_packages(packages);
        Ok(version)
    }
}
