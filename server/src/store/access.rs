//! Operators and their sessions.

use countermand_core::actor::{Operator, Role};
use jiff::Timestamp;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::rows::{from_json, micros, time, to_json};
use super::write::Write;
use super::{Result, Store, StoreError};

/// How an operator signs in here.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// argon2 hash.
    pub password: Option<String>,
    /// Hash of a set-up link's token, and when it ends.
    pub invitation: Option<(String, Timestamp)>,
}

/// A signed-in operator's session; the token itself is only in the cookie.
#[derive(Clone, Debug)]
pub struct Session {
    pub email: String,
    pub csrf: String,
    pub expires_at: Timestamp,
}

fn operator(row: &AnyRow) -> Result<Operator> {
    let roles: std::collections::BTreeSet<Role> = from_json(row.try_get("roles")?)?;
    Ok(Operator {
        email: row.try_get("email")?,
        roles,
    })
}

pub(super) async fn save_operator(write: &mut Write, operator: &Operator) -> Result<()> {
    sqlx::query("INSERT INTO operator (email, roles) VALUES ($1, $2) ON CONFLICT (email) DO UPDATE SET roles = excluded.roles")
        .bind(&operator.email)
        .bind(to_json(&operator.roles)?)
        .execute(write.db())
        .await?;
    Ok(())
}

pub(super) async fn save_invitation(
    write: &mut Write,
    email: &str,
    invitation: &str,
    until: Timestamp,
) -> Result<()> {
    let done =
        sqlx::query("UPDATE operator SET invitation = $2, invitation_until = $3 WHERE email = $1")
            .bind(email)
            .bind(invitation)
            .bind(micros(until))
            .execute(write.db())
            .await?;
    if done.rows_affected() == 0 {
        Err(no_operator(email))
    } else {
        Ok(())
    }
}

/// With an invitation only while it is there: of two who use one link at once, one is too late, and
/// is told so as a conflict.
pub(super) async fn save_password(
    write: &mut Write,
    email: &str,
    hash: &str,
    invitation: Option<&str>,
    at: Timestamp,
) -> Result<()> {
    const ANY: &str = "UPDATE operator SET password = $2, invitation = NULL, invitation_until = NULL WHERE email = $1";
    const INVITED: &str = "UPDATE operator SET password = $2, invitation = NULL, invitation_until = NULL WHERE email = $1 AND invitation = $3 AND invitation_until > $4";
    let query = match invitation {
        None => sqlx::query(ANY).bind(email).bind(hash),
        Some(invitation) => sqlx::query(INVITED)
            .bind(email)
            .bind(hash)
            .bind(invitation)
            .bind(micros(at)),
    };
    if query.execute(write.db()).await?.rows_affected() == 0 {
        return Err(match invitation {
            None => no_operator(email),
            Some(_) => StoreError::Conflict,
        });
    }
    sqlx::query("DELETE FROM session WHERE email = $1")
        .bind(email)
        .execute(write.db())
        .await?;
    Ok(())
}

fn no_operator(email: &str) -> StoreError {
    StoreError::NotFound(format!(
        "there is no operator «{email}»; `countermand operator add {email} --role …` makes one"
    ))
}

impl Store {
    pub async fn operators(&self) -> Result<Vec<Operator>> {
        let rows = sqlx::query("SELECT email, roles FROM operator ORDER BY email")
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(operator).collect()
    }

    pub async fn operator(&self, email: &str) -> Result<Option<Operator>> {
        let row = sqlx::query("SELECT email, roles FROM operator WHERE email = $1")
            .bind(email)
            .fetch_optional(&self.readers)
            .await?;
        row.as_ref().map(operator).transpose()
    }

    pub async fn credentials(&self, email: &str) -> Result<Option<Credentials>> {
        let row = sqlx::query(
            "SELECT password, invitation, invitation_until FROM operator WHERE email = $1",
        )
        .bind(email)
        .fetch_optional(&self.readers)
        .await?;
        row.map(|r| {
            let invitation: Option<String> = r.try_get("invitation")?;
            let until: Option<i64> = r.try_get("invitation_until")?;
            Ok(Credentials {
                password: r.try_get("password")?,
                invitation: invitation.zip(until.map(time)),
            })
        })
        .transpose()
    }

    /// Begins a session, and forgets those that are over. `token` is the hash of what the cookie
    /// holds.
    pub async fn begin_session(
        &self,
        token: &str,
        session: &Session,
        now: Timestamp,
    ) -> Result<()> {
        let mut write = self.begin().await?;
        sqlx::query("DELETE FROM session WHERE expires_at <= $1")
            .bind(micros(now))
            .execute(write.db())
            .await?;
        sqlx::query("INSERT INTO session (token, email, csrf, expires_at) VALUES ($1, $2, $3, $4)")
            .bind(token)
            .bind(&session.email)
            .bind(&session.csrf)
            .bind(micros(session.expires_at))
            .execute(write.db())
            .await?;
        write.finish().await?;
        Ok(())
    }

    pub async fn session(&self, token: &str, now: Timestamp) -> Result<Option<Session>> {
        let row = sqlx::query(
            "SELECT email, csrf, expires_at FROM session WHERE token = $1 AND expires_at > $2",
        )
        .bind(token)
        .bind(micros(now))
        .fetch_optional(&self.readers)
        .await?;
        row.map(|r| {
            Ok(Session {
                email: r.try_get("email")?,
                csrf: r.try_get("csrf")?,
                expires_at: time(r.try_get("expires_at")?),
            })
        })
        .transpose()
    }

    pub async fn end_session(&self, token: &str) -> Result<()> {
        let mut write = self.begin().await?;
        sqlx::query("DELETE FROM session WHERE token = $1")
            .bind(token)
            .execute(write.db())
            .await?;
        write.finish().await?;
        Ok(())
    }
}
