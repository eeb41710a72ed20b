//! What a request looks like for each platform, and what its answer means. After the platforms' own
//! pages, each named where it is followed.

use countermand_core::notice::Kind;
use hyper::Method;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::config::{ChannelConfig, Shape, Target};
use super::http::{Answer, Call};
use super::text::{plain, shorten};
use crate::outbox::office::Announcement;

/// One message to one channel.
#[derive(Debug)]
pub(super) struct Post {
    /// Its Message-ID without brackets: the same on every retry.
    pub id: String,
    pub order: String,
    pub kind: Kind,
    pub words: Announcement,
    /// Of a correction, the announcement that it answers.
    pub answers: Option<Answered>,
}

/// An announcement that was made.
#[derive(Debug)]
pub(super) struct Answered {
    pub id: String,
    /// What the platform called it, where it said so.
    pub theirs: Option<String>,
}

pub(super) fn request(channel: &ChannelConfig, target: &Target, post: &Post) -> Call {
    let token = channel.token.as_ref().map_or("", |token| token.reveal());
    let base = target.path.trim_end_matches('/');
    let (mut method, mut path, mut headers) = (Method::POST, target.path.clone(), Vec::new());
    let body = match channel.shape {
        Shape::Slack => slack(post),
        Shape::Teams => teams(post),
        Shape::Matrix => {
            // https://spec.matrix.org/latest/client-server-api/#put_matrixclientv3roomsroomidsendeventtypetxnid
            // A server takes a transaction id once, so a retry makes no second message.
            let room = escape(channel.room.as_deref().unwrap_or_default());
            let transaction = post.id.split('@').next().unwrap_or_default();
            method = Method::PUT;
            path = format!(
                "{base}/_matrix/client/v3/rooms/{room}/send/m.room.message/{}",
                escape(transaction)
            );
            headers.push(("authorization", format!("Bearer {token}")));
            matrix(post)
        }
        Shape::Telegram => {
            path = format!("{base}/bot{token}/sendMessage");
            telegram(channel.chat.as_deref().unwrap_or_default(), post)
        }
        Shape::Plain => ours(post),
    };
    headers.push(("x-countermand-id", post.id.clone()));
    Call {
        method,
        path,
        headers,
        body: body.to_string().into_bytes(),
    }
}

/// Subject and words, for where a message has no subject.
fn whole(words: &Announcement) -> String {
    format!("{}\n\n{}", words.subject, plain(&words.text))
}

/// https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks: a message is a `text` of at
/// most 40,000 characters, in which &, < and > mean something. The answer names no message, so a
/// correction can only quote.
fn slack(post: &Post) -> Value {
    let text = shorten(&whole(&post.words), 30_000, char::len_utf16);
    let text = text.replace('&', "&amp;");
    let text = text.replace('<', "&lt;").replace('>', "&gt;");
    json!({ "text": text, "mrkdwn": false })
}

/// https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using: a
/// workflow with the trigger «when a Teams webhook request is received» takes Adaptive Cards in a
/// message, of about 28 kB. Lines are blocks of their own, since a block knows few breaks.
fn teams(post: &Post) -> Value {
    let words = &post.words;
    let text = shorten(&plain(&words.text), 12_000, char::len_utf8);
    let mut blocks = vec![json!({
        "type": "TextBlock", "text": words.subject, "size": "Large", "weight": "Bolder", "wrap": true
    })];
    let mut apart = true;
    for line in text.lines() {
        if line.trim().is_empty() {
            apart = true;
            continue;
        }
        let spacing = if apart { "Medium" } else { "None" };
        blocks.push(json!({ "type": "TextBlock", "text": line, "wrap": true, "spacing": spacing }));
        apart = false;
    }
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": blocks,
                "actions": [{ "type": "Action.OpenUrl", "title": "The order's present state", "url": words.link }],
            },
        }],
    })
}

