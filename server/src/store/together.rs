//! Statements that wait for no answer of one another, run in one call.
//!
//! SQLite works in a thread of its own, and each call wakes it and then us: there they are one call. PostgreSQL takes
//! one statement with values at a time.

use futures_util::TryStreamExt as _;
use sqlx::{AssertSqlSafe, Either, Executor as _};

use super::write::Write;
use super::{Backend, Result};

enum Value {
    Number(Option<i64>),
    Text(String),
}

/// A statement and its values, `$1` the first.
pub(super) struct Statement {
    sql: AssertSqlSafe<String>,
    values: Vec<Value>,
}

impl Statement {
    pub fn new(sql: AssertSqlSafe<String>) -> Self {
        Statement {
            sql,
            values: Vec::new(),
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
}

#[derive(Default)]
pub(super) struct Together(Vec<Statement>);

impl Together {
    pub fn add(&mut self, statement: Statement) {
        self.0.push(statement);
    }
}

type Query = sqlx::query::Query<'static, sqlx::Any, sqlx::any::AnyArguments>;

fn bound(query: Query, values: Vec<Value>) -> Query {
    values.into_iter().fold(query, |query, value| match value {
        Value::Number(number) => query.bind(number),
        Value::Text(text) => query.bind(text),
    })
}

/// The statement with the numbers of its values raised by `by`. No text of a user is in it.
fn raised(sql: &str, by: usize, into: &mut String) {
    let mut parts = sql.split('$');
    into.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = part.split_at(digits);
        let number = number.parse::<usize>().unwrap_or_default();
        into.push('$');
        into.push_str(&(number + by).to_string());
        into.push_str(rest);
    }
}

impl Write {
    /// Runs them in their order, and says how many rows each of them changed.
    pub async fn run(&mut self, together: Together) -> Result<Vec<u64>> {
        let mut counts = Vec::with_capacity(together.0.len());
        if self.backend == Backend::Postgres {
            for Statement { sql, values } in together.0 {
                let done = bound(sqlx::query(sql), values).execute(self.db()).await?;
                counts.push(done.rows_affected());
            }
            return Ok(counts);
        }
        let (mut all, mut values) = (String::new(), Vec::new());
        for statement in together.0 {
            raised(&statement.sql.0, values.len(), &mut all);
            all.push(';');
            values.extend(statement.values);
        }
        if all.is_empty() {
            return Ok(counts);
        }
        let query = bound(sqlx::query(AssertSqlSafe(all)), values);
        let mut steps = self.db().fetch_many(query);
        while let Some(step) = steps.try_next().await? {
            if let Either::Left(done) = step {
                counts.push(done.rows_affected());
            }
        }
        Ok(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_later_statement_come_after_those_of_an_earlier_one() {
        let mut sql = String::new();
        raised("UPDATE a SET b = $2 WHERE c IN ($1, $10)", 12, &mut sql);
        assert_eq!(sql, "UPDATE a SET b = $14 WHERE c IN ($13, $22)");
        sql.clear();
        raised("DELETE FROM a", 3, &mut sql);
        assert_eq!(sql, "DELETE FROM a");
    }
}
