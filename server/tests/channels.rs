//! Orders announced where people talk: the sender of channels against a server that is every platform.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

#[path = "channels/play.rs"]
mod play;
#[path = "channels/servers.rs"]
mod servers;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use countermand::outbox::office::Office as _;
use countermand::serve;
use countermand_core::id::PersonId;
use countermand_core::notice::channel::Lane;
use countermand_core::notice::{Key, Kind};
use jiff::SignedDuration;
use play::*;
use support::app::{ADMIN, APPROVER, AUTHOR, RESPONDER, operator};
use support::webhook::{Play, Webhook};
use tokio::sync::oneshot;

#[tokio::test(flavor = "multi_thread")]
async fn inv_15_each_channel_is_told_once_and_inv_23_corrected_once_in_its_own_words() {
    let hook = Webhook::start().await;
    let world = house(every_shape(&hook)).await;
    let order = world.publish(&order_at(&PATHS.map(|(name, _)| name))).await;
    let (progress, _) = send(&world, "one", LONG).await;
    assert_eq!((progress.accepted, progress.planned), (5, 0));
    let (again, _) = send(&world, "two", LONG).await;
    assert_eq!(again.accepted, 0, "finished is finished");
    for (name, path) in PATHS {
        assert_eq!(hook.asked(path).len(), 1, "{name}");
        let text = hook.asked(path)[0].text();
        assert!(
            text.contains(&format!("https://countermand.corp.test/o/{}", order.id)),
            "{text}"
        );
        assert!(
            !text.contains("Mia") && !text.contains("corp.test/o/?"),
            "{text}"
        );
    }
    let asked = hook.asked("/plain").remove(0);
    assert_eq!(asked.header("x-countermand-signature"), signature(&asked));
    assert_eq!(
        asked.header("x-countermand-timestamp"),
        world.app.now().as_second().to_string()
    );
    assert_eq!(asked.json()["id"], asked.header("x-countermand-id"));
    assert_eq!(
        (&asked.json()["kind"], &asked.json()["answers"]),
        (&"order".into(), &().into())
    );

    // Nobody is told by a channel; people are counted without them.
    let shown = world
        .app
        .show(&operator(ADMIN), &order.id.to_string())
        .await
        .unwrap();
    assert_eq!((shown.notices.accepted, shown.notices.planned), (0, 1));
    assert_eq!(world.app.live.view().told_of(order.id), 0);
    let at = at_channels(&world, &order).await;
    assert!(
        at.values()
            .all(|at| at.announcement == "accepted" && at.correction.is_none()),
        "{at:?}"
    );
    assert_eq!(at["telegram"].detail, "200 message 1001");

    let answer = retract(&world, &order).await;
    assert_eq!(
        (
            answer.channels.len(),
            answer.corrections_planned,
            answer.accepted
        ),
        (5, 0, 0)
    );
    assert_eq!(
        at_channels(&world, &order).await["slack"].correction,
        Some("planned")
    );
    send(&world, "three", LONG).await;
    for (name, path) in PATHS {
        let asked = hook.asked(path);
        assert_eq!(asked.len(), 2, "{name}");
        assert!(
            asked[1].text().contains("CORRECTION: you may keep TikTok"),
            "{name}"
        );
        // 29: where nothing shows what it answers, it quotes.
        assert!(
            asked[1]
                .text()
                .contains("The order said: Remove TikTok by tonight"),
            "{name}"
        );
        assert_ne!(
            asked[0].header("x-countermand-id"),
            asked[1].header("x-countermand-id")
        );
    }
    let correction = |path: &str| hook.asked(path)[1].json();
    let event = &correction("/_matrix/")["m.relates_to"]["m.in_reply_to"]["event_id"];
    assert_eq!(event, "$event0");
    assert_eq!(correction("/bot")["reply_parameters"]["message_id"], 1001);
    assert_eq!(
        correction("/plain")["answers"],
        hook.asked("/plain")[0].header("x-countermand-id")
    );
    let at = at_channels(&world, &order).await;
    assert!(
        at.values()
            .all(|at| at.correction == Some("accepted") && at.is_finished()),
        "{at:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_17_each_fault_ends_as_it_must_and_inv_23_its_correction_too() {
    let elsewhere = Webhook::start().await;
    let there = elsewhere.url("/moved");
    let hook = Webhook::scripted(move |asked, earlier| {
        let answer = |status, headers| Play::Answer(status, headers, "words of the server");
        let name = asked.path.trim_start_matches('/');
        match name {
            // Its correction is lost once, too.
            "drop" if earlier < 2 => Play::Drop,
            _ if earlier > 0 => Play::Take,
            "limited" => answer(429, vec![("retry-after", "77".to_owned())]),
            "broken" => answer(500, vec![]),
            "away" => answer(503, vec![]),
            "refused" => answer(400, vec![]),
            "gone" => answer(404, vec![]),
            "moved" => answer(307, vec![("location", there.clone())]),
            "gateway" => answer(502, vec![]),
            "stall" => Play::Stall,
            _ => Play::Take,
        }
    })
    .await;
    let faults = [
        ("fine", "accepted", 1),
        ("limited", "accepted", 2),
        ("broken", "accepted", 2),
        ("away", "accepted", 2),
        ("refused", "rejected", 1),
        ("gone", "rejected", 1),
        ("moved", "rejected", 1),
        ("gateway", "unknown", 1),
        ("drop", "unknown", 1),
        ("stall", "unknown", 1),
    ];
    let world = house(faults.map(|(name, ..)| plain(&hook, name)).into()).await;
    let order = world
        .publish(&order_at(&faults.map(|(name, ..)| name)))
        .await;
    let (_, waits) = send(&world, "one", SHORT).await;
    let at = at_channels(&world, &order).await;
    for (name, state, times) in faults {
        assert_eq!(at[name].announcement, state, "{:?}", at[name]);
        assert_eq!(hook.asked(&format!("/{name}")).len(), times, "{name}");
    }
    assert!(elsewhere.asked("").is_empty(), "a redirect was followed");
    assert_eq!(at["refused"].detail, "400 words of the server");
    assert!(
        at["moved"].detail.contains("redirects are not followed"),
        "{:?}",
        at["moved"]
    );
    // The others wait some seconds, this one as long as it was asked to: what is left of 77 seconds.
    let longest = waits.iter().map(SignedDuration::as_secs).max().unwrap();
    assert!((60..=77).contains(&longest), "{waits:?}");
    // Each attempt is the same message under a time of its own.
    let tries = hook.asked("/limited");
    assert_eq!(
        tries[0].header("x-countermand-id"),
        tries[1].header("x-countermand-id")
    );
    assert_ne!(
        tries[0].header("x-countermand-timestamp"),
        tries[1].header("x-countermand-timestamp")
    );
    assert!(
        tries
            .iter()
            .all(|t| t.header("x-countermand-signature") == signature(t))
    );

    // Who could not be reached is listed by name, for another way.
    let (total, unreached) = world.app.store.unreached(order.id, 0, 100).await.unwrap();
    let named = unreached.iter().map(|one| {
        world
            .app
            .live
            .view()
            .order(order.id)
            .unwrap()
            .channel(one.person)
            .unwrap()
            .to_owned()
    });
    let expected = ["refused", "gone", "moved", "gateway", "drop", "stall"];
    assert_eq!(total, 6);
    assert_eq!(
        named.collect::<BTreeSet<_>>(),
        expected.map(str::to_owned).into()
    );

    // What may have been announced is corrected, again if that may be lost; nothing else is.
    retract(&world, &order).await;
    send(&world, "two", SHORT).await;
    let at = at_channels(&world, &order).await;
    for (name, state, times) in faults {
        let corrected = (state != "rejected").then_some("accepted");
        assert_eq!(at[name].correction, corrected, "{:?}", at[name]);
        let corrections = match name {
            "drop" => 2,
            _ => usize::from(corrected.is_some()),
        };
        assert_eq!(
            hook.asked(&format!("/{name}")).len(),
            times + corrections,
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_left_is_sent_when_the_server_is_back() {
    let port = support::free_port();
    let url = format!("http://127.0.0.1:{port}/x");
    let away = config(&format!(
        "name = \"away\"\nshape = \"slack\"\nurl = \"{url}\""
    ));
    let world = house(vec![away]).await;
    let order = world.publish(&order_at(&["away"])).await;
    let (stop, stopped) = oneshot::channel::<()>();
    let sending = tokio::spawn(sender(&world, "one", LONG).run(async {
        let _ = stopped.await;
    }));
    while world
        .app
        .store
        .next_retry(Lane::Channels, &[])
        .await
        .unwrap()
        .is_none()
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.send(()).unwrap();
    let progress = sending.await.unwrap().unwrap();
    assert_eq!((progress.deferred, progress.unknown), (1, 0));
    let at = at_channels(&world, &order).await;
    assert_eq!(at["away"].announcement, "claimed");
    // Nothing left, so nothing is to be corrected.
    assert!(retract(&world, &order).await.channels.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_16_a_crash_between_request_and_answer_leaves_unknown_and_inv_24_the_correction_comes_after()
 {
    let hook = Webhook::scripted(|_, earlier| match earlier {
        0 => Play::Stall,
        _ => Play::Take,
    })
    .await;
    let world = house(vec![plain(&hook, "ops")]).await;
    let order = world.publish(&order_at(&["ops"])).await;
    let sending = tokio::spawn(sender(&world, "one", LONG).run(std::future::pending()));
    hook.wait_for("/ops", 1).await;
    assert_eq!(
        at_channels(&world, &order).await["ops"].announcement,
        "in_flight"
    );
    let answer = retract(&world, &order).await;
    assert_eq!(answer.channels, ["ops"]);
    sending.abort();
    let _ = sending.await;
    // Another sender finds the dead one's lease ended.
    world.clock.advance(SignedDuration::from_secs(60));
    send(&world, "two", LONG).await;
    let at = at_channels(&world, &order).await;
    assert_eq!(
        (at["ops"].announcement, at["ops"].correction),
        ("unknown", Some("accepted"))
    );
    let kinds = hook
        .asked("/ops")
        .into_iter()
        .map(|a| a.json()["kind"].clone());
    assert_eq!(kinds.collect::<Vec<_>>(), ["order", "correction"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_36_nothing_is_announced_while_an_order_is_held_and_inv_22_nor_once_it_is_retracted() {
    let hook = Webhook::start().await;
    let world = house(vec![plain(&hook, "ops")]).await;
    let held = world.publish(&order_at(&["ops"])).await;
    let gone = world
        .publish(&order_at(&["ops"]).replace("Security", "Other"))
        .await;
    let rita = operator(RESPONDER);
    world
        .app
        .hold(&rita, &held.id.to_string(), "wait")
        .await
        .unwrap();
    let answer = retract(&world, &gone).await;
    assert_eq!(
        (answer.channels.len(), answer.cancelled),
        (0, 1),
        "Mia's notice"
    );
    send(&world, "one", LONG).await;
    assert!(hook.asked("").is_empty());
    assert_eq!(
        at_channels(&world, &gone).await["ops"].announcement,
        "cancelled"
    );
    assert_eq!(
        at_channels(&world, &held).await["ops"].announcement,
        "planned"
    );
    world.app.resume(&rita, &held.id.to_string()).await.unwrap();
    send(&world, "two", LONG).await;
    assert_eq!(hook.asked("/ops").len(), 1);
    assert_eq!(hook.asked("/ops")[0].json()["order"], held.id.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_mail_nor_channels_wait_for_the_other() {
    let hook = Webhook::scripted(|_, _| Play::Stall).await;
    let world = house(vec![plain(&hook, "slow")]).await;
    let order = world.publish(&order_at(&["slow"])).await;
    let announcing = tokio::spawn(sender(&world, "one", LONG).run(std::future::pending()));
    hook.wait_for("/slow", 1).await;
    let folder = tempfile::tempdir().unwrap();
    let mail = serve::sender(&world.app, folder.path(), serve::Options::default()).unwrap();
    let mut progress = mail.progress();
    let mailing = tokio::spawn(mail.run(std::future::pending()));
    let done = progress.wait_for(|progress| progress.accepted == 1).await;
    assert_eq!(done.unwrap().in_flight, 0);
    assert_eq!(
        at_channels(&world, &order).await["slow"].announcement,
        "in_flight"
    );
    mailing.abort();
    announcing.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_28_a_correction_goes_out_while_another_channel_is_slow() {
    let hook = Webhook::scripted(|asked, _| match asked.path.as_str() {
        "/slow" => Play::Stall,
        _ => Play::Take,
    })
    .await;
    let world = house(vec![plain(&hook, "slow"), plain(&hook, "ops")]).await;
    let wrong = world.publish(&order_at(&["ops"])).await;
    send(&world, "one", LONG).await;
    world
        .publish(&order_at(&["slow"]).replace("Security", "Other"))
        .await;
    let announcing = tokio::spawn(sender(&world, "two", LONG).run(std::future::pending()));
    hook.wait_for("/slow", 1).await;
    retract(&world, &wrong).await;
    hook.wait_for("/ops", 2).await;
    assert_eq!(hook.asked("/ops")[1].json()["kind"], "correction");
    announcing.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_names_channels_that_are_there() {
    let hook = Webhook::start().await;
    let world = house(vec![plain(&hook, "ops"), plain(&hook, "staff-chat")]).await;
    let error = |text: String| world.app.check_order(&text).unwrap_err().to_string();
    assert_eq!(
        error(order_at(&["staff-chta"])),
        "line 9: announce.channels names «staff-chta», and this server's config has no channel of that name; did you mean «staff-chat»?"
    );
    let other = error(order_at(&["the-board"]));
    assert!(other.ends_with("there are ops, staff-chat"), "{other}");
    world
        .app
        .check_order(&order_at(&["ops", "staff-chat"]))
        .unwrap();
    // A reader of a channel has no locale.
    let german = order_at(&["ops"]).replace("[correction]", "[correction.en]");
    let locale = error(german);
    assert!(
        locale.contains("[correction] has no text for people without a locale"),
        "{locale}"
    );
    let personal =
        order_at(&["ops"]).replace("Remove TikTok to", "{{ person.email }}: remove it to");
    let order = world.app.check_order(&personal).unwrap();
    let lints = world.app.lints(&order);
    assert!(
        lints.iter().any(|l| l.what.contains("«colleagues»")),
        "{lints:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_left_the_config_is_shown_and_nothing_waits_for_it() {
    let hook = Webhook::start().await;
    let world = house(vec![plain(&hook, "ops"), plain(&hook, "board")]).await;
    let (author, approver) = (operator(AUTHOR), operator(APPROVER));
    let order = world.publish(&order_at(&["ops"])).await;
    send(&world, "one", LONG).await;
    let draft = world
        .app
        .draft(&author, &order_at(&["board"]).replace("Security", "Other"))
        .await
        .unwrap();
    let id = draft.id.to_string();
    world.app.submit(&author, &id).await.unwrap();
    world.app.approve(&approver, &id, None).await.unwrap();

    let mut app = world.app.clone();
    let mut changed = (*app.config).clone();
    changed.notices.channels.clear();
    app.config = Arc::new(changed);
    // What is approved is not published to where nobody can announce.
    let error = app.publish(&author, &id).await.unwrap_err().to_string();
    assert!(
        error.contains("names «board»") && error.contains("there is none"),
        "{error}"
    );
    retract(&world, &order).await;
    let announcer = serve::announcer(&app)
        .await
        .unwrap()
        .expect("orders were announced");
    let progress = announcer
        .run_until_idle(std::future::pending())
        .await
        .unwrap();
    assert_eq!((progress.rejected, progress.deferred), (0, 0));
    let shown = app.show(&author, &order.id.to_string()).await.unwrap();
    let ops = &shown.channels[0];
    assert_eq!(ops.correction, Some("planned"));
    assert!(
        ops.detail.contains("no [[notices.channel]] «ops»"),
        "{ops:?}"
    );
    // It is put back, or another server has it.
    send(&world, "two", LONG).await;
    assert_eq!(
        at_channels(&world, &order).await["ops"].correction,
        Some("accepted")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_is_trusted_by_its_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let (hook, ca_file) = Webhook::encrypted(folder.path()).await;
    let of = |name: &str, more: &str| {
        let url = format!("https://127.0.0.1:{}/{name}", hook.port);
        config(&format!(
            "name = \"{name}\"\nshape = \"plain\"\nurl = \"{url}\"\nsecret = \"{SECRET}\"\n{more}"
        ))
    };
    let trusted = of("known", &format!("ca_file = {ca_file:?}"));
    let world = house(vec![trusted, of("unknown", "")]).await;
    let order = world.publish(&order_at(&["known", "unknown"])).await;
    let announcing = tokio::spawn(sender(&world, "one", LONG).run(std::future::pending()));
    // Each is claimed again or settled once it was tried.
    loop {
        let at = at_channels(&world, &order).await;
        if at["known"].announcement == "accepted" && !at["unknown"].detail.is_empty() {
            assert_eq!(at["unknown"].announcement, "claimed");
            let why = &at["unknown"].detail;
            assert!(
                why.contains("no encryption") && !why.contains("/unknown"),
                "{why}"
            );
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    announcing.abort();
    assert_eq!(
        (hook.asked("/known").len(), hook.asked("/unknown").len()),
        (1, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_33_a_publication_says_in_the_record_where_it_is_announced() {
    let hook = Webhook::start().await;
    let world = house(vec![plain(&hook, "ops")]).await;
    let order = world.publish(&order_at(&["ops"])).await;
    let life = world.app.store.life_of(order.id).await.unwrap();
    let entry = life
        .iter()
        .find(|entry| entry.action == "order.publish")
        .unwrap();
    assert!(
        entry.details.contains(r#""channels":["ops"]"#),
        "{}",
        entry.details
    );
}

#[tokio::test]
async fn a_process_that_is_behind_knows_of_no_channel() {
    let hook = Webhook::start().await;
    let world = house(vec![plain(&hook, "ops")]).await;
    let order = world.publish(&order_at(&["ops"])).await;
    let knows = |channel, kind| {
        world.app.knows(&Key {
            order: order.id,
            person: PersonId::channel(channel),
            kind,
        })
    };
    assert!(knows(0, Kind::Order));
    assert!(!knows(1, Kind::Order), "a number that it has not heard of");
    assert!(!knows(0, Kind::Correction), "nor of any retraction");
    retract(&world, &order).await;
    assert!(knows(0, Kind::Correction));
}
