//! `notices`: how the sending stands, and whom it did not reach. The sending itself is put together by
//! the program.

use clap::{Args, Subcommand, ValueHint};
use countermand_core::actor::Act;
use countermand_core::notice::{Counts, Kind};
use countermand_core::order::{Order, Stop};
use countermand_core::words::thousands;
use jiff::Timestamp;
use serde::Serialize;

use super::order::{show, steps, text};
use super::print::tame;
use super::{Exit, Failure, Place, Result, print};
use crate::app::channels::AtChannel;
use crate::outbox::rehearsal::Rehearsal;

/// Send what is due, or see how the sending stands
#[derive(Debug, Subcommand)]
#[command(after_help = "Example: countermand notices send --until-idle")]
pub enum Notices {
    Send(Send),
    Status(Status),
    Preview(Preview),
    Test(Test),
    Unreached(Unreached),
}

/// Send notices and corrections that are due
#[derive(Debug, Args)]
#[command(after_help = "Example: countermand notices send --until-idle")]
pub struct Send {
    /// Return when nothing is due or under way any more; reminders and held orders are not waited for
    #[arg(long)]
    pub until_idle: bool,
}

/// Show one person's notice as they would read it; sends nothing and changes nothing
///
/// It needs the role helpdesk, author, approver, responder or admin, or the machine's own shell:
/// a notice names the person's kinds of devices.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: countermand notices preview order.toml --person eve@example.test --kind correction"
)]
pub struct Preview {
    /// Order file, or the id of an order
    #[arg(value_name = "FILE-or-ID", value_hint = ValueHint::FilePath)]
    which: String,
    /// Whose notice, by an address or alias
    #[arg(long, value_name = "EMAIL", value_hint = ValueHint::EmailAddress)]
    person: String,
    /// order, reminder-1 …, blocked or correction
    #[arg(long, value_name = "KIND", default_value_t = Kind::Order)]
    kind: Kind,
    /// Print the HTML part alone
    #[arg(long)]
    html: bool,
}

/// Send yourself a notice as a test: marked as one, and by the transport of [notices.test]
#[derive(Debug, Args)]
#[command(
    after_help = "Example: countermand --as ann@example.test notices test order.toml --kind correction"
)]
pub struct Test {
    /// Order file, or the id of an order
    #[arg(value_name = "FILE-or-ID", value_hint = ValueHint::FilePath)]
    which: String,
    /// Another operator instead of yourself
    #[arg(long, value_name = "EMAIL", value_parser = super::email, value_hint = ValueHint::EmailAddress)]
    to: Option<String>,
    /// order, reminder-1 …, blocked or correction
    #[arg(long, value_name = "KIND", default_value_t = Kind::Order)]
    kind: Kind,
}

/// Count the notices and corrections of an order
#[derive(Debug, Args)]
#[command(after_help = "Example: countermand notices status 7Q2M")]
pub struct Status {
    /// The order, by its id or short form
    #[arg(value_name = "ID")]
    id: String,
}

