//! What was found, for people and for programs.

use countermand_core::words::counted;
use serde::Serialize;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Ok,
    Warning,
    Failed,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Warning => "warning",
            Status::Failed => "failed",
        }
    }
}

/// One finding, which docs/doctor.md explains by its id.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Check {
    pub id: &'static str,
    pub status: Status,
    pub what: String,
    /// The address, file or key that it is about.
    #[serde(rename = "where")]
    pub place: String,
    pub expected: Option<String>,
    pub mend: Option<String>,
}

#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Report(pub Vec<Check>);

impl Report {
    pub fn ok(&mut self, id: &'static str, place: impl Into<String>, what: impl Into<String>) {
        self.0.push(Check {
            id,
            status: Status::Ok,
            what: what.into(),
            place: place.into(),
            expected: None,
            mend: None,
        });
    }

    pub fn failed(&mut self, id: &'static str, place: impl Into<String>, said: [&str; 3]) {
        self.bad(Status::Failed, id, place, said);
    }

    pub fn warning(&mut self, id: &'static str, place: impl Into<String>, said: [&str; 3]) {
        self.bad(Status::Warning, id, place, said);
    }

    /// What, what was expected, and how to mend it.
    fn bad(
        &mut self,
        status: Status,
        id: &'static str,
        place: impl Into<String>,
        [what, expected, mend]: [&str; 3],
    ) {
        self.0.push(Check {
            id,
            status,
            what: what.to_owned(),
            place: place.into(),
            expected: Some(expected.to_owned()),
            mend: Some(mend.to_owned()),
        });
    }

    pub fn count(&self, status: Status) -> usize {
        self.0.iter().filter(|c| c.status == status).count()
    }

    /// Nothing failed.
    pub fn is_fine(&self) -> bool {
        self.count(Status::Failed) == 0
    }

    /// For a terminal; `paint` colours the word of a status.
    pub fn in_words(&self, paint: impl Fn(&str) -> String) -> String {
        let widest = self.0.iter().map(|c| c.id.len()).max().unwrap_or(0);
        let indent = WORD + 2 + widest + 2;
        let mut text = String::new();
        for check in &self.0 {
            let word = check.status.as_str();
            let room = " ".repeat(WORD - word.len() + 2);
            text += &format!("{}{room}{:widest$}  ", paint(word), check.id);
            text += &wrapped(&format!("{}: {}", check.place, check.what), indent);
            text.push('\n');
            for (name, said) in [("expected", &check.expected), ("to mend", &check.mend)] {
                if let Some(said) = said {
                    let blank = " ".repeat(indent);
                    text += &format!("{blank}{name:NAME$}{}\n", wrapped(said, indent + NAME));
                }
            }
        }
        let bad = |status, one, many| match self.count(status) as u64 {
            0 => String::new(),
            n => format!(", {}", counted(n, one, many)),
        };
        let warned = bad(Status::Warning, "warning", "warnings");
        let failed = bad(Status::Failed, "failure", "failures");
        format!("{text}\n{} ok{warned}{failed}.", self.count(Status::Ok))
    }
}

impl Serialize for Report {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut all = to.serialize_struct("Report", 4)?;
        all.serialize_field("ok", &self.is_fine())?;
        all.serialize_field("failed", &self.count(Status::Failed))?;
        all.serialize_field("warnings", &self.count(Status::Warning))?;
        all.serialize_field("checks", &self.0)?;
        all.end()
    }
}

/// The longest word of a status.
const WORD: usize = 7;
/// The longest name of what follows.
const NAME: usize = 10;
const LINE: usize = 110;

/// Broken at blanks, each further line below the first.
fn wrapped(text: &str, indent: usize) -> String {
    let room = LINE.saturating_sub(indent).max(40);
    let (mut lines, mut line) = (Vec::new(), String::new());
    // What others said may hold anything.
    let text = text.replace(|c: char| c.is_control(), " ");
    for word in text.split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > room {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line += word;
    }
    lines.push(line);
    lines.join(&format!("\n{}", " ".repeat(indent)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stand_below_each_other() {
        let mut report = Report::default();
        report.ok("database", "sqlite:countermand.db", "answers");
        let long = "word ".repeat(30);
        report.failed(
            "gate.down",
            "127.0.0.1:8420",
            [&long, "an answer", "start\u{1b}[31m it"],
        );
        let text = report.in_words(str::to_owned);
        let expected = "\
ok       database   sqlite:countermand.db: answers
failed   gate.down  127.0.0.1:8420: word word word word word word word word word word word word word word word
                    word word word word word word word word word word word word word word word
                    expected  an answer
                    to mend   start [31m it

1 ok, 1 failure.";
        assert_eq!(text, expected);
    }
}
