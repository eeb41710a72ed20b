#![allow(clippy::unwrap_used)]

use super::*;

const LINK: &str = "https://cm.test/o/7";

fn post(kind: Kind, theirs: Option<&str>) -> Post {
    let answered = |theirs: Option<&str>| Answered {
        id: "cm.0a@corp.test".to_owned(),
        theirs: theirs.map(str::to_owned),
    };
    Post {
        id: "cm.0b@corp.test".to_owned(),
        order: "0197".to_owned(),
        kind,
        words: Announcement {
            channel: "ops".to_owned(),
            title: "Remove TikTok".to_owned(),
            subject: "Remove TikTok & <others>".to_owned(),
            text: format!("Dear colleagues,\n\nremove **it**:\n- now\n- here\n\nState: <{LINK}>\n"),
            html: "<!doctype html>\n<html><body>\n<p>remove <strong>it</strong></p></body></html>"
                .to_owned(),
            link: LINK.to_owned(),
        },
        answers: (kind == Kind::Correction).then(|| answered(theirs)),
    }
}

fn asked(config: &str, post: &Post) -> (String, Value, Vec<(&'static str, String)>) {
    let config: ChannelConfig = toml::from_str(config).unwrap();
    config.check().unwrap();
    let asked = request(&config, &config.target().unwrap(), post);
    let body = serde_json::from_slice(&asked.body).unwrap();
    (
        format!("{} {}", asked.method, asked.path),
        body,
        asked.headers,
    )
}

fn id(header: &str) -> (&'static str, String) {
    ("x-countermand-id", header.to_owned())
}

#[test]
fn slack_gets_a_text_in_which_nothing_means_anything() {
    let config =
        "name = \"a\"\nshape = \"slack\"\nurl = \"https://hooks.slack.test/services/T/B/x\"";
    let (line, body, headers) = asked(config, &post(Kind::Order, None));
    assert_eq!(line, "POST /services/T/B/x");
    assert_eq!(headers, [id("cm.0b@corp.test")]);
    assert_eq!(
        body,
        json!({
            "text": "Remove TikTok &amp; &lt;others&gt;\n\nDear colleagues,\n\nremove it:\n\n• now\n• here\n\nState: https://cm.test/o/7",
            "mrkdwn": false,
        })
    );
}

#[test]
fn teams_gets_an_adaptive_card_in_a_message() {
    let config = "name = \"a\"\nshape = \"teams\"\nurl = \"https://w.test:8443/workflows/x?sig=y\"";
    let (line, body, _) = asked(config, &post(Kind::Order, None));
    assert_eq!(line, "POST /workflows/x?sig=y");
    let block = |text: &str, spacing: &str| json!({ "type": "TextBlock", "text": text, "wrap": true, "spacing": spacing });
    assert_eq!(
        body,
        json!({
            "type": "message",
            "attachments": [{
                "contentType": "application/vnd.microsoft.card.adaptive",
                "contentUrl": null,
                "content": {
                    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                    "type": "AdaptiveCard",
                    "version": "1.4",
                    "body": [
                        { "type": "TextBlock", "text": "Remove TikTok & <others>", "size": "Large", "weight": "Bolder", "wrap": true },
                        block("Dear colleagues,", "Medium"),
                        block("remove it:", "Medium"),
                        block("• now", "Medium"),
                        block("• here", "None"),
                        block("State: https://cm.test/o/7", "Medium"),
                    ],
                    "actions": [{ "type": "Action.OpenUrl", "title": "The order's present state", "url": LINK }],
                },
            }],
        })
    );
}

const MATRIX: &str = "name = \"a\"\nshape = \"matrix\"\nurl = \"https://m.test/\"\ntoken = \"syt\"\nroom = \"!r/1:m.test\"";

#[test]
fn inv_16_matrix_gets_a_transaction_id_that_is_the_same_on_every_retry() {
    let (line, body, headers) = asked(MATRIX, &post(Kind::Order, None));
    assert_eq!(
        line,
        "PUT /_matrix/client/v3/rooms/%21r%2F1%3Am.test/send/m.room.message/cm.0b"
    );
    let bearer = ("authorization", "Bearer syt".to_owned());
    assert_eq!(headers, [bearer, id("cm.0b@corp.test")]);
    assert_eq!(
        body,
        json!({
            "msgtype": "m.text",
            "body": "Remove TikTok & <others>\n\nDear colleagues,\n\nremove it:\n\n• now\n• here\n\nState: https://cm.test/o/7",
            "format": "org.matrix.custom.html",
            "formatted_body": "<h4>Remove TikTok &amp; &lt;others></h4>\n<p>remove <strong>it</strong></p>",
        })
    );
}

#[test]
fn inv_29_matrix_and_telegram_show_a_correction_as_an_answer() {
    let (_, body, _) = asked(MATRIX, &post(Kind::Correction, Some("$e1")));
    assert_eq!(
        body["m.relates_to"],
        json!({ "m.in_reply_to": { "event_id": "$e1" } })
    );
    let (_, body, _) = asked(MATRIX, &post(Kind::Correction, None));
    assert_eq!(body["m.relates_to"], Value::Null);
    let (_, body, _) = asked(TELEGRAM, &post(Kind::Correction, Some("4711")));
    assert_eq!(
        body["reply_parameters"],
        json!({ "message_id": 4711, "allow_sending_without_reply": true })
    );
    let (_, body, _) = asked(PLAIN, &post(Kind::Correction, None));
    assert_eq!(body["answers"], "cm.0a@corp.test");
}

const TELEGRAM: &str = "name = \"a\"\nshape = \"telegram\"\ntoken = \"12:AB-c\"\nchat = \"-100\"";

#[test]
fn telegram_gets_a_plain_text_of_at_most_4096() {
    let (line, body, _) = asked(TELEGRAM, &post(Kind::Order, None));
    assert_eq!(line, "POST /bot12:AB-c/sendMessage");
    assert_eq!(
        body,
        json!({
            "chat_id": "-100",
            "text": "Remove TikTok & <others>\n\nDear colleagues,\n\nremove it:\n\n• now\n• here\n\nState: https://cm.test/o/7",
            "link_preview_options": { "is_disabled": true },
        })
    );
    let mut long = post(Kind::Order, None);
    long.words.text = format!("{}\n\nState: {LINK}", "word ".repeat(2000));
    let (_, body, _) = asked(TELEGRAM, &long);
    let text = body["text"].as_str().unwrap();
    assert!(
        text.encode_utf16().count() <= 4096 && text.ends_with(LINK),
        "{text}"
    );
}

const PLAIN: &str =
    "name = \"a\"\nshape = \"plain\"\nurl = \"https://h.test/in?x=1\"\nsecret = \"s\"";

#[test]
fn our_own_shape_is_what_the_docs_promise() {
    let post = post(Kind::Order, None);
    let (line, body, headers) = asked(PLAIN, &post);
    assert_eq!(
        (line.as_str(), headers),
        ("POST /in?x=1", vec![id("cm.0b@corp.test")])
    );
    assert_eq!(
        body,
        json!({
            "id": "cm.0b@corp.test",
            "kind": "order",
            "order": "0197",
            "title": "Remove TikTok",
            "subject": "Remove TikTok & <others>",
            "text": post.words.text,
            "html": post.words.html,
            "statement": LINK,
            "answers": null,
        })
    );
}

#[test]
fn an_answer_tells_what_the_message_is_called_and_how_long_to_wait() {
    let answer = |header: Option<&str>, body: &str| Answer {
        status: 200,
        retry_after: header.map(str::to_owned),
        body: body.into(),
    };
    for (shape, body, expected) in [
        (Shape::Matrix, r#"{"event_id":"$abc:m"}"#, Some("$abc:m")),
        (
            Shape::Telegram,
            r#"{"ok":true,"result":{"message_id":7}}"#,
            Some("7"),
        ),
        (Shape::Plain, r#"{"id":"x-1"}"#, Some("x-1")),
        (Shape::Plain, r#"{"id":"x 1\n"}"#, None),
        (Shape::Plain, "", None),
        (Shape::Slack, "ok", None),
        (Shape::Teams, r#"{"id":"x"}"#, None),
    ] {
        assert_eq!(
            message_id(shape, &answer(None, body)).as_deref(),
            expected,
            "{body}"
        );
    }
    for (header, body, expected) in [
        (Some("30"), "", Some(30)),
        (Some("99999"), "", Some(3600)),
        (Some("-1"), "", Some(0)),
        (Some("soon"), "", None),
        (
            None,
            r#"{"ok":false,"parameters":{"retry_after":5}}"#,
            Some(5),
        ),
        (
            None,
            r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":2000}"#,
            Some(3),
        ),
        (None, "ok", None),
    ] {
        let wait = wait(&answer(header, body)).map(|wait| wait.as_secs());
        assert_eq!(wait, expected, "{header:?} {body}");
    }
}
