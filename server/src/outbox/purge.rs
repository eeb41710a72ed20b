//! Asks the relay to drop what it still has in its queue: `postsuper -d -` of Postfix, or what else
//! `purge` in `[notices.smtp]` names.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

/// A command that takes longer is ended.
const PATIENCE: Duration = Duration::from_secs(120);
/// Of its words, the last are kept.
const WORDS: usize = 300;

/// The queue id in a relay's answer, `250 2.0.0 Ok: queued as 4abcXYZ`.
///
/// Letters and digits only, and no word: in the hands of postsuper, ALL is the whole queue.
pub fn queue_id(answer: &str) -> Option<&str> {
    let (_, rest) = answer.split_once("queued as ")?;
    let end = rest
        .find(|c: char| !c.is_ascii_alphanumeric())
        .unwrap_or(rest.len());
    let id = &rest[..end];
    let follows = rest[end..].chars().next();
    let is_whole = follows.is_none_or(|c| c.is_whitespace() || ".,;)\"'".contains(c));
    let has_digit = id.bytes().any(|b| b.is_ascii_digit());
    (is_whole && has_digit && (5..=40).contains(&id.len())).then_some(id)
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// `None` if it did not come to its end.
    pub status: Option<i32>,
    /// What it said last, or what went wrong.
    pub words: String,
}

/// Runs the command, without a shell, with one id a line on its standard input.
pub async fn run(command: &[String], ids: &[&str]) -> Ended {
    let failed = |what: String| Ended {
        status: None,
        words: what,
    };
    let Some((program, arguments)) = command.split_first() else {
        return failed("no command is configured".to_owned());
    };
    let mut child = match Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
    {
        Ok(child) => child,
        Err(error) => return failed(format!("{program} could not be started: {error}")),
    };
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let lines: String = ids.iter().flat_map(|id| [id, "\n"]).collect();
    let ask = async move {
        if let Some(mut stdin) = stdin {
            // Whoever reads only some of them has said why.
            let _ = stdin.write_all(lines.as_bytes()).await;
        }
    };
    let hear = async move {
        let mut said = Vec::new();
        let Some(mut stderr) = stderr else {
            return said;
        };
        let mut piece = [0; 4096];
        while let Ok(read @ 1..) = stderr.read(&mut piece).await {
            said.extend_from_slice(&piece[..read]);
            said.drain(..said.len().saturating_sub(4 * WORDS));
        }
        said
    };
    let whole = async { tokio::join!(ask, hear, child.wait()) };
    match tokio::time::timeout(PATIENCE, whole).await {
        Err(_) => failed(format!("{program} took more than {} s", PATIENCE.as_secs())),
        Ok((_, _, Err(error))) => failed(format!("{program}: {error}")),
        Ok(((), said, Ok(status))) => Ended {
            status: status.code(),
            words: last_words(&said),
        },
    }
}

fn last_words(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let last = said.lines().map(str::trim).rfind(|line| !line.is_empty());
    let tame = last
        .unwrap_or_default()
        .replace(|c: char| c.is_control(), " ");
    tame.chars().take(WORDS).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_id_is_read_and_nothing_that_could_mean_more_than_one_mail() {
        for (answer, id) in [
            ("250 2.0.0 Ok: queued as 4abcXYZ", Some("4abcXYZ")),
            ("2.0.0 Ok: queued as 3FA2B1C0D9", Some("3FA2B1C0D9")),
            ("250 Ok: queued as 4gXk2n0BwZz1hT.", Some("4gXk2n0BwZz1hT")),
            ("250 2.0.0 Ok: queued as ALL", None),
            ("250 2.0.0 Ok: queued as 12345-ALL", None),
            ("250 2.0.0 Ok: queued as 1a2b3c/../x", None),
            ("250 2.0.0 Ok: queued as -d", None),
            ("250 2.0.0 Ok: queued as ", None),
            ("250 OK id=1abCDe-0001Xy-2F", None),
            ("250 ok", None),
        ] {
            assert_eq!(queue_id(answer), id, "{answer}");
        }
    }

    #[tokio::test]
    async fn the_command_gets_one_id_a_line_and_what_it_did_is_known() {
        let command = |text: &str| ["sh", "-c", text].map(str::to_owned);
        let all = run(&command("cat >&2"), &["1aaaa", "2bbbb"]).await;
        assert_eq!((all.status, all.words.as_str()), (Some(0), "2bbbb"));
        let many = vec!["4abcXYZ"; 100_000];
        let deaf = run(&command("echo no >&2; exit 3"), &many).await;
        assert_eq!((deaf.status, deaf.words.as_str()), (Some(3), "no"));
        let none = run(&["/nowhere/postsuper".to_owned()], &["1aaaa"]).await;
        assert!(none.status.is_none() && none.words.contains("could not be started"));
        assert_eq!(run(&[], &[]).await.status, None);
    }
}