/// https://spec.matrix.org/latest/client-server-api/#mroommessage: text, and HTML beside it. An event has
/// at most 64 KiB. `m.text` and not `m.notice`, which clients may pass over in silence.
fn matrix(post: &Post) -> Value {
    const MOST: usize = 20_000;
    let words = &post.words;
    let mut content = json!({
        "msgtype": "m.text",
        "body": shorten(&whole(words), MOST, char::len_utf8),
    });
    if let Some(body) = inner(&words.html).filter(|body| body.len() <= MOST) {
        let subject = words.subject.replace('&', "&amp;").replace('<', "&lt;");
        content["format"] = json!("org.matrix.custom.html");
        content["formatted_body"] = json!(format!("<h4>{subject}</h4>\n{body}"));
    }
    if let Some(theirs) = theirs(post) {
        content["m.relates_to"] = json!({ "m.in_reply_to": { "event_id": theirs } });
    }
    content
}

/// https://core.telegram.org/bots/api#sendmessage: at most 4096 characters; without a `parse_mode` nothing
/// in them means anything. A correction is sent even if somebody took the announcement away.
fn telegram(chat: &str, post: &Post) -> Value {
    let mut message = json!({
        "chat_id": chat,
        "text": shorten(&whole(&post.words), 4096, char::len_utf16),
        "link_preview_options": { "is_disabled": true },
    });
    if let Some(id) = theirs(post).and_then(|theirs| theirs.parse::<i64>().ok()) {
        message["reply_parameters"] =
            json!({ "message_id": id, "allow_sending_without_reply": true });
    }
    message
}

/// Our own, as docs/channels.md promises it: extend, don't rename.
fn ours(post: &Post) -> Value {
    let words = &post.words;
    json!({
        "id": post.id,
        "kind": post.kind,
        "order": post.order,
        "title": words.title,
        "subject": words.subject,
        "text": words.text,
        "html": words.html,
        "statement": words.link,
        "answers": post.answers.as_ref().map(|answered| &answered.id),
    })
}

fn theirs(post: &Post) -> Option<&str> {
    post.answers.as_ref()?.theirs.as_deref()
}

/// The body of a page.
fn inner(html: &str) -> Option<&str> {
    let (_, rest) = html.split_once("<body>")?;
    Some(rest.split_once("</body>")?.0.trim())
}

/// As one segment of a path (RFC 3986).
fn escape(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(b).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// What the platform called the message that it took.
pub(super) fn message_id(shape: Shape, answer: &Answer) -> Option<String> {
    let said: Value = serde_json::from_slice(&answer.body).ok()?;
    match shape {
        Shape::Matrix => said["event_id"].as_str().map(str::to_owned),
        Shape::Telegram => said["result"]["message_id"]
            .as_i64()
            .map(|id| id.to_string()),
        Shape::Plain => said["id"].as_str().map(str::to_owned),
        Shape::Slack | Shape::Teams => None,
    }
    .filter(|id| id.len() <= 255 && !id.chars().any(|c| c.is_whitespace() || c.is_control()))
}

/// How long the other side asks to be left alone: by the header (RFC 9110, in seconds; all platforms
/// that say it, say it so), or in Telegram's and Matrix's own words.
pub(super) fn wait(answer: &Answer) -> Option<SignedDuration> {
    const LONGEST: SignedDuration = SignedDuration::from_hours(1);
    let header = answer
        .retry_after
        .as_deref()
        .and_then(|s| s.trim().parse().ok());
    let said = || {
        let said: Value = serde_json::from_slice(&answer.body).ok()?;
        let millis = said["retry_after_ms"].as_i64().map(|ms| ms / 1000 + 1);
        said["parameters"]["retry_after"].as_i64().or(millis)
    };
    let seconds = header.or_else(said)?;
    Some(SignedDuration::from_secs(seconds.max(0)).min(LONGEST))
}

#[cfg(test)]
mod tests;
