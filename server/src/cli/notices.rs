//! `notices`: how the sending stands. The sending itself is put together by the program.

use clap::{Args, Subcommand, ValueHint};
use countermand_core::notice::{Counts, Kind};
use countermand_core::order::Stop;
use serde::Serialize;

use super::order::{show, steps, text};
use super::print::tame;
use super::{Exit, Place, Result};
use crate::outbox::rehearsal::Rehearsal;

/// Send what is due, or see how the sending stands
#[derive(Debug, Subcommand)]
#[command(after_help = "Example: countermand notices send --until-idle")]
pub enum Notices {
    Send(Send),
    Status(Status),
    Preview(Preview),
    Test(Test),
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
}

impl Status {
    pub(super) async fn run(self, place: &Place) -> Result<Exit> {
        let open = place.open().await?;
        let shown = open.app.show(&open.actor, &self.id).await?;
        let document = Document {
            id: shown.order.id.to_string(),
            state: shown.state,
            finished: shown.notices.is_finished() && shown.corrections.is_finished(),
            notices_stopped: shown.order.stop().cloned(),
            looks_wrong: shown.looks_wrong,
            notices: shown.notices,
            corrections: shown.corrections,
        };
        place.print.answer(&document, || {
            let end = if document.finished {
                "Nothing is due or under way."
            } else {
                "Not finished."
            };
            let stopped = steps::stopped(place, &shown.order);
            let end = stopped.unwrap_or_else(|| end.to_owned());
            format!("{}\n\n{end}", show::counts(&shown))
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
