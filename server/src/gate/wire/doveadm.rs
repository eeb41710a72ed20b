//! What Dovecot's doveadm HTTP API answers: a list with an answer for each command.
//! <https://doc.dovecot.org/2.3/admin_manual/doveadm_http_api/>

use serde_json::Value;

/// Exit status of doveadm where nobody of that name is connected (EX_NOUSER).
const NOBODY: i64 = 67;

/// `None` for what is no answer to so many commands; else what failed, if anything did. Who is not
/// connected has no session to end, which is no failure.
pub fn read(answer: &[u8], commands: usize) -> Option<Option<String>> {
    let answers: Vec<Value> = serde_json::from_slice(answer).ok()?;
    (answers.len() == commands).then(|| answers.iter().find_map(failure))
}

fn failure(answer: &Value) -> Option<String> {
    let details = answer.get(1)?;
    let is_nobody = || details.get("exitCode").and_then(Value::as_i64) == Some(NOBODY);
    if answer.get(0)? == "doveadmResponse" || is_nobody() {
        return None;
    }
    Some(details.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_connected_is_no_failure() {
        let read = |answer: &str| read(answer.as_bytes(), 1);
        assert_eq!(read(r#"[["doveadmResponse",[],"0"]]"#), Some(None));
        let ended =
            |status| format!(r#"[["error",{{"type":"exitCode","exitCode":{status}}},"0"]]"#);
        assert_eq!(read(&ended(67)), Some(None));
        assert!(matches!(read(&ended(75)), Some(Some(_))));
    }

    #[test]
    fn an_error_without_a_status_is_a_failure_too() {
        let answer = r#"[["error",{"type":"unknownMethod"},"0"]]"#;
        assert!(matches!(read(answer.as_bytes(), 1), Some(Some(_))));
    }

    #[test]
    fn an_answer_to_other_commands_is_none() {
        for answer in [
            "",
            "{}",
            "[]",
            r#"[["doveadmResponse",[],"0"],["doveadmResponse",[],"1"]]"#,
        ] {
            assert_eq!(read(answer.as_bytes(), 1), None, "{answer}");
        }
    }
}
