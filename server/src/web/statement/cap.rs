//! The statement as messages of the Common Alerting Protocol, OASIS CAP 1.2 (1 July 2010): an Alert
//! when the order is published, an Update for each thing that happened to it, a Cancel when it is
//! retracted. Each refers to all before it, and stays as it was.
//!
//! A cause that is said later makes no message: one after the Cancel would seem to call the order back
//! into force. It stands on the page, in the JSON and in the feed.

use axum::http::StatusCode;
use countermand_core::duration::Length;
use countermand_core::notice::Kind;
use countermand_core::order::texts::language_of;
use countermand_core::order::when::{for_people, in_zone};
use countermand_core::order::{Order, State as Life};
use jiff::Timestamp;

use super::facts::{Known, organisation, unknown, zone};
use super::history::{Event, What};
use super::reader;
use super::xml::Xml;
use crate::config::Statements;
use crate::outbox::message::bare_address;
use crate::web::Web;
use crate::web::errors::Fault;

const NAMESPACE: &str = "xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"";

/// An answer is asked for within the next hour (section 3.2.2, urgency).
const SOON: Length = Length::seconds(3_600);

/// Message number `version`, counted from 1; the newest where none is asked for.
pub(super) fn in_cap(web: &Web, known: &Known, version: Option<usize>) -> Result<String, Fault> {
    if !known.whole {
        // Numbers and references come from the whole record; a part of it would give wrong ones.
        return Err(Fault::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "The record can't be reached just now, and the order's messages can't be told without it.",
            "Try again in a moment. The statement itself is there: leave out «.cap.xml».",
        ));
    }
    let messages: Vec<&Event> = known
        .history
        .iter()
        .filter(|event| !matches!(event.what, What::Cause | What::Expired))
        .collect();
    let number = version.unwrap_or(messages.len());
    let index = number.checked_sub(1).ok_or_else(unknown)?;
    let event = *messages.get(index).ok_or_else(unknown)?;
    let order = &known.order;
    let zone = zone(order);
    let sender = sender(web);
    let references: Vec<String> = messages[..index]
        .iter()
        .enumerate()
        .map(|(i, event)| {
            let name = identifier(order, i + 1, event);
            format!("{sender},{name},{}", time(event.at, &zone))
        })
        .collect();

    let mut xml = Xml::root("alert", NAMESPACE);
    if let Some(at) = known.as_of {
        let at = for_people(at, &zone);
        xml.remark(&format!(
            "As of {at}: the record can't be reached just now, and there may be a newer message"
        ));
    }
    xml.leaf("identifier", &identifier(order, number, event));
    xml.leaf("sender", &sender);
    xml.leaf("sent", &time(event.at, &zone));
    xml.leaf("status", "Actual");
    let message = match event.what {
        What::Published => "Alert",
        What::Retracted => "Cancel",
        _ => "Update",
    };
    xml.leaf("msgType", message);
    match web.app.config.server.statements {
        Statements::Public => xml.leaf("scope", "Public"),
        Statements::Internal => {
            xml.leaf("scope", "Restricted");
            let words = format!("For the people of {}", organisation(web));
            xml.leaf("restriction", &words);
        }
    }
    if event.what == What::Retracted {
        xml.leaf("note", &event.words);
    }
    if !references.is_empty() {
        xml.leaf("references", &references.join(" "));
    }
    for words in said(web, known, event) {
        info(&mut xml, web, known, event, &words);
    }
    Ok(xml.end("alert"))
}

/// The words that this program adds by itself.
const OURS: &str = "en";

/// What a message says, in one language.
struct Words {
    language: String,
    headline: String,
    description: String,
}

/// For each text of its author that this message is about, in the language in which that is written; of
/// what the author has no text for, in our own words alone.
fn said(web: &Web, known: &Known, event: &Event) -> Vec<Words> {
    let order = &known.order;
    let file = &order.revision.file;
    let title = order.title();
    let ours = |headline: &str, description: String| {
        vec![Words {
            language: OURS.to_owned(),
            headline: format!("{headline}: {title}"),
            description,
        }]
    };
    let (kind, order, texts) = match event.what {
        What::Published => (Kind::Order, &as_of(order, event), &file.notice),
        What::Retracted => (Kind::Correction, order, &file.correction),
        What::Held => {
            let words = format!(
                "The order “{title}” is on hold: nobody is refused because of it. {}",
                event.words
            );
            return ours("On hold", words);
        }
        What::Extended => {
            let deadline = for_people(event.comply_by.at(), &zone(order));
            let words = format!("The deadline of the order “{title}” was moved to {deadline}.");
            return ours("Deadline moved", words);
        }
        What::Resumed | What::Cause | What::Expired => {
            let words = format!("The order “{title}” is in force again.");
            return ours("In force again", words);
        }
    };
    let read = |locale| reader::letter(web, order, kind, locale);
    let letters = texts.all().filter_map(|(locale, _)| read(locale));
    letters
        .map(|letter| Words {
            language: letter.language,
            headline: letter.subject,
            description: letter.text,
        })
        .collect()
}

