//! Notices that stop by themselves, at the command line.

use crate::shop::{ANN, CY, NOON, Shop};
use crate::support::smtp_record::{Fault, Setup};

#[test]
fn inv_14_show_status_and_resume_say_what_stopped_and_what_was_lifted() {
    let shop = Shop::new();
    let stages = "[stages]\nhold_at = { rejected = \"5%\", looks_wrong = 10 }\n\n[forbid]";
    shop.order_with("order.toml", "[forbid]", stages);
    let id = shop.published();
    let relay = Setup::new().script(|_| Fault::Rcpt(550)).start();
    let send = || {
        let port = relay.port().to_string();
        let variables = [
            ("COUNTERMAND_NOTICES__TRANSPORT", "smtp"),
            ("COUNTERMAND_NOTICES__SMTP__HOST", "127.0.0.1"),
            ("COUNTERMAND_NOTICES__SMTP__PORT", port.as_str()),
            ("COUNTERMAND_NOTICES__SMTP__TLS", "none"),
            ("COUNTERMAND_NOTICES__SMTP__SESSIONS", "1"),
        ];
        let arguments = ["notices", "send", "--until-idle"];
        shop.run_at(NOON, &variables, &arguments).ends(0, "");
    };
    send();
    let shown = shop.gets(CY, &format!("order show {id}"));
    assert_eq!(
        (&shown["state"], &shown["looks_wrong"]),
        (&"published".into(), &0.into())
    );
    let why = shown["notices_stopped"]["why"].as_str().unwrap();
    assert!(why.contains("the notices stop above 5% rejected"), "{why}");
    assert!(shown["notices_stopped"]["at"].is_string());
    let rejected = shown["notices"]["rejected"].as_u64().unwrap();
    let status = shop.gets(CY, &format!("notices status {id}"));
    assert_eq!(status["notices_stopped"], shown["notices_stopped"]);
    assert!((1..=2).contains(&rejected), "{shown}");

    let words = shop.does(&format!("order show {id}")).out;
    let told = [
        "Its notices stopped by themselves 10 Jul 2020",
        "Its refusals go on.",
        "let its notices go on (a responder)",
        "stop notices",
    ];
    for said in told {
        assert!(words.contains(said), "«{said}» is not in {words}");
    }
    let words = shop.does(&format!("notices status {id}")).out;
    assert!(
        words.contains(told[0]) && words.contains("order resume"),
        "{words}"
    );
    // Nothing more goes out, and that is no work left over for a sender.
    let offered = relay.connections();
    send();
    assert_eq!(relay.connections(), offered);

    shop.types(&format!("order resume {id} --as ann@example.test"))
        .ends(3, "responder");
    let words = shop.does(&format!("order resume {id} --as {CY}")).out;
    assert!(
        words.starts_with("Lifted: the stop of its notices of 10 Jul 2020"),
        "{words}"
    );
    let passes = format!("{rejected} rejection");
    assert!(
        words.contains(&passes) && words.contains("by now stop them no more."),
        "{words}"
    );
    shop.types(&format!("order resume {id} --as {CY}")).ends(
        2,
        "only an order that is held, or whose notices have stopped, is resumed",
    );
    let shown = shop.gets(CY, &format!("order show {id}"));
    assert!(shown["notices_stopped"].is_null());
    assert_eq!(shown["let_pass"]["rejected"], rejected);
    assert_eq!(shown["let_pass"]["hold"], false);
}

#[test]
fn a_sender_that_ends_by_itself_says_what_it_left_for_later() {
    let shop = Shop::new();
    let stages = "[stages]\ncanary = \"1%\"\n\n[forbid]";
    shop.order_with("order.toml", "[forbid]", stages);
    let words = shop.does("order check order.toml").out;
    assert!(
        words.contains("nobody is told first: 1% of 2 people is 0;"),
        "{words}"
    );
    let preview = shop.gets(ANN, "order preview order.toml");
    assert_eq!(
        (&preview["canary"], &preview["to_tell"]),
        (&0.into(), &2.into())
    );
    let words = shop.does("order preview order.toml").out;
    assert!(words.contains("about so many of them first"), "{words}");
    let id = shop.published();
    let shown = shop.gets(CY, &format!("order show {id}"));
    assert_eq!(shown["canary"]["of"], 2);
    let words = shop.does(&format!("order show {id}")).out;
    assert!(
        words.contains("told first") && words.contains("of 2 people"),
        "{words}"
    );

    let left = || shop.does("notices send --until-idle").err;
    let said = left();
    for words in [
        "Not waited for, of order ",
        "they wait for the pause after the canary, PT15M from when",
    ] {
        assert!(said.contains(words), "{said}");
    }
    shop.does(&format!("--as {CY} order hold {id}"));
    let said = left();
    assert!(
        said.contains("it is on hold, until countermand --as EMAIL order resume"),
        "{said}"
    );
    shop.does(&format!("--as {CY} order retract {id} --reason wrong"));
    assert!(!left().contains("Not waited for"));
}

#[test]
fn a_test_that_finds_no_relay_names_the_section_of_tests() {
    let shop = Shop::new();
    let variables = [
        ("COUNTERMAND_NOTICES__TEST__TRANSPORT", "smtp"),
        ("COUNTERMAND_NOTICES__TEST__SMTP__PORT", "1"),
    ];
    let line = ["--as", ANN, "notices", "test", "order.toml"];
    let ran = shop.run_at(NOON, &variables, &line);
    let ran = ran.ends(1, "check `host` and `port` in [notices.test.smtp]");
    assert!(!ran.err.contains("[notices.smtp]"), "{ran:?}");
}
