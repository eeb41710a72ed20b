//! What a mail to the bounce address says: bytes in, a [`Report`] out. Pure, and never in doubt aloud:
//! what it cannot read is [`Verdict::Other`].
//!
//! RFC 3464 (delivery status notifications, in RFC 3462 reports) is what nearly every mail server
//! writes today; RFC 6533 is the same for addresses beyond ASCII. Exim before 4.85 wrote plain mails
//! with a header `X-Failed-Recipients`.

use countermand_core::notice::mark;
use mail_parser::{Message, MessageParser, MimeHeaders, PartType};

/// Set in every notice whose bounces are read here: servers return a notice's headers with its bounce.
pub const MARK_HEADER: &str = "X-Countermand-Receipt";
/// Words of a mail server that are kept of one bounce.
const LONGEST_WORDS: usize = 500;
/// More of anything is no bounce of a notice, which has one recipient.
const MOST: usize = 50;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Verdict {
    /// Given up.
    Failed,
    /// Still being tried.
    Delayed,
    /// A receipt: it arrived, or went on to where none are given.
    Delivered,
    /// Somebody's machine answers: a vacation note, a receipt of reading.
    AutoReply,
    /// A person's mail, or what nobody can read.
    Other,
}

impl Verdict {
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Failed => "failed",
            Verdict::Delayed => "delayed",
            Verdict::Delivered => "delivered",
            Verdict::AutoReply => "auto_reply",
            Verdict::Other => "other",
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    pub verdict: Verdict,
    /// Enhanced status code (RFC 3463), `5.1.1`; empty where none is given.
    pub status: String,
    /// What the mail server said, on one line.
    pub words: String,
    /// For whom it failed.
    pub recipients: Vec<String>,
    /// What may be marks: from the returned headers, and from the address that the bounce came to.
    pub marks: Vec<String>,
    /// Of what was returned, without angle brackets.
    pub message_ids: Vec<String>,
    /// As the returned headers name it.
    pub order: Option<String>,
}

/// Reads a mail that came for `to`, where the way it came tells.
pub fn read(to: &[String], bytes: &[u8]) -> Report {
    let mut report = Report {
        verdict: Verdict::Other,
        status: String::new(),
        words: String::new(),
        recipients: Vec::new(),
        marks: Vec::new(),
        message_ids: Vec::new(),
        order: None,
    };
    to.iter().for_each(|address| report.came_to(address));
    // Anybody can mail us what the parser did not expect. A panic of its own must not end the reading of
    // all mails that come after; found by fuzzing.
    let parsed = std::panic::catch_unwind(|| MessageParser::default().parse(bytes));
    let Ok(Some(mail)) = parsed else {
        return report;
    };
    for name in ["Delivered-To", "X-Original-To", "Envelope-To", "To"] {
        let raw = mail.header_raw(name).unwrap_or_default().to_owned();
        raw.split(',').for_each(|address| report.came_to(address));
    }
    let mut statuses = Vec::new();
    for part in mail.parts.iter().skip(1) {
        match kind_of(part) {
            Some(Part::Status) => statuses.extend(groups(part.contents())),
            Some(Part::Returned) => match &part.body {
                PartType::Message(returned) => report.returned(&fields_of(returned)),
                _ => {
                    let head = groups(part.contents()).into_iter().next();
                    report.returned(&head.unwrap_or_default());
                }
            },
            None => {}
        }
    }
    if !statuses.is_empty() {
        report.judge(&statuses);
    } else if let Some(failed) = mail.header_raw("X-Failed-Recipients") {
        report.verdict = Verdict::Failed;
        let each = failed.split(',').map(bare);
        report.recipients = each.filter(|a| a.contains('@')).take(MOST).collect();
        let text = mail.body_text(0).unwrap_or_default();
        // The notice is quoted below the words.
        for group in groups(text.as_bytes()) {
            report.returned(&group);
        }
        report.words = clean(text.lines().find(|l| l.contains("5.")).unwrap_or_default());
        report.status = status_in(&report.words);
    } else if answers_by_itself(&mail) {
        report.verdict = Verdict::AutoReply;
    }
    if report.words.is_empty() && !report.status.is_empty() {
        report.words = format!("status {}", report.status);
    }
    report
}

enum Part {
    Status,
    Returned,
}

fn kind_of(part: &mail_parser::MessagePart<'_>) -> Option<Part> {
    let content = part.content_type()?;
    let subtype = content.subtype()?.to_ascii_lowercase();
    match (
        content.ctype().to_ascii_lowercase().as_str(),
        subtype.as_str(),
    ) {
        ("message", "delivery-status" | "global-delivery-status") => Some(Part::Status),
        ("message", "rfc822" | "global" | "global-headers") | ("text", "rfc822-headers") => {
            Some(Part::Returned)
        }
        _ => None,
    }
}

fn answers_by_itself(mail: &Message<'_>) -> bool {
    let has = |name: &str| mail.header_raw(name).is_some();
    let says = |name: &str| {
        mail.header_raw(name)
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase()
    };
    // RFC 3834; the others are older habits.
    let submitted = says("Auto-Submitted");
    let is_receipt = mail
        .content_type()
        .and_then(|c| c.attribute("report-type"))
        .is_some_and(|kind| kind.eq_ignore_ascii_case("disposition-notification"));
    is_receipt
        || (!submitted.is_empty() && submitted != "no")
        || ["X-Autoreply", "X-Autorespond", "X-Auto-Response-Suppress"]
            .iter()
            .any(|n| has(n))
        || says("Precedence") == "auto_reply"
}