fn info(xml: &mut Xml, web: &Web, known: &Known, event: &Event, words: &Words) {
    let order = &known.order;
    let zone = zone(order);
    let apps = order.revision.pins.in_words();
    let (response, urgency, instruction) = match event.what {
        What::Retracted => (
            "AllClear",
            "Past",
            format!("You need do nothing; if you removed {apps}, you may install it again."),
        ),
        What::Held => (
            "Monitor",
            "Unknown",
            "You need not do anything until it is taken up again.".to_owned(),
        ),
        _ => {
            let urgency = if event.comply_by.at() <= SOON.after(event.at) {
                "Expected"
            } else {
                "Future"
            };
            let deadline = for_people(event.comply_by.at(), &zone);
            ("Execute", urgency, format!("Remove {apps} by {deadline}."))
        }
    };
    xml.open("info");
    xml.leaf("language", &words.language);
    xml.leaf("category", "Security");
    xml.leaf("event", "Order about apps on devices that read mail");
    xml.leaf("responseType", response);
    xml.leaf("urgency", urgency);
    xml.leaf("severity", "Minor");
    xml.leaf("certainty", "Observed");
    xml.leaf("effective", &time(event.at, &zone));
    if matches!(event.what, What::Published | What::Resumed | What::Extended) {
        xml.leaf("onset", &time(event.comply_by.at(), &zone));
    }
    if let Some(expires) = &order.revision.file.expires {
        xml.leaf("expires", &time(expires.at(), &zone));
    }
    xml.leaf("senderName", &organisation(web));
    xml.leaf("headline", &words.headline);
    xml.leaf("description", words.description.trim());
    // Among words of another language ours would be read aloud as if they were of it; the letter says
    // what to do.
    if language_of(&words.language).eq_ignore_ascii_case(OURS) {
        xml.leaf("instruction", &instruction);
    }
    xml.leaf("web", &web.app.config.statement_link(order.id));
    let mut parameter = |name: &str, value: &str| {
        xml.open("parameter");
        xml.leaf("valueName", name);
        xml.leaf("value", value);
        xml.close("parameter");
    };
    parameter("title", order.title());
    for (slug, name) in &order.revision.pins.apps {
        parameter("app", slug);
        parameter("appName", name);
    }
    parameter(
        "state",
        match event.what {
            What::Retracted => "retracted",
            What::Held => "held",
            _ => "published",
        },
    );
    parameter("complyBy", &time(event.comply_by.at(), &zone));
    xml.close("info");
}

/// The order as it stood then, so that a message reads the same whatever came after it.
fn as_of(order: &Order, event: &Event) -> Order {
    let mut order = order.clone();
    if let Some(published) = order.published().cloned() {
        order.state = Life::Published(countermand_core::order::Published {
            comply_by: event.comply_by.clone(),
            ..published
        });
    }
    order
}

/// The number alone would be given twice where a backup was put back; with its time it is not.
fn identifier(order: &Order, number: usize, event: &Event) -> String {
    format!("{}.{number}.{}", order.id, event.at.as_microsecond())
}

/// The sender's address, without what neither it nor a reference may hold (section 3.2.1).
fn sender(web: &Web) -> String {
    let from = &web.app.config.notices.from;
    let address = bare_address(from).unwrap_or_else(|_| "countermand".to_owned());
    address.replace(|c: char| c.is_whitespace() || ",<&".contains(c), "_")
}

/// To the second and with a numeric offset; UTC is `-00:00` (section 3.3.2).
fn time(at: Timestamp, zone: &str) -> String {
    let text = in_zone(at, zone)
        .strftime("%Y-%m-%dT%H:%M:%S%:z")
        .to_string();
    match text.strip_suffix("+00:00") {
        Some(local) => format!("{local}-00:00"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_numeric_offset_and_utc_is_minus_zero() {
        let at: Timestamp = "2020-07-10T19:00:00.5Z".parse().unwrap();
        assert_eq!(time(at, "UTC"), "2020-07-10T19:00:00-00:00");
        assert_eq!(time(at, "America/Los_Angeles"), "2020-07-10T12:00:00-07:00");
    }
}
