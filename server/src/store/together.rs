//! Statements that wait for no answer of one another, run in one call.
//!
//! SQLite works in a thread of its own, and each call wakes it and then us: there they are one call. PostgreSQL takes
//! one statement with values at a time.

use std::fmt::Write as _;

use futures_util::TryStreamExt as _;
use sqlx::{AssertSqlSafe, Either, Executor as _, Row as _};

use super::write::{RAISE, Write};
use super::{Backend, Result};

enum Value {
    Number(Option<i64>),
    Text(String),
    /// That of the commit, which the same call may raise.
    Version,
}

const VERSION: &str = "(SELECT number FROM version WHERE one = 1)";

/// A statement and its values, `$1` the first. Those of its rows come last.
pub(super) struct Statement {
    sql: AssertSqlSafe<String>,
    values: Vec<Value>,
    rows: Vec<Value>,
}

impl Statement {
    pub fn new(sql: AssertSqlSafe<String>) -> Self {
        Statement {
            sql,
            values: Vec::new(),
            rows: Vec::new(),
        }
    }

    pub fn number(mut self, number: impl Into<Option<i64>>) -> Self {
        self.values.push(Value::Number(number.into()));
        self
    }

    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.values.push(Value::Text(text.into()));
        self
    }

    pub fn version(mut self) -> Self {
        self.values.push(Value::Version);
        self
    }

    pub fn row(&mut self, number: impl Into<Option<i64>>) -> &mut Self {
        self.rows.push(Value::Number(number.into()));
        self
    }

    pub fn row_text(&mut self, text: impl Into<String>) -> &mut Self {
        self.rows.push(Value::Text(text.into()));
        self
    }
}

#[derive(Default)]
pub(super) struct Together(Vec<Statement>);

impl Together {
    pub fn add(&mut self, statement: Statement) {
        self.0.push(statement);
    }
}

type Query = sqlx::query::Query<'static, sqlx::Any, sqlx::any::AnyArguments>;

fn bound(query: Query, values: Vec<Value>, version: Option<i64>) -> Query {
    values.into_iter().fold(query, |query, value| match value {
        Value::Number(number) => query.bind(number),
        Value::Text(text) => query.bind(text),
        Value::Version => query.bind(version),
    })
}

/// The statement for SQLite: `?` for the values of its rows, which come after the `fixed`, and these with their
/// numbers raised by `by`; a version is read where it stands. SQLite looks a name up among all names for each value,
/// and `?` has none. No text of a user is in it.
fn renamed(sql: &str, fixed: &[Value], by: usize, into: &mut String) {
    let mut parts = sql.split('$');
    into.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = part.split_at(digits);
        let number = number.parse::<usize>().unwrap_or_default();
        match fixed.get(number.wrapping_sub(1)) {
            None => into.push('?'),
            Some(Value::Version) => into.push_str(VERSION),
            Some(_) => {
                let _ = write!(into, "${}", number + by);
            }
        }
        into.push_str(rest);
    }
}

impl Write {
    /// Runs them in their order, and says how many rows each of them changed.
    pub async fn run(&mut self, together: Together) -> Result<Vec<u64>> {
        let mut counts = Vec::with_capacity(together.0.len());
        if self.backend == Backend::Postgres {
            self.raise().await?;
            let version = Some(self.version);
            for Statement { sql, values, rows } in together.0 {
                let query = bound(bound(sqlx::query(sql), values, version), rows, version);
                counts.push(query.execute(self.db()).await?.rows_affected());
            }
            return Ok(counts);
        }
        if together.0.is_empty() {
            return Ok(counts);
        }
        let mut all = String::new();
        let raises = self.version == 0;
        if raises {
            all = format!("{RAISE};");
        }
        // `?` takes the values one by one from the first, whichever statement it is in.
        let mut by = together.0.iter().map(|s| s.rows.len()).sum();
        for statement in &together.0 {
            renamed(&statement.sql.0, &statement.values, by, &mut all);
            all.push(';');
            by += statement.values.len();
        }
        let (mut named, mut rows) = (Vec::new(), Vec::new());
        for statement in together.0 {
            rows.extend(statement.rows);
            named.extend(statement.values);
        }
        rows.extend(named);
        let query = bound(sqlx::query(AssertSqlSafe(all)), rows, None);
        let mut steps = self.db().fetch_many(query);
        let mut version = None;
        while let Some(step) = steps.try_next().await? {
            match step {
                Either::Left(done) => counts.push(done.rows_affected()),
                Either::Right(row) => version = Some(row.try_get(0)?),
            }
        }
        drop(steps);
        if raises {
            self.version = version.ok_or(sqlx::Error::RowNotFound)?;
            counts.remove(0);
        }
        Ok(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_rows_have_no_name_and_others_come_after_them() {
        let mut sql = String::new();
        let two = [Value::Number(None), Value::Text(String::new())];
        renamed("VALUES ($3, $4) WHERE c = $2 OR d = $1", &two, 12, &mut sql);
        assert_eq!(sql, "VALUES (?, ?) WHERE c = $14 OR d = $13");
        sql.clear();
        let version = [Value::Version, Value::Number(None)];
        renamed("SET v = $1 WHERE c = $2", &version, 3, &mut sql);
        assert_eq!(sql, format!("SET v = {VERSION} WHERE c = $5"));
        sql.clear();
        renamed("DELETE FROM a", &[], 3, &mut sql);
        assert_eq!(sql, "DELETE FROM a");
    }
}
