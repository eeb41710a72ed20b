//! Small helps for rows and statements that both databases read alike.

use std::fmt::Write as _;

use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::{Result, StoreError};

pub(super) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

pub(super) fn time(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MIN)
}

pub(super) fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T> {
    text.parse()
        .map_err(|e: T::Err| StoreError::Unreadable(format!("«{text}»: {e}")))
}

pub(super) fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| StoreError::Unreadable(e.to_string()))
}

pub(super) fn to_json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| StoreError::Unreadable(e.to_string()))
}

/// Both databases bind at most 32,766 values in a statement; this many rows at a time stays far below.
pub(super) const AT_ONCE: usize = 500;

/// `before` followed by `($1, $2, …)` for `n` values, then `after`. No value of a user is in the text.
pub(super) fn one_of(before: &str, first: usize, n: usize, after: &str) -> AssertSqlSafe<String> {
    let mut sql = format!("{before} (");
    for i in 0..n {
        let _ = write!(sql, "{}${}", if i == 0 { "" } else { ", " }, first + i);
    }
    sql.push_str(") ");
    sql.push_str(after);
    AssertSqlSafe(sql)
}

/// The rows of `select` in which `column` is one of the numbers; all of them, if there are none.
pub(super) async fn numbered(
    db: &mut AnyConnection,
    select: &str,
    column: &str,
    numbers: Option<&[i64]>,
) -> Result<Vec<AnyRow>> {
    let Some(numbers) = numbers else {
        let all = AssertSqlSafe(select.to_owned());
        return Ok(sqlx::query(all).fetch_all(db).await?);
    };
    let mut rows = Vec::new();
    for chunk in numbers.chunks(AT_ONCE) {
        let before = format!("{select} WHERE {column} IN");
        let sql = one_of(&before, 1, chunk.len(), "");
        let query = chunk.iter().fold(sqlx::query(sql), |q, n| q.bind(*n));
        rows.extend(query.fetch_all(&mut *db).await?);
    }
    Ok(rows)
}

/// `before VALUES ($1, $2), ($3, $4) … after` for `rows` rows of `columns` values, the first of which
/// is `$first`.
pub(super) fn values(
    before: &str,
    first: usize,
    rows: usize,
    columns: usize,
    after: &str,
) -> AssertSqlSafe<String> {
    let mut sql = format!("{before} VALUES ");
    for row in 0..rows {
        sql.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..columns {
            let comma = if column == 0 { "" } else { ", " };
            let _ = write!(sql, "{comma}${}", first + row * columns + column);
        }
        sql.push(')');
    }
    sql.push(' ');
    sql.push_str(after);
    AssertSqlSafe(sql)
}

/// How many rows a statement for `n` of them has; the others are NULL, and match nothing. So there are
/// few statements, and a connection need not prepare one for each number.
pub(super) fn padded(n: usize) -> usize {
    n.next_power_of_two().clamp(8, AT_ONCE.max(8))
}

/// A text of the outer world without what PostgreSQL can't hold.
pub(super) fn holdable(text: &str) -> String {
    text.replace('\0', "")
}