type Fields = Vec<(String, String)>;

fn fields_of(returned: &Message<'_>) -> Fields {
    let headers = returned.headers_raw();
    headers
        .map(|(name, value)| (name.to_ascii_lowercase(), unfolded(value)))
        .collect()
}

fn unfolded(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Groups of fields between empty lines, as in a header: names in lower case, values unfolded.
fn groups(bytes: &[u8]) -> Vec<Fields> {
    let text = String::from_utf8_lossy(bytes);
    let mut all = vec![Fields::new()];
    for line in text.lines() {
        let Some(group) = all.last_mut() else {
            break;
        };
        if line.trim().is_empty() {
            if !group.is_empty() && all.len() < MOST {
                all.push(Fields::new());
            }
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = group.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':')
            && group.len() < 4 * MOST
        {
            group.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    all.retain(|group| !group.is_empty());
    all
}

fn field<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields
        .iter()
        .find(|(n, _)| n == name)
        .map(|(_, value)| value.as_str())
}

/// `rfc822;name@example.test`, `<name@example.test>`: the address alone.
fn bare(address: &str) -> String {
    let address = address.rsplit(';').next().unwrap_or_default().trim();
    let inner = address.rsplit_once('<').map_or(address, |(_, rest)| rest);
    inner.trim_end_matches('>').trim().to_owned()
}

fn clean(words: &str) -> String {
    let line = words
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect::<String>();
    unfolded(&line).chars().take(LONGEST_WORDS).collect()
}

/// The first enhanced status code of a text: `5.1.1`.
fn status_in(text: &str) -> String {
    let is_status = |word: &&str| {
        let parts: Vec<&str> = word.split('.').collect();
        parts.len() == 3
            && ["2", "4", "5"].contains(&parts[0])
            && parts[1..]
                .iter()
                .all(|p| (1..=3).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit()))
    };
    text.split(|c: char| !c.is_ascii_digit() && c != '.')
        .find(is_status)
        .unwrap_or_default()
        .to_owned()
}

impl Report {
    /// The address may hold a mark: `it-security+MARK@example.test`.
    fn came_to(&mut self, address: &str) {
        let address = bare(address);
        let local = address.rsplit_once('@').map_or("", |(local, _)| local);
        if let Some((_, mark)) = local.rsplit_once('+') {
            self.may_be_mark(mark);
        }
    }

    fn may_be_mark(&mut self, text: &str) {
        let fits = text.len() == mark::LENGTH && text.bytes().all(|b| b.is_ascii_hexdigit());
        if fits && self.marks.len() < MOST && !self.marks.iter().any(|m| m == text) {
            self.marks.push(text.to_owned());
        }
    }

    /// Headers of the notice, as the bounce returns them.
    fn returned(&mut self, fields: &Fields) {
        for (name, value) in fields {
            match name.as_str() {
                "message-id" if self.message_ids.len() < MOST => {
                    self.message_ids.push(bare(value));
                }
                "to" if self.recipients.len() < MOST => self.recipients.push(bare(value)),
                "x-countermand-order" => self.order = Some(value.clone()),
                name if name.eq_ignore_ascii_case(MARK_HEADER) => self.may_be_mark(value),
                _ => {}
            }
        }
    }

    /// From the groups of a delivery status: the first is about the message, each other about a
    /// recipient.
    fn judge(&mut self, groups: &[Fields]) {
        let mut worst = None;
        for group in groups {
            let action = field(group, "action").unwrap_or_default();
            let action = action.split([' ', '(', ';']).next().unwrap_or_default();
            let status = status_in(field(group, "status").unwrap_or_default());
            let verdict = match action.to_ascii_lowercase().as_str() {
                // Also with a status of 4: it was tried as long as the server tries.
                "failed" => Verdict::Failed,
                "delayed" => Verdict::Delayed,
                "delivered" | "relayed" | "expanded" => Verdict::Delivered,
                _ if status.starts_with('5') => Verdict::Failed,
                _ if status.starts_with('4') => Verdict::Delayed,
                _ => continue,
            };
            for name in ["original-recipient", "final-recipient"] {
                let address = field(group, name).map(bare).filter(|a| a.contains('@'));
                if let Some(address) = address.filter(|a| !self.recipients.contains(a))
                    && self.recipients.len() < MOST
                {
                    self.recipients.push(address);
                }
            }
            // An address may stand for several mailboxes: whoever got it in one was reached.
            if worst == Some(Verdict::Delivered) {
                continue;
            }
            if verdict == Verdict::Delivered || worst != Some(Verdict::Failed) {
                worst = Some(verdict);
                let diagnostic = field(group, "diagnostic-code").unwrap_or_default();
                // `smtp; 550 …`: the kind of code is for machines.
                let words = diagnostic
                    .split_once(';')
                    .map_or(diagnostic, |(_, words)| words);
                self.words = clean(words);
                self.status = status;
            }
        }
        self.verdict = worst.unwrap_or(Verdict::Other);
    }
}
