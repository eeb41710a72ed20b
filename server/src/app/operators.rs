//! Operators: who they are, how they sign in.

use std::collections::BTreeSet;

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use countermand_core::actor::{Act, Actor, Operator, Role};
use countermand_core::change::Change;
use countermand_core::duration::Length;
use countermand_core::fleet::fold;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{App, AppError, Result};
use crate::store::{Session, StoreError};

/// How long a console session lasts.
const SESSION: Length = Length::hours(12);

/// How long a link that sets a password is good for.
const INVITATION: Length = Length::hours(7 * 24);

/// Shorter passwords are refused.
pub const MIN_PASSWORD: usize = 10;

/// What the browser keeps; the database has only its hash.
#[derive(Debug)]
pub struct SignedIn {
    pub token: String,
    pub session: Session,
}

fn hash_token(token: &str) -> String {
    countermand_core::hex::encode(&Sha256::digest(token))
}

impl App {
    pub async fn put_operator(
        &self,
        actor: &Actor,
        email: &str,
        roles: BTreeSet<Role>,
    ) -> Result<Operator> {
        self.authorise(actor, Act::Administer).await?;
        let email = fold(email);
        // Letters that only look like others would make a second person of one (invariant 8).
        if !email.is_ascii()
            || email.ends_with('.')
            || !email.contains('@')
            || email.chars().any(|c| c.is_whitespace() || c.is_control())
        {
            return Err(AppError::Input(format!("«{email}» is no mail address")));
        }
        if roles.is_empty() {
            return Err(AppError::Input("an operator needs a role; give --role viewer, helpdesk, author, approver, responder or admin".into()));
        }
        let operator = Operator { email, roles };
        self.commit(actor, Change::Operator(operator.clone()))
            .await?;
        Ok(operator)
    }

    /// A link by which the operator sets a password, once.
    pub async fn invite(&self, actor: &Actor, email: &str) -> Result<String> {
        self.authorise(actor, Act::Administer).await?;
        let email = fold(email);
        let token = self.ids.secret();
        self.commit(
            actor,
            Change::Invite {
                email: email.clone(),
                invitation: hash_token(&token),
                until: INVITATION.after(self.now()),
            },
        )
        .await?;
        let base = self.config.server.public_url.trim_end_matches('/');
        Ok(format!(
            "{base}/set-up?email={}&token={token}",
            email.replace('+', "%2B")
        ))
    }

    /// As long as nobody can sign in: a link for the first operator who may manage operators, else
    /// for the first there is.
    pub async fn first_way_in(&self) -> Result<Option<String>> {
        let operators = self.store.operators().await?;
        for operator in &operators {
            if self
                .store
                .credentials(&operator.email)
                .await?
                .is_some_and(|c| c.password.is_some())
            {
                return Ok(None);
            }
        }
        let admin = operators.iter().find(|o| o.roles.contains(&Role::Admin));
        match admin.or(operators.first()) {
            Some(first) => Ok(Some(
                self.invite(&Actor::System("start".to_owned()), &first.email)
                    .await?,
            )),
            None => Ok(None),
        }
    }

    /// Whether the link's token is the one that was given out last, and is still good.
    pub async fn is_invited(&self, email: &str, token: &str) -> Result<bool> {
        let credentials = self
            .store
            .credentials(&fold(email))
            .await?
            .unwrap_or_default();
        let given = hash_token(token);
        Ok(credentials.invitation.is_some_and(|(invitation, until)| {
            let same = bool::from(invitation.as_bytes().ct_eq(given.as_bytes()));
            same && self.now() < until
        }))
    }

    /// Sets a password through a one-time link.
    pub async fn set_password(&self, email: &str, token: &str, password: &str) -> Result<()> {
        let used_up = || {
            AppError::Policy("this link is not valid any more; ask an admin for a new one".into())
        };
        let email = fold(email);
        if !self.is_invited(&email, token).await? {
            return Err(used_up());
        }
        if password.chars().count() < MIN_PASSWORD {
            return Err(AppError::Input(format!(
                "the password has fewer than {MIN_PASSWORD} characters"
            )));
        }
        let password = password.to_owned();
        let hash = tokio::task::spawn_blocking(move || {
            Argon2::default()
                .hash_password(password.as_bytes())
                .map(|h| h.to_string())
        })
        .await
        .map_err(|e| AppError::Failed(e.to_string()))?
        .map_err(|e| AppError::Failed(e.to_string()))?;
        let change = Change::Password {
            email: email.clone(),
            hash,
            invitation: Some(hash_token(token)),
        };
        match self.commit(&Actor::Operator(email), change).await {
            // Somebody else used the link in the meantime.
            Err(StoreError::Conflict) => Err(used_up()),
            other => Ok(other?),
        }
    }

    /// The same answer, after the same work, whether the address or the password is wrong.
    pub async fn sign_in(&self, email: &str, password: &str) -> Result<SignedIn> {
        let email = fold(email);
        let stored = self
            .store
            .credentials(&email)
            .await?
            .unwrap_or_default()
            .password;
        let known = stored.is_some();
        let password = password.to_owned();
        let right = tokio::task::spawn_blocking(move || {
            // A hash of no password, so that an unknown address takes as long as a known one.
            const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$Y291bnRlcm1hbmQtbm9ib2R5$3c0tq6dKjwH7pYCyKpZ6cGCcJmWJ6kqPl5x0dD7n7m8";
            let hash = stored.unwrap_or_else(|| NOBODY.to_owned());
            argon2::PasswordHash::new(&hash)
                .is_ok_and(|parsed| Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok())
        })
        .await
        .map_err(|e| AppError::Failed(e.to_string()))?;
        if !(known && right) {
            return Err(AppError::Policy(
                "the mail address or the password is wrong".into(),
            ));
        }
        self.begin_session(&email).await
    }

    pub(crate) async fn begin_session(&self, email: &str) -> Result<SignedIn> {
        let token = self.ids.secret();
        let session = Session {
            email: fold(email),
            csrf: self.ids.secret(),
            expires_at: SESSION.after(self.now()),
        };
        self.store
            .begin_session(&hash_token(&token), &session, self.now())
            .await?;
        Ok(SignedIn { token, session })
    }

    /// Who a cookie's token belongs to.
    pub async fn session(&self, token: &str) -> Result<Option<(Session, Operator)>> {
        let Some(session) = self.store.session(&hash_token(token), self.now()).await? else {
            return Ok(None);
        };
        Ok(self
            .store
            .operator(&session.email)
            .await?
            .map(|operator| (session, operator)))
    }

    pub async fn sign_out(&self, token: &str) -> Result<()> {
        Ok(self.store.end_session(&hash_token(token)).await?)
    }
}