/// List whom no notice reached: rejected, bounced or unknown, to be told by another way
#[derive(Debug, Args)]
#[command(after_help = "Example: countermand notices unreached 7Q2M --csv > by-phone.csv")]
pub struct Unreached {
    /// The order, by its id or short form
    #[arg(value_name = "ID")]
    id: String,
    /// As CSV
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

#[derive(Serialize)]
struct Line {
    email: String,
    name: String,
    notice: String,
    /// rejected, unknown, bounced
    state: &'static str,
    at: Option<Timestamp>,
    /// What the mail server said.
    words: String,
}

impl Unreached {
    pub(super) async fn run(self, place: &Place) -> Result<Exit> {
        let open = place.open().await?;
        open.authorise(Act::LookUp).await?;
        let order = open.app.store.order_called(&self.id).await;
        let order = order.map_err(crate::app::AppError::from)?.order;
        let lines = lines(&open.app, &order).await?;
        if self.csv {
            return csv(place, &lines);
        }
        place.print.answer(&lines, || {
            if lines.is_empty() {
                return "Nobody: every notice that was tried was accepted, and none came back."
                    .to_owned();
            }
            let rows = lines.iter().map(|line| {
                let at = line.at.map(|at| print::time(at, None)).unwrap_or_default();
                let notice = line.notice.clone();
                vec![
                    line.email.clone(),
                    notice,
                    line.state.to_owned(),
                    at,
                    line.words.clone(),
                ]
            });
            print::table(
                &["person", "notice", "state", "when", "the mail server said"],
                &[],
                rows,
            )
        })?;
        Ok(Exit::Done)
    }
}

async fn lines(app: &crate::app::App, order: &Order) -> Result<Vec<Line>> {
    let (_, all) = app
        .store
        .unreached(order.id, 0, i64::MAX as u64)
        .await
        .map_err(crate::app::AppError::from)?;
    let view = app.live.view();
    let line = |one: crate::store::Unreached| {
        let person = view.person(one.person);
        Line {
            email: person
                .map(|p| p.email.clone())
                .or_else(|| Some(format!("Channel {}", order.channel(one.person)?)))
                .unwrap_or_else(|| one.person.to_string()),
            name: person.map(|p| p.name.clone()).unwrap_or_default(),
            notice: one.kind.to_string(),
            state: one.word(),
            at: one.at,
            words: one.detail,
        }
    };
    Ok(all.into_iter().map(line).collect())
}

fn csv(place: &Place, lines: &[Line]) -> Result<Exit> {
    let failed = |e: String| Failure::failed(format!("the list can't be written: {e}"));
    let mut table = csv::Writer::from_writer(Vec::new());
    for line in lines {
        let line = Line {
            email: harmless(&line.email),
            name: harmless(&line.name),
            notice: line.notice.clone(),
            words: harmless(&line.words),
            ..*line
        };
        table.serialize(line).map_err(|e| failed(e.to_string()))?;
    }
    if lines.is_empty() {
        let header = ["email", "name", "notice", "state", "at", "words"];
        table
            .write_record(header)
            .map_err(|e| failed(e.to_string()))?;
    }
    let bytes = table.into_inner().map_err(|e| failed(e.to_string()))?;
    place.print.raw(&String::from_utf8_lossy(&bytes))?;
    Ok(Exit::Done)
}

/// A spreadsheet would take what begins so for a formula, and a mail server's words are a stranger's.
fn harmless(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

#[derive(Serialize)]
struct Document {
    id: String,
    state: &'static str,
    finished: bool,
    /// Why and since when the notices wait, if they stopped by themselves.
    notices_stopped: Option<Stop>,
    looks_wrong: u64,
    notices: Counts,
    corrections: Counts,
    channels: Vec<AtChannel>,
}

impl Status {
    pub(super) async fn run(self, place: &Place) -> Result<Exit> {
        let open = place.open().await?;
        let shown = open.app.show(&open.actor, &self.id).await?;
        let document = Document {
            id: shown.order.id.to_string(),
            state: shown.state,
            notices_stopped: shown.order.stop().cloned(),
            looks_wrong: shown.looks_wrong,
            finished: shown.notices.is_finished()
                && shown.corrections.is_finished()
                && shown.channels.iter().all(AtChannel::is_finished),
            notices: shown.notices,
            corrections: shown.corrections,
            channels: shown.channels.clone(),
        };
        place.print.answer(&document, || {
            let end = if document.finished {
                "Nothing is due or under way."
            } else {
                "Not finished."
            };
            let stopped = steps::stopped(place, &shown.order);
            let end = stopped.unwrap_or_else(|| end.to_owned());
            let mut back = String::new();
            let bounced = document.notices.bounced + document.corrections.bounced;
            if bounced > 0 {
                back = format!(
                    "{} of the accepted came back; {} lists them.\n\n",
                    thousands(bounced),
                    place.command(&format!("notices unreached {}", self.id))
                );
            }
            format!("{}\n\n{back}{end}", show::counts(&shown))
        })?;
        Ok(Exit::Done)
    }
}

/// A notice that nobody was sent, as programs read it.
#[derive(Serialize)]
struct Sample<'a> {
    kind: Kind,
    from: &'a str,
    to: String,
    subject: &'a str,
    language: &'a str,
    text: &'a str,
    html: &'a str,
    remarks: &'a [String],
}

impl Preview {
    pub(super) async fn run(self, place: &Place) -> Result<Exit> {
        let open = place.open().await?;
        let order = text::named(&open, &self.which).await?;
        let sample = open
            .app
            .preview_notice(&open.actor, &order, &self.person, self.kind);
        let sample = sample.await?;
        if self.html && !place.print.is_json() {
            let html = (sample.mail.html).replace(|c: char| c.is_control() && c != '\n', " ");
            place.print.raw(&html)?;
            return Ok(Exit::Done);
        }
        let document = Sample {
            kind: sample.kind,
            from: &sample.from,
            to: sample.to(),
            subject: &sample.mail.subject,
            language: &sample.mail.language,
            text: &sample.mail.text,
            html: &sample.mail.html,
            remarks: &sample.remarks,
        };
        place.print.answer(&document, || {
            let headers = [
                ("From", document.from),
                ("To", &document.to),
                ("Subject", document.subject),
                ("Content-Language", document.language),
            ];
            let mut words = String::new();
            for (name, value) in headers {
                words += &format!("{name}: {}\n", tame(value));
            }
            // Line by line: only line ends of a text may do more than be seen.
            words += "\n";
            for line in document.text.lines() {
                words += &format!("{}\n", tame(line));
            }
            words += "\n";
            for remark in document.remarks {
                words += &format!("{}: {remark}\n", place.print.word("Note"));
            }
            words + "Nothing was sent, and nothing was changed."
        })?;
        Ok(Exit::Done)
    }
}

#[derive(Serialize)]
struct Tested {
    to: String,
    subject: String,
    way: String,
}

impl Test {
    pub(super) async fn run(self, place: &Place) -> Result<Exit> {
        let open = place.open().await?;
        let order = text::named(&open, &self.which).await?;
        let rehearsal = Rehearsal::new(&open.app.config.notices.test, &place.data);
        let to = self.to.as_deref();
        let tested = open
            .app
            .test_notice(&open.actor, &order, to, self.kind, &rehearsal);
        let tested = tested.await?;
        let document = Tested {
            to: tested.to,
            subject: tested.subject,
            way: tested.way,
        };
        place.print.answer(&document, || {
            format!(
                "«{}» for {} went to {}.",
                tame(&document.subject),
                document.to,
                document.way
            )
        })?;
        Ok(Exit::Done)
    }
}
