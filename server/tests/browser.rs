//! The console in a real browser: with its script and without, and at every width.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use countermand_core::actor::Actor;
use serde_json::json;
use support::driver::Browser;
use support::house::{ANA, House, PASSWORD, RITA, TITLE, order_file};

async fn sign_in(browser: &Browser, house: &House, email: &str) {
    browser.open(&house.url("/sign-in")).await;
    browser.write("input[name=email]", email).await;
    browser.write("input[name=password]", PASSWORD).await;
    browser.press("Sign in").await;
    browser.says("refused mail now").await;
}

async fn retract(browser: &Browser, house: &House, id: &str) {
    browser.press(TITLE).await;
    browser.press("Retract…").await;
    browser
        .write("textarea[name=reason]", "Sent in error")
        .await;
    browser.write("input[name=word]", "remove").await;
    browser.press("Retract now").await;
    browser.says("The order no longer holds").await;
    let order = house.app.store.order_called(id).await.unwrap().order;
    assert_eq!(order.retraction().unwrap().reason, "Sent in error");
    browser.press("To the order").await;
    browser.says("Retracted 10 Jul 2020").await;
    browser.open(&house.url(&house.statement(id).await)).await;
    browser.says("This order no longer holds.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_taken_back_by_hand() {
    let Some(browser) = Browser::start(true).await else {
        return;
    };
    let house = House::build().await;
    let id = house.published(TITLE).await;
    sign_in(&browser, &house, RITA).await;
    retract(&browser, &house, &id).await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_taken_back_without_any_script() {
    let Some(browser) = Browser::start(false).await else {
        return;
    };
    let house = House::build().await;
    let id = house.published(TITLE).await;
    sign_in(&browser, &house, RITA).await;
    // The script would say here that it is connected.
    assert_eq!(
        browser
            .run("return document.getElementById('live').hidden")
            .await,
        json!(true)
    );
    retract(&browser, &house, &id).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_page_shows_what_another_process_did() {
    let Some(browser) = Browser::start(true).await else {
        return;
    };
    let house = House::build().await;
    let id = house.published(TITLE).await;
    sign_in(&browser, &house, RITA).await;
    browser.press(TITLE).await;
    browser.find("#live:not([hidden])").await;
    browser
        .run("window.untouched = true; document.querySelector('#rule details').open = true")
        .await;
    let other = house.another_app().await;
    let by = Actor::Operator(RITA.to_owned());
    other.retract(&by, &id, "Sent in error").await.unwrap();
    browser.find("#corrections").await;
    let kept = "return window.untouched && document.querySelector('#rule details').open";
    assert_eq!(
        browser.run(kept).await,
        json!(true),
        "the page was loaded anew"
    );
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.close().await;
}

/// With `COUNTERMAND_PICTURES=FOLDER` it leaves a picture of each page there, to be looked at.
#[tokio::test(flavor = "multi_thread")]
async fn every_page_fits_a_phone_and_a_desk() {
    let Some(browser) = Browser::start(true).await else {
        return;
    };
    let house = House::with(|web| web.demo = true).await;
    let pictures = std::env::var_os("COUNTERMAND_PICTURES").map(std::path::PathBuf::from);
    let id = house.published(TITLE).await;
    let of = |email: &str| Actor::Operator(email.to_owned());
    let gone = house.published("Old Android versions").await;
    house
        .app
        .retract(
            &of(RITA),
            &gone,
            "Sent in error, there is no change to our policies",
        )
        .await
        .unwrap();
    let draft = house
        .app
        .draft(&of(ANA), &order_file("Update WhatsApp"))
        .await
        .unwrap()
        .id
        .short();
    let review = house
        .app
        .draft(&of(ANA), &order_file("Remove WeChat"))
        .await
        .unwrap()
        .id;
    house
        .app
        .submit(&of(ANA), &review.to_string())
        .await
        .unwrap();
    let review = review.short();
    let responder = [
        "/".to_owned(),
        format!("/orders/{id}"),
        format!("/orders/{gone}"),
        format!("/orders/{id}/hold"),
        format!("/orders/{id}/extend"),
        format!("/orders/{id}/retract"),
        format!("/orders/{gone}/retract"),
        format!("/orders/{id}/notices"),
        "/doors".to_owned(),
        "/audit".to_owned(),
        "/mailbox".to_owned(),
        house.statement(&id).await,
        house.statement(&gone).await,
        "/nowhere".to_owned(),
    ];
    let author = [
        "/orders/new".to_owned(),
        format!("/orders/{draft}"),
        format!("/orders/{draft}/edit"),
    ];
    let approver = [format!("/orders/{review}/preview")];
    let look = async |path: &str, who: &str| {
        browser.open(&house.url(path)).await;
        for (width, height) in [(360, 800), (1200, 900)] {
            let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
            browser
                .devtools("Emulation.setDeviceMetricsOverride", metrics)
                .await;
            let wide = browser
                .run("return document.scrollingElement.scrollWidth")
                .await;
            assert!(
                wide.as_u64().unwrap() <= width,
                "{path} is {wide} wide on {width}"
            );
            let Some(folder) = &pictures else { continue };
            for scheme in ["light", "dark"] {
                let media =
                    json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
                browser.devtools("Emulation.setEmulatedMedia", media).await;
                let name = path
                    .replace(&id, "in-force")
                    .replace(&gone, "retracted")
                    .replace('/', "_");
                let file = format!("{who}{name}-{width}-{scheme}.png");
                browser.picture(&folder.join(file)).await;
            }
        }
    };
    look("/sign-in", "stranger").await;
    for (email, paths) in [
        (RITA, &responder[..]),
        (ANA, &author),
        ("ben@corp.test", &approver),
    ] {
        browser.open(&house.url("/sign-in")).await;
        browser.click(&format!("button[value='{email}']")).await;
        browser.says("refused mail now").await;
        for path in paths {
            look(path, email.split('@').next().unwrap()).await;
        }
    }
    let complaints = browser.complaints().await;
    // That a page is not there is what one of them is about.
    let others: Vec<&String> = complaints
        .iter()
        .filter(|c| !c.contains("/nowhere"))
        .collect();
    assert!(others.is_empty(), "{others:?}");
    browser.close().await;
}
