//! What Dovecot's doveadm HTTP API answers: a list with an answer for each command, known by its tag.
//! <https://doc.dovecot.org/2.3/admin_manual/doveadm_http_api/>

use std::net::IpAddr;

use countermand_core::verdict::Channel;
use serde::Deserialize;
use serde_json::Value;

/// Exit statuses of doveadm where nobody of that name is connected: 68 by Dovecot 2.3 (its "not found"), and the
/// EX_NOUSER of sysexits.h.
const NOBODY: [i64; 2] = [67, 68];

/// What became of one command.
#[derive(Clone, PartialEq, Debug)]
pub enum Answer {
    Done(Value),
    /// There is nobody whom it could be about.
    Nobody,
    Failed(String),
}

/// One connection, as `who` names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Connection {
    pub user: String,
    pub channel: Channel,
    pub remote: Option<IpAddr>,
}

/// The answers in the order of the commands, whose tags are their numbers; `None` for what is no answer to
/// so many.
pub fn read(answer: &[u8], commands: usize) -> Option<Vec<Answer>> {
    let mut answers = vec![None; commands];
    for answer in each(answer)? {
        let tag = answer.get(2)?.as_str()?;
        let place = answers.get_mut(tag.parse::<usize>().ok()?)?;
        if place.replace(one(answer)?).is_some() {
            return None;
        }
    }
    answers.into_iter().collect()
}

/// The values of a list. Dovecot 2.3 leaves out the comma after the answer to a command that it does not know.
fn each(list: &[u8]) -> Option<Vec<Value>> {
    let is_between = |byte: &u8| byte.is_ascii_whitespace() || *byte == b',';
    let mut rest = list.trim_ascii().strip_prefix(b"[")?;
    let mut values = Vec::new();
    loop {
        let begin = rest.iter().position(|byte| !is_between(byte))?;
        rest = &rest[begin..];
        if rest == b"]" {
            return Some(values);
        }
        let mut read = serde_json::Deserializer::from_slice(rest).into_iter::<Value>();
        let value = read.next()?.ok().filter(Value::is_array)?;
        values.push(value);
        rest = &rest[read.byte_offset()..];
    }
}

fn one(mut answer: Value) -> Option<Answer> {
    let details = answer.get_mut(1)?.take();
    if answer.get(0)? == "doveadmResponse" {
        return Some(Answer::Done(details));
    }
    // The status stands beside other errors too, left over from an earlier command.
    let is_status = details.get("type").and_then(Value::as_str) == Some("exitCode");
    let status = details.get("exitCode").and_then(Value::as_i64);
    let is_nobody = is_status && status.is_some_and(|status| NOBODY.contains(&status));
    Some(match is_nobody {
        true => Answer::Nobody,
        false => Answer::Failed(details.to_string()),
    })
}

/// The connections by which mail is read or sent, of what `who` answers with `separateConnections`; without it
/// Dovecot 2.3 writes more than one line as a broken list.
pub fn connections(lines: Value) -> Option<Vec<Connection>> {
    #[derive(Deserialize)]
    struct Line {
        username: String,
        service: String,
        ip: Option<String>,
    }
    let lines: Vec<Line> = serde_json::from_value(lines).ok()?;
    let read = |line: Line| {
        Some(Connection {
            channel: line.service.parse().ok()?,
            remote: line.ip.and_then(|ip| ip.parse().ok()),
            user: line.username,
        })
    };
    Some(lines.into_iter().filter_map(read).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read_text(answer: &str, commands: usize) -> Option<Vec<Answer>> {
        read(answer.as_bytes(), commands)
    }

    #[test]
    fn who_is_not_connected_is_no_failure() {
        let done = read_text(r#"[["doveadmResponse",[],"0"]]"#, 1);
        assert_eq!(done, Some(vec![Answer::Done(json!([]))]));
        let ended = |kind, status| {
            let text = format!(r#"[["error",{{"type":"{kind}","exitCode":{status}}},"0"]]"#);
            read_text(&text, 1).unwrap().remove(0)
        };
        assert_eq!(ended("exitCode", 67), Answer::Nobody);
        assert_eq!(ended("exitCode", 68), Answer::Nobody);
        assert!(matches!(ended("exitCode", 75), Answer::Failed(_)));
        let left_over = ended("unknownMethod", 68);
        assert!(matches!(left_over, Answer::Failed(_)));
    }

    #[test]
    fn one_failure_says_nothing_of_the_other_commands() {
        // As Dovecot 2.3.19 answers, a missing comma included.
        let seen = r#"[["error",{"type":"exitCode", "exitCode":68},"0"],["doveadmResponse",[{"result":"b@c.test"}],"1"]["error",{"type":"unknownMethod", "exitCode":0},"2"],["doveadmResponse",[],"3"]]"#;
        let read = read_text(seen, 4).unwrap();
        assert_eq!(read[0], Answer::Nobody);
        assert_eq!(read[1], Answer::Done(json!([{"result": "b@c.test"}])));
        assert!(matches!(read[2], Answer::Failed(_)));
        assert_eq!(read[3], Answer::Done(json!([])));
    }

    #[test]
    fn an_answer_to_other_commands_is_none() {
        for answer in [
            "",
            "{}",
            "[]",
            "[[]]",
            r#"[["doveadmResponse",[],"1"]]"#,
            r#"[["doveadmResponse",[]]]"#,
            r#"[["doveadmResponse",[],"0"]"#,
            r#"[["doveadmResponse",[],"0"]] more"#,
            r#"[["doveadmResponse",[],"0"],["doveadmResponse",[],"0"]]"#,
            r#"[["doveadmResponse",[],"0"],["doveadmResponse",[],"1"]]"#,
        ] {
            assert_eq!(read_text(answer, 1), None, "{answer}");
        }
    }

    #[test]
    fn who_is_connected_as_seen() {
        let seen = json!([
            {"username": "alice@corp.test", "service": "imap", "pid": "7289", "ip": "127.0.0.1"},
            {"username": "alice@corp.test", "service": "sieve", "pid": "7290", "ip": "127.0.0.1"},
            {"username": "bob@corp.test", "service": "pop3", "pid": "7293", "ip": ""},
        ]);
        let one = |user: &str, channel, remote: Option<&str>| Connection {
            user: user.to_owned(),
            channel,
            remote: remote.map(|ip| ip.parse().unwrap()),
        };
        let expected = vec![
            one("alice@corp.test", Channel::Imap, Some("127.0.0.1")),
            one("bob@corp.test", Channel::Pop3, None),
        ];
        assert_eq!(connections(seen), Some(expected));
        assert_eq!(connections(json!({"username": "x"})), None);
    }
}
